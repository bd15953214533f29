//! The forecast for a pair of hosts: whether hole punching can work, how, at what cost, and why.
//!
//! A forecast is a pure function of two [cards](Card). Both hosts compute the same forecast from the same two cards.
//!
//! # Rules
//!
//! IPv6 on both sides works with any filter, because both sides send. For IPv4, with the terms of RFC 4787:
//!
//! * Two endpoint-independent mappings work with any filter. If both routers track early packets and both filter by port,
//!   the first packets must cross on their way. This needs a one-way delay that is longer than the time between the starts
//!   of both hosts. A card contains neither the delay nor how a router treats early packets.
//! * With one destination-dependent mapping, the endpoint of that side is unknown. The pair works if the other side does
//!   not filter by port: the other side then answers the source of the first packet.
//! * With two destination-dependent mappings, a pair works if no side filters by port and one side does not filter.
//!   If both mappings depend on the port too, the two directions use different endpoints. ICE fails on such a pair (RFC
//!   8445 §7.2.5.2.1). The forecast calls it asymmetric.
//! * If one side filters by port and the other mapping is destination-dependent, the port must be guessed. All other
//!   pairs need a relay.
//!
//! A guess has a budget. The forecast states the number of mappings and sessions at each NAT.
//!
//! ```
//! use portolan_punch::card::Card;
//! use portolan_punch::forecast::{Conditions, Strategy, Verdict, forecast};
//!
//! let home: Card = "nat1,4=nat,m=eim,f=apdf".parse()?;
//! let mobile: Card = "nat1,4=nat,m=apdm,f=apdf,a=seq+1".parse()?;
//! let found = forecast(&home, &mobile, &Conditions::default());
//! assert_eq!(found.verdict, Verdict::WorksWithGuessing);
//! assert!(matches!(found.strategy, Strategy::Predict { window: 14, .. }));
//! assert!(found.probability.unwrap() > 0.99);
//! assert_eq!((found.own.mappings, found.own.sessions), (1, 15));
//! # Ok::<(), portolan_punch::card::CardError>(())
//! ```

mod chance;
mod words;

pub use words::Reason;

use crate::card::{Card, Ipv4, Ipv6, Ports};
use core::time::Duration;
use portolan_nat::behavior::{Filtering, Hairpin, Mapping, Pooling};
use portolan_nat::translator::PortRange;

/// The conditions of an attempt that no card holds. Both sides must use the same conditions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conditions {
    /// The round trip between the peers; 50 ms by default.
    pub rtt: Duration,
    /// New mappings of other flows at a sequential NAT in one second; 10 by default.
    pub cross_traffic: u16,
    /// The time from the measurement of a public endpoint to the first probe; 300 ms by default.
    pub age: Duration,
    /// Packets that are lost on their way from one host to the other, in thousandths; 0 by default. Loss lowers the
    /// probability of a random guess only, because all other packets are repeated. Costs and times are without loss.
    pub loss: u16,
    /// The limits.
    pub budget: Budget,
}

impl Default for Conditions {
    fn default() -> Self {
        let (rtt, age) = (Duration::from_millis(50), Duration::from_millis(300));
        Self { rtt, cross_traffic: 10, age, loss: 0, budget: Budget::default() }
    }
}

/// The limits of one attempt, for each side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// NAT mappings: one for each local socket, or for each socket and destination if the mapping is
    /// destination-dependent. 512 by default.
    pub mappings: u16,
    /// Sessions: one for each socket and destination, as a connection tracker counts. 2,048 by default.
    pub sessions: u16,
    /// Packets in any second; 100 by default.
    pub rate: u16,
}

impl Default for Budget {
    fn default() -> Self {
        Self { mappings: 512, sessions: 2048, rate: 100 }
    }
}

/// The forecast for a pair.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Forecast {
    /// The verdict.
    pub verdict: Verdict,
    /// The strategy to begin with.
    pub strategy: Strategy,
    /// Whether the two directions use different endpoints, so that ICE fails and only a puncher that accepts this
    /// succeeds.
    pub is_asymmetric: bool,
    /// The cost for the first card's side.
    pub own: Cost,
    /// The cost for the second card's side.
    pub peer: Cost,
    /// The expected time from the first probe to the connection.
    pub expected: Duration,
    /// The probability of a connection, 0 to 1; `None` if it is unknown.
    pub probability: Option<f64>,
    /// The reason for the verdict.
    pub reason: Reason,
}

