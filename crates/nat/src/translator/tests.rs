use super::*;
use crate::behavior::{PortAllocation, Refresh};
use alloc::string::ToString;
use core::time::Duration;

const OUTSIDE: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 7));

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn secs(seconds: u64) -> Instant {
    Instant::ORIGIN + Duration::from_secs(seconds)
}

fn nat(config: TranslatorConfig) -> Translator {
    Translator::new(config, &[OUTSIDE], 3)
}

#[track_caller]
fn send(nat: &mut Translator, now: Instant, from: &str, to: &str) -> SocketAddr {
    match nat.outbound(now, at(from), at(to)) {
        Ok(Translation::Out { source, .. }) => source,
        other => panic!("{from} → {to}: {other:?}"),
    }
}

/// The primary address, then another port, another address, and another address with another port.
const SERVERS: [&str; 4] = ["192.0.2.1:3478", "192.0.2.1:3479", "192.0.2.2:3478", "192.0.2.2:3479"];

#[test]
fn each_mapping_depends_on_the_destination_as_its_name_says() {
    for (mapping, same) in [
        (Mapping::EndpointIndependent, [true, true, true]),
        (Mapping::AddressDependent, [true, false, false]),
        (Mapping::AddressAndPortDependent, [false, false, false]),
    ] {
        for allocation in [
            PortAllocation::Preserving,
            PortAllocation::Sequential { step: 1 },
            PortAllocation::Random,
            PortAllocation::Block { size: 64 },
        ] {
            for filtering in Filtering::ALL {
                let mut nat = nat(TranslatorConfig::new(mapping, filtering).ports(allocation));
                let [first, rest @ ..] = SERVERS.map(|server| send(&mut nat, secs(0), "10.0.0.2:5000", server));
                assert_eq!(rest.map(|source| source == first), same, "{mapping} {allocation}");
                if allocation == PortAllocation::Preserving {
                    assert_eq!(first.port(), 5000);
                }
            }
        }
    }
}

#[test]
fn each_filtering_accepts_the_sources_that_its_name_says() {
    for mapping in Mapping::ALL {
        for (filtering, admitted) in [
            (Filtering::EndpointIndependent, [true, true, true, true]),
            (Filtering::AddressDependent, [true, true, false, false]),
            (Filtering::AddressAndPortDependent, [true, false, false, false]),
        ] {
            let mut nat = nat(TranslatorConfig::new(mapping, filtering).ports(PortAllocation::Random));
            let external = send(&mut nat, secs(0), "10.0.0.2:5000", SERVERS[0]);
            let results = SERVERS.map(|server| nat.inbound(secs(0), at(server), external));
            assert_eq!(results.map(|result| result.is_ok()), admitted, "{mapping} × {filtering}");
            assert!(results.iter().all(|v| matches!(v, Ok(_) | Err(DropReason::Filtered))));
            let unused = SocketAddr::new(OUTSIDE, external.port() ^ 1);
            assert_eq!(nat.inbound(secs(0), at(SERVERS[0]), unused), Err(DropReason::NoMapping));
        }
    }
}

#[test]
fn a_packet_from_an_unspecified_address_is_filtered() {
    let mut nat = nat(TranslatorConfig::home());
    let external = send(&mut nat, secs(0), "10.0.0.2:5000", SERVERS[0]);
    assert_eq!(nat.inbound(secs(0), at("0.0.0.0:0"), external), Err(DropReason::Filtered));
}

#[test]
fn preserving_allocation_takes_the_same_port_or_the_next_free_one() {
    let mut nat = nat(TranslatorConfig::home().range(PortRange::new(5000, 5002)));
    assert_eq!(send(&mut nat, secs(0), "10.0.0.2:5001", SERVERS[0]).port(), 5001);
    assert_eq!(send(&mut nat, secs(0), "10.0.0.3:5001", SERVERS[0]).port(), 5002);
    assert_eq!(send(&mut nat, secs(0), "10.0.0.4:5001", SERVERS[0]).port(), 5000, "the search wraps around");
    assert_eq!(nat.outbound(secs(0), at("10.0.0.5:5001"), at(SERVERS[0])), Err(DropReason::NoFreePort));
    assert_eq!(send(&mut nat, secs(31), "10.0.0.5:5001", SERVERS[0]).port(), 5001, "the first has expired");
}

