//! The peer policy: the default denials, every embedding of a denied IPv4 address, the lists, and the own addresses.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use portolan_turn::policy::{DenialCause, Embedding, special};
use portolan_turn::{Cidr, CidrError, OwnAddresses, PeerPolicy};
use proptest::prelude::*;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn cidr(text: &str) -> Cidr {
    text.parse().unwrap()
}

fn is_permitted(policy: &PeerPolicy, peer: impl Into<IpAddr>) -> bool {
    policy.judge(&OwnAddresses::new(), peer.into()).is_ok()
}

/// The default denials as first and last address, typed from the IANA registries without the table of the crate.
const DENIED_IPV4: &[(&str, &str)] = &[
    ("0.0.0.0", "0.255.255.255"),
    ("10.0.0.0", "10.255.255.255"),
    ("100.64.0.0", "100.127.255.255"),
    ("127.0.0.0", "127.255.255.255"),
    ("168.63.129.16", "168.63.129.16"),
    ("169.254.0.0", "169.254.255.255"),
    ("172.16.0.0", "172.31.255.255"),
    ("192.0.0.0", "192.0.0.255"),
    ("192.0.2.0", "192.0.2.255"),
    ("192.88.99.0", "192.88.99.255"),
    ("192.168.0.0", "192.168.255.255"),
    ("198.18.0.0", "198.19.255.255"),
    ("198.51.100.0", "198.51.100.255"),
    ("203.0.113.0", "203.0.113.255"),
    ("224.0.0.0", "255.255.255.255"),
];

