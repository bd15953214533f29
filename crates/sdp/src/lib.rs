//! Session descriptions (SDP, RFC 8866): a lossless parser, an editor, typed values, and offer/answer.
//!
//! # Scope
//!
//! The crate opens no socket and reads no clock. It drops no byte of a description, does not repair a value silently,
//! and rejects a value that would break its line. It does not prefer any codec, and it resolves no address.
//!
//! # Overview
//!
//! * [`Reader`] parses a text into a [`Session`]: all lines, in order, with their bytes. It is strict or lenient. Each
//!   deviation from RFC 8866 is reported with line, column and rule ([`diagnostic`]).
//! * [`Session`] is the tree of lines. An unedited session writes exactly the bytes that were read; an edit changes one
//!   line.
//! * [`SessionBuilder`] builds a session from parts. A strict reader accepts every session that it builds.
//! * [`Section`] has getters for the effective attributes of a media section: direction, `mid`, ICE credentials,
//!   fingerprints, `setup`, codecs, candidates, extensions, bundle, `rtcp-mux`. They inherit from the session.
//! * [`value`] and [`attribute`] are typed values. They are parsed on demand and borrow from the text; each reports its
//!   own error.
//! * [`explain`] describes each line in plain words. [`diff`](mod@diff) lists the changes in meaning between two
//!   descriptions. [`scrub`](mod@scrub) replaces all values that identify a person or a host.
//! * [`lint`](mod@lint) checks what several lines say together: repeated, contradicting and missing lines.
//! * [`example`] has one valid line of each kind.
//! * [`offer_answer`] builds the answer to an offer from the capabilities of the endpoint, checks an answer, and has
//!   the signalling states of JSEP.
//!
//! The only feature, `sdp-types`, converts to and from the `Session` of the `sdp-types` crate.
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
pub mod lint;
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
pub use media::{IceCredentials, PayloadFormat, Section};
pub use reader::{Limits, Reader, Reading};
pub use session::{EditError, Session};
pub use value::{AttributeValue, Value};
pub use writer::{BuildError, MediaBuilder, SessionBuilder};
