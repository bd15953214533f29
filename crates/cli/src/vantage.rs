//! The network that a result describes, by the addresses of the servers.
//!
//! A server on this host or in a private network shows nothing about the Internet. RFC 6890 lists the address blocks.

use core::fmt;
use core::net::IpAddr;
use core::str::FromStr;
use portolan_nat::discovery::StunServer;
use portolan_nat::profile::{Family, FamilyReport};

/// The place of a server, the nearest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Vantage {
    /// On this host.
    Loopback,
    /// In a private network: RFC 1918, RFC 4193, RFC 6598, or a link-local address.
    Private,
    /// On the Internet.
    Public,
}

impl Vantage {
    /// All values.
    pub(crate) const ALL: [Self; 3] = [Self::Loopback, Self::Private, Self::Public];

    /// Returns the word of reports and of `--require`.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Loopback => "loopback",
            Self::Private => "private",
            Self::Public => "public",
        }
    }

    /// Returns the place of a server with this address.
    pub(crate) fn of_address(ip: IpAddr) -> Self {
        let ip = ip.to_canonical();
        // A packet to an unspecified address goes to this host.
        if ip.is_loopback() || ip.is_unspecified() {
            return Self::Loopback;
        }
        let is_private = match ip {
            IpAddr::V4(v4) => v4.is_private() || v4.is_link_local() || is_shared(v4.octets()),
            IpAddr::V6(v6) => v6.is_unique_local() || v6.is_unicast_link_local(),
        };
        if is_private { Self::Private } else { Self::Public }
    }

    /// Returns the most public place of the servers that responded, or without a response of the servers that were
    /// asked. Returns `None` if no server was asked.
    pub(crate) fn of(report: &FamilyReport) -> Option<Self> {
        // A packet to an own address of the host does not leave the host.
        let is_own = |ip: IpAddr| report.local.is_some_and(|local| local.ip() == ip);
        let place = |ip: IpAddr| if is_own(ip) { Self::Loopback } else { Self::of_address(ip) };
        let most_public = |responded: bool| {
            let servers = report.servers.iter().filter(|server| !responded || server.rtt.is_some());
            servers.map(|server| place(server.address.ip())).max()
        };
        most_public(true).or_else(|| most_public(false))
    }

    /// Whether the results of a family describe the access to the Internet.
    pub(crate) fn is_public(report: &FamilyReport) -> bool {
        Self::of(report).is_none_or(|place| place == Self::Public)
    }
}

/// RFC 6598: 100.64.0.0/10, between a customer and the NAT of a carrier.
const fn is_shared([first, second, ..]: [u8; 4]) -> bool {
    first == 100 && second & 0b1100_0000 == 64
}

impl fmt::Display for Vantage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Vantage {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|one| one.as_str() == text).ok_or(())
    }
}

/// Removes, in each family, the addresses of servers that are nearer than the most public one. Returns a line for each.
///
/// A server inside a NAT and a server outside see different addresses of one host, so a comparison of both is no
/// evidence of a mapping behaviour.
pub(crate) fn keep_most_public(servers: &mut Vec<StunServer>) -> Vec<String> {
    let mut lines = Vec::new();
    for family in [Family::V4, Family::V6] {
        let of_family = servers.iter().flat_map(|server| &server.addresses).filter(|a| Family::of(a) == family);
        let Some(best) = of_family.map(|address| Vantage::of_address(address.ip())).max() else { continue };
        for server in servers.iter_mut() {
            let name = server.name.clone();
            server.addresses.retain(|address| {
                let place = Vantage::of_address(address.ip());
                let keeps = Family::of(address) != family || place == best;
                if !keeps {
                    lines.push(format!(
                        "server {name} is not used at {address}: the address is {place}, and another server is {best}"
                    ));
                }
                keeps
            });
        }
    }
    servers.retain(|server| !server.addresses.is_empty());
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;
    use core::time::Duration;

    #[test]
    fn each_address_block_has_its_vantage() {
        for (place, addresses) in [
            (Vantage::Loopback, &["127.0.0.1", "127.255.0.9", "::1", "::ffff:127.0.0.1", "0.0.0.0", "::"][..]),
            (
                Vantage::Private,
                &[
                    "10.0.0.1",
                    "172.16.0.1",
                    "172.31.255.1",
                    "192.168.1.1",
                    "169.254.7.7",
                    "100.64.0.1",
                    "100.127.255.255",
                    "fd00::1",
                    "fc00::1",
                    "fe80::1",
                    "febf::1",
                    "::ffff:10.1.2.3",
                ],
            ),
            (
                Vantage::Public,
                &[
                    "50.0.0.1",
                    "192.0.2.1",
                    "198.51.100.1",
                    "203.0.113.1",
                    "172.32.0.1",
                    "100.63.255.255",
                    "100.128.0.1",
                    "2001:db8::1",
                    "2a00:50::1",
                ],
            ),
        ] {
            for address in addresses {
                assert_eq!(Vantage::of_address(address.parse().unwrap()), place, "{address}");
            }
        }
    }

    #[test]
    fn the_most_public_server_that_responded_decides() {
        let mut family = sample::home().families.remove(0);
        assert_eq!(Vantage::of(&family), Some(Vantage::Public));
        family.servers[0].address = "10.0.0.1:3478".parse().unwrap();
        assert_eq!(Vantage::of(&family), Some(Vantage::Public));
        family.servers[1].rtt = None;
        assert_eq!(Vantage::of(&family), Some(Vantage::Private));
        family.servers[0].rtt = None;
        assert_eq!(Vantage::of(&family), Some(Vantage::Public), "nothing responded, so all count");
        family.servers[1].rtt = Some(Duration::ZERO);
        family.local = Some("198.51.100.20:40000".parse().unwrap());
        assert_eq!(Vantage::of(&family), Some(Vantage::Loopback), "the server has the address of this host");
        family.servers.clear();
        assert_eq!(Vantage::of(&family), None);
    }

    #[test]
    fn servers_of_different_vantage_are_not_compared() {
        let server = |name: &str, addresses: &[&str]| StunServer {
            name: name.into(),
            addresses: addresses.iter().map(|address| address.parse().unwrap()).collect(),
        };
        let mut servers = vec![
            server("near", &["127.0.0.1:1", "[fd00::1]:1"]),
            server("private", &["10.0.0.1:1"]),
            server("far", &["192.0.2.1:1"]),
        ];
        assert_eq!(
            keep_most_public(&mut servers),
            [
                "server near is not used at 127.0.0.1:1: the address is loopback, and another server is public",
                "server private is not used at 10.0.0.1:1: the address is private, and another server is public",
            ]
        );
        assert_eq!(servers, [server("near", &["[fd00::1]:1"]), server("far", &["192.0.2.1:1"])]);
        assert!(keep_most_public(&mut vec![server("near", &["127.0.0.1:1"])]).is_empty());
    }
}
