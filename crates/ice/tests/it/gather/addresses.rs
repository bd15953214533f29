//! The choice of addresses, and rounds without candidates.

use super::alloc::collections::BTreeSet;
use super::{Hand, at, candidates, completions, ip, is_host, lan, transmits};
use portolan_ice::gather::{
    AddressFilter, AddressMode, ExclusionReason, GatherReport, Interface, InterfaceKind, NoCandidates,
};
use portolan_ice::{ComponentId, GatherCommand, GatherConfig, GatherError, LocalCandidate};
use portolan_machine::{Input, Output, Refusal, Script, SocketEvent, SocketOrder, Verdict};

/// The addresses of the host candidates, and the report, if all sockets open and there is no server.
fn gather(config: GatherConfig, interfaces: &[Interface]) -> (Vec<LocalCandidate>, GatherReport) {
    let mut hand = Hand::new(config);
    hand.set(interfaces.to_vec()).unwrap();
    let outputs = hand.open_all();
    let reports = completions(&outputs);
    assert_eq!(reports.len(), 1, "one event in each round");
    (candidates(&outputs), reports[0].clone())
}

fn skipped(config: GatherConfig, interface: Interface) -> Option<ExclusionReason> {
    let (found, report) = gather(config, &[interface]);
    assert_eq!(found.len() + report.skipped.len(), 1);
    let why = report.skipped.first().map(|skipped| skipped.why);
    assert_eq!(report.reason_for_none(), why.map(|why| NoCandidates::AllSkipped(Some(why))));
    why
}

#[test]
fn rfc8445_5_1_1_1_each_address_that_is_not_used_has_a_reason() {
    let table = [
        ("192.0.2.7", None),
        ("10.0.0.7", None),
        ("100.64.0.7", None),
        ("2001:db8::7", None),
        ("fd00::7", None),
        ("127.0.0.1", Some(ExclusionReason::Loopback)),
        ("::1", Some(ExclusionReason::Loopback)),
        ("169.254.1.1", Some(ExclusionReason::LinkLocal)),
        ("fe80::7", Some(ExclusionReason::LinkLocal)),
        ("febf::7", Some(ExclusionReason::LinkLocal)),
        ("fec0::7", Some(ExclusionReason::SiteLocal)),
        ("feff::7", Some(ExclusionReason::SiteLocal)),
        ("::ffff:192.0.2.7", Some(ExclusionReason::Ipv4Mapped)),
        ("::192.0.2.7", Some(ExclusionReason::Ipv4Compatible)),
        ("0.0.0.0", Some(ExclusionReason::NotUnicast)),
        ("::", Some(ExclusionReason::NotUnicast)),
        ("224.0.0.1", Some(ExclusionReason::NotUnicast)),
        ("255.255.255.255", Some(ExclusionReason::NotUnicast)),
        ("ff02::1", Some(ExclusionReason::NotUnicast)),
    ];
    for (address, expected) in table {
        assert_eq!(skipped(GatherConfig::new(), lan("eth0", address)), expected, "{address}");
    }
    let on_loopback = lan("lo", "192.0.2.7");
    assert_eq!(skipped(GatherConfig::new(), on_loopback), Some(ExclusionReason::Loopback), "the interface decides too");
}

#[test]
fn loopback_link_local_and_bridges_are_options() {
    assert_eq!(skipped(GatherConfig::new().with_loopback(), lan("lo", "127.0.0.1")), None);
    let mut filter = AddressFilter::default();
    filter.uses_link_local = true;
    let config = GatherConfig::new().filter(filter);
    let (found, _) = gather(config, &[lan("eth0", "fe80::7").zone(3)]);
    assert_eq!(found[0].address.to_string(), "[fe80::7%3]:5001", "the socket is bound to the interface");

    let bridge = lan("docker0", "172.17.0.1");
    assert_eq!(skipped(GatherConfig::new(), bridge.clone()), None, "by default a bridge is used");
    let without = GatherConfig::new().without_virtual_bridges();
    assert_eq!(skipped(without.clone(), bridge), Some(ExclusionReason::VirtualBridge));
    assert_eq!(skipped(without, lan("docker0", "172.17.0.1").kind(InterfaceKind::Ordinary)), None);
}

#[test]
fn the_kind_of_an_interface_follows_from_its_name() {
    let table = [
        ("lo", InterfaceKind::Loopback),
        ("lo0", InterfaceKind::Loopback),
        ("eth0", InterfaceKind::Ordinary),
        ("wlp3s0", InterfaceKind::Ordinary),
        ("br-1f2e", InterfaceKind::VirtualBridge),
        ("br0", InterfaceKind::Ordinary),
        ("veth12", InterfaceKind::VirtualBridge),
        ("virbr0", InterfaceKind::VirtualBridge),
        ("utun3", InterfaceKind::Tunnel),
        ("wg0", InterfaceKind::Tunnel),
        ("", InterfaceKind::Ordinary),
    ];
    for (name, kind) in table {
        assert_eq!(InterfaceKind::of_name(name), kind, "{name}");
    }
}

