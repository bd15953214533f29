//! MESSAGE-INTEGRITY and MESSAGE-INTEGRITY-SHA256: authentication of the sender and integrity of the message.
//!
//! Rules of this file: a key is prepared once, so that no message computes the key blocks again. The comparison takes
//! constant time. A verified message gives access only to the attributes that the HMAC covers. Texts are hashed
//! without preparation. The caller does the OpaqueString preparation (RFC 8265) of user names, realms and passwords
//! beyond ASCII.
//!
//! RFC 8489 §9.1.1 and §9.2.2 (keys), §14.4 to §14.6 (attributes), §18.5.1 (long-term keys).
//!
//! ```
//! use portolan_stun::{Class, IntegrityError, IntegrityKey, Message, Method, Writer};
//!
//! let key = IntegrityKey::long_term_sha256("user", "example.org", "TheMatrIX");
//! let mut buffer = [0; 64];
//! let writer = Writer::new(&mut buffer, Class::Request, Method::BINDING, [7; 12].into())?;
//! let bytes = writer.message_integrity_sha256(&key)?.finish();
//!
//! let message = Message::decode(bytes)?;
//! assert!(message.verify(&key).is_ok());
//! let other = IntegrityKey::short_term("guess");
//! assert_eq!(message.verify(&other).unwrap_err(), IntegrityError::Mismatch { at: 20 });
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use md5::{Digest as _, Md5};
use sha1::Sha1;
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

use crate::{HEADER_LEN, IntegrityError, Message, Verified, message::padded};

/// A key of message integrity. HMAC-SHA1 is prepared at once, HMAC-SHA256 at its first use.
///
/// `Debug` does not print the key.
#[derive(Clone)]
pub struct IntegrityKey {
    sha1: Pads<[u32; 5]>,
    sha256: LazyPads,
}

/// The kind of integrity attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Integrity {
    /// MESSAGE-INTEGRITY (RFC 8489 §14.5).
    Sha1,
    /// MESSAGE-INTEGRITY-SHA256, with the smallest accepted length: 32 unless the usage allows truncation (§14.6).
    Sha256 {
        /// The smallest accepted length, 16 to 32 bytes.
        least: usize,
    },
}

impl Integrity {
    /// MESSAGE-INTEGRITY-SHA256 that is not truncated.
    pub const SHA256: Self = Self::Sha256 { least: 32 };
}

impl IntegrityKey {
    /// The key of the short-term mechanism: the password itself (RFC 8489 §9.1.1).
    #[must_use]
    pub fn short_term(password: &str) -> Self {
        Self::from_bytes(password.as_bytes())
    }

    /// The key of the long-term mechanism, MD5 of `username:realm:password` (RFC 8489 §9.2.2, §18.5.1.1).
    #[must_use]
    pub fn long_term_md5(username: &str, realm: &str, password: &str) -> Self {
        let hash = Md5::new().chain_update(username).chain_update(":").chain_update(realm);
        Self::from_bytes(&hash.chain_update(":").chain_update(password).finalize())
    }

    /// The key of the long-term mechanism, SHA-256 of `username:realm:password` (RFC 8489 §9.2.2, §18.5.1.2).
    #[must_use]
    pub fn long_term_sha256(username: &str, realm: &str, password: &str) -> Self {
        let hash = Sha256::new().chain_update(username).chain_update(":").chain_update(realm);
        Self::from_bytes(&hash.chain_update(":").chain_update(password).finalize())
    }

    /// A key from its bytes: a stored hash of long-term credentials, or the key of a token (RFC 7635 §6.2).
    #[must_use]
    pub fn from_bytes(key: &[u8]) -> Self {
        let mut short = [0; BLOCK];
        let (mut for_sha1, mut for_sha256) = (short, short);
        if key.len() > BLOCK {
            // RFC 2104 §2: a key longer than a block is replaced by its hash.
            for_sha1.iter_mut().zip(Sha1::digest(key)).for_each(|(to, from)| *to = from);
            for_sha256.iter_mut().zip(Sha256::digest(key)).for_each(|(to, from)| *to = from);
        } else {
            short.iter_mut().zip(key).for_each(|(to, from)| *to = *from);
            (for_sha1, for_sha256) = (short, short);
        }
        Self { sha1: Pads::new(&for_sha1), sha256: LazyPads::new(for_sha256) }
    }

