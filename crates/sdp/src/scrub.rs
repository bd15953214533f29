//! Scrubs a description so that it can be published: values that identify a person or a host are replaced, and values
//! that negotiation needs are kept.
//!
//! Rules of this file: a value is kept only if its place in the grammar guarantees that it identifies no person and
//! no host. All other values are replaced, also unknown attributes and lines that cannot be parsed. Equal values get
//! equal stand-ins. A stand-in is a number in the order of appearance, never a hash, so that the original cannot be
//! computed. Relations are kept: a `raddr` still equals its candidate. A value whose length has a meaning (a
//! password, a fingerprint) keeps its length.
//!
//! Kept: ports, priorities, payload types, SSRCs, codec parameters, header extensions, the names of sections and
//! encodings (`mid`, `rid`), the numbers of `o=`, and unspecified and loopback addresses. A foundation is replaced,
//! because it may be computed from an address. IP addresses are replaced in every kept text. In `fmtp` also each user,
//! host or secret that occurs in another line is replaced, before or after it; parameter names, and words of less than
//! four letters, are kept.
//!
//! Session id, version, ports and SSRCs are kept deliberately. They match a description with a trace or a capture,
//! and an answer cannot be checked without them. A kept value gives information to a reader with such a capture: an
//! id is often the time at which the session was created (RFC 8866 §5.2).
//!
//! Scrubbing a scrubbed description keeps its shape, but changes the stand-ins: the stand-in of a private address is a
//! documentation address, which counts as public.
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
mod mask;

use crate::line::{Kind, Line};
use crate::reader::{Limits, Reader};
use crate::session::Session;
use crate::value::{Bandwidth, MediaLine, Value};
use alias::{Aliases, Class};
use alloc::vec::Vec;
use mask::{Errors, Kept};

/// Scrubs one description. For several descriptions that belong together (an offer and its answer) use one
/// [`Scrubber`].
#[must_use]
pub fn scrub(session: &Session<'_>) -> Session<'static> {
    Scrubber::default().scrub(session)
}

/// A scrubber of descriptions. It stores the stand-in of each replaced value, so it holds the removed secrets.
#[derive(Clone, Default)]
pub struct Scrubber {
    aliases: Aliases,
    replaced: Vec<usize>,
}

/// Shows the number of replaced values, not the values.
impl core::fmt::Debug for Scrubber {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Scrubber").field("replaced", &self.aliases.len()).finish()
    }
}