#[test]
fn rfc8445_5_1_1_1_a_temporary_address_excludes_trackable_ones_of_its_prefix_and_link_local_ones() {
    let mut filter = AddressFilter::default();
    filter.uses_link_local = true;
    let interfaces = [
        lan("eth0", "2001:db8:a::1111"),
        lan("eth0", "2001:db8:a::2222").temporary(),
        lan("eth0", "2001:db8:b::1111"),
        lan("wlan0", "2001:db8:a::3333"),
        lan("eth0", "fe80::1"),
        lan("eth0", "192.0.2.7"),
    ];
    let (found, report) = gather(GatherConfig::new().filter(filter), &interfaces);
    let trackable: Vec<_> = report.skipped.iter().map(|skipped| (skipped.address, skipped.why)).collect();
    let why = ExclusionReason::Trackable;
    assert_eq!(trackable, [(ip("2001:db8:a::1111"), why), (ip("fe80::1"), why)]);
    assert_eq!(found.len(), 4);
}

#[test]
fn rfc8421_the_preferences_prefer_reliable_interfaces_and_intermingle_the_families() {
    let interfaces = [
        lan("docker0", "172.17.0.1"),
        lan("wg0", "10.8.0.2"),
        lan("eth0", "192.0.2.7"),
        lan("wlan0", "192.0.2.8").default_route(),
        lan("eth0", "2001:db8::7"),
        lan("eth0", "2001:db8::8"),
    ];
    let (found, _) = gather(GatherConfig::new(), &interfaces);
    let order: Vec<_> = found.iter().map(|found| (found.address.ip().to_string(), found.preference)).collect();
    let expected = ["2001:db8::7", "2001:db8::8", "192.0.2.8", "192.0.2.7", "10.8.0.2", "172.17.0.1"];
    let expected: Vec<_> = expected.iter().zip(0..).map(|(one, n)| (one.to_string(), 65535 - 256 * n)).collect();
    assert_eq!(order, expected);
}

#[test]
fn the_limit_of_a_family_skips_the_least_preferred_addresses() {
    // The useful address is listed after 40 bridges.
    let mut interfaces: Vec<_> = (0..40).map(|n| lan("veth0", &format!("172.17.0.{n}"))).collect();
    interfaces.push(lan("eth0", "192.0.2.7"));
    let (found, report) = gather(GatherConfig::new(), &interfaces);
    assert_eq!((found.len(), found[0].address.ip()), (16, ip("192.0.2.7")));
    assert_eq!(report.skipped.len(), 25);
    assert!(report.skipped.iter().all(|skipped| skipped.why == ExclusionReason::Limit));
}

#[test]
fn no_interfaces_and_only_loopback_are_complete_with_a_reason() {
    let (found, report) = gather(GatherConfig::new().server(at("192.0.2.1:3478")), &[]);
    assert_eq!((found.len(), report.reason_for_none()), (0, Some(NoCandidates::NoInterfaces)));
    assert_eq!(report.to_string(), "no candidates, because the host has no addresses");
    assert!(report.failed.is_empty(), "without a socket no server is at fault");

    let (_, report) = gather(GatherConfig::new(), &[lan("lo", "127.0.0.1"), lan("lo", "::1")]);
    assert_eq!(report.to_string(), "no candidates, because every address is skipped: it is a loopback address");
    let (_, report) = gather(GatherConfig::new(), &[lan("lo", "127.0.0.1"), lan("eth0", "fe80::1")]);
    assert_eq!(report.reason_for_none(), Some(NoCandidates::AllSkipped(None)));
    assert_eq!(
        report.skipped[1].to_string(),
        "fe80::1 of eth0 is skipped: it is a link-local address (RFC 8445 §5.1.1.1)"
    );
}

#[test]
fn an_address_that_is_listed_twice_is_used_once() {
    let (found, report) = gather(GatherConfig::new(), &[lan("eth0", "192.0.2.7"), lan("eth1", "192.0.2.7")]);
    assert_eq!((found.len(), report.skipped[0].why), (1, ExclusionReason::Duplicate));
}