    /// HMAC-SHA1 (RFC 2104) of bytes that are no message, such as the user name of a time-limited credential.
    ///
    /// ```
    /// // RFC 2202 §3, test case 2.
    /// let mac = portolan_stun::IntegrityKey::from_bytes(b"Jefe").hmac_sha1(b"what do ya want for nothing?");
    /// assert_eq!(mac[..4], [0xef, 0xfc, 0xdf, 0x6a]);
    /// ```
    #[must_use]
    pub fn hmac_sha1(&self, bytes: &[u8]) -> [u8; 20] {
        // The HMAC of a message replaces bytes 2 and 3 by a length. Here they keep their values.
        let [high, low] = [2, 3].map(|at| bytes.get(at).copied().unwrap_or_default());
        self.sha1(bytes, HEADER_LEN + usize::from(u16::from_be_bytes([high, low])))
    }

    /// HMAC-SHA1 of `covered`, with the length field of a message of `total` bytes.
    pub(crate) fn sha1(&self, covered: &[u8], total: usize) -> [u8; 20] {
        let mut hmac = [0; 20];
        fill_words(&mut hmac, &self.sha1.hmac(covered, total));
        hmac
    }

    /// HMAC-SHA256 of `covered`, with the length field of a message of `total` bytes.
    pub(crate) fn sha256(&self, covered: &[u8], total: usize) -> [u8; 32] {
        let mut hmac = [0; 32];
        fill_words(&mut hmac, &self.sha256.pads().hmac(covered, total));
        hmac
    }
}

impl fmt::Debug for IntegrityKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IntegrityKey(..)")
    }
}

impl<'a> Message<'a> {
    /// Verifies the stronger integrity attribute of the message, and returns the message with the covered attributes
    /// only. A truncated attribute is refused.
    ///
    /// A receiver that must not accept a bid-down to the weaker attribute calls [`Message::verify_with`].
    ///
    /// # Errors
    /// * [`IntegrityError::Missing`] when the message has neither of the two integrity attributes.
    /// * [`IntegrityError::Length`] when the attribute does not have 20 bytes (SHA-1) or 32 bytes (SHA-256).
    /// * [`IntegrityError::Mismatch`] when the key or the bytes are different.
    pub fn verify(&self, key: &IntegrityKey) -> Result<Verified<'a>, IntegrityError> {
        let kind = if self.integrity_sha256_at() != 0 { Integrity::SHA256 } else { Integrity::Sha1 };
        self.verify_with(key, kind)
    }

    /// Verifies one of the two integrity attributes, and returns the message with the covered attributes only.
    ///
    /// The returned message has only the attributes before the first integrity attribute (RFC 8489 §14.5, §14.6).
    /// FINGERPRINT is not checked here, see [`Message::check_fingerprint`].
    ///
    /// # Errors
    /// * [`IntegrityError::Missing`] when that attribute is not there.
    /// * [`IntegrityError::Length`] when it is malformed or shorter than accepted.
    /// * [`IntegrityError::Mismatch`] when the key or the bytes are different.
    pub fn verify_with(&self, key: &IntegrityKey, kind: Integrity) -> Result<Verified<'a>, IntegrityError> {
        let (offset, least, most) = match kind {
            Integrity::Sha1 => (self.integrity_at(), 20, 20),
            Integrity::Sha256 { least } => (self.integrity_sha256_at(), least.max(16), 32),
        };
        let at = usize::try_from(offset).unwrap_or_default();
        let Some((covered, own)) = self.as_bytes().split_at_checked(at).filter(|_| at != 0) else {
            return Err(IntegrityError::Missing);
        };
        let Some((&[_, _, l0, l1], after)) = own.split_first_chunk::<4>() else {
            return Err(IntegrityError::Missing);
        };
        let length = u16::from_be_bytes([l0, l1]);
        let found = usize::from(length);
        let Some(value) = after.get(..found).filter(|_| found >= least && found <= most && found & 3 == 0) else {
            return Err(IntegrityError::Length { at, found });
        };
        let total = at + 4 + padded(length);
        let same = match kind {
            Integrity::Sha1 => key.sha1(covered, total).ct_eq(value),
            Integrity::Sha256 { .. } => key.sha256(covered, total).get(..found).unwrap_or_default().ct_eq(value),
        };
        if !bool::from(same) {
            return Err(IntegrityError::Mismatch { at });
        }
        // If both attributes are present, MESSAGE-INTEGRITY is the first, and attributes after it must not be read.
        let end = if self.integrity_at() != 0 { self.integrity_at() } else { offset };
        Ok(self.authenticated(end))
    }
}