/// Whether hole punching works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// It works without guessing ports.
    Works,
    /// It works with some probability if ports are guessed.
    WorksWithGuessing,
    /// The pair needs a relay.
    RelayOnly,
    /// The cards do not show it.
    Unknown,
}

/// A way to punch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Strategy {
    /// Both sides send over IPv6.
    Ipv6,
    /// The two hosts share a public address: host candidates first, then hairpinning.
    LocalNetwork,
    /// One side is open; the other side sends to it.
    Reversal,
    /// Both sides send to the other's public endpoint at the same time.
    Simultaneous,
    /// One side answers the source of the other side's packet.
    AnswerSource,
    /// One side sends to the ports that a sequential NAT assigns next.
    Predict {
        /// The side whose port is predicted.
        hard: Side,
        /// The step between two ports.
        step: i16,
        /// The number of ports.
        window: u16,
    },
    /// One side opens many sockets, and the other side probes many ports.
    Birthday {
        /// The side that opens the sockets.
        hard: Side,
        /// The number of sockets.
        sockets: u16,
        /// The number of ports that the other side probes, each once.
        probes: u16,
        /// The lowest port.
        first: u16,
        /// The highest port.
        last: u16,
    },
}

/// A side of the pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// The side of the first card.
    Own,
    /// The side of the second card.
    Peer,
}

impl Side {
    /// The word that reports use: `own` or `peer`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::Peer => "peer",
        }
    }

    /// The other side.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Own => Self::Peer,
            Self::Peer => Self::Own,
        }
    }
}

/// The cost for one side without packet loss.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// New NAT mappings.
    pub mappings: u16,
    /// New sessions.
    pub sessions: u16,
    /// Probes.
    pub probes: u16,
}

/// Forecasts hole punching between the hosts of two cards.
#[must_use]
pub fn forecast(own: &Card, peer: &Card, conditions: &Conditions) -> Forecast {
    let mut found = judge(own, peer, conditions);
    let right = |card: &Card| 1.0 - f64::from(card.p_wrong.unwrap_or(0).min(1000)) / 1000.0;
    found.probability = found.probability.map(|p| p * right(own) * right(peer));
    found
}

fn judge(own: &Card, peer: &Card, conditions: &Conditions) -> Forecast {
    if let (Some(Ipv6::Present(_)), Some(Ipv6::Present(_))) = (own.ipv6, peer.ipv6) {
        return direct(Strategy::Ipv6, Reason::Ipv6, own, peer, conditions);
    }
    let is_out = |card: &Card| matches!(card.ipv4, Some(Ipv4::Blocked | Ipv4::Absent));
    if is_out(own) || is_out(peer) {
        return if own.ipv6.is_none() || peer.ipv6.is_none() {
            unknown(Reason::Ipv6Unknown, own, peer, conditions)
        } else {
            relay(Reason::NoCommonFamily, own, peer, conditions)
        };
    }
    if share_address(own, peer) {
        return local(own, peer, conditions);
    }
    let (ours, theirs) = (Behaviors::of(own, peer), Behaviors::of(peer, own));
    let mut pairs = ours.iter().flat_map(|one| theirs.iter().map(move |other| Pair::of(one, other)));
    let first = pairs.next().unwrap_or(Pair::Never);
    if !pairs.all(|pair| pair == first) {
        return unknown(Reason::BehaviorUnknown, own, peer, conditions);
    }
    match first {
        Pair::Works { strategy, reason, is_asymmetric } => {
            Forecast { is_asymmetric, ..direct(strategy, reason, own, peer, conditions) }
        }
        Pair::Guess(hard) => guess(hard, own, peer, conditions),
        Pair::Never => relay(Reason::TwoHardNats, own, peer, conditions),
    }
}

/// Whether the two hosts have a public IPv4 address in common.
fn share_address(own: &Card, peer: &Card) -> bool {
    own.public.iter().filter(|one| one.is_ipv4()).any(|one| peer.public.iter().any(|other| one.ip() == other.ip()))
}

