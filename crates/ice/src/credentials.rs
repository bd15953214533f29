//! The username fragment and the password of an agent (RFC 8445 §5.3, RFC 8839 §5.4).
//!
//! ```
//! use portolan_ice::Credentials;
//!
//! let remote = Credentials::new("8hhY", "asd88fgpdd777uzjYhagZg")?;
//! assert_eq!(remote.ufrag(), "8hhY");
//! assert_eq!(format!("{remote:?}"), "Credentials { ufrag: \"8hhY\", .. }");
//! assert!(Credentials::new("abc", "asd88fgpdd777uzjYhagZg").is_err());
//! # Ok::<(), portolan_ice::CredentialsError>(())
//! ```

use alloc::boxed::Box;
use alloc::string::String;
use core::fmt;
use portolan_machine::Cx;

/// A username fragment and a password.
///
/// `Debug` does not show the password. Equality of passwords is only compared with credentials of signalling, never with
/// bytes of the network.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    ufrag: Box<str>,
    password: Box<str>,
}

/// Why credentials were refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum CredentialsError {
    /// The username fragment does not have 4 to 256 characters.
    #[error("the username fragment has {0} characters, expected 4 to 256 (RFC 8839 section 5.4)")]
    UfragLength(usize),
    /// The password does not have 22 to 256 characters.
    #[error("the password has {0} characters, expected 22 to 256 (RFC 8839 section 5.4)")]
    PasswordLength(usize),
    /// A character is not a letter, a digit, `+` or `/`.
    #[error("the credentials have a character that is not a letter, a digit, + or / (RFC 8839 section 5.4)")]
    Character,
}

impl Credentials {
    /// Credentials from their texts.
    ///
    /// # Errors
    /// * [`CredentialsError::UfragLength`] when the username fragment does not have 4 to 256 characters.
    /// * [`CredentialsError::PasswordLength`] when the password does not have 22 to 256 characters.
    /// * [`CredentialsError::Character`] when a character is not a letter, a digit, `+` or `/`.
    pub fn new(ufrag: &str, password: &str) -> Result<Self, CredentialsError> {
        if !(4..=256).contains(&ufrag.len()) {
            return Err(CredentialsError::UfragLength(ufrag.len()));
        }
        if !(22..=256).contains(&password.len()) {
            return Err(CredentialsError::PasswordLength(password.len()));
        }
        if !ufrag.bytes().chain(password.bytes()).all(|byte| ALPHABET.contains(&byte)) {
            return Err(CredentialsError::Character);
        }
        Ok(Self { ufrag: ufrag.into(), password: password.into() })
    }

    /// Random credentials with 48 bits in the username fragment and 144 bits in the password. RFC 8445 §5.3 requires at
    /// least 24 and 128 bits.
    pub(crate) fn random(cx: &mut Cx<'_>) -> Self {
        let (ufrag, password) = (cx.random::<8>(), cx.random::<24>());
        Self { ufrag: letters(&ufrag).into(), password: letters(&password).into() }
    }

    /// The username fragment.
    #[must_use]
    pub fn ufrag(&self) -> &str {
        &self.ufrag
    }

    /// The password.
    #[must_use]
    pub fn password(&self) -> &str {
        &self.password
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("ufrag", &self.ufrag).finish_non_exhaustive()
    }
}

/// Six bits of each byte as a character.
fn letters(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    text.extend(bytes.iter().filter_map(|byte| ALPHABET.get(usize::from(byte & 63))).map(|byte| char::from(*byte)));
    text
}

/// The characters of RFC 8839 §5.1, `ice-char`.
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
