//! The results of a run: one conclusion per axis, with its evidence and the probability that it is wrong.
//!
//! A conclusion is a value or an [`Unknown`] with its reason; it is never a guess. RFC 5780 §4 says that such results
//! hold for one moment: a NAT may become stricter at any time.
//!
//! ```
//! use portolan_nat::behavior::Mapping;
//! use portolan_nat::profile::{Evidence, Unknown, Conclusion};
//!
//! let to = "192.0.2.1:3478".parse()?;
//! let mapped = "203.0.113.9:40000".parse()?;
//! let seen = vec![Evidence::Seen { to, mapped }];
//! let verdict: Conclusion<Mapping> = Conclusion::unknown(Unknown::SingleServer, seen);
//! assert_eq!(verdict.value(), None);
//! assert_eq!(verdict.reason().unwrap().as_str(), "single-server");
//! assert_eq!(verdict.evidence[0].to_string(), "192.0.2.1:3478 saw 203.0.113.9:40000");
//! # Ok::<(), core::net::AddrParseError>(())
//! ```

mod evidence;

pub use evidence::{Evidence, Question};

use crate::behavior::{ClassicType, Filtering, Hairpin, Mapping, NatKind, Pooling, PortAllocation, classic_name};
use alloc::vec::Vec;
use core::fmt;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use portolan_machine::{Refusal, Unreachability};

/// An address family. Each family is measured separately, because a NAT of one family shows nothing about the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// The family of an address.
    #[must_use]
    pub const fn of(address: &SocketAddr) -> Self {
        match address {
            SocketAddr::V4(_) => Self::V4,
            SocketAddr::V6(_) => Self::V6,
        }
    }

    /// The word that reports use: `ipv4` or `ipv6`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V4 => "ipv4",
            Self::V6 => "ipv6",
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        })
    }
}

/// The results of one run.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Report {
    /// One entry for each family that was measured, IPv4 first.
    pub families: Vec<FamilyReport>,
    /// The time from the start to the last conclusion.
    pub elapsed: Duration,
}

impl Report {
    /// A report of these families.
    #[must_use]
    pub const fn new(families: Vec<FamilyReport>, elapsed: Duration) -> Self {
        Self { families, elapsed }
    }

    /// Whether all families are unavailable.
    #[must_use]
    pub fn is_offline(&self) -> bool {
        self.families.iter().all(|family| matches!(family.reach, Reachability::Unavailable(_)))
    }

    /// Replaces every address by the result of `replace`, for reports that leave the host.
    #[must_use]
    pub fn with_addresses(mut self, replace: &mut dyn FnMut(IpAddr) -> IpAddr) -> Self {
        for family in &mut self.families {
            family.replace_addresses(replace);
        }
        self
    }
}

/// The results for one family.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct FamilyReport {
    /// The family.
    pub family: Family,
    /// Whether the family is available.
    pub reach: Reachability,
    /// The endpoints that servers reported for the mapping socket, in the order of the responses, each once.
    pub public: Vec<SocketAddr>,
    /// The mapping socket's own address.
    pub local: Option<SocketAddr>,
    /// The kind of device between the host and the Internet, if it is known.
    pub nat: Option<NatKind>,
    /// The mapping behaviour (RFC 4787 §4.1).
    pub mapping: Conclusion<Mapping>,
    /// The filtering behaviour (RFC 4787 §5).
    pub filtering: Conclusion<Filtering>,
    /// Further conclusions about the device.
    pub details: Details,
    /// Round-trip time and loss, if they were measured.
    pub path: Path,
    /// The servers that were used, in the order given.
    pub servers: Vec<ServerReport>,
}

impl FamilyReport {
    /// A report in which everything is unknown, for one reason.
    #[must_use]
    pub const fn new(family: Family, why: Unknown) -> Self {
        Self {
            family,
            reach: Reachability::Unknown,
            public: Vec::new(),
            local: None,
            nat: None,
            mapping: Conclusion::unknown(why, Vec::new()),
            filtering: Conclusion::unknown(why, Vec::new()),
            details: Details::new(why),
            path: Path { rtt: None, sent: 0, answered: 0 },
            servers: Vec::new(),
        }
    }