/// A NAT as the table of pairs sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Behavior {
    mapping: Mapping,
    filtering: Filtering,
}

impl Behavior {
    const fn is_hard(self) -> bool {
        self.mapping.is_destination_dependent()
    }

    fn filters_ports(self) -> bool {
        self.filtering == Filtering::AddressAndPortDependent
    }

    fn is_open(self) -> bool {
        !self.is_hard() && self.filtering == Filtering::EndpointIndependent
    }
}

/// All behaviours that a card allows.
struct Behaviors {
    mapping: Option<Mapping>,
    filtering: Option<Filtering>,
    /// Whether a filter by address drops the peer too, because the peer's address changes.
    is_strict: bool,
}

impl Behaviors {
    fn of(card: &Card, peer: &Card) -> Self {
        // Without translation there is one endpoint.
        let untranslated = matches!(card.ipv4, Some(Ipv4::Open | Ipv4::Firewall));
        let mapping = if untranslated { Some(Mapping::EndpointIndependent) } else { card.mapping };
        let filtering =
            if card.ipv4 == Some(Ipv4::Open) { Some(Filtering::EndpointIndependent) } else { card.filtering };
        let is_strict = peer.pooling == Some(Pooling::Arbitrary)
            && peer.mapping.is_none_or(|mapping| mapping.is_destination_dependent());
        Self { mapping, filtering, is_strict }
    }

    fn iter(&self) -> impl Iterator<Item = Behavior> + '_ {
        let mappings = Mapping::ALL.into_iter().filter(|mapping| self.mapping.is_none_or(|known| known == *mapping));
        mappings.flat_map(move |mapping| {
            let all = Filtering::ALL.into_iter().filter(|filter| self.filtering.is_none_or(|known| known == *filter));
            all.map(move |filtering| {
                let by_address = filtering == Filtering::AddressDependent && self.is_strict;
                let filtering = if by_address { Filtering::AddressAndPortDependent } else { filtering };
                Behavior { mapping, filtering }
            })
        })
    }
}

/// The row of the table of pairs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pair {
    Works { strategy: Strategy, reason: Reason, is_asymmetric: bool },
    Guess(Side),
    Never,
}

impl Pair {
    fn of(own: Behavior, peer: Behavior) -> Self {
        let works = |strategy, reason| Self::Works { strategy, reason, is_asymmetric: false };
        if own.is_open() || peer.is_open() {
            return works(Strategy::Reversal, Reason::OneSideOpen);
        }
        match (own.is_hard(), peer.is_hard()) {
            (false, false) => works(Strategy::Simultaneous, Reason::IndependentMappings),
            (false, true) if own.filters_ports() => Self::Guess(Side::Peer),
            (true, false) if peer.filters_ports() => Self::Guess(Side::Own),
            (false, true) | (true, false) => works(Strategy::AnswerSource, Reason::SourceAnswered),
            (true, true) => {
                let open = |side: Behavior| side.filtering == Filtering::EndpointIndependent;
                if own.filters_ports() || peer.filters_ports() || !(open(own) || open(peer)) {
                    return Self::Never;
                }
                let by_port = |side: Behavior| side.mapping == Mapping::AddressAndPortDependent;
                let is_asymmetric = by_port(own) && by_port(peer);
                let reason = if is_asymmetric { Reason::Asymmetric } else { Reason::SourceAnswered };
                Self::Works { strategy: Strategy::AnswerSource, reason, is_asymmetric }
            }
        }
    }
}

/// The probes of a side without loss, and the addresses that it sends to, for a strategy without guessing.
const DIRECT: (u16, u16) = (10, 2);

fn direct_cost(card: &Card) -> Cost {
    let (probes, sessions) = DIRECT;
    let is_easy =
        card.mapping == Some(Mapping::EndpointIndependent) || matches!(card.ipv4, Some(Ipv4::Open | Ipv4::Firewall));
    Cost { mappings: if is_easy { 1 } else { sessions }, sessions, probes }
}

fn direct(strategy: Strategy, reason: Reason, own: &Card, peer: &Card, conditions: &Conditions) -> Forecast {
    Forecast {
        verdict: Verdict::Works,
        strategy,
        is_asymmetric: false,
        own: direct_cost(own),
        peer: direct_cost(peer),
        expected: conditions.rtt * 2,
        probability: Some(1.0),
        reason,
    }
}

