//! The schedule of an attempt: the strategies with their times, the addresses, and the limits.
//!
//! Rules of this file: pure functions of the configuration. Both sides compute the same strategies and times.

use super::config::PunchConfig;
use super::event::Plan;
use super::table::Limit;
use crate::card::{Card, Ipv4, Ipv6};
use crate::forecast::{
    self, Conditions, Cost, Forecast, SPARE, Side, Strategy, after_prediction, may_be_destination_dependent,
    probe_delay,
};
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv6Addr, SocketAddr};
use core::time::Duration;
use portolan_nat::behavior::{Filtering, Mapping};
use portolan_nat::translator::PortRange;

/// The schedule of an attempt.
#[derive(Clone, Debug)]
pub(super) struct Schedule {
    pub(super) plan: Plan,
    pub(super) limit: Limit,
    /// The strategies in order, each once.
    pub(super) stages: Vec<Stage>,
    /// The addresses for strategies without guessing, in order.
    pub(super) targets: Vec<SocketAddr>,
    /// Candidates that are not used.
    pub(super) ignored: Vec<SocketAddr>,
    /// Whether the peer sends first.
    pub(super) is_quiet: bool,
    /// Whether this side tests how the peer's router treats an unsolicited packet.
    pub(super) test: RouterTest,
}

/// The test of the peer's router before the common start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RouterTest {
    /// It does not matter how the router treats the packet, or there is no common start.
    Omitted,
    /// The start delay is too short for the test. The peer may have tested the own router, and then it waits.
    TooLate,
    Sent,
}

/// A strategy and its time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stage {
    pub(super) strategy: Strategy,
    pub(super) lasts: Duration,
}

/// The most candidates of the peer that are used.
const CANDIDATES: usize = 16;
/// The time of a strategy without guessing.
const DIRECT: Duration = Duration::from_secs(10);
/// The time of a prediction.
const PREDICT: Duration = Duration::from_secs(3);
/// The least start delay in which the peer's router is tested: a round trip.
const ROUTER_TEST: Duration = Duration::from_millis(300);
/// The time after the last probe of a guess.
const TAIL: Duration = Duration::from_secs(1);

impl Schedule {
    pub(super) fn new(config: &PunchConfig) -> Self {
        let with_endpoint = |card: &Card, endpoint| Card { public: [endpoint].into(), ..card.clone() };
        let own = with_endpoint(&config.own, config.reflexive);
        let peer = with_endpoint(&config.peer.card, config.peer.reflexive);
        let forecast = forecast::forecast(&own, &peer, &config.conditions);
        let stages = stages(&forecast, &own, &peer, config);
        let (targets, ignored) = targets(config);
        let cost = cost(&stages, targets.len(), may_be_destination_dependent(&own), &config.conditions);
        let lasts = stages.iter().map(|stage| stage.lasts).sum();
        let limit = Limit {
            mappings: cost.mappings,
            sessions: cost.sessions,
            is_destination_dependent: may_be_destination_dependent(&own),
        };
        let is_quiet = is_open_and_dependent(&own) && may_filter_ports(&peer);
        let test = if config.start.is_zero() || !may_track_unsolicited(&own, &peer) {
            RouterTest::Omitted
        } else if config.start < ROUTER_TEST {
            RouterTest::TooLate
        } else {
            RouterTest::Sent
        };
        let (budget, may_guess) = (config.conditions.budget, config.may_guess);
        let plan = Plan { forecast, limit: cost, lasts, budget, may_guess };
        Self { plan, limit, stages, targets, ignored, is_quiet, test }
    }
}

/// Whether a NAT has a destination-dependent mapping, and no filter.
///
/// Any packet of the peer passes such a NAT, so its host need not send first. Some NATs (connection tracking with a map of
/// ports) answer a packet from the endpoint that it came to. If the host sends first, they assign a new endpoint, which
/// the peer drops if it filters by port.
fn is_open_and_dependent(card: &Card) -> bool {
    card.ipv4 == Some(Ipv4::Nat)
        && card.mapping.is_some_and(Mapping::is_destination_dependent)
        && card.filtering == Some(Filtering::EndpointIndependent)
}

fn may_filter_ports(card: &Card) -> bool {
    card.ipv4 != Some(Ipv4::Open) && card.filtering.is_none_or(|filter| filter == Filtering::AddressAndPortDependent)
}