    /// The old name of RFC 3489, an alias of the pair of mapping and filtering.
    ///
    /// A destination-dependent mapping behind a NAT is `symmetric`, even if the kind of dependence is unknown.
    #[must_use]
    pub fn classic_type(&self) -> ClassicType {
        if self.reach == Reachability::Blocked {
            return ClassicType::Blocked;
        }
        let behind_nat = self.nat == Some(NatKind::Nat);
        match (self.nat, self.mapping.value(), self.filtering.value()) {
            (Some(kind), Some(mapping), Some(filtering)) => classic_name(kind, *mapping, *filtering),
            (_, Some(mapping), None) if behind_nat && mapping.is_destination_dependent() => ClassicType::Symmetric,
            (_, None, _) if behind_nat && self.mapping.reason() == Some(Unknown::Dependent) => ClassicType::Symmetric,
            _ => ClassicType::Unknown,
        }
    }

    /// The word that reports use for the device: that of [`NatKind`], `unavailable` without a route, or `unknown`.
    #[must_use]
    pub const fn device(&self) -> &'static str {
        match (self.reach, self.nat) {
            (Reachability::Unavailable(_), _) => "unavailable",
            (Reachability::Available | Reachability::Blocked | Reachability::Unknown, Some(kind)) => kind.as_str(),
            (Reachability::Available | Reachability::Blocked | Reachability::Unknown, None) => "unknown",
        }
    }

    fn replace_addresses(&mut self, replace: &mut dyn FnMut(IpAddr) -> IpAddr) {
        self.public.iter_mut().chain(&mut self.local).for_each(|address| replace_ip(address, replace));
        self.mapping.replace_addresses(replace);
        self.filtering.replace_addresses(replace);
        self.details.replace_addresses(replace);
        for server in &mut self.servers {
            replace_ip(&mut server.address, replace);
        }
    }
}

/// The availability of a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reachability {
    /// UDP responses came.
    Available,
    /// UDP is blocked (RFC 3489 §10.1). TCP reached two servers of different names and addresses, or one server that
    /// answered STUN over TCP, and UDP requests after that stayed unanswered.
    Blocked,
    /// The host is offline in this family, for this reason.
    Unavailable(Unavailable),
    /// No response came, and the evidence does not show the reason.
    Unknown,
}

/// The reason why a family is unavailable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unavailable {
    /// The socket could not be opened.
    Refused(Refusal),
    /// Every datagram was returned as unreachable.
    Unreachable(Unreachability),
    /// Neither UDP nor TCP had a response.
    Silent,
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(why) => write!(f, "no socket: {why}"),
            Self::Unreachable(why) => write!(f, "every datagram was returned: {why}"),
            Self::Silent => f.write_str("neither UDP nor TCP was answered"),
        }
    }
}

/// The conclusions about a device besides mapping and filtering.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Details {
    /// Whether hosts inside reach each other by external endpoints (RFC 4787 §6).
    pub hairpin: Conclusion<Hairpin>,
    /// The port allocation (RFC 4787 §4.2.1).
    pub port_allocation: Conclusion<PortAllocation>,
    /// Whether the mapping socket kept its port number.
    pub port_preservation: Conclusion<bool>,
    /// Whether all mappings of the host share one external address (RFC 4787 §4.1).
    pub pooling: Conclusion<Pooling>,
    /// Whether a device on the way rewrites addresses inside messages (RFC 5780 §3.6): MAPPED-ADDRESS differs from
    /// XOR-MAPPED-ADDRESS.
    pub alg: Conclusion<bool>,
    /// Whether datagrams to different servers leave from different local addresses.
    pub multi_homed: Conclusion<bool>,
    /// Whether there is a second NAT behind the first. The evidence is a local address that only carriers assign.
    pub double_nat: Conclusion<bool>,
}

impl Details {
    /// Conclusions that are all unknown, for one reason.
    #[must_use]
    pub const fn new(why: Unknown) -> Self {
        Self {
            hairpin: Conclusion::unknown(why, Vec::new()),
            port_allocation: Conclusion::unknown(why, Vec::new()),
            port_preservation: Conclusion::unknown(why, Vec::new()),
            pooling: Conclusion::unknown(why, Vec::new()),
            alg: Conclusion::unknown(why, Vec::new()),
            multi_homed: Conclusion::unknown(why, Vec::new()),
            double_nat: Conclusion::unknown(why, Vec::new()),
        }
    }

