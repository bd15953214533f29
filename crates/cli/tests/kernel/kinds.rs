//! The kinds of network in the lab, and the expected result for each.
//!
//! The words are those of RFC 4787 §4.1 (mapping) and §5 (filtering), and the classic names of RFC 3489 §5. There is no
//! network with a round trip of 100 ms: this kernel may lack `netem`, and the simulator tests delays.

use crate::rules::{Filtering, HOME, Mapping, Policy, Router};

/// A network: the routers between the client and the public network, and the expected result.
pub(crate) struct Kind {
    /// The name in the list of trials.
    pub(crate) name: &'static str,
    /// The address family of the client. The client has no address of the other family.
    pub(crate) family: Family,
    /// The routers from the client outwards; empty if the client is on the public network.
    pub(crate) routers: &'static [Router],
    /// Whether the address of the client is in the shared range of carriers (RFC 6598).
    pub(crate) carrier: bool,
    /// The expected result.
    pub(crate) expected: Classification,
}

/// The address family of a whole network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    /// IPv4 only.
    V4,
    /// IPv6 only.
    V6,
}

/// The expected classification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Classification {
    /// No UDP response arrives.
    Blocked,
    /// UDP works, with this behaviour.
    Behavior {
        /// The NAT or firewall.
        presence: Presence,
        /// The mapping of outgoing traffic.
        mapping: Dependence,
        /// The filtering of incoming traffic.
        filtering: Dependence,
        /// The classic name of RFC 3489 §5, as in the report.
        classic: &'static str,
    },
}

/// The NAT or firewall between the client and the servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presence {
    /// No translation and no filter.
    Nothing,
    /// No translation, but a filter.
    Firewall,
    /// Address translation.
    Nat,
}

/// What a mapping or a filter depends on (RFC 4787 §4.1 and §5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dependence {
    /// Independent of the remote endpoint.
    EndpointIndependent,
    /// Depends on the remote address.
    AddressDependent,
    /// Depends on the remote address and port.
    AddressAndPortDependent,
}

impl Dependence {
    /// Returns the word in the report.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::EndpointIndependent => "endpoint-independent",
            Self::AddressDependent => "address-dependent",
            Self::AddressAndPortDependent => "address-and-port-dependent",
        }
    }
}

impl Presence {
    /// Returns the word in the report.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Nothing => "none",
            Self::Firewall => "firewall",
            Self::Nat => "nat",
        }
    }
}

impl Kind {
    /// The largest loss of a router of this network, in percent in each direction.
    pub(crate) fn loss(&self) -> u8 {
        self.routers.iter().map(|router| router.loss).max().unwrap_or(0)
    }

    /// The router whose mappings the servers observe.
    pub(crate) fn outermost(&self) -> Option<&'static Router> {
        self.routers.last()
    }
}

/// Returns the kind with this name.
pub(crate) fn named(name: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.name == name)
}

/// A network whose router drops everything. It is not in the table, because no result can be measured.
pub(crate) const BLACK_HOLE: Kind =
    v4("black_hole", &[Router { policy: Policy::Nothing, ..HOME }], Classification::Blocked);

