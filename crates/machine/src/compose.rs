//! Machines made of machines.
//!
//! A parent keeps each child in a [`Slot`]: the child and its last wait. After **every** `handle` and `command` the
//! parent settles: it drains all children in fixed order with [`Slot::take`], translates their events rather than
//! forwarding them, and repeats while that made new work, bounded per input. Its own `poll` then only pops its queue
//! and takes the earliest kept wait.
//!
//! [`Pair`] is a machine of two on shared sockets. It has nothing to translate, so it settles in `poll`: what peers
//! cause stays in the children's queues, within the children's bounds.
//!
//! ```
//! use portolan_machine::Either;
//!
//! type Command = Either<u8, u16>;
//! let command: Command = "second 700".parse()?;
//! assert_eq!(command, Either::Second(700));
//! assert_eq!(command.to_string(), "second 700");
//! # Ok::<(), portolan_machine::EitherParseError<core::num::ParseIntError, core::num::ParseIntError>>(())
//! ```

use crate::{Cx, Deadline, Input, Machine, Output, SocketNews, Verdict};
use core::fmt;
use core::str::FromStr;

/// A child machine and the wait that it last asked for.
#[derive(Clone, Debug)]
pub struct Slot<M> {
    machine: M,
    wait: Option<Deadline>,
}

impl<M: Machine> Slot<M> {
    /// Takes a child in. Its first wait is known once [`take`](Self::take) has drained it.
    pub const fn new(machine: M) -> Self {
        Self { machine, wait: None }
    }

    /// Hands an input to the child.
    pub fn handle(&mut self, cx: &mut Cx<'_>, input: Input<'_>) -> Verdict {
        self.machine.handle(cx, input)
    }

    /// Hands a command to the child.
    ///
    /// # Errors
    /// The child's own.
    pub fn command(&mut self, cx: &mut Cx<'_>, command: M::Command) -> Result<(), M::Error> {
        self.machine.command(cx, command)
    }

    /// The child's next output, never a [`Output::Wait`]; `None` when it is drained, and its wait is then kept.
    pub fn take(&mut self) -> Option<Output<M::Event>> {
        match self.machine.poll() {
            Output::Wait(wait) => {
                self.wait = wait;
                None
            }
            output @ (Output::Transmit(_) | Output::Socket(_) | Output::Event(_)) => Some(output),
        }
    }

    /// The wait kept from the last time the child was drained.
    #[must_use]
    pub const fn wait(&self) -> Option<Deadline> {
        self.wait
    }

    /// Whether the kept wait has come at `now`.
    #[must_use]
    pub fn is_due(&self, now: crate::Instant) -> bool {
        self.wait.is_some_and(|wait| wait.is_due(now))
    }

    /// The child, to look at.
    #[must_use]
    pub const fn get(&self) -> &M {
        &self.machine
    }

    /// The child, for its inherent commands.
    pub const fn get_mut(&mut self) -> &mut M {
        &mut self.machine
    }
}

/// One of two; the Command, Error and Event of a [`Pair`]. Its text begins with `first ` or `second `.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Either<A, B> {
    /// The first machine's.
    First(A),
    /// The second machine's.
    Second(B),
}

impl<A: fmt::Display, B: fmt::Display> fmt::Display for Either<A, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::First(a) => write!(f, "first {a}"),
            Self::Second(b) => write!(f, "second {b}"),
        }
    }
}

impl<A: core::error::Error, B: core::error::Error> core::error::Error for Either<A, B> {}

impl<A: FromStr, B: FromStr> FromStr for Either<A, B> {
    type Err = EitherParseError<A::Err, B::Err>;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(rest) = text.strip_prefix("first ") {
            rest.parse().map(Self::First).map_err(EitherParseError::First)
        } else if let Some(rest) = text.strip_prefix("second ") {
            rest.parse().map(Self::Second).map_err(EitherParseError::Second)
        } else {
            Err(EitherParseError::Prefix)
        }
    }
}

/// Why a text is not one of two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EitherParseError<A, B> {
    /// It begins neither with `first ` nor with `second `.
    Prefix,
    /// What follows `first ` could not be read.
    First(A),
    /// What follows `second ` could not be read.
    Second(B),
}

impl<A: fmt::Display, B: fmt::Display> fmt::Display for EitherParseError<A, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Prefix => f.write_str("expected a text that begins with `first ` or `second `"),
            Self::First(why) => write!(f, "after `first `: {why}"),
            Self::Second(why) => write!(f, "after `second `: {why}"),
        }
    }
}

impl<A: core::error::Error, B: core::error::Error> core::error::Error for EitherParseError<A, B> {}

/// A machine of two on shared sockets.
///
/// Datagrams, stream chunks and accepted streams go to the second only when the first says
/// [`Verdict::NotMine`]. Timeouts and all other socket news go to both, and their verdict means nothing.
#[derive(Clone, Debug)]
pub struct Pair<A, B> {
    /// Is asked first.
    pub first: A,
    /// Gets what the first left.
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
    type Error = Either<A::Error, B::Error>;
    type Event = Either<A::Event, B::Event>;

    fn command(&mut self, cx: &mut Cx<'_>, command: Self::Command) -> Result<(), Self::Error> {
        match command {
            Either::First(command) => {
                cx.within("first", 0, |cx| self.first.command(cx, command)).map_err(Either::First)
            }
            Either::Second(command) => {
                cx.within("second", 0, |cx| self.second.command(cx, command)).map_err(Either::Second)
            }
        }
    }

    fn handle(&mut self, cx: &mut Cx<'_>, input: Input<'_>) -> Verdict {
        let first = cx.within("first", 0, |cx| self.first.handle(cx, input));
        let shared = match input {
            Input::Datagram(_) | Input::Stream(_) | Input::Socket(_, SocketNews::Accepted { .. }) => false,
            Input::Socket(..) | Input::Timeout => true,
        };
        if first == Verdict::Mine && !shared {
            return Verdict::Mine;
        }
        let second = cx.within("second", 0, |cx| self.second.handle(cx, input));
        if first == Verdict::Mine { Verdict::Mine } else { second }
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
