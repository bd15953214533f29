//! The configuration of a client.

use crate::ClientError;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::time::Duration;
use portolan_machine::hex::{read_hex, write_hex};
use portolan_machine::{Protocol, Script, ScriptError};
use portolan_stun::attribute::AddressFamily;
use portolan_stun_agent::{Credential, credential::Mechanism};

/// The configuration of a [`Client`](crate::Client): its servers, its credential and its allocation.
///
/// ```
/// use core::time::Duration;
/// use portolan_machine::Script;
/// use portolan_turn::ClientConfig;
/// use portolan_stun_agent::Credential;
///
/// let config = ClientConfig::new("192.0.2.1:3478".parse()?, Credential::long_term("ann", "secret"))
///     .lifetime(Duration::from_secs(1200))
///     .even_port(true);
/// assert_eq!(config.to_string(), "udp server=192.0.2.1:3478 lifetime=1200 even-port=reserve credential=long-term");
/// assert_eq!(ClientConfig::read(&config.to_text()), Ok(config));
/// # Ok::<(), core::net::AddrParseError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientConfig {
    pub(super) servers: Vec<SocketAddr>,
    pub(super) protocol: Protocol,
    pub(super) server_name: Option<Arc<str>>,
    local: Option<SocketAddr>,
    pub(super) credential: Credential,
    pub(super) expires: Option<Duration>,
    pub(super) options: AllocateOptions,
    pub(super) times: Times,
}

/// The optional attributes of an Allocate request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct AllocateOptions {
    /// LIFETIME in seconds.
    pub(super) lifetime: Option<u32>,
    pub(super) family: Families,
    /// EVEN-PORT, and whether the next higher port is reserved.
    pub(super) even_port: Option<bool>,
    pub(super) token: Option<[u8; 8]>,
    pub(super) dont_fragment: bool,
}

/// The address families of an allocation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Families {
    /// No attribute: IPv4 (RFC 8656 §7.2).
    #[default]
    Unspecified,
    /// REQUESTED-ADDRESS-FAMILY.
    Only(AddressFamily),
    /// IPv4, and IPv6 by ADDITIONAL-ADDRESS-FAMILY.
    Dual,
}

/// The configured durations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Times {
    /// From the order of a socket to the allocation.
    pub(super) timeout: Duration,
    pub(super) keepalive: Duration,
    pub(super) close: Duration,
    pub(super) overlap: Duration,
}

impl ClientConfig {
    /// The largest number of servers.
    pub const SERVERS: usize = 8;
    /// The default time for an allocation at one server: 39.5 seconds, the end of the retransmissions over UDP and Ti
    /// of a stream (RFC 8489 §6.2.1, §6.2.2).
    pub const TIMEOUT: Duration = Duration::from_millis(39_500);
    /// The default interval of keepalives: 15 seconds.
    pub const KEEPALIVE: Duration = Duration::from_secs(15);
    /// The default time for the response to the last Refresh request: 2 seconds.
    pub const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
    /// The default time for which a replaced allocation still receives data: 10 seconds.
    pub const OVERLAP: Duration = Duration::from_secs(10);

    /// A client over UDP of this server, with a long-term credential.
    #[must_use]
    pub fn new(server: SocketAddr, credential: Credential) -> Self {
        Self {
            servers: [server].into(),
            protocol: Protocol::Udp,
            server_name: None,
            local: None,
            credential,
            expires: None,
            options: AllocateOptions::default(),
            times: Times {
                timeout: Self::TIMEOUT,
                keepalive: Self::KEEPALIVE,
                close: Self::CLOSE_TIMEOUT,
                overlap: Self::OVERLAP,
            },
        }
    }

    /// Returns the same configuration with one more server. The servers are tried in order.
    #[must_use]
    pub fn or_server(mut self, server: SocketAddr) -> Self {
        self.servers.push(server);
        self
    }

    /// Returns the same configuration with this credential.
    #[must_use]
    pub fn with_credential(mut self, credential: Credential) -> Self {
        self.credential = credential;
        self
    }

    /// Returns the same configuration over this protocol: `Udp`, `Tcp` or `Tls`.
    #[must_use]
    pub const fn protocol(mut self, protocol: Protocol) -> Self {
        self.protocol = protocol;
        self
    }

    /// Returns the same configuration with the name that the certificate of a TLS server must contain.
    #[must_use]
    pub fn server_name(mut self, server_name: Arc<str>) -> Self {
        self.server_name = Some(server_name);
        self
    }

    /// Returns the same configuration from this local address. With port 0 the system assigns the port.
    ///
    /// A second socket, after 437, has another port than the configured port.
    #[must_use]
    pub const fn from_local(mut self, local: SocketAddr) -> Self {
        self.local = Some(local);
        self
    }

    /// Returns the same configuration with the time after which the credential is no longer valid, counted from the
    /// start. The client reports [`CredentialExpires`](crate::ClientEvent::CredentialExpires) before.
    #[must_use]
    pub const fn expires(mut self, expires: Duration) -> Self {
        self.expires = Some(expires);
        self
    }

