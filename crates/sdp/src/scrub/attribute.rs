//! The table of attributes whose values are kept, and the rules for all others.
//!
//! The value of a name that is not in this table is replaced. In a kept value addresses are still replaced.

use super::Scrubber;
use super::alias::{Aliases, Class};
use super::mask::Kept;
use crate::grammar::is_token;
use crate::line::Line;
use alloc::vec::Vec;

/// The treatment of an attribute's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Treatment {
    /// Kept, if it matches its grammar.
    Keep,
    /// Kept, except for values that identify someone elsewhere.
    Free,
    /// Replaced as a whole, by a stand-in of this class.
    Replace(Class),
    /// Numbers and keywords of the grammar are kept.
    Words,
    Candidate,
    Fingerprint,
    Crypto,
    Msid,
    MsidSemantic,
    Ssrc,
    Clock,
    Control,
}

impl Treatment {
    fn of(name: &[u8]) -> Self {
        match name {
            // Media and codecs.
            b"rtpmap" | b"rtcp-fb" | b"extmap" | b"ptime" | b"maxptime" | b"framerate" | b"imageattr"
            | b"quality" | b"orient" | b"maxprate" | b"packetization" | b"content" | b"label" | b"silenceSupp"
            | b"framesize" | b"rtcp-xr" | b"type" | b"charset" | b"sdplang" | b"lang" | b"range"
            // Sections, transports and encodings.
            | b"mid" | b"group" | b"setup" | b"connection" | b"ssrc-group" | b"rid" | b"simulcast" | b"sctp-port"
            | b"sctpmap" | b"max-message-size" | b"ice-options" | b"ice-pacing" => Self::Keep,
            b"fmtp" | b"x-google-flag" => Self::Free,
            b"candidate" | b"remote-candidates" => Self::Candidate,
            b"rtcp" | b"source-filter" => Self::Words,
            b"ice-ufrag" => Self::Replace(Class::Ufrag),
            b"ice-pwd" => Self::Replace(Class::Password),
            b"tls-id" => Self::Replace(Class::TlsId),
            b"tool" => Self::Replace(Class::Tool),
            b"cname" => Self::Replace(Class::Cname),
            b"fingerprint" => Self::Fingerprint,
            b"crypto" => Self::Crypto,
            b"msid" => Self::Msid,
            b"msid-semantic" => Self::MsidSemantic,
            b"ssrc" => Self::Ssrc,
            b"ts-refclk" | b"mediaclk" => Self::Clock,
            b"control" => Self::Control,
            _ => Self::Replace(Class::Value),
        }
    }
}

/// Returns whether the name of an attribute is a token.
pub(super) fn is_name(name: &[u8]) -> bool {
    !name.is_empty() && name.iter().all(|byte| is_token(*byte))
}

/// Returns whether the words of a value are scrubbed one by one, even if it cannot be parsed.
pub(super) fn is_scrubbed_by_words(name: &[u8]) -> bool {
    matches!(Treatment::of(name), Treatment::Candidate | Treatment::Words)
}

/// Returns whether the value of an attribute has no private data if it can be parsed.
pub(super) fn is_kept(name: &[u8]) -> bool {
    is_name(name) && Treatment::of(name) == Treatment::Keep
}

/// Returns the words that are kept in a value that cannot be parsed.
pub(super) fn kept(name: &[u8]) -> Kept {
    match Treatment::of(name) {
        Treatment::Keep | Treatment::Free | Treatment::Words | Treatment::Candidate | Treatment::Clock => Kept::Words,
        Treatment::Fingerprint | Treatment::Crypto | Treatment::Ssrc | Treatment::Msid | Treatment::MsidSemantic => {
            Kept::Names
        }
        Treatment::Replace(_) | Treatment::Control => Kept::Nothing,
    }
}