#[test]
fn sequential_allocation_skips_ports_in_use() {
    let config = TranslatorConfig::symmetric().ports(PortAllocation::Sequential { step: -2 });
    let mut nat = nat(config.range(PortRange::new(100, 105)));
    let ports = SERVERS.map(|server| i32::from(send(&mut nat, secs(0), "10.0.0.2:5000", server).port()));
    assert_eq!((ports[0] - ports[1]).rem_euclid(6), 2);
    assert_eq!((ports[1] - ports[2]).rem_euclid(6), 2);
    assert_eq!((ports[2] - ports[3]).rem_euclid(6), 3, "the port two below is in use, so the next lower one is taken");
}

#[test]
fn a_block_belongs_to_one_host() {
    let config = TranslatorConfig::symmetric().ports(PortAllocation::Block { size: 8 });
    let mut nat = nat(config.range(PortRange::new(1024, 1043)));
    let mut blocks = alloc::collections::BTreeMap::new();
    for host in 2..5 {
        for port in 0..8 {
            let Ok(Translation::Out { source, .. }) = nat.outbound(
                secs(0),
                SocketAddr::new([10, 0, 0, host].into(), 9),
                at(&alloc::format!("192.0.2.1:{port}")),
            ) else {
                continue;
            };
            let owner = *blocks.entry((source.port() - 1024) / 8).or_insert(host);
            assert_eq!(owner, host);
        }
    }
    assert_eq!(blocks.len(), 3, "two blocks of eight and one of four");
    assert_eq!(nat.len(), 20);
    assert_eq!(nat.outbound(secs(0), at("10.0.0.9:1"), at(SERVERS[0])), Err(DropReason::NoFreePort));
    let late = send(&mut nat, secs(60), "10.0.0.9:1", SERVERS[0]);
    assert!(nat.config().range.contains(late.port()), "blocks of expired mappings are free again");
}

#[test]
fn lifetimes_differ_before_and_after_a_reply_and_have_an_absolute_limit() {
    let timers = Timers {
        unreplied: Duration::from_secs(30),
        replied: Duration::from_secs(120),
        absolute: Some(Duration::from_secs(300)),
    };
    let mut nat = nat(TranslatorConfig::home().timers(timers));
    let (host, server) = ("10.0.0.2:5000", SERVERS[0]);
    let external = send(&mut nat, secs(0), host, server);
    assert_eq!(nat.mappings(secs(0)).next().map(|m| (m.replied, m.expires)), Some((false, secs(30))));
    assert_eq!(nat.inbound(secs(30), at(server), external), Err(DropReason::NoMapping));
    send(&mut nat, secs(30), host, server);
    assert!(nat.inbound(secs(59), at(server), external).is_ok());
    assert!(nat.inbound(secs(178), at(server), external).is_ok(), "inbound refresh");
    send(&mut nat, secs(290), host, server);
    assert!(nat.inbound(secs(329), at(server), external).is_ok());
    assert_eq!(nat.inbound(secs(330), at(server), external), Err(DropReason::NoMapping), "the cap");
}

