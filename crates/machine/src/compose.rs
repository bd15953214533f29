//! Machines made of machines.
//!
//! # A parent and its children
//!
//! A parent keeps each child in a [`Slot`]. After **every** `handle`, `stream` and `command` the parent drains its
//! children in a fixed order with [`Slot::take`]. The parent translates the events of the children and does not pass
//! these events on unchanged. The parent drains again while the translation caused new work, at most a fixed number
//! of times per input. The parent's own `poll` then pops its queue. When the queue is empty, `poll` returns the
//! earliest wait of the children ([`Slot::wait`]).
//!
//! A slot records every access that can change its child. So draining skips unchanged children, and a stale wait is
//! impossible. On `Timeout` the parent calls [`Slot::wake`] for each child. That call hands a timeout to a child only
//! when the child's wait is due.
//!
//! # Law 7 in a parent
//!
//! A child queues the outputs that peers cause by [`Outbox::offer`](crate::Outbox::offer): at most 256 outputs wait
//! in the child. A parent that drains the child after every input lifts this bound, because the outputs then wait in
//! the parent. So a parent queues the outputs that datagrams cause by `offer` on its own queue. A parent hands bytes
//! of a stream to a child only while the parent's queue is empty, and stops the stream otherwise
//! ([`Machine::stream`]).
//!
//! # Virtual sockets
//!
//! A parent may take a [`SocketId`](crate::SocketId) from [`Cx::next_socket`] and drive that socket itself. For the
//! child such a socket is like any other. The parent hands in `Opened` and datagrams under this id, and takes the
//! child's transmits on this id. In this way a parent presents a TURN allocation to an ICE agent as a socket: the
//! agent has no TURN code. The parent does not pass the id to the driver.
//!
//! # Two machines
//!
//! [`Pair`] is two machines on shared sockets. [`Either`] is a machine that is one of two, for a table of machines of
//! several kinds. Neither translates events, so both drain in `poll`: the outputs that peers cause stay in the queue
//! of each machine, within its bound.
//!
//! ```
//! use portolan_machine::{Either, Script, ScriptError};
//! # use core::fmt::{self, Write};
//! # #[derive(Debug, PartialEq)]
//! # struct Count(u16);
//! # impl Script for Count {
//! #     fn write(&self, out: &mut dyn Write) -> fmt::Result { write!(out, "{}", self.0) }
//! #     fn read(text: &str) -> Result<Self, ScriptError> { text.parse().map(Self).map_err(|_| ScriptError::new("a count")) }
//! # }
//!
//! let command = Either::<Count, Count>::read("second 700")?;
//! assert_eq!(command, Either::Second(Count(700)));
//! assert_eq!(command.to_text(), "second 700");
//! # Ok::<(), ScriptError>(())
//! ```

use crate::{
    Cx, Datagram, Deadline, Forward, Input, Instant, Machine, Output, Script, ScriptError, SocketEvent, Verdict,
};
use core::fmt;

/// A child machine with its name and its last wait.
pub struct Slot<M: Machine> {
    machine: M,
    name: &'static str,
    index: u32,
    wait: Option<Deadline>,
    /// Whether the child may have changed since it was last drained.
    touched: bool,
    /// An output that [`Slot::wait`] took from the child. `None` unless the parent has forgotten to drain the child.
    ahead: Option<Output<M::Event>>,
}

impl<M: Machine> Slot<M> {
    /// A slot for `machine`. Its notes carry `name` and `index`.
    pub const fn new(name: &'static str, index: u32, machine: M) -> Self {
        Self { machine, name, index, wait: None, touched: true, ahead: None }
    }

    /// Hands an input to the child.
    pub fn handle(&mut self, cx: &mut Cx<'_>, input: Input<'_>) -> Verdict {
        let verdict = cx.within(self.name, self.index, |cx| self.machine.handle(cx, input));
        self.touched |= verdict == Verdict::Mine;
        verdict
    }

    /// Hands bytes of a stream to the child; see [`Machine::stream`].
    pub fn stream(&mut self, cx: &mut Cx<'_>, chunk: Datagram<'_>) -> Option<usize> {
        let taken = cx.within(self.name, self.index, |cx| self.machine.stream(cx, chunk));
        self.touched |= taken.is_some();
        taken
    }

    /// Calls [`Machine::forward`] of the child. A parent that returns the result guarantees that its own `handle`
    /// would have changed no state outside the child.
    pub fn forward<'a>(&mut self, cx: &mut Cx<'_>, datagram: Datagram<'a>) -> Option<Forward<'a>> {
        let forward = cx.within(self.name, self.index, |cx| self.machine.forward(cx, datagram));
        self.touched |= forward.is_some();
        forward
    }

    /// Hands a command to the child.
    ///
    /// # Errors
    /// The child's error.
    pub fn command(&mut self, cx: &mut Cx<'_>, command: M::Command) -> Result<(), M::Error> {
        self.with(cx, |machine, cx| machine.command(cx, command))
    }

