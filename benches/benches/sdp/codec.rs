//! What every codec is asked to do, and what it must have understood.
//!
//! Rules of this file: a codec gets a text in the form that it reads from, made before the clock starts, and gives plain
//! numbers, so that none is paid for being lazy; what it cannot do it answers with `None`, and is not timed.

mod ezk;
mod is;
mod ours;
mod rtc;
mod sdp_types;
mod webrtc;

pub(crate) use ezk::Ezk;
pub(crate) use is::Is;
pub(crate) use ours::Ours;
pub(crate) use rtc::Rtc;
pub(crate) use sdp_types::SdpTypes;
pub(crate) use webrtc::WebRtc;

use crate::texts::Text;

/// Everything that an offer says, folded into numbers: each is a sum over all attributes of a kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Digest {
    /// Sections and their ports.
    pub(crate) media: u64,
    /// Components, priorities, ports of candidates and of what they are related to, one for each extension.
    pub(crate) candidates: u64,
    /// Payload types and clock rates.
    pub(crate) formats: u64,
    /// Payload types that have parameters.
    pub(crate) parameters: u64,
    /// Payload types of feedback.
    pub(crate) feedback: u64,
    /// Identifiers and lengths of the URIs of header extensions.
    pub(crate) extensions: u64,
    /// Synchronisation sources.
    pub(crate) sources: u64,
    /// The bytes of fingerprints.
    pub(crate) fingerprints: u64,
    /// The lengths of user fragments and passwords.
    pub(crate) credentials: u64,
    /// The lengths of the names of sections, and of those in groups.
    pub(crate) mids: u64,
    /// The lengths of the names of streams and tracks.
    pub(crate) streams: u64,
    /// `actpass` counts 1, `active` 256.
    pub(crate) setups: u64,
    /// `rtcp-mux` and `rtcp-rsize`.
    pub(crate) flags: u64,
}

/// What a candidate says, as numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) foundation: usize,
    pub(crate) component: u64,
    pub(crate) priority: u64,
    pub(crate) port: u64,
    pub(crate) related_port: u64,
    /// How many extensions it has.
    pub(crate) extensions: u64,
}

impl Candidate {
    /// Its part of a [`Digest`].
    pub(crate) fn sum(self) -> u64 {
        self.component + self.priority + self.port + self.related_port + self.extensions
    }
}

/// A codec under the clock.
pub(crate) trait Codec {
    /// The name of its package.
    const NAME: &'static str;
    /// Whether all fields of a candidate can be read. If not, only the priority and the port are compared.
    const WHOLE_CANDIDATE: bool = true;
    /// What it makes of a text.
    type Session<'a>;

    fn new() -> Self;
    /// Reads a description.
    fn parse<'a>(&self, text: &'a Text) -> Option<Self::Session<'a>>;
    /// How many media sections there are.
    fn sections(session: &Self::Session<'_>) -> usize;
    /// Everything typed. A codec whose typed values are a part of its sessions has done the work already.
    fn digest(session: &Self::Session<'_>) -> Option<Digest>;
    /// Makes the first section's `a=setup` active.
    fn edit(session: &mut Self::Session<'_>) -> Option<()>;
    /// Writes a session, into a buffer of its own.
    fn write(session: &Self::Session<'_>) -> Vec<u8>;
    /// Reads a candidate, from what follows `a=candidate:` or what follows `a=`, as the codec has it.
    fn candidate(&self, value: &Text, attribute: &Text) -> Option<Candidate>;
}
