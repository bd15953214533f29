//! A description that may be shown to strangers: who and where is replaced, what it negotiates stays.
//!
//! Rules of this file: what stays is what is known to identify nobody, by its place in the grammar; everything else is
//! replaced, unknown attributes and lines that cannot be read first of all. The same is replaced by the same, by a number in
//! the order of appearance and never by a hash, so that nothing can be computed back and relations survive: a `raddr` still
//! equals the candidate that it belongs to. What a grammar counts (the length of a password, the bytes of a fingerprint) keeps
//! its length.
//!
//! What stays: ports, priorities, payload types, SSRCs, codec parameters, header extensions, names of sections and layers
//! (`mid`, `rid`), and the numbers of `o=`. Unspecified and loopback addresses stay too. A foundation goes: it may be computed
//! from an address. In all that stays IP addresses are replaced wherever they stand, in `fmtp` also what is a user, a host or
//! a secret in another line, before or after it; there the names of parameters stay, and words of less than four letters.
//!
//! Session id and version, ports and SSRCs stay on purpose: a description is shown together with a trace or a capture, and is
//! matched with it by them, and answers are judged by them. They do tell something to who has such a capture already: an id
//! is often the time at which the session was made (RFC 8866 §5.2).
//!
//! Scrubbed twice it has the same shape, with other stand-ins: a private address became one of those in documents, which are
//! public.
//!
//! ```
//! use portolan_sdp::{Session, scrub::scrub};
//!
//! let session = Session::read(
//!     b"v=0\r\no=jdoe 1 1 IN IP4 198.18.7.7\r\ns=Sales call\r\nc=IN IP4 198.18.7.7\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\n\
//!       a=ice-ufrag:Zk3q\r\na=candidate:9 1 udp 2130706431 10.1.2.3 50000 typ host\r\n\
//!       a=candidate:8 1 udp 1694498815 198.18.7.7 50001 typ srflx raddr 10.1.2.3 rport 50000\r\n",
//! )?;
//! assert_eq!(
//!     scrub(&session).to_string(),
//!     "v=0\r\no=user-1 1 1 IN IP4 198.51.100.1\r\ns=session 1\r\nc=IN IP4 198.51.100.1\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\n\
//!      a=ice-ufrag:u001\r\na=candidate:1 1 udp 2130706431 192.0.2.1 50000 typ host\r\n\
//!      a=candidate:2 1 udp 1694498815 198.51.100.1 50001 typ srflx raddr 192.0.2.1 rport 50000\r\n",
//! );
//! # Ok::<(), portolan_sdp::Diagnostic>(())
//! ```

mod alias;
mod attribute;

use crate::line::{Kind, Line};
use crate::reader::{Limits, Reader};
use crate::session::Session;
use crate::value::{Bandwidth, MediaLine, Origin, Value};
use alias::{Aliases, Class};
use alloc::vec::Vec;

/// Scrubs one description. To scrub several that belong together, an offer and its answer, use one [`Scrubber`].
#[must_use]
pub fn scrub(session: &Session<'_>) -> Session<'static> {
    Scrubber::default().scrub(session)
}

/// Scrubs descriptions; it remembers what it replaced by what, so that it holds the secrets that it took out.
#[derive(Clone, Default)]
pub struct Scrubber {
    aliases: Aliases,
}

/// Says how much it remembers, not what.
impl core::fmt::Debug for Scrubber {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Scrubber").field("replaced", &self.aliases.len()).finish()
    }
}

