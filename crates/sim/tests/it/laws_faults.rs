//! A faulty machine for each law. The law that it breaks detects it, and no other law does.

use crate::laws_pinger::{Command, Event, Fault, Pinger, terminal};
use core::net::SocketAddr;
use core::panic::AssertUnwindSafe;
use core::time::Duration;
use portolan_machine::{Instant, Output, Pair, SocketEvent, SocketId, SocketOrder};
use portolan_sim::laws::{self, Action, Context, Law, OwnedInput, Step};
use std::panic::catch_unwind;

fn address(host: u8) -> SocketAddr {
    ([192, 0, 2, host], 5000).into()
}

fn context() -> Context<'static, Pinger> {
    Context { terminal, seed: 7, drain_limit: 4096, ..Context::default() }
}

fn ping(lossy: bool) -> Command {
    Command::Ping { peer: address(9), lossy }
}

fn at(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

/// Two pings and a foreign datagram arrive while the machine's own ping is pending, and again after the answer.
fn conversation(machine: &impl Fn() -> Pinger, lossy: bool, answered: bool) -> Vec<Step> {
    let from_peer = |millis, payload: &[u8]| Step::datagram(at(millis), SocketId(1), address(1), address(9), payload);
    let script = [
        Step::command(at(0), &ping(lossy)),
        from_peer(200, b"?one").undrained(),
        from_peer(201, b"?two"),
        from_peer(210, b"foreign"),
        from_peer(600, b"?three"),
        from_peer(700, b"foreign"),
        from_peer(3000, b"?four"),
        Step::command(at(4000), &Command::Stop),
        from_peer(4100, b"?five"),
    ];
    laws::rehearse(machine, &script, &context(), 60, |now, output| match output {
        Output::Socket(SocketOrder::Open(open)) => {
            vec![Step::socket_event(now + Duration::from_millis(1), open.id, SocketEvent::Opened { local: address(1) })]
        }
        Output::Transmit(sent) if answered && sent.payload.starts_with(b"?") => {
            let answer: Vec<u8> = [b'!'].into_iter().chain(sent.payload.iter().copied().skip(1)).collect();
            vec![Step::datagram(now + Duration::from_millis(300), sent.socket, address(1), sent.remote, &answer)]
        }
        Output::Transmit(_) | Output::Socket(_) | Output::Event(_) | Output::Wait(_) => Vec::new(),
    })
}

/// The laws that a machine breaks, in a conversation that succeeds and in one that fails.
fn broken_by(fault: Option<Fault>) -> Vec<Law> {
    let machine = || Pinger::new(fault);
    let lossy = fault == Some(Fault::LossyCommand);
    let scripts = [conversation(&|| Pinger::new(None), lossy, true), conversation(&|| Pinger::new(None), lossy, false)];
    let broken = |law: &Law| {
        scripts.iter().any(|script| {
            let checked = catch_unwind(AssertUnwindSafe(|| laws::check(*law, &machine, script, &context())));
            match checked {
                Ok(Ok(())) => false,
                Ok(Err(violation)) => {
                    assert_eq!(violation.law, *law, "{violation}");
                    println!("{fault:?}: {violation}");
                    true
                }
                Err(_) => true,
            }
        })
    };
    Law::ALL.iter().copied().filter(broken).collect()
}

#[test]
fn the_correct_machine_breaks_no_law() {
    assert_eq!(broken_by(None), []);
}

#[test]
fn the_conversations_exercise_every_fault() {
    let plain = || Pinger::new(None);
    let events = |script: &[Step]| -> Vec<Event> {
        let (_, played) = laws::record(plain(), script, &context());
        let outputs = played.into_iter().flat_map(|played| played.outputs);
        outputs.filter_map(|output| if let Output::Event(event) = output { Some(event) } else { None }).collect()
    };
    assert_eq!(events(&conversation(&plain, false, true)), [Event::Answered { foreign: 0 }, Event::Stopped]);
    let silent = conversation(&plain, false, false);
    assert_eq!(events(&silent), [Event::Silence]);
    let timeouts = silent.iter().filter(|step| step.action == Action::Input(OwnedInput::Timeout));
    let timeouts: Vec<_> = timeouts.map(|step| step.at).collect();
    assert_eq!(timeouts, [at(501), at(1001), at(1501)]);
}

#[test]
fn an_endless_drain_is_detected() {
    assert_eq!(broken_by(Some(Fault::EndlessDrain)), [Law::DrainEnds]);
}

#[test]
fn a_deadline_in_the_past_is_detected() {
    assert_eq!(broken_by(Some(Fault::DeadlineStays)), [Law::WaitsLieAhead]);
}

#[test]
fn an_effect_of_an_early_timeout_is_detected() {
    assert_eq!(broken_by(Some(Fault::HandlesEarlyTimeout)), [Law::EarlyTimeout]);
}

#[test]
fn a_panic_on_decreasing_time_is_detected() {
    assert_eq!(broken_by(Some(Fault::TimeSubtracted)), [Law::TimeMayMisbehave]);
}

#[test]
fn a_panic_on_an_input_is_detected() {
    assert_eq!(broken_by(Some(Fault::FirstByte)), [Law::NoInputPanics]);
}

#[test]
fn a_dependence_on_drains_is_detected() {
    assert_eq!(broken_by(Some(Fault::KeepsOneInput)), [Law::DrainingIsFree]);
}

#[test]
fn an_unbounded_queue_is_detected() {
    assert_eq!(broken_by(Some(Fault::Unbounded)), [Law::PeersAreBounded]);
}

#[test]
fn a_transmit_without_an_open_socket_is_detected() {
    assert_eq!(broken_by(Some(Fault::SendsBeforeOpened)), [Law::OpenedFirst]);
    assert_eq!(broken_by(Some(Fault::AfterClose)), [Law::OpenedFirst]);
}

#[test]
fn nondeterminism_is_detected() {
    assert_eq!(broken_by(Some(Fault::NoteChangesAnswer)), [Law::Determinism]);
    assert_eq!(broken_by(Some(Fault::LossyCommand)), [Law::Determinism]);
}

/// External input differs in every run, so the laws that compare two runs fail too. Therefore determinism is checked
/// before them.
#[test]
fn determinism_is_checked_before_the_laws_that_need_it() {
    let machine = || Pinger::new(Some(Fault::Global));
    let script = conversation(&|| Pinger::new(None), false, true);
    let violation = laws::check_all(&machine, &script, &context()).unwrap_err();
    assert_eq!(violation.law, Law::Determinism);
}

#[test]
fn an_effect_of_not_mine_is_detected() {
    assert_eq!(broken_by(Some(Fault::CountsForeign)), [Law::NotMine]);
    assert_eq!(broken_by(Some(Fault::ReportsForeign)), [Law::NotMine]);
}

#[test]
fn activity_after_the_end_is_detected() {
    assert_eq!(broken_by(Some(Fault::AnswersAfterEnd)), [Law::EndIsEnd]);
    assert_eq!(broken_by(Some(Fault::WaitsAfterEnd)), [Law::EndIsEnd]);
}

#[test]
fn a_violation_prints_its_position_and_reason() {
    let machine = || Pinger::new(Some(Fault::SendsBeforeOpened));
    let violation = laws::check_all(&machine, &conversation(&machine, false, true), &context()).unwrap_err();
    assert_eq!(
        violation.to_string(),
        "law 8 (no transmit before Opened) broken at step 0: `0.000000000 command ping 192.0.2.9:5000`: a transmit of 5 \
         bytes to 192.0.2.9:5000 on s1, which is not open\n\
         the steps that break it, for a regression test:\n\
         laws::read_steps(\n    r\"\n0.000000000 command ping 192.0.2.9:5000\n\",\n)\n.unwrap()"
    );
}

/// The steps of a violation are the start of the script up to the broken step. They break the law by themselves.
#[test]
fn a_violation_contains_the_steps_up_to_the_broken_one() {
    let machine = || Pinger::new(Some(Fault::ReportsForeign));
    let script = conversation(&|| Pinger::new(None), false, true);
    let violation = laws::check(Law::NotMine, &machine, &script, &context()).unwrap_err();
    let broken = violation.step.unwrap();
    assert!((2..script.len() - 1).contains(&broken), "in the middle: {violation}");
    assert_eq!(violation.steps, script[..=broken]);
    assert_eq!(laws::check(Law::NotMine, &machine, &violation.steps, &context()), Err(violation));

    // An early timeout is visible only if another step follows: one step more.
    let machine = || Pinger::new(Some(Fault::HandlesEarlyTimeout));
    let violation = laws::check(Law::EarlyTimeout, &machine, &script, &context()).unwrap_err();
    assert_eq!(violation.steps.len(), violation.step.unwrap() + 2);
    assert_eq!(laws::check(Law::EarlyTimeout, &machine, &violation.steps, &context()), Err(violation));
}

/// The output of a violation is a Rust expression. Its text parses to the same steps.
#[test]
fn the_steps_of_a_violation_can_be_pasted_into_a_test() {
    let odd = Step::new(at(3), Action::Command("say \"a\"# and \\ twice\n".into()));
    let steps = [Step::command(at(1), &ping(false)), odd, Step::timeout(at(4)).undrained()];
    let text = laws::Steps(&steps).to_string();
    let inner =
        text.strip_prefix("laws::read_steps(\n    r##\"").and_then(|text| text.strip_suffix("\"##,\n)\n.unwrap()"));
    assert_eq!(laws::read_steps(inner.expect(&text)).unwrap(), steps);
    let error = laws::read_steps("\n# a comment\n0.000000000 timeout\nsoon\n").unwrap_err();
    assert_eq!(error.to_string(), "line 4: expected a time in seconds with nine decimals");
}

/// Two machines on shared sockets keep the laws, with two queues.
#[test]
fn a_pair_keeps_the_laws() {
    let machine = || Pair::new(Pinger::new(None), Pinger::new(None));
    let to = |id, millis, payload: &[u8]| Step::datagram(at(millis), SocketId(id), address(1), address(9), payload);
    let from_peer = |millis, payload: &[u8]| to(2, millis, payload);
    let script = [
        Step::new(at(0), Action::Command("first ping 192.0.2.9:5000".into())),
        Step::new(at(5), Action::Command("second ping 192.0.2.8:5000".into())),
        Step::socket_event(at(10), SocketId(1), SocketEvent::Opened { local: address(1) }),
        Step::socket_event(at(11), SocketId(2), SocketEvent::Opened { local: address(1) }).undrained(),
        from_peer(20, b"?one"),
        from_peer(21, b"?two").undrained(),
        to(1, 22, b"?three"),
        from_peer(22, b"foreign"),
        Step::timeout(at(510)),
        Step::timeout(at(2000)),
    ];
    let context = Context { queue_limit: 512, ..Context::default() };
    laws::check_all(&machine, &script, &context).unwrap();
    let one_queue = Context { queue_limit: 256, ..context };
    let violation = laws::check_all(&machine, &script, &one_queue).unwrap_err();
    assert_eq!(violation.law, Law::PeersAreBounded, "both queues are full: {violation}");
}

#[test]
fn numbers_and_names_are_those_of_the_contract() {
    let mut numbers: Vec<u8> = Law::ALL.iter().map(|law| law.number()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=14).collect::<Vec<u8>>());
    assert_eq!(Law::NotMine.to_string(), "law 10 (NotMine changes nothing)");
}
