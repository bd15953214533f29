//! The attributes for a DTLS or TLS association with certificates (RFC 8122, RFC 8842).
//!
//! ```
//! use portolan_sdp::Value;
//! use portolan_sdp::attribute::{Fingerprint, Setup};
//!
//! let fingerprint = Fingerprint::parse(b"sha-1 4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF:3E:5D:49:6B:19:E5:7C:AB")?;
//! let digest: Vec<u8> = fingerprint.digest.bytes().collect();
//! assert!(fingerprint.matches("SHA-1", &digest));
//! assert!(!fingerprint.matches("sha-256", &digest));
//! assert_eq!(Setup::parse(b"actpass")?.to_string(), "actpass");
//! # Ok::<(), portolan_sdp::ValueError>(())
//! ```

use crate::error::{Citation, ValueError};
use crate::grammar::{Parsed, ascii, but_spaces, fail, space, token, whole, whole_but_spaces};
use crate::value::{AttributeValue, Value};
use crate::work::look;
use core::fmt;
use core::hash::{Hash, Hasher};
use core::str;

/// `a=fingerprint`: the hash of a certificate (RFC 8122 §5).
#[derive(Clone, Copy, Debug)]
pub struct Fingerprint<'a> {
    /// The hash function, such as `sha-256`, in any letter case.
    pub hash: &'a str,
    /// The hash. For a hash function of RFC 8122 its length is checked.
    pub digest: Digest<'a>,
}

/// The bytes of a fingerprint. Equality compares bytes, independent of the letter case of the text.
#[derive(Clone, Copy, Debug)]
pub struct Digest<'a> {
    /// Pairs of hexadecimal digits, separated by colons.
    text: &'a str,
}

impl<'a> Digest<'a> {
    /// Returns the bytes in order.
    pub fn bytes(&self) -> impl Iterator<Item = u8> + use<'a> {
        self.text.as_bytes().chunks(3).map(|pair| match pair {
            [high, low, ..] => nibble(*high) << 4 | nibble(*low),
            _ => 0,
        })
    }

    /// Returns the number of bytes, at least 1.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "there is at least one byte")]
    pub const fn len(&self) -> usize {
        self.text.len().div_ceil(3)
    }
}

impl Fingerprint<'_> {
    /// Returns whether the fingerprint has this hash function and this digest. The comparison does not take constant time:
    /// fingerprints are public.
    #[must_use]
    pub fn matches(&self, hash: &str, digest: &[u8]) -> bool {
        self.hash.eq_ignore_ascii_case(hash) && self.digest.bytes().eq(digest.iter().copied())
    }
}

impl<'a> Value<'a> for Fingerprint<'a> {
    const CLAUSE: Citation = Citation::new("RFC 8122", "5");

    fn parse(value: &'a [u8]) -> Result<Self, ValueError> {
        whole_but_spaces(value, Self::CLAUSE, |input| {
            let (rest, hash) = token(input, "a hash function such as sha-256")?;
            let (digest_at, ()) = space(rest)?;
            let (rest, digest) = digest(digest_at)?;
            match length(hash) {
                Some(expected) if digest.len() < expected => fail(rest, "a fingerprint as long as its hash"),
                Some(expected) if digest.len() > expected => {
                    fail(digest_at.get(expected * 3 - 1..).unwrap_or_default(), "the end of the fingerprint")
                }
                _ => Ok((rest, Self { hash, digest })),
            }
        })
    }
}

/// Pairs of hexadecimal digits. RFC 8122 requires upper case; endpoints also write lower case.
#[inline]
fn digest(input: &[u8]) -> Parsed<'_, Digest<'_>> {
    const EXPECTED: &str = "two hexadecimal digits";
    let mut rest = input;
    loop {
        look(3);
        match rest {
            [high, low, after @ ..] if nibble(*high) | nibble(*low) <= 0xf => rest = after,
            _ => return fail(rest, EXPECTED),
        }
        match rest {
            [b':', after @ ..] => rest = after,
            [] => break,
            _ => return fail(rest, "a colon"),
        }
    }
    str::from_utf8(input).map_or_else(|_| fail(input, EXPECTED), |text| Ok((rest, Digest { text })))
}