    /// Returns the same configuration with a requested lifetime in whole seconds (RFC 8656 §7.1).
    #[must_use]
    pub fn lifetime(mut self, lifetime: Duration) -> Self {
        self.options.lifetime = Some(u32::try_from(lifetime.as_secs()).unwrap_or(u32::MAX));
        self
    }

    /// Returns the same configuration with a relayed address of this family (REQUESTED-ADDRESS-FAMILY).
    #[must_use]
    pub const fn family(mut self, family: AddressFamily) -> Self {
        self.options.family = Families::Only(family);
        self
    }

    /// Returns the same configuration with an IPv4 and an IPv6 relayed address (ADDITIONAL-ADDRESS-FAMILY).
    #[must_use]
    pub const fn dual(mut self) -> Self {
        self.options.family = Families::Dual;
        self
    }

    /// Returns the same configuration with an even port; `reserve` reserves the next higher port (EVEN-PORT). The
    /// client retries without it once if the server has no such port.
    #[must_use]
    pub const fn even_port(mut self, reserve: bool) -> Self {
        self.options.even_port = Some(reserve);
        self
    }

    /// Returns the same configuration with the port that another allocation reserved (RESERVATION-TOKEN).
    #[must_use]
    pub const fn reservation_token(mut self, token: [u8; 8]) -> Self {
        self.options.token = Some(token);
        self
    }

    /// Returns the same configuration with DONT-FRAGMENT, which asks for a server that can set the DF bit. The client
    /// retries without it once if the server does not support it.
    #[must_use]
    pub const fn dont_fragment(mut self) -> Self {
        self.options.dont_fragment = true;
        self
    }

    /// Returns the same configuration with this time for an allocation at one server, which includes the time to
    /// connect.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.times.timeout = timeout;
        self
    }

    /// Returns the same configuration with this interval of keepalives, at least 1 second.
    #[must_use]
    pub fn keepalive(mut self, keepalive: Duration) -> Self {
        self.times.keepalive = keepalive.max(Duration::from_secs(1));
        self
    }

    /// Returns the same configuration with this time for the response to the last Refresh request.
    #[must_use]
    pub const fn close_timeout(mut self, close: Duration) -> Self {
        self.times.close = close;
        self
    }

    /// Returns the same configuration with this time for which a replaced allocation still receives data.
    #[must_use]
    pub const fn overlap(mut self, overlap: Duration) -> Self {
        self.times.overlap = overlap;
        self
    }

    /// The longest time from the loss of all packets to the last event of a client with this configuration.
    ///
    /// The last packet can arrive after a keepalive was sent. So it is the sum of three times: the keepalive interval, but
    /// at least the schedule of one keepalive; the schedule of another one; and one attempt at each server.
    #[must_use]
    pub fn silence_limit(&self) -> Duration {
        let servers = u32::try_from(self.servers.len()).unwrap_or(u32::MAX);
        self.times.keepalive.max(Self::TIMEOUT) + Self::TIMEOUT + self.times.timeout.saturating_mul(servers)
    }

    /// The address to bind for this server.
    pub(super) fn bind(&self, server: SocketAddr, is_first: bool) -> SocketAddr {
        let any: IpAddr = match server {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let mut local = self.local.unwrap_or(SocketAddr::new(any, 0));
        if !is_first {
            local.set_port(0);
        }
        local
    }

    pub(super) fn check(&self) -> Result<(), ClientError> {
        if self.servers.is_empty() || self.servers.len() > Self::SERVERS {
            return Err(ClientError::Servers { limit: Self::SERVERS });
        }
        if self.protocol.is_listener() {
            return Err(ClientError::Protocol);
        }
        for server in &self.servers {
            if server.ip().is_unspecified() || server.port() == 0 {
                return Err(ClientError::Destination(*server));
            }
            if self.local.is_some_and(|local| local.is_ipv4() != server.is_ipv4()) {
                return Err(ClientError::LocalFamily(*server));
            }
        }
        check_credential(&self.credential)?;
        let AllocateOptions { family, even_port, token, .. } = self.options;
        let has_family = family != Families::Unspecified;
        let is_contradictory =
            token.is_some() && (has_family || even_port.is_some()) || family == Families::Dual && even_port.is_some();
        if is_contradictory { Err(ClientError::Options) } else { Ok(()) }
    }

    /// Writes the text without the name and the credential.
    fn write_head(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        write!(out, "{}", self.protocol)?;
        self.servers.iter().try_for_each(|server| write!(out, " server={server}"))?;
        if let Some(local) = self.local {
            write!(out, " local={local}")?;
        }
        let AllocateOptions { lifetime, family, even_port, token, dont_fragment } = self.options;
        if let Some(seconds) = lifetime {
            write!(out, " lifetime={seconds}")?;
        }
        out.write_str(match family {
            Families::Unspecified => "",
            Families::Only(AddressFamily::Ipv4) => " family=4",
            Families::Only(AddressFamily::Ipv6) => " family=6",
            Families::Dual => " family=dual",
        })?;
        out.write_str(match even_port {
            None => "",
            Some(false) => " even-port=only",
            Some(true) => " even-port=reserve",
        })?;
        if let Some(token) = token {
            out.write_str(" token=")?;
            write_hex(out, &token)?;
        }
        if dont_fragment {
            out.write_str(" dont-fragment=yes")?;
        }
        let Times { timeout, keepalive, close, overlap } = self.times;
        let times = [
            ("timeout", timeout, Self::TIMEOUT),
            ("keepalive", keepalive, Self::KEEPALIVE),
            ("close", close, Self::CLOSE_TIMEOUT),
            ("overlap", overlap, Self::OVERLAP),
        ];
        for (name, time, default) in times {
            if time != default {
                write!(out, " {name}={}", time.as_nanos())?;
            }
        }
        self.expires.map_or(Ok(()), |expires| write!(out, " expires={}", expires.as_nanos()))
    }

    /// Returns the configuration with the value of one word of its text.
    fn with_word(mut self, word: &str) -> Result<Self, ScriptError> {
        const WORD: ScriptError = ScriptError::new("`NAME=VALUE` with a name of the configuration");
        const VALUE: ScriptError = ScriptError::new("a value of this name in the configuration");
        let (name, value) = word.split_once('=').ok_or(WORD)?;
        match (name, value) {
            ("server", server) => self.servers.push(server.parse().map_err(|_| VALUE)?),
            ("local", local) => self.local = Some(local.parse().map_err(|_| VALUE)?),
            ("lifetime", seconds) => self.options.lifetime = Some(seconds.parse().map_err(|_| VALUE)?),
            ("family", "4") => self.options.family = Families::Only(AddressFamily::Ipv4),
            ("family", "6") => self.options.family = Families::Only(AddressFamily::Ipv6),
            ("family", "dual") => self.options.family = Families::Dual,
            ("even-port", "only") => self.options.even_port = Some(false),
            ("even-port", "reserve") => self.options.even_port = Some(true),
            ("token", hex) => self.options.token = Some(read_hex(hex)?.try_into().map_err(|_| VALUE)?),
            ("dont-fragment", "yes") => self.options.dont_fragment = true,
            ("timeout", nanos) => self.times.timeout = read_nanos(nanos)?,
            ("keepalive", nanos) => return Ok(self.keepalive(read_nanos(nanos)?)),
            ("close", nanos) => self.times.close = read_nanos(nanos)?,
            ("overlap", nanos) => self.times.overlap = read_nanos(nanos)?,
            ("expires", nanos) => self.expires = Some(read_nanos(nanos)?),
            ("name", hex) => {
                self.server_name = Some(String::from_utf8(read_hex(hex)?).map_err(|_| VALUE)?.into());
            }
            ("credential", credential) => self.credential = Credential::read(credential)?,
            _ => return Err(WORD),
        }
        Ok(self)
    }
}

