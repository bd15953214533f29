//! A world for one machine: virtual time, an RNG that counts, and the outputs as lines like those of a packet trace.

use core::fmt::Debug;
use core::net::SocketAddr;
use portolan_machine::{
    Cx, Datagram, Entropy, Explain, Input, Instant, Machine, Output, Scope, SocketEvent, SocketId, SocketIds, Trace,
    Verdict,
};
use portolan_stun::{Attribute, Class, Message, Method, TransactionId, Writer};
use portolan_stun_agent::{ResponderEvent, TransactionEvent};

/// An RNG that counts: the first transaction id is 01 01 01…
#[derive(Clone, Debug, Default)]
pub(crate) struct Counting(u8);

impl Entropy for Counting {
    fn fill(&mut self, out: &mut [u8]) {
        self.0 = self.0.wrapping_add(1);
        out.fill(self.0);
    }
}

/// Collects the notes.
#[derive(Debug, Default)]
pub(crate) struct Notes(pub(crate) Vec<String>);

impl Trace for Notes {
    fn note(&mut self, _: Instant, _: &Scope<'_>, note: &dyn Explain) {
        let clause = note.rfc().map(|clause| format!(" [{clause}]")).unwrap_or_default();
        self.0.push(format!("{note}{clause}"));
    }
}

/// One machine with its time, RNG, socket ids and notes.
#[derive(Debug, Default)]
pub(crate) struct World<M> {
    pub(crate) machine: M,
    pub(crate) now: u64,
    pub(crate) notes: Notes,
    rng: Counting,
    ids: SocketIds,
}

impl<M: Machine> World<M>
where
    M::Event: Line,
{
    pub(crate) fn new(machine: M) -> Self {
        Self { machine, now: 0, notes: Notes::default(), rng: Counting(0), ids: SocketIds::new() }
    }

    pub(crate) fn with<R>(&mut self, call: impl FnOnce(&mut M, &mut Cx<'_>) -> R) -> R {
        let mut cx = Cx::new(Instant::from_millis(self.now), &mut self.rng, &mut self.ids).with_trace(&mut self.notes);
        call(&mut self.machine, &mut cx)
    }

    pub(crate) fn input(&mut self, input: Input<'_>) -> Verdict {
        self.with(|machine, cx| machine.handle(cx, input))
    }

    pub(crate) fn datagram(&mut self, socket: u64, remote: &str, payload: &[u8]) -> Verdict {
        self.input(Input::Datagram(Datagram::new(SocketId(socket), addr("198.51.100.7:40000"), addr(remote), payload)))
    }

    pub(crate) fn stream(&mut self, socket: u64, remote: &str, payload: &[u8]) -> Verdict {
        let chunk = Datagram::new(SocketId(socket), addr("198.51.100.7:40000"), addr(remote), payload);
        let taken = self.with(|machine, cx| machine.stream(cx, chunk));
        if taken.is_some() { Verdict::Mine } else { Verdict::NotMine }
    }

    pub(crate) fn socket_event(&mut self, socket: u64, event: SocketEvent) -> Verdict {
        self.input(Input::Socket(SocketId(socket), event))
    }

    /// Returns the outputs up to the wait.
    pub(crate) fn outputs(&mut self) -> Vec<Output<M::Event>> {
        let mut outputs = vec![];
        loop {
            match self.machine.poll() {
                Output::Wait(_) => return outputs,
                output @ (Output::Transmit(_) | Output::Socket(_) | Output::Event(_)) => outputs.push(output),
            }
        }
    }

    /// Returns the outputs up to the wait, as lines.
    pub(crate) fn lines(&mut self) -> Vec<String> {
        self.outputs().iter().map(|output| format!("{:>6} {}", self.now, line(output))).collect()
    }

    /// Advances the time from deadline to deadline until `until`. Returns the outputs as lines.
    pub(crate) fn run(&mut self, until: u64) -> Vec<String> {
        let mut lines = self.lines();
        while let Output::Wait(Some(wait)) = self.machine.poll() {
            let at = u64::try_from(wait.at.since_origin().as_micros().div_ceil(1000)).unwrap();
            if at > until {
                break;
            }
            assert!(at > self.now, "a deadline is later than the time: {wait} at {} ms", self.now);
            self.now = at;
            let _verdict = self.input(Input::Timeout);
            lines.extend(self.lines());
        }
        self.now = until;
        lines
    }
}

fn line<E: Line>(output: &Output<E>) -> String {
    match output {
        Output::Transmit(t) => {
            let hops = t.hop_limit.map(|hops| format!(" hops {hops}")).unwrap_or_default();
            let what = Message::decode(&t.payload).map_or("?".into(), |m| format!("{} {}", m.method(), m.class()));
            format!("{} > {} {what}, {} bytes{hops}", t.socket, t.remote, t.payload.len())
        }
        Output::Socket(order) => order.to_string(),
        Output::Event(event) => event.line(),
        Output::Wait(_) => unreachable!("drained before"),
    }
}

/// An event that can be shown as a line.
pub(crate) trait Line: Debug {
    fn line(&self) -> String;
}

impl<T: Debug> Line for TransactionEvent<T> {
    fn line(&self) -> String {
        match self {
            Self::Answered(a) => format!(
                "{:?} answered by {} on {}: answer {} after {} sends, {} ms since the first, {} since the last",
                a.tag,
                a.from,
                a.socket,
                a.nth,
                a.sends,
                a.since_first.as_millis(),
                a.since_last.as_millis()
            ),
            Self::Elsewhere(a) => {
                format!("{:?} answered from another address or socket: {} on {}", a.tag, a.from, a.socket)
            }
            Self::Exhausted { tag, sends, answers, .. } => {
                format!("{tag:?} exhausted: {sends} sends, {answers} answers")
            }
            Self::Unusable { .. } | Self::Unreachable { .. } | Self::SocketLost { .. } | _ => format!("{self:?}"),
        }
    }
}

impl Line for ResponderEvent {
    fn line(&self) -> String {
        match self {
            Self::Listening { socket, protocol, local } => format!("{socket} listening {protocol} {local}"),
            Self::Refused { protocol, local, why } => format!("refused {protocol} {local}: {why}"),
            Self::Lost { protocol, local, why } => format!("lost {protocol} {local}: {why}"),
            Self::Stopped | _ => format!("{self:?}"),
        }
    }
}

pub(crate) fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// A message with these attributes.
pub(crate) fn message(class: Class, id: TransactionId, attributes: &[Attribute<'_>]) -> Vec<u8> {
    let mut buffer = vec![0; 70_000];
    let mut writer = Writer::new(&mut buffer, class, Method::BINDING, id).unwrap();
    for attribute in attributes {
        writer.add(attribute).unwrap();
    }
    writer.finish().to_vec()
}

/// A success response with this id and a fixed XOR-MAPPED-ADDRESS.
pub(crate) fn success(id: TransactionId) -> Vec<u8> {
    message(Class::SuccessResponse, id, &[Attribute::XorMappedAddress(addr("203.0.113.5:50000"))])
}
