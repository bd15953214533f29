//! The peer policy: the addresses that a server relays to.
//!
//! A relay that reaches internal addresses is an attack tool. So every method with a peer address has the same check:
//! [`PeerPolicy::judge`] for an address, [`PeerPolicy::judge_port`] for an address with a port. Both are pure.
//!
//! # The rules
//!
//! * Three tables have prefixes: the deny list, the allow list, and the special-purpose addresses of [`special`].
//! * The longest prefix that contains the address decides. At equal lengths the deny list decides before the allow
//!   list, and the allow list before the special-purpose addresses. An address without a prefix is permitted.
//! * So `allow 10.1.0.0/16` opens a part of the private addresses, and `allow 0.0.0.0/0` opens none of them. `deny
//!   0.0.0.0/0` with `deny ::/0` denies everything but the entries of the allow list.
//! * Each IPv4 address inside an IPv6 address is judged too, see [`embedding`]. The IPv6 address is permitted only if
//!   the policy permits all of them. An allow entry for the IPv6 prefix does not change this.
//! * The server's own relay addresses count as entries of the allow list, so that two clients of one server reach each
//!   other (RFC 8656 §9 has permissions without ports). The ports of the server's own listeners are denied.
//!
//! ```
//! use portolan_turn::{OwnAddresses, PeerPolicy};
//!
//! let policy = PeerPolicy::new().allow("10.1.0.0/16".parse()?).deny("198.18.7.0/24".parse()?);
//! let own = OwnAddresses::new().with_relay("192.0.2.1".parse()?).with_listener("192.0.2.1:3478".parse()?);
//!
//! assert!(policy.judge(&own, "8.8.8.8".parse()?).is_ok());
//! assert!(policy.judge(&own, "10.1.2.3".parse()?).is_ok());
//! let denial = policy.judge(&own, "10.2.0.1".parse()?).unwrap_err();
//! assert_eq!(denial.to_string(), "10.2.0.1 is in 10.0.0.0/8: private use");
//! let denial = policy.judge(&own, "64:ff9b::127.0.0.1".parse()?).unwrap_err();
//! assert_eq!(denial.to_string(), "64:ff9b::7f00:1 has 127.0.0.1 (NAT64), which is in 127.0.0.0/8: loopback");
//!
//! assert!(policy.judge_port(&own, "192.0.2.1:50000".parse()?).is_ok());
//! let denial = policy.judge_port(&own, "192.0.2.1:3478".parse()?).unwrap_err();
//! assert_eq!(denial.to_string(), "192.0.2.1:3478 is a listener of this server");
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```

pub mod cidr;
pub mod embedding;
pub mod special;

pub use cidr::{Cidr, CidrError};
pub use embedding::Embedding;

use alloc::vec::Vec;
use core::cmp::Reverse;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use special::Special;

/// The addresses that a server relays to: an allow list, a deny list, and the special-purpose addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PeerPolicy {
    /// The entries of both lists, the longest prefix first. At equal lengths entries of the deny list are first.
    entries: Vec<Entry>,
    nat64: Vec<Cidr>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    prefix: Cidr,
    denies: bool,
}

impl PeerPolicy {
    /// The default policy: both lists are empty.
    #[must_use]
    pub const fn new() -> Self {
        Self { entries: Vec::new(), nat64: Vec::new() }
    }

    /// Returns the same policy with this entry in the allow list.
    #[must_use]
    pub fn allow(self, prefix: Cidr) -> Self {
        self.with(Entry { prefix, denies: false })
    }

    /// Returns the same policy with this entry in the deny list.
    #[must_use]
    pub fn deny(self, prefix: Cidr) -> Self {
        self.with(Entry { prefix, denies: true })
    }

    /// Returns the same policy with this prefix of a NAT64 in the network of the server (RFC 6052 §2.2).
    ///
    /// The IPv4 address inside an address of this prefix is judged too. Its position follows from the length of the
    /// prefix. The prefix is not opened by this call.
    ///
    /// # Errors
    /// [`CidrError::Nat64`], when it is not an IPv6 prefix of 32, 40, 48, 56, 64 or 96 bits.
    pub fn nat64(mut self, prefix: Cidr) -> Result<Self, CidrError> {
        if prefix.first().is_ipv4() || ![32, 40, 48, 56, 64, 96].contains(&prefix.len()) {
            return Err(CidrError::Nat64 { prefix });
        }
        self.nat64.push(prefix);
        Ok(self)
    }

    fn with(mut self, entry: Entry) -> Self {
        let key = |entry: &Entry| (Reverse(entry.prefix.len()), !entry.denies);
        let at = self.entries.partition_point(|other| key(other) <= key(&entry));
        self.entries.insert(at, entry);
        self
    }

    /// Judges the address of a peer.
    ///
    /// # Errors
    /// [`Denial`], when the policy denies the address or an IPv4 address inside it.
    pub fn judge(&self, own: &OwnAddresses, peer: IpAddr) -> Result<(), Denial> {
        let deny = |embedded, cause| Err(Denial { peer, embedded, cause });
        if let Some(cause) = self.cause(own, peer) {
            return deny(None, cause);
        }
        for (embedding, ip) in self.embedded(peer) {
            if let Some(cause) = self.cause(own, ip.into()) {
                return deny(Some((embedding, ip)), cause);
            }
        }
        Ok(())
    }

    /// Judges the address and the port of a peer.
    ///
    /// # Errors
    /// [`Denial`], when the policy denies the address or an IPv4 address inside it, or one of them with this port is a
    /// listener of the server.
    pub fn judge_port(&self, own: &OwnAddresses, peer: SocketAddr) -> Result<(), Denial> {
        self.judge(own, peer.ip())?;
        let deny = |embedded| Err(Denial { peer: peer.ip(), embedded, cause: DenialCause::Listener(peer.port()) });
        if own.is_listener(peer.ip(), peer.port()) {
            return deny(None);
        }
        for (embedding, ip) in self.embedded(peer.ip()) {
            if own.is_listener(ip.into(), peer.port()) {
                return deny(Some((embedding, ip)));
            }
        }
        Ok(())
    }

    /// The reason to deny this address by its longest prefix; `None` if the policy permits it.
    fn cause(&self, own: &OwnAddresses, ip: IpAddr) -> Option<DenialCause> {
        let entry = self.entries.iter().find(|entry| entry.prefix.contains(ip));
        let special = special::lookup(ip).filter(|special| special.is_denied);
        if let Some(Entry { prefix, denies: true }) = entry
            && special.is_none_or(|special| prefix.len() >= special.prefix.len())
        {
            // No entry of the allow list is longer, but a relay address of the server is an entry of full length.
            return (prefix.is_host() || !own.is_relay(ip)).then_some(DenialCause::Listed(*prefix));
        }
        let special = special?;
        let is_opened = entry.is_some_and(|entry| entry.prefix.len() >= special.prefix.len()) || own.is_relay(ip);
        (!is_opened).then_some(DenialCause::Special(special))
    }

    fn embedded(&self, peer: IpAddr) -> impl Iterator<Item = (Embedding, Ipv4Addr)> {
        let v6 = match peer {
            IpAddr::V4(_) => None,
            IpAddr::V6(ip) => Some(ip),
        };
        v6.into_iter().flat_map(|ip| embedding::embedded(ip, &self.nat64))
    }
}

/// The addresses of the server itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnAddresses {
    relays: Vec<IpAddr>,
    hosts: Vec<IpAddr>,
    listeners: Vec<SocketAddr>,
}

impl OwnAddresses {
    /// No addresses.
    #[must_use]
    pub const fn new() -> Self {
        Self { relays: Vec::new(), hosts: Vec::new(), listeners: Vec::new() }
    }

    /// Returns the same addresses with a relay address: the policy permits it, unless the deny list has this address.
    #[must_use]
    pub fn with_relay(mut self, ip: IpAddr) -> Self {
        self.relays.push(ip.to_canonical());
        self
    }

    /// Returns the same addresses with another address of the host, on which its wildcard listeners receive.
    #[must_use]
    pub fn with_host(mut self, ip: IpAddr) -> Self {
        self.hosts.push(ip.to_canonical());
        self
    }

    /// Returns the same addresses with a listener. The port of a listener on a wildcard address is denied for all
    /// relay addresses and other addresses of the host.
    #[must_use]
    pub fn with_listener(mut self, listener: SocketAddr) -> Self {
        self.listeners.push(SocketAddr::new(listener.ip().to_canonical(), listener.port()));
        self
    }

    fn is_relay(&self, ip: IpAddr) -> bool {
        self.relays.contains(&ip)
    }

    fn is_listener(&self, ip: IpAddr, port: u16) -> bool {
        // A wildcard IPv6 listener can receive for IPv4 addresses too, so the family is not compared.
        let is_own = || self.relays.contains(&ip) || self.hosts.contains(&ip);
        let receives = |other: IpAddr| other == ip || other.is_unspecified() && is_own();
        self.listeners.iter().any(|listener| listener.port() == port && receives(listener.ip()))
    }
}

/// The reason why a peer is denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Denial {
    /// The address of the peer.
    pub peer: IpAddr,
    /// The denied IPv4 address inside `peer`; `None` if `peer` itself is denied.
    pub embedded: Option<(Embedding, Ipv4Addr)>,
    /// The entry that denies the address.
    pub cause: DenialCause,
}

/// The entry that denies an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DenialCause {
    /// An entry of the special-purpose addresses.
    Special(&'static Special),
    /// An entry of the deny list.
    Listed(Cidr),
    /// The address with this port is a listener of the server.
    Listener(u16),
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.embedded, self.cause) {
            (None, DenialCause::Listener(port)) => {
                return write!(f, "{} {}", SocketAddr::new(self.peer, port), LISTENER);
            }
            (None, _) => write!(f, "{} is in ", self.peer)?,
            (Some((embedding, ip)), DenialCause::Listener(port)) => {
                return write!(f, "{} has {ip}:{port} ({embedding}), which {LISTENER}", self.peer);
            }
            (Some((embedding, ip)), _) => write!(f, "{} has {ip} ({embedding}), which is in ", self.peer)?,
        }
        match self.cause {
            DenialCause::Special(special) => write!(f, "{}: {}", special.prefix, special.name),
            DenialCause::Listed(prefix) => write!(f, "{prefix}: the deny list"),
            DenialCause::Listener(_) => Ok(()),
        }
    }
}

const LISTENER: &str = "is a listener of this server";
