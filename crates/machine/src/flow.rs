//! The inputs and outputs of a machine.
//!
//! A machine takes an [`Input`], bytes of a stream, or a command. It returns all outputs from [`Machine::poll`]. A
//! run is therefore a list. A tool without protocol code can record it, replay it, shrink it and fuzz it.
//!
//! ```
//! use bytes::Bytes;
//! use core::time::Duration;
//! use portolan_machine::{Cx, Deadline, Input, Instant, Machine, Never, Outbox, Output, Transmit, Verdict};
//! # struct Zero;
//! # impl portolan_machine::Entropy for Zero { fn fill(&mut self, out: &mut [u8]) { out.fill(0) } }
//!
//! /// Sends every datagram back, and ends after ten quiet seconds.
//! #[derive(Default)]
//! struct Echo { out: Outbox<&'static str>, quiet_at: Option<Instant> }
//!
//! impl Machine for Echo {
//!     type Command = Never;
//!     type Error = Never;
//!     type Event = &'static str;
//!
//!     fn command(&mut self, _: &mut Cx<'_>, command: Never) -> Result<(), Never> {
//!         match command {}
//!     }
//!
//!     fn handle(&mut self, cx: &mut Cx<'_>, input: Input<'_>) -> Verdict {
//!         match input {
//!             Input::Datagram(d) => {
//!                 let answer = Transmit::new(d.socket, d.remote, Bytes::copy_from_slice(d.payload));
//!                 let _room = self.out.offer(Output::Transmit(answer)); // outputs that peers cause are bounded
//!                 self.quiet_at = Some(cx.now() + Duration::from_secs(10));
//!                 Verdict::Mine
//!             }
//!             Input::Timeout if self.quiet_at.is_some_and(|at| at <= cx.now()) => {
//!                 self.quiet_at = None;
//!                 self.out.push(Output::Event("quiet"));
//!                 Verdict::Mine
//!             }
//!             _ => Verdict::NotMine,
//!         }
//!     }
//!
//!     fn poll(&mut self) -> Output<&'static str> {
//!         self.out.pop().unwrap_or(Output::Wait(self.quiet_at.map(|at| Deadline::new(at, "quiet"))))
//!     }
//! }
//!
//! let mut echo = Echo::default();
//! assert_eq!(echo.poll(), Output::Wait(None));
//! ```

use crate::{Cx, Datagram, Deadline, Forward, SocketEvent, SocketId, SocketOrder, Transmit};
use alloc::collections::VecDeque;
use core::convert::Infallible;
use core::fmt;

/// A protocol without I/O: it has no clock, no RNG and no sockets of its own.
///
/// The owner calls [`command`](Self::command), [`handle`](Self::handle) and [`stream`](Self::stream). After each call
/// the owner *drains* the machine: it calls [`poll`](Self::poll) until the machine returns [`Output::Wait`]. Then the
/// owner waits for the deadline or for the next input. The [laws](crate#the-laws) hold for every machine.
pub trait Machine {
    /// The commands; [`Never`] for a machine without commands. A command that can be recorded implements [`Script`].
    type Command;
    /// The reason why a command was refused: a mistake of the caller, never of the peer.
    type Error: core::error::Error;
    /// The events, on which the owner must act. The laws compare outputs.
    type Event: fmt::Debug + PartialEq;

