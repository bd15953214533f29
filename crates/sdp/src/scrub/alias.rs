//! Stand-ins: each replaced value has a number in the order of appearance, written in the form that its place requires.

use crate::lint::is_domain_name;
use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::str;

/// The class of a value; each class is numbered separately.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Class {
    User,
    Name,
    Information,
    Uri,
    Email,
    Phone,
    Tool,
    PrivateIp4,
    PublicIp4,
    MulticastIp4,
    Ip6,
    Host,
    MulticastHost,
    /// A name that no resolver accepts, such as an IPv4 address with a letter.
    InvalidHost,
    /// An invalid IPv4 address.
    InvalidIp4,
    /// The zone of an IPv6 address.
    Zone,
    Foundation,
    Ufrag,
    Password,
    TlsId,
    Fingerprint,
    /// Base64.
    Key,
    /// A MAC address or an EUI-64 with dashes.
    Hardware,
    /// A media stream or track identifier.
    Id,
    Cname,
    Control,
    /// Anything else.
    Value,
}

/// The numbers assigned so far.
#[derive(Clone, Default)]
pub(super) struct Aliases {
    known: BTreeMap<(Class, Vec<u8>), usize>,
    /// For values that are also replaced in free texts: the class in which the value first appeared.
    names: BTreeMap<Vec<u8>, Class>,
    counts: BTreeMap<Class, usize>,
}

impl Aliases {
    /// Returns how many values were replaced.
    pub(super) fn len(&self) -> usize {
        self.known.len()
    }

    /// Returns the number of a value, from 1.
    fn number(&mut self, class: Class, value: &[u8]) -> usize {
        let key = (class, value.to_owned());
        if let Some(number) = self.known.get(&key) {
            return *number;
        }
        let count = self.counts.entry(class).or_default();
        *count += 1;
        if class.is_name() {
            self.names.entry(value.to_owned()).or_insert(class);
        }
        self.known.insert(key, *count);
        *count
    }

    /// Writes the stand-in of a value.
    pub(super) fn write(&mut self, class: Class, value: &[u8], out: &mut Vec<u8>) {
        if class == Class::Fingerprint || class == Class::Hardware {
            return self.pairs(class, value, out);
        }
        let number = self.number(class, value);
        let text = match class {
            Class::User => format!("user-{number}"),
            Class::Name => format!("session {number}"),
            Class::Information => format!("information {number}"),
            Class::Uri => format!("https://host.example/{number}"),
            Class::Email => format!("user-{number}@host.example"),
            // Telephone numbers reserved for fiction.
            Class::Phone => format!("+1 555 {number:07}"),
            Class::Tool => format!("tool {number}"),
            Class::Foundation => format!("{number}"),
            Class::Ufrag => padded(&format!("u{}", odd(value)), number, value.len()),
            Class::Password => padded(&format!("pwd{}", odd(value)), number, value.len()),
            Class::TlsId => padded("id", number, value.len()),
            Class::Key => key(number, value),
            Class::Id => format!("id-{number}"),
            Class::Cname => format!("cname-{number}"),
            Class::Control => format!("control-{number}"),
            Class::Host => format!("host-{number}.example"),
            Class::MulticastHost => format!("host-{number}.local"),
            Class::InvalidHost => {
                // No label begins with a hyphen.
                let domain = if value.ends_with(b".local") { "local" } else { "example" };
                format!("-host-{number}.{domain}")
            }
            Class::InvalidIp4 => format!("999.999.999.{number}"),
            Class::Zone => format!("{number}"),
            Class::PrivateIp4
            | Class::PublicIp4
            | Class::MulticastIp4
            | Class::Ip6
            | Class::Fingerprint
            | Class::Hardware
            | Class::Value => format!("value-{number}"),
        };
        out.extend_from_slice(text.as_bytes());
    }

    /// Writes the same number of hexadecimal pairs, with the same separators.
    fn pairs(&mut self, class: Class, value: &[u8], out: &mut Vec<u8>) {
        let separator = if class == Class::Fingerprint { b':' } else { b'-' };
        let count = value.split(|byte| *byte == separator).count();
        let number = self.number(class, &value.to_ascii_uppercase());
        let is_lower = value.iter().any(u8::is_ascii_lowercase);
        for place in (0..count).rev() {
            let byte = if place < size_of::<usize>() { (number >> (8 * place)) & 0xff } else { 0 };
            let pair = match (is_lower, place + 1 == count) {
                // At least one letter shows the case.
                (true, true) => "aa".into(),
                (true, false) => format!("{byte:02x}"),
                (false, _) => format!("{byte:02X}"),
            };
            out.extend_from_slice(pair.as_bytes());
            if place > 0 {
                out.push(separator);
            }
        }
    }

