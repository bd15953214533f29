//! The terms of RFC 4787 for NAT behaviour, and their translation to the old names of RFC 3489.
//!
//! Mapping and filtering are two axes, and no single name can hold both. For this reason RFC 4787 replaced the four
//! names of RFC 3489. [`classic_name`] returns the old name as an alias; no code in this crate derives an axis from
//! it. Each term has one long text (`Display`), and is parsed from the long text or from the usual abbreviations.
//!
//! Sources: RFC 4787 §4 (mapping, ports, timers), §5 (filtering), §6 (hairpinning); RFC 6888 §3 and RFC 7857 for
//! carrier-grade NATs; RFC 3489 §5 and §10.1 for the old names.
//!
//! ```
//! use portolan_nat::behavior::{ClassicType, Filtering, Mapping, NatKind, classic_name};
//!
//! let mapping: Mapping = "eim".parse()?;
//! let filtering: Filtering = "address-and-port-dependent".parse()?;
//! assert_eq!(mapping.to_string(), "endpoint-independent");
//! assert_eq!(classic_name(NatKind::Nat, mapping, filtering), ClassicType::PortRestricted);
//! # Ok::<(), portolan_nat::behavior::UnknownWord>(())
//! ```

use core::fmt;
use core::str::FromStr;
use core::time::Duration;

/// The mapping behaviour: whether packets to different destinations leave from the same external endpoint.
///
/// RFC 4787 §4.1. A peer reaches the host most easily with the first value, and least easily with the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mapping {
    /// One external endpoint for all destinations, as RFC 4787 REQ-1 requires.
    EndpointIndependent,
    /// Another external endpoint for each destination address, with the same one for all its ports.
    AddressDependent,
    /// Another external endpoint for each destination address and port.
    AddressAndPortDependent,
}

impl Mapping {
    /// All three, in order.
    pub const ALL: [Self; 3] = [Self::EndpointIndependent, Self::AddressDependent, Self::AddressAndPortDependent];

    /// The term of RFC 4787 in lower case: `endpoint-independent`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::EndpointIndependent => "endpoint-independent",
            Self::AddressDependent => "address-dependent",
            Self::AddressAndPortDependent => "address-and-port-dependent",
        }
    }

    /// The abbreviation: `EIM`, `ADM`, `APDM`.
    #[must_use]
    pub const fn abbreviation(self) -> &'static str {
        match self {
            Self::EndpointIndependent => "EIM",
            Self::AddressDependent => "ADM",
            Self::AddressAndPortDependent => "APDM",
        }
    }

    /// Whether the external endpoint differs between destinations, so that a peer cannot predict it.
    #[must_use]
    pub const fn is_destination_dependent(self) -> bool {
        !matches!(self, Self::EndpointIndependent)
    }
}

/// The filtering behaviour: the external endpoints whose packets an existing mapping lets in.
///
/// RFC 4787 §5. A peer reaches the host most easily with the first value, and least easily with the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Filtering {
    /// All endpoints.
    EndpointIndependent,
    /// Any port of an address that the internal endpoint has sent to.
    AddressDependent,
    /// The addresses and ports that the internal endpoint has sent to.
    AddressAndPortDependent,
}

impl Filtering {
    /// All three, in order.
    pub const ALL: [Self; 3] = [Self::EndpointIndependent, Self::AddressDependent, Self::AddressAndPortDependent];

    /// The term of RFC 4787 in lower case: `address-dependent`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::EndpointIndependent => "endpoint-independent",
            Self::AddressDependent => "address-dependent",
            Self::AddressAndPortDependent => "address-and-port-dependent",
        }
    }

    /// The abbreviation: `EIF`, `ADF`, `APDF`.
    #[must_use]
    pub const fn abbreviation(self) -> &'static str {
        match self {
            Self::EndpointIndependent => "EIF",
            Self::AddressDependent => "ADF",
            Self::AddressAndPortDependent => "APDF",
        }
    }
}

/// The choice of external ports for new mappings (RFC 4787 §4.2.1).
///
/// Text: `preserving`, `sequential`, `sequential(-2)`, `random`, `block(2048)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PortAllocation {
    /// The internal port if it is free, else the next free one after it.
    Preserving,
    /// The port of the previous mapping plus `step`, without ports that are taken.
    Sequential {
        /// The step: 1 in most devices, never 0, negative if the device counts down.
        step: i16,
    },
    /// Any free port (RFC 7857 §9).
    Random,
    /// Any free port of the block that belongs to the internal address (RFC 6888 §5, REQ-14).
    Block {
        /// The number of ports in a block; at least 1.
        size: u16,
    },
}

