//! The checks of an audit, and their possible outcomes.
//!
//! Rules of this file: enums and their texts only. A [`Check`] has a name, a clause and a meaning. An [`Outcome`] is
//! the result of a check. The code that chooses an outcome is in `judge`.
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

/// One rule that an audit checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Check {
    /// A Binding request gets a success response.
    Binding,
    /// The response has the request's transaction id.
    TransactionId,
    /// The response comes from where the request went.
    Source,
    /// XOR-MAPPED-ADDRESS is present, and is a possible source address of the client.
    XorMappedAddress,
    /// A retransmitted request gets the same response.
    Retransmission,
    /// One request gets one response.
    OneResponse,
    /// A request with FINGERPRINT gets a response with a correct FINGERPRINT.
    Fingerprint,
    /// A request with a wrong FINGERPRINT is dropped.
    WrongFingerprint,
    /// An attribute after FINGERPRINT has no effect.
    AfterFingerprint,
    /// An unknown comprehension-required attribute is refused with 420, and listed in UNKNOWN-ATTRIBUTES.
    UnknownRequired,
    /// An unknown comprehension-optional attribute is ignored.
    UnknownOptional,
    /// A request of an unknown method is dropped.
    UnknownMethod,
    /// An indication is not answered.
    Indication,
    /// An unsolicited response is not answered.
    Response,
    /// A message whose last attribute is truncated is not answered.
    Truncated,
    /// A message whose length is not a multiple of 4 is not answered.
    OddLength,
    /// A datagram that is not STUN is not answered.
    Garbage,
    /// The response has SOFTWARE.
    Software,
    /// A Binding request over TCP gets a success response.
    Tcp,
    /// A request in the form of RFC 3489 is answered in that form.
    Classic,
    /// If the server requires credentials, its 401 has all attributes that a client needs.
    Credentials,
    /// No request gets a response of many times its own length.
    Amplification,
    /// The response has MAPPED-ADDRESS and XOR-MAPPED-ADDRESS.
    MappedAddress,
    /// RESPONSE-ORIGIN is the source address of the response.
    ResponseOrigin,
    /// OTHER-ADDRESS is another address and another port.
    OtherAddress,
    /// The other address and the other port respond too.
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
        (Check::XorMappedAddress, "xor-mapped-address", stun("6.3.1.1"), "XOR-MAPPED-ADDRESS is the client's address"),
        (Check::Retransmission, "retransmission", stun("6.3.1"), "a retransmitted request gets the same answer"),
        (Check::OneResponse, "one-response", stun("6.3.1"), "one request gets one response"),
        (Check::Fingerprint, "fingerprint", stun("7"), "a request with FINGERPRINT gets a response with one"),
        (Check::WrongFingerprint, "wrong-fingerprint", stun("7"), "a request with a wrong FINGERPRINT is dropped"),
        (Check::AfterFingerprint, "after-fingerprint", stun("14.7"), "an attribute after FINGERPRINT has no effect"),
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
        (Check::Response, "response", stun("6.3"), "an unsolicited response is not answered"),
        (Check::Truncated, "truncated", stun("6.3"), "a truncated message is not answered"),
        (Check::OddLength, "odd-length", stun("5"), "a length that is not a multiple of 4 is not answered"),
        (Check::Garbage, "garbage", stun("6.3"), "a datagram that is not STUN is not answered"),
        (Check::Software, "software", stun("14.14"), "the server says what it is (SOFTWARE)"),
        (Check::Tcp, "tcp", stun("6.2.2"), "a Binding request over TCP is answered"),
        (Check::Classic, "classic", stun("11"), "an RFC 3489 request gets an RFC 3489 response"),
        (Check::Credentials, "credentials", stun("9.2.4"), "a 401 has all that the next request needs"),
        (Check::Amplification, "amplification", stun("16.1.2"), "no response has many times the bytes of its request"),
        (Check::MappedAddress, "mapped-address", behaviour("6.1"), "MAPPED-ADDRESS is present as well"),
        (Check::ResponseOrigin, "response-origin", behaviour("7.3"), "RESPONSE-ORIGIN is the source of the response"),
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

    /// The name in reports, lower case with hyphens.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.row().map_or("", |(_, name, ..)| name)
    }

    /// The section that states the rule.
    #[must_use]
    pub fn clause(self) -> Clause {
        self.row().map_or(Clause::new(8489, "6"), |(_, _, clause, _)| *clause)
    }

    /// The behaviour of a server that honours the rule, as text.
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