#[test]
fn a_packet_in_a_direction_without_refresh_does_not_extend_the_mapping() {
    let (host, server) = ("10.0.0.2:5000", SERVERS[0]);
    for (refresh, outbound, inbound) in
        [(Refresh::OUTBOUND, true, false), (Refresh { outbound: false, inbound: true }, false, true)]
    {
        let mut nat = nat(TranslatorConfig::home().refresh(refresh));
        let external = send(&mut nat, secs(0), host, server);
        send(&mut nat, secs(29), host, server);
        assert_eq!(nat.inbound(secs(31), at(server), external).is_ok(), outbound);

        nat.reset(1);
        let external = send(&mut nat, secs(0), host, server);
        assert!(nat.inbound(secs(20), at(server), external).is_ok());
        assert_eq!(nat.inbound(secs(121), at(server), external).is_ok(), inbound);
    }
}

#[test]
fn a_hairpinned_packet_has_the_source_that_the_hairpin_mode_says() {
    let (a, b) = ("10.0.0.2:5000", "10.0.0.3:6000");
    for (hairpin, expected) in [(Hairpin::ExternalSource, "203.0.113.7:5000"), (Hairpin::InternalSource, a)] {
        let mut nat = nat(TranslatorConfig::full_cone().hairpin(hairpin));
        let external = send(&mut nat, secs(0), b, SERVERS[0]);
        let result = nat.outbound(secs(0), at(a), external);
        assert_eq!(result, Ok(Translation::Hairpin { source: at(expected), destination: at(b) }));
    }
    let mut without = nat(TranslatorConfig::full_cone().hairpin(Hairpin::None));
    let external = send(&mut without, secs(0), b, SERVERS[0]);
    assert_eq!(without.outbound(secs(0), at(a), external), Err(DropReason::NoHairpin));

    let mut strict = nat(TranslatorConfig::home());
    let to_b = send(&mut strict, secs(0), b, SERVERS[0]);
    assert_eq!(
        strict.outbound(secs(0), at(a), to_b),
        Err(DropReason::Filtered),
        "b has not sent to the external endpoint of a"
    );
    let to_a = SocketAddr::new(OUTSIDE, 5000);
    assert!(matches!(strict.outbound(secs(0), at(b), to_a), Ok(Translation::Hairpin { .. })));
}

#[test]
fn paired_pooling_uses_one_address_and_arbitrary_pooling_several() {
    let pool: [IpAddr; 4] = core::array::from_fn(|n| [203, 0, 113, n as u8].into());
    for (pooling, addresses) in [(Pooling::Paired, 1..=1), (Pooling::Arbitrary, 3..=4)] {
        let mut nat = Translator::new(TranslatorConfig::symmetric().pooling(pooling), &pool, 5);
        let mut used: Vec<IpAddr> = (1..40)
            .map(|port| send(&mut nat, secs(0), "10.0.0.2:9", &alloc::format!("192.0.2.1:{port}")).ip())
            .collect();
        used.sort();
        used.dedup();
        assert!(addresses.contains(&used.len()), "{pooling}: {used:?}");
    }
    let hosts = (1..200).map(|n| IpAddr::from([10, 0, 0, n]));
    let mut nat = Translator::new(TranslatorConfig::home(), &pool, 5);
    let mut used: Vec<IpAddr> =
        hosts.map(|ip| send(&mut nat, secs(0), &SocketAddr::new(ip, 9).to_string(), SERVERS[0]).ip()).collect();
    used.sort();
    used.dedup();
    assert_eq!(used.len(), 4, "paired pooling uses the whole pool");
}

#[test]
fn families_do_not_mix() {
    let six: IpAddr = "2001:db8::7".parse().unwrap();
    let mut nat = Translator::new(TranslatorConfig::home(), &[OUTSIDE, six], 3);
    assert_eq!(send(&mut nat, secs(0), "[fd00::2]:5000", "[2001:db8::1]:3478"), SocketAddr::new(six, 5000));
    assert_eq!(send(&mut nat, secs(0), "10.0.0.2:5000", SERVERS[0]), SocketAddr::new(OUTSIDE, 5000));
    let mixed = nat.outbound(secs(0), at("10.0.0.2:5000"), at("[2001:db8::1]:3478"));
    assert_eq!(mixed, Err(DropReason::FamilyMismatch));
    let mut four = super::tests::nat(TranslatorConfig::home());
    let result = four.outbound(secs(0), at("[fd00::2]:5000"), at("[2001:db8::1]:3478"));
    assert_eq!(result, Err(DropReason::NoExternalAddress));
}