    /// Calls an inherent command of the child.
    pub fn with<R>(&mut self, cx: &mut Cx<'_>, call: impl FnOnce(&mut M, &mut Cx<'_>) -> R) -> R {
        self.touched = true;
        cx.within(self.name, self.index, |cx| call(&mut self.machine, cx))
    }

    /// Hands a timeout to the child if the child's wait is due, and returns whether it was due.
    pub fn wake(&mut self, cx: &mut Cx<'_>) -> bool {
        let due = self.wait().is_some_and(|wait| wait.is_due(cx.now()));
        if due {
            let _mine = self.handle(cx, Input::Timeout);
            self.touched = true;
        }
        due
    }

    /// Returns the child's next output, never an [`Output::Wait`]. `None`: the child is drained, or has not changed.
    pub fn take(&mut self) -> Option<Output<M::Event>> {
        if let Some(output) = self.ahead.take() {
            return Some(output);
        }
        if !self.touched {
            return None;
        }
        match self.machine.poll() {
            Output::Wait(wait) => {
                self.wait = wait;
                self.touched = false;
                None
            }
            output @ (Output::Transmit(_) | Output::Socket(_) | Output::Event(_)) => Some(output),
        }
    }

    /// Returns the child's wait. Polls a child that may have changed. When the parent forgot to drain the child, the
    /// wait is already over, so that the parent gets a timeout and drains.
    pub fn wait(&mut self) -> Option<Deadline> {
        if self.touched && self.ahead.is_none() {
            self.ahead = self.take();
        }
        if self.ahead.is_some() {
            return Some(Deadline::new(Instant::ORIGIN, "an undrained child"));
        }
        self.wait
    }

    /// The child.
    #[must_use]
    pub const fn get(&self) -> &M {
        &self.machine
    }

    /// The child, to change it without a [`Cx`]. The parent drains it afterwards.
    pub const fn get_mut(&mut self) -> &mut M {
        self.touched = true;
        &mut self.machine
    }
}

impl<M: Machine + Clone> Clone for Slot<M>
where
    M::Event: Clone,
{
    fn clone(&self) -> Self {
        let Self { ref machine, name, index, wait, touched, ref ahead } = *self;
        Self { machine: machine.clone(), name, index, wait, touched, ahead: ahead.clone() }
    }
}

impl<M: Machine + fmt::Debug> fmt::Debug for Slot<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { machine, name, index, wait, touched, ahead } = self;
        f.debug_struct("Slot")
            .field("name", name)
            .field("index", index)
            .field("machine", machine)
            .field("wait", wait)
            .field("touched", touched)
            .field("ahead", ahead)
            .finish()
    }
}

/// A machine that is either `A` or `B`. Also the Command and Event of such a machine and of a [`Pair`].
///
/// As a command its text begins with `first ` or `second ` ([`Script`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Either<A, B> {
    /// The first kind.
    First(A),
    /// The second kind.
    Second(B),
}

impl<A, B> Either<A, B> {
    /// The value of the first kind; `None` for the second kind.
    pub const fn as_first(&self) -> Option<&A> {
        match self {
            Self::First(first) => Some(first),
            Self::Second(_) => None,
        }
    }

    /// A mutable reference to the value of the first kind; `None` for the second kind.
    pub const fn as_first_mut(&mut self) -> Option<&mut A> {
        match self {
            Self::First(first) => Some(first),
            Self::Second(_) => None,
        }
    }

    /// The value of the second kind; `None` for the first kind.
    pub const fn as_second(&self) -> Option<&B> {
        match self {
            Self::First(_) => None,
            Self::Second(second) => Some(second),
        }
    }

    /// A mutable reference to the value of the second kind; `None` for the first kind.
    pub const fn as_second_mut(&mut self) -> Option<&mut B> {
        match self {
            Self::First(_) => None,
            Self::Second(second) => Some(second),
        }
    }
}

impl<A: Script, B: Script> Script for Either<A, B> {
    fn write(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        match self {
            Self::First(first) => {
                out.write_str("first ")?;
                first.write(out)
            }
            Self::Second(second) => {
                out.write_str("second ")?;
                second.write(out)
            }
        }
    }

    fn read(text: &str) -> Result<Self, ScriptError> {
        if let Some(rest) = text.strip_prefix("first ") {
            A::read(rest).map(Self::First)
        } else if let Some(rest) = text.strip_prefix("second ") {
            B::read(rest).map(Self::Second)
        } else {
            Err(ScriptError::new("a text that begins with `first ` or `second `"))
        }
    }
}

/// Why a command of an [`Either`] or of a [`Pair`] was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EitherError<A, B> {
    /// The first machine refused it.
    First(A),
    /// The second machine refused it.
    Second(B),
    /// The command is for the other kind of machine.
    Absent,
}

impl<A: fmt::Display, B: fmt::Display> fmt::Display for EitherError<A, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::First(why) => write!(f, "first machine: {why}"),
            Self::Second(why) => write!(f, "second machine: {why}"),
            Self::Absent => f.write_str("the command is for another kind of machine"),
        }
    }
}

