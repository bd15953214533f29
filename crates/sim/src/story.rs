//! A run as a readable trace: one line for each thing that happened, in order.
//!
//! ```text
//! 0.000s client       10.0.0.2:50000 → 192.0.2.1:3478 Binding request 01010101… CHANGE-REQUEST ip+port
//! 0.000s home         new mapping 10.0.0.2:50000 as 203.0.113.7:50000
//! 0.025s stun         192.0.2.2:3479 → 203.0.113.7:50000 Binding success response 01010101… XOR-MAPPED-ADDRESS 203.0.113.7:50000
//! 0.050s home         drops 192.0.2.2:3479 → 203.0.113.7:50000: the filter lets in only … [RFC 4787 §5]
//! ```
//!
//! The text depends only on the seed: two runs with one seed give the same bytes, so a story can be a snapshot.
//! Recording a story does not change the behavior of a net.
//!
//! ```
//! use portolan_machine::Instant;
//! use portolan_sim::Story;
//!
//! let mut story = Story::new();
//! story.add_line(Instant::from_millis(50), "home", "drops it");
//! assert_eq!(story.as_str(), "0.050s home         drops it\n");
//! ```

mod entry;

pub use entry::{
    EntryKind, NoteRecord, PacketFate, PacketRecord, StoryEntry, StrandedReason, StreamFate, StreamRecord,
};

use crate::packet::Packet;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::{self, Write};
use portolan_machine::{Explain, Instant, Scope, Trace};
use portolan_stun::{Attribute, AttributeType, Message};

/// A readable trace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Story {
    text: String,
    entries: Vec<StoryEntry>,
}

impl Story {
    /// Creates an empty story.
    #[must_use]
    pub const fn new() -> Self {
        Self { text: String::new(), entries: Vec::new() }
    }

    /// All lines so far, each with its line end.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The packets, the mappings and the notes so far, in order.
    #[must_use]
    pub fn entries(&self) -> &[StoryEntry] {
        &self.entries
    }

    /// Adds a line: the time, the actor, and the event.
    pub fn add_line(&mut self, at: Instant, actor: &str, what: impl fmt::Display) {
        // Writing to a string cannot fail.
        let _ok = writeln!(self.text, "{at} {actor:<12} {what}");
    }

    /// Adds an entry, without a line.
    pub(crate) fn add_entry(&mut self, at: Instant, actor: &str, what: EntryKind) {
        self.entries.push(StoryEntry { at, actor: actor.into(), what });
    }

    /// Adds the entry of a datagram.
    pub(crate) fn add_packet(&mut self, at: Instant, actor: &str, packet: &Packet, fate: PacketFate) {
        let record = PacketRecord {
            source: packet.source,
            destination: packet.destination,
            payload: packet.bytes().into(),
            fate,
        };
        self.add_entry(at, actor, EntryKind::Packet(record));
    }

    pub(crate) fn clear(&mut self) {
        self.text.clear();
        self.entries.clear();
    }
}

impl fmt::Display for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Writes a machine's notes into a story, under the name of its host.
#[derive(Debug)]
pub(crate) struct Notes<'a> {
    pub(crate) story: &'a mut Story,
    pub(crate) host: &'a str,
}

impl Trace for Notes<'_> {
    fn note(&mut self, at: Instant, scope: &Scope<'_>, note: &dyn Explain) {
        let record = NoteRecord {
            scope: scope.to_string().into_boxed_str(),
            code: note.code(),
            text: note.to_string().into_boxed_str(),
            clause: note.rfc(),
            is_routine: note.is_routine(),
        };
        self.story.add_entry(at, self.host, EntryKind::Note(record));
        let clause = Cited(note);
        if scope.parent().is_some() {
            self.story.add_line(at, self.host, format_args!("  {scope}: {clause}"));
        } else {
            self.story.add_line(at, self.host, format_args!("  {clause}"));
        }
    }
}

/// An explanation, followed by its RFC clause in brackets.
pub(crate) struct Cited<'a>(pub(crate) &'a dyn Explain);

impl fmt::Display for Cited<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        match self.0.rfc() {
            Some(clause) => write!(f, " [{clause}]"),
            None => Ok(()),
        }
    }
}

/// The shortest form of a datagram: method, class and first bytes of the transaction id of a STUN message, or its
/// length.
pub(crate) struct Heading<'a>(pub(crate) &'a [u8]);

impl fmt::Display for Heading<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ok(message) = Message::decode(self.0) else {
            return write!(f, "{} bytes", self.0.len());
        };
        let id = message.transaction_id();
        let front = id.as_bytes().first_chunk::<4>().map_or(0, |front| u32::from_be_bytes(*front));
        write!(f, "{} {} {front:08x}…", message.method(), message.class())
    }
}

/// A short form of a datagram: a STUN message with its attributes, or the length in bytes.
pub(crate) struct Summary<'a>(pub(crate) &'a [u8]);

#[expect(clippy::wildcard_enum_match_arm, reason = "all other attributes print only their type")]
impl fmt::Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ok(message) = Message::decode(self.0) else {
            return write!(f, "{} bytes", self.0.len());
        };
        write!(f, "{}", Heading(self.0))?;
        for attribute in message.attributes() {
            let Ok(attribute) = attribute else {
                f.write_str(" (malformed attribute)")?;
                continue;
            };
            let kind = attribute.kind();
            match attribute {
                Attribute::MappedAddress(address)
                | Attribute::XorMappedAddress(address)
                | Attribute::OtherAddress(address)
                | Attribute::ResponseOrigin(address)
                | Attribute::AlternateServer(address)
                | Attribute::XorPeerAddress(address)
                | Attribute::XorRelayedAddress(address) => write!(f, " {kind} {address}")?,
                Attribute::ErrorCode(error) => write!(f, " {kind} {error}")?,
                Attribute::ChangeRequest(change) => {
                    let what = match (change.ip, change.port) {
                        (true, true) => "ip+port",
                        (true, false) => "ip",
                        (false, true) => "port",
                        (false, false) => "nothing",
                    };
                    write!(f, " {kind} {what}")?;
                }
                Attribute::ResponsePort(port) => write!(f, " {kind} {port}")?,
                Attribute::Padding(bytes) => write!(f, " {kind} {} bytes", bytes.len())?,
                Attribute::UnknownAttributes(types) => {
                    write!(f, " {kind}")?;
                    types.iter().try_for_each(|kind: AttributeType| write!(f, " {kind}"))?;
                }
                _ => write!(f, " {kind}")?,
            }
        }
        Ok(())
    }
}
