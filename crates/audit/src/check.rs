//! What is asked of a server, and what can come of it.
//!
//! Rules of this file: closed words only. A [`Check`] knows its name, its clause and what it means; an [`Outcome`] says how
//! the server did. Nothing is decided here.
//!
//! ```
//! use portolan_audit::{Check, Outcome, Violation};
//!
//! assert_eq!(Check::UnknownRequired.clause().to_string(), "RFC 8489 §6.3.1");
//! let outcome = Outcome::Violated(Violation::Error(500));
//! assert_eq!(outcome.to_string(), "answered with error 500");
//! assert!(outcome.is_violation());
//! ```

use core::fmt;
use core::net::SocketAddr;
use portolan_machine::Clause;

/// One rule that a server is held to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Check {
    /// A Binding request gets a success response.
    Binding,
    /// The response has the request's transaction id.
    TransactionId,
    /// The response comes from where the request went.
    Source,
    /// XOR-MAPPED-ADDRESS is there, and is what the server can have seen.
    XorMappedAddress,
    /// A retransmitted request gets the same answer.
    Retransmission,
    /// One request gets one response.
    OneResponse,
    /// A request with FINGERPRINT gets a response with a right one.
    Fingerprint,
    /// A request with a wrong FINGERPRINT is dropped.
    WrongFingerprint,
    /// What stands after FINGERPRINT is not acted upon.
    AfterFingerprint,
    /// An unknown comprehension-required attribute is refused with 420, and listed.
    UnknownRequired,
    /// An unknown comprehension-optional attribute is ignored.
    UnknownOptional,
    /// A request of an unknown method is dropped.
    UnknownMethod,
    /// An indication is not answered.
    Indication,
    /// A response that nobody asked for is not answered.
    Response,
    /// A message whose attribute ends outside it is not answered.
    Truncated,
    /// A message whose length is no multiple of 4 is not answered.
    OddLength,
    /// What is not STUN is not answered.
    Garbage,
    /// The server says what it is.
    Software,
    /// The same over TCP.
    Tcp,
    /// A request in the form of RFC 3489 is answered in that form.
    Classic,
    /// Where credentials are asked for, the 401 holds what a client needs.
    Credentials,
    /// No request brings back many times its own bytes.
    Amplification,
    /// MAPPED-ADDRESS stands beside XOR-MAPPED-ADDRESS.
    MappedAddress,
    /// RESPONSE-ORIGIN is where the response came from.
    ResponseOrigin,
    /// OTHER-ADDRESS is another address and another port.
    OtherAddress,
    /// The other address and port answer too.
    Alternates,
    /// CHANGE-REQUEST for the port is obeyed.
    ChangePort,
    /// CHANGE-REQUEST for the address is obeyed.
    ChangeAddress,
    /// CHANGE-REQUEST for address and port is obeyed, or refused with 420.
    ChangeBoth,
    /// RESPONSE-PORT is obeyed, or refused with 420.
    ResponsePort,
    /// PADDING is sent back, or refused with 420.
    Padding,
    /// PADDING together with RESPONSE-PORT is refused with 400.
    PaddingAndResponsePort,
}

