//! The operations of every codec, and the results that they must have.
//!
//! A codec gets a text in the form that it reads from; the form is made before the clock starts. A codec returns
//! numbers, so that a codec that parses lazily does the same work. An operation that a codec does not support returns
//! `None` and is not timed.

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

/// The content of an offer as numbers. Each number is a sum over all attributes of a kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Digest {
    /// Sections and their ports.
    pub(crate) media: u64,
    /// Components, priorities, ports and related ports of candidates, and 1 for each extension.
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

/// The content of a candidate as numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) foundation: usize,
    pub(crate) component: u64,
    pub(crate) priority: u64,
    pub(crate) port: u64,
    pub(crate) related_port: u64,
    /// The number of extensions.
    pub(crate) extensions: u64,
}

impl Candidate {
    /// Returns the candidate's part of a [`Digest`].
    pub(crate) fn sum(self) -> u64 {
        self.component + self.priority + self.port + self.related_port + self.extensions
    }
}

/// A measured codec.
pub(crate) trait Codec {
    /// The name of its package.
    const NAME: &'static str;
    /// Whether all fields of a candidate can be read. If not, only the priority and the port are compared.
    const WHOLE_CANDIDATE: bool = true;
    /// The result of parsing a text.
    type Session<'a>;

    fn new() -> Self;
    /// Parses a description.
    fn parse<'a>(&self, text: &'a Text) -> Option<Self::Session<'a>>;
    /// Returns the number of media sections.
    fn sections(session: &Self::Session<'_>) -> usize;
    /// Reads every attribute with its type. A codec that parses the types with the session only adds the numbers.
    fn digest(session: &Self::Session<'_>) -> Option<Digest>;
    /// Sets `a=setup` of the first section to active.
    fn edit(session: &mut Self::Session<'_>) -> Option<()>;
    /// Writes a session into a new buffer.
    fn write(session: &Self::Session<'_>) -> Vec<u8>;
    /// Parses a candidate. `value` is the text after `a=candidate:`, `attribute` the text after `a=`; a codec uses
    /// one of them.
    fn candidate(&self, value: &Text, attribute: &Text) -> Option<Candidate>;
}