/// SHA-256 of `username:realm`, the value of USERHASH (RFC 8489 §14.4).
#[must_use]
pub fn userhash(username: &str, realm: &str) -> [u8; 32] {
    Sha256::new().chain_update(username).chain_update(":").chain_update(realm).finalize().into()
}

/// The block size of both hashes in bytes.
const BLOCK: usize = 64;

/// A hash: its state and its block function.
trait Block: Copy {
    const START: Self;
    fn compress(&mut self, blocks: &[[u8; BLOCK]]);
    fn words(&self) -> &[u32];
}

impl Block for [u32; 5] {
    // FIPS 180-4 §5.3.1.
    const START: Self = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0];

    fn compress(&mut self, blocks: &[[u8; BLOCK]]) {
        sha1::block_api::compress(self, blocks);
    }

    fn words(&self) -> &[u32] {
        self
    }
}

impl Block for [u32; 8] {
    // FIPS 180-4 §5.3.3.
    const START: Self =
        [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];

    fn compress(&mut self, blocks: &[[u8; BLOCK]]) {
        sha2::block_api::compress256(self, blocks);
    }

    fn words(&self) -> &[u32] {
        self
    }
}

/// The two hash states of an HMAC after the blocks of the key. A message needs nothing else of the key (RFC 2104 §4).
#[derive(Clone, Copy)]
struct Pads<H> {
    inner: H,
    outer: H,
}

impl<H: Block> Pads<H> {
    fn new(key: &[u8; BLOCK]) -> Self {
        let (mut inner, mut outer) = (H::START, H::START);
        inner.compress(&[key.map(|byte| byte ^ 0x36)]);
        outer.compress(&[key.map(|byte| byte ^ 0x5c)]);
        Self { inner, outer }
    }

    /// The HMAC of `covered` with the length field of a message of `total` bytes.
    fn hmac(&self, covered: &[u8], total: usize) -> H {
        let [l0, l1] = u16::try_from(total - HEADER_LEN).unwrap_or(u16::MAX).to_be_bytes();
        let mut inner = self.inner;
        // The first block is a copy, because its length field differs. Two blocks hold most messages.
        let mut blocks = [[0; BLOCK]; 2];
        let head = covered.len().min(BLOCK);
        let (first, rest) = covered.split_at_checked(head).unwrap_or_default();
        let flat = blocks.as_flattened_mut();
        flat.iter_mut().zip(first).for_each(|(to, from)| *to = *from);
        if let Some([_, _, a, b]) = flat.first_chunk_mut() {
            [*a, *b] = [l0, l1];
        }
        let tail = if head == BLOCK {
            inner.compress(blocks.first_chunk::<1>().map_or(&[], |one| one));
            let (whole, tail) = rest.as_chunks();
            inner.compress(whole);
            blocks = [[0; BLOCK]; 2];
            blocks.as_flattened_mut().iter_mut().zip(tail).for_each(|(to, from)| *to = *from);
            tail.len()
        } else {
            head
        };
        finish(&mut inner, &mut blocks, tail, BLOCK + covered.len());

        let mut outer = self.outer;
        let mut block = [[0; BLOCK]; 2];
        let length = inner.words().len() * 4;
        fill_words(block.as_flattened_mut(), &inner);
        finish(&mut outer, &mut block, length, BLOCK + length);
        outer
    }
}

