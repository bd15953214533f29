//! What goes into a machine and what comes out of it.
//!
//! Everything that can happen to a machine is an [`Input`] or a command, and everything that it does comes out of
//! [`Machine::poll`]. A run is therefore a list: it can be recorded, replayed, shrunk and fuzzed by tools that know no
//! protocol.
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
//!                 let _room = self.out.offer(Output::Transmit(answer)); // what a peer causes is bounded
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

use crate::{Cx, Datagram, Deadline, SocketId, SocketNews, SocketOrder, Transmit};
use alloc::collections::VecDeque;
use core::convert::Infallible;
use core::fmt;
use core::str::FromStr;

/// A protocol without a clock, without dice and without sockets.
///
/// The owner calls [`handle`](Self::handle) and [`command`](Self::command) when something happens, then
/// [`poll`](Self::poll) until it answers [`Output::Wait`], then sleeps until that deadline or the next happening.
/// The laws that every machine keeps stand on the [crate's front page](crate).
pub trait Machine {
    /// What its owner may ask, as text too, so that a recorded run is text; [`Never`] where there is nothing to ask.
    type Command: fmt::Display + FromStr;
    /// Why a command was refused: the caller's mistake, never the peer's.
    type Error: core::error::Error;
    /// What its owner must hear. The laws compare outputs.
    type Event: fmt::Debug + PartialEq;

    /// Does what its owner asks.
    ///
    /// # Errors
    /// When the caller asked for something impossible; the machine is then as it was.
    fn command(&mut self, cx: &mut Cx<'_>, command: Self::Command) -> Result<(), Self::Error>;

    /// Takes what happened. No packet makes it fail: rubbish is dropped with a note.
    fn handle(&mut self, cx: &mut Cx<'_>, input: Input<'_>) -> Verdict;

    /// The next thing to do; [`Output::Wait`] when there is nothing left but to sleep.
    fn poll(&mut self) -> Output<Self::Event>;
}

/// Something that happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input<'a> {
    /// A UDP datagram came.
    Datagram(Datagram<'a>),
    /// The next chunk of a byte stream came; its framing is the machine's.
    Stream(Datagram<'a>),
    /// Something happened to a socket.
    Socket(SocketId, SocketNews),
    /// Time has passed. Before its deadline it changes nothing.
    Timeout,
}

/// Something to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output<E> {
    /// Send this.
    Transmit(Transmit),
    /// Open or close a socket.
    Socket(SocketOrder),
    /// Tell the owner.
    Event(E),
    /// Nothing left to do until this deadline; `None`: until something happens.
    Wait(Option<Deadline>),
}

impl<E> Output<E> {
    /// The same output with its event translated.
    pub fn map<F>(self, translate: impl FnOnce(E) -> F) -> Output<F> {
        match self {
            Self::Transmit(transmit) => Output::Transmit(transmit),
            Self::Socket(order) => Output::Socket(order),
            Self::Event(event) => Output::Event(translate(event)),
            Self::Wait(wait) => Output::Wait(wait),
        }
    }
}

/// Whose the input was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use = "an input that is not this machine's belongs to the next one"]
pub enum Verdict {
    /// This machine's; it has been dealt with, even if only by dropping it with a note.
    Mine,
    /// Another's: nothing changed. Try the next machine, or hand the bytes to the application.
    NotMine,
}

/// Nothing: the Command, Error or Event of a machine that has none.
///
/// Our own, because a command must be readable from text and core's `Infallible` is not.
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

impl FromStr for Never {
    type Err = NoCommands;

    fn from_str(_: &str) -> Result<Self, NoCommands> {
        Err(NoCommands)
    }
}

/// The machine takes no commands at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NoCommands;

impl fmt::Display for NoCommands {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("this machine takes no commands")
    }
}

impl core::error::Error for NoCommands {}

/// The one output queue of a machine, so that packets and the events that explain them keep their order.
///
/// What the owner's commands and the machine's own timers cause goes in by [`push`](Self::push): arithmetic bounds it.
/// What peers cause goes in by [`offer`](Self::offer), which refuses past [`Outbox::LIMIT`] waiting outputs.
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
    /// How many outputs may wait before a peer can cause no more.
    pub const LIMIT: usize = 256;

    /// An empty queue; allocates nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self { waiting: VecDeque::new() }
    }

    /// Queues what the owner or a timer caused.
    pub fn push(&mut self, output: Output<E>) {
        self.waiting.push_back(output);
    }

    /// Queues what a peer caused, if there is room; `false`: dropped, and the machine should note it.
    #[must_use = "a dropped output should be noted"]
    pub fn offer(&mut self, output: Output<E>) -> bool {
        let room = self.waiting.len() < Self::LIMIT;
        if room {
            self.waiting.push_back(output);
        }
        room
    }

    /// The oldest output.
    pub fn pop(&mut self) -> Option<Output<E>> {
        self.waiting.pop_front()
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// How many outputs wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Forgets everything that waits; for the moment a machine ends.
    pub fn clear(&mut self) {
        self.waiting.clear();
    }
}
