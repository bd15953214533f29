//! The laws of every machine, under random steps in the middle of an audit.

use crate::world::message;
use core::net::SocketAddr;
use portolan_audit::{Audit, AuditCommand, AuditConfig, AuditEvent};
use portolan_machine::{Output, SocketId};
use portolan_sim::laws;
use portolan_strategies::laws::{LawsConfig, assert_laws, conversation};
use portolan_strategies::machines::{Scripts, host};
use portolan_strategies::messages;
use portolan_stun::{Attribute, Class};
use proptest::strategy::{Just, Strategy as _, ValueTree as _};
use proptest::test_runner::TestRunner;

const SERVER: &str = "192.0.2.1:3478";
const OTHER: &str = "192.0.2.2:3479";
const CLIENT: &str = "198.51.100.7:40000";

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn audit() -> Audit {
    Audit::new(AuditConfig::new(at(SERVER)))
}

/// Audits of a server that responds, sends the request back, or is silent, by the first byte of the transaction id.
fn audits() -> (Scripts, LawsConfig<Audit>) {
    let scripts = Scripts::new(messages::nearly_valid(messages::binding()))
        .sockets(&[1, 2, 3, 4].map(SocketId))
        .remotes(&[at(SERVER), at(OTHER)])
        .locals(&[at(CLIENT)])
        .beginning_with(&AuditCommand::Start)
        .commands(Just(AuditCommand::Start));
    let peer = host(at(CLIENT), |_, sent| {
        let Some(id) = sent.payload.get(8..20).and_then(|id| <[u8; 12]>::try_from(id).ok()) else { return vec![] };
        let attributes = [Attribute::XorMappedAddress(at(CLIENT)), Attribute::OtherAddress(at(OTHER))];
        match id[0] % 4 {
            0 => vec![(sent.remote, sent.payload.to_vec())],
            1 => vec![],
            _ => vec![(sent.remote, message(Class::SuccessResponse, id.into(), &attributes))],
        }
    });
    let mut config = LawsConfig { cases: 96, longest: 300, peer, ..LawsConfig::default() };
    config.context.terminal = |_| true;
    (scripts, config)
}

#[test]
fn an_audit_keeps_the_laws() {
    let (scripts, config) = audits();
    assert_laws(&audit, &scripts, &config);
}

#[test]
fn random_runs_reach_reports() {
    let (scripts, config) = audits();
    let (mut runner, strategy) = (TestRunner::deterministic(), scripts.strategy());
    let (mut sent, mut reports) = (0, 0);
    for _ in 0..100 {
        let script = strategy.new_tree(&mut runner).unwrap().current();
        let steps = conversation(&audit, &script, &config);
        let (_, played) = laws::record(audit(), &steps, &config.context);
        let outputs = || played.iter().flat_map(|played| &played.outputs);
        sent += outputs().filter(|output| matches!(output, Output::Transmit(_))).count();
        reports += outputs().filter(|output| matches!(output, Output::Event(AuditEvent::Report(_)))).count();
    }
    assert!(sent > 1000 && reports > 10, "{sent} datagrams, {reports} reports");
}
