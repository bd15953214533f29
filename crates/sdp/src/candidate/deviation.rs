//! The deviations from RFC 8839 §5.1 and RFC 6544 §4.5 that deployed endpoints write.
//!
//! Rules of this file: a deviation is visible in the parsed candidate, so that parsing spends no time on it. Its offset
//! is found afterwards in the text, by counting fields.

use super::{Candidate, CandidateType, ConnectionAddress, Transport, looks_ipv4};
use crate::error::{Citation, ValueError};
use core::fmt;

/// A deviation of a candidate from the RFCs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Deviation {
    /// The foundation is empty.
    NoFoundation,
    /// The component is 0.
    ComponentZero,
    /// The priority is 0 or above 2³¹ − 1.
    PriorityRange,
    /// The address has an IPv6 zone.
    Zone,
    /// No RFC defines the type. The grammar allows other types, but RFC 8839 §5.1 requires a document that defines how
    /// an agent uses them.
    UnknownType,
    /// A candidate other than a host candidate has no `raddr` and `rport`.
    NoRelated,
    /// A host candidate has `raddr` and `rport`.
    RelatedOfHost,
    /// `raddr` has a zone, or is an invalid IPv4 address.
    RelatedAddress,
    /// A TCP candidate has no `tcptype`.
    NoTcpType,
    /// The last extension has a name and no value.
    LoneExtension,
}

impl Deviation {
    /// All deviations, in the order of the fields.
    pub const ALL: [Self; 10] = [
        Self::NoFoundation,
        Self::ComponentZero,
        Self::PriorityRange,
        Self::Zone,
        Self::UnknownType,
        Self::NoRelated,
        Self::RelatedOfHost,
        Self::RelatedAddress,
        Self::NoTcpType,
        Self::LoneExtension,
    ];

    /// Returns the section that the deviation breaks.
    #[must_use]
    pub const fn clause(self) -> Citation {
        match self {
            Self::NoTcpType => Citation::new("RFC 6544", "4.5"),
            Self::NoFoundation
            | Self::ComponentZero
            | Self::PriorityRange
            | Self::Zone
            | Self::UnknownType
            | Self::NoRelated
            | Self::RelatedOfHost
            | Self::RelatedAddress
            | Self::LoneExtension => Citation::new("RFC 8839", "5.1"),
        }
    }

    /// Returns the deviation as an error of the value that was parsed into the candidate.
    ///
    /// ```
    /// use portolan_sdp::candidate::{Candidate, Deviation};
    /// use portolan_sdp::Value;
    ///
    /// let value = b"1 1 tcp 2105458943 192.0.2.3 9 typ host";
    /// let errors: Vec<_> = Candidate::parse(value)?.deviations().map(|deviation| deviation.in_value(value)).collect();
    /// assert_eq!((errors[0].at, errors[0].expected), (39, "tcptype"));
    /// # Ok::<(), portolan_sdp::ValueError>(())
    /// ```
    #[must_use]
    pub fn in_value(self, value: &[u8]) -> ValueError {
        ValueError::new(value, self.place(value), self.expected(), self.clause())
    }

    /// Returns the text that the RFC requires.
    pub(crate) const fn expected(self) -> &'static str {
        match self {
            Self::NoFoundation => "a foundation of 1 to 32 characters",
            Self::ComponentZero => "a component, 1 to 256",
            Self::PriorityRange => "a priority, 1 to 2147483647",
            Self::Zone => "an address without a zone",
            Self::UnknownType => "host, srflx, prflx or relay",
            Self::NoRelated => "raddr and rport",
            Self::RelatedOfHost => "no raddr for a host candidate",
            Self::RelatedAddress => "an IP address or a domain name",
            Self::NoTcpType => "tcptype",
            Self::LoneExtension => "an extension with a value",
        }
    }

    /// Returns the offset of the deviation in a value that was parsed and is known to have it.
    pub(crate) fn place(self, value: &[u8]) -> usize {
        let field = match self {
            Self::NoFoundation => 0,
            Self::ComponentZero => 1,
            Self::PriorityRange => 3,
            Self::Zone => 4,
            Self::UnknownType => 7,
            Self::NoRelated | Self::RelatedOfHost => 8,
            Self::RelatedAddress => 9,
            Self::NoTcpType => return value.len(),
            Self::LoneExtension => return value.iter().rposition(|byte| *byte == b' ').map_or(0, |at| at + 1),
        };
        // Single spaces separate the fields before the extensions. A missing field is reported at the end.
        value.split(|byte| *byte == b' ').take(field).map(|text| text.len() + 1).sum::<usize>().min(value.len())
    }
}

impl<S: AsRef<str>> Candidate<S> {
    /// Returns the deviations from RFC 8839 and RFC 6544, in the order of the fields.
    pub fn deviations(&self) -> impl Iterator<Item = Deviation> {
        Deviation::ALL.into_iter().filter(|deviation| self.deviates(*deviation))
    }

    fn deviates(&self, deviation: Deviation) -> bool {
        let is_host = matches!(self.candidate_type, CandidateType::Host);
        let related = self.related.as_ref().map(|(address, _)| address);
        match deviation {
            Deviation::NoFoundation => self.foundation.as_ref().is_empty(),
            Deviation::ComponentZero => self.component == 0,
            Deviation::PriorityRange => self.priority == 0 || self.priority > 0x7fff_ffff,
            Deviation::Zone => matches!(self.address, ConnectionAddress::Zoned(_)),
            Deviation::UnknownType => matches!(self.candidate_type, CandidateType::Other(_)),
            Deviation::NoRelated => {
                related.is_none() && !is_host && !matches!(self.candidate_type, CandidateType::Other(_))
            }
            Deviation::RelatedOfHost => related.is_some() && is_host,
            Deviation::RelatedAddress => related.is_some_and(|address| match address {
                ConnectionAddress::Ip4(_) | ConnectionAddress::Ip6(_) => false,
                ConnectionAddress::Name(name) => looks_ipv4(name.as_ref()),
                ConnectionAddress::Zoned(_) => true,
            }),
            Deviation::NoTcpType => matches!(self.transport, Transport::Tcp) && self.tcp_type.is_none(),
            Deviation::LoneExtension => self.extensions.lone().is_some(),
        }
    }
}

/// Describes the deviation.
impl fmt::Display for Deviation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoFoundation => "the foundation is empty",
            Self::ComponentZero => "the component is 0, and components count from 1",
            Self::PriorityRange => "the priority is not in 1 to 2147483647",
            Self::Zone => "the address has a zone, which has no meaning on another host",
            Self::UnknownType => "no RFC describes the type of the candidate",
            Self::NoRelated => "raddr and rport are missing",
            Self::RelatedOfHost => "a host candidate has no related address",
            Self::RelatedAddress => "raddr is no address",
            Self::NoTcpType => "a TCP candidate needs tcptype, which says which side opens the connection",
            Self::LoneExtension => "the last extension has a name and no value",
        })
    }
}