    /// Writes the stand-in of an address or a name, or of any other text in that place. In a connection line the
    /// numbers after a `/` are kept.
    pub(super) fn address(&mut self, word: &[u8], out: &mut Vec<u8>) {
        let at = word.iter().position(|byte| *byte == b'/').unwrap_or(word.len());
        let (place, rest) = word.split_at_checked(at).unwrap_or((word, &[]));
        let is_number = |byte: &u8| byte.is_ascii_digit() || *byte == b'/';
        match str::from_utf8(place) {
            Ok(text) if rest.iter().all(is_number) => {
                let (text, zone) = text.split_once('%').map_or((text, None), |(text, zone)| (text, Some(zone)));
                if let Ok(ip) = text.parse::<IpAddr>() {
                    out.extend_from_slice(format!("{}", self.ip(ip)).as_bytes());
                } else {
                    self.name(text, out);
                }
                // A zone identifies an interface of the host (RFC 4007 §11).
                if let Some(zone) = zone {
                    out.push(b'%');
                    self.write(Class::Zone, zone.as_bytes(), out);
                }
                out.extend_from_slice(rest);
            }
            _ => self.write(Class::Value, word, out),
        }
    }

    fn name(&mut self, text: &str, out: &mut Vec<u8>) {
        let name = text.to_ascii_lowercase();
        let is_name = !name.is_empty()
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'));
        if name == "localhost" {
            out.extend_from_slice(text.as_bytes());
        } else if name.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') && !name.is_empty() {
            self.mask_address(text.as_bytes(), out);
        } else if !is_name || is_value(text) {
            self.write(Class::Value, text.as_bytes(), out);
        } else if !name.contains('_') && !is_domain_name(&name) {
            self.write(Class::InvalidHost, name.as_bytes(), out);
        } else if name.ends_with(".local") {
            self.write(Class::MulticastHost, name.as_bytes(), out);
        } else {
            self.write(Class::Host, name.as_bytes(), out);
        }
    }

    /// Returns the stand-in of an IP address. Private addresses are in 192.0.2.0/24, public ones in 198.51.100.0/24 and
    /// 203.0.113.0/24, further ones in 198.18.0.0/15 (RFC 5737, RFC 2544). Multicast addresses are in 233.252.0.0/24
    /// (RFC 5771) and ff0x::db8:0:0/96 (RFC 6676). All other IPv6 addresses are in 2001:db8::/32 (RFC 3849); unique
    /// local and link-local ones have separate ranges.
    fn ip(&mut self, ip: IpAddr) -> IpAddr {
        if ip.is_unspecified() || ip.is_loopback() {
            return ip;
        }
        match ip {
            IpAddr::V4(v4) => self.ip4(v4).into(),
            IpAddr::V6(v6) => self.ip6(v6).into(),
        }
    }

    fn ip4(&mut self, v4: Ipv4Addr) -> Ipv4Addr {
        let is_shared = matches!(v4.octets(), [100, 64..=127, ..]);
        let (class, blocks): (_, &[[u8; 3]]) = if v4.is_multicast() {
            (Class::MulticastIp4, &[[233, 252, 0]])
        } else if v4.is_private() || v4.is_link_local() || is_shared {
            (Class::PrivateIp4, &[[192, 0, 2]])
        } else {
            (Class::PublicIp4, &[[198, 51, 100], [203, 0, 113]])
        };
        let place = self.number(class, &v4.octets()) - 1;
        let host = u8::try_from(place % ADDRESSES_PER_BLOCK + 1).unwrap_or(u8::MAX);
        if let Some([a, b, c]) = blocks.get(place / ADDRESSES_PER_BLOCK) {
            return Ipv4Addr::new(*a, *b, *c, host);
        }
        // No real description has this many addresses. Private and public ones have half of the range each; the last
        // address is shared.
        let half = if class == Class::PrivateIp4 { 18 } else { 19 };
        let rest = u16::try_from(place - blocks.len() * ADDRESSES_PER_BLOCK).unwrap_or(u16::MAX);
        let [c, d] = rest.to_be_bytes();
        if class == Class::MulticastIp4 { Ipv4Addr::new(233, 252, 0, 255) } else { Ipv4Addr::new(198, half, c, d) }
    }

    fn ip6(&mut self, v6: Ipv6Addr) -> Ipv6Addr {
        if let Some(v4) = v6.to_ipv4_mapped() {
            return self.ip4(v4).to_ipv6_mapped();
        }
        let number = u32::try_from(self.number(Class::Ip6, &v6.octets())).unwrap_or(u32::MAX);
        let [high, low] = [number >> 16, number & 0xffff].map(|half| u16::try_from(half).unwrap_or_default());
        let [first, ..] = v6.segments();
        let [f, net] = match first {
            _ if v6.is_multicast() => return Ipv6Addr::new(first & 0xff0f, 0, 0, 0, 0, 0xdb8, high, low),
            _ if v6.is_unique_local() => [0xdb8, 0xfd00],
            _ if v6.is_unicast_link_local() => [0xdb8, 0xfe80],
            _ => [0xdb8, 0],
        };
        Ipv6Addr::new(0x2001, f, net, 0, 0, 0, high, low)
    }

    /// Copies a text and replaces each IP address in it.
    pub(super) fn replace_addresses(&mut self, text: &[u8], out: &mut Vec<u8>) {
        for run in runs(text, |byte| byte.is_ascii_hexdigit() || matches!(byte, b'.' | b':')) {
            // A character next to an address in a text may look like a part of the address.
            let after = run.strip_prefix(b":").filter(|rest| !rest.starts_with(b":"));
            let colon: &[u8] = if after.is_some() { b":" } else { b"" };
            let whole = after.unwrap_or(run);
            let end = |marks: &[u8]| whole.iter().rposition(|byte| !marks.contains(byte)).map_or(0, |at| at + 1);
            let found = [whole.len(), end(b"."), end(b".:")].into_iter().find_map(|end| {
                let (part, rest) = whole.split_at_checked(end)?;
                Some((ip6(part)?, rest))
            });
            match found {
                Some((ip, rest)) => {
                    out.extend_from_slice(colon);
                    out.extend_from_slice(format!("{}", self.ip(ip.into())).as_bytes());
                    out.extend_from_slice(rest);
                }
                None => self.replace_ipv4(run, out),
            }
        }
    }

    /// Does the same for IPv4 only.
    fn replace_ipv4(&mut self, text: &[u8], out: &mut Vec<u8>) {
        for run in runs(text, |byte| byte.is_ascii_digit() || byte == b'.') {
            let start = run.iter().position(|byte| *byte != b'.').unwrap_or(0);
            let end = run.iter().rposition(|byte| *byte != b'.').map_or(0, |at| at + 1);
            let (before, ip) = run.split_at_checked(start).unwrap_or_default();
            let (ip, after) = ip.split_at_checked(end.saturating_sub(start)).unwrap_or((ip, &[]));
            match str::from_utf8(ip).ok().and_then(|text| text.parse::<Ipv4Addr>().ok()) {
                Some(ip) => {
                    out.extend_from_slice(before);
                    out.extend_from_slice(format!("{}", self.ip(ip.into())).as_bytes());
                    out.extend_from_slice(after);
                }
                None => out.extend_from_slice(run),
            }
        }
    }

    /// Copies a parameter list. Replaces each IP address, and each value that is a name or a secret elsewhere.
    /// Parameter names are kept.
    pub(super) fn replace_known(&mut self, text: &[u8], out: &mut Vec<u8>) {
        let is_word = |byte: u8| byte.is_ascii_graphic() && !b"\"&'()<>[]{};,=".contains(&byte);
        let mut words = runs(text, is_word).peekable();
        while let Some(word) = words.next() {
            if words.peek().is_some_and(|next| next.starts_with(b"=")) {
                self.replace_addresses(word, out);
            } else {
                self.word(word, out);
            }
        }
    }

    /// Scrubs a word. A part of it may be a known value, as in `sip:name@host`, and a known value may span several
    /// parts.
    fn word(&mut self, word: &[u8], out: &mut Vec<u8>) {
        /// The maximum number of parts that are tried together, including the separators between them.
        const MOST: usize = 33;
        let mut ends: Vec<usize> = Vec::new();
        let is_part = |byte: u8| !matches!(byte, b':' | b'/' | b'@');
        for part in word.chunk_by(|a, b| is_part(*a) && is_part(*b)) {
            ends.push(ends.last().copied().unwrap_or(0) + part.len());
        }
        let (mut start, mut copied, mut rest) = (0, 0, ends.as_slice());
        while let [next, after @ ..] = rest {
            let tried = rest.iter().take(MOST).enumerate().rev();
            let found = tried.filter_map(|(nth, end)| Some((nth, *end, self.alias_of(word.get(start..*end)?)?))).next();
            match found {
                Some((nth, end, (class, name))) => {
                    self.replace_addresses(word.get(copied..start).unwrap_or_default(), out);
                    self.write(class, &name, out);
                    (start, copied) = (end, end);
                    rest = rest.get(nth + 1..).unwrap_or_default();
                }
                None => {
                    start = *next;
                    rest = after;
                }
            }
        }
        self.replace_addresses(word.get(copied..).unwrap_or_default(), out);
    }

    /// Returns the class in which a word is known. Short words and short numbers identify no one.
    fn alias_of(&self, word: &[u8]) -> Option<(Class, Vec<u8>)> {
        if word.len() < 4 || (word.len() < 6 && word.iter().all(u8::is_ascii_digit)) {
            return None;
        }
        if let Some((name, class)) = self.names.get_key_value(word) {
            return Some((*class, name.clone()));
        }
        // Host names are stored in lower case.
        let is_host = word.contains(&b'.') && word.iter().any(u8::is_ascii_uppercase);
        if !is_host {
            return None;
        }
        let (name, class) = self.names.get_key_value(&word.to_ascii_lowercase())?;
        matches!(class, Class::Host | Class::MulticastHost | Class::InvalidHost).then(|| (*class, name.clone()))
    }
}