/// Checks that a credential is a long-term credential.
pub(super) fn check_credential(credential: &Credential) -> Result<(), ClientError> {
    match credential.mechanism() {
        Mechanism::LongTerm => Ok(()),
        Mechanism::ShortTerm => Err(ClientError::Mechanism),
    }
}

impl fmt::Display for ClientConfig {
    /// Prints the protocol and the words of the configuration without default values. Of a credential only the
    /// mechanism is printed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_head(f)?;
        if let Some(name) = &self.server_name {
            write!(f, " name={name}")?;
        }
        write!(f, " credential={}", self.credential)
    }
}

impl Script for ClientConfig {
    /// Writes the text of `Display`, with the name in hexadecimal and the whole credential. The text is secret.
    fn write(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        self.write_head(out)?;
        if let Some(name) = &self.server_name {
            out.write_str(" name=")?;
            write_hex(out, name.as_bytes())?;
        }
        out.write_str(" credential=")?;
        self.credential.write(out)
    }

    fn read(text: &str) -> Result<Self, ScriptError> {
        let mut words = text.split(' ');
        let protocol = match words.next() {
            Some("udp") => Protocol::Udp,
            Some("tcp") => Protocol::Tcp,
            Some("tls") => Protocol::Tls,
            Some("tcp-listen") => Protocol::TcpListen,
            Some("tls-listen") => Protocol::TlsListen,
            _ => return Err(ScriptError::new("`udp`, `tcp` or `tls`")),
        };
        let none = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0);
        let mut config = Self::new(none, Credential::long_term("", "")).protocol(protocol);
        config.servers.clear();
        let config = words.try_fold(config, Self::with_word)?;
        if config.servers.is_empty() { Err(ScriptError::new("`server=` with an address")) } else { Ok(config) }
    }
}

/// Reads a duration in nanoseconds.
pub(super) fn read_nanos(text: &str) -> Result<Duration, ScriptError> {
    const NANOS: ScriptError = ScriptError::new("a number of nanoseconds");
    let nanos: u128 = text.parse().map_err(|_| NANOS)?;
    let (secs, rest) = (u64::try_from(nanos / 1_000_000_000), u32::try_from(nanos % 1_000_000_000));
    Ok(Duration::new(secs.map_err(|_| NANOS)?, rest.map_err(|_| NANOS)?))
}
