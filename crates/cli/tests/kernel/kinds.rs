//! The kinds of network the lab can make, and what each of them must be found to be.
//!
//! The words are those of RFC 4787 §4.1 (mapping) and §5 (filtering), the classic names those of RFC 3489 §5. A
//! network with a round trip of 100 ms is not here: this kernel need not have `netem`, and delay is the simulator's
//! matter.

use crate::recipes::{Filtering, HOME, Mapping, Passing, Router};

/// One network: what stands between the client and the public internet, and the truth about it.
pub(crate) struct Kind {
    /// Its name in the list of trials.
    pub(crate) name: &'static str,
    /// Whether the client speaks IPv4 or IPv6; it has no address of the other family.
    pub(crate) family: Family,
    /// The routers from the client outwards; none where the client is on the public network itself.
    pub(crate) routers: &'static [Router],
    /// Whether the client's own address is one that only carriers give out (RFC 6598).
    pub(crate) carrier: bool,
    /// What must be found.
    pub(crate) truth: Truth,
}

/// The address family of a whole network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    /// IPv4 only.
    V4,
    /// IPv6 only.
    V6,
}

/// What a classification must say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Truth {
    /// No UDP answer comes back.
    Blocked,
    /// UDP works, with this behaviour.
    Behavior {
        /// What stands in the way.
        presence: Presence,
        /// How outgoing traffic is mapped.
        mapping: Dependence,
        /// Whom incoming traffic is taken from.
        filtering: Dependence,
        /// The name RFC 3489 §5 gave it, as the report spells it.
        classic: &'static str,
    },
}

/// What stands between the client and the servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presence {
    /// Nothing: addresses are not translated and anyone may send.
    Nothing,
    /// Addresses are not translated, but not everyone may send.
    Firewall,
    /// Addresses are translated.
    Nat,
}

/// What a mapping or a filter depends on (RFC 4787 §4.1 and §5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dependence {
    /// Not on the other side at all.
    EndpointIndependent,
    /// On the other side's address.
    AddressDependent,
    /// On the other side's address and port.
    AddressAndPortDependent,
}

impl Dependence {
    /// The word of the report.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::EndpointIndependent => "endpoint-independent",
            Self::AddressDependent => "address-dependent",
            Self::AddressAndPortDependent => "address-and-port-dependent",
        }
    }
}

impl Presence {
    /// The word of the report.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Nothing => "none",
            Self::Firewall => "firewall",
            Self::Nat => "nat",
        }
    }
}

impl Kind {
    /// The largest share of packets, in percent, that a router of this network loses in each direction.
    pub(crate) fn loss(&self) -> u8 {
        self.routers.iter().map(|router| router.loss).max().unwrap_or(0)
    }

    /// The router whose mappings the servers see.
    pub(crate) fn outermost(&self) -> Option<&'static Router> {
        self.routers.last()
    }
}

/// The kind of this name.
pub(crate) fn named(name: &str) -> Option<&'static Kind> {
    KINDS.iter().find(|kind| kind.name == name)
}

/// A network whose router drops everything: it is not in the table, for nothing can be found of it.
pub(crate) const BLACK_HOLE: Kind = v4("black_hole", &[Router { passing: Passing::Nothing, ..HOME }], Truth::Blocked);