impl Class {
    /// Returns whether values of this class are also replaced in free texts.
    const fn is_name(self) -> bool {
        matches!(
            self,
            Self::User
                | Self::Host
                | Self::MulticastHost
                | Self::InvalidHost
                | Self::Ufrag
                | Self::Password
                | Self::TlsId
                | Self::Cname
                | Self::Id
        )
    }
}

/// Parses an IPv6 address.
fn ip6(text: &[u8]) -> Option<Ipv6Addr> {
    str::from_utf8(text).ok().filter(|text| text.len() < 46)?.parse().ok()
}

/// Splits a text into runs of accepted bytes and runs of other bytes.
fn runs(text: &[u8], is_accepted: impl Fn(u8) -> bool) -> impl Iterator<Item = &[u8]> {
    text.chunk_by(move |a, b| is_accepted(*a) == is_accepted(*b))
}

/// Returns the first character of an ICE name that its grammar does not allow, or an empty text.
fn odd(value: &[u8]) -> &str {
    let at = value.iter().position(|byte| byte.is_ascii_punctuation() && !matches!(*byte, b'+' | b'/'));
    at.and_then(|at| str::from_utf8(value.get(at..=at)?).ok()).unwrap_or_default()
}

/// The number of addresses of a /24 block that are used: .1 to .254.
const ADDRESSES_PER_BLOCK: usize = 254;

/// Writes `prefix` and a number, padded with zeros to a length.
fn padded(prefix: &str, number: usize, length: usize) -> alloc::string::String {
    format!("{prefix}{number:0width$}", width = length.saturating_sub(prefix.len()))
}

/// Writes base 64 of the original length: `AAA…0001`. If the original had padding, the result has a last `A` with zero
/// bits and then padding. A text that is too short for the number is extended in steps of four characters.
fn key(number: usize, value: &[u8]) -> alloc::string::String {
    let padding = value.iter().rev().take_while(|byte| **byte == b'=').count().min(2);
    let end = if padding > 0 { "A" } else { "" };
    let length = value.len().saturating_sub(padding + end.len());
    let digits = format!("{number:04}");
    let least = digits.len() + end.len() + padding;
    let fill = length.checked_sub(digits.len()).unwrap_or(least.next_multiple_of(4) - least);
    format!("{:A<fill$}{digits}{end}{:=<padding$}", "", "")
}

/// Whether the text is a stand-in of [`Class::Value`]. It stays one, so that scrubbing twice changes nothing.
fn is_value(text: &str) -> bool {
    text.strip_prefix("value-").is_some_and(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
}
