//! Random runs of any machine.
//!
//! A [`RandomScript`] contains random inputs and commands at random times. A script alone rarely gets far into a
//! protocol, because its datagrams do not carry the machine's transaction ids. So a [`Peer`] answers the machine's
//! outputs while the run is generated.
//!
//! [`host`] creates a peer that acts as an ordinary host. It opens the ordered sockets, and a function of the test
//! answers datagrams. Some answers are late, duplicated or lost.
//!
//! ```
//! use portolan_machine::SocketId;
//! use portolan_strategies::machines::Scripts;
//! use proptest::prelude::*;
//! use proptest::strategy::ValueTree;
//! use proptest::test_runner::TestRunner;
//!
//! let scripts = Scripts::new(prop::collection::vec(any::<u8>(), 0..40)).sockets(&[SocketId(7)]).length(5..=5);
//! let script = scripts.strategy().new_tree(&mut TestRunner::deterministic()).unwrap().current();
//! assert!(script.steps.len() >= 5, "bytes of a stream may be split into several chunks");
//! assert_eq!(format!("{script:?}").lines().count(), 1 + script.steps.len(), "a head line, and one line for each step");
//! ```

use core::fmt;
use core::net::SocketAddr;
use core::ops::RangeInclusive;
use core::time::Duration;
use portolan_machine::{
    Closure, Instant, Output, Refusal, SocketEvent, SocketId, SocketOrder, Transmit, Unreachability,
};
use portolan_sim::laws::{Action, OwnedDatagram, OwnedInput, Step};
use proptest::prelude::*;
use proptest::sample::select;
use std::sync::Arc;

/// A random script, without the answers of a peer.
#[derive(Clone, PartialEq, Eq)]
pub struct RandomScript {
    /// The steps. Their times mostly increase.
    pub steps: Vec<Step>,
    /// The seed of the peer's choices. `None`: the run has no peer, and no timeouts other than those in `steps`.
    pub peer: Option<u64>,
}

impl fmt::Debug for RandomScript {
    /// A head line, then one line for each step. [`Step`] parses each of these lines.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.peer {
            Some(seed) => write!(f, "with a peer (seed {seed}):")?,
            None => f.write_str("without a peer:")?,
        }
        self.steps.iter().try_for_each(|step| write!(f, "\n{step}"))
    }
}

/// The settings for random scripts: payloads, commands, sockets, addresses and length.
#[derive(Clone, Debug)]
pub struct Scripts {
    payloads: BoxedStrategy<Vec<u8>>,
    commands: Option<BoxedStrategy<String>>,
    opening: Vec<String>,
    sockets: Vec<SocketId>,
    locals: Vec<SocketAddr>,
    remotes: Vec<SocketAddr>,
    length: RangeInclusive<usize>,
}

impl Scripts {
    /// Scripts whose datagrams and stream chunks carry these payloads.
    ///
    /// By default there are no commands, up to 24 steps, the sockets s1 to s4, and one local and one remote address of
    /// each family.
    #[must_use]
    pub fn new(payloads: impl Strategy<Value = Vec<u8>> + 'static) -> Self {
        let address = |host: u8, port| SocketAddr::from(([192, 0, 2, host], port));
        let address6 = |host, port| SocketAddr::from(([0x2001, 0xdb8, 0, 0, 0, 0, 0, host], port));
        Self {
            payloads: payloads.boxed(),
            commands: None,
            opening: Vec::new(),
            sockets: (1..=4).map(SocketId).collect(),
            locals: vec![address(77, 40_000), address6(77, 40_000)],
            remotes: vec![address(1, 3478), address6(1, 3478)],
            length: 0..=24,
        }
    }

    /// Adds commands, each as the text that [`Script`](portolan_machine::Script) parses.
    #[must_use]
    pub fn commands<S>(mut self, commands: S) -> Self
    where
        S: Strategy + 'static,
        S::Value: fmt::Display,
    {
        self.commands = Some(commands.prop_map(|command| command.to_string()).boxed());
        self
    }

    /// Adds this command at the beginning of each script. It is for machines that do nothing before a command.
    #[must_use]
    pub fn beginning_with(mut self, command: &impl fmt::Display) -> Self {
        self.opening.push(command.to_string());
        self
    }

    /// Sets the sockets. An empty list leaves the default.
    #[must_use]
    pub fn sockets(mut self, sockets: &[SocketId]) -> Self {
        if !sockets.is_empty() {
            self.sockets = sockets.to_vec();
        }
        self
    }

    /// Sets the local addresses. An empty list leaves the default.
    #[must_use]
    pub fn locals(mut self, locals: &[SocketAddr]) -> Self {
        if !locals.is_empty() {
            self.locals = locals.to_vec();
        }
        self
    }

    /// Sets the remote addresses. An empty list leaves the default.
    #[must_use]
    pub fn remotes(mut self, remotes: &[SocketAddr]) -> Self {
        if !remotes.is_empty() {
            self.remotes = remotes.to_vec();
        }
        self
    }