/// Each check with name, clause and meaning, in the order of a report.
const TABLE: [(Check, &str, Clause, &str); 32] = {
    const fn stun(section: &'static str) -> Clause {
        Clause::new(8489, section)
    }
    const fn behaviour(section: &'static str) -> Clause {
        Clause::new(5780, section)
    }
    [
        (Check::Binding, "binding", stun("6.3.1"), "a Binding request is answered with success"),
        (Check::TransactionId, "transaction-id", stun("6"), "the response has the request's transaction id"),
        (Check::Source, "source", stun("6.3.1.2"), "the response comes from where the request went"),
        (Check::XorMappedAddress, "xor-mapped-address", stun("6.3.1.1"), "XOR-MAPPED-ADDRESS says where the client is"),
        (Check::Retransmission, "retransmission", stun("6.3.1"), "a retransmitted request gets the same answer"),
        (Check::OneResponse, "one-response", stun("6.3.1"), "one request gets one response"),
        (Check::Fingerprint, "fingerprint", stun("7"), "a request with FINGERPRINT gets a response with one"),
        (Check::WrongFingerprint, "wrong-fingerprint", stun("7"), "a request with a wrong FINGERPRINT is dropped"),
        (Check::AfterFingerprint, "after-fingerprint", stun("14.7"), "nothing after FINGERPRINT is acted upon"),
        (
            Check::UnknownRequired,
            "unknown-required",
            stun("6.3.1"),
            "an unknown attribute that matters is refused (420)",
        ),
        (
            Check::UnknownOptional,
            "unknown-optional",
            stun("6.3"),
            "an unknown attribute that does not matter is ignored",
        ),
        (Check::UnknownMethod, "unknown-method", stun("6.3"), "a request of an unknown method is dropped"),
        (Check::Indication, "indication", stun("6.3.2"), "an indication is not answered"),
        (Check::Response, "response", stun("6.3"), "a response that nobody asked for is not answered"),
        (Check::Truncated, "truncated", stun("6.3"), "a message that ends too early is not answered"),
        (Check::OddLength, "odd-length", stun("5"), "a message of odd length is not answered"),
        (Check::Garbage, "garbage", stun("6.3"), "what is not STUN is not answered"),
        (Check::Software, "software", stun("14.14"), "the server says what it is (SOFTWARE)"),
        (Check::Tcp, "tcp", stun("6.2.2"), "a Binding request over TCP is answered"),
        (Check::Classic, "classic", stun("11"), "an RFC 3489 request is answered in its form"),
        (Check::Credentials, "credentials", stun("9.2.4"), "a 401 holds what the next request needs"),
        (Check::Amplification, "amplification", stun("16.1.2"), "no request brings back many times its bytes"),
        (Check::MappedAddress, "mapped-address", behaviour("6.1"), "MAPPED-ADDRESS beside XOR-MAPPED-ADDRESS"),
        (Check::ResponseOrigin, "response-origin", behaviour("7.3"), "RESPONSE-ORIGIN is where the response came from"),
        (Check::OtherAddress, "other-address", behaviour("7.4"), "OTHER-ADDRESS is another address and port"),
        (Check::Alternates, "alternates", behaviour("6"), "the other address and the other port answer"),
        (Check::ChangePort, "change-port", behaviour("7.2"), "CHANGE-REQUEST for the port is obeyed"),
        (Check::ChangeAddress, "change-address", behaviour("7.2"), "CHANGE-REQUEST for the address is obeyed"),
        (Check::ChangeBoth, "change-both", behaviour("7.2"), "CHANGE-REQUEST for both is obeyed"),
        (Check::ResponsePort, "response-port", behaviour("7.5"), "RESPONSE-PORT is obeyed"),
        (Check::Padding, "padding", behaviour("7.6"), "PADDING is sent back"),
        (
            Check::PaddingAndResponsePort,
            "padding-and-response-port",
            behaviour("6.1"),
            "PADDING with RESPONSE-PORT is refused (400)",
        ),
    ]
};

impl Check {
    /// Every check, in the order of a report.
    pub fn all() -> impl ExactSizeIterator<Item = Self> + Clone {
        TABLE.iter().map(|(check, ..)| *check)
    }

    fn row(self) -> Option<&'static (Self, &'static str, Clause, &'static str)> {
        TABLE.iter().find(|(check, ..)| *check == self)
    }

    /// Its name in reports, lower case with hyphens.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.row().map_or("", |(_, name, ..)| name)
    }

    /// The section that says so.
    #[must_use]
    pub fn clause(self) -> Clause {
        self.row().map_or(Clause::new(8489, "6"), |(_, _, clause, _)| *clause)
    }

    /// What an honest server does, in plain words.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        self.row().map_or("", |(.., meaning)| meaning)
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How a server did at one check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// As the clause wants it.
    Honoured,
    /// Against the clause.
    Violated(Violation),
    /// The clause is optional, or belongs to an option, and the server does without.
    NotSupported,
    /// Cannot be told.
    Unknown(UnknownReason),
}

impl Outcome {
    /// Whether the server was caught.
    #[must_use]
    pub const fn is_violation(&self) -> bool {
        matches!(self, Self::Violated(_))
    }

