//! Nonces of the long-term mechanism: the security features at their start, and nonces for which a server stores no
//! state.
//!
//! Rules of this file: a nonce of [`Nonces`] contains its time in seconds and a MAC. The MAC covers the time, the
//! features, and the address and port of the client. So the nonce is valid for this client only, and the server
//! stores no state. The MAC is the truncated MESSAGE-INTEGRITY-SHA256 of a message that is never sent. So it is
//! computed and compared by the code of message integrity, in constant time.
//!
//! RFC 8489 §9.2 (nonce cookie), §9.2.1 (bid-down attacks), §9.2.4 (one nonce, one client), §14.10, §18.1 (features).
//!
//! ```
//! use core::time::Duration;
//! use portolan_machine::Instant;
//! use portolan_stun_agent::nonce::{Features, Nonces, NonceError};
//!
//! let nonces = Nonces::new(&[7; 32], Duration::from_secs(600));
//! let (client, other) = ("198.51.100.7:40000".parse()?, "198.51.100.8:40000".parse()?);
//! let nonce = nonces.issue(Instant::ORIGIN, client, Features::PASSWORD_ALGORITHMS);
//! assert!(nonce.as_str().starts_with("obMatJos2gAAA"));
//!
//! let later = Instant::from_millis(599_000);
//! assert_eq!(nonces.check(later, client, nonce.as_str().as_bytes()), Ok(()));
//! assert_eq!(nonces.check(later, other, nonce.as_str().as_bytes()), Err(NonceError::NotOurs));
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```

use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;
use portolan_machine::Instant;
use portolan_stun::{Attribute, Class, Integrity, IntegrityKey, Message, Method, Writer};

/// Issues and checks the nonces of a server. It stores only its secret and the lifetime.
#[derive(Clone, Debug)]
pub struct Nonces {
    key: IntegrityKey,
    lifetime: Duration,
}

/// The optional security features that a server announces in its nonce cookie (RFC 8489 §18.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Features(u32);

/// A nonce that [`Nonces::issue`] returns: [`Nonce::LEN`] printable characters.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Nonce([u8; Self::LEN]);

/// The reason why a nonce is not valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum NonceError {
    /// The nonce was not issued by these [`Nonces`] for this client, or it was changed.
    #[error("the nonce was not issued to this client")]
    NotOurs,
    /// The lifetime of the nonce has ended.
    #[error("the nonce has expired")]
    Expired,
}

impl Features {
    /// No feature.
    pub const NONE: Self = Self(0);
    /// Bit 0: the challenge contains PASSWORD-ALGORITHMS.
    pub const PASSWORD_ALGORITHMS: Self = Self(1 << 23);
    /// Bit 1: user names can be sent as USERHASH.
    pub const USERNAME_ANONYMITY: Self = Self(1 << 22);

    /// The features of a nonce; `None` if the nonce does not begin with the nonce cookie (RFC 8489 §9.2).
    ///
    /// A cookie whose four feature characters are not base64 is handled as no cookie. An attacker gains no more by
    /// changing the cookie than by removing it. The server detects both when it receives the nonce.
    #[must_use]
    pub fn of(nonce: &[u8]) -> Option<Self> {
        let characters = nonce.strip_prefix(COOKIE)?.first_chunk::<4>()?;
        let bits = characters.iter().try_fold(0, |bits, &character| Some(bits << 6 | u32::from(sextet(character)?)))?;
        Some(Self(bits))
    }

    /// Whether these features include all features of `other`.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Returns the union of both sets of features.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The 24 bits, bit 0 of the registry first.
    const fn bytes(self) -> [u8; 3] {
        let [_, bytes @ ..] = self.0.to_be_bytes();
        bytes
    }
}

impl Nonces {
    /// Nonces with a secret of 32 random bytes. Each nonce is valid for `lifetime`, in whole seconds.
    ///
    /// The secret must not have another use. Servers that share the secret and the origin of their clock accept each
    /// other's nonces. A server needs a new secret at each start, because its clock starts again.
    #[must_use]
    pub fn new(secret: &[u8; 32], lifetime: Duration) -> Self {
        Self { key: IntegrityKey::from_bytes(secret), lifetime }
    }

    /// The validity of each nonce.
    #[must_use]
    pub const fn lifetime(&self) -> Duration {
        self.lifetime
    }

    pub(crate) const fn set_lifetime(&mut self, lifetime: Duration) {
        self.lifetime = lifetime;
    }

    /// Issues the nonce for the client at `source`. Two clients never have the same nonce (RFC 8489 §9.2.4).
    #[must_use]
    pub fn issue(&self, now: Instant, source: SocketAddr, features: Features) -> Nonce {
        let issued_at = seconds(now);
        let mut buffer = [0; MESSAGE_LEN];
        let mac = self
            .encode_mac_message(&mut buffer, issued_at, source, features)
            .and_then(|message| message.last_chunk::<MAC>());
        let mut body = [0; 4 + MAC];
        let bytes = issued_at.to_be_bytes().into_iter().chain(mac.copied().unwrap_or_default());
        body.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);

        let mut nonce = [0; Nonce::LEN];
        let bits = features.bytes();
        let characters = COOKIE.iter().copied().chain(base64(&bits)).chain(base64(&body));
        nonce.iter_mut().zip(characters).for_each(|(to, from)| *to = from);
        Nonce(nonce)
    }

    /// Checks that the nonce was issued to the client at `source` and has not expired.
    ///
    /// # Errors
    /// * [`NonceError::NotOurs`] when these [`Nonces`] did not make the nonce for this client, or when it was
    ///   changed.
    /// * [`NonceError::Expired`] when its [`lifetime`](Self::lifetime) is over.
    pub fn check(&self, now: Instant, source: SocketAddr, nonce: &[u8]) -> Result<(), NonceError> {
        let features = Features::of(nonce).filter(|_| nonce.len() == Nonce::LEN).ok_or(NonceError::NotOurs)?;
        let body = nonce.get(COOKIE.len() + 4..).unwrap_or_default();
        let body = unbase64::<{ 4 + MAC }>(body).ok_or(NonceError::NotOurs)?;
        let (issued_at, mac) = body.split_first_chunk::<4>().ok_or(NonceError::NotOurs)?;
        let issued_at = u32::from_be_bytes(*issued_at);

        let mut buffer = [0; MESSAGE_LEN];
        let length = self.encode_mac_message(&mut buffer, issued_at, source, features).map_or(0, <[u8]>::len);
        let message = buffer.get_mut(..length).unwrap_or_default();
        let Some(value) = message.last_chunk_mut::<MAC>() else { return Err(NonceError::NotOurs) };
        value.iter_mut().zip(mac).for_each(|(to, from)| *to = *from);
        let message = Message::decode(message).map_err(|_| NonceError::NotOurs)?;
        message.verify_with(&self.key, Integrity::Sha256 { least: MAC }).map_err(|_| NonceError::NotOurs)?;

        // A nonce from the future was issued before the last start of the clock.
        let age = seconds(now).checked_sub(issued_at).ok_or(NonceError::NotOurs)?;
        if u64::from(age) < self.lifetime.as_secs() { Ok(()) } else { Err(NonceError::Expired) }
    }

    /// Encodes the message over which the MAC of a nonce is computed.
    fn encode_mac_message<'b>(
        &self,
        buffer: &'b mut [u8; MESSAGE_LEN],
        issued_at: u32,
        source: SocketAddr,
        features: Features,
    ) -> Option<&'b [u8]> {
        let mut id = [0; 12];
        let covered = issued_at.to_be_bytes().into_iter().chain(features.0.to_be_bytes());
        id.iter_mut().zip(covered).for_each(|(to, from)| *to = from);
        let mut writer = Writer::new(buffer, Class::Indication, Method::BINDING, id.into()).ok()?;
        writer.add(&Attribute::MappedAddress(source)).ok()?;
        Some(writer.message_integrity_sha256_truncated(&self.key, MAC).ok()?.finish())
    }
}

impl Nonce {
    /// The length in ASCII characters.
    pub const LEN: usize = 40;

    /// The value of NONCE.
    #[must_use]
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Nonce({self})")
    }
}

/// The time of a clock in whole seconds. 32 bits are sufficient for 136 years.
fn seconds(now: Instant) -> u32 {
    u32::try_from(now.since_origin().as_secs()).unwrap_or(u32::MAX)
}

/// Encodes base64 without padding (RFC 4648 §4): 3 bytes are 4 characters, and the last 1 or 2 bytes are 2 or 3
/// characters.
pub(crate) fn base64(bytes: &[u8]) -> impl Iterator<Item = u8> + '_ {
    bytes.chunks(3).flat_map(|chunk| {
        let bits = (0..3).fold(0_u32, |bits, n| bits << 8 | u32::from(chunk.get(n).copied().unwrap_or_default()));
        (0..=chunk.len()).map(move |n| character(bits >> (18 - 6 * n) & 63))
    })
}

fn unbase64<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    if text.len() != (N * 4).div_ceil(3) {
        return None;
    }
    let mut bytes = [0; N];
    for (to, from) in bytes.chunks_mut(3).zip(text.chunks(4)) {
        let bits = from.iter().try_fold(0_u32, |bits, &one| Some(bits << 6 | u32::from(sextet(one)?)))?;
        let bits = bits << (6 * (4 - from.len()));
        to.iter_mut().zip(bits.to_be_bytes().into_iter().skip(1)).for_each(|(to, from)| *to = from);
    }
    // The encoding is unique, so unused bits must be zero.
    base64(&bytes).eq(text.iter().copied()).then_some(bytes)
}

fn character(sextet: u32) -> u8 {
    let index = usize::try_from(sextet).unwrap_or_default();
    ALPHABET.get(index).copied().unwrap_or(b'A')
}

fn sextet(character: u8) -> Option<u8> {
    let index = ALPHABET.iter().position(|&one| one == character)?;
    u8::try_from(index).ok()
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
/// The nonce cookie (RFC 8489 §9.2), which the features follow.
const COOKIE: &[u8] = b"obMatJos2";
/// The length of the MAC in bytes: the shortest truncation of RFC 8489 §14.6.
const MAC: usize = 16;
/// The length of the MAC message in bytes: the header, an IPv6 address, and the MAC.
const MESSAGE_LEN: usize = 20 + 24 + 4 + MAC;