/// The host and reflexive candidates in a mode of RFC 8828, behind a NAT.
fn in_mode(config: GatherConfig) -> (Vec<LocalCandidate>, Vec<ExclusionReason>) {
    let mut hand = Hand::new(config.server(at("192.0.2.1:3478")));
    let interfaces = vec![lan("eth0", "192.168.1.7").default_route(), lan("wlan0", "10.0.0.7")];
    hand.set(interfaces).unwrap();
    let mut outputs = hand.open_all();
    let rest = hand.run_until(portolan_machine::Instant::from_millis(100));
    outputs.extend(rest.into_iter().map(|(_, output)| output));
    for request in transmits(&outputs) {
        let local = candidates(&outputs).iter().find(|one| one.socket == request.socket).map(|one| one.base);
        let local = local.unwrap_or(at("192.168.1.7:5001"));
        let _mine = hand.answer(&request, local, at(&format!("203.0.113.1:{}", request.socket.0)));
    }
    outputs.extend(hand.drain().0);
    let reports = completions(&outputs);
    assert_eq!(reports.len(), 1);
    assert_eq!(reports[0].found, candidates(&outputs).len());
    (candidates(&outputs), reports[0].skipped.iter().map(|skipped| skipped.why).collect())
}

#[test]
fn rfc8828_5_2_each_mode_reveals_the_addresses_that_it_names() {
    let mode = |mode| in_mode(GatherConfig::new().mode(mode));
    let (found, skipped) = mode(AddressMode::EnumerateAll);
    assert_eq!((found.len(), skipped.as_slice()), (4, &[][..]));

    let (found, skipped) = mode(AddressMode::DefaultRouteAndLocal);
    assert_eq!(skipped, [ExclusionReason::NotDefaultRoute]);
    assert_eq!((found.len(), found[0].address), (2, at("192.168.1.7:5001")));
    assert_eq!(found[1].related, Some(found[0].address));

    let (found, skipped) = mode(AddressMode::DefaultRoute);
    assert_eq!(skipped, [ExclusionReason::NotDefaultRoute]);
    assert_eq!((found.len(), is_host(&found[0])), (1, false));
    assert_eq!(found[0].related, Some(at("0.0.0.0:9")), "the base is hidden from the peer");
    assert_eq!(found[0].base, at("192.168.1.7:5001"));

    let (found, skipped) = mode(AddressMode::ForceProxy);
    assert_eq!((found.len(), skipped), (0, vec![ExclusionReason::ForceProxy; 2]));
    let (found, skipped) = in_mode(GatherConfig::new().relay_only());
    assert_eq!((found.len(), skipped), (0, vec![ExclusionReason::RelayOnly; 2]));
}

#[test]
fn in_mode_3_a_public_address_is_reported_as_reflexive() {
    let mut hand = Hand::new(GatherConfig::new().server(at("192.0.2.1:3478")).mode(AddressMode::DefaultRoute));
    hand.set(vec![lan("eth0", "198.51.100.7").default_route()]).unwrap();
    let outputs = hand.open_all();
    let local = at("198.51.100.7:5001");
    assert_eq!(candidates(&outputs), []);
    assert_eq!(hand.answer(&transmits(&outputs)[0], local, local), Verdict::Mine);
    let (outputs, _) = hand.drain();
    assert_eq!((candidates(&outputs)[0].address, is_host(&candidates(&outputs)[0])), (local, false));
}

#[test]
fn a_refused_socket_stops_no_other_one() {
    let mut hand = Hand::new(GatherConfig::new());
    hand.set(vec![lan("eth0", "192.0.2.7"), lan("eth0", "192.0.2.8")]).unwrap();
    let (orders, _) = hand.drain();
    let sockets: Vec<_> = orders
        .iter()
        .map(|order| match order {
            Output::Socket(SocketOrder::Open(open)) => open.id,
            other => panic!("{other:?}"),
        })
        .collect();
    let refused = SocketEvent::Refused(Refusal::AddressNotAvailable);
    assert_eq!(hand.handle(Input::Socket(sockets[0], refused)), Verdict::Mine);
    let opened = SocketEvent::Opened { local: at("192.0.2.8:5000") };
    assert_eq!(hand.handle(Input::Socket(sockets[1], opened)), Verdict::Mine);
    let (outputs, _) = hand.drain();
    assert_eq!(candidates(&outputs).len(), 1);
    let report = &completions(&outputs)[0];
    assert_eq!((report.refused[0].address, report.refused[0].why), (ip("192.0.2.7"), Refusal::AddressNotAvailable));

    // The next list tries the address again.
    hand.set(vec![lan("eth0", "192.0.2.7"), lan("eth0", "192.0.2.8")]).unwrap();
    let outputs = hand.open_all();
    assert_eq!((candidates(&outputs).len(), completions(&outputs)[0].found), (1, 2));
}