/// Every kind, in the order of the list of trials.
pub(crate) const KINDS: &[Kind] = &[
    v4("open", &[], OPEN),
    v4("fw", &[router(Mapping::None, Filtering::AddressAndPort)], FIREWALL),
    v4("fw_ad", &[router(Mapping::None, Filtering::Address)], firewall(AD)),
    v4("ei_ei", &[router(Mapping::Preserving, Filtering::AnySource)], nat(EI, EI)),
    v4("ei_ad", &[router(Mapping::Preserving, Filtering::Address)], nat(EI, AD)),
    v4("ei_apd", &[HOME], nat(EI, APD)),
    v4("ei_ei_r", &[router(Mapping::Random, Filtering::AnySource)], nat(EI, EI)),
    v4("ei_ad_r", &[router(Mapping::Random, Filtering::Address)], nat(EI, AD)),
    v4("ei_apd_r", &[router(Mapping::Random, Filtering::AddressAndPort)], nat(EI, APD)),
    v4("ad_ei", &[router(Mapping::PerAddress, Filtering::AnySource)], nat(AD, EI)),
    v4("ad_ad", &[router(Mapping::PerAddress, Filtering::Address)], nat(AD, AD)),
    v4("ad_apd", &[router(Mapping::PerAddress, Filtering::AddressAndPort)], nat(AD, APD)),
    v4("apd_ei", &[router(Mapping::PerEndpoint, Filtering::AnySource)], nat(APD, EI)),
    v4("apd_ad", &[router(Mapping::PerEndpoint, Filtering::Address)], nat(APD, AD)),
    v4("apd_apd", &[router(Mapping::PerEndpoint, Filtering::AddressAndPort)], nat(APD, APD)),
    v4("apd_seq", &[router(Mapping::Counting, Filtering::AddressAndPort)], nat(APD, APD)),
    v4("ei_ei_hp", &[Router { hairpin: true, filtering: Filtering::AnySource, ..HOME }], nat(EI, EI)),
    v4("ei_apd_hp", &[Router { hairpin: true, ..HOME }], nat(EI, APD)),
    v4("one2one", &[router(Mapping::OneToOne, Filtering::AnySource)], nat(EI, EI)),
    v4("pool", &[router(Mapping::Pool, Filtering::AddressAndPort)], nat(AD, APD)),
    v4("linuxopen", &[Router { open_input: true, ..HOME }], nat(EI, APD)),
    v4("udpblk", &[Router { policy: Policy::NoUdp, ..HOME }], Classification::Blocked),
    v4("tcp443", &[Router { policy: Policy::OnlyTcp443, ..HOME }], Classification::Blocked),
    v4("cgn_ei", &[HOME, router(Mapping::Random, Filtering::AnySource)], nat(EI, APD)),
    v4("cgn_sym", &[HOME, router(Mapping::PerEndpoint, Filtering::AddressAndPort)], nat(APD, APD)),
    Kind { carrier: true, ..v4("cgn_direct", &[router(Mapping::Random, Filtering::AnySource)], nat(EI, EI)) },
    v4("short5", &[Router { lifetime: 5, ..HOME }], nat(EI, APD)),
    v4("loss10", &[Router { loss: 10, ..HOME }], nat(EI, APD)),
    v4("loss10fc", &[Router { loss: 10, filtering: Filtering::AnySource, ..HOME }], nat(EI, EI)),
    v4("loss30", &[Router { loss: 30, ..HOME }], nat(EI, APD)),
    v6("v6open", &[], OPEN),
    v6("v6fw", &[router(Mapping::None, Filtering::AddressAndPort)], FIREWALL),
];

const EI: Dependence = Dependence::EndpointIndependent;
const AD: Dependence = Dependence::AddressDependent;
const APD: Dependence = Dependence::AddressAndPortDependent;

const OPEN: Classification =
    Classification::Behavior { presence: Presence::Nothing, mapping: EI, filtering: EI, classic: "open" };
const FIREWALL: Classification = firewall(APD);

const fn v4(name: &'static str, routers: &'static [Router], expected: Classification) -> Kind {
    Kind { name, family: Family::V4, routers, carrier: false, expected }
}

const fn v6(name: &'static str, routers: &'static [Router], expected: Classification) -> Kind {
    Kind { name, family: Family::V6, routers, carrier: false, expected }
}

const fn router(mapping: Mapping, filtering: Filtering) -> Router {
    Router { mapping, filtering, ..HOME }
}

const fn firewall(filtering: Dependence) -> Classification {
    Classification::Behavior { presence: Presence::Firewall, mapping: EI, filtering, classic: "udp-firewall" }
}

/// RFC 3489 §5 calls any mapping that depends on the destination `symmetric`, with any filter.
const fn nat(mapping: Dependence, filtering: Dependence) -> Classification {
    let classic = match (mapping, filtering) {
        (EI, EI) => "full-cone",
        (EI, AD) => "restricted",
        (EI, APD) => "port-restricted",
        (AD | APD, _) => "symmetric",
    };
    Classification::Behavior { presence: Presence::Nat, mapping, filtering, classic }
}
