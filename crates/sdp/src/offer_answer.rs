//! Offer and answer (RFC 3264; for WebRTC RFC 8829): builds answers, checks answers, and has the signalling states.
//!
//! # Scope
//!
//! The module stores nothing and sends nothing. The caller tracks whether an offer follows another one and which side
//! acts next ([`state`] has the allowed steps). The module has no codec list: it answers only codecs in the
//! [`Capabilities`]. It gathers no candidates and generates no password.
//!
//! # Overview
//!
//! * [`answer`] builds the answer to an offer and gives an [explanation](Explanation) for each media section.
//! * [`validate`] lists the violations of the RFCs in an answer, given its offer.
//! * [`state`] has the signalling states as a table.
//!
//! ```
//! use portolan_sdp::offer_answer::{Capabilities, Codec, Media, Transport, answer, validate};
//! use portolan_sdp::value::{Connection, Origin};
//! use portolan_sdp::{Session, Value};
//!
//! let offer = Session::read(
//!     b"v=0\r\no=alice 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n\
//!       m=audio 49170 RTP/AVP 0 8\r\nm=video 51372 RTP/AVP 31\r\n",
//! )?;
//! const PCMA: Codec<'_> = Codec::new("PCMA", 8000);
//! const MPV: Codec<'_> = Codec::new("MPV", 90_000);
//! let media = [Media::new("audio", &[PCMA]), Media::new("video", &[MPV])];
//! let transports = [Transport::plain(Connection::parse(b"IN IP4 198.51.100.7")?, 49_920)];
//! let capabilities = Capabilities::plain(Origin::parse(b"bob 2 1 IN IP4 198.51.100.7")?, &media, &transports);
//!
//! let made = answer(&offer, &capabilities)?;
//! let explanations: Vec<String> = made.explanations.iter().map(ToString::to_string).collect();
//! assert_eq!(explanations, ["m-line 0 accepted: 1 of 2 formats, sendrecv", "m-line 1 refused: no common codec"]);
//! assert!(validate(&offer, &made.session).is_empty());
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```

mod answer;
mod bundle;
mod capabilities;
mod codecs;
mod explanation;
mod flaw;
mod section;
mod simulcast;
pub mod state;
mod validate;
mod writing;

pub use answer::{Answer, AnswerError, answer};
pub use capabilities::{
    BundlePolicy, Capabilities, Codec, Credentials, DataChannel, Demands, Dtls, Extension, Features, Ice, Media,
    MuxPolicy, Order, Role, Transport,
};
pub use codecs::OmissionReason;
pub(crate) use codecs::of_static;
pub use explanation::{Decision, Explanation, Refusal, SectionOutcome};
pub use flaw::{Finding, Flaw};
pub use validate::validate;