/// The same for IPv6, without the addresses that have a denied IPv4 address inside.
const DENIED_IPV6: &[(&str, &str)] = &[
    ("::", "64:ff9a:ffff:ffff:ffff:ffff:ffff:ffff"),
    ("64:ff9b::1:0:0", "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
    ("2001::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff"),
    ("2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"),
    ("2002::", "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
    ("3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff"),
    ("4000::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
];

/// The names of the issue and of the attacks, each with an address.
const NAMED: &[(&str, &str)] = &[
    ("0.0.0.0", "this network"),
    ("0.1.2.3", "this network"),
    ("127.0.0.1", "loopback"),
    ("127.255.255.254", "loopback"),
    ("10.0.0.1", "private use"),
    ("172.31.255.255", "private use"),
    ("192.168.1.1", "private use"),
    ("100.64.0.1", "carrier-grade NAT"),
    ("169.254.1.1", "link-local"),
    ("169.254.169.254", "metadata service of a cloud"),
    ("100.100.100.200", "metadata service of a cloud"),
    ("192.0.0.9", "IETF protocol assignments"),
    ("198.19.255.255", "benchmarking"),
    ("224.0.0.1", "multicast"),
    ("239.255.255.255", "multicast"),
    ("250.1.1.1", "reserved"),
    ("255.255.255.255", "limited broadcast"),
    ("::", "unspecified"),
    ("::1", "loopback"),
    ("fe80::1", "link-local"),
    ("fec0::1", "site-local"),
    ("fc00::1", "unique local"),
    ("fd00:ec2::254", "metadata service of a cloud"),
    ("ff02::1", "multicast"),
    ("100::1", "discard-only"),
    ("100:0:0:1::1", "dummy prefix"),
    ("2001:db8::1", "documentation"),
    ("3fff::1", "documentation"),
    ("5f00::1", "segment routing"),
    ("2001:20::1", "ORCHIDv2"),
    ("2001:2::1", "benchmarking"),
    ("64:ff9b:1::808:808", "local-use NAT64"),
    ("::808:808", "IPv4-compatible"),
    ("::ffff:8.8.8.8", "IPv4-mapped"),
    ("::ffff:0:8.8.8.8", "IPv4-translated"),
    ("200::1", "not allocated"),
    ("a000::1", "not allocated"),
];

#[test]
fn special_purpose_addresses_are_denied_with_the_name_of_their_entry() {
    for (address, name) in NAMED {
        let denial = PeerPolicy::new().judge(&OwnAddresses::new(), ip(address)).expect_err(address);
        let DenialCause::Special(entry) = denial.cause else { panic!("{denial}") };
        assert_eq!((entry.name, denial.peer, denial.embedded), (*name, ip(address), None));
        assert!(entry.prefix.contains(ip(address)));
    }
}

#[test]
fn the_first_and_last_address_of_each_denied_range_are_denied_and_their_neighbors_are_not() {
    let policy = PeerPolicy::new();
    for (first, last) in DENIED_IPV4 {
        let (first, last) =
            (u32::from(first.parse::<Ipv4Addr>().unwrap()), u32::from(last.parse::<Ipv4Addr>().unwrap()));
        for denied in [first, first + (last - first) / 2, last] {
            assert!(!is_permitted(&policy, Ipv4Addr::from(denied)), "{}", Ipv4Addr::from(denied));
        }
        for neighbor in [first.checked_sub(1), last.checked_add(1)].into_iter().flatten() {
            assert!(is_permitted(&policy, Ipv4Addr::from(neighbor)), "{}", Ipv4Addr::from(neighbor));
        }
    }
    for (first, last) in DENIED_IPV6 {
        let (first, last) =
            (u128::from(first.parse::<Ipv6Addr>().unwrap()), u128::from(last.parse::<Ipv6Addr>().unwrap()));
        for denied in [first, first + (last - first) / 2, last] {
            assert!(!is_permitted(&policy, Ipv6Addr::from(denied)), "{}", Ipv6Addr::from(denied));
        }
    }
    for permitted in ["2000::", "2001:200::", "2001:db7:ffff::1", "2001:db9::", "2606:4700::1", "3ffe::", "3fff:1000::"]
    {
        assert!(is_permitted(&policy, ip(permitted)), "{permitted}");
    }
}

#[test]
fn the_table_has_whole_prefixes_and_each_entry_decides_for_an_address() {
    for entry in special::entries() {
        let bits = if entry.prefix.first().is_ipv4() { 32 } else { 128 };
        assert!(entry.prefix.len() <= bits);
        assert_eq!(Cidr::new(entry.prefix.first(), entry.prefix.len()), Some(entry.prefix), "{}", entry.prefix);
        assert_eq!(entry.prefix.to_string().parse().or_else(mapped), Ok(entry.prefix));
        assert_eq!(special::entries().filter(|other| other.prefix == entry.prefix).count(), 1, "{}", entry.prefix);
        let last = match entry.prefix.first() {
            IpAddr::V4(ip) => IpAddr::from(Ipv4Addr::from(
                u32::from(ip) | u32::MAX.checked_shr(entry.prefix.len().into()).unwrap_or(0),
            )),
            IpAddr::V6(ip) => IpAddr::from(Ipv6Addr::from(
                u128::from(ip) | u128::MAX.checked_shr(entry.prefix.len().into()).unwrap_or(0),
            )),
        };
        let decides = [entry.prefix.first(), last].into_iter().any(|ip| special::lookup(ip) == Some(entry));
        assert!(decides, "{}", entry.prefix);
    }

    fn mapped(error: CidrError) -> Result<Cidr, CidrError> {
        matches!(error, CidrError::Mapped { .. }).then(|| Cidr::new(ip("::ffff:0:0"), 96).unwrap()).ok_or(error)
    }
}

/// All IPv6 addresses that have this IPv4 address inside, with the rule.
fn embeddings(v4: Ipv4Addr) -> Vec<(Embedding, Ipv6Addr)> {
    let [a, b, c, d] = v4.octets();
    let (high, low) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
    let v6 = |segments: [u16; 8]| Ipv6Addr::from(segments);
    let bytes = |prefix: &[u8], at: &[(usize, u8)]| {
        let mut bytes = [0; 16];
        bytes[..prefix.len()].copy_from_slice(prefix);
        at.iter().for_each(|&(at, byte)| bytes[at] = byte);
        Ipv6Addr::from(bytes)
    };
    let local_use = [0, 0x64, 0xff, 0x9b, 0, 1];
    vec![
        (Embedding::Compatible, v6([0, 0, 0, 0, 0, 0, high, low])),
        (Embedding::Mapped, v6([0, 0, 0, 0, 0, 0xffff, high, low])),
        (Embedding::Translated, v6([0, 0, 0, 0, 0xffff, 0, high, low])),
        (Embedding::SixToFour, v6([0x2002, high, low, 0, 0, 0, 0, 1])),
        (Embedding::SixToFour, v6([0x2002, high, low, 7, 1, 2, 3, 4])),
        (Embedding::Nat64, v6([0x64, 0xff9b, 0, 0, 0, 0, high, low])),
        (Embedding::Nat64, bytes(&local_use, &[(6, a), (7, b), (9, c), (10, d)])),
        (Embedding::Nat64, bytes(&local_use, &[(6, a), (7, b), (9, c), (10, d), (15, 1)])),
        (Embedding::Nat64, bytes(&local_use, &[(7, a), (9, b), (10, c), (11, d)])),
        (Embedding::Nat64, bytes(&local_use, &[(9, a), (10, b), (11, c), (12, d)])),
        (Embedding::Nat64, bytes(&local_use, &[(12, a), (13, b), (14, c), (15, d)])),
        (Embedding::TeredoServer, v6([0x2001, 0, high, low, 0, 40_000, !0x0707, !0x0707])),
        (Embedding::TeredoClient, v6([0x2001, 0, 0x0707, 0x0707, 0, 40_000, !high, !low])),
        (Embedding::Isatap, v6([0x2a00, 1, 2, 3, 0, 0x5efe, high, low])),
        (Embedding::Isatap, v6([0x2a00, 1, 2, 3, 0x0200, 0x5efe, high, low])),
    ]
}

/// A policy that has opened every IPv6 prefix with IPv4 addresses inside. So only the IPv4 address decides.
fn open_prefixes() -> PeerPolicy {
    let prefixes =
        [("::", 96), ("::ffff:0:0", 96), ("::ffff:0:0:0", 96), ("64:ff9b:1::", 48), ("2001::", 32), ("2002::", 16)];
    prefixes
        .into_iter()
        .fold(PeerPolicy::new(), |policy, (first, len)| policy.allow(Cidr::new(ip(first), len).unwrap()))
}

#[test]
fn all_embeddings_of_loopback_private_and_metadata_addresses_are_denied() {
    for v4 in ["127.0.0.1", "0.0.0.0", "10.0.0.1", "169.254.169.254", "100.64.0.1", "224.0.0.1", "255.255.255.255"] {
        let v4: Ipv4Addr = v4.parse().unwrap();
        for (embedding, v6) in embeddings(v4) {
            assert!(!is_permitted(&PeerPolicy::new(), v6), "{v6}, {embedding} of {v4}");
            let denial = open_prefixes().judge(&OwnAddresses::new(), v6.into()).expect_err("denied");
            if v6 != Ipv6Addr::UNSPECIFIED {
                assert_eq!(denial.embedded.map(|(embedding, _)| embedding), Some(embedding), "{denial}");
            }
        }
    }
}

#[test]
fn an_embedding_of_a_permitted_address_is_permitted_if_its_prefix_is() {
    for (embedding, v6) in embeddings(Ipv4Addr::new(8, 8, 8, 8)) {
        assert!(is_permitted(&open_prefixes(), v6), "{v6}, {embedding}");
    }
    for permitted in ["64:ff9b::8.8.8.8", "2a00:1:2:3:0:5efe:8.8.8.8"] {
        assert!(is_permitted(&PeerPolicy::new(), ip(permitted)), "{permitted}");
    }
}

/// RFC 8656 §21.4: Teredo and 6to4 addresses are no peers, whatever IPv4 address they have inside.
#[test]
fn tunneled_peers_are_denied_by_default() {
    for (address, name) in [("2002:808:808::1", "6to4"), ("2001:0:808:808:0:1:f7f7:f7f7", "Teredo")] {
        let denial = PeerPolicy::new().judge(&OwnAddresses::new(), ip(address)).expect_err(address);
        assert!(matches!(denial.cause, DenialCause::Special(entry) if entry.name == name), "{denial}");
        assert_eq!(denial.embedded, None);
        assert!(is_permitted(&open_prefixes(), ip(address)), "an entry of the allow list opens the prefix");
    }
}

#[test]
fn an_entry_of_a_list_holds_for_the_embeddings_too() {
    let (listed, v4) = (cidr("8.8.8.0/24"), Ipv4Addr::new(8, 8, 8, 8));
    for (embedding, v6) in embeddings(v4) {
        let denial = open_prefixes().deny(listed).judge(&OwnAddresses::new(), v6.into()).expect_err("denied");
        assert_eq!((denial.embedded, denial.cause), (Some((embedding, v4)), DenialCause::Listed(listed)), "{denial}");
    }
    for (embedding, v6) in embeddings(Ipv4Addr::new(10, 8, 8, 8)) {
        assert!(is_permitted(&open_prefixes().allow(cidr("10.0.0.0/8")), v6), "{v6}, {embedding}");
    }
}

#[test]
fn a_configured_nat64_prefix_selects_the_position_of_the_ipv4_address() {
    let policy = PeerPolicy::new().allow(cidr("64:ff9b:1::/48"));
    // With 48 bits this is 203.10.0.1, with 56 bits 10.0.1.0.
    let peer = ip("64:ff9b:1:cb0a:0:100::");
    assert!(!is_permitted(&policy, peer), "the length of the prefix is not known");
    let policy = policy.nat64(cidr("64:ff9b:1::/48")).unwrap();
    assert!(is_permitted(&policy, peer));
    assert!(!is_permitted(&policy, ip("64:ff9b:1:a00:0:100::")));

    // Each length of RFC 6052 with 10.0.0.1 and with 9.0.0.1: the table of its section 2.4.
    for (prefix, private, public) in [
        ("2a00::/32", "2a00:0:a00:1::", "2a00:0:900:1::"),
        ("2a00:0:100::/40", "2a00:0:10a:0:1::", "2a00:0:109:0:1::"),
        ("2a00:0:122::/48", "2a00:0:122:a00:0:100::", "2a00:0:122:900:0:100::"),
        ("2a00:0:122:300::/56", "2a00:0:122:30a:0:1::", "2a00:0:122:309:0:1::"),
        ("2a00:0:122:344::/64", "2a00:0:122:344:a:0:100:0", "2a00:0:122:344:9:0:100:0"),
        ("2a00:0:122:344::/96", "2a00:0:122:344::10.0.0.1", "2a00:0:122:344::9.0.0.1"),
    ] {
        let policy = PeerPolicy::new().nat64(cidr(prefix)).unwrap();
        assert!(!is_permitted(&policy, ip(private)), "{prefix}");
        assert!(is_permitted(&policy, ip(public)), "{prefix}");
        assert!(is_permitted(&PeerPolicy::new(), ip(private)), "{prefix} is not configured");
    }
    for invalid in ["10.0.0.0/8", "2a00::/33", "2a00::/128"] {
        let prefix = cidr(invalid);
        assert_eq!(PeerPolicy::new().nat64(prefix), Err(CidrError::Nat64 { prefix }));
    }
}

#[test]
fn the_longest_prefix_decides_and_the_deny_list_decides_at_equal_lengths() {
    let policy = PeerPolicy::new()
        .allow(cidr("10.1.0.0/16"))
        .deny(cidr("10.1.2.0/24"))
        .allow(cidr("10.1.2.3"))
        .deny(cidr("8.8.0.0/16"))
        .allow(cidr("8.8.0.0/16"))
        .allow(cidr("192.168.0.0/16"))
        .allow(cidr("172.0.0.0/8"))
        .deny(cidr("9.0.0.0/8"))
        .allow(cidr("9.9.9.9"));
    for (address, permitted) in [
        ("10.0.0.1", false),
        ("10.1.0.1", true),
        ("10.1.2.1", false),
        ("10.1.2.3", true),
        ("8.8.8.8", false),
        ("192.168.1.1", true),
        ("172.16.0.1", false),
        ("172.1.0.1", true),
        ("9.0.0.1", false),
        ("9.9.9.9", true),
    ] {
        assert_eq!(is_permitted(&policy, ip(address)), permitted, "{address}");
    }
    let metadata = PeerPolicy::new().allow(cidr("169.254.0.0/16")).allow(cidr("fc00::/7"));
    assert!(is_permitted(&metadata, ip("169.254.1.1")) && is_permitted(&metadata, ip("fd00::1")));
    assert!(!is_permitted(&metadata, ip("169.254.169.254")) && !is_permitted(&metadata, ip("fd00:ec2::254")));
}

#[test]
fn everything_can_be_denied_but_the_allow_list() {
    let policy = PeerPolicy::new()
        .deny(cidr("0.0.0.0/0"))
        .deny(cidr("::/0"))
        .allow(cidr("8.8.8.0/24"))
        .allow(cidr("2a00::/16"))
        .allow(cidr("10.7.0.0/16"));
    for denied in ["1.1.1.1", "10.0.0.1", "2606::1", "64:ff9b::1.1.1.1", "2001:0:101:101::", "::1", "fe80::1"] {
        assert!(!is_permitted(&policy, ip(denied)), "{denied}");
    }
    for permitted in ["8.8.8.8", "10.7.0.1", "2a00::1"] {
        assert!(is_permitted(&policy, ip(permitted)), "{permitted}");
    }
    let all = PeerPolicy::new().allow(cidr("0.0.0.0/0")).allow(cidr("::/0"));
    for denied in ["127.0.0.1", "10.0.0.1", "::1", "fe80::1", "64:ff9b::10.0.0.1"] {
        assert!(!is_permitted(&all, ip(denied)), "{denied}: an entry for everything opens no special prefix");
    }
}

#[test]
fn own_relay_addresses_are_permitted_and_own_listeners_are_denied() {
    let policy = PeerPolicy::new();
    let own = OwnAddresses::new()
        .with_relay(ip("10.0.0.5"))
        .with_relay(ip("9.9.9.9"))
        .with_host(ip("7.7.7.7"))
        .with_listener("9.9.9.9:3478".parse().unwrap())
        .with_listener("[::]:5349".parse().unwrap())
        .with_listener("6.6.6.6:9000".parse().unwrap());
    let judge = |peer: &str| policy.judge_port(&own, peer.parse().unwrap()).map_err(|denial| denial.to_string());

    assert_eq!(policy.judge(&own, ip("10.0.0.5")), Ok(()));
    assert_eq!(judge("10.0.0.5:50000"), Ok(()));
    assert_eq!(judge("9.9.9.9:50000"), Ok(()));
    assert_eq!(judge("10.0.0.6:50000"), Err("10.0.0.6 is in 10.0.0.0/8: private use".into()));
    assert_eq!(judge("9.9.9.9:3478"), Err("9.9.9.9:3478 is a listener of this server".into()));
    assert_eq!(judge("10.0.0.5:3478"), Ok(()), "the listener is on another address");
    for own_address in ["10.0.0.5:5349", "9.9.9.9:5349", "7.7.7.7:5349", "6.6.6.6:9000"] {
        assert_eq!(judge(own_address), Err(format!("{own_address} is a listener of this server")));
    }
    assert_eq!(judge("6.6.6.6:5349"), Ok(()), "no address of this host");
    assert_eq!(
        judge("[64:ff9b::9.9.9.9]:3478"),
        Err("64:ff9b::909:909 has 9.9.9.9:3478 (NAT64), which is a listener of this server".into())
    );

    let listed = PeerPolicy::new().deny(cidr("10.0.0.5"));
    assert!(listed.judge(&own, ip("10.0.0.5")).is_err(), "the deny list has this address");
    let all = PeerPolicy::new().deny(cidr("0.0.0.0/0"));
    assert!(all.judge(&own, ip("10.0.0.5")).is_ok(), "clients of one server reach each other");
}

#[test]
fn a_prefix_is_parsed_strictly() {
    for (text, first, len) in
        [("10.0.0.0/8", "10.0.0.0", 8), ("0.0.0.0/0", "0.0.0.0", 0), ("::/0", "::", 0), ("8.8.8.8", "8.8.8.8", 32)]
    {
        let prefix = cidr(text);
        assert_eq!((prefix.first(), prefix.len()), (ip(first), len));
    }
    let length = |column, longest| CidrError::Length { column, longest };
    for (text, error) in [
        ("", CidrError::Address),
        ("10.0.0", CidrError::Address),
        (" 10.0.0.0/8", CidrError::Address),
        ("10.0.0.0 /8", CidrError::Address),
        ("010.0.0.0/8", CidrError::Address),
        ("localhost/8", CidrError::Address),
        ("fe80::1%eth0/64", CidrError::Address),
        ("[2001:db8::]/32", CidrError::Address),
        ("10.0.0.0-10.0.0.9", CidrError::Address),
        ("10.0.0.0/", length(10, 32)),
        ("10.0.0.0/33", length(10, 32)),
        ("10.0.0.0/08", length(10, 32)),
        ("10.0.0.0/+8", length(10, 32)),
        ("10.0.0.0/8 ", length(10, 32)),
        ("10.0.0.0/8/8", length(10, 32)),
        ("10.0.0.0/255.0.0.0", length(10, 32)),
        ("10.0.0.0/256", length(10, 32)),
        ("2001:db8::/129", length(12, 128)),
        ("10.0.0.1/8", CidrError::HostBits { prefix: cidr("10.0.0.0/8"), host: cidr("10.0.0.1/32") }),
        ("2001:db8::1/64", CidrError::HostBits { prefix: cidr("2001:db8::/64"), host: cidr("2001:db8::1") }),
        ("::ffff:10.0.0.0/104", CidrError::Mapped { ipv4: cidr("10.0.0.0/8") }),
        ("::ffff:10.0.0.1", CidrError::Mapped { ipv4: cidr("10.0.0.1") }),
    ] {
        assert_eq!(text.parse::<Cidr>(), Err(error), "{text:?}");
    }
}

fn any_ip() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        any::<u32>().prop_map(|bits| Ipv4Addr::from(bits).into()),
        any::<u128>().prop_map(|bits| Ipv6Addr::from(bits).into())
    ]
}

/// First and last address of a prefix as numbers, by division instead of masks.
fn range(prefix: Cidr) -> (u128, u128) {
    let (bits, first) = match prefix.first() {
        IpAddr::V4(ip) => (32, u128::from(u32::from(ip))),
        IpAddr::V6(ip) => (128, u128::from(ip)),
    };
    let host_bits = bits - u32::from(prefix.len());
    (first, first + (0..host_bits).fold(0, |sum, bit| sum + (1 << bit)))
}

fn number(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => u128::from(u32::from(ip)),
        IpAddr::V6(ip) => u128::from(ip),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_embedding_of_every_denied_ipv4_address_is_denied(
        (range, at) in (0..DENIED_IPV4.len(), any::<u32>()),
        opens in any::<bool>(),
    ) {
        let (first, last) = DENIED_IPV4[range];
        let (first, last) = (u32::from(first.parse::<Ipv4Addr>().unwrap()), u32::from(last.parse::<Ipv4Addr>().unwrap()));
        let v4 = Ipv4Addr::from(first + u32::try_from(u64::from(at) % (u64::from(last - first) + 1)).unwrap());
        let policy = if opens { open_prefixes() } else { PeerPolicy::new() };
        prop_assert!(!is_permitted(&policy, v4));
        for (embedding, v6) in embeddings(v4) {
            // In an open local-use prefix of unknown length, an address of 0.0.0.0/8 can be another one too.
            if !(opens && v4.octets()[0] == 0 && cidr("64:ff9b:1::/48").contains(v6.into())) {
                prop_assert!(!is_permitted(&policy, v6), "{v6}, {embedding} of {v4}");
            }
        }
    }

    #[test]
    fn a_prefix_contains_the_addresses_between_its_first_and_last(
        network in any_ip(), len in 0..=128_u8, other in any_ip(), near in -2..=2_i8,
    ) {
        let Some(prefix) = Cidr::new(network, len) else { return Ok(()) };
        let (first, last) = range(prefix);
        prop_assert!((first..=last).contains(&number(network)));
        let edge = |edge: u128| match network {
            IpAddr::V4(_) => IpAddr::from(Ipv4Addr::from((edge as u32).wrapping_add_signed(near.into()))),
            IpAddr::V6(_) => IpAddr::from(Ipv6Addr::from(edge.wrapping_add_signed(near.into()))),
        };
        for ip in [other, network, edge(first), edge(last)] {
            let expected = ip.is_ipv4() == network.is_ipv4() && (first..=last).contains(&number(ip));
            prop_assert_eq!(prefix.contains(ip), expected, "{} in {}", ip, prefix);
        }
        let text = prefix.to_string();
        match text.parse::<Cidr>() {
            Ok(parsed) => prop_assert_eq!(parsed, prefix),
            Err(error) => prop_assert!(matches!(error, CidrError::Mapped { .. }), "{}: {}", text, error),
        }
    }

    #[test]
    fn the_default_policy_agrees_with_the_typed_ranges(ip in any_ip()) {
        let ranges = if ip.is_ipv4() { DENIED_IPV4 } else { DENIED_IPV6 };
        let in_range = ranges.iter().any(|(first, last)| (number(first.parse().unwrap())..=number(last.parse().unwrap())).contains(&number(ip)));
        // A random address has an embedded address with a probability below 2⁻¹⁵, then the policy can deny more.
        prop_assert!(!in_range || !is_permitted(&PeerPolicy::new(), ip));
        let embeds = matches!(ip, IpAddr::V6(v6) if portolan_turn::policy::embedding::embedded(v6, &[]).next().is_some());
        prop_assert_eq!(is_permitted(&PeerPolicy::new(), ip), !in_range, "{} {}", ip, embeds);
    }

    #[test]
    fn the_lists_agree_with_a_search_for_the_longest_prefix(
        lists in proptest::collection::vec((any::<[bool; 8]>(), 0..=8_u8, any::<bool>()), 0..8), last in any::<u8>(),
    ) {
        // All prefixes are inside 8.8.8.0/24, so that they overlap.
        let mut policy = PeerPolicy::new();
        let mut entries = Vec::new();
        for (bits, len, denies) in lists {
            let byte = bits.iter().fold(0, |byte, &bit| byte << 1 | u8::from(bit));
            let prefix = Cidr::new([8, 8, 8, byte].into(), 24 + len).unwrap();
            policy = if denies { policy.deny(prefix) } else { policy.allow(prefix) };
            entries.push((prefix, denies));
        }
        let peer = IpAddr::from([8, 8, 8, last]);
        let longest = entries.iter().filter(|(prefix, _)| prefix.contains(peer)).max_by_key(|(prefix, denies)| (prefix.len(), *denies));
        prop_assert_eq!(is_permitted(&policy, peer), !longest.is_some_and(|(_, denies)| *denies));
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in "[0-9a-f:./% -]{0,24}|\\PC{0,12}") {
        if let Ok(prefix) = text.parse::<Cidr>() {
            prop_assert_eq!(prefix.to_string().parse(), Ok(prefix));
        }
    }

    #[test]
    fn a_listener_is_denied_through_every_embedding(port in 1..=u16::MAX) {
        let listener = SocketAddr::new(ip("9.9.9.9"), port);
        let own = OwnAddresses::new().with_relay(listener.ip()).with_listener(listener);
        for (_, v6) in embeddings(Ipv4Addr::new(9, 9, 9, 9)) {
            prop_assert!(open_prefixes().judge_port(&own, SocketAddr::new(v6.into(), port)).is_err());
        }
    }
}