#[test]
fn a_firewall_filters_and_does_not_change_addresses() {
    let mut firewall = Translator::new(TranslatorConfig::firewall(Filtering::AddressDependent), &[], 0);
    let host = "[2001:db8:1::2]:5000";
    let server = at("[2001:db8::1]:3478");
    assert_eq!(firewall.inbound(secs(0), server, at(host)), Err(DropReason::NoMapping));
    assert_eq!(send(&mut firewall, secs(0), host, "[2001:db8::1]:9"), at(host));
    assert_eq!(firewall.inbound(secs(0), server, at(host)), Ok(at(host)));
    assert_eq!(firewall.inbound(secs(0), at("[2001:db8::2]:3478"), at(host)), Err(DropReason::Filtered));
}

#[test]
fn a_full_table_makes_no_more_mappings_until_one_expires() {
    let mut nat = nat(TranslatorConfig::home().table_size(2));
    send(&mut nat, secs(0), "10.0.0.2:1", SERVERS[0]);
    send(&mut nat, secs(5), "10.0.0.2:2", SERVERS[0]);
    assert_eq!(nat.outbound(secs(29), at("10.0.0.2:3"), at(SERVERS[0])), Err(DropReason::TableFull));
    send(&mut nat, secs(30), "10.0.0.2:3", SERVERS[0]);
    assert_eq!(nat.len(), 2);
}

// A host behind the NAT cannot distinguish these cases. The documentation of TranslatorConfig lists them.

#[track_caller]
fn assert_looks_endpoint_independent(mapping: Mapping) {
    for filtering in Filtering::ALL {
        let mut nat = nat(TranslatorConfig::new(mapping, filtering).overloading(true));
        let mut plain = super::tests::nat(TranslatorConfig::new(Mapping::EndpointIndependent, filtering));
        for server in &SERVERS[..2] {
            let host = "10.0.0.2:5000";
            assert_eq!(send(&mut nat, secs(0), host, server), send(&mut plain, secs(0), host, server));
        }
        let external = SocketAddr::new(OUTSIDE, 5000);
        for server in SERVERS {
            assert_eq!(nat.inbound(secs(1), at(server), external), plain.inbound(secs(1), at(server), external));
        }
    }
}

#[test]
fn overloading_with_address_dependent_mapping_looks_endpoint_independent() {
    assert_looks_endpoint_independent(Mapping::AddressDependent);
}

#[test]
fn overloading_with_address_and_port_dependent_mapping_looks_endpoint_independent() {
    assert_looks_endpoint_independent(Mapping::AddressAndPortDependent);
}

#[test]
fn overloading_with_one_host_looks_like_preserving() {
    assert_looks_endpoint_independent(Mapping::EndpointIndependent);
    let mut nat = nat(TranslatorConfig::home().overloading(true));
    let external = send(&mut nat, secs(0), "10.0.0.2:5000", SERVERS[0]);
    assert_eq!(send(&mut nat, secs(1), "10.0.0.3:5000", SERVERS[0]), external, "two hosts, one endpoint");
    assert_eq!(nat.inbound(secs(2), at(SERVERS[0]), external), Ok(at("10.0.0.3:5000")), "the later one receives it");
}

#[test]
fn the_alg_rewrites_each_address_when_it_is_enabled() {
    let (from, to): (IpAddr, IpAddr) = ([10, 0, 0, 2].into(), [203, 0, 113, 7].into());
    let mut payload = *b"ab\x0a\x00\x00\x02\x0a\x0a\x00\x00\x02";
    let on = nat(TranslatorConfig::home().alg(true));
    assert_eq!(nat(TranslatorConfig::home()).rewrite(&mut payload, from, to), 0);
    assert_eq!(on.rewrite(&mut payload, from, to), 2);
    assert_eq!(&payload, b"ab\xcb\x00\x71\x07\x0a\xcb\x00\x71\x07");
    assert_eq!(on.rewrite(&mut [10, 0, 0], from, to), 0);
}