/// Every kind, in the order of the list of trials.
pub(crate) const KINDS: &[Kind] = &[
    v4("open", &[], OPEN),
    v4("fw", &[router(Mapping::None, Filtering::AddressAndPort)], FIREWALL),
    v4("fw_ad", &[router(Mapping::None, Filtering::Address)], firewall(AD)),
    v4("ei_ei", &[router(Mapping::Preserving, Filtering::Anyone)], nat(EI, EI)),
    v4("ei_ad", &[router(Mapping::Preserving, Filtering::Address)], nat(EI, AD)),
    v4("ei_apd", &[HOME], nat(EI, APD)),
    v4("ei_ei_r", &[router(Mapping::Random, Filtering::Anyone)], nat(EI, EI)),
    v4("ei_ad_r", &[router(Mapping::Random, Filtering::Address)], nat(EI, AD)),
    v4("ei_apd_r", &[router(Mapping::Random, Filtering::AddressAndPort)], nat(EI, APD)),
    v4("ad_ei", &[router(Mapping::PerAddress, Filtering::Anyone)], nat(AD, EI)),
    v4("ad_ad", &[router(Mapping::PerAddress, Filtering::Address)], nat(AD, AD)),
    v4("ad_apd", &[router(Mapping::PerAddress, Filtering::AddressAndPort)], nat(AD, APD)),
    v4("apd_ei", &[router(Mapping::PerEndpoint, Filtering::Anyone)], nat(APD, EI)),
    v4("apd_ad", &[router(Mapping::PerEndpoint, Filtering::Address)], nat(APD, AD)),
    v4("apd_apd", &[router(Mapping::PerEndpoint, Filtering::AddressAndPort)], nat(APD, APD)),
    v4("apd_seq", &[router(Mapping::Counting, Filtering::AddressAndPort)], nat(APD, APD)),
    v4("ei_ei_hp", &[Router { hairpin: true, filtering: Filtering::Anyone, ..HOME }], nat(EI, EI)),
    v4("ei_apd_hp", &[Router { hairpin: true, ..HOME }], nat(EI, APD)),
    v4("one2one", &[router(Mapping::OneToOne, Filtering::Anyone)], nat(EI, EI)),
    v4("pool", &[router(Mapping::Pool, Filtering::AddressAndPort)], nat(AD, APD)),
    v4("linuxopen", &[Router { open_input: true, ..HOME }], nat(EI, APD)),
    v4("udpblk", &[Router { passing: Passing::NoUdp, ..HOME }], Truth::Blocked),
    v4("tcp443", &[Router { passing: Passing::OnlyTcp443, ..HOME }], Truth::Blocked),
    v4("cgn_ei", &[HOME, router(Mapping::Random, Filtering::Anyone)], nat(EI, APD)),
    v4("cgn_sym", &[HOME, router(Mapping::PerEndpoint, Filtering::AddressAndPort)], nat(APD, APD)),
    Kind { carrier: true, ..v4("cgn_direct", &[router(Mapping::Random, Filtering::Anyone)], nat(EI, EI)) },
    v4("short5", &[Router { lifetime: 5, ..HOME }], nat(EI, APD)),
    v4("loss10", &[Router { loss: 10, ..HOME }], nat(EI, APD)),
    v4("loss10fc", &[Router { loss: 10, filtering: Filtering::Anyone, ..HOME }], nat(EI, EI)),
    v4("loss30", &[Router { loss: 30, ..HOME }], nat(EI, APD)),
    v6("v6open", &[], OPEN),
    v6("v6fw", &[router(Mapping::None, Filtering::AddressAndPort)], FIREWALL),
];

const EI: Dependence = Dependence::EndpointIndependent;
const AD: Dependence = Dependence::AddressDependent;
const APD: Dependence = Dependence::AddressAndPortDependent;

const OPEN: Truth = Truth::Behavior { presence: Presence::Nothing, mapping: EI, filtering: EI, classic: "open" };
const FIREWALL: Truth = firewall(APD);

const fn v4(name: &'static str, routers: &'static [Router], truth: Truth) -> Kind {
    Kind { name, family: Family::V4, routers, carrier: false, truth }
}

const fn v6(name: &'static str, routers: &'static [Router], truth: Truth) -> Kind {
    Kind { name, family: Family::V6, routers, carrier: false, truth }
}

const fn router(mapping: Mapping, filtering: Filtering) -> Router {
    Router { mapping, filtering, ..HOME }
}

const fn firewall(filtering: Dependence) -> Truth {
    Truth::Behavior { presence: Presence::Firewall, mapping: EI, filtering, classic: "udp-firewall" }
}

/// Any mapping that depends on the destination was `symmetric` to RFC 3489 §5, whatever the filter.
const fn nat(mapping: Dependence, filtering: Dependence) -> Truth {
    let classic = match (mapping, filtering) {
        (EI, EI) => "full-cone",
        (EI, AD) => "restricted",
        (EI, APD) => "port-restricted",
        (AD | APD, _) => "symmetric",
    };
    Truth::Behavior { presence: Presence::Nat, mapping, filtering, classic }
}
