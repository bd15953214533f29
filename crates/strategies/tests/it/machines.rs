//! The contents of random runs.

use core::net::SocketAddr;
use portolan_machine::{Instant, Output, SocketEvent, SocketId, Transmit};
use portolan_sim::laws::{Action, OwnedInput, Step};
use portolan_strategies::machines::{Choices, RandomScript, Scripts, host};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

fn samples(scripts: &Scripts, count: usize) -> Vec<RandomScript> {
    let (mut runner, strategy) = (TestRunner::deterministic(), scripts.strategy());
    (0..count).map(|_| strategy.new_tree(&mut runner).expect("a script").current()).collect()
}

#[test]
fn runs_contain_every_kind_of_step() {
    let scripts = Scripts::new(Just(b"x".to_vec())).commands(Just("stop"));
    let all = samples(&scripts, 300);
    let steps = || all.iter().flat_map(|script| &script.steps);
    let has = |wanted: fn(&Action) -> bool| steps().any(|step| wanted(&step.action));
    assert!(has(|what| matches!(what, Action::Command(text) if text == "stop")));
    assert!(has(|what| matches!(what, Action::Input(OwnedInput::Timeout))));
    assert!(has(|what| matches!(what, Action::Input(OwnedInput::Datagram(d)) if d.socket == SocketId(u64::MAX))));
    assert!(has(|what| matches!(what, Action::Stream(d) if d.remote.is_ipv6())));
    assert!(has(|what| matches!(what, Action::Input(OwnedInput::Socket(_, SocketEvent::Accepted { .. })))));
    assert!(has(|what| matches!(what, Action::Input(OwnedInput::Socket(_, SocketEvent::Unreachable { .. })))));
    assert!(has(|what| matches!(what, Action::Input(OwnedInput::Socket(_, SocketEvent::Closed(_))))));
    assert!(has(|what| matches!(what, Action::Input(OwnedInput::Socket(_, SocketEvent::Full)))));
    assert!(has(|what| matches!(what, Action::Input(OwnedInput::Socket(_, SocketEvent::Writable)))));
    assert!(steps().any(|step| !step.drain));
    assert!(all.iter().any(|script| script.peer.is_none()) && all.iter().any(|script| script.peer.is_some()));
    let is_sorted = |script: &RandomScript| script.steps.is_sorted_by_key(|step| step.at);
    assert!(all.iter().any(|script| !is_sorted(script)), "time goes back in some runs");
    assert!(all.iter().filter(|script| is_sorted(script)).count() > 100, "time does not go back in most runs");
}

#[test]
fn runs_begin_with_the_opening_command() {
    let all = samples(&Scripts::new(Just(Vec::new())).beginning_with(&"start").length(0..=2), 50);
    let start = Step::new(Instant::ORIGIN, Action::Command("start".into()));
    assert!(all.iter().all(|script| script.steps[0] == start && script.steps.len() <= 3));
}

#[test]
fn a_script_has_no_commands_by_default() {
    let all = samples(&Scripts::new(Just(Vec::new())), 100);
    let commands = all.iter().flat_map(|script| &script.steps).filter(|step| matches!(step.action, Action::Command(_)));
    assert_eq!(commands.count(), 0);
}

#[test]
fn the_debug_text_of_a_script_can_be_parsed() {
    let script = &samples(&Scripts::new(prop::collection::vec(any::<u8>(), 0..9)).length(9..=9), 1)[0];
    let text = format!("{script:?}");
    let read: Vec<Step> = text.lines().skip(1).map(|line| line.parse().expect("a step")).collect();
    assert_eq!(read, script.steps);
}

#[test]
fn answers_of_a_host_are_late_duplicated_lost_or_from_another_port() {
    let (local, remote): (SocketAddr, SocketAddr) = (([192, 0, 2, 7], 5).into(), ([192, 0, 2, 1], 3478).into());
    let peer = host::<()>(local, |_, sent| vec![(sent.remote, sent.payload.to_vec())]);
    let output = Output::Transmit(Transmit::new(SocketId(3), remote, bytes::Bytes::from_static(b"ask")));
    let now = Instant::from_millis(1000);
    let mut choices = Choices::new(5);
    let all: Vec<Vec<Step>> = (0..200).map(|_| peer(&mut choices, now, &output)).collect();
    let mut counts = [0; 4];
    for step in all.iter().flatten() {
        assert!(step.at >= now);
        match &step.action {
            Action::Input(OwnedInput::Datagram(d)) => {
                assert_eq!((d.socket, d.local, &d.payload[..]), (SocketId(3), local, &b"ask"[..]));
                counts[usize::from(d.remote != remote)] += 1;
            }
            Action::Input(OwnedInput::Socket(SocketId(3), SocketEvent::Unreachable { .. })) => counts[2] += 1,
            Action::Input(OwnedInput::Socket(..) | OwnedInput::Timeout) | Action::Stream(_) | Action::Command(_) => {
                counts[3] += 1;
            }
        }
    }
    assert!(counts[0] > 100 && counts[1] > 5 && counts[2] > 0 && counts[3] == 0, "{counts:?}");
    assert!(all.iter().any(|steps| steps.len() >= 2) && all.iter().any(Vec::is_empty));
}

/// The chunks of a payload are consecutive steps at the same time. Joined, they are the payload.
#[test]
fn payloads_of_streams_are_split_at_random() {
    let payload = b"sixteen bytes ok";
    let all = samples(&Scripts::new(Just(payload.to_vec())).length(20..=20), 50);
    let mut pieces = [0; 5];
    for script in &all {
        let mut rest: &[u8] = &[];
        let mut count = 0;
        for step in &script.steps {
            let Action::Stream(chunk) = &step.action else {
                assert!(rest.is_empty(), "no other step comes between the pieces");
                continue;
            };
            if rest.is_empty() {
                (rest, count) = (payload, 0);
            }
            rest = rest.strip_prefix(&chunk.payload[..]).expect("the pieces follow each other");
            count += 1;
            if rest.is_empty() {
                pieces[count] += 1;
            }
        }
        assert!(rest.is_empty(), "no piece is missing");
    }
    assert!(pieces[1] > 10 && pieces[2] > 10 && pieces[4] > 5, "{pieces:?}");
}
