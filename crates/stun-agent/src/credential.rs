//! Names and passwords of a client: the authentication of a request, and the responses that are accepted.
//!
//! Rules of this file: a credential is handed over beside a request, never in it. `Debug` and `Display` show its mechanism
//! alone. Only its [`Script`] text holds the user name and the password, so that a recording can be replayed: treat
//! recordings with credentials as secrets. The password is hashed and never sent. Texts are taken as they
//! are given: what OpaqueString (RFC 8265) changes beyond printable ASCII is the caller's to prepare.
//!
//! The parts below take a message and return a decision; they see no queue, no socket and no clock but the time given.
//!
//! RFC 8489 §9.1 (short-term), §9.2 (long-term), §9.2.1 (bid-down attacks), §10 (redirection).
//!
//! ```
//! use portolan_machine::{Cx, Datagram, Entropy, Input, Instant, Machine, Output, SocketId, SocketIds};
//! use portolan_stun::{Attribute, Class, Integrity, IntegrityKey, Message, Method, Writer};
//! use portolan_stun_agent::credential::Credential;
//! use portolan_stun_agent::{TransactionEvent, Request, Transactions};
//! # struct Ones(u8);
//! # impl Entropy for Ones { fn fill(&mut self, out: &mut [u8]) { self.0 += 1; out.fill(self.0) } }
//!
//! let (mut rng, mut ids) = (Ones(0), SocketIds::new());
//! let mut cx = Cx::new(Instant::ORIGIN, &mut rng, &mut ids);
//! let mut transactions = Transactions::<u8>::new();
//! let (socket, server, local) = (SocketId(1), "192.0.2.1:3478".parse()?, "198.51.100.7:40000".parse()?);
//!
//! // As in ICE: both sides know the password, and that the other knows MESSAGE-INTEGRITY.
//! let credential = Credential::short_term_with("evtj:h6vY", "VOkJxbRl1RmTxUk/WvJxBt", Integrity::Sha1);
//! assert_eq!(format!("{credential:?}"), "Credential(short-term)");
//! let id = transactions.request_with(&mut cx, Request::binding(socket, server, 7), credential)?;
//! let Output::Transmit(sent) = transactions.poll() else { panic!("a request") };
//! let key = IntegrityKey::short_term("VOkJxbRl1RmTxUk/WvJxBt");
//! assert_eq!(Message::decode(&sent.payload)?.verify(&key)?.username().unwrap(), "evtj:h6vY");
//!
//! let mut buffer = [0; 64];
//! let mut answer = Writer::new(&mut buffer, Class::SuccessResponse, Method::BINDING, id)?;
//! answer.add(&Attribute::XorMappedAddress(local))?;
//! let payload = answer.message_integrity(&key)?.finish();
//! transactions.handle(&mut cx, Input::Datagram(Datagram::new(socket, local, server, payload)));
//! let Output::Event(TransactionEvent::Answered(answer)) = transactions.poll() else { panic!("answered") };
//! assert_eq!(answer.integrity, Some(Integrity::Sha1));
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```

mod attempt;
mod challenge;
mod session;

pub(crate) use attempt::{Attempt, Ruling};
pub use challenge::ChallengeError;
pub(crate) use session::{Sessions, end};

use crate::hex::{read_hex, write_hex};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use core::fmt;
use portolan_machine::{Script, ScriptError};
use portolan_stun::{Attribute, Class, EncodeError, Integrity, IntegrityKey, Method, TransactionId, Writer};

/// A user name and its password, and by which mechanism they are proved; clones are cheap and share them.
///
/// Equality compares contents, not identity. The realm, nonce and algorithm of a server are used for the next request
/// to that server with an equal credential.
#[derive(Clone)]
pub struct Credential(Arc<Secret>);

struct Secret {
    username: Box<str>,
    password: Box<str>,
    proves: Proves,
}

/// The mechanism, with what it knows beforehand.
enum Proves {
    /// The key is the password's; `only` is what both sides are known to support.
    ShortTerm { key: Box<IntegrityKey>, only: Option<Integrity> },
    /// The key needs the server's realm; `anonymous` refuses servers that would have USERNAME.
    LongTerm { anonymous: bool },
}

/// One of the two mechanisms of RFC 8489 §9.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mechanism {
    /// Both sides have the credential before the request (RFC 8489 §9.1).
    ShortTerm,
    /// The server requires the credential with a challenge (RFC 8489 §9.2).
    LongTerm,
}

impl Credential {
    /// A short-term credential: the first request to a server has both integrity attributes, those after its answer the
    /// one that it answered with (RFC 8489 §9.1.2, §9.1.5).
    #[must_use]
    pub fn short_term(username: &str, password: &str) -> Self {
        Self::new(username, password, Proves::ShortTerm { key: short_term_key(password), only: None })
    }

    /// A short-term credential where both sides are known to support this integrity attribute, as in ICE (RFC 8489 §9.1.2).
    #[must_use]
    pub fn short_term_with(username: &str, password: &str, only: Integrity) -> Self {
        Self::new(username, password, Proves::ShortTerm { key: short_term_key(password), only: Some(only) })
    }

    /// A long-term credential: the first request to a server proves nothing, its challenge says how (RFC 8489 §9.2.3).
    ///
    /// The name is sent as USERHASH where the server's nonce announces that, else as USERNAME (§9.2.5).
    #[must_use]
    pub fn long_term(username: &str, password: &str) -> Self {
        Self::new(username, password, Proves::LongTerm { anonymous: false })
    }

    /// A long-term credential whose name is never sent in plain text. A challenge of a server that does not announce USERHASH
    /// is not answered; the request ends with [`ChallengeError::NoAnonymity`].
    #[must_use]
    pub fn long_term_anonymous(username: &str, password: &str) -> Self {
        Self::new(username, password, Proves::LongTerm { anonymous: true })
    }

    fn new(username: &str, password: &str, proves: Proves) -> Self {
        Self(Arc::new(Secret { username: username.into(), password: password.into(), proves }))
    }

    /// The mechanism.
    #[must_use]
    pub fn mechanism(&self) -> Mechanism {
        match self.0.proves {
            Proves::ShortTerm { .. } => Mechanism::ShortTerm,
            Proves::LongTerm { .. } => Mechanism::LongTerm,
        }
    }

    fn username(&self) -> &str {
        &self.0.username
    }

    fn password(&self) -> &str {
        &self.0.password
    }

    /// Whether the name can be written.
    ///
    /// # Errors
    /// The same as for [`Writer::add`] of USERNAME.
    pub(crate) fn check(&self) -> Result<(), EncodeError> {
        let mut buffer = [0; 20 + 4 + 512];
        let mut writer = Writer::new(&mut buffer, Class::Request, Method::BINDING, TransactionId::default())?;
        writer.add(&Attribute::Username(self.username().into()))
    }
}

impl PartialEq for Credential {
    /// Compares values of the owner, not of a peer, so the time of the comparison reveals nothing.
    fn eq(&self, other: &Self) -> bool {
        let same = |a: &Secret, b: &Secret| {
            let proves = match (&a.proves, &b.proves) {
                (Proves::ShortTerm { only: a, .. }, Proves::ShortTerm { only: b, .. }) => a == b,
                (Proves::LongTerm { anonymous: a }, Proves::LongTerm { anonymous: b }) => a == b,
                (Proves::ShortTerm { .. }, Proves::LongTerm { .. })
                | (Proves::LongTerm { .. }, Proves::ShortTerm { .. }) => false,
            };
            proves && a.username == b.username && a.password == b.password
        };
        Arc::ptr_eq(&self.0, &other.0) || same(&self.0, &other.0)
    }
}

impl Eq for Credential {}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credential({})", self.mechanism())
    }
}

impl fmt::Display for Credential {
    /// The mechanism alone.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.mechanism().fmt(f)
    }
}

impl Script for Credential {
    /// Writes one word: the mechanism, the user name and the password, the latter two in hexadecimal. It is secret.
    ///
    /// The mechanisms are `short-term`, `short-term-sha1`, `short-term-sha256-32` (with the fewest bytes accepted),
    /// `long-term` and `long-term-anonymous`.
    fn write(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        write!(out, "{}", self.mechanism())?;
        match &self.0.proves {
            Proves::ShortTerm { only: None, .. } | Proves::LongTerm { anonymous: false } => {}
            Proves::ShortTerm { only: Some(Integrity::Sha1), .. } => out.write_str("-sha1")?,
            Proves::ShortTerm { only: Some(Integrity::Sha256 { least }), .. } => write!(out, "-sha256-{least}")?,
            Proves::LongTerm { anonymous: true } => out.write_str("-anonymous")?,
        }
        out.write_str(":")?;
        write_hex(out, self.username().as_bytes())?;
        out.write_str(":")?;
        write_hex(out, self.password().as_bytes())
    }

    fn read(text: &str) -> Result<Self, ScriptError> {
        const CREDENTIAL: ScriptError = ScriptError::new("a credential like `long-term:USER:PASSWORD`, in hexadecimal");
        let mut parts = text.split(':');
        let (Some(kind), Some(user), Some(password), None) = (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(CREDENTIAL);
        };
        let plain = |hex| String::from_utf8(read_hex(hex)?).map_err(|_| CREDENTIAL);
        let (user, password) = (plain(user)?, plain(password)?);
        Ok(match kind {
            "short-term" => Self::short_term(&user, &password),
            "short-term-sha1" => Self::short_term_with(&user, &password, Integrity::Sha1),
            "long-term" => Self::long_term(&user, &password),
            "long-term-anonymous" => Self::long_term_anonymous(&user, &password),
            other => {
                let least = other.strip_prefix("short-term-sha256-").and_then(|least| least.parse().ok());
                Self::short_term_with(&user, &password, Integrity::Sha256 { least: least.ok_or(CREDENTIAL)? })
            }
        })
    }
}

impl fmt::Display for Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ShortTerm => "short-term",
            Self::LongTerm => "long-term",
        })
    }
}

fn short_term_key(password: &str) -> Box<IntegrityKey> {
    Box::new(IntegrityKey::short_term(password))
}

#[cfg(test)]
mod tests;