impl PortAllocation {
    /// Each kind without its figure: `preserving`, `sequential`, `random`, `block`.
    #[must_use]
    pub const fn kind(self) -> &'static str {
        match self {
            Self::Preserving => "preserving",
            Self::Sequential { .. } => "sequential",
            Self::Random => "random",
            Self::Block { .. } => "block",
        }
    }
}

/// The choice of the external address for a new mapping, if the NAT has several (RFC 4787 §4.1, RFC 7857 §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Pooling {
    /// The same external address for all mappings of one internal address (RFC 4787 REQ-2, RFC 6888 REQ-2).
    Paired,
    /// Any external address for any mapping.
    Arbitrary,
}

impl Pooling {
    /// The word: `paired` or `arbitrary`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Paired => "paired",
            Self::Arbitrary => "arbitrary",
        }
    }
}

/// The handling of a packet from inside to one of the NAT's own external endpoints (RFC 4787 §6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Hairpin {
    /// The NAT drops it.
    None,
    /// It comes back in with the sender's internal address and port as its source.
    InternalSource,
    /// It comes back in with the sender's external address and port as its source (REQ-9a).
    ExternalSource,
}

impl Hairpin {
    /// The word: `none`, `internal-source` or `external-source`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::InternalSource => "internal-source",
            Self::ExternalSource => "external-source",
        }
    }
}

/// The lifetimes of a mapping (RFC 4787 §4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Timers {
    /// The time after the last refreshing packet, while no packet has come in through the mapping.
    pub unreplied: Duration,
    /// The time after the last refreshing packet, once a packet has come in.
    pub replied: Duration,
    /// The time after the first packet, in spite of refreshes; `None` without such an end.
    pub absolute: Option<Duration>,
}

impl Timers {
    /// Five minutes for both, no absolute end: the default that RFC 4787 REQ-5c recommends.
    pub const RECOMMENDED: Self =
        Self { unreplied: Duration::from_secs(300), replied: Duration::from_secs(300), absolute: None };

    /// 30 s until a reply, 120 s after it: usual for connection trackers of home routers.
    pub const COMMON: Self =
        Self { unreplied: Duration::from_secs(30), replied: Duration::from_secs(120), absolute: None };
}

/// The packets that refresh a mapping (RFC 4787 §4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Refresh {
    /// Whether packets from inside refresh; RFC 4787 REQ-6 requires it.
    pub outbound: bool,
    /// Whether packets that are let in from outside refresh; RFC 4787 REQ-6a allows it.
    pub inbound: bool,
}

impl Refresh {
    /// Packets of both directions refresh it.
    pub const BOTH: Self = Self { outbound: true, inbound: true };
    /// Only packets from inside refresh it.
    pub const OUTBOUND: Self = Self { outbound: true, inbound: false };
}

/// The kind of device between a host and the Internet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NatKind {
    /// No translation and no filter.
    None,
    /// A filter that does not translate.
    Firewall,
    /// A translator.
    Nat,
}

impl NatKind {
    /// The word: `none`, `firewall` or `nat`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Firewall => "firewall",
            Self::Nat => "nat",
        }
    }
}

/// The names of RFC 3489 §5 and §10.1, kept as an alias.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ClassicType {
    /// No NAT, and packets from all endpoints are let in (RFC 3489 §10.1, "open Internet").
    Open,
    /// No NAT, but only contacted endpoints are let in (RFC 3489 §10.1, "symmetric UDP firewall").
    UdpFirewall,
    /// One external endpoint, open to all (RFC 3489 §5, "full cone").
    FullCone,
    /// One external endpoint, open to contacted addresses (RFC 3489 §5, "restricted cone").
    Restricted,
    /// One external endpoint, open to contacted addresses and ports (RFC 3489 §5, "port restricted cone").
    PortRestricted,
    /// The external endpoint depends on the destination (RFC 3489 §5, "symmetric").
    Symmetric,
    /// There is no old name for it.
    Other,
    /// No UDP gets through (RFC 3489 §10.1, "UDP blocked").
    Blocked,
    /// Not known.
    Unknown,
}

impl ClassicType {
    /// The word that reports use: `port-restricted`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::UdpFirewall => "udp-firewall",
            Self::FullCone => "full-cone",
            Self::Restricted => "restricted",
            Self::PortRestricted => "port-restricted",
            Self::Symmetric => "symmetric",
            Self::Other => "other",
            Self::Blocked => "blocked",
            Self::Unknown => "unknown",
        }
    }
}