    fn replace_addresses(&mut self, replace: &mut dyn FnMut(IpAddr) -> IpAddr) {
        self.hairpin.replace_addresses(replace);
        self.port_allocation.replace_addresses(replace);
        self.port_preservation.replace_addresses(replace);
        self.pooling.replace_addresses(replace);
        self.alg.replace_addresses(replace);
        self.multi_homed.replace_addresses(replace);
        self.double_nat.replace_addresses(replace);
    }
}

/// The path during the measurement.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Path {
    /// The shortest round trip to the server of the filtering test.
    pub rtt: Option<Duration>,
    /// The number of packets of the controls. No filter drops these packets, so each one without a response was lost.
    pub sent: u32,
    /// The number of these packets that were answered.
    pub answered: u32,
}

/// The results for one server.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ServerReport {
    /// Its place in the given list.
    pub server: usize,
    /// The address that requests were sent to.
    pub address: SocketAddr,
    /// Its shortest round trip; `None` if it never answered.
    pub rtt: Option<Duration>,
    /// Its alternate address and port, if it named a valid one (RFC 5780 §7.4).
    pub other_address: Option<SocketAddr>,
    /// Its flaws.
    pub flaws: Vec<Flaw>,
}

impl ServerReport {
    /// A report of a server that has not answered, and has no flaw.
    #[must_use]
    pub const fn new(server: usize, address: SocketAddr) -> Self {
        Self { server, address, rtt: None, other_address: None, flaws: Vec::new() }
    }
}

/// A fault of a server, or a function that it does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Flaw {
    /// It never answered.
    Silent,
    /// It names no other address: it is a plain STUN server (RFC 5780 §7.4 is optional).
    NoOtherAddress,
    /// Its other address is its own, shares its port, is of another family or cannot be reached from the Internet.
    OtherAddressInvalid,
    /// Its other address does not answer.
    OtherAddressSilent,
    /// It answered a CHANGE-REQUEST from the destination of the request (RFC 5780 §7.2).
    ChangeRequestIgnored,
    /// It refused a CHANGE-REQUEST with this error code, 420 as a rule (RFC 5780 §5).
    ChangeRequestRefused(u16),
    /// It does not answer a CHANGE-REQUEST whose response no filter drops.
    ChangeRequestUnanswered,
    /// It answers from an address that is neither the destination of the request nor its other address.
    AnswersFromElsewhere,
    /// It reported different mapped addresses for the same request.
    Unstable,
    /// It reported one public endpoint for two sockets of one host, which no NAT can cause.
    SameForAll,
    /// The other servers contradict its responses.
    Contradicted,
    /// It answered a plain Binding request with this error code.
    Error(u16),
    /// Its responses cannot be decoded, or hold no mapped address.
    Garbage,
    /// It reported a mapped address that no client of it can have: loopback, multicast, port 0, another family, or a
    /// private address although the server is public.
    MappedAddressInvalid,
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Silent => f.write_str("never answered"),
            Self::NoOtherAddress => f.write_str("names no other address"),
            Self::OtherAddressInvalid => f.write_str("names an invalid other address"),
            Self::OtherAddressSilent => f.write_str("its other address does not answer"),
            Self::ChangeRequestIgnored => f.write_str("ignores CHANGE-REQUEST"),
            Self::ChangeRequestRefused(code) => write!(f, "refuses CHANGE-REQUEST with error {code}"),
            Self::ChangeRequestUnanswered => f.write_str("does not answer CHANGE-REQUEST"),
            Self::AnswersFromElsewhere => f.write_str("answers from an unexpected address"),
            Self::Unstable => f.write_str("reports different mapped addresses for one socket"),
            Self::SameForAll => f.write_str("reports the same mapped address for different sockets"),
            Self::Contradicted => f.write_str("contradicted by the other servers"),
            Self::Error(code) => write!(f, "answers Binding requests with error {code}"),
            Self::Garbage => f.write_str("its responses hold no mapped address"),
            Self::MappedAddressInvalid => f.write_str("reports an impossible mapped address"),
        }
    }
}

/// The conclusion about one axis, its evidence, and the probability that it is wrong.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Conclusion<T> {
    /// The value, or the reason why there is none.
    pub finding: Finding<T>,
    /// The evidence, in the order in which it was found.
    pub evidence: Vec<Evidence>,
}

