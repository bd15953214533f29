//! SRTP keys in the description (RFC 4568 §4, §6).
//!
//! Rules of this file: no key is written by `Debug`. Suites are names; this crate does not judge their strength.

use crate::error::{Citation, ValueError};
use crate::grammar::{
    Parsed, ascii, blanks, fail, items_of, number, number_u8, number_u32, refuse, separated, tag, taken, whole,
};
use crate::value::{AttributeValue, Value};
use crate::work::look;
use core::fmt;

/// `a=crypto`: a crypto suite with its keys.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Crypto<'a> {
    /// The tag of the line, at most nine digits; the answer repeats the tag.
    pub tag: u32,
    /// The suite, such as `AES_CM_128_HMAC_SHA1_80`.
    pub suite: &'a str,
    /// The keys.
    pub keys: CryptoKeys<'a>,
    session_parameters: &'a str,
}

/// The keys of a suite, at least one. They are already checked.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct CryptoKeys<'a>(&'a str);

/// A key.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CryptoKey<'a> {
    /// `inline:`: the key itself.
    Inline {
        /// The master key followed by its salt, in base 64.
        key_salt: &'a str,
        /// The lifetime in packets.
        lifetime: Option<Lifetime>,
        /// The master key identifier.
        mki: Option<Mki<'a>>,
    },
    /// A key by another method.
    Other {
        /// The method.
        method: &'a str,
        /// The text after its colon.
        info: &'a str,
    },
}

/// The lifetime of a key in packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lifetime {
    /// This number of packets.
    Packets(u64),
    /// Two to the power of this number of packets.
    PowerOfTwo(u8),
}

/// The master key identifier, which is part of each packet (RFC 4568 §6.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Mki<'a> {
    /// The value: any number of digits.
    pub value: &'a str,
    /// The length in each packet in bytes, 1 to 128.
    pub length: u8,
}

/// A session parameter (RFC 4568 §6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SessionParameter<'a> {
    /// `KDR=`: a new key is derived every 2ⁿ packets, n from 0 to 24.
    Kdr(u8),
    /// `UNENCRYPTED_SRTP`: RTP is not encrypted.
    UnencryptedSrtp,
    /// `UNENCRYPTED_SRTCP`: RTCP is not encrypted.
    UnencryptedSrtcp,
    /// `UNAUTHENTICATED_SRTP`: RTP is not authenticated.
    UnauthenticatedSrtp,
    /// `FEC_ORDER=`: the order of forward error correction and SRTP at the sender.
    FecOrder {
        /// `FEC_SRTP`: forward error correction comes first.
        is_fec_first: bool,
    },
    /// `FEC_KEY=`: the keys of a forward error correction stream.
    FecKey(CryptoKeys<'a>),
    /// `WSH=`: the size of the replay window in packets, at least 64.
    Wsh(u32),
    /// Another parameter. A receiver that does not know it may ignore it if it begins with `-`.
    Other(&'a str),
}

impl<'a> Crypto<'a> {
    /// Returns the parameters, in the written order.
    pub fn session_parameters(&self) -> impl Iterator<Item = SessionParameter<'a>> + use<'a> {
        let words = self
            .session_parameters
            .split([' ', '\t'])
            .inspect(|word| look(word.len() + 1))
            .filter(|word| !word.is_empty());
        words.filter_map(|word| SessionParameter::read(word.as_bytes()).ok().map(|(_, parameter)| parameter))
    }
}

impl<'a> CryptoKeys<'a> {
    /// Returns the keys, in the written order.
    pub fn iter(&self) -> impl Iterator<Item = CryptoKey<'a>> + use<'a> {
        items_of(self.0, b';', CryptoKey::read)
    }
}

impl<'a> Value<'a> for Crypto<'a> {
    const CLAUSE: Citation = Citation::new("RFC 4568", "9");

    fn parse(value: &'a [u8]) -> Result<Self, ValueError> {
        const TAG: &str = "a tag of at most nine digits";
        whole(value, Self::CLAUSE, |input| {
            let (rest, tag) = match number(input, 999_999_999, TAG)? {
                (rest, _) if input.len() - rest.len() > 9 => return fail(input, TAG),
                found => found,
            };
            let (rest, ()) = blanks(rest)?;
            let (rest, suite) = ascii(rest, is_word, "a suite such as AES_CM_128_HMAC_SHA1_80")?;
            let (rest, ()) = blanks(rest)?;
            let (rest, keys) = separated(rest, b';', CryptoKey::read)?;
            let (parameters_at, mut rest) = (rest, rest);
            while !rest.is_empty() {
                let (word, ()) = blanks(rest)?;
                (rest, _) = SessionParameter::read(word)?;
            }
            let (rest, parameters) = taken(parameters_at, rest)?;
            let tag = u32::try_from(tag).unwrap_or(u32::MAX);
            Ok((rest, Self { tag, suite, keys: CryptoKeys(keys), session_parameters: parameters }))
        })
    }
}

impl<'a> AttributeValue<'a> for Crypto<'a> {
    const NAME: &'static str = "crypto";
}

const fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