    /// Sets the number of steps. Chunks that are pieces of one payload count as one step.
    #[must_use]
    pub fn length(mut self, steps: RangeInclusive<usize>) -> Self {
        self.length = steps;
        self
    }

    /// Returns the strategy. It shrinks to fewer steps, shorter times and simpler payloads.
    pub fn strategy(&self) -> BoxedStrategy<RandomScript> {
        let step = (gap(), prop::bool::weighted(0.8), self.actions());
        let steps = prop::collection::vec(step, self.length.clone());
        let script = (steps, proptest::option::weighted(0.7, any::<u64>()));
        let opening: Vec<Step> =
            self.opening.iter().cloned().map(|text| Step::new(Instant::ORIGIN, Action::Command(text))).collect();
        script
            .prop_map(move |(steps, peer)| {
                let steps = opening.iter().cloned().chain(timed(steps)).collect();
                RandomScript { steps, peer }
            })
            .boxed()
    }

    fn actions(&self) -> BoxedStrategy<Vec<Action>> {
        let bytes = (self.socket(), select(self.locals.clone()), select(self.remotes.clone()), self.payloads.clone());
        let datagram =
            bytes.prop_map(|(socket, local, remote, payload)| OwnedDatagram { socket, local, remote, payload }).boxed();
        let one = |input| vec![Action::Input(input)];
        // Half of the chunks arrive on streams that a listener may have accepted.
        let chunk = (datagram.clone(), proptest::option::of(accepted()))
            .prop_map(|(chunk, stream)| OwnedDatagram { socket: stream.unwrap_or(chunk.socket), ..chunk });
        let cuts = prop::collection::vec(any::<prop::sample::Index>(), 0..4);
        let input = prop_oneof![
            8 => datagram.clone().prop_map(move |datagram| one(OwnedInput::Datagram(datagram))),
            2 => (chunk, cuts).prop_map(|(chunk, cuts)| cut(&chunk, &cuts)),
            3 => (self.socket(), self.socket_event()).prop_map(move |(socket, event)| one(OwnedInput::Socket(socket, event))),
            1 => (prop_oneof![self.socket(), accepted()], select(&FLOW[..]))
                .prop_map(move |(socket, event)| one(OwnedInput::Socket(socket, event))),
            3 => Just(one(OwnedInput::Timeout)),
        ];
        match &self.commands {
            Some(commands) => {
                prop_oneof![1 => commands.clone().prop_map(|text| vec![Action::Command(text)]), 3 => input].boxed()
            }
            None => input.boxed(),
        }
    }

    /// Mostly one of the configured sockets, rarely an unknown socket.
    fn socket(&self) -> BoxedStrategy<SocketId> {
        prop_oneof![12 => select(self.sockets.clone()), 1 => Just(SocketId(u64::MAX))].boxed()
    }

    fn socket_event(&self) -> BoxedStrategy<SocketEvent> {
        let (locals, remotes) = (select(self.locals.clone()), select(self.remotes.clone()));
        let accepted = (accepted(), locals.clone(), remotes.clone());
        prop_oneof![
            4 => locals.prop_map(|local| SocketEvent::Opened { local }),
            2 => accepted.prop_map(|(socket, local, remote)| SocketEvent::Accepted { socket, local, remote }),
            2 => (remotes, select(&UNREACHABLE[..]))
                .prop_map(|(remote, why)| SocketEvent::Unreachable { remote, why }),
            1 => select(&REFUSALS[..]).prop_map(SocketEvent::Refused),
            1 => select(&CLOSURES[..]).prop_map(SocketEvent::Closed),
        ]
        .boxed()
    }
}

/// The id of a stream that a listener accepts. There are only four ids, so that bytes often arrive on accepted streams.
fn accepted() -> impl Strategy<Value = SocketId> + Clone {
    (1_000_000..1_000_004_u64).prop_map(SocketId)
}

/// Backpressure events. Bytes of a full accepted stream wait until it is writable, so `Writable` is twice as frequent.
const FLOW: [SocketEvent; 3] = [SocketEvent::Full, SocketEvent::Writable, SocketEvent::Writable];
const UNREACHABLE: [Unreachability; 3] = [Unreachability::Port, Unreachability::Network, Unreachability::TooLarge];
const REFUSALS: [Refusal; 3] = [Refusal::AddressInUse, Refusal::NoRoute, Refusal::ConnectionRefused];
const CLOSURES: [Closure; 3] = [Closure::ByPeer, Closure::Reset, Closure::Overflow];

/// The time from one step to the next.
#[derive(Clone, Copy, Debug)]
enum Gap {
    Forward(Duration),
    Back(Duration),
}