/// The pads of SHA-256, computed at the first use. ICE never uses them.
///
/// Two threads may compute them at the same time. Both store the same words.
struct LazyPads {
    key: [u8; BLOCK],
    is_ready: AtomicBool,
    inner: [AtomicU32; 8],
    outer: [AtomicU32; 8],
}

impl LazyPads {
    const fn new(key: [u8; BLOCK]) -> Self {
        let (inner, outer) = ([const { AtomicU32::new(0) }; 8], [const { AtomicU32::new(0) }; 8]);
        Self { key, is_ready: AtomicBool::new(false), inner, outer }
    }

    fn pads(&self) -> Pads<[u32; 8]> {
        self.stored().unwrap_or_else(|| {
            let pads = Pads::new(&self.key);
            self.store(&pads);
            pads
        })
    }

    fn stored(&self) -> Option<Pads<[u32; 8]>> {
        // Acquire: the words that were stored before the flag are visible.
        let load = |words: &[AtomicU32; 8]| words.each_ref().map(|word| word.load(Ordering::Relaxed));
        self.is_ready.load(Ordering::Acquire).then(|| Pads { inner: load(&self.inner), outer: load(&self.outer) })
    }

    fn store(&self, pads: &Pads<[u32; 8]>) {
        let words = self.inner.iter().chain(&self.outer);
        words.zip(pads.inner.iter().chain(&pads.outer)).for_each(|(to, from)| to.store(*from, Ordering::Relaxed));
        self.is_ready.store(true, Ordering::Release);
    }
}

impl Clone for LazyPads {
    fn clone(&self) -> Self {
        let clone = Self::new(self.key);
        if let Some(pads) = self.stored() {
            clone.store(&pads);
        }
        clone
    }
}

/// Pads and ends a hash of `total` bytes. Its last `tail` bytes are in `blocks` (FIPS 180-4 §5.1.1).
fn finish<H: Block>(state: &mut H, blocks: &mut [[u8; BLOCK]; 2], tail: usize, total: usize) {
    if let Some(end) = blocks.as_flattened_mut().get_mut(tail) {
        *end = 0x80;
    }
    let bits = (u64::try_from(total).unwrap_or(u64::MAX) * 8).to_be_bytes();
    let used = if tail < BLOCK - 8 { 1 } else { 2 };
    if let Some(blocks) = blocks.get_mut(..used) {
        if let Some(last) = blocks.last_mut().and_then(|last| last.last_chunk_mut()) {
            *last = bits;
        }
        state.compress(blocks);
    }
}

/// Writes the words of a state, most significant byte first.
fn fill_words<H: Block>(to: &mut [u8], state: &H) {
    to.as_chunks_mut().0.iter_mut().zip(state.words()).for_each(|(to, word)| *to = word.to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Class, Method, Writer};

    #[test]
    fn only_sha256_computes_the_pads_of_sha256() {
        for length in [0, 22, 64, 65] {
            let key = IntegrityKey::from_bytes(&[7; 65][..length]);
            let writer = |buffer| Writer::new(buffer, Class::Request, Method::BINDING, [1; 12].into()).unwrap();
            let mut buffer = [0; 64];
            let bytes = writer(&mut buffer).message_integrity(&key).unwrap().finish();
            assert!(Message::decode(bytes).unwrap().verify(&key).is_ok());
            assert!(key.sha256.stored().is_none() && key.clone().sha256.stored().is_none(), "{length}");
            let mut buffer = [0; 64];
            let bytes = writer(&mut buffer).message_integrity_sha256(&key).unwrap().finish();
            assert!(key.sha256.stored().is_some() && key.clone().sha256.stored().is_some(), "{length}");
            assert!(Message::decode(bytes).unwrap().verify(&key).is_ok());
        }
    }
}
