//! The addresses of the host's network interfaces, as the owner lists them.
//!
//! Rules of this file: an [`Interface`] is one address of one interface. The kind is a hint: an owner that knows more
//! than the name sets it. The text form is a word sequence, so that a command can be recorded.

use alloc::string::String;
use alloc::sync::Arc;
use core::fmt::{self, Write};
use core::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use portolan_machine::ScriptError;

/// One address of a network interface.
///
/// ```
/// use portolan_ice::gather::{Interface, InterfaceKind};
///
/// let bridge = Interface::new("docker0", "172.17.0.1".parse()?);
/// assert_eq!(bridge.kind, InterfaceKind::VirtualBridge);
/// # Ok::<(), core::net::AddrParseError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Interface {
    /// The name of the interface, such as `eth0`.
    pub name: Arc<str>,
    /// The address.
    pub address: IpAddr,
    /// The zone (interface index) of an IPv6 link-local address, 0 for all other addresses (RFC 4007 §6).
    pub zone: u32,
    /// The kind of the interface.
    pub kind: InterfaceKind,
    /// Whether the system sends from this address towards the Internet: the source address of the default route.
    pub is_default_route: bool,
    /// Whether the IPv6 address was generated with a mechanism that prevents location tracking, such as a temporary
    /// address (RFC 8981).
    pub is_temporary: bool,
}

/// The kind of a network interface.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum InterfaceKind {
    /// A physical interface, or an unknown kind.
    #[default]
    Ordinary,
    /// A tunnel: a VPN or another point-to-point interface.
    Tunnel,
    /// A bridge to containers or virtual machines on this host, or one of its ports.
    VirtualBridge,
    /// The loopback interface.
    Loopback,
}

impl InterfaceKind {
    const ALL: [Self; 4] = [Self::Ordinary, Self::Tunnel, Self::VirtualBridge, Self::Loopback];

    /// Returns the usual kind of an interface with this name on Linux, BSD and macOS.
    #[must_use]
    pub fn of_name(name: &str) -> Self {
        const BRIDGES: [&str; 10] =
            ["docker", "br-", "veth", "virbr", "vmnet", "vboxnet", "cni", "flannel", "podman", "lxcbr"];
        const TUNNELS: [&str; 7] = ["tun", "utun", "wg", "ppp", "ipsec", "gif", "tailscale"];
        let begins = |prefixes: &[&str]| prefixes.iter().any(|prefix| name.starts_with(prefix));
        if matches!(name, "lo" | "lo0") {
            Self::Loopback
        } else if begins(&BRIDGES) {
            Self::VirtualBridge
        } else if begins(&TUNNELS) {
            Self::Tunnel
        } else {
            Self::Ordinary
        }
    }

    /// Returns the name of the kind: `ordinary`, `tunnel`, `virtual-bridge` or `loopback`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ordinary => "ordinary",
            Self::Tunnel => "tunnel",
            Self::VirtualBridge => "virtual-bridge",
            Self::Loopback => "loopback",
        }
    }
}

impl Interface {
    /// An address of the interface with this name. The kind is that of the [name](InterfaceKind::of_name).
    #[must_use]
    pub fn new(name: &str, address: IpAddr) -> Self {
        Self {
            name: name.into(),
            address,
            zone: 0,
            kind: InterfaceKind::of_name(name),
            is_default_route: false,
            is_temporary: false,
        }
    }

    /// Returns the same address with this kind of interface.
    #[must_use]
    pub const fn kind(mut self, kind: InterfaceKind) -> Self {
        self.kind = kind;
        self
    }

    /// Returns the same address with the zone of an IPv6 link-local address.
    #[must_use]
    pub const fn zone(mut self, zone: u32) -> Self {
        self.zone = zone;
        self
    }

    /// Returns the same address as the source address of the default route.
    #[must_use]
    pub const fn default_route(mut self) -> Self {
        self.is_default_route = true;
        self
    }

    /// Returns the same address as one that prevents location tracking.
    #[must_use]
    pub const fn temporary(mut self) -> Self {
        self.is_temporary = true;
        self
    }

    /// Whether the interface is believed to give stable connectivity (RFC 8421 §3).
    pub(super) const fn is_reliable(&self) -> bool {
        matches!(self.kind, InterfaceKind::Ordinary)
    }

    /// Returns the address with a port.
    pub(super) fn with_port(&self, port: u16) -> SocketAddr {
        match self.address {
            IpAddr::V4(ip) => SocketAddrV4::new(ip, port).into(),
            IpAddr::V6(ip) => SocketAddrV6::new(ip, port, 0, if is_link_local(ip) { self.zone } else { 0 }).into(),
        }
    }

    /// Writes `NAME ADDRESS KIND` and, where they apply, `zone=N`, `default-route` and `temporary`.
    pub(super) fn write(&self, out: &mut dyn Write) -> fmt::Result {
        write_name(out, &self.name)?;
        write!(out, " {} {}", self.address, self.kind.as_str())?;
        if self.zone != 0 {
            write!(out, " zone={}", self.zone)?;
        }
        out.write_str(if self.is_default_route { " default-route" } else { "" })?;
        out.write_str(if self.is_temporary { " temporary" } else { "" })
    }

    pub(super) fn read(text: &str) -> Result<Self, ScriptError> {
        const WORDS: ScriptError = ScriptError::new("an interface like `eth0 192.0.2.7 ordinary default-route`");
        let mut words = text.split(' ');
        let name = read_name(words.next().unwrap_or_default())?;
        let address = words.next().and_then(|word| word.parse().ok()).ok_or(WORDS)?;
        let kind = words.next().unwrap_or_default();
        let kind = InterfaceKind::ALL.into_iter().find(|known| known.as_str() == kind).ok_or(WORDS)?;
        let mut interface = Self::new(&name, address).kind(kind);
        for word in words {
            match (word, word.strip_prefix("zone=")) {
                ("default-route", _) => interface.is_default_route = true,
                ("temporary", _) => interface.is_temporary = true,
                (_, Some(zone)) => interface.zone = zone.parse().map_err(|_| WORDS)?,
                (_, None) => return Err(WORDS),
            }
        }
        Ok(interface)
    }
}

/// Whether the address is an IPv6 link-local unicast address (fe80::/10).
pub(super) const fn is_link_local(ip: Ipv6Addr) -> bool {
    ip.segments()[0] & 0xffc0 == 0xfe80
}

/// Writes a name with `%` and two hexadecimal digits for each byte that is not a letter, a digit, `-`, `_` or `.`. An
/// empty name is `%`.
fn write_name(out: &mut dyn Write, name: &str) -> fmt::Result {
    if name.is_empty() {
        return out.write_char('%');
    }
    name.bytes().try_for_each(|byte| match byte {
        b'-' | b'_' | b'.' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => out.write_char(char::from(byte)),
        _ => write!(out, "%{byte:02x}"),
    })
}

fn read_name(text: &str) -> Result<String, ScriptError> {
    const NAME: ScriptError = ScriptError::new("the name of an interface like `eth0` or `Local%20Area`");
    if text == "%" {
        return Ok(String::new());
    }
    let mut parts = text.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (hex, rest) = part.split_at_checked(2).ok_or(NAME)?;
        bytes.push(u8::from_str_radix(hex, 16).map_err(|_| NAME)?);
        bytes.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(bytes).ok().filter(|name| !name.is_empty()).ok_or(NAME)
}
