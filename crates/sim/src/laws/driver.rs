//! Filters steps that no driver would deliver.
//!
//! A machine trusts its driver. The driver answers each order once, and reports nothing about a socket before it is
//! open or after it is closed. Random socket events break this contract, so the reaction of a machine shows nothing except a
//! panic (law 5 hands in such events by itself). A [`Driver`] follows the orders and decides which steps keep the
//! contract.

use super::Context;
use super::script::{Action, OwnedInput, Step};
use super::stage::{HIGHEST_SOCKET, Stage, StepResult};
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use portolan_machine::{Machine, Output, Protocol, Script, SocketEvent, SocketId, SocketOrder};

/// The sockets in the view of a driver.
#[derive(Debug)]
pub(super) struct Driver(BTreeMap<SocketId, (Kind, State)>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Datagrams,
    Stream,
    Listener,
    /// Handed in by the owner.
    Unknown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Ordered,
    Open,
    /// An open stream on which more than 64 KiB wait to be sent.
    Full,
    Dead,
}

impl Driver {
    pub(super) fn new(handed_in: &[SocketId]) -> Self {
        Self(handed_in.iter().map(|id| (*id, (Kind::Unknown, State::Open))).collect())
    }

    /// Applies the outputs of a drain.
    pub(super) fn learn<E>(&mut self, played: &StepResult<E>) {
        for output in &played.outputs {
            match output {
                Output::Socket(SocketOrder::Open(open)) => {
                    self.0.entry(open.id).or_insert((kind(open.protocol), State::Ordered));
                }
                Output::Socket(SocketOrder::Close(id)) => self.set(*id, State::Dead),
                Output::Socket(SocketOrder::Pause(_) | SocketOrder::Resume(_))
                | Output::Transmit(_)
                | Output::Event(_)
                | Output::Wait(_) => {}
            }
        }
    }

    /// Whether a driver would deliver this step now. If so, applies the step.
    pub(super) fn accepts(&mut self, step: &Step) -> bool {
        match &step.action {
            Action::Command(_) | Action::Input(OwnedInput::Timeout) => true,
            Action::Input(OwnedInput::Datagram(d)) | Action::Stream(d) => {
                // A socket that the machine did not order belongs to another machine, and every machine sees its bytes.
                self.get(d.socket).is_none_or(|(_, state)| matches!(state, State::Open | State::Full))
            }
            Action::Input(OwnedInput::Socket(id, event)) => self.socket_event(*id, *event),
        }
    }

    fn socket_event(&mut self, id: SocketId, event: SocketEvent) -> bool {
        let Some((kind, state)) = self.get(id) else {
            // The socket of another machine. But the machine may draw a low number later, so such a socket belongs to
            // no machine.
            return id.0 > HIGHEST_SOCKET;
        };
        match (event, state) {
            (SocketEvent::Opened { .. }, State::Ordered) => self.set(id, State::Open),
            (SocketEvent::Refused(_), State::Ordered) => self.set(id, State::Dead),
            (SocketEvent::Closed(_), State::Open | State::Full) if kind != Kind::Datagrams => self.set(id, State::Dead),
            (SocketEvent::Unreachable { .. }, State::Open) if matches!(kind, Kind::Datagrams | Kind::Unknown) => {}
            (SocketEvent::Full, State::Open) if matches!(kind, Kind::Stream | Kind::Unknown) => {
                self.set(id, State::Full);
            }
            (SocketEvent::Writable, State::Full) => self.set(id, State::Open),
            (SocketEvent::Accepted { socket, .. }, State::Open)
                if matches!(kind, Kind::Listener | Kind::Unknown) && self.get(socket).is_none() =>
            {
                self.0.insert(socket, (Kind::Stream, State::Open));
            }
            (
                SocketEvent::Opened { .. }
                | SocketEvent::Accepted { .. }
                | SocketEvent::Refused(_)
                | SocketEvent::Unreachable { .. }
                | SocketEvent::Full
                | SocketEvent::Writable
                | SocketEvent::Closed(_),
                State::Ordered | State::Open | State::Full | State::Dead,
            ) => return false,
        }
        true
    }

    /// The sockets that can end without an order of the machine: streams, listeners and handed-in sockets.
    pub(super) fn closable(&self) -> Vec<SocketId> {
        let alive = self
            .0
            .iter()
            .filter(|(_, (kind, state))| *kind != Kind::Datagrams && matches!(state, State::Open | State::Full));
        alive.map(|(id, _)| *id).collect()
    }

    fn get(&self, id: SocketId) -> Option<(Kind, State)> {
        self.0.get(&id).copied()
    }

    fn set(&mut self, id: SocketId, state: State) {
        if let Some((_, known)) = self.0.get_mut(&id) {
            *known = state;
        }
    }
}

const fn kind(protocol: Protocol) -> Kind {
    match protocol {
        Protocol::Udp => Kind::Datagrams,
        Protocol::Tcp | Protocol::Tls => Kind::Stream,
        Protocol::TcpListen | Protocol::TlsListen => Kind::Listener,
    }
}

/// Removes the steps that no driver would deliver. These are events of sockets that were not ordered, second answers
/// to one order, and inputs from sockets that are not open.
///
/// Handed-in sockets are open. Events of very high socket numbers belong to another machine and stay in the script.
///
/// ```
/// use portolan_machine::{Instant, SocketId, SocketEvent, Never};
/// use portolan_sim::laws::{self, Context, Step};
/// # use portolan_machine::{Cx, Input, Machine, Output, Verdict};
/// # struct Deaf;
/// # impl Machine for Deaf {
/// #     type Command = Never;
/// #     type Error = Never;
/// #     type Event = ();
/// #     fn command(&mut self, _: &mut Cx<'_>, command: Never) -> Result<(), Never> { match command {} }
/// #     fn handle(&mut self, _: &mut Cx<'_>, _: Input<'_>) -> Verdict { Verdict::NotMine }
/// #     fn poll(&mut self) -> Output<()> { Output::Wait(None) }
/// # }
///
/// // `Deaf` orders nothing, so no driver reports that a socket is open.
/// let opened = SocketEvent::Opened { local: "192.0.2.1:5000".parse()? };
/// let script = [Step::socket_event(Instant::ORIGIN, SocketId(1), opened), Step::timeout(Instant::ORIGIN)];
/// assert_eq!(laws::driver_legal(&|| Deaf, &script, &Context::default()), script[1..]);
/// # Ok::<(), core::net::AddrParseError>(())
/// ```
#[must_use]
pub fn driver_legal<M: Machine<Command: Script>>(
    factory: &impl Fn() -> M,
    script: &[Step],
    context: &Context<'_, M>,
) -> Vec<Step> {
    let mut stage = Stage::new(factory(), context);
    let mut driver = Driver::new(context.handed_in);
    driver.learn(&stage.drain());
    let mut kept = Vec::new();
    for step in script {
        if driver.accepts(step) {
            driver.learn(&stage.play(step));
            kept.push(step.clone());
        }
    }
    kept
}