/// The value of each hexadecimal digit; 255 for any other byte.
#[inline]
fn nibble(byte: u8) -> u8 {
    NIBBLES.get(usize::from(byte)).copied().unwrap_or(u8::MAX)
}

const NIBBLES: [u8; 256] = {
    let mut table = [u8::MAX; 256];
    let mut rest: &mut [u8] = &mut table;
    let mut byte = 0_u8;
    while let [first, after @ ..] = rest {
        *first = match byte {
            b'0'..=b'9' => byte - b'0',
            b'A'..=b'F' => byte - b'A' + 10,
            b'a'..=b'f' => byte - b'a' + 10,
            _ => u8::MAX,
        };
        byte = byte.wrapping_add(1);
        rest = after;
    }
    table
};

/// Returns the length in bytes of a hash function of RFC 8122.
fn length(hash: &str) -> Option<usize> {
    let known =
        [("sha-256", 32), ("sha-1", 20), ("sha-224", 28), ("sha-384", 48), ("sha-512", 64), ("md5", 16), ("md2", 16)];
    known.into_iter().find(|(name, _)| hash.eq_ignore_ascii_case(name)).map(|(_, length)| length)
}

impl PartialEq for Digest<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.text.eq_ignore_ascii_case(other.text)
    }
}

impl Eq for Digest<'_> {}

impl Hash for Digest<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.bytes().for_each(|byte| state.write_u8(byte));
    }
}

impl PartialEq for Fingerprint<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.hash.eq_ignore_ascii_case(other.hash) && self.digest == other.digest
    }
}

impl Eq for Fingerprint<'_> {}

impl Hash for Fingerprint<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.hash.bytes().for_each(|byte| state.write_u8(byte.to_ascii_lowercase()));
        self.digest.hash(state);
    }
}

/// Written in upper case, as RFC 8122 requires.
impl fmt::Display for Digest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.bytes().enumerate() {
            if index > 0 {
                f.write_str(":")?;
            }
            write!(f, "{byte:02X}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Fingerprint<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.hash, self.digest)
    }
}

impl<'a> AttributeValue<'a> for Fingerprint<'a> {
    const NAME: &'static str = "fingerprint";
}

/// `a=setup`: which endpoint opens the connection (RFC 4145 §4; for DTLS RFC 8842 §5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Setup {
    /// `active`: the writer opens the connection; with DTLS the writer is the client.
    Active,
    /// `passive`: the other endpoint opens the connection.
    Passive,
    /// `actpass`: either one; the answer decides.
    ActPass,
    /// `holdconn`: no connection for now.
    HoldConn,
}

impl<'a> Value<'a> for Setup {
    const CLAUSE: Citation = Citation::new("RFC 4145", "4");

    fn parse(value: &'a [u8]) -> Result<Self, ValueError> {
        const EXPECTED: &str = "active, passive, actpass or holdconn";
        whole(value, Self::CLAUSE, |input| {
            let (rest, role) = token(input, EXPECTED)?;
            let role = match role {
                "active" => Self::Active,
                "passive" => Self::Passive,
                "actpass" => Self::ActPass,
                "holdconn" => Self::HoldConn,
                _ => return fail(input, EXPECTED),
            };
            Ok((but_spaces(rest), role))
        })
    }
}

impl<'a> AttributeValue<'a> for Setup {
    const NAME: &'static str = "setup";
}

impl fmt::Display for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Active => "active",
            Self::Passive => "passive",
            Self::ActPass => "actpass",
            Self::HoldConn => "holdconn",
        })
    }
}