/// The nine pairs of a translating NAT and their old names.
///
/// The rows of endpoint-independent mapping are the cones of RFC 3489 §5. RFC 3489 calls a mapping symmetric if it
/// depends on the destination, with any filtering. The flow chart of RFC 3489 §10.1 tests filtering first. So the
/// flow chart calls the two destination-dependent rows with endpoint-independent filtering "full cone". This name is
/// wrong: a peer cannot predict such an endpoint.
pub const CLASSIC_NAMES: [(Mapping, Filtering, ClassicType); 9] = {
    use ClassicType::{FullCone, PortRestricted, Restricted, Symmetric};
    [
        // RFC 4787 §4.1 endpoint-independent mapping.
        (Mapping::EndpointIndependent, Filtering::EndpointIndependent, FullCone),
        (Mapping::EndpointIndependent, Filtering::AddressDependent, Restricted),
        (Mapping::EndpointIndependent, Filtering::AddressAndPortDependent, PortRestricted),
        // RFC 4787 §4.1 address-dependent mapping.
        (Mapping::AddressDependent, Filtering::EndpointIndependent, Symmetric),
        (Mapping::AddressDependent, Filtering::AddressDependent, Symmetric),
        (Mapping::AddressDependent, Filtering::AddressAndPortDependent, Symmetric),
        // RFC 4787 §4.1 address and port-dependent mapping.
        (Mapping::AddressAndPortDependent, Filtering::EndpointIndependent, Symmetric),
        (Mapping::AddressAndPortDependent, Filtering::AddressDependent, Symmetric),
        (Mapping::AddressAndPortDependent, Filtering::AddressAndPortDependent, Symmetric),
    ]
};

/// Returns the old name of a device whose kind, mapping and filtering are known.
///
/// Without translation the mapping of a host with one address is endpoint-independent. A destination-dependent
/// mapping without translation (several network paths) has no old name. A firewall that lets in all packets is open,
/// as in RFC 3489 §10.1.
#[must_use]
pub fn classic_name(kind: NatKind, mapping: Mapping, filtering: Filtering) -> ClassicType {
    match kind {
        NatKind::Nat => CLASSIC_NAMES
            .iter()
            .find(|(m, f, _)| *m == mapping && *f == filtering)
            .map_or(ClassicType::Other, |(_, _, name)| *name),
        NatKind::None | NatKind::Firewall => match (mapping, filtering) {
            (Mapping::EndpointIndependent, Filtering::EndpointIndependent) => ClassicType::Open,
            (Mapping::EndpointIndependent, Filtering::AddressDependent | Filtering::AddressAndPortDependent) => {
                ClassicType::UdpFirewall
            }
            (Mapping::AddressDependent | Mapping::AddressAndPortDependent, _) => ClassicType::Other,
        },
    }
}

/// A text that is none of the expected terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[error("not a word for {axis}: expected {expected}")]
pub struct UnknownWord {
    /// The expected kind of term: `mapping`, `filtering`.
    pub axis: &'static str,
    /// The known terms.
    pub expected: &'static str,
}

const MAPPINGS: &str = "eim, adm, apdm, or endpoint-independent, address-dependent, address-and-port-dependent";
const FILTERINGS: &str = "eif, adf, apdf, or endpoint-independent, address-dependent, address-and-port-dependent";

impl FromStr for Mapping {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        match text {
            "endpoint-independent" | "ei" | "eim" => Ok(Self::EndpointIndependent),
            "address-dependent" | "ad" | "adm" => Ok(Self::AddressDependent),
            "address-and-port-dependent" | "apd" | "apdm" => Ok(Self::AddressAndPortDependent),
            _ => Err(UnknownWord { axis: "mapping", expected: MAPPINGS }),
        }
    }
}

impl FromStr for Filtering {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        match text {
            "endpoint-independent" | "ei" | "eif" => Ok(Self::EndpointIndependent),
            "address-dependent" | "ad" | "adf" => Ok(Self::AddressDependent),
            "address-and-port-dependent" | "apd" | "apdf" => Ok(Self::AddressAndPortDependent),
            _ => Err(UnknownWord { axis: "filtering", expected: FILTERINGS }),
        }
    }
}

impl FromStr for PortAllocation {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        let unknown = UnknownWord {
            axis: "port allocation",
            expected: "preserving, sequential, sequential(STEP), random or block(SIZE)",
        };
        let figure = |name: &str| text.strip_prefix(name)?.strip_prefix('(')?.strip_suffix(')');
        match text {
            "preserving" => Ok(Self::Preserving),
            "sequential" => Ok(Self::Sequential { step: 1 }),
            "random" => Ok(Self::Random),
            _ => {
                if let Some(step) = figure("sequential") {
                    let step = step.parse::<i16>().ok().filter(|step| *step != 0);
                    step.map(|step| Self::Sequential { step }).ok_or(unknown)
                } else if let Some(size) = figure("block") {
                    let size = size.parse::<u16>().ok().filter(|size| *size != 0);
                    size.map(|size| Self::Block { size }).ok_or(unknown)
                } else {
                    Err(unknown)
                }
            }
        }
    }
}