impl Scrubber {
    /// One that has seen nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same description with everything replaced that says who or where.
    ///
    /// It has the same lines of the same kinds, ending alike; what could be read as a typed value still can.
    #[must_use]
    pub fn scrub(&mut self, session: &Session<'_>) -> Session<'static> {
        let mut out = Vec::new();
        // Who is who is learned first: a free text may stand before the line that tells it.
        session.lines().for_each(|line| self.line(&line, &mut out));
        out.clear();
        for line in session.lines() {
            self.line(&line, &mut out);
            out.extend_from_slice(line.ending().as_bytes());
        }
        let most = usize::MAX;
        let limits = Limits { bytes: most, lines: most, attributes: most, media: most, diagnostics: 0 };
        let read = Reader::lenient().with_limits(limits).read(&out);
        // Only what was no description, or is past 4 GiB, is none now.
        read.map(|reading| reading.session.into_owned()).unwrap_or_default()
    }

    /// Writes the scrubbed line without its ending.
    fn line(&mut self, line: &Line<'_>, out: &mut Vec<u8>) {
        let value = line.value();
        let Some(letter) = line.kind().letter() else {
            // It must not become a line with a letter.
            if !value.is_empty() {
                self.aliases.write(Class::Value, value, out);
            }
            return;
        };
        out.extend_from_slice(&[letter, b'=']);
        if value.is_empty() {
            return;
        }
        match line.kind() {
            Kind::Version | Kind::Time | Kind::Repeat | Kind::Zone if value.iter().all(|byte| is_of_time(*byte)) => {
                out.extend_from_slice(value);
            }
            Kind::Bandwidth if Bandwidth::parse(value).is_ok() => self.aliases.sweep(value, out),
            Kind::Media if MediaLine::parse(value).is_ok() => self.aliases.sweep(value, out),
            Kind::Origin => self.origin(value, out),
            Kind::Connection => self.words(value, out),
            Kind::Name if matches!(value, b"-" | b" ") => out.extend_from_slice(value),
            Kind::Name => self.aliases.write(Class::Name, value, out),
            Kind::Information => self.aliases.write(Class::Information, value, out),
            Kind::Uri => self.aliases.write(Class::Uri, value, out),
            Kind::Email => self.aliases.write(Class::Email, value, out),
            Kind::Phone => self.aliases.write(Class::Phone, value, out),
            Kind::Key => self.key(value, out),
            Kind::Attribute => self.attribute(line, out),
            Kind::Media => self.words(value, out),
            Kind::Version
            | Kind::Time
            | Kind::Repeat
            | Kind::Zone
            | Kind::Bandwidth
            | Kind::Unknown(_)
            | Kind::Stray => {
                self.aliases.write(Class::Value, value, out);
            }
        }
    }

    /// `o=`, also as cameras write it: a user who has a name loses it, the rest word by word.
    fn origin(&mut self, value: &[u8], out: &mut Vec<u8>) {
        match value.iter().position(|byte| *byte == b' ').and_then(|at| value.split_at_checked(at)) {
            Some((user, rest)) if Origin::parse(value).is_ok() => {
                if user == b"-" {
                    out.push(b'-')
                } else {
                    self.aliases.write(Class::User, user, out)
                }
                self.words(rest, out);
            }
            _ => self.words(value, out),
        }
    }

    /// `k=`: the method stays, the key goes (RFC 8866 §5.12).
    fn key(&mut self, value: &[u8], out: &mut Vec<u8>) {
        let at = value.iter().position(|byte| *byte == b':');
        match at.and_then(|at| Some((value.get(..at)?, value.get(at + 1..)?))) {
            None if value == b"prompt" => out.extend_from_slice(value),
            Some((method @ b"base64", key)) => {
                out.extend_from_slice(method);
                out.push(b':');
                self.aliases.write(Class::Key, key, out);
            }
            Some((method @ b"clear", key)) => {
                out.extend_from_slice(method);
                out.push(b':');
                self.aliases.write(Class::Value, key, out);
            }
            Some((method @ b"uri", uri)) => {
                out.extend_from_slice(method);
                out.push(b':');
                self.aliases.write(Class::Uri, uri, out);
            }
            _ => self.aliases.write(Class::Value, value, out),
        }
    }

    /// Word by word: numbers and the words of the grammars stay, addresses and names are replaced, all else too.
    fn words(&mut self, value: &[u8], out: &mut Vec<u8>) {
        for (index, word) in value.split(|byte| *byte == b' ').enumerate() {
            if index > 0 {
                out.push(b' ');
            }
            if is_plain(word) { out.extend_from_slice(word) } else { self.aliases.address(word, out) }
        }
    }
}

/// Digits, signs and the units of RFC 8866 §5.10.
const fn is_of_time(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b' ' | b'-' | b'd' | b'h' | b'm' | b's')
}

/// A number, nothing, or a word that the grammars of `o=`, `c=`, `m=`, `candidate` and their like have.
fn is_plain(word: &[u8]) -> bool {
    const WORDS: &[&[u8]] = &[
        b"-",
        b"*",
        b"IN",
        b"IP4",
        b"IP6",
        b"udp",
        b"tcp",
        b"ssltcp",
        b"incl",
        b"excl",
        b"typ",
        b"host",
        b"srflx",
        b"prflx",
        b"relay",
        b"raddr",
        b"rport",
        b"tcptype",
        b"active",
        b"passive",
        b"so",
        b"generation",
        b"ufrag",
        b"network-id",
        b"network-cost",
        b"audio",
        b"video",
        b"text",
        b"application",
        b"message",
        b"image",
        b"RTP/AVP",
        b"RTP/AVPF",
        b"RTP/SAVP",
        b"RTP/SAVPF",
        b"UDP/TLS/RTP/SAVP",
        b"UDP/TLS/RTP/SAVPF",
        b"TCP/TLS/RTP/SAVPF",
        b"UDP/DTLS/SCTP",
        b"TCP/DTLS/SCTP",
        b"DTLS/SCTP",
        b"webrtc-datachannel",
        b"udptl",
        b"t38",
    ];
    word.iter().all(u8::is_ascii_digit)
        // The words of candidates come in any case (RFC 5234 §2.3).
        || WORDS.iter().any(|known| word.eq_ignore_ascii_case(known))
}

#[cfg(test)]
mod tests;