#[test]
fn if_all_sockets_are_refused_the_refusal_is_the_reason() {
    let mut hand = Hand::new(GatherConfig::new().server(at("192.0.2.1:3478")));
    hand.set(vec![lan("eth0", "192.0.2.7")]).unwrap();
    let (orders, _) = hand.drain();
    let Some(Output::Socket(SocketOrder::Open(open))) = orders.first() else { panic!("{orders:?}") };
    let _mine = hand.handle(Input::Socket(open.id, SocketEvent::Refused(Refusal::TooManySockets)));
    let report = completions(&hand.drain().0)[0].clone();
    assert_eq!(
        report.to_string(),
        "no candidates, because no socket opens on 192.0.2.7: the system has no descriptors, ports or memory left"
            .replace("the system has no descriptors, ports or memory left", "too many sockets")
    );
}

#[test]
fn ports_of_a_range_are_tried_up_to_sixteen_times() {
    for (range, tries) in [(5000..=5002, 3), (5000..=5000, 1), (5000..=6000, 16), (1..=u16::MAX, 16)] {
        let mut hand = Hand::new(GatherConfig::new().ports(range.clone()));
        hand.set(vec![lan("eth0", "192.0.2.7")]).unwrap();
        let mut ports = BTreeSet::new();
        let report = loop {
            let (outputs, _) = hand.drain();
            match outputs.first() {
                Some(Output::Socket(SocketOrder::Open(open))) => {
                    assert!(range.contains(&open.local.port()) && ports.insert(open.local.port()));
                    let _mine = hand.handle(Input::Socket(open.id, SocketEvent::Refused(Refusal::AddressInUse)));
                }
                _ => break completions(&outputs)[0].clone(),
            }
        };
        assert_eq!((ports.len(), report.refused.len()), (tries, 1), "{range:?}");
    }
}

#[test]
fn invalid_configurations_and_commands_are_refused() {
    let check = |config: GatherConfig| config.check().unwrap_err();
    let config = GatherConfig::new;
    let component = ComponentId::new(0, 1);
    assert_eq!(check(config().components([])), GatherError::Components { count: 0, limit: 8 });
    assert_eq!(check(config().components([component, component])), GatherError::Component(component));
    assert_eq!(check(config().components([ComponentId::new(0, 0)])), GatherError::Component(ComponentId::new(0, 0)));
    for server in ["0.0.0.0:3478", "224.0.0.1:3478", "192.0.2.1:0", "[::]:3478"] {
        assert_eq!(check(config().server(at(server))), GatherError::Server(at(server)));
    }
    let server = at("192.0.2.1:3478");
    assert_eq!(check(config().server(server).server(server)), GatherError::Server(server));
    let many = (1..=17).fold(config(), |config, n| config.server(at(&format!("192.0.2.{n}:3478"))));
    assert_eq!(check(many), GatherError::Servers { count: 17, limit: 16 });
    assert_eq!(check(config().ports(0..=9)), GatherError::Ports { first: 0, last: 9 });
    #[expect(clippy::reversed_empty_ranges, reason = "the empty range is the test")]
    let empty = 9..=8;
    assert_eq!(check(config().ports(empty)), GatherError::Ports { first: 9, last: 8 });

    let mut hand = Hand::new(config());
    assert_eq!(hand.with(|gatherer, cx| gatherer.restart(cx)), Err(GatherError::NotStarted));
    let many = vec![lan("eth0", "192.0.2.7"); 1025];
    assert_eq!(hand.set(many), Err(GatherError::Interfaces { count: 1025, limit: 1024 }));
    assert_eq!(hand.drain(), (vec![], None), "a refused command changes nothing");
}

#[test]
fn a_command_survives_its_text() {
    let interface = lan("eth0", "192.0.2.7").default_route();
    let commands = [
        GatherCommand::SetInterfaces(vec![]),
        GatherCommand::SetInterfaces(vec![interface]),
        GatherCommand::SetInterfaces(vec![
            lan("Local Area, 2%", "fe80::7").zone(7).temporary(),
            lan("", "10.0.0.1"),
            lan("été", "10.0.0.2").kind(InterfaceKind::Tunnel),
        ]),
        GatherCommand::Restart,
        GatherCommand::StopKeepalives,
        GatherCommand::Close,
    ];
    for command in commands {
        assert_eq!(GatherCommand::read(&command.to_text()), Ok(command));
    }
    let invalid = [
        "",
        "gather",
        "close now",
        "set-interfaces eth0",
        "set-interfaces eth0 1.2.3",
        "set-interfaces eth0 192.0.2.7 wired",
        "set-interfaces eth0 192.0.2.7 ordinary zone=x",
        "set-interfaces e%zz 192.0.2.7 ordinary",
        "set-interfaces e%f 192.0.2.7 ordinary",
    ];
    for text in invalid {
        assert!(GatherCommand::read(text).is_err(), "{text}");
    }
}