    /// Executes a command of the owner.
    ///
    /// # Errors
    /// [`Self::Error`], when the caller asked for something impossible. The machine is then unchanged.
    fn command(&mut self, cx: &mut Cx<'_>, command: Self::Command) -> Result<(), Self::Error>;

    /// Takes one input. No packet makes this call fail: the machine drops an invalid packet with a note.
    fn handle(&mut self, cx: &mut Cx<'_>, input: Input<'_>) -> Verdict;

    /// Takes the next bytes of a stream, and returns the number of bytes taken. The machine does the framing.
    ///
    /// * `None`: the stream is not this machine's, and nothing changed. The owner calls the next machine, or passes
    ///   the bytes to the application.
    /// * `Some(n)`: the machine took the first `n` bytes; 0 is allowed. The owner drains the machine and hands in the
    ///   other bytes. Before that, the owner reads no more from this stream.
    ///
    /// A machine stops in the middle of a chunk when its output queue is full. So no byte of a stream is dropped, and
    /// the peer waits (backpressure). A drained machine takes at least one byte of a stream that it has not paused. The
    /// driver closes a stream of which the machine takes nothing twice in a row.
    ///
    /// The driver does not call this method for a stream that is paused, and for an accepted stream that is full. It
    /// calls this method for all other full streams ([`socket`](crate::socket)).
    fn stream(&mut self, cx: &mut Cx<'_>, chunk: Datagram<'_>) -> Option<usize> {
        let _ = (cx, chunk);
        None
    }

    /// Returns the one transmit that this datagram causes, without a queue and without an allocation.
    ///
    /// This is a fast path for relays. A machine returns `Some` only where [`handle`](Self::handle) would queue this
    /// one transmit and nothing else. Its state is afterwards the same as after `handle`, statistics and drawn random
    /// bytes included. `None` changes nothing; the owner then calls `handle`.
    ///
    /// Only the owner of the sockets calls this method: on a drained machine, for UDP datagrams, before `handle`. A
    /// recorder does not call it.
    fn forward<'a>(&mut self, cx: &mut Cx<'_>, datagram: Datagram<'a>) -> Option<Forward<'a>> {
        let _ = (cx, datagram);
        None
    }

    /// Returns the next output; [`Output::Wait`] when no other output is left.
    fn poll(&mut self) -> Output<Self::Event>;
}

/// An input of a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input<'a> {
    /// A UDP datagram arrived.
    Datagram(Datagram<'a>),
    /// An event of a socket.
    Socket(SocketId, SocketEvent),
    /// Time has passed. Before the machine's deadline this input changes nothing.
    Timeout,
}

/// An output of a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output<E> {
    /// Send these bytes.
    Transmit(Transmit),
    /// Execute this order on a socket.
    Socket(SocketOrder),
    /// Pass this event to the owner.
    Event(E),
    /// Nothing is left to do until this deadline; `None`: until the next input.
    Wait(Option<Deadline>),
}

impl<E> Output<E> {
    /// Returns the same output with its event translated.
    pub fn map<F>(self, translate: impl FnOnce(E) -> F) -> Output<F> {
        match self {
            Self::Transmit(transmit) => Output::Transmit(transmit),
            Self::Socket(order) => Output::Socket(order),
            Self::Event(event) => Output::Event(translate(event)),
            Self::Wait(wait) => Output::Wait(wait),
        }
    }
}

/// Whether an input belonged to the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use = "an input that is not this machine's belongs to the next one"]
pub enum Verdict {
    /// The input was this machine's. The machine handled it, or dropped it with a note.
    Mine,
    /// The input was not this machine's, and nothing changed. The owner calls the next machine, or passes the bytes
    /// to the application.
    NotMine,
}

/// The text form of a command, so that a recorded run is text.
///
/// The text holds everything that a replay needs, secrets included. `Debug` and `Display` of a command show no secret.
///
/// ```
/// use core::fmt::{self, Write};
/// use portolan_machine::{Script, ScriptError};
///
/// #[derive(Debug, PartialEq)]
/// struct Ping { count: u8 }
///
/// impl Script for Ping {
///     fn write(&self, out: &mut dyn Write) -> fmt::Result {
///         write!(out, "ping {}", self.count)
///     }
///     fn read(text: &str) -> Result<Self, ScriptError> {
///         let count = text.strip_prefix("ping ").ok_or(ScriptError::new("`ping COUNT`"))?;
///         Ok(Self { count: count.parse().map_err(|_| ScriptError::new("a count from 0 to 255"))? })
///     }
/// }
///
/// assert_eq!(Ping { count: 3 }.to_text(), "ping 3");
/// assert_eq!(Ping::read("ping 3"), Ok(Ping { count: 3 }));
/// assert_eq!(Ping::read("ping x").unwrap_err().to_string(), "expected a count from 0 to 255");
/// ```
pub trait Script: Sized {
    /// Writes the command as one line of text.
    ///
    /// # Errors
    /// [`fmt::Error`], when `out` returns it.
    fn write(&self, out: &mut dyn fmt::Write) -> fmt::Result;

