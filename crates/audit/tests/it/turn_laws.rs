//! The laws of every machine, under random steps in the middle of an audit of a TURN server.

use crate::scripted_turn::{SERVER, ScriptedServer, at};
use portolan_audit::AuditCommand;
use portolan_audit::turn::{TurnAudit, TurnAuditConfig, TurnAuditEvent};
use portolan_machine::{Output, SocketId};
use portolan_sim::laws;
use portolan_strategies::laws::{LawsConfig, assert_laws, conversation};
use portolan_strategies::machines::{Scripts, host};
use portolan_strategies::messages;
use proptest::strategy::{Just, Strategy as _, ValueTree as _};
use proptest::test_runner::TestRunner;
use std::sync::Mutex;

const CLIENT: &str = "198.51.100.7:40000";

fn audit() -> TurnAudit {
    TurnAudit::new(TurnAuditConfig::new(at(SERVER), "alice", "secret of alice").other_user("bob", "secret of bob"))
}

/// Audits of a server that answers. All clients have one address here, so only some allocations are possible.
fn audits() -> (Scripts, LawsConfig<TurnAudit>) {
    let scripts = Scripts::new(messages::nearly_valid(messages::binding()))
        .sockets(&[1, 2, 3, 4, 5, 6].map(SocketId))
        .remotes(&[at(SERVER), at("192.0.2.2:3479")])
        .locals(&[at(CLIENT)])
        .beginning_with(&AuditCommand::Start)
        .commands(Just(AuditCommand::Start));
    let server = Mutex::new(ScriptedServer::new(None));
    let peer = host(at(CLIENT), move |_, sent| {
        let mut server = server.lock().unwrap();
        // Each Allocate request is successful, because an earlier run may have left an allocation.
        if sent.payload.starts_with(&[0, 3]) {
            *server = ScriptedServer::new(None);
        }
        let answers = server.answer(at(CLIENT), &sent.payload);
        answers.into_iter().map(|(_, bytes)| (sent.remote, bytes)).collect()
    });
    let mut config = LawsConfig { cases: 96, longest: 300, peer, ..LawsConfig::default() };
    config.context.terminal = |_| true;
    (scripts, config)
}

#[test]
fn an_audit_of_a_turn_server_keeps_the_laws() {
    let (scripts, config) = audits();
    assert_laws(&audit, &scripts, &config);
}

#[test]
fn random_runs_end_with_reports_or_failures() {
    let (scripts, config) = audits();
    let (mut runner, strategy) = (TestRunner::deterministic(), scripts.strategy());
    let (mut sent, mut reports, mut ends) = (0, 0, 0);
    for _ in 0..100 {
        let script = strategy.new_tree(&mut runner).unwrap().current();
        let steps = conversation(&audit, &script, &config);
        let (_, played) = laws::record(audit(), &steps, &config.context);
        let outputs = || played.iter().flat_map(|played| &played.outputs);
        sent += outputs().filter(|output| matches!(output, Output::Transmit(_))).count();
        reports += outputs().filter(|output| matches!(output, Output::Event(TurnAuditEvent::Report(_)))).count();
        ends += outputs().filter(|output| matches!(output, Output::Event(_))).count();
    }
    assert!(sent > 1000 && reports > 2 && ends > 10, "{sent} datagrams, {reports} reports, {ends} ends");
}