impl Scrubber {
    /// Writes the text after `a=`.
    pub(super) fn attribute(&mut self, line: &Line<'_>, out: &mut Vec<u8>) {
        let Some((name, value)) = line.attribute() else { return };
        if !is_name(name) {
            return self.aliases.write(Class::Value, line.value(), out);
        }
        self.aliases.replace_addresses(name, out);
        let Some(value) = value else { return };
        out.push(b':');
        let is_read = line.typed().is_some_and(|read| read.is_ok());
        // Spaces after a value are a deviation, which is kept.
        let (value, spaces) = value.split_at_checked(value.trim_ascii_end().len()).unwrap_or((value, &[]));
        self.attribute_value(name, value, is_read, out);
        out.extend_from_slice(spaces);
    }

    /// Writes the value of an attribute.
    fn attribute_value(&mut self, name: &[u8], value: &[u8], is_read: bool, out: &mut Vec<u8>) {
        let is_printable = value.iter().all(|byte| matches!(byte, b'\t' | b' '..=b'~'));
        match (Treatment::of(name), value) {
            (_, []) => {}
            // A text that matches no grammar is replaced as a whole.
            (Treatment::Replace(class), _) => self.aliases.write(class, value, out),
            (Treatment::Candidate, _) => self.candidate(name == b"candidate", value, out),
            (Treatment::Words, _) => self.words(value, out),
            (_, _) if !is_read => self.aliases.write(Class::Value, value, out),
            (Treatment::Keep, _) if !is_printable => self.printable(value, Aliases::replace_addresses, out),
            (Treatment::Free, _) if !is_printable => self.printable(value, Aliases::replace_known, out),
            (Treatment::Keep, _) => self.aliases.replace_addresses(value, out),
            (Treatment::Free, _) => self.aliases.replace_known(value, out),
            (Treatment::Fingerprint, _) => self.replace_rest(value, Class::Fingerprint, out),
            (Treatment::Crypto, _) => self.crypto(value, out),
            (Treatment::Msid, _) => self.ids(value, 0, out),
            (Treatment::MsidSemantic, _) => self.semantic(value, out),
            (Treatment::Ssrc, _) => self.ssrc(value, out),
            (Treatment::Clock, _) => self.clock(value, out),
            (Treatment::Control, _) => self.control(value, out),
        }
    }

    /// Replaces the words with bytes other than visible ASCII, which no grammar of a kept value allows. The other words
    /// are treated as if these words were absent. The text before `=` is a parameter name.
    fn printable(&mut self, value: &[u8], keep: fn(&mut Aliases, &[u8], &mut Vec<u8>), out: &mut Vec<u8>) {
        let is_between = |byte: u8| matches!(byte, b' ' | b';' | b',' | b'=');
        let mut words = value.chunk_by(|a, b| is_between(*a) == is_between(*b)).peekable();
        while let Some(word) = words.next() {
            let is_name = words.peek().is_some_and(|next| next.starts_with(b"="));
            if word.iter().all(|byte| matches!(byte, b'\t' | b' '..=b'~')) {
                if is_name { self.aliases.replace_addresses(word, out) } else { keep(&mut self.aliases, word, out) }
            } else {
                self.aliases.write(Class::Value, word, out);
            }
        }
    }

    /// Keeps the first word and replaces the rest as one value.
    fn replace_rest(&mut self, value: &[u8], class: Class, out: &mut Vec<u8>) {
        match cut(value, b' ') {
            Some((first, second)) => {
                self.aliases.replace_addresses(first, out);
                out.push(b' ');
                self.aliases.write(class, second, out);
            }
            None => self.aliases.write(Class::Value, value, out),
        }
    }

    /// Writes a candidate (RFC 8839 §5.1), also an invalid one: an invalid candidate is often the reason to publish a
    /// description.
    fn candidate(&mut self, has_foundation: bool, value: &[u8], out: &mut Vec<u8>) {
        let is_related = words(value).nth(8).is_some_and(|word| word.eq_ignore_ascii_case(b"raddr"));
        // Names and values alternate from this word on.
        let extensions = if is_related { 12 } else { 8 };
        let mut before: &[u8] = b"";
        for (index, word) in words(value).enumerate() {
            if index > 0 {
                out.push(b' ');
            }
            let is_value = index > extensions && (index - extensions) % 2 == 1;
            match (index, before) {
                (0, _) if has_foundation && word.is_empty() => {}
                (0, _) if has_foundation => self.aliases.write(Class::Foundation, word, out),
                // No word of these fields is an address.
                (1..=3 | 5..=7, _) if has_foundation => self.aliases.mask(word, Kept::Words, out),
                (_, b"ufrag") if is_value => self.aliases.write(Class::Ufrag, word, out),
                _ => self.words(word, out),
            }
            before = word;
        }
    }

