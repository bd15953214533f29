//! The driving contract of portolan's machines: one trait, a dozen words, no protocol.
//!
//! # What this crate refuses to do
//!
//! It reads no clock, rolls no dice, opens no socket, prints nothing and logs nothing, and neither can what is built
//! on it: a machine sees the world only through the [`Cx`] of a call. It knows no protocol, and no protocol's name may
//! enter it. It has no features, no dependencies but `bytes`, and no workspace-wide error.
//!
//! # What it does
//!
//! It says how a protocol without I/O is driven. Everything that can happen to a [`Machine`] is an [`Input`] or a
//! command; everything that it does comes out of [`Machine::poll`] as an [`Output`]. The driver owns the sockets, the
//! machine names them ([`SocketId`]). Bad news has three doors: the caller's mistakes are an `Err` from a command; what
//! the peer or the network sent amiss is dropped with a note ([`Cx::note`]), never an `Err` and never a panic; the end
//! of the road is a last, typed event.
//!
//! ```text
//!            commands ──▶ ┌─────────┐
//!  datagrams, streams ──▶ │ Machine │ ──▶ poll(): Transmit · Socket · Event … then Wait(deadline, why)
//!    socket news, time ─▶ └─────────┘
//!                             ▲ Cx: now, random, next_socket, note
//! ```
//!
//! # The laws
//!
//! `portolan-sim` checks them for any machine by plain functions (`sim::laws`), `portolan-strategies` under proptest
//! with shrinking.
//!
//! 1. **A drain ends.** `poll` reaches `Wait` after finitely many outputs.
//! 2. **Waits lie ahead.** A `Wait` after time *t* lies after *t*, and a due deadline moves on: no busy loop.
//! 3. **An early timeout changes nothing.**
//! 4. **Time may misbehave.** Time that runs backwards or leaps never panics.
//! 5. **No input panics.**
//! 6. **Draining is the owner's choice.** Two inputs without a drain between them are legal.
//! 7. **Peers are bounded.** What peers cause to be queued is at most [`Outbox::LIMIT`], then dropped with a note.
//! 8. **No transmit on a socket before `Opened`** (or before its owner handed it in by id).
//! 9. **Determinism.** The same inputs and commands at the same times, with the same entropy and socket numbers, give
//!    the same outputs, with or without a trace. A recording holds all five.
//! 10. **`NotMine` changes nothing.**
//! 11. **The end is the end.** After the terminal event only `Wait(None)`.
//!
//! # Where to look
//!
//! [`flow`] (what goes in and out), [`time`], [`socket`], [`cx`] (the world of one call), [`compose`] (machines made of
//! machines).

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod compose;
pub mod cx;
pub mod flow;
pub mod socket;
pub mod time;

pub use compose::{Either, EitherParseError, Pair, Slot};
pub use cx::{Clause, Cx, Entropy, Explain, Scope, Trace};
pub use flow::{Input, Machine, Never, NoCommands, Outbox, Output, Verdict};
pub use socket::{
    Closure, Datagram, Open, Protocol, Refusal, SocketId, SocketIds, SocketNews, SocketOrder, Transmit, Unreachability,
};
pub use time::{Deadline, Instant};
