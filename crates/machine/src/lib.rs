//! The traits and types between a machine (a protocol without I/O) and its driver.
//!
//! # Scope
//!
//! This crate reads no clock, has no RNG, opens no socket, prints nothing and logs nothing. A machine that is built
//! on this crate cannot do so either: a machine uses only the [`Cx`] of a call. This crate implements no protocol. It
//! has no features, no dependency but `bytes`, and no error type for the whole workspace.
//!
//! # Overview
//!
//! A [`Machine`] takes an [`Input`], bytes of a stream, or a command. A machine returns an [`Output`] from
//! [`Machine::poll`]. The driver owns the sockets, and the machine names them ([`SocketId`]). Failures have three
//! channels. A mistake of the caller is an `Err` from a command. An invalid packet from the peer or the network is
//! dropped with a note ([`Cx::note`]): it causes no `Err` and no panic. The end of a machine is one last, typed
//! event.
//!
//! ```text
//!                 commands ──▶ ┌─────────┐
//!  datagrams, stream bytes ──▶ │ Machine │ ──▶ poll(): Transmit · Socket · Event … then Wait(deadline, why)
//!        socket events, time ──▶ └─────────┘
//!                                  ▲ Cx: now, random, next_socket, note
//! ```
//!
//! # The laws
//!
//! `portolan-sim` checks the laws for any machine by plain functions (`sim::laws`). `portolan-strategies` checks them
//! under proptest with shrinking.
//!
//! 1. **A drain ends.** `poll` reaches `Wait` after finitely many outputs.
//! 2. **Waits lie ahead.** A `Wait` after time *t* is later than *t*, and a due deadline moves on: no busy loop.
//! 3. **An early timeout changes nothing.**
//! 4. **Time may run backwards.** Time that runs backwards or leaps never causes a panic.
//! 5. **No input panics.**
//! 6. **The owner chooses when to drain.** Two inputs without a drain between them are legal.
//! 7. **Peers are bounded.** At most [`Outbox::LIMIT`] outputs that peers cause are queued. Further ones are dropped
//!    with a note. This law also holds for a machine made of machines.
//! 8. **No transmit on a socket before `Opened`** (or before its owner handed it in by id).
//! 9. **Determinism.** The same inputs and commands at the same times, with the same random bytes and socket ids,
//!    give the same outputs, with or without a trace. A recording holds all five lists.
//! 10. **`NotMine` changes nothing.** A `None` of `stream` or `forward` changes nothing either.
//! 11. **The end is final.** After the terminal event, `poll` returns only `Wait(None)`.
//! 12. **`forward` is equivalent to `handle`.** It returns `Some` only where `handle` would queue this one transmit
//!     and nothing else. All later outputs are the same.
//! 13. **No byte of a stream is dropped.** The outputs do not depend on how a stream is cut into chunks.
//! 14. **State is bounded and released.** A flood from any number of peers leaves a bounded state. When all sockets are
//!     closed and all deadlines have passed, the state is as small as that of a new machine.
//!
//! # Modules
//!
//! [`flow`] (inputs and outputs), [`hex`] (bytes in the text of commands), [`transmit`] (bytes), [`socket`], [`time`], [`timers`], [`cx`] (the context of a
//! call), [`compose`] (machines made of machines).

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod compose;
pub mod cx;
pub mod flow;
pub mod hex;
pub mod socket;
pub mod time;
pub mod timers;
pub mod transmit;

pub use compose::{Either, EitherError, Pair, Slot};
pub use cx::{Clause, Cx, Entropy, Explain, Scope, Trace};
pub use flow::{Input, Machine, Never, Outbox, Output, Script, ScriptError, Verdict};
pub use socket::{
    Closure, Open, Protocol, Refusal, SocketEvent, SocketId, SocketIds, SocketOrder, TlsFailure, Unreachability,
};
pub use time::{Deadline, Instant};
pub use timers::{TimerId, Timers};
pub use transmit::{Datagram, Forward, Transmit, WhenFull};