impl<'a> CryptoKey<'a> {
    fn read(input: &'a [u8]) -> Parsed<'a, Self> {
        let (rest, method) = ascii(input, is_word, "a key method such as inline")?;
        let (rest, ()) = tag(rest, b":", "a colon")?;
        if method == "inline" {
            return Self::inline(rest);
        }
        let (rest, info) =
            ascii(rest, |byte| byte.is_ascii_graphic() && byte != b';', "what the method has of the key")?;
        Ok((rest, Self::Other { method, info }))
    }

    fn inline(input: &'a [u8]) -> Parsed<'a, Self> {
        let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
        let (rest, key_salt) = ascii(input, is_base64, "a key and its salt in base 64")?;
        let Some(second) = rest.strip_prefix(b"|") else {
            return Ok((rest, Self::Inline { key_salt, lifetime: None, mki: None }));
        };
        // Both are optional; only the identifier has a colon.
        let field = second.iter().take_while(|byte| !matches!(byte, b'|' | b';' | b' ' | b'\t'));
        look(field.clone().count() + 1);
        if field.clone().any(|byte| *byte == b':') {
            let (rest, mki) = Mki::read(second)?;
            return Ok((rest, Self::Inline { key_salt, lifetime: None, mki: Some(mki) }));
        }
        let (rest, lifetime) = Lifetime::read(second)?;
        let (rest, mki) = match rest.strip_prefix(b"|") {
            Some(third) => Mki::read(third).map(|(rest, mki)| (rest, Some(mki)))?,
            None => (rest, None),
        };
        Ok((rest, Self::Inline { key_salt, lifetime: Some(lifetime), mki }))
    }
}

impl Lifetime {
    fn read(input: &[u8]) -> Parsed<'_, Self> {
        if let Some(rest) = input.strip_prefix(b"2^") {
            let (rest, power) = number_u8(rest, "a power of two")?;
            return Ok((rest, Self::PowerOfTwo(power)));
        }
        let (rest, packets) = number(input, u64::MAX, "a lifetime in packets, such as 2^20")?;
        Ok((rest, Self::Packets(packets)))
    }
}

impl<'a> Mki<'a> {
    fn read(input: &'a [u8]) -> Parsed<'a, Self> {
        const LENGTH: &str = "a length in bytes, 1 to 128";
        let (rest, value) = ascii(input, |byte| byte.is_ascii_digit(), "a master key identifier in digits")?;
        let (length_at, ()) = tag(rest, b":", "a colon")?;
        match number_u8(length_at, LENGTH)? {
            (rest, length @ 1..=128) => Ok((rest, Self { value, length })),
            _ => refuse(length_at, LENGTH),
        }
    }
}

impl<'a> SessionParameter<'a> {
    fn read(input: &'a [u8]) -> Parsed<'a, Self> {
        if let Some(keys) = input.strip_prefix(b"FEC_KEY=") {
            return separated(keys, b';', CryptoKey::read).map(|(rest, keys)| (rest, Self::FecKey(CryptoKeys(keys))));
        }
        let (rest, word) = ascii(input, |byte| byte.is_ascii_graphic(), "a session parameter")?;
        let value = |name: &[u8]| input.strip_prefix(name);
        let parameter = if let Some(kdr) = value(b"KDR=") {
            const EXPECTED: &str = "a key derivation rate, 0 to 24";
            return match number_u8(kdr, EXPECTED)? {
                (rest, kdr @ 0..=24) => Ok((rest, Self::Kdr(kdr))),
                _ => refuse(kdr, EXPECTED),
            };
        } else if let Some(wsh) = value(b"WSH=") {
            const EXPECTED: &str = "a window, at least 64";
            return match number_u32(wsh, EXPECTED)? {
                (rest, wsh @ 64..) => Ok((rest, Self::Wsh(wsh))),
                _ => refuse(wsh, EXPECTED),
            };
        } else if let Some(order) = value(b"FEC_ORDER=") {
            match word.strip_prefix("FEC_ORDER=") {
                Some("FEC_SRTP") => Self::FecOrder { is_fec_first: true },
                Some("SRTP_FEC") => Self::FecOrder { is_fec_first: false },
                _ => return fail(order, "FEC_SRTP or SRTP_FEC"),
            }
        } else {
            match word {
                "UNENCRYPTED_SRTP" => Self::UnencryptedSrtp,
                "UNENCRYPTED_SRTCP" => Self::UnencryptedSrtcp,
                "UNAUTHENTICATED_SRTP" => Self::UnauthenticatedSrtp,
                other => Self::Other(other),
            }
        };
        Ok((rest, parameter))
    }
}

impl fmt::Display for Crypto<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The stored parameters begin with the space before them.
        write!(f, "{} {} {}{}", self.tag, self.suite, self.keys.0, self.session_parameters)
    }
}

/// Omits the keys.
impl fmt::Debug for Crypto<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Crypto")
            .field("tag", &self.tag)
            .field("suite", &self.suite)
            .field("keys", &self.keys)
            .field("session_parameters", &Parameters(*self))
            .finish()
    }
}

struct Parameters<'a>(Crypto<'a>);

impl fmt::Debug for Parameters<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.session_parameters()).finish()
    }
}

/// Omits the keys; shows their lifetimes and identifiers.
impl fmt::Debug for CryptoKeys<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// Omits the key.
impl fmt::Debug for CryptoKey<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inline { key_salt: _, lifetime, mki } => {
                f.debug_struct("Inline").field("lifetime", lifetime).field("mki", mki).finish_non_exhaustive()
            }
            Self::Other { method, info: _ } => f.debug_struct("Other").field("method", method).finish_non_exhaustive(),
        }
    }
}

#[cfg(test)]
mod tests;
