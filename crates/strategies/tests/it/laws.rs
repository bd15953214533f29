//! The laws over random runs of real machines, and the shrinking of a seeded fault.

use core::net::SocketAddr;
use core::time::Duration;
use portolan_machine::{Cx, Deadline, Input, Instant, Machine, Never, Outbox, Output, SocketId, Transmit, Verdict};
use portolan_sim::laws::{self, Action, Law, OwnedInput};
use portolan_strategies::laws::{LawsConfig, assert_laws, conversation, find_violation};
use portolan_strategies::machines::{Choices, Scripts, host};
use portolan_strategies::messages::{self, Damage};
use portolan_stun::{Attribute, Class, Message, Writer};
use portolan_stun_agent::{AnswerFrom, Request, Schedule, Transactions};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use std::collections::BTreeMap;

const SOCKETS: [SocketId; 2] = [SocketId(1), SocketId(2)];

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

/// The answers of a STUN server, mostly correct.
fn server(choices: &mut Choices, sent: &Transmit) -> Vec<(SocketAddr, Vec<u8>)> {
    let Ok(request) = Message::decode(&sent.payload) else { return Vec::new() };
    let class = if choices.below(6) == 0 { Class::ErrorResponse } else { Class::SuccessResponse };
    let mut buffer = [0; 128];
    let Ok(mut writer) = Writer::new(&mut buffer, class, request.method(), request.transaction_id()) else {
        return Vec::new();
    };
    let added = writer.add(&Attribute::XorMappedAddress(sent.remote));
    assert_eq!(added, Ok(()));
    let mut bytes = writer.finish().to_vec();
    if choices.below(8) == 0 {
        Damage::LengthOff(4).apply(&mut bytes);
    }
    vec![(sent.remote, bytes)]
}

fn requests(server: SocketAddr) -> BoxedStrategy<Request<u8>> {
    let schedules = vec![
        Schedule::rfc8489(),
        Schedule::at_millis([0, 90, 190]).jitter(Duration::from_millis(10)).tail(Duration::from_millis(250)),
        Schedule::at_millis([0, 100]).every(Duration::from_millis(250)).until(Duration::from_secs(2)).repeat(true),
    ];
    let from = select(vec![AnswerFrom::SameAsDestination, AnswerFrom::AnyReported]);
    (any::<u8>(), select(SOCKETS.to_vec()), select(schedules), from)
        .prop_map(move |(tag, socket, schedule, from)| {
            Request::binding(socket, server, tag).schedule(schedule).from(from)
        })
        .boxed()
}

fn setup() -> (Scripts, LawsConfig<Transactions<u8>>) {
    let remote = address("192.0.2.1:3478");
    let scripts = Scripts::new(messages::nearly_valid(messages::binding()))
        .sockets(&SOCKETS)
        .remotes(&[remote])
        .commands(requests(remote).prop_map(|request| format!("request {request}")));
    let config = LawsConfig {
        cases: 96,
        peer: host(address("198.51.100.7:40000"), server),
        ..LawsConfig::for_sockets(&SOCKETS)
    };
    (scripts, config)
}

#[test]
fn transactions_keep_the_laws() {
    let (scripts, config) = setup();
    assert_laws(&Transactions::<u8>::new, &scripts, &config);
}

/// The check of the laws is useful only if the runs get far into the protocol.
#[test]
fn the_runs_reach_every_result_of_a_request() {
    let (scripts, config) = setup();
    let (mut runner, strategy) = (TestRunner::deterministic(), scripts.strategy());
    let mut results = BTreeMap::new();
    for _ in 0..200 {
        let script = strategy.new_tree(&mut runner).expect("a script").current();
        let steps = conversation(&Transactions::<u8>::new, &script, &config);
        let (_, played) = laws::record(Transactions::<u8>::new(), &steps, &config.context);
        for output in played.into_iter().flat_map(|played| played.outputs) {
            let Output::Event(event) = output else { continue };
            let text = format!("{event:?}");
            let result = text.split([' ', '(']).next().unwrap_or_default().to_string();
            *results.entry(result).or_insert(0) += 1;
        }
    }
    for result in ["Answered", "Elsewhere", "Exhausted", "Unreachable", "SocketLost"] {
        assert!(results.get(result).is_some_and(|count| *count >= 5), "{result} in {results:?}");
    }
}