    /// Reads a command from the text that [`write`](Self::write) wrote.
    ///
    /// # Errors
    /// [`ScriptError`], when the text is not a command of this type.
    fn read(text: &str) -> Result<Self, ScriptError>;

    /// Returns the command as one line of text.
    fn to_text(&self) -> alloc::string::String {
        let mut text = alloc::string::String::new();
        let written = self.write(&mut text);
        debug_assert!(written.is_ok(), "a string takes every text");
        text
    }
}

/// The error for a text that is not a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct ScriptError {
    /// The expected text, in a few words.
    pub expected: &'static str,
}

impl ScriptError {
    /// An error with the expected text.
    #[must_use]
    pub const fn new(expected: &'static str) -> Self {
        Self { expected }
    }
}

impl fmt::Display for ScriptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "expected {}", self.expected)
    }
}

impl core::error::Error for ScriptError {}

/// A type without values: the Command, Error or Event of a machine that has none.
///
/// `Infallible` of `core` is not used, because the orphan rule limits the traits that other crates can implement for
/// it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Never {}

impl fmt::Display for Never {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {}
    }
}

impl core::error::Error for Never {}

impl From<Infallible> for Never {
    fn from(value: Infallible) -> Self {
        match value {}
    }
}

impl Script for Never {
    fn write(&self, _: &mut dyn fmt::Write) -> fmt::Result {
        match *self {}
    }

    fn read(_: &str) -> Result<Self, ScriptError> {
        Err(ScriptError::new("no command: this machine takes none"))
    }
}

/// The output queue of a machine. It is one queue, so that packets and the events that explain them keep their order.
///
/// Outputs that the owner's commands and the machine's own timers cause go in by [`push`](Self::push); their number is
/// bounded by arithmetic. Outputs that peers cause go in by [`offer`](Self::offer), which refuses an output when
/// [`Outbox::LIMIT`] outputs wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outbox<E> {
    waiting: VecDeque<Output<E>>,
}

impl<E> Default for Outbox<E> {
    fn default() -> Self {
        Self::new()
    }
}

impl<E> Outbox<E> {
    /// The number of outputs that may wait before peers can cause no more.
    pub const LIMIT: usize = 256;

    /// An empty queue; allocates nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self { waiting: VecDeque::new() }
    }

    /// Queues an output that the owner or a timer caused.
    pub fn push(&mut self, output: Output<E>) {
        self.waiting.push_back(output);
    }

    /// Queues an output that a peer caused, if there is room. Returns `false` when it was dropped; the machine then
    /// makes a note.
    #[must_use = "a dropped output should be noted"]
    pub fn offer(&mut self, output: Output<E>) -> bool {
        let room = self.room() > 0;
        if room {
            self.waiting.push_back(output);
        }
        room
    }

    /// Returns the oldest output.
    pub fn pop(&mut self) -> Option<Output<E>> {
        self.waiting.pop_front()
    }

    /// Whether no output waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// The number of outputs that wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// The number of outputs that [`offer`](Self::offer) still takes.
    #[must_use]
    pub fn room(&self) -> usize {
        Self::LIMIT.saturating_sub(self.waiting.len())
    }

    /// Drops all outputs that wait, for the moment when a machine ends.
    pub fn clear(&mut self) {
        self.waiting.clear();
    }
}
