//! The laws of every machine, under random steps.

use super::{at, lan, ms, response};
use core::net::SocketAddr;
use core::time::Duration;
use portolan_ice::gather::Interface;
use portolan_ice::{GatherCommand, GatherConfig, GatherEvent, Gatherer};
use portolan_machine::{Output, Script, SocketId, Transmit};
use portolan_sim::laws::{self, Footprint, StateLimit};
use portolan_strategies::laws::{LawsConfig, assert_laws, conversation};
use portolan_strategies::machines::{Choices, Scripts, host};
use portolan_strategies::messages;
use portolan_stun::Attribute;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

const LOCAL: &str = "10.0.0.7:40000";
const SERVERS: [&str; 2] = ["192.0.2.1:3478", "192.0.2.2:3478"];

fn gatherer() -> Gatherer {
    let config = SERVERS.iter().fold(GatherConfig::new(), |config, server| config.server(at(server)));
    Gatherer::new(config.pacing(ms(20)).timeout(ms(3000)).keepalive(Duration::from_secs(15))).unwrap()
}

/// A server: mostly a success, sometimes another mapped address, an invalid one, or nothing.
fn answers(choices: &mut Choices, sent: &Transmit) -> Vec<(SocketAddr, Vec<u8>)> {
    let mapped = match choices.below(12) {
        0 => return vec![],
        1 => at("127.0.0.1:1"),
        2 => at(LOCAL),
        3 => at("[2001:db8::1]:1"),
        4 | 5 => at("203.0.113.1:2"),
        _ => at("203.0.113.1:1"),
    };
    vec![(sent.remote, response(sent, &Attribute::XorMappedAddress(mapped)))]
}

fn any_interface() -> impl Strategy<Value = Interface> {
    const ADDRESSES: [&str; 6] = ["10.0.0.7", "10.0.0.8", "10.0.0.9", "2001:db8::7", "127.0.0.1", "fe80::7"];
    (prop::sample::select(&ADDRESSES[..]), any::<bool>()).prop_map(|(address, is_default)| {
        let interface = lan("eth0", address);
        if is_default { interface.default_route() } else { interface }
    })
}

fn any_command() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => prop::collection::vec(any_interface(), 0..5).prop_map(GatherCommand::SetInterfaces),
        3 => Just(GatherCommand::Restart),
        1 => Just(GatherCommand::StopKeepalives),
        1 => Just(GatherCommand::Close),
    ]
    .prop_map(|command| command.to_text())
}

fn scripts() -> Scripts {
    let first = GatherCommand::SetInterfaces(vec![lan("eth0", "10.0.0.7"), lan("eth0", "10.0.0.8")]);
    Scripts::new(messages::nearly_valid(messages::message()))
        .sockets(&[1, 2, 3].map(SocketId))
        .locals(&[at(LOCAL)])
        .remotes(&SERVERS.map(at))
        .beginning_with(&first.to_text())
        .commands(any_command())
}

fn laws_config() -> LawsConfig<Gatherer> {
    let mut config = LawsConfig { cases: 48, peer: host(at(LOCAL), answers), ..LawsConfig::default() };
    config.context.terminal = GatherEvent::is_terminal;
    config.context.state = Some(|gatherer| format!("{gatherer:?}"));
    // The transactions keep the ids of at most 208 finished requests, with about 110 characters each. The sockets of at
    // most four addresses stay open, with three candidates of about 500 characters each.
    let ids = 208 * 120;
    config.context.footprint = Some(Footprint::debug_text(StateLimit { flooded: 60_000 + ids, tables: 10_000 + ids }));
    config
}

#[test]
fn a_gatherer_keeps_the_laws() {
    assert_laws(&gatherer, &scripts(), &laws_config());
}

#[test]
fn random_runs_reach_all_events() {
    let (mut runner, strategy) = (TestRunner::deterministic(), scripts().strategy());
    let mut reached = [0; 6];
    for _ in 0..200 {
        let script = strategy.new_tree(&mut runner).unwrap().current();
        let steps = conversation(&gatherer, &script, &laws_config());
        let (_, played) = laws::record(gatherer(), &steps, &laws_config().context);
        for output in played.iter().flat_map(|played| &played.outputs) {
            let Output::Event(event) = output else { continue };
            let kind = match event {
                GatherEvent::Candidate(_) => 0,
                GatherEvent::Changed { .. } => 1,
                GatherEvent::Removed { .. } => 2,
                GatherEvent::ServerFailed(_) => 3,
                GatherEvent::Complete(_) => 4,
                GatherEvent::Closed => 5,
                _ => continue,
            };
            reached[kind] += 1;
        }
    }
    assert!(reached.iter().all(|count| *count > 5), "{reached:?}");
}