impl<A: core::error::Error, B: core::error::Error> core::error::Error for EitherError<A, B> {}

impl<A: Machine, B: Machine> Machine for Either<A, B> {
    type Command = Either<A::Command, B::Command>;
    type Error = EitherError<A::Error, B::Error>;
    type Event = Either<A::Event, B::Event>;

    fn command(&mut self, cx: &mut Cx<'_>, command: Self::Command) -> Result<(), Self::Error> {
        match (self, command) {
            (Self::First(machine), Either::First(command)) => machine.command(cx, command).map_err(EitherError::First),
            (Self::Second(machine), Either::Second(command)) => {
                machine.command(cx, command).map_err(EitherError::Second)
            }
            (Self::First(_), Either::Second(_)) | (Self::Second(_), Either::First(_)) => Err(EitherError::Absent),
        }
    }

    fn handle(&mut self, cx: &mut Cx<'_>, input: Input<'_>) -> Verdict {
        match self {
            Self::First(machine) => machine.handle(cx, input),
            Self::Second(machine) => machine.handle(cx, input),
        }
    }

    fn stream(&mut self, cx: &mut Cx<'_>, chunk: Datagram<'_>) -> Option<usize> {
        match self {
            Self::First(machine) => machine.stream(cx, chunk),
            Self::Second(machine) => machine.stream(cx, chunk),
        }
    }

    fn forward<'a>(&mut self, cx: &mut Cx<'_>, datagram: Datagram<'a>) -> Option<Forward<'a>> {
        match self {
            Self::First(machine) => machine.forward(cx, datagram),
            Self::Second(machine) => machine.forward(cx, datagram),
        }
    }

    fn poll(&mut self) -> Output<Self::Event> {
        match self {
            Self::First(machine) => machine.poll().map(Either::First),
            Self::Second(machine) => machine.poll().map(Either::Second),
        }
    }
}

/// A machine of two machines on shared sockets.
///
/// A datagram, bytes of a stream or an accepted stream go to the second machine only when the first returns
/// [`Verdict::NotMine`] or `None`. Timeouts and all other socket events go to both machines. The verdict is
/// [`Verdict::Mine`] if one machine returns it.
///
/// [`Machine::forward`] calls the first machine, then the second. So the second must forward no datagram that the
/// first would take.
#[derive(Clone, Debug)]
pub struct Pair<A, B> {
    /// The machine that gets each input first.
    pub first: A,
    /// The machine that gets the inputs that the first does not take.
    pub second: B,
}

impl<A: Machine, B: Machine> Pair<A, B> {
    /// Puts two machines on the same sockets.
    pub const fn new(first: A, second: B) -> Self {
        Self { first, second }
    }
}

impl<A: Machine, B: Machine> Machine for Pair<A, B> {
    type Command = Either<A::Command, B::Command>;
    type Error = EitherError<A::Error, B::Error>;
    type Event = Either<A::Event, B::Event>;

    fn command(&mut self, cx: &mut Cx<'_>, command: Self::Command) -> Result<(), Self::Error> {
        match command {
            Either::First(command) => {
                cx.within("first", 0, |cx| self.first.command(cx, command)).map_err(EitherError::First)
            }
            Either::Second(command) => {
                cx.within("second", 0, |cx| self.second.command(cx, command)).map_err(EitherError::Second)
            }
        }
    }

    fn handle(&mut self, cx: &mut Cx<'_>, input: Input<'_>) -> Verdict {
        let first = cx.within("first", 0, |cx| self.first.handle(cx, input));
        let shared = match input {
            Input::Datagram(_) | Input::Socket(_, SocketEvent::Accepted { .. }) => false,
            Input::Socket(..) | Input::Timeout => true,
        };
        if first == Verdict::Mine && !shared {
            return Verdict::Mine;
        }
        let second = cx.within("second", 0, |cx| self.second.handle(cx, input));
        if first == Verdict::Mine { Verdict::Mine } else { second }
    }

    fn stream(&mut self, cx: &mut Cx<'_>, chunk: Datagram<'_>) -> Option<usize> {
        let first = cx.within("first", 0, |cx| self.first.stream(cx, chunk));
        first.or_else(|| cx.within("second", 0, |cx| self.second.stream(cx, chunk)))
    }

    fn forward<'a>(&mut self, cx: &mut Cx<'_>, datagram: Datagram<'a>) -> Option<Forward<'a>> {
        let first = cx.within("first", 0, |cx| self.first.forward(cx, datagram));
        first.or_else(|| cx.within("second", 0, |cx| self.second.forward(cx, datagram)))
    }

    fn poll(&mut self) -> Output<Self::Event> {
        let first = match self.first.poll() {
            Output::Wait(wait) => wait,
            output @ (Output::Transmit(_) | Output::Socket(_) | Output::Event(_)) => return output.map(Either::First),
        };
        match self.second.poll() {
            Output::Wait(second) => Output::Wait(Deadline::earliest(first, second)),
            output @ (Output::Transmit(_) | Output::Socket(_) | Output::Event(_)) => output.map(Either::Second),
        }
    }
}