/// Answers pings, and emits an event after 100 ms without pings. With the fault `ignores_time` it emits the event at
/// any timeout, also at an early one.
#[derive(Default)]
struct PingServer {
    ignores_time: bool,
    out: Outbox<&'static str>,
    at: Option<Instant>,
}

impl Machine for PingServer {
    type Command = Never;
    type Error = Never;
    type Event = &'static str;

    fn command(&mut self, _: &mut Cx<'_>, command: Never) -> Result<(), Never> {
        match command {}
    }

    fn handle(&mut self, cx: &mut Cx<'_>, input: Input<'_>) -> Verdict {
        match input {
            Input::Datagram(ping) if ping.payload == b"ping" && ping.socket == SOCKETS[0] => {
                let answer = Transmit::new(ping.socket, ping.remote, bytes::Bytes::from_static(b"pong"));
                let _room = self.out.offer(Output::Transmit(answer));
                self.at = Some(cx.now() + Duration::from_millis(100));
                Verdict::Mine
            }
            Input::Timeout => {
                if self.at.is_some_and(|at| at <= cx.now() || self.ignores_time) {
                    self.at = None;
                    self.out.push(Output::Event("quiet"));
                }
                Verdict::Mine
            }
            Input::Datagram(_) | Input::Socket(..) => Verdict::NotMine,
        }
    }

    fn poll(&mut self) -> Output<&'static str> {
        self.out.pop().unwrap_or(Output::Wait(self.at.map(|at| Deadline::new(at, "quiet"))))
    }
}

fn pings() -> Scripts {
    Scripts::new(select(vec![b"noise".to_vec(), b"ping".to_vec()])).sockets(&SOCKETS)
}

#[test]
fn a_correct_machine_keeps_the_laws() {
    assert_laws(&PingServer::default, &pings(), &LawsConfig { cases: 64, ..LawsConfig::for_sockets(&SOCKETS) });
}

/// The driver closes a stream that no machine takes. What waits on that stream must not count as input of the machine.
#[test]
fn an_accepted_stream_of_no_machine_leaves_no_trace() {
    let steps = laws::read_steps(
        r"
0.000000000 undrained socket s1 accepted s1000002 192.0.2.77:40000 192.0.2.1:3478
0.000000000 undrained socket s1000002 full
0.000000000 undrained stream s1000002 192.0.2.77:40000 192.0.2.1:3478 6e6f697365
",
    )
    .expect("steps");
    let context = LawsConfig::<PingServer>::for_sockets(&SOCKETS).context;
    for law in Law::ALL {
        assert_eq!(laws::check(law, &PingServer::default, &steps, &context), Ok(()), "{law}");
    }
}

#[test]
fn a_seeded_fault_is_found_and_shrunk() {
    let faulty = || PingServer { ignores_time: true, ..PingServer::default() };
    let found = find_violation(&faulty, &pings(), &LawsConfig::for_sockets(&SOCKETS)).expect("the fault is found");
    assert_eq!(found.law, Law::EarlyTimeout);
    // One ping and one later step, before which a timeout is early. A run with a peer also has a timeout.
    assert!(found.steps.len() <= 3, "{found}");
    let is_ping = |what: &Action| matches!(what, Action::Input(OwnedInput::Datagram(d)) if d.payload == b"ping");
    let pings = found.steps.iter().filter(|step| is_ping(&step.action));
    assert_eq!(pings.count(), 1, "{found}");
    assert!(found.to_string().contains("law 3 (an early timeout changes nothing) broken"), "{found}");
    let again = laws::check(found.law, &faulty, &found.steps, &LawsConfig::<PingServer>::for_sockets(&SOCKETS).context);
    assert_eq!(
        again.map_err(|violation| (violation.law, violation.steps)),
        Err((found.law, found.steps.clone())),
        "the run can be played again"
    );
}

#[test]
#[should_panic(expected = "law 3 (an early timeout changes nothing) broken")]
fn the_assertion_panics_with_the_law() {
    assert_laws(
        &|| PingServer { ignores_time: true, ..PingServer::default() },
        &pings(),
        &LawsConfig::for_sockets(&SOCKETS),
    );
}