impl<T> Conclusion<T> {
    /// A value that is wrong with probability `p_wrong` (0 to 1).
    #[must_use]
    pub const fn value_with(value: T, p_wrong: f64, evidence: Vec<Evidence>) -> Self {
        Self { finding: Finding::Value { value, p_wrong }, evidence }
    }

    /// An unknown value, with a reason.
    #[must_use]
    pub const fn unknown(why: Unknown, evidence: Vec<Evidence>) -> Self {
        Self { finding: Finding::Unknown(why), evidence }
    }

    /// The value, if there is one.
    #[must_use]
    pub const fn value(&self) -> Option<&T> {
        match &self.finding {
            Finding::Value { value, .. } => Some(value),
            Finding::Unknown(_) => None,
        }
    }

    /// The probability that the value is wrong (0 to 1), if there is a value.
    #[must_use]
    pub const fn p_wrong(&self) -> Option<f64> {
        match &self.finding {
            Finding::Value { p_wrong, .. } => Some(*p_wrong),
            Finding::Unknown(_) => None,
        }
    }

    /// The reason why there is no value.
    #[must_use]
    pub const fn reason(&self) -> Option<Unknown> {
        match &self.finding {
            Finding::Value { .. } => None,
            Finding::Unknown(why) => Some(*why),
        }
    }

    pub(crate) fn replace_addresses(&mut self, replace: &mut dyn FnMut(IpAddr) -> IpAddr) {
        for evidence in &mut self.evidence {
            evidence.replace_addresses(replace);
        }
    }
}

/// A value with the probability that it is wrong, or a reason.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Finding<T> {
    /// A value.
    Value {
        /// The value.
        value: T,
        /// The probability that it is wrong (0 to 1): by lost packets, by chance, by one server that is wrong.
        p_wrong: f64,
    },
    /// No value, for this reason.
    Unknown(Unknown),
}

/// The reason why there is no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Unknown {
    /// UDP is blocked, so no measurement is possible.
    Blocked,
    /// The host is offline in this family.
    Offline,
    /// One server without another address cannot show on which destinations a mapping depends.
    SingleServer,
    /// The mapping depends on the destination, but no server with another address showed on which part of it.
    Dependent,
    /// No server named another address, without which filtering cannot be tested (RFC 5780 §4.4).
    NoOtherAddress,
    /// The server named an invalid other address.
    OtherAddressInvalid,
    /// The server answered CHANGE-REQUEST from the destination of the request.
    ChangeRequestIgnored,
    /// The server refused CHANGE-REQUEST (error 420, RFC 5780 §5).
    ChangeRequestRefused,
    /// The server does not answer a CHANGE-REQUEST whose response no filter drops.
    ChangeRequestUnanswered,
    /// The other address is silent too: the test cannot distinguish a filter from a dead server.
    AlternateUnreachable,
    /// The server answered from an address that is neither the destination of the request nor its other address.
    AnswersFromElsewhere,
    /// Too many packets were lost, so silence is no evidence.
    HighLoss,
    /// The NAT made another mapping for a socket during the test: the same request got different responses.
    Rebinding,
    /// Several public addresses with one port: several network paths, or a pool of addresses. A NAT that preserves ports
    /// and balances over a pool may show any pattern.
    MultiPath,
    /// The servers contradict each other and there is no majority.
    ServersDisagree,
    /// The servers in use did not answer.
    ServerSilent,
    /// The responses of the servers hold errors, or no usable address.
    ServerError,
    /// There were fewer mappings than a rule needs.
    TooFewSamples,
    /// The time allowed was over.
    TimedOut,
    /// Not tested, because it was not requested.
    NotTested,
    /// The test does not apply: there is no translation.
    NoNat,
    /// There is no evidence for or against it.
    NoEvidence,
    /// The server refused RESPONSE-PORT (error 420, RFC 5780 §5).
    ResponsePortRefused,
    /// The server ignored RESPONSE-PORT and answered to the source port (RFC 5780 §7.5).
    ResponsePortIgnored,
    /// The server answers plain requests, but no request with RESPONSE-PORT.
    ResponsePortUnanswered,
    /// A mapping lives longer than was measured.
    TooLong,
    /// A mapping lives too short a time for the test.
    TooShort,
    /// Mappings end at that age in spite of refreshes, so the effect of a refresh cannot be measured.
    AbsoluteEnd,
    /// The results contradict each other: the device drops mappings under load, or was restarted.
    Contradictory,
}

