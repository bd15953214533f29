//! Recordings: recorded in a driver, written as text, replayed.

use crate::laws_pinger::{Command, Event, Pinger, terminal};
use core::net::SocketAddr;
use portolan_machine::{Cx, Entropy, Input, Instant, Machine, Output, SocketEvent, SocketId, SocketIds};
use portolan_sim::laws::{self, CallContext, Context, Recorder, Recording, ReplayErrorKind, Step};

struct Counting(u8);

impl Entropy for Counting {
    fn fill(&mut self, out: &mut [u8]) {
        self.0 += 1;
        out.fill(self.0);
    }
}

fn peer() -> SocketAddr {
    ([192, 0, 2, 9], 5000).into()
}

fn outputs(machine: &mut Pinger) -> Vec<Output<Event>> {
    let mut all = Vec::new();
    loop {
        match machine.poll() {
            Output::Wait(_) => return all,
            output @ (Output::Transmit(_) | Output::Socket(_) | Output::Event(_)) => all.push(output),
        }
    }
}

/// A driver whose sockets s1 to s40 belong to other machines, and which has its own RNG.
fn drive() -> (Recording, Vec<Vec<Output<Event>>>) {
    let (mut rng, mut ids) = (Counting(0), SocketIds::new());
    for _ in 0..40 {
        ids.next_socket();
    }
    let mut recorder = Recorder::new();
    let mut machine = Pinger::new(None);
    let mut seen = vec![outputs(&mut machine)];
    let call = CallContext { now: Instant::from_millis(3), entropy: &mut rng, sockets: &mut ids, trace: None };
    let result = recorder.command(&mut machine, call, Command::Ping { peer: peer(), lossy: false });
    assert_eq!(result, Ok(()));
    seen.push(Vec::new());
    let opened = Input::Socket(SocketId(41), SocketEvent::Opened { local: peer() });
    let call = CallContext { now: Instant::from_millis(4), entropy: &mut rng, sockets: &mut ids, trace: None };
    let _verdict = recorder.handle(&mut machine, call, opened);
    recorder.drained();
    seen.push(outputs(&mut machine));
    (recorder.into_recording(), seen)
}

#[test]
fn a_driven_run_is_replayed_from_its_text() {
    let (recording, seen) = drive();
    let text = recording.to_string();
    assert_eq!(
        text,
        "portolan recording 1\n\
         0.003000000 entropy=01010101 sockets=s41 undrained command ping 192.0.2.9:5000\n\
         0.004000000 socket s41 opened 192.0.2.9:5000\n"
    );
    let replayed = laws::replay(Pinger::new(None), &text.parse().unwrap(), &Context::default()).unwrap();
    let replayed: Vec<_> = replayed.into_iter().map(|played| played.outputs).collect();
    assert_eq!(replayed, seen);
    assert!(replayed.iter().flatten().count() > 1, "the machine has outputs");
}

#[test]
fn a_recording_that_does_not_fit_is_refused() {
    let fault = |text: &str| {
        let recording: Recording = format!("portolan recording 1\n{text}\n").parse().unwrap();
        laws::replay(Pinger::new(None), &recording, &Context::default()).unwrap_err().kind
    };
    assert_eq!(fault("0.000000000 command unknown"), ReplayErrorKind::Command);
    assert_eq!(fault("0.000000000 sockets=s1 command ping 192.0.2.9:5"), ReplayErrorKind::EntropyShort);
    assert_eq!(
        fault("0.000000000 entropy=0102030405 sockets=s1 command ping 192.0.2.9:5"),
        ReplayErrorKind::EntropyLeft
    );
    assert_eq!(fault("0.000000000 entropy=01020304 command ping 192.0.2.9:5"), ReplayErrorKind::Sockets);
    assert_eq!(fault("0.000000000 entropy=01020304 sockets=s0 command ping 192.0.2.9:5"), ReplayErrorKind::Sockets);
    let far = "0.000000000 entropy=01020304 sockets=s18446744073709551615 command ping 192.0.2.9:5";
    assert_eq!(fault(far), ReplayErrorKind::Sockets);
}

#[test]
fn a_parse_error_of_a_recording_names_the_line() {
    let error = |text: &str| text.parse::<Recording>().unwrap_err().to_string();
    assert_eq!(error(""), "line 1: expected `portolan recording 1`");
    assert_eq!(
        error("portolan recording 1\n\n# comment\nsoon timeout"),
        "line 4: expected a time in seconds with nine decimals"
    );
    assert_eq!(error("portolan recording 1\n1.000000000 entropy=0 timeout"), "line 2: expected entropy in hex");
    assert_eq!(error("portolan recording 1\n1.000000000 sockets=1 timeout"), "line 2: expected a socket such as s1");
}

#[test]
fn the_steps_of_a_recording_equal_its_script() {
    let (recording, _) = drive();
    let context = Context { terminal, handed_in: &[SocketId(40)], ..Context::default() };
    laws::check_all(&|| Pinger::new(None), &recording.script(), &context).unwrap();
    let (again, _) = laws::record(Pinger::new(None), &recording.script(), &context);
    assert_eq!(again.script(), recording.script());
    assert_eq!(again.steps[0].sockets, [SocketId(41)], "numbers start after the handed-in sockets");
}

/// A trace receives the notes of a machine behind a recorder.
#[test]
fn a_recorder_passes_notes_to_the_trace() {
    struct Count(usize);
    impl portolan_machine::Trace for Count {
        fn note(&mut self, _: Instant, _: &portolan_machine::Scope<'_>, _: &dyn portolan_machine::Explain) {
            self.0 += 1;
        }
    }
    let (mut rng, mut ids, mut notes) = (Counting(0), SocketIds::new(), Count(0));
    let mut machine = Pinger::new(None);
    let mut cx = Cx::new(Instant::ORIGIN, &mut rng, &mut ids);
    machine.command(&mut cx, Command::Ping { peer: peer(), lossy: false }).unwrap();
    let _verdict = machine.handle(&mut cx, Input::Socket(SocketId(1), SocketEvent::Opened { local: peer() }));
    let mut recorder = Recorder::new();
    for _ in 0..300 {
        let call = CallContext { now: Instant::ORIGIN, entropy: &mut rng, sockets: &mut ids, trace: Some(&mut notes) };
        let step = Step::datagram(Instant::ORIGIN, SocketId(1), peer(), peer(), b"?");
        let portolan_sim::laws::Action::Input(input) = &step.action else { unreachable!() };
        let _verdict = recorder.handle(&mut machine, call, input.as_input());
    }
    assert_eq!(
        notes.0,
        300 + 2 - 256,
        "the open and the first ping are already queued; each dropped output gives a note"
    );
}