/// Whether the peer's router may track unsolicited packets, and whether this matters.
///
/// The own filter must be by port, or unknown: otherwise the packets of the peer pass from any port.
fn may_track_unsolicited(own: &Card, peer: &Card) -> bool {
    let is_translated = |card: &Card| matches!(card.ipv4, Some(Ipv4::Nat) | None);
    may_filter_ports(own)
        && is_translated(peer)
        && !may_be_destination_dependent(peer)
        && peer.filtering != Some(Filtering::EndpointIndependent)
}

fn stages(forecast: &Forecast, own: &Card, peer: &Card, config: &PunchConfig) -> Vec<Stage> {
    let direct = |strategy| Stage { strategy, lasts: DIRECT };
    let first = forecast.strategy;
    let mut stages = Vec::new();
    if first.is_guess() && config.may_guess {
        stages.push(guess(first, &config.conditions));
        if let Strategy::Predict { hard, .. } = first {
            let next = after_prediction(hard, own, peer, &config.conditions);
            stages.extend(next.map(|next| guess(next, &config.conditions)));
        }
    }
    // The direct strategy costs little, and a card may be outdated.
    stages.push(direct(if first.is_guess() { Strategy::Simultaneous } else { first }));
    stages
}

fn guess(strategy: Strategy, conditions: &Conditions) -> Stage {
    let packet = packet(conditions);
    let lasts = match strategy {
        Strategy::Birthday { sockets, probes, first, last, .. } => {
            let delay = probe_delay(sockets, PortRange::new(first, last), packet);
            delay + packet * u32::from(probes.max(sockets)) + TAIL
        }
        Strategy::Predict { .. } => PREDICT,
        Strategy::Ipv6
        | Strategy::LocalNetwork
        | Strategy::Reversal
        | Strategy::Simultaneous
        | Strategy::AnswerSource => DIRECT,
    };
    Stage { strategy, lasts }
}

/// The time between two packets of a guess.
pub(super) fn packet(conditions: &Conditions) -> Duration {
    Duration::from_secs(1) / u32::from(conditions.budget.rate.max(1))
}

/// The largest cost of all stages, within the budget.
fn cost(stages: &[Stage], targets: usize, is_hard: bool, conditions: &Conditions) -> Cost {
    let targets = u16::try_from(targets).unwrap_or(u16::MAX);
    let (mut sockets, mut sessions, mut probes) = (2_u16, targets + SPARE, targets + 10);
    for stage in stages {
        match stage.strategy {
            Strategy::Birthday { hard: Side::Own, sockets: more, .. } => {
                (sockets, sessions, probes) = (sockets + more, sessions + more, probes + more);
            }
            Strategy::Birthday { hard: Side::Peer, probes: more, .. }
            | Strategy::Predict { hard: Side::Peer, window: more, .. } => {
                (sessions, probes) = (sessions + more, probes + more);
            }
            Strategy::Predict { hard: Side::Own, .. }
            | Strategy::Ipv6
            | Strategy::LocalNetwork
            | Strategy::Reversal
            | Strategy::Simultaneous
            | Strategy::AnswerSource => {}
        }
    }
    let sessions = sessions.min(conditions.budget.sessions);
    let mappings = if is_hard { sessions } else { sockets };
    Cost { mappings: mappings.min(conditions.budget.mappings), sessions, probes }
}

/// The addresses to send to, in order, and the candidates that are not used.
///
/// IPv6 is first. Private addresses are used only if both hosts have one public address. The public endpoint comes
/// before the other public addresses; on one network it comes after the private ones (hairpinning). Loopback addresses are
/// used only if the own endpoint is one too.
fn targets(config: &PunchConfig) -> (Vec<SocketAddr>, Vec<SocketAddr>) {
    let is_local = config.reflexive.ip() == config.peer.reflexive.ip();
    let no_ipv6 = |card: &Card| card.ipv6 == Some(Ipv6::Absent);
    let both_ipv6 = !no_ipv6(&config.own) && !no_ipv6(&config.peer.card);
    // A rendezvous on this host has peers on this host.
    let is_one_host = config.reflexive.ip().is_loopback();
    let rank = |remote: &SocketAddr| match remote.ip() {
        _ if config.sockets.towards(*remote).is_none() || remote.port() == 0 => None,
        ip if ip.is_loopback() => is_one_host.then_some(1),
        IpAddr::V6(ip) => (both_ipv6 && is_public_ipv6(ip)).then_some(0),
        IpAddr::V4(ip) if ip.is_private() || ip.is_link_local() => is_local.then_some(1),
        IpAddr::V4(ip) if ip.is_unspecified() || ip.is_multicast() || ip.is_broadcast() => None,
        IpAddr::V4(_) => Some(if *remote == config.peer.reflexive { 2 } else { 3 }),
    };
    let candidates = config.peer.candidates.iter().take(CANDIDATES);
    let mut ranked = Vec::new();
    let mut ignored = Vec::new();
    for remote in candidates.chain([&config.peer.reflexive]) {
        match rank(remote) {
            Some(rank) if !ranked.contains(&(rank, *remote)) => ranked.push((rank, *remote)),
            Some(_) => {}
            None => ignored.push(*remote),
        }
    }
    ranked.sort_by_key(|(rank, _)| *rank);
    (ranked.into_iter().map(|(_, remote)| remote).collect(), ignored)
}

