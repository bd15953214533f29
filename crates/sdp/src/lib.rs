//! Session descriptions (SDP, RFC 8866): text to meaning and back, losing nothing.
//!
//! # What this crate refuses to do
//!
//! It opens no socket, reads no clock and talks to nobody: it knows what is written, and what should be. It never
//! throws a byte away, never mends a value in silence, and never takes a value that would break its line. It has no opinion
//! on codecs, and follows no address.
//!
//! # What it does
//!
//! * [`Reader`] makes a [`Session`] of a text: every line, in order, with its bytes; strict or lenient, each deviation from
//!   RFC 8866 named with line, column and rule ([`diagnostic`]).
//! * [`Session`] is the tree: it writes back the very bytes, and an edit touches one line.
//! * [`SessionBuilder`] makes one of its parts, and what it makes a strict reader takes.
//! * [`value`] and [`attribute`] are typed values, read on demand, borrowed, each with its own errors.
//! * [`explain`], [`diff`](mod@diff) and [`scrub`](mod@scrub) are for people: each line in plain words, what changed by meaning,
//!   and the same without what names anybody; [`example`] has a line of each kind that reads.
//! * [`offer_answer`] answers an offer by what you can do, checks an answer, and has the signalling states of JSEP.
//!
//! The feature `sdp-types`, the only one, converts to and from the `Session` of the crate of that name.
//!
//! ```
//! use portolan_sdp::{Reader, value::MediaLine, line::Kind};
//!
//! let text = b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 49170 RTP/AVP 0 8\r\n";
//! let reading = Reader::strict().read(text)?;
//! let audio = reading.session.media(0).ok_or("one media section")?;
//! let head: MediaLine = audio.line(Kind::Media).ok_or("its head")?.read()?;
//! assert_eq!((head.port, head.formats().count()), (49170, 2));
//! assert_eq!(reading.session.to_bytes(), text);
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod attribute;
pub mod candidate;
pub mod diagnostic;
pub mod diff;
pub mod error;
pub mod example;
pub mod explain;
mod grammar;
pub mod line;
pub mod media;
pub mod offer_answer;
pub mod reader;
mod scan;
pub mod scrub;
#[cfg(feature = "sdp-types")]
pub mod sdp_types;
pub mod session;
pub mod value;
mod work;
pub mod writer;

pub use attribute::Attribute;
pub use candidate::Candidate;
pub use diagnostic::Diagnostic;
pub use error::{Citation, Span, TypedError, ValueError};
pub use media::Section;
pub use reader::{Limits, Reader, Reading};
pub use session::{EditError, Session};
pub use value::{AttributeValue, Value};
pub use writer::{BuildError, MediaBuilder, SessionBuilder};

/// The page for those who come from another crate: its code runs.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/moving-to-portolan-sdp.md")]
mod moving {}
