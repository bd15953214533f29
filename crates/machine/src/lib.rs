//! The driving contract of portolan's machines: how a protocol without I/O is driven.
//!
//! # What this crate refuses to do
//!
//! It reads no clock, has no RNG, opens no socket, prints nothing and logs nothing. A machine that is built on it cannot
//! do so either: it uses only the [`Cx`] of a call. This crate knows no protocol. It has no features, no dependency but
//! `bytes`, and no error type for the whole workspace.
//!
//! # What it does
//!
//! Everything that can happen to a [`Machine`] is an [`Input`], bytes of a stream, or a command. Everything that it does
//! comes out of [`Machine::poll`] as an [`Output`]. The driver owns the sockets, and the machine names them ([`SocketId`]).
//! Failures have three channels. The caller's mistakes are an `Err` from a command. What the peer or the network sent
//! wrongly is dropped with a note ([`Cx::note`]), never an `Err` and never a panic. The end of a machine is one last, typed
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
//! `portolan-sim` checks them for any machine by plain functions (`sim::laws`), `portolan-strategies` under proptest with
//! shrinking.
//!
//! 1. **A drain ends.** `poll` reaches `Wait` after finitely many outputs.
//! 2. **Waits lie ahead.** A `Wait` after time *t* is later than *t*, and a due deadline moves on: no busy loop.
//! 3. **An early timeout changes nothing.**
//! 4. **Time may misbehave.** Time that runs backwards or leaps never causes a panic.
//! 5. **No input panics.**
//! 6. **Draining is the owner's choice.** Two inputs without a drain between them are legal.
//! 7. **Peers are bounded.** What peers cause to be queued is at most [`Outbox::LIMIT`]; the rest is dropped with a note.
//!    That holds for a machine made of machines too.
//! 8. **No transmit on a socket before `Opened`** (or before its owner handed it in by id).
//! 9. **Determinism.** The same inputs and commands at the same times, with the same random bytes and socket ids, give the
//!    same outputs, with or without a trace. A recording holds all five.
//! 10. **`NotMine` changes nothing.** So does a `None` of `stream` or `forward`.
//! 11. **The end is the end.** After the terminal event only `Wait(None)` comes.
//! 12. **`forward` is only a short way.** It returns `Some` only where `handle` would queue this one transmit and nothing
//!     else, and everything that follows is the same.
//! 13. **No byte of a stream is dropped.** However a stream is cut into chunks, the outputs are the same.
//! 14. **State is bounded and released.** A flood from any number of peers leaves a bounded state; after all sockets are
//!     closed and all deadlines have passed, the state is as small as that of a new machine.
//!
//! # Where to look
//!
//! [`flow`] (what goes in and comes out), [`transmit`] (bytes), [`socket`], [`time`], [`timers`], [`cx`] (what a call may
//! use), [`compose`] (machines made of machines).

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod compose;
pub mod cx;
pub mod flow;
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