/// Mostly some milliseconds, rarely a long time or a step back.
fn gap() -> impl Strategy<Value = Gap> {
    let day = 24 * 60 * 60_u64;
    prop_oneof![
        8 => Just(Gap::Forward(Duration::ZERO)),
        24 => (0..700_u64).prop_map(|millis| Gap::Forward(Duration::from_millis(millis))),
        8 => (0..40_000_000_000_u64).prop_map(|nanos| Gap::Forward(Duration::from_nanos(nanos))),
        1 => (60..400 * day).prop_map(|seconds| Gap::Forward(Duration::from_secs(seconds))),
        1 => (1..5_000_u64).prop_map(|millis| Gap::Back(Duration::from_millis(millis))),
    ]
}

/// Splits the bytes of a stream at these positions into consecutive chunks.
fn cut(chunk: &OwnedDatagram, cuts: &[prop::sample::Index]) -> Vec<Action> {
    let mut ends: Vec<usize> = cuts.iter().map(|cut| cut.index(chunk.payload.len().max(1))).collect();
    ends.push(chunk.payload.len());
    ends.sort_unstable();
    ends.dedup();
    let mut begin = 0;
    let pieces = ends.into_iter().filter_map(|end| {
        let payload = chunk.payload.get(begin..end)?.to_vec();
        begin = end;
        Some(Action::Stream(OwnedDatagram { payload, ..*chunk }))
    });
    pieces.collect()
}

fn timed(steps: Vec<(Gap, bool, Vec<Action>)>) -> Vec<Step> {
    let mut now = Instant::ORIGIN;
    let timed = steps.into_iter().flat_map(|(gap, drain, actions)| {
        now = match gap {
            Gap::Forward(time) => now + time,
            Gap::Back(time) => now - time,
        };
        let at = now;
        actions.into_iter().map(move |action| Step { at, drain, action })
    });
    timed.collect()
}

/// The RNG of a peer: a sequence of numbers that depends only on the seed.
#[derive(Clone, Debug)]
pub struct Choices(u64);

impl Choices {
    /// The sequence of this seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Returns a number below `bound`; 0 if `bound` is 0 (SplitMix64).
    pub const fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let wide = ((mixed ^ (mixed >> 31)) as u128) * (bound as u128);
        (wide >> 64) as u64
    }
}

/// A peer: a function from an output of the machine to the steps that follow, at the time of the output or later.
pub type Peer<E> = Arc<dyn Fn(&mut Choices, Instant, &Output<E>) -> Vec<Step> + Send + Sync>;

/// A peer without answers: it answers no datagrams and opens no sockets.
#[must_use]
pub fn silent_peer<E: 'static>() -> Peer<E> {
    Arc::new(|_, _, _| Vec::new())
}

/// A peer that acts as an ordinary host with a network.
///
/// * An order for a socket is refused in one of eight cases. Otherwise the socket opens on the IP address of `local`,
///   with the ordered port, or with the port of `local` if the order has none.
/// * Each transmit is passed to `answer`, which returns answers as source addresses and payloads.
/// * All answers to one transmit are lost in one of eight cases, and duplicated in one of eight. Each copy arrives
///   after less than 400 ms.
/// * In one of eight cases an answer comes from another port.
/// * In one of 32 cases the destination of the transmit is reported unreachable.
pub fn host<E: 'static>(
    local: SocketAddr,
    answer: impl Fn(&mut Choices, &Transmit) -> Vec<(SocketAddr, Vec<u8>)> + Send + Sync + 'static,
) -> Peer<E> {
    Arc::new(move |choices, now, output| match output {
        Output::Socket(SocketOrder::Open(open)) => {
            let event = match choices.below(8) {
                0 => SocketEvent::Refused(Refusal::AddressInUse),
                _ if open.local.port() == 0 => SocketEvent::Opened { local },
                _ => SocketEvent::Opened { local: SocketAddr::new(local.ip(), open.local.port()) },
            };
            vec![Step::socket_event(later(choices, now), open.id, event)]
        }
        Output::Transmit(sent) => answers(choices, now, local, sent, &answer),
        Output::Socket(SocketOrder::Close(_) | SocketOrder::Pause(_) | SocketOrder::Resume(_))
        | Output::Event(_)
        | Output::Wait(_) => Vec::new(),
    })
}

fn answers(
    choices: &mut Choices,
    now: Instant,
    local: SocketAddr,
    sent: &Transmit,
    answer: impl Fn(&mut Choices, &Transmit) -> Vec<(SocketAddr, Vec<u8>)>,
) -> Vec<Step> {
    let copies = match choices.below(8) {
        0 => 0,
        1 => 2,
        _ => 1,
    };
    let mut steps = Vec::new();
    for (mut remote, payload) in answer(choices, sent) {
        if choices.below(8) == 0 {
            remote.set_port(remote.port().wrapping_add(1));
        }
        for _ in 0..copies {
            steps.push(Step::datagram(later(choices, now), sent.socket, local, remote, &payload));
        }
    }
    if choices.below(32) == 0 {
        let event = SocketEvent::Unreachable { remote: sent.remote, why: Unreachability::Port };
        steps.push(Step::socket_event(later(choices, now), sent.socket, event));
    }
    steps
}

fn later(choices: &mut Choices, now: Instant) -> Instant {
    now + Duration::from_millis(choices.below(400))
}
