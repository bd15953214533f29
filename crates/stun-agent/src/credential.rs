//! The credentials of a client: the authentication of requests, and the verification of responses.
//!
//! Rules of this file: a credential is passed separately from the request. `Debug` and `Display` print only its
//! mechanism. Only its [`Script`] text contains the user name and the password, so that a recording can be replayed:
//! a recording with credentials is secret. The password is hashed and never sent. The caller does the OpaqueString
//! preparation (RFC 8265) of texts beyond printable ASCII.
//!
//! The functions of this module take a message and the time, and return a decision. They have no queue and no socket.
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
//! // As in ICE: both sides have the password, and both support MESSAGE-INTEGRITY.
//! let credential = Credential::short_term_with("evtj:h6vY", "VOkJxbRl1RmTxUk/WvJxBt", Integrity::Sha1);
//! assert_eq!(format!("{credential:?}"), "Credential(short-term)");
//! let id = transactions.request_with(&mut cx, Request::binding(socket, server, 7), credential)?;
//! let Output::Transmit(sent) = transactions.poll() else { panic!("expected a request") };
//! let key = IntegrityKey::short_term("VOkJxbRl1RmTxUk/WvJxBt");
//! assert_eq!(Message::decode(&sent.payload)?.verify(&key)?.username().unwrap(), "evtj:h6vY");
//!
//! let mut buffer = [0; 64];
//! let mut response = Writer::new(&mut buffer, Class::SuccessResponse, Method::BINDING, id)?;
//! response.add(&Attribute::XorMappedAddress(local))?;
//! let payload = response.message_integrity(&key)?.finish();
//! transactions.handle(&mut cx, Input::Datagram(Datagram::new(socket, local, server, payload)));
//! let Output::Event(TransactionEvent::Answered(response)) = transactions.poll() else { panic!("expected an event") };
//! assert_eq!(response.integrity, Some(Integrity::Sha1));
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```

mod attempt;
mod challenge;
mod session;

pub(crate) use attempt::{Attempt, AuthOutcome};
pub use challenge::ChallengeError;
pub(crate) use session::{Sessions, finish};

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use core::fmt;
use portolan_machine::hex::{read_hex, write_hex};
use portolan_machine::{Script, ScriptError};
use portolan_stun::{Attribute, Class, EncodeError, Integrity, IntegrityKey, Method, TransactionId, Writer};

/// A user name and a password with their mechanism. A clone is cheap and shares the data.
///
/// Equality compares contents. The realm, nonce and algorithm of a server are used for the next request to that
/// server with an equal credential.
#[derive(Clone)]
pub struct Credential(Arc<Secret>);

struct Secret {
    username: Box<str>,
    password: Box<str>,
    params: MechanismParams,
}

/// The mechanism with its parameters.
enum MechanismParams {
    /// The key is the password. `only` is the attribute that both sides support; `None` if this is not known.
    ShortTerm { key: Box<IntegrityKey>, only: Option<Integrity> },
    /// The key depends on the realm of the server. `anonymous` refuses servers without support for USERHASH.
    LongTerm { anonymous: bool },
}

/// A credential mechanism of RFC 8489 §9.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mechanism {
    /// The short-term mechanism: both sides have the credential before the request (RFC 8489 §9.1).
    ShortTerm,
    /// The long-term mechanism: the server challenges the first request (RFC 8489 §9.2).
    LongTerm,
}

impl Credential {
    /// A short-term credential. The first request to a server has both integrity attributes. Later requests have only
    /// the attribute of the server's response (RFC 8489 §9.1.2, §9.1.5).
    #[must_use]
    pub fn short_term(username: &str, password: &str) -> Self {
        Self::new(username, password, MechanismParams::ShortTerm { key: short_term_key(password), only: None })
    }

    /// A short-term credential for two sides that support this integrity attribute, as in ICE (RFC 8489 §9.1.2).
    #[must_use]
    pub fn short_term_with(username: &str, password: &str, only: Integrity) -> Self {
        Self::new(username, password, MechanismParams::ShortTerm { key: short_term_key(password), only: Some(only) })
    }

    /// A long-term credential. The first request to a server is not authenticated, and the challenge of the server
    /// contains the parameters for the next request (RFC 8489 §9.2.3).
    ///
    /// The name is sent as USERHASH if the nonce of the server announces that, otherwise as USERNAME (§9.2.5).
    #[must_use]
    pub fn long_term(username: &str, password: &str) -> Self {
        Self::new(username, password, MechanismParams::LongTerm { anonymous: false })
    }

    /// A long-term credential whose name is never sent as plain text. If a server does not announce USERHASH, the
    /// request ends with [`ChallengeError::NoAnonymity`].
    #[must_use]
    pub fn long_term_anonymous(username: &str, password: &str) -> Self {
        Self::new(username, password, MechanismParams::LongTerm { anonymous: true })
    }

    fn new(username: &str, password: &str, params: MechanismParams) -> Self {
        Self(Arc::new(Secret { username: username.into(), password: password.into(), params }))
    }

    /// The mechanism.
    #[must_use]
    pub fn mechanism(&self) -> Mechanism {
        match self.0.params {
            MechanismParams::ShortTerm { .. } => Mechanism::ShortTerm,
            MechanismParams::LongTerm { .. } => Mechanism::LongTerm,
        }
    }

    fn username(&self) -> &str {
        &self.0.username
    }

    fn password(&self) -> &str {
        &self.0.password
    }

    /// Checks that the name can be encoded.
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
    /// Compares only values of the owner, so the comparison needs no constant time.
    fn eq(&self, other: &Self) -> bool {
        let same = |a: &Secret, b: &Secret| {
            let same_params = match (&a.params, &b.params) {
                (MechanismParams::ShortTerm { only: a, .. }, MechanismParams::ShortTerm { only: b, .. }) => a == b,
                (MechanismParams::LongTerm { anonymous: a }, MechanismParams::LongTerm { anonymous: b }) => a == b,
                (MechanismParams::ShortTerm { .. }, MechanismParams::LongTerm { .. })
                | (MechanismParams::LongTerm { .. }, MechanismParams::ShortTerm { .. }) => false,
            };
            same_params && a.username == b.username && a.password == b.password
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
    /// Prints only the mechanism.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.mechanism().fmt(f)
    }
}

impl Script for Credential {
    /// Writes one word: the mechanism, and the user name and the password in hexadecimal. The text is secret.
    ///
    /// The mechanisms are `short-term`, `short-term-sha1`, `short-term-sha256-32` (with the smallest accepted
    /// length), `long-term` and `long-term-anonymous`.
    fn write(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        write!(out, "{}", self.mechanism())?;
        match &self.0.params {
            MechanismParams::ShortTerm { only: None, .. } | MechanismParams::LongTerm { anonymous: false } => {}
            MechanismParams::ShortTerm { only: Some(Integrity::Sha1), .. } => out.write_str("-sha1")?,
            MechanismParams::ShortTerm { only: Some(Integrity::Sha256 { least }), .. } => {
                write!(out, "-sha256-{least}")?
            }
            MechanismParams::LongTerm { anonymous: true } => out.write_str("-anonymous")?,
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
        let parse_text = |hex| String::from_utf8(read_hex(hex)?).map_err(|_| CREDENTIAL);
        let (user, password) = (parse_text(user)?, parse_text(password)?);
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
