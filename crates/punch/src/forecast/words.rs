//! The words of a forecast: `as_str` for programs, `Display` for people.

use super::{Cost, Forecast, Strategy, Verdict};
use core::fmt;

/// The reason for a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// Both sides have IPv6.
    Ipv6,
    /// One side lets in packets from every address.
    OneSideOpen,
    /// Both mappings are endpoint-independent.
    IndependentMappings,
    /// One side answers the source of the first packet.
    SourceAnswered,
    /// Packets flow in both directions, over different endpoints.
    Asymmetric,
    /// Both hosts have one public address, and their NAT hairpins.
    SameAddress,
    /// Both hosts have one public address, but it is not known that their NAT hairpins.
    SameAddressNoHairpin,
    /// The port of a sequential allocator is predicted.
    PortPredicted,
    /// The port of a random allocator is guessed.
    PortGuessed,
    /// Both mappings are destination-dependent, and the filters leave no way in.
    TwoHardNats,
    /// The port must be guessed, and the public address changes too.
    AddressPool,
    /// The budget has no room for a guess.
    BudgetTooSmall,
    /// The two sides have no address family in common.
    NoCommonFamily,
    /// IPv4 does not work, and IPv6 is unknown on one side.
    Ipv6Unknown,
    /// Mapping or filtering is unknown, and the verdict depends on it.
    BehaviorUnknown,
    /// The port must be guessed, and the allocator is unknown.
    AllocationUnknown,
}

impl Reason {
    /// The code that reports use: `two-hard-nats`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ipv6 => "ipv6",
            Self::OneSideOpen => "one-side-open",
            Self::IndependentMappings => "independent-mappings",
            Self::SourceAnswered => "source-answered",
            Self::Asymmetric => "asymmetric",
            Self::SameAddress => "same-address",
            Self::SameAddressNoHairpin => "same-address-no-hairpin",
            Self::PortPredicted => "port-predicted",
            Self::PortGuessed => "port-guessed",
            Self::TwoHardNats => "two-hard-nats",
            Self::AddressPool => "address-pool",
            Self::BudgetTooSmall => "budget-too-small",
            Self::NoCommonFamily => "no-common-family",
            Self::Ipv6Unknown => "ipv6-unknown",
            Self::BehaviorUnknown => "behavior-unknown",
            Self::AllocationUnknown => "allocation-unknown",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ipv6 => "both sides have IPv6, and both send first",
            Self::OneSideOpen => "one side lets in packets from every address, so the other side sends to it",
            Self::IndependentMappings => "both NATs keep one endpoint for all destinations",
            Self::SourceAnswered => "one side answers the source of the other side's first packet",
            Self::Asymmetric => {
                "packets flow in both directions over different endpoints: ICE fails on this pair, a puncher does not"
            }
            Self::SameAddress => "both hosts have one public address, and their NAT hairpins",
            Self::SameAddressNoHairpin => {
                "both hosts have one public address: it works if they are on one network or if their NAT hairpins"
            }
            Self::PortPredicted => "the NAT assigns ports in sequence, so its next ports are predicted",
            Self::PortGuessed => "the NAT assigns random ports, so many sockets and many probes must meet by chance",
            Self::TwoHardNats => "both NATs change the endpoint with the destination, and the filters leave no way in",
            Self::AddressPool => "the port must be guessed, and the NAT changes its public address too",
            Self::BudgetTooSmall => "the port must be guessed, and the budget has no room for it",
            Self::NoCommonFamily => "the two sides have no address family with UDP in common",
            Self::Ipv6Unknown => "IPv4 does not work, and it is not known whether both sides have IPv6",
            Self::BehaviorUnknown => "it depends on a mapping or a filtering that is not known",
            Self::AllocationUnknown => "the port must be guessed, and it is not known how the NAT assigns ports",
        })
    }
}

impl Verdict {
    /// The word that reports use: `works-with-guessing`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Works => "works",
            Self::WorksWithGuessing => "works-with-guessing",
            Self::RelayOnly => "relay-only",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Works => "works",
            Self::WorksWithGuessing => "works with guessing",
            Self::RelayOnly => "relay only",
            Self::Unknown => "unknown",
        })
    }
}

impl Strategy {
    /// The word that reports use: `answer-source`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ipv6 => "ipv6",
            Self::LocalNetwork => "local-network",
            Self::Reversal => "reversal",
            Self::Simultaneous => "simultaneous",
            Self::AnswerSource => "answer-source",
            Self::Predict { .. } => "predict",
            Self::Birthday { .. } => "birthday",
        }
    }

    /// Whether ports are guessed.
    #[must_use]
    pub const fn is_guess(self) -> bool {
        matches!(self, Self::Predict { .. } | Self::Birthday { .. })
    }
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ipv6 => f.write_str("send over IPv6 from both sides"),
            Self::LocalNetwork => f.write_str("send to the host candidates, then to the own public address"),
            Self::Reversal => f.write_str("send to the side that is open"),
            Self::Simultaneous => f.write_str("send from both sides at the same time"),
            Self::AnswerSource => f.write_str("send from both sides and answer the source of the first packet"),
            Self::Predict { step, window, .. } => {
                write!(f, "send to the next {window} ports of a sequential NAT (step {step})")
            }
            Self::Birthday { sockets, probes, first, last, .. } => {
                write!(f, "{sockets} sockets against {probes} probes of the ports {first} to {last}")
            }
        }
    }
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { mappings, sessions, probes } = *self;
        let end = |count: u16| if count == 1 { "" } else { "s" };
        write!(f, "{probes} probe{}, {mappings} mapping{}, ", end(probes), end(mappings))?;
        write!(f, "{sessions} session{}", end(sessions))
    }
}

impl fmt::Display for Forecast {
    /// Several lines: verdict and reason, strategy, cost of each side.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.verdict)?;
        if let Some(probability) = self.probability {
            // Never rounded up: 99.96 % is not 100 %.
            let tenths = (probability * 1000.0) as u16;
            write!(f, " ({}.{} %)", tenths / 10, tenths % 10)?;
        }
        writeln!(f, ": {}", self.reason)?;
        writeln!(f, "strategy: {}", self.strategy)?;
        writeln!(f, "expected time: {} ms", self.expected.as_millis())?;
        writeln!(f, "own side: {}", self.own)?;
        write!(f, "peer's side: {}", self.peer)
    }
}