#[test]
fn the_same_seed_gives_the_same_ports() {
    let mut nat = nat(TranslatorConfig::symmetric());
    let first = SERVERS.map(|server| send(&mut nat, secs(0), "10.0.0.2:5000", server));
    nat.reset(3);
    assert_eq!(SERVERS.map(|server| send(&mut nat, secs(0), "10.0.0.2:5000", server)), first);
    nat.reset(4);
    assert_ne!(SERVERS.map(|server| send(&mut nat, secs(0), "10.0.0.2:5000", server)), first);
}

#[test]
fn the_table_of_contacts_is_bounded_and_released() {
    let config = TranslatorConfig::home().table_size(4);
    let mut nat = nat(config);
    let to = |n: u16| SocketAddr::from(([192, 0, 2, 1], n));
    let from = at("10.0.0.2:5000");
    for n in 1..=64 {
        assert!(nat.outbound(secs(0), from, to(n)).is_ok(), "{n}");
    }
    for n in 65..1_000 {
        assert_eq!(nat.outbound(secs(1), from, to(n)), Err(DropReason::TableFull));
    }
    assert_eq!(nat.state.contacts.len(), 64);
    assert!(nat.outbound(secs(1), from, to(1)).is_ok(), "a known contact needs no room");
    assert!(nat.outbound(secs(1_000), from, to(65)).is_ok(), "the mapping has expired with its contacts");
    assert_eq!(nat.state.contacts.len(), 1);
}

#[test]
fn a_balanced_pool_keeps_the_port_and_chooses_an_address_for_each_destination() {
    let pool: Vec<IpAddr> = (1..=4).map(|n| IpAddr::from([203, 0, 113, n])).collect();
    let destinations: Vec<SocketAddr> = (1..=40).map(|n| SocketAddr::from(([192, 0, 2, n], 3478))).collect();
    for hash in [false, true] {
        let mut nat = Translator::new(TranslatorConfig::balanced(hash), &pool, 3);
        let mut send = |to: SocketAddr| match nat.outbound(secs(0), at("10.0.0.2:5000"), to) {
            Ok(Translation::Out { source, .. }) => source,
            other => panic!("{other:?}"),
        };
        let first: Vec<SocketAddr> = destinations.iter().map(|to| send(*to)).collect();
        assert!(first.iter().all(|source| source.port() == 5000));
        assert!(pool.iter().all(|ip| first.iter().any(|source| source.ip() == *ip)), "{first:?}");
        let again: Vec<SocketAddr> = destinations.iter().map(|to| send(*to)).collect();
        assert_eq!(first, again, "a mapping keeps its address");
        let other_port = destinations.iter().map(|to| send(SocketAddr::new(to.ip(), 3479)));
        assert_eq!(other_port.eq(first.iter().copied()), hash, "the hash ignores ports");
    }
}

#[test]
fn a_flush_removes_all_mappings_and_the_choice_of_ports_goes_on() {
    for ports in [PortAllocation::Random, PortAllocation::Sequential { step: 1 }, PortAllocation::Block { size: 64 }] {
        let mut nat = nat(TranslatorConfig::home().ports(ports));
        let before = send(&mut nat, secs(0), "10.0.0.2:5000", SERVERS[0]);
        nat.flush();
        assert!(nat.is_empty() && nat.state.contacts.len() == 0);
        assert_eq!(nat.inbound(secs(0), at(SERVERS[0]), before), Err(DropReason::NoMapping));
        assert_ne!(send(&mut nat, secs(0), "10.0.0.2:5000", SERVERS[0]), before);
    }
}