/// The result of one check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The server honours the clause.
    Honoured,
    /// The server violates the clause.
    Violated(Violation),
    /// The clause is optional, or belongs to an option, and the server does not support it.
    NotSupported,
    /// The result is not known.
    Unknown(UnknownReason),
}

impl Outcome {
    /// Whether the server violates the clause.
    #[must_use]
    pub const fn is_violation(&self) -> bool {
        matches!(self, Self::Violated(_))
    }

    /// The name in reports, lower case with hyphens.
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

/// The way in which a server violates a clause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Violation {
    /// The server sent no response, but must send one.
    #[error("not answered")]
    NotAnswered,
    /// The server sent a response, but must not send one.
    #[error("answered, although the message must be dropped")]
    Answered,
    /// The server sent a success response that neither has the requested effect nor refuses it.
    #[error("answered as if the attribute were absent")]
    Ignored,
    /// The server refused a request that it offers or must serve.
    #[error("answered with error {0}")]
    Error(u16),
    /// The response is not a STUN message.
    #[error("the response is not a STUN message")]
    Unreadable,
    /// The server sent the request back.
    #[error("the request was sent back unchanged")]
    Echo,
    /// The response came from this address.
    #[error("answered from {0}")]
    From(SocketAddr),
    /// The attribute has this address, which is wrong.
    #[error("it reports {0}")]
    WrongAddress(SocketAddr),
    /// OTHER-ADDRESS is impossible.
    #[error("{0} is impossible: {1}")]
    Implausible(SocketAddr, Implausible),
    /// A required attribute is missing.
    #[error("the attribute is missing")]
    Missing,
    /// MAPPED-ADDRESS alone, as in RFC 3489.
    #[error("MAPPED-ADDRESS only")]
    OnlyMapped,
    /// Two sockets of the client got the same mapped address and port.
    #[error("two sockets got the same address {0}")]
    SameForTwo(SocketAddr),
    /// Equal requests get different responses.
    #[error("equal requests get different responses")]
    Differs,
    /// The value is not that of the request, or not that of the message.
    #[error("it is wrong")]
    Wrong,
    /// Several responses to each request.
    #[error("{replies} responses to {requests} requests")]
    Several {
        /// Requests sent.
        requests: u32,
        /// Responses received.
        replies: u32,
    },
    /// Clients at two ports got the same nonce (RFC 8489 §9.2.4).
    #[error("two clients got the same NONCE")]
    SameNonce,
    /// PASSWORD-ALGORITHMS without its feature bit in the nonce, or the bit without the attribute (RFC 8489 §9.2.4).
    #[error("PASSWORD-ALGORITHMS and the feature bit of the NONCE contradict each other")]
    FeatureBit,
    /// The responses have this many times the bytes of the request, rounded down.
    #[error("the responses have {0} times the bytes of the request")]
    Amplifies(u32),
}

/// The reason for which an OTHER-ADDRESS is impossible.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Implausible {
    /// The address is of another address family than the server.
    #[error("of another address family")]
    Family,
    /// The IP address is that of the server.
    #[error("the address of the server itself")]
    SameAddress,
    /// The port is that of the server.
    #[error("the port of the server itself")]
    SamePort,
    /// No host can have the address, or no host on the Internet.
    #[error("an address that cannot be reached from everywhere")]
    NotGlobal,
}

/// The reason for which an outcome is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum UnknownReason {
    /// No datagram of the server was received.
    #[error("the server did not answer")]
    Silent,
    /// Too many packets are lost: a missing response is not a result.
    #[error("too many packets are lost")]
    Loss,
    /// There is no Binding success response to compare with.
    #[error("no Binding response to compare with")]
    NoBinding,
    /// The server requires credentials (401).
    #[error("the server requires credentials")]
    Credentials,
    /// The server redirects its clients (300).
    #[error("the server redirects its clients")]
    Redirected,
    /// A filter or a NAT on the path may have dropped the response.
    #[error("a filter on the way may have dropped the answer")]
    Filter,
    /// There is no valid OTHER-ADDRESS to compare with.
    #[error("no usable OTHER-ADDRESS")]
    NoOtherAddress,
    /// MAPPED-ADDRESS differs from XOR-MAPPED-ADDRESS: it is wrong, or a router on the path has rewritten it.
    #[error("differs from XOR-MAPPED-ADDRESS: wrong, or rewritten on the path")]
    Rewritten,
    /// The probe was not sent.
    #[error("not tested")]
    NotAsked,
}