impl Scrubber {
    /// Makes a scrubber without any replaced value.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the same description, with all values replaced that identify a person or a host.
    ///
    /// The kinds and endings of the lines do not change. A value that could be parsed can still be parsed. A line with
    /// an error has the same error afterwards.
    #[must_use]
    pub fn scrub(&mut self, session: &Session<'_>) -> Session<'static> {
        let mut out = Vec::new();
        // First collects names and secrets: a free text may precede the line that defines them.
        session.lines().for_each(|line| self.line(&line, &mut out));
        out.clear();
        self.replaced.clear();
        for line in session.lines() {
            self.line_with_its_errors(&line, &mut out);
            out.extend_from_slice(line.ending().as_bytes());
        }
        let most = usize::MAX;
        let limits = Limits { bytes: most, lines: most, attributes: most, media: most, diagnostics: 0 };
        let read = Reader::lenient().with_limits(limits).read(&out);
        // Reading fails only for a text that was no description before, or that is longer than 4 GiB now.
        read.map(|reading| reading.session.into_owned()).unwrap_or_default()
    }

    /// Returns the numbers of the lines of the last description that could not be parsed, and that were replaced as a
    /// whole, from 1.
    #[must_use]
    pub fn replaced_lines(&self) -> &[usize] {
        &self.replaced
    }

    /// Writes the scrubbed line without its ending. Of several ways to scrub it, the first one that keeps the errors of
    /// the line is used.
    fn line_with_its_errors(&mut self, line: &Line<'_>, out: &mut Vec<u8>) {
        let errors = Errors::of(line);
        let start = out.len();
        // If no way keeps the same errors, one that keeps the codes is used, and then one that keeps an error.
        let rules: [fn(&Errors, &Errors) -> bool; 3] = [PartialEq::eq, Errors::has_same_codes, Errors::is_like];
        for (is_kept, way) in rules.into_iter().flat_map(|rule| Way::ALL.map(|way| (rule, way))) {
            out.truncate(start);
            if !self.write_line(line, way, out) {
                continue;
            }
            let text = out.get(start..).unwrap_or_default();
            let scrubbed = Line { text, kind: Kind::of(text), ..*line };
            if scrubbed.kind == line.kind && is_kept(&Errors::of(&scrubbed), &errors) {
                let is_whole = way != Way::Prefix && !is_scrubbed_by_words(line);
                if errors.is_unreadable() && is_whole && text != line.text() {
                    self.replaced.push(line.index() + 1);
                }
                return;
            }
        }
        out.truncate(start);
        self.line(line, out);
        self.replaced.push(line.index() + 1);
    }

    /// Writes the scrubbed line in one way; returns whether the way applies to the line.
    fn write_line(&mut self, line: &Line<'_>, way: Way, out: &mut Vec<u8>) -> bool {
        if way == Way::Usual {
            self.line(line, out);
            return true;
        }
        let value = line.value();
        let (private_at, kept) = match line.attribute() {
            Some((name, Some(_))) if attribute::is_name(name) => (name.len() + 1, attribute::kept(name)),
            // The user name is private, and the rest has words of the grammar.
            _ if line.kind() == Kind::Origin => (value.iter().position(|byte| *byte == b' ').unwrap_or(0), Kept::Words),
            _ => (0, mask::kept_of(line.kind())),
        };
        let (kept_until, kept) = match way {
            Way::Usual => return false,
            Way::Prefix | Way::Grammar if !is_kept(line) => return false,
            Way::Prefix => match mask::error_at(line).filter(|at| *at > private_at) {
                Some(at) => (at, kept),
                None => return false,
            },
            Way::Grammar if mask::error_at(line).is_none() => return false,
            Way::Grammar | Way::Words => (private_at, kept),
            Way::Names => (private_at, Kept::Names),
            Way::Mask => (private_at, Kept::Nothing),
        };
        out.extend_from_slice(line.text().get(..line.text().len() - value.len()).unwrap_or_default());
        let (before, rest) = value.split_at_checked(kept_until.max(private_at)).unwrap_or((value, &[]));
        if line.kind() == Kind::Origin {
            self.aliases.mask(before, Kept::Nothing, out);
        } else {
            self.aliases.replace_addresses(before, out);
        }
        self.aliases.mask(rest, kept, out);
        true
    }

    /// Writes the scrubbed line without its ending.
    fn line(&mut self, line: &Line<'_>, out: &mut Vec<u8>) {
        let value = line.value();
        let Some(letter) = line.kind().letter() else {
            // The line must stay a stray line.
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
            Kind::Bandwidth if Bandwidth::parse(value).is_ok() => self.aliases.replace_addresses(value, out),
            Kind::Media if MediaLine::parse(value).is_ok() => self.aliases.replace_addresses(value, out),
            Kind::Origin => self.origin(value, out),
            Kind::Connection => self.words(value, out),
            Kind::Name if matches!(value, b"-" | b" ") => out.extend_from_slice(value),
            Kind::Name => self.aliases.write(Class::Name, value, out),
            Kind::Information => self.aliases.write(Class::Information, value, out),
            Kind::Uri => self.aliases.write(Class::Uri, value, out),
            // Cameras write that there is no address.
            Kind::Email if value == b"NONE" => out.extend_from_slice(value),
            Kind::Email => self.aliases.write(Class::Email, value, out),
            Kind::Phone => self.aliases.write(Class::Phone, value, out),
            Kind::Key => self.key(value, out),
            Kind::Attribute => self.attribute(line, out),
            // No word of a media line identifies a host.
            Kind::Media => self.aliases.mask(value, Kept::Words, out),
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

    /// Writes `o=`, also if it cannot be parsed: the user name is replaced, the rest is scrubbed word by word.
    fn origin(&mut self, value: &[u8], out: &mut Vec<u8>) {
        let at = value.iter().position(|byte| *byte == b' ').unwrap_or(value.len());
        let (user, rest) = value.split_at_checked(at).unwrap_or((value, &[]));
        if matches!(user, b"" | b"-") {
            out.extend_from_slice(user);
        } else {
            self.aliases.write(Class::User, user, out);
        }
        self.words(rest, out);
    }

    /// Writes `k=`: the method is kept, the key is replaced (RFC 8866 §5.12).
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

    /// Scrubs word by word: numbers and words of the grammars are kept, all other words are replaced.
    fn words(&mut self, value: &[u8], out: &mut Vec<u8>) {
        for (index, word) in value.split(|byte| *byte == b' ').enumerate() {
            if index > 0 {
                out.push(b' ');
            }
            if is_plain(word) { out.extend_from_slice(word) } else { self.aliases.address(word, out) }
        }
    }
}

/// Returns whether the usual way keeps the words of a line that identify no person and no host.
fn is_scrubbed_by_words(line: &Line<'_>) -> bool {
    match line.attribute() {
        Some((name, _)) => attribute::is_scrubbed_by_words(name),
        None => matches!(line.kind(), Kind::Origin | Kind::Connection | Kind::Media),
    }
}

/// Returns whether the grammar of a line allows no private data.
fn is_kept(line: &Line<'_>) -> bool {
    match (line.attribute(), line.kind()) {
        (Some((name, Some(_))), _) => attribute::is_kept(name),
        (None, kind) => kind != Kind::Origin && kind != Kind::Connection && mask::kept_of(kind) == Kept::Words,
        (Some((_, None)), _) => false,
    }
}

/// The ways to scrub a line, in the order in which they are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// Of a line whose grammar allows no private data, the text before the error is kept, and the rest is masked.
    Prefix,
    /// Of such a line, everything but words of grammars and numbers is masked.
    Grammar,
    /// The rules for lines that can be parsed.
    Usual,
    /// Everything but words of grammars and numbers is masked.
    Words,
    /// Everything but the names of values is masked.
    Names,
    /// Everything is masked.
    Mask,
}

impl Way {
    const ALL: [Self; 6] = [Self::Prefix, Self::Grammar, Self::Usual, Self::Words, Self::Names, Self::Mask];
}

/// Returns whether a word has only digits, signs and the units of RFC 8866 §5.10.
const fn is_of_time(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b' ' | b'-' | b'd' | b'h' | b'm' | b's')
}

/// Returns whether a word is a number, empty, or a keyword of `o=`, `c=`, `m=`, `candidate` and similar lines.
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
    mask::is_number(word) || word.is_empty()
        // Keywords of candidates are case-insensitive (RFC 5234 §2.3).
        || WORDS.iter().any(|known| word.eq_ignore_ascii_case(known))
}

#[cfg(test)]
mod tests;
