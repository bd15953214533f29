//! Checks of the addresses in messages.
//!
//! Rules of this file: pure functions of addresses. The registries are those of RFC 6890.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Whether an address is reserved for a special purpose, so that no public server has it (RFC 6890, RFC 6598).
pub(super) fn is_special_purpose(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_special_purpose_v4(address),
        IpAddr::V6(address) => is_special_purpose_v6(address),
    }
}

fn is_special_purpose_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    match (a, b, c) {
        // "This network", private, loopback, and all addresses from multicast up (RFC 1122, RFC 1918, RFC 5771, RFC
        // 1112).
        (0 | 10 | 127 | 224..=255, _, _) => true,
        // Shared address space of carriers (RFC 6598).
        (100, 64..=127, _) => true,
        // Link-local (RFC 3927), private (RFC 1918), benchmarking (RFC 2544).
        (169, 254, _) | (172, 16..=31, _) | (192, 168, _) | (198, 18 | 19, _) => true,
        // IETF protocol assignments, which hold 192.0.0.0/29 of DS-Lite, and documentation (RFC 6890, RFC 5737).
        (192, 0, 0 | 2) | (198, 51, 100) | (203, 0, 113) => true,
        _ => false,
    }
}

fn is_special_purpose_v6(address: Ipv6Addr) -> bool {
    let [first, second, ..] = address.segments();
    let embedded = address.to_ipv4_mapped().is_some();
    // Unspecified and loopback (RFC 4291), unique local (RFC 4193), link-local, site-local, multicast, discard (RFC
    // 6666), documentation (RFC 3849).
    address.is_unspecified()
        || address.is_loopback()
        || embedded
        || first & 0xfe00 == 0xfc00
        || first & 0xffc0 == 0xfe80
        || first & 0xffc0 == 0xfec0
        || first & 0xff00 == 0xff00
        || (first, second) == (0x0100, 0)
        || (first, second) == (0x2001, 0x0db8)
}

/// Whether `other` can be the alternate address and port of the server at `primary` (RFC 5780 §7.4).
pub(super) fn is_valid_other(primary: SocketAddr, other: SocketAddr) -> bool {
    let same_family = primary.is_ipv4() == other.is_ipv4();
    let differs = primary.ip() != other.ip() && primary.port() != other.port() && other.port() != 0;
    // A server in a laboratory may name an address of the same network; a public server may not.
    let reachable = !is_special_purpose(other.ip()) || is_special_purpose(primary.ip());
    let host = match other.ip() {
        IpAddr::V4(address) => !address.is_unspecified() && !address.is_multicast() && !address.is_broadcast(),
        IpAddr::V6(address) => !address.is_unspecified() && !address.is_multicast(),
    };
    same_family && differs && reachable && host
}

/// Whether the server at `server` can see a client at `mapped`. An address of a laboratory is possible only if the server
/// has one too.
pub(super) fn is_valid_mapped(server: SocketAddr, mapped: SocketAddr) -> bool {
    let same_family = server.is_ipv4() == mapped.is_ipv4();
    let reachable = !is_special_purpose(mapped.ip()) || is_special_purpose(server.ip());
    let host = match mapped.ip() {
        IpAddr::V4(address) => {
            // "This network" and the addresses from multicast up are no source addresses (RFC 1122 §3.2.1.3).
            let [first, ..] = address.octets();
            first != 0 && first < 224
        }
        IpAddr::V6(address) => !address.is_unspecified() && !address.is_multicast(),
    };
    let loopback = mapped.ip().is_loopback() && !server.ip().is_loopback();
    same_family && reachable && host && !loopback && mapped.port() != 0
}