/// A pair that needs a relay. The direct strategy is tried all the same: it is cheap, and a card may be outdated.
fn relay(reason: Reason, own: &Card, peer: &Card, conditions: &Conditions) -> Forecast {
    let found = direct(Strategy::Simultaneous, reason, own, peer, conditions);
    Forecast { verdict: Verdict::RelayOnly, probability: Some(0.0), ..found }
}

fn unknown(reason: Reason, own: &Card, peer: &Card, conditions: &Conditions) -> Forecast {
    let found = direct(Strategy::Simultaneous, reason, own, peer, conditions);
    Forecast { verdict: Verdict::Unknown, probability: None, ..found }
}

/// Two hosts with one public address. They may be on one network, or on two networks of one carrier.
fn local(own: &Card, peer: &Card, conditions: &Conditions) -> Forecast {
    let found = direct(Strategy::LocalNetwork, Reason::SameAddress, own, peer, conditions);
    let mappings = [own.mapping, peer.mapping];
    let turns = [own.hairpin, peer.hairpin]
        .iter()
        .all(|hairpin| matches!(hairpin, Some(Hairpin::ExternalSource | Hairpin::InternalSource)));
    if turns && mappings.iter().all(|mapping| *mapping == Some(Mapping::EndpointIndependent)) {
        return found;
    }
    Forecast { verdict: Verdict::Unknown, probability: None, reason: Reason::SameAddressNoHairpin, ..found }
}

/// The largest window of a prediction.
const LARGEST_WINDOW: u16 = 40;
/// The window of an allocator that preserves ports: the next free ports after the socket's own.
const PRESERVING_WINDOW: u16 = 8;
/// The aim of a guess: 99.2 %, which 256 sockets and 1,200 probes reach in the whole range.
const AIM: f64 = 0.992;
/// The most sockets of a guess, and the most probes.
const LARGEST_GUESS: (u16, u16) = (256, 1200);
/// A prediction that is less likely than this is replaced by a random guess.
const LEAST_PREDICTION: f64 = 0.5;

fn guess(hard: Side, own: &Card, peer: &Card, conditions: &Conditions) -> Forecast {
    let card = match hard {
        Side::Own => own,
        Side::Peer => peer,
    };
    if card.pooling == Some(Pooling::Arbitrary) {
        return relay(Reason::AddressPool, own, peer, conditions);
    }
    let (step, mean) = match card.ports {
        None => return unknown(Reason::AllocationUnknown, own, peer, conditions),
        Some(Ports::Preserving) => (1, 0.0),
        Some(Ports::Sequential(step)) => (step, f64::from(conditions.cross_traffic) * conditions.age.as_secs_f64()),
        Some(Ports::Random) => return birthday(hard, PortRange::UNPRIVILEGED, own, peer, conditions),
        Some(Ports::Block { size, first }) => {
            let block = first.map(|first| PortRange::new(first, first.saturating_add(size.max(1) - 1)));
            return birthday(hard, block.unwrap_or(PortRange::UNPRIVILEGED), own, peer, conditions);
        }
    };
    let window = if card.ports == Some(Ports::Preserving) {
        PRESERVING_WINDOW
    } else {
        // The cross traffic is only estimated: the window is for half as much again.
        (1..LARGEST_WINDOW).find(|w| chance::poisson_at_most(w - 1, mean * 1.5) >= 0.9995).unwrap_or(LARGEST_WINDOW)
    };
    let p = chance::poisson_at_most(window - 1, mean);
    if p < LEAST_PREDICTION {
        return birthday(hard, PortRange::UNPRIVILEGED, own, peer, conditions);
    }
    let easy = Cost { mappings: 1, sessions: window + 1, probes: window + DIRECT.0 };
    let spray = Duration::from_secs(1) * (mean as u32 + 1) / u32::from(conditions.budget.rate.max(1));
    guessed(Strategy::Predict { hard, step, window }, [direct_cost(card), easy], (spray, p), conditions)
}