/// `a=tls-id`: the identifier of a DTLS association; a new value means a new association (RFC 8842 §4). It has 20 to
/// 255 letters, digits, `+`, `/`, `-` or `_`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TlsId<'a>(pub &'a str);

impl<'a> Value<'a> for TlsId<'a> {
    const CLAUSE: Citation = Citation::new("RFC 8842", "4");

    fn parse(value: &'a [u8]) -> Result<Self, ValueError> {
        const EXPECTED: &str = "20 to 255 letters, digits, +, /, - or _";
        whole(value, Self::CLAUSE, |input| {
            let accepts = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_');
            match ascii(input, accepts, EXPECTED)? {
                (rest, text) if text.len() < 20 => fail(rest, EXPECTED),
                (_, text) if text.len() > 255 => fail(input.get(255..).unwrap_or_default(), EXPECTED),
                found => Ok(found),
            }
        })
        .map(Self)
    }
}

impl<'a> AttributeValue<'a> for TlsId<'a> {
    const NAME: &'static str = "tls-id";
}

impl fmt::Display for TlsId<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::refusal;

    const SHA1: &str = "sha-1 4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF:3E:5D:49:6B:19:E5:7C:AB";

    #[test]
    fn fingerprints_are_case_insensitive() {
        let fingerprint = Fingerprint::parse(SHA1.as_bytes()).unwrap();
        let small = SHA1.to_ascii_lowercase().replace("sha", "SHA");
        assert_eq!(Fingerprint::parse(small.as_bytes()), Ok(fingerprint));
        assert_eq!((fingerprint.digest.len(), fingerprint.digest.bytes().next()), (20, Some(0x4a)));
        let mut digest: alloc::vec::Vec<u8> = fingerprint.digest.bytes().collect();
        assert!(fingerprint.matches("Sha-1", &digest));
        digest[19] ^= 1;
        assert!(!fingerprint.matches("sha-1", &digest));
        assert!(!fingerprint.matches("sha-1", &digest[..19]));
    }

    #[test]
    fn an_invalid_fingerprint_is_refused_at_its_offset() {
        const PAIR: &str = "two hexadecimal digits";
        for (value, at, expected) in [
            ("", 0, "a hash function such as sha-256"),
            ("sha-1", 5, "a space"),
            ("sha-1 ", 6, PAIR),
            ("sha-1 4A:AD", 11, "a fingerprint as long as its hash"),
            ("md5 0:1", 4, PAIR),
            ("new 01:", 7, PAIR),
            ("new 01::02", 7, PAIR),
            ("new 0x01", 4, PAIR),
            ("new 0102", 6, "a colon"),
            ("new 01 02", 6, "a colon"),
        ] {
            assert_eq!(refusal::<Fingerprint<'_>>(value), (at, expected), "{value}");
        }
        let long = alloc::format!("{SHA1}:01");
        assert_eq!(refusal::<Fingerprint<'_>>(&long), (SHA1.len(), "the end of the fingerprint"));
    }

    #[test]
    fn setup_roles_and_tls_ids_are_parsed() {
        const SETUP: &str = "active, passive, actpass or holdconn";
        for value in ["active", "passive", "actpass", "holdconn"] {
            assert_eq!(alloc::format!("{}", Setup::parse(value.as_bytes()).unwrap()), value);
        }
        assert_eq!(refusal::<Setup>(""), (0, SETUP));
        assert_eq!(refusal::<Setup>("Active"), (0, SETUP));
        const ID: &str = "20 to 255 letters, digits, +, /, - or _";
        assert_eq!(TlsId::parse(b"abc3de65cddef001be82"), Ok(TlsId("abc3de65cddef001be82")));
        assert_eq!(refusal::<TlsId<'_>>("abc3de65cddef001be8"), (19, ID));
        assert_eq!(refusal::<TlsId<'_>>("abc3de65cddef001be82="), (20, "the end of the value"));
        assert_eq!(refusal::<TlsId<'_>>(&"x".repeat(256)), (255, ID));
    }
}