/// An IPv4 address in the form of an IPv4-mapped IPv6 address (RFC 4291 §2.5.5.2) as an IPv4 address.
pub(super) fn normalized(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// Whether only a carrier assigns this local address, so that a second NAT must follow (RFC 6598 §7, RFC 6333 §5.7).
pub(super) fn is_carrier_side(local: IpAddr) -> bool {
    let IpAddr::V4(local) = local else { return false };
    let [a, b, c, d] = local.octets();
    (a == 100 && (64..=127).contains(&b)) || ((a, b, c) == (192, 0, 0) && d < 8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn valid(primary: &str, other: &str) -> bool {
        is_valid_other(primary.parse().unwrap(), other.parse().unwrap())
    }

    #[test]
    fn a_valid_other_address_has_another_address_and_another_port() {
        assert!(valid("203.0.113.10:3478", "203.0.113.11:3479"));
        assert!(!valid("203.0.113.10:3478", "203.0.113.10:3479"), "its own address");
        assert!(!valid("203.0.113.10:3478", "203.0.113.11:3478"), "its own port");
        assert!(!valid("203.0.113.10:3478", "203.0.113.11:0"));
        assert!(!valid("203.0.113.10:3478", "[2001:db8::1]:3479"), "another family");
        assert!(!valid("203.0.113.10:3478", "0.0.0.0:3479"));
        assert!(valid("[2001:db8::1]:3478", "[2001:db8::2]:3479"));
    }

    #[test]
    fn a_private_other_address_is_valid_for_a_private_server_only() {
        for private in ["10.0.0.1", "192.168.1.4", "172.20.0.1", "100.64.3.3", "127.0.0.2", "169.254.1.1", "192.0.0.4"]
        {
            assert!(!valid("45.33.9.10:3478", &alloc::format!("{private}:3479")), "{private}");
        }
        assert!(!valid("45.33.9.10:3478", "203.0.113.11:3479"), "documentation");
        assert!(valid("127.0.0.1:3478", "127.0.0.2:3479"));
        assert!(valid("10.0.0.1:3478", "10.0.0.2:3479"));
        assert!(!valid("[2600:3c00::1]:3478", "[fd00::2]:3479"));
        assert!(!valid("[2600:3c00::1]:3478", "[fe80::2]:3479"));
        assert!(!valid("[2600:3c00::1]:3478", "[::ffff:8.8.8.8]:3479"));
        assert!(!valid("10.0.0.1:3478", "224.0.0.2:3479"), "a multicast address");
    }

    #[test]
    fn a_mapped_address_is_an_address_that_the_server_can_see() {
        let valid = |server: &str, mapped: &str| is_valid_mapped(server.parse().unwrap(), mapped.parse().unwrap());
        let (public, private, lab) = ("45.33.9.10:3478", "10.0.0.1:3478", "203.0.113.10:3478");
        for server in [public, private, lab] {
            assert!(valid(server, "45.33.9.77:5000"));
            for mapped in ["127.0.0.1:5", "0.0.0.0:5", "0.1.2.3:5", "224.0.0.1:5", "255.255.255.255:5", "240.0.0.1:5"] {
                assert!(!valid(server, mapped), "{server} {mapped}");
            }
            assert!(!valid(server, "45.33.9.77:0") && !valid(server, "[2600:3c00::1]:5"), "{server}");
        }
        for mapped in ["10.0.0.7:5", "192.168.1.7:5", "172.16.0.1:5", "100.64.0.1:5", "169.254.0.1:5", "203.0.113.7:5"]
        {
            assert!(!valid(public, mapped), "{mapped}");
            assert!(valid(private, mapped) && valid(lab, mapped), "{mapped}");
        }
        assert!(valid("127.0.0.1:3478", "127.0.0.1:5"));
        for mapped in ["[::1]:5", "[::]:5", "[ff02::1]:5", "[fe80::1]:5", "[fd00::1]:5", "45.33.9.77:5"] {
            assert!(!valid("[2600:3c00::1]:3478", mapped), "{mapped}");
        }
        assert!(valid("[::1]:3478", "[::1]:5") && valid("[fd00::1]:3478", "[fd00::2]:5"));
        assert_eq!(normalized("[::ffff:45.33.9.77]:5".parse().unwrap()), "45.33.9.77:5".parse().unwrap());
    }

    #[test]
    fn the_ranges_of_carrier_nats_are_recognised() {
        let carrier = |text: &str| is_carrier_side(text.parse().unwrap());
        assert!(carrier("100.64.0.1") && carrier("100.127.255.254") && carrier("192.0.0.2"));
        assert!(!carrier("100.63.0.1") && !carrier("100.128.0.1") && !carrier("192.0.0.8") && !carrier("192.168.1.1"));
        assert!(!carrier("2001:db8::1"));
    }
}