fn birthday(hard: Side, ports: PortRange, own: &Card, peer: &Card, conditions: &Conditions) -> Forecast {
    let Budget { mappings, sessions, rate } = conditions.budget;
    let count = ports.count();
    // Some entries stay free for the path that is found, and for the answer to a packet from another address.
    let most_sockets = LARGEST_GUESS.0.min(mappings.min(sessions).saturating_sub(SPARE));
    let most_probes = LARGEST_GUESS.1.min(sessions.saturating_sub(SPARE)).min(u16::try_from(count).unwrap_or(u16::MAX));
    if most_sockets == 0 || most_probes == 0 || rate == 0 {
        return relay(Reason::BudgetTooSmall, own, peer, conditions);
    }
    // As many sockets as probes need the fewest entries. The sockets cost more in the process, so they are limited.
    let square = (1..=most_sockets.min(most_probes)).find(|n| chance::birthday(count, *n, *n, 1.0) >= AIM);
    let (sockets, probes) = square.map_or_else(
        || {
            let probes = (1..=most_probes / 8).map(|n| n * 8);
            let enough = probes.into_iter().find(|n| chance::birthday(count, most_sockets, *n, 1.0) >= AIM);
            (most_sockets, enough.unwrap_or(most_probes))
        },
        |n| (n, n),
    );
    let strategy = Strategy::Birthday { hard, sockets, probes, first: ports.first, last: ports.last };
    let arrives = 1.0 - f64::from(conditions.loss.min(1000)) / 1000.0;
    let p = chance::birthday(count, sockets, probes, arrives);
    let packet = Duration::from_secs(1) / u32::from(rate);
    let spray = packet.mul_f64(chance::mean_probes(count, sockets, probes)) + probe_delay(sockets, ports, packet);
    let hard_cost = Cost { mappings: sockets + 1, sessions: sockets + 1, probes: sockets + DIRECT.0 };
    let easy_cost = Cost { mappings: 1, sessions: probes + 1, probes: probes + DIRECT.0 };
    guessed(strategy, [hard_cost, easy_cost], (spray, p), conditions)
}

/// The strategy after a prediction that failed: a random guess in the whole range, if the budget has room for it.
pub(crate) fn after_prediction(hard: Side, own: &Card, peer: &Card, conditions: &Conditions) -> Option<Strategy> {
    let found = birthday(hard, PortRange::UNPRIVILEGED, own, peer, conditions);
    (found.verdict == Verdict::WorksWithGuessing).then_some(found.strategy)
}

/// Whether the public endpoint of a card's host depends on the destination, or may do so.
pub(crate) fn may_be_destination_dependent(card: &Card) -> bool {
    Behaviors::of(card, &Card::default()).mapping != Some(Mapping::EndpointIndependent)
}

/// The entries of a budget that no guess uses.
pub(crate) const SPARE: u16 = 16;

/// The time from the first opener to the first probe of a random guess.
///
/// In a known block both sides send at once. The opener or the probe of a port may come first: each of them opens its own
/// filter. In the whole range the sockets are opened first. A router that tracks
/// probes to ports without a mapping would otherwise not assign these ports.
pub(crate) fn probe_delay(sockets: u16, ports: PortRange, packet: Duration) -> Duration {
    const BLOCK: u32 = 4096;
    if ports.count() <= BLOCK { Duration::ZERO } else { packet * u32::from(sockets) }
}

/// `costs` are those of the hard side and of the easy side.
fn guessed(strategy: Strategy, costs: [Cost; 2], spray: (Duration, f64), conditions: &Conditions) -> Forecast {
    let (Strategy::Predict { hard, .. } | Strategy::Birthday { hard, .. }) = strategy else {
        return direct(strategy, Reason::PortGuessed, &Card::default(), &Card::default(), conditions);
    };
    let [hard_cost, easy_cost] = costs;
    let (own, peer) = match hard {
        Side::Own => (hard_cost, easy_cost),
        Side::Peer => (easy_cost, hard_cost),
    };
    Forecast {
        verdict: Verdict::WorksWithGuessing,
        strategy,
        is_asymmetric: false,
        own,
        peer,
        expected: spray.0 + conditions.rtt * 2,
        probability: Some(spray.1),
        reason: if matches!(strategy, Strategy::Predict { .. }) { Reason::PortPredicted } else { Reason::PortGuessed },
    }
}

#[cfg(test)]
mod tests;