impl FromStr for Pooling {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        match text {
            "paired" => Ok(Self::Paired),
            "arbitrary" => Ok(Self::Arbitrary),
            _ => Err(UnknownWord { axis: "pooling", expected: "paired or arbitrary" }),
        }
    }
}

impl FromStr for Hairpin {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        match text {
            "none" => Ok(Self::None),
            "internal-source" => Ok(Self::InternalSource),
            "external-source" => Ok(Self::ExternalSource),
            _ => Err(UnknownWord { axis: "hairpin", expected: "none, internal-source or external-source" }),
        }
    }
}

impl FromStr for ClassicType {
    type Err = UnknownWord;

    fn from_str(text: &str) -> Result<Self, UnknownWord> {
        const ALL: [ClassicType; 9] = [
            ClassicType::Open,
            ClassicType::UdpFirewall,
            ClassicType::FullCone,
            ClassicType::Restricted,
            ClassicType::PortRestricted,
            ClassicType::Symmetric,
            ClassicType::Other,
            ClassicType::Blocked,
            ClassicType::Unknown,
        ];
        ALL.into_iter().find(|name| name.as_str() == text).ok_or(UnknownWord {
            axis: "type",
            expected: "open, udp-firewall, full-cone, restricted, port-restricted, symmetric, other, blocked or unknown",
        })
    }
}

macro_rules! display_as_word {
    ($($word:ty),*) => { $(
        impl fmt::Display for $word {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }
    )* };
}
display_as_word!(Mapping, Filtering, Pooling, Hairpin, NatKind, ClassicType);

impl fmt::Display for PortAllocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sequential { step: 1 } | Self::Preserving | Self::Random => f.pad(self.kind()),
            Self::Sequential { step } => write!(f, "sequential({step})"),
            Self::Block { size } => write!(f, "block({size})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn each_name_round_trips_through_text() {
        for mapping in Mapping::ALL {
            assert_eq!(mapping.to_string().parse(), Ok(mapping));
            assert_eq!(mapping.abbreviation().to_lowercase().parse(), Ok(mapping));
        }
        for filtering in Filtering::ALL {
            assert_eq!(filtering.to_string().parse(), Ok(filtering));
            assert_eq!(filtering.abbreviation().to_lowercase().parse(), Ok(filtering));
        }
        for allocation in [
            PortAllocation::Preserving,
            PortAllocation::Sequential { step: 1 },
            PortAllocation::Sequential { step: -2 },
            PortAllocation::Random,
            PortAllocation::Block { size: 2048 },
        ] {
            assert_eq!(allocation.to_string().parse(), Ok(allocation));
        }
        for hairpin in [Hairpin::None, Hairpin::InternalSource, Hairpin::ExternalSource] {
            assert_eq!(hairpin.to_string().parse(), Ok(hairpin));
        }
        for pooling in [Pooling::Paired, Pooling::Arbitrary] {
            assert_eq!(pooling.to_string().parse(), Ok(pooling));
        }
    }

    #[test]
    fn an_abbreviation_of_another_type_is_refused() {
        assert!("eif".parse::<Mapping>().is_err());
        assert!("eim".parse::<Filtering>().is_err());
        assert_eq!("ei".parse(), Ok(Mapping::EndpointIndependent));
        assert!("".parse::<Mapping>().is_err());
        for text in ["sequential(0)", "sequential()", "block(0)", "block(65536)", "block 3", "random(1)"] {
            assert!(text.parse::<PortAllocation>().is_err(), "{text}");
        }
        let error = "cone".parse::<Mapping>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "not a word for mapping: expected eim, adm, apdm, or endpoint-independent, address-dependent, \
             address-and-port-dependent"
        );
    }

    #[test]
    fn the_table_of_classic_names_has_each_pair_once() {
        for mapping in Mapping::ALL {
            for filtering in Filtering::ALL {
                let rows = CLASSIC_NAMES.iter().filter(|(m, f, _)| *m == mapping && *f == filtering).count();
                assert_eq!(rows, 1, "{mapping} × {filtering}");
                let name = classic_name(NatKind::Nat, mapping, filtering);
                assert_eq!(name == ClassicType::Symmetric, mapping.is_destination_dependent());
                assert_eq!(name.to_string().parse(), Ok(name));
            }
        }
        let independent = Mapping::EndpointIndependent;
        let open = classic_name(NatKind::None, independent, Filtering::EndpointIndependent);
        assert_eq!(open, ClassicType::Open);
        for filtering in [Filtering::AddressDependent, Filtering::AddressAndPortDependent] {
            assert_eq!(classic_name(NatKind::Firewall, independent, filtering), ClassicType::UdpFirewall);
        }
        let dependent = classic_name(NatKind::None, Mapping::AddressDependent, Filtering::EndpointIndependent);
        assert_eq!(dependent, ClassicType::Other);
    }
}