/// Whether an IPv6 address may be a peer's: no loopback, multicast, link-local or mapped address.
const fn is_public_ipv6(ip: Ipv6Addr) -> bool {
    let first = ip.segments()[0];
    !ip.is_loopback()
        && !ip.is_unspecified()
        && !ip.is_multicast()
        && first & 0xffc0 != 0xfe80
        && ip.to_ipv4_mapped().is_none()
}

#[cfg(test)]
mod tests {
    use super::super::config::{Peer, SessionKey, Sockets};
    use super::*;
    use alloc::string::{String, ToString};
    use portolan_machine::SocketId;

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn schedule(own: &str, peer: &str, reflexive: &str, candidates: &[&str]) -> Schedule {
        let peer = Peer::new(at(reflexive))
            .card(peer.parse().unwrap())
            .candidates(candidates.iter().map(|text| at(text)).collect());
        let sockets = Sockets { ipv4: Some(SocketId(1)), ipv6: Some(SocketId(2)) };
        let key = SessionKey::new(b"", &[0; 16]);
        let config = PunchConfig::new(sockets, at("198.51.100.1:5000"), peer, key, true);
        Schedule::new(&config.own_card(own.parse().unwrap()).may_guess(true))
    }

    fn text(addresses: &[SocketAddr]) -> Vec<String> {
        addresses.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn ipv6_is_first_and_private_addresses_are_for_one_network() {
        let candidates = [
            "10.0.0.2:1",
            "203.0.113.9:7",
            "[2001:db8::1]:1",
            "127.0.0.1:5",
            "224.0.0.1:5",
            "203.0.113.9:0",
            "[fe80::1]:4",
        ];
        let away = schedule("nat1", "nat1", "203.0.113.5:9", &candidates);
        assert_eq!(text(&away.targets), ["[2001:db8::1]:1", "203.0.113.5:9", "203.0.113.9:7"]);
        assert_eq!(away.ignored.len(), 5);
        let home = schedule("nat1,6=absent", "nat1", "198.51.100.1:9", &candidates);
        assert_eq!(text(&home.targets), ["10.0.0.2:1", "198.51.100.1:9", "203.0.113.9:7"]);
    }

    #[test]
    fn a_retry_has_another_strategy_and_the_limits_are_within_the_budget() {
        let easy = "nat1,4=nat,m=eim,f=apdf";
        let hard = "nat1,4=nat,m=apdm,f=apdf,a=seq+1";
        let found = schedule(easy, hard, "203.0.113.5:9", &[]);
        let words: Vec<_> = found.stages.iter().map(|stage| stage.strategy.as_str()).collect();
        assert_eq!(words, ["predict", "birthday", "simultaneous"]);
        assert_eq!((found.plan.limit.mappings, found.plan.limit.sessions), (2, 1 + 16 + 14 + 1200));
        let found = schedule(hard, easy, "203.0.113.5:9", &[]);
        assert_eq!((found.plan.limit.mappings, found.plan.limit.sessions), (273, 273));
        assert!(found.plan.lasts < Duration::from_secs(30), "{:?}", found.plan.lasts);
    }

    #[test]
    fn no_more_than_sixteen_candidates_are_used() {
        let many: Vec<String> = (1..=99).map(|n| alloc::format!("203.0.113.{n}:1")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(schedule("nat1", "nat1", "203.0.113.250:9", &many).targets.len(), 17);
    }
}
