//! NAT behaviour discovery under random runs and in random networks.

use core::net::SocketAddr;
use core::time::Duration;
use portolan_machine::{Output, SocketId, Transmit};
use portolan_nat::discovery::{Discovery, DiscoveryConfig, MeasurementCommand, StunServer};
use portolan_nat::event::DiscoveryEvent;
use portolan_sim::laws;
use portolan_strategies::laws::{LawsConfig, assert_laws, conversation};
use portolan_strategies::machines::{Choices, Scripts, host};
use portolan_strategies::{messages, topologies};
use portolan_stun::{Attribute, Class, Message, Writer};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use std::collections::BTreeSet;

fn v4(host: u8, port: u16) -> SocketAddr {
    ([198, 51, 100, host], port).into()
}

fn discovery() -> Discovery {
    let server = |name: &str, host| StunServer { name: name.into(), addresses: vec![v4(host, 3478)] };
    Discovery::new(DiscoveryConfig::new(vec![server("one", 1), server("two", 2)])).expect("the servers are valid")
}

/// A NAT with one port per socket or one port per destination, and a server with two addresses.
fn internet(choices: &mut Choices, sent: &Transmit) -> Vec<(SocketAddr, Vec<u8>)> {
    let Ok(request) = Message::decode(&sent.payload) else { return Vec::new() };
    let mut buffer = [0; 256];
    let id = request.transaction_id();
    let Ok(mut answer) = Writer::new(&mut buffer, Class::SuccessResponse, request.method(), id) else {
        return Vec::new();
    };
    let other = |address: SocketAddr| {
        let (ip, port) = (address.ip().to_string(), if address.port() == 3478 { 3479 } else { 3478 });
        let host = if ip.ends_with(".1") { 101 } else { 1 };
        v4(host, port)
    };
    let mut from = sent.remote;
    let change = request.change_request().unwrap_or_default();
    if change.ip {
        from.set_ip(other(from).ip());
    }
    if change.port {
        from.set_port(other(from).port());
    }
    let port = 40_000 + if choices.below(4) == 0 { sent.remote.port() } else { 0 };
    let mapped = SocketAddr::from(([203, 0, 113, 7], port));
    let attributes =
        [Attribute::XorMappedAddress(mapped), Attribute::ResponseOrigin(from), Attribute::OtherAddress(other(from))];
    for attribute in &attributes {
        assert_eq!(answer.add(attribute), Ok(()));
    }
    vec![(from, answer.finish().to_vec())]
}

fn setup() -> (Scripts, LawsConfig<Discovery>) {
    let sockets: Vec<SocketId> = (1..=6).map(SocketId).collect();
    let scripts = Scripts::new(messages::nearly_valid(messages::binding()))
        .sockets(&sockets)
        .remotes(&[v4(1, 3478), v4(101, 3479)])
        .beginning_with(&MeasurementCommand::Start)
        .commands(select(vec!["start", "start", "start", "start", "stop"]));
    let peer = host(([10, 0, 0, 2], 50_000).into(), internet);
    let mut config = LawsConfig { cases: 64, longest: 240, peer, ..LawsConfig::default() };
    config.context.terminal = |event| matches!(event, DiscoveryEvent::Report(_));
    (scripts, config)
}

#[test]
fn a_discovery_keeps_the_laws() {
    let (scripts, config) = setup();
    assert_laws(&discovery, &scripts, &config);
}

#[test]
fn the_runs_reach_conclusions_and_reports() {
    let (scripts, config) = setup();
    let (mut runner, strategy) = (TestRunner::deterministic(), scripts.strategy());
    let mut events = BTreeSet::new();
    for _ in 0..100 {
        let script = strategy.new_tree(&mut runner).expect("a script").current();
        let steps = conversation(&discovery, &script, &config);
        let (_, played) = laws::record(discovery(), &steps, &config.context);
        for output in played.iter().flat_map(|played| &played.outputs) {
            let Output::Event(event) = output else { continue };
            events.insert(format!("{event:?}").split([' ', '(']).next().unwrap_or_default().to_string());
        }
    }
    let expected = ["Public", "Nat", "Mapping", "Filtering", "Report"];
    assert!(expected.iter().all(|event| events.contains(*event)), "{events:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// In any network the report is the last event, comes exactly once and before the timeout. A second run is
    /// identical.
    #[test]
    fn a_discovery_ends_in_any_network(topology in topologies::topology()) {
        let servers: Vec<StunServer> = topology
            .servers
            .iter()
            .map(|(server, _)| StunServer { name: (&*server.name).into(), addresses: vec![server.primary] })
            .collect();
        let run = || {
            let config = DiscoveryConfig::new(servers.clone());
            let timeout = config.timeout;
            let (mut net, host) = topology.build(Discovery::new(config).expect("the servers are valid"));
            net.command(host, MeasurementCommand::Start).expect("begins");
            let _stop = net.run_for(timeout + Duration::from_secs(30));
            (timeout, net.take_events())
        };
        let (timeout, events) = run();
        let reports: Vec<_> = events.iter().filter(|it| matches!(it.event, DiscoveryEvent::Report(_))).collect();
        prop_assert_eq!(reports.len(), 1);
        prop_assert!(matches!(events.last().map(|it| &it.event), Some(DiscoveryEvent::Report(_))));
        prop_assert!(reports[0].at.since_origin() <= timeout, "{}", reports[0].at);
        prop_assert_eq!(events, run().1);
    }
}