    /// Writes `a=crypto` and replaces all keys (RFC 4568 §9.1).
    fn crypto(&mut self, value: &[u8], out: &mut Vec<u8>) {
        const PARAMETERS: [&[u8]; 5] =
            [b"KDR", b"UNENCRYPTED_SRTP", b"UNENCRYPTED_SRTCP", b"UNAUTHENTICATED_SRTP", b"FEC_ORDER"];
        let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t');
        let mut index = 0;
        for word in value.chunk_by(|a, b| is_blank(a) == is_blank(b)) {
            if word.first().is_some_and(is_blank) {
                out.extend_from_slice(word);
                continue;
            }
            let name = cut(word, b'=').map_or(word, |(name, _)| name);
            match (index, word.strip_prefix(b"FEC_KEY=")) {
                (0 | 1, _) => self.aliases.replace_addresses(word, out),
                (2, _) => self.keys(word, out),
                (_, Some(keys)) => {
                    out.extend_from_slice(b"FEC_KEY=");
                    self.keys(keys, out);
                }
                (_, None) if PARAMETERS.contains(&name) || name == b"WSH" => self.aliases.replace_addresses(word, out),
                (_, None) => self.aliases.write(Class::Value, word, out),
            }
            index += 1;
        }
    }

    /// Writes `inline:KEY|LIFETIME|MKI:LENGTH;inline:…` (RFC 4568 §6.1).
    fn keys(&mut self, value: &[u8], out: &mut Vec<u8>) {
        for (index, parameter) in value.split(|byte| *byte == b';').enumerate() {
            if index > 0 {
                out.push(b';');
            }
            let Some(inline) = parameter.strip_prefix(b"inline:") else {
                match cut(parameter, b':') {
                    Some((method, key)) => {
                        self.aliases.replace_addresses(method, out);
                        out.push(b':');
                        self.aliases.write(Class::Value, key, out);
                    }
                    None => self.aliases.write(Class::Value, parameter, out),
                }
                continue;
            };
            out.extend_from_slice(b"inline:");
            for (index, part) in inline.split(|byte| *byte == b'|').enumerate() {
                if index > 0 {
                    out.push(b'|');
                    // A lifetime or the length of an MKI.
                    let is_number = part.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'^' | b':'));
                    if is_number { out.extend_from_slice(part) } else { self.aliases.write(Class::Value, part, out) }
                } else {
                    self.aliases.write(Class::Key, part, out);
                }
            }
        }
    }

    /// Replaces stream and track identifiers after a number of kept words.
    fn ids(&mut self, value: &[u8], kept: usize, out: &mut Vec<u8>) {
        for (index, word) in words(value).enumerate() {
            if index > 0 {
                out.push(b' ');
            }
            if index < kept || matches!(word, b"" | b"-" | b"*") {
                self.aliases.replace_addresses(word, out);
            } else {
                self.aliases.write(Class::Id, word, out);
            }
        }
    }

    /// Writes `WMS *`, which many endpoints write with a space in front.
    fn semantic(&mut self, value: &[u8], out: &mut Vec<u8>) {
        let leading = value.iter().take_while(|byte| **byte == b' ').count();
        self.ids(value, leading + 1, out);
    }

    /// Writes `a=ssrc` (RFC 5576 §4.1).
    fn ssrc(&mut self, value: &[u8], out: &mut Vec<u8>) {
        let Some((ssrc, attribute)) = cut(value, b' ') else {
            return self.words(value, out);
        };
        self.words(ssrc, out);
        out.push(b' ');
        let Some((name, value)) = cut(attribute, b':') else {
            return self.aliases.replace_addresses(attribute, out);
        };
        self.aliases.replace_addresses(name, out);
        out.push(b':');
        match name {
            b"msid" => self.ids(value, 0, out),
            b"mslabel" | b"label" => self.aliases.write(Class::Id, value, out),
            b"cname" => self.aliases.write(Class::Cname, value, out),
            b"fmtp" => self.aliases.replace_known(value, out),
            b"previous-ssrc" => self.aliases.replace_addresses(value, out),
            _ => self.aliases.write(Class::Value, value, out),
        }
    }

    /// Writes the clock attributes (RFC 7273): hardware addresses, servers and clock names are replaced.
    fn clock(&mut self, value: &[u8], out: &mut Vec<u8>) {
        for (index, word) in words(value).enumerate() {
            if index > 0 {
                out.push(b' ');
            }
            match cut(word, b'=') {
                Some((b"id", id)) => {
                    out.extend_from_slice(b"id=");
                    self.aliases.write(Class::Key, id, out);
                }
                Some((name, hardware)) if matches!(name, b"localmac" | b"IEEE1722") => {
                    out.extend_from_slice(name);
                    out.push(b'=');
                    self.hardware(hardware, out);
                }
                Some((b"ntp", server)) if server != b"/traceable/" => {
                    out.extend_from_slice(b"ntp=");
                    self.server(server, out);
                }
                Some((b"ptp", clock)) => {
                    out.extend_from_slice(b"ptp=");
                    for (index, part) in clock.split(|byte| *byte == b':').enumerate() {
                        if index > 0 {
                            out.push(b':');
                        }
                        if index == 1 { self.hardware(part, out) } else { self.aliases.replace_addresses(part, out) }
                    }
                }
                // A time, a rate, or a kind of clock without a name: local, gps, traceable.
                _ => self.aliases.replace_addresses(word, out),
            }
        }
    }

    fn hardware(&mut self, value: &[u8], out: &mut Vec<u8>) {
        let is_hardware = value.iter().all(|byte| byte.is_ascii_hexdigit() || *byte == b'-');
        match value {
            b"traceable" => out.extend_from_slice(value),
            _ if is_hardware => self.aliases.write(Class::Hardware, value, out),
            _ => self.aliases.write(Class::Value, value, out),
        }
    }

    /// Replaces a name or an address, which may be in brackets and may have a port.
    fn server(&mut self, value: &[u8], out: &mut Vec<u8>) {
        let bracketed = value.strip_prefix(b"[").and_then(|rest| cut(rest, b']'));
        match (bracketed, cut(value, b':')) {
            (Some((address, port)), _) => {
                out.push(b'[');
                self.aliases.address(address, out);
                out.push(b']');
                self.aliases.replace_addresses(port, out);
            }
            (None, Some((host, port))) if port.iter().all(u8::is_ascii_digit) => {
                self.aliases.address(host, out);
                out.push(b':');
                out.extend_from_slice(port);
            }
            (None, _) => self.aliases.address(value, out),
        }
    }

    /// Writes `a=control` (RFC 7826 §D.1.1): `*` and common track names are kept, URLs are replaced.
    fn control(&mut self, value: &[u8], out: &mut Vec<u8>) {
        const TRACKS: [&[u8]; 6] = [b"trackID", b"trackid", b"track", b"streamid", b"stream", b"audio"];
        let digits = value.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
        let (name, _) = value.split_at_checked(value.len() - digits).unwrap_or((value, &[]));
        let name = name.strip_suffix(b"=").or_else(|| name.strip_suffix(b"/")).unwrap_or(name);
        if value == b"*" || TRACKS.contains(&name) || name == b"video" {
            out.extend_from_slice(value);
        } else if value.windows(3).any(|window| window == b"://") {
            let scheme = value.split(|byte| *byte == b':').next().unwrap_or_default();
            let is_rtsp = matches!(scheme, b"rtsp" | b"rtsps" | b"rtspu");
            out.extend_from_slice(if is_rtsp { scheme } else { b"rtsp" });
            out.extend_from_slice(b"://host.example/");
            self.aliases.write(Class::Control, value, out);
        } else {
            self.aliases.write(Class::Control, value, out);
        }
    }
}

fn words(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b' ')
}

/// Splits a text at the first such byte.
fn cut(value: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let at = value.iter().position(|byte| *byte == at)?;
    Some((value.get(..at)?, value.get(at + 1..)?))
}
