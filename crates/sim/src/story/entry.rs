//! The entries of a story: what happened to each packet, and the notes of the machines, as plain data.
//!
//! Rules of this file: each count of a [`Ledger`](crate::Ledger) has one entry with the same fate. The bytes of streams
//! have entries too, which the ledger does not count. The text of a story is
//! for people; the entries are for programs, which count packets or select notes.
//!
//! ```
//! use portolan_machine::Instant;
//! use portolan_sim::Story;
//!
//! let mut story = Story::new();
//! story.add_line(Instant::ORIGIN, "home", "drops it");
//! assert!(story.entries().is_empty(), "a line of text has no entry");
//! ```

use super::Summary;
use alloc::boxed::Box;
use core::fmt;
use core::net::SocketAddr;
use portolan_machine::{Clause, Instant};

/// What happened at one place at one time.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoryEntry {
    /// The time.
    pub at: Instant,
    /// The name of the host, the gateway or the server. A packet without a route ends at `internet`.
    pub actor: Box<str>,
    /// What happened.
    pub what: EntryKind,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EntryKind {
    /// A datagram was sent, or ended.
    Packet(PacketRecord),
    /// A gateway made a mapping. The two addresses are equal at a firewall that does not translate.
    Mapping {
        /// The address inside.
        internal: SocketAddr,
        /// The address outside.
        external: SocketAddr,
    },
    /// A machine wrote bytes to a stream, or took bytes of one.
    Stream(StreamRecord),
    /// A machine made a note.
    Note(NoteRecord),
}

/// Bytes of a stream at one end.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamRecord {
    /// The end that wrote the bytes, as it is at this place.
    pub source: SocketAddr,
    /// The end that reads the bytes, as it is at this place.
    pub destination: SocketAddr,
    /// The bytes: those of one transmit, or those that a machine took in one call.
    pub bytes: Box<[u8]>,
    /// What happened to the bytes.
    pub fate: StreamFate,
}

impl fmt::Display for StreamRecord {
    /// Writes the addresses and the STUN message, or the length in bytes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} → {} TCP {}", self.source, self.destination, Summary(&self.bytes))
    }
}

/// What happened to bytes of a stream. Those of an open stream are never lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StreamFate {
    /// A machine wrote them.
    Written,
    /// A machine took them.
    Read,
}

/// A datagram at one place.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PacketRecord {
    /// The source, as it is at this place.
    pub source: SocketAddr,
    /// The destination, as it is at this place.
    pub destination: SocketAddr,
    /// The payload.
    pub payload: Box<[u8]>,
    /// What happened to the datagram.
    pub fate: PacketFate,
}

impl fmt::Display for PacketRecord {
    /// Writes the addresses and the STUN message, or the length in bytes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} → {} {}", self.source, self.destination, Summary(&self.payload))
    }
}

/// What happened to a datagram. Each variant is a count of the [`Ledger`](crate::Ledger).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PacketFate {
    /// A machine or a server sent it.
    Sent,
    /// A wire made a copy of it.
    Doubled,
    /// It was delivered to a machine.
    Delivered,
    /// It was delivered to a server.
    Served,
    /// It was lost on a wire, on an interface that was down, in a full queue, or before its next hop was known.
    Lost,
    /// A gateway dropped it.
    Dropped {
        /// The code of the reason.
        code: &'static str,
        /// The reason.
        why: Box<str>,
        /// The clause of the reason.
        clause: Option<Clause>,
    },
    /// It had no route, no socket or no hops left.
    Stranded(StrandedReason),
}

/// The reason why a datagram did not arrive, although no gateway dropped it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StrandedReason {
    /// The segment has no such address.
    NoRoute,
    /// The host or the server has no such socket.
    NoSocket,
    /// The host has lost the address.
    NoAddress,
    /// The hop limit was reached.
    HopLimit,
    /// A machine produced outputs without end, and the run was stopped.
    Stalled,
}

impl fmt::Display for StrandedReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoRoute => "there is no route to the destination",
            Self::NoSocket => "the destination has no such socket",
            Self::NoAddress => "the host has lost the address",
            Self::HopLimit => "the hop limit was reached",
            Self::Stalled => "the run was stopped",
        })
    }
}

/// A note of a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NoteRecord {
    /// The machine that made it, inside the machine of the host: `agent 0`; empty for the machine of the host.
    pub scope: Box<str>,
    /// The code.
    pub code: &'static str,
    /// The text.
    pub text: Box<str>,
    /// The clause.
    pub clause: Option<Clause>,
    /// Whether a short log omits the note.
    pub is_routine: bool,
}