    /// The word for it in reports, lower case with hyphens.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Honoured => "honoured",
            Self::Violated(_) => "violated",
            Self::NotSupported => "not-supported",
            Self::Unknown(_) => "unknown",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Honoured => f.write_str("honoured"),
            Self::Violated(what) => write!(f, "{what}"),
            Self::NotSupported => f.write_str("not supported"),
            Self::Unknown(why) => write!(f, "{why}"),
        }
    }
}

/// What a server did against a clause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Violation {
    /// It said nothing where it has to answer.
    #[error("not answered")]
    NotAnswered,
    /// It answered where it has to be silent.
    #[error("answered, where silence is due")]
    Answered,
    /// It answered with success and without what was asked for, neither doing it nor refusing it.
    #[error("answered as if it had not been asked for")]
    Ignored,
    /// It refused what it offers, or what it must do.
    #[error("answered with error {0}")]
    Error(u16),
    /// Its answer cannot be read as STUN.
    #[error("the answer cannot be read")]
    Unreadable,
    /// It sent the request back.
    #[error("the request came back as it was")]
    Echo,
    /// The answer came from here.
    #[error("answered from {0}")]
    From(SocketAddr),
    /// What it told cannot be.
    #[error("it tells {0}")]
    Told(SocketAddr),
    /// OTHER-ADDRESS cannot be.
    #[error("{0} cannot be: {1}")]
    Implausible(SocketAddr, Implausible),
    /// An attribute that has to be there is not.
    #[error("the attribute is missing")]
    Missing,
    /// MAPPED-ADDRESS alone, as in RFC 3489.
    #[error("MAPPED-ADDRESS only")]
    OnlyMapped,
    /// Two sockets of the client are told one address and port.
    #[error("two sockets are both told {0}")]
    SameForTwo(SocketAddr),
    /// Equal requests get different answers.
    #[error("each answer differs")]
    Differs,
    /// It is not that of the request, or not that of the message.
    #[error("it is not the right one")]
    Wrong,
    /// Several responses to each request.
    #[error("{replies} responses to {requests} requests")]
    Several {
        /// Requests sent.
        requests: u32,
        /// Responses heard.
        replies: u32,
    },
    /// Clients at two ports are given one nonce (RFC 8489 §9.2.4).
    #[error("two clients are given one NONCE")]
    SameNonce,
    /// PASSWORD-ALGORITHMS without its bit in the nonce, or the bit without them (RFC 8489 §9.2.4).
    #[error("PASSWORD-ALGORITHMS and the feature bit of the NONCE contradict each other")]
    FeatureBit,
    /// This many times the bytes of the request came back, rounded down.
    #[error("{0} times the bytes come back")]
    Amplifies(u32),
}

/// Why an OTHER-ADDRESS cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Implausible {
    /// It is of the other address family.
    #[error("of another address family")]
    Family,
    /// It has the IP address that was asked.
    #[error("the address that was asked")]
    SameAddress,
    /// It has the port that was asked.
    #[error("the port that was asked")]
    SamePort,
    /// Nobody can be there, or nobody on the Internet.
    #[error("an address that cannot be reached from everywhere")]
    NotGlobal,
}

/// Why an outcome cannot be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum UnknownReason {
    /// Nothing came back at all.
    #[error("the server did not answer")]
    Silent,
    /// Too many packets are lost for silence to mean anything.
    #[error("too many packets are lost")]
    Loss,
    /// The server gave no Binding success that this could be compared with.
    #[error("no Binding response to compare with")]
    NoBinding,
    /// The server asks for credentials.
    #[error("the server asks for credentials")]
    Credentials,
    /// The server sends its clients elsewhere (300).
    #[error("the server sends its clients elsewhere")]
    Redirected,
    /// A filter or a NAT on the way may have dropped the answer.
    #[error("a filter on the way may have dropped the answer")]
    Filter,
    /// There is no usable other address to compare with.
    #[error("no usable OTHER-ADDRESS")]
    NoOtherAddress,
    /// MAPPED-ADDRESS differs from XOR-MAPPED-ADDRESS: wrong, or rewritten by a router on the way.
    #[error("differs from XOR-MAPPED-ADDRESS: wrong, or rewritten on the way")]
    Rewritten,
    /// It was not asked for.
    #[error("not asked")]
    NotAsked,
}
