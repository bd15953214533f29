//! Nonces: the security features that their front announces, and those that a server need not remember.
//!
//! Rules of this file: a nonce of ours holds the second of its making and a MAC over that second, the features and the
//! address and port of the client, so that it is worth nothing elsewhere and a server keeps no state for it. There is no
//! second HMAC and no second comparison here: the MAC is the truncated MESSAGE-INTEGRITY-SHA256 of a message that is never
//! sent, so that it is compared in constant time, where all integrity is.
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

/// Makes and recognises a server's nonces; keeps nothing but its secret.
#[derive(Clone, Debug)]
pub struct Nonces {
    key: IntegrityKey,
    lifetime: Duration,
}

/// Which optional parts of the long-term mechanism a server announces in its nonce cookie (RFC 8489 §18.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Features(u32);

/// A nonce made by [`Nonces::issue`]: [`Nonce::LEN`] printable characters.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Nonce([u8; Self::LEN]);

/// Why a nonce is not valid, or no longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum NonceError {
    /// It was not made by these [`Nonces`] for this client, or it was changed.
    #[error("the nonce was not given to this client")]
    NotOurs,
    /// Its time is over.
    #[error("the nonce has expired")]
    Expired,
}

impl Features {
    /// No feature: what a server of this RFC without any announces.
    pub const NONE: Self = Self(0);
    /// Bit 0: PASSWORD-ALGORITHMS stands beside the nonce.
    pub const PASSWORD_ALGORITHMS: Self = Self(1 << 23);
    /// Bit 1: user names are sent as USERHASH.
    pub const USERNAME_ANONYMITY: Self = Self(1 << 22);

    /// The features that the front of a nonce announces; `None` where there is no nonce cookie (RFC 8489 §9.2).
    ///
    /// Four characters that are no base64 make no cookie: to garble it is worth no more than to take it away, and the
    /// server finds out about both when the nonce comes back.
    #[must_use]
    pub fn of(nonce: &[u8]) -> Option<Self> {
        let characters = nonce.strip_prefix(COOKIE)?.first_chunk::<4>()?;
        let bits = characters.iter().try_fold(0, |bits, &character| Some(bits << 6 | u32::from(sextet(character)?)))?;
        Some(Self(bits))
    }

    /// Whether all of `other` is among these.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// These and those.
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
    /// Nonces under a secret of 32 random bytes, each valid for `lifetime` after it was made, in whole seconds.
    ///
    /// The secret serves no other purpose. Servers that share it and the origin of their clock know each other's nonces. A
    /// server takes a new secret at each start, because its clock starts again.
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

    /// The nonce for a client at `source` (RFC 8489 §9.2.4: no two clients have the same).
    #[must_use]
    pub fn issue(&self, now: Instant, source: SocketAddr, features: Features) -> Nonce {
        let made = seconds(now);
        let mut buffer = [0; ROOM];
        let mac =
            self.pseudo_message(&mut buffer, made, source, features).and_then(|message| message.last_chunk::<MAC>());
        let mut body = [0; 4 + MAC];
        let bytes = made.to_be_bytes().into_iter().chain(mac.copied().unwrap_or_default());
        body.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);

        let mut nonce = [0; Nonce::LEN];
        let bits = features.bytes();
        let characters = COOKIE.iter().copied().chain(base64(&bits)).chain(base64(&body));
        nonce.iter_mut().zip(characters).for_each(|(to, from)| *to = from);
        Nonce(nonce)
    }

    /// Whether these are the bytes of a nonce that was given to the client at `source` and is still valid.
    ///
    /// # Errors
    /// * [`NonceError::NotOurs`] when these [`Nonces`] did not make the nonce for this client, or when it was
    ///   changed.
    /// * [`NonceError::Expired`] when its [`lifetime`](Self::lifetime) is over.
    pub fn check(&self, now: Instant, source: SocketAddr, nonce: &[u8]) -> Result<(), NonceError> {
        let features = Features::of(nonce).filter(|_| nonce.len() == Nonce::LEN).ok_or(NonceError::NotOurs)?;
        let body = nonce.get(COOKIE.len() + 4..).unwrap_or_default();
        let body = unbase64::<{ 4 + MAC }>(body).ok_or(NonceError::NotOurs)?;
        let (made, mac) = body.split_first_chunk::<4>().ok_or(NonceError::NotOurs)?;
        let made = u32::from_be_bytes(*made);

        let mut buffer = [0; ROOM];
        let length = self.pseudo_message(&mut buffer, made, source, features).map_or(0, <[u8]>::len);
        let message = buffer.get_mut(..length).unwrap_or_default();
        let Some(room) = message.last_chunk_mut::<MAC>() else { return Err(NonceError::NotOurs) };
        room.iter_mut().zip(mac).for_each(|(to, from)| *to = *from);
        let message = Message::decode(message).map_err(|_| NonceError::NotOurs)?;
        message.verify_with(&self.key, Integrity::Sha256 { least: MAC }).map_err(|_| NonceError::NotOurs)?;

        // A nonce from the future was made before the last start of the clock.
        let age = seconds(now).checked_sub(made).ok_or(NonceError::NotOurs)?;
        if u64::from(age) < self.lifetime.as_secs() { Ok(()) } else { Err(NonceError::Expired) }
    }

    /// Builds the pseudo message over which the nonce's MAC is computed.
    fn pseudo_message<'b>(
        &self,
        buffer: &'b mut [u8; ROOM],
        made: u32,
        source: SocketAddr,
        features: Features,
    ) -> Option<&'b [u8]> {
        let mut id = [0; 12];
        let bound = made.to_be_bytes().into_iter().chain(features.0.to_be_bytes());
        id.iter_mut().zip(bound).for_each(|(to, from)| *to = from);
        let mut writer = Writer::new(buffer, Class::Indication, Method::BINDING, id.into()).ok()?;
        writer.add(&Attribute::MappedAddress(source)).ok()?;
        Some(writer.message_integrity_sha256_truncated(&self.key, MAC).ok()?.finish())
    }
}

impl Nonce {
    /// Length in characters, all of them ASCII.
    pub const LEN: usize = 40;

    /// The text, as it goes into NONCE.
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

/// Whole seconds of a clock, which reach for 136 years.
fn seconds(now: Instant) -> u32 {
    u32::try_from(now.since_origin().as_secs()).unwrap_or(u32::MAX)
}

/// RFC 4648 §4, without padding: each 3 bytes are 4 characters, what is left over is as few as hold it.
fn base64(bytes: &[u8]) -> impl Iterator<Item = u8> + '_ {
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
    // One value has one text: bits that are not read must be zero.
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
/// What the nonce of a server of RFC 8489 begins with (§9.2); the features follow.
const COOKIE: &[u8] = b"obMatJos2";
/// Bytes of the MAC: the shortest truncation of RFC 8489 §14.6.
const MAC: usize = 16;
/// Header, an IPv6 address, the MAC.
const ROOM: usize = 20 + 24 + 4 + MAC;
