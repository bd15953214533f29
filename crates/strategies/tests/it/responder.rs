//! The STUN responder under random runs: it keeps the laws, and the runs reach its responses.

use core::net::SocketAddr;
use portolan_machine::{Output, SocketId};
use portolan_sim::laws;
use portolan_strategies::laws::{LawsConfig, assert_laws, conversation};
use portolan_strategies::machines::{Scripts, host};
use portolan_strategies::messages;
use portolan_stun::{Class, Method};
use portolan_stun_agent::{Responder, ResponderCommand, ResponderConfig, ResponderEvent};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

const LISTEN: SocketAddr = SocketAddr::new(core::net::IpAddr::V4(core::net::Ipv4Addr::new(192, 0, 2, 1)), 3478);

fn responder() -> Responder {
    let alternate = SocketAddr::from(([192, 0, 2, 2], 3479));
    Responder::new(&ResponderConfig::new().listen(LISTEN).alternate(alternate)).expect("the addresses are valid")
}

fn setup() -> (Scripts, LawsConfig<Responder>) {
    let sockets: Vec<SocketId> = (1..=8).chain([1_000_000, 1_000_001]).map(SocketId).collect();
    let attributes = prop::collection::vec(messages::behavior_attribute(), 0..=2);
    let requests =
        messages::message_of(Just(Class::Request).boxed(), Just(Method::BINDING).boxed(), attributes.boxed());
    let scripts = Scripts::new(prop_oneof![2 => requests, 1 => messages::nearly_valid(messages::binding())])
        .sockets(&sockets)
        .remotes(&[([198, 51, 100, 7], 40_000).into(), ([198, 51, 100, 8], 3478).into()])
        .locals(&[LISTEN])
        .beginning_with(&ResponderCommand::Start)
        .commands(prop_oneof![20 => Just("start"), 1 => Just("stop")]);
    let mut config = LawsConfig { cases: 96, peer: host(LISTEN, |_, _| Vec::new()), ..LawsConfig::default() };
    config.context.terminal = |event| matches!(event, ResponderEvent::Stopped);
    (scripts, config)
}

#[test]
fn a_responder_keeps_the_laws() {
    let (scripts, config) = setup();
    assert_laws(&responder, &scripts, &config);
}

#[test]
fn the_runs_reach_responses_and_the_last_event() {
    let (scripts, config) = setup();
    let (mut runner, strategy) = (TestRunner::deterministic(), scripts.strategy());
    let (mut responses, mut ends) = (0, 0);
    for _ in 0..200 {
        let script = strategy.new_tree(&mut runner).expect("a script").current();
        let steps = conversation(&responder, &script, &config);
        let (_, played) = laws::record(responder(), &steps, &config.context);
        let outputs = || played.iter().flat_map(|played| &played.outputs);
        responses += outputs().filter(|output| matches!(output, Output::Transmit(_))).count();
        ends += outputs().filter(|output| matches!(output, Output::Event(ResponderEvent::Stopped))).count();
    }
    assert!(responses > 50 && ends > 20, "{responses} responses, {ends} ends");
}