impl Unknown {
    /// The code that reports use: `high-loss`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Blocked => "blocked",
            Self::Offline => "offline",
            Self::SingleServer => "single-server",
            Self::Dependent => "destination-dependent",
            Self::NoOtherAddress => "no-other-address",
            Self::OtherAddressInvalid => "other-address-invalid",
            Self::ChangeRequestIgnored => "change-request-ignored",
            Self::ChangeRequestRefused => "change-request-refused",
            Self::ChangeRequestUnanswered => "change-request-unanswered",
            Self::AlternateUnreachable => "alternate-unreachable",
            Self::AnswersFromElsewhere => "answers-from-elsewhere",
            Self::HighLoss => "high-loss",
            Self::Rebinding => "rebinding",
            Self::MultiPath => "multi-path",
            Self::ServersDisagree => "servers-disagree",
            Self::ServerSilent => "server-silent",
            Self::ServerError => "server-error",
            Self::TooFewSamples => "too-few-samples",
            Self::TimedOut => "timed-out",
            Self::NotTested => "not-tested",
            Self::NoNat => "no-nat",
            Self::NoEvidence => "no-evidence",
            Self::ResponsePortRefused => "response-port-refused",
            Self::ResponsePortIgnored => "response-port-ignored",
            Self::ResponsePortUnanswered => "response-port-unanswered",
            Self::TooLong => "too-long",
            Self::TooShort => "too-short",
            Self::AbsoluteEnd => "absolute-end",
            Self::Contradictory => "contradictory",
        }
    }

    /// Whether no given server is capable of the test, so that another run changes nothing.
    #[must_use]
    pub const fn is_incapable_server(self) -> bool {
        matches!(
            self,
            Self::NoOtherAddress
                | Self::OtherAddressInvalid
                | Self::ChangeRequestIgnored
                | Self::ChangeRequestRefused
                | Self::ChangeRequestUnanswered
                | Self::AlternateUnreachable
                | Self::AnswersFromElsewhere
                | Self::ResponsePortRefused
                | Self::ResponsePortIgnored
                | Self::ResponsePortUnanswered
        )
    }
}

impl fmt::Display for Unknown {
    /// A short sentence about it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Blocked => "UDP is blocked",
            Self::Offline => "there is no way out",
            Self::SingleServer => "one plain server alone cannot show it",
            Self::Dependent => "it depends on the destination, but no server could show on what",
            Self::NoOtherAddress => "no server in use has the second address that the test needs",
            Self::OtherAddressInvalid => "the server's second address is invalid",
            Self::ChangeRequestIgnored => "the server ignores CHANGE-REQUEST",
            Self::ChangeRequestRefused => "the server refuses CHANGE-REQUEST",
            Self::ChangeRequestUnanswered => "the server never answers CHANGE-REQUEST",
            Self::AlternateUnreachable => {
                "the server's second address is silent, so silence is no evidence of a filter"
            }
            Self::AnswersFromElsewhere => "the server answers from an unexpected address",
            Self::HighLoss => "too many packets were lost",
            Self::Rebinding => "the mapping changed while it was measured",
            Self::MultiPath => "several public addresses are in use: several paths, or a pool",
            Self::ServersDisagree => "the servers contradict each other",
            Self::ServerSilent => "no server answered",
            Self::ServerError => "no server sent a usable response",
            Self::TooFewSamples => "too few mappings were seen",
            Self::TimedOut => "the time allowed ran out",
            Self::NotTested => "not tested",
            Self::NoNat => "there is no translation",
            Self::NoEvidence => "there is no evidence for or against it",
            Self::ResponsePortRefused => "the server refuses RESPONSE-PORT",
            Self::ResponsePortIgnored => "the server ignores RESPONSE-PORT",
            Self::ResponsePortUnanswered => "the server never answers RESPONSE-PORT",
            Self::TooLong => "it lives longer than was measured",
            Self::TooShort => "it lives too short a time for the test",
            Self::AbsoluteEnd => "mappings end at that age in spite of refreshes",
            Self::Contradictory => "the results contradict each other",
        })
    }
}

fn replace_ip(address: &mut SocketAddr, replace: &mut dyn FnMut(IpAddr) -> IpAddr) {
    address.set_ip(replace(address.ip()));
}
