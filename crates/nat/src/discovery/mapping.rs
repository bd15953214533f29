//! Mapping behaviour, judged from the endpoints that servers reported (RFC 4787 §4.1, RFC 5780 §4.3).
//!
//! Rules of this file: a pure function of observations of one socket; it neither waits nor sends. Two equal
//! observations at different addresses make a mapping endpoint-independent. Two observations at one address and
//! different ports show whether the port matters. Observations of all servers count equally, but servers may be
//! wrong. If no behaviour explains all observations, and one behaviour explains them without exactly one of three or
//! more servers, then that server is contradicted. Two external addresses with one port are neither: a NAT that
//! balances over several addresses, and preserves ports, gives every pattern of equal and different addresses.

use crate::behavior::Mapping;
use alloc::vec::Vec;
use core::net::SocketAddr;

/// A server at `to` reported the mapped address `mapped`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Observation {
    pub(super) server: u8,
    pub(super) to: SocketAddr,
    pub(super) mapped: SocketAddr,
    /// The place in the order of the requests, in which a NAT makes mappings.
    pub(super) order: u16,
}

/// The judgement of all observations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Judgement {
    /// No address answered, or only one.
    TooLittle,
    /// One external endpoint for all destinations.
    Independent {
        /// The endpoint.
        mapped: SocketAddr,
        /// The number of servers that reported it.
        witnesses: u8,
        /// The number of destination addresses at which it was seen.
        destinations: u8,
    },
    /// The external endpoint depends on the destination.
    Dependent {
        /// The part of the destination, if one address got requests at two ports.
        on: Option<Mapping>,
        /// Whether there was more than one external address.
        several_addresses: bool,
    },
    /// Several external addresses with one port: several network paths, or a pool of addresses.
    MultiPath,
    /// No behaviour explains the observations.
    Contradiction,
}

/// A judgement, and the server that was left out for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Judged {
    pub(super) judgement: Judgement,
    pub(super) contradicted: Option<u8>,
}

/// Judges the observations of the servers for which `trusted` returns true.
pub(super) fn judge(observations: &[Observation], trusted: impl Fn(u8) -> bool) -> Judged {
    let all = explain(observations, &trusted);
    let doubtful = match all {
        Judgement::Contradiction | Judgement::MultiPath => true,
        Judgement::Dependent { several_addresses, .. } => several_addresses,
        Judgement::TooLittle | Judgement::Independent { .. } => false,
    };
    if !doubtful {
        return Judged { judgement: all, contradicted: None };
    }
    let mut servers: Vec<u8> = observations.iter().map(|seen| seen.server).filter(|server| trusted(*server)).collect();
    servers.sort_unstable();
    servers.dedup();
    if servers.len() < 3 {
        return Judged { judgement: all, contradicted: None };
    }
    let without = |left_out: u8| Judged {
        judgement: explain(observations, |server| server != left_out && trusted(server)),
        contradicted: Some(left_out),
    };
    if all == Judgement::MultiPath {
        return Judged { judgement: all, contradicted: None };
    }
    if all != Judgement::Contradiction {
        let outlier = servers.iter().copied().find(|server| is_outlier(observations, *server, &servers));
        return outlier.map_or(Judged { judgement: all, contradicted: None }, without);
    }
    let mut explained = servers.iter().map(|left_out| without(*left_out)).filter(|j| j.judgement != all);
    let agreed = |judged: &Judged| matches!(judged.judgement, Judgement::Independent { witnesses: 2.., .. });
    // Two servers do not agree by accident, so agreement explains more than dependence does.
    explained
        .clone()
        .find(agreed)
        .or_else(|| explained.next().filter(|_| explained.next().is_none()))
        .unwrap_or(Judged { judgement: all, contradicted: None })
}

/// Whether the external addresses of one server are its own, while the other servers share one.
fn is_outlier(observations: &[Observation], server: u8, servers: &[u8]) -> bool {
    let seen_by = |server: u8| observations.iter().filter(move |seen| seen.server == server).map(|s| s.mapped.ip());
    let shared =
        |one: u8| servers.iter().any(|two| *two != one && seen_by(one).any(|ip| seen_by(*two).any(|o| o == ip)));
    !shared(server) && servers.iter().all(|other| *other == server || shared(*other))
}

/// The pairs of observations, by equal destination address and equal external endpoint.
#[derive(Clone, Copy, Default)]
struct Pairs {
    address_differs_endpoint_same: bool,
    address_differs_endpoint_differs: bool,
    port_differs_endpoint_same: bool,
    port_differs_endpoint_differs: bool,
    several_addresses: bool,
    /// Two external addresses with the same port.
    pooled: bool,
}

fn explain(observations: &[Observation], trusted: impl Fn(u8) -> bool) -> Judgement {
    let mut pairs = Pairs::default();
    let mut trusted_ones = observations.iter().filter(|seen| trusted(seen.server));
    while let Some(a) = trusted_ones.next() {
        for b in trusted_ones.clone() {
            let same = a.mapped == b.mapped;
            pairs.several_addresses |= a.mapped.ip() != b.mapped.ip();
            pairs.pooled |= a.mapped.ip() != b.mapped.ip() && a.mapped.port() == b.mapped.port();
            if a.to.ip() != b.to.ip() {
                pairs.address_differs_endpoint_same |= same;
                pairs.address_differs_endpoint_differs |= !same;
            } else if a.to.port() != b.to.port() {
                pairs.port_differs_endpoint_same |= same;
                pairs.port_differs_endpoint_differs |= !same;
            } else if !same {
                // One destination and two endpoints: two servers contradict each other.
                return Judgement::Contradiction;
            }
        }
    }
    let dependent = |on| Judgement::Dependent { on, several_addresses: pairs.several_addresses };
    match pairs {
        Pairs { pooled: true, .. } => Judgement::MultiPath,
        Pairs { address_differs_endpoint_same: true, address_differs_endpoint_differs: true, .. }
        | Pairs { port_differs_endpoint_same: true, port_differs_endpoint_differs: true, .. }
        | Pairs { address_differs_endpoint_same: true, port_differs_endpoint_differs: true, .. } => {
            Judgement::Contradiction
        }
        Pairs { address_differs_endpoint_same: true, .. } => independent(observations, trusted),
        Pairs { port_differs_endpoint_differs: true, .. } => dependent(Some(Mapping::AddressAndPortDependent)),
        Pairs { address_differs_endpoint_differs: true, port_differs_endpoint_same: true, .. } => {
            dependent(Some(Mapping::AddressDependent))
        }
        Pairs { address_differs_endpoint_differs: true, .. } => dependent(None),
        _ => Judgement::TooLittle,
    }
}

fn independent(observations: &[Observation], trusted: impl Fn(u8) -> bool) -> Judgement {
    let (mut witnesses, mut destinations) = (Vec::with_capacity(4), Vec::with_capacity(4));
    let mut mapped = None;
    for seen in observations.iter().filter(|seen| trusted(seen.server)) {
        mapped = Some(seen.mapped);
        witnesses.push(seen.server);
        destinations.push(seen.to.ip());
    }
    let (witnesses, destinations) = (distinct(witnesses), distinct(destinations));
    mapped.map_or(Judgement::TooLittle, |mapped| Judgement::Independent { mapped, witnesses, destinations })
}

fn distinct<T: Ord>(mut items: Vec<T>) -> u8 {
    items.sort_unstable();
    items.dedup();
    u8::try_from(items.len()).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    /// Builds observations from rows of server, destination and mapped address.
    fn observations(lines: &[(u8, &str, &str)]) -> Vec<Observation> {
        let read = |(server, to, mapped): &(u8, &str, &str)| Observation {
            server: *server,
            to: to.parse().unwrap(),
            mapped: mapped.parse().unwrap(),
            order: 0,
        };
        lines.iter().map(read).collect()
    }

    fn judged(lines: &[(u8, &str, &str)]) -> Judged {
        judge(&observations(lines), |_| true)
    }

    const P: &str = "192.0.2.1:3478";
    const A_P: &str = "192.0.2.2:3478";
    const A_A: &str = "192.0.2.2:3479";
    const S2: &str = "198.51.100.1:3478";
    const S3: &str = "198.51.100.9:3478";
    const X: &str = "203.0.113.1:40000";
    const Y: &str = "203.0.113.1:40001";
    const Z: &str = "203.0.113.1:40002";
    const FOREIGN: &str = "203.0.113.77:5";

    fn on(mapping: Mapping) -> Judgement {
        Judgement::Dependent { on: Some(mapping), several_addresses: false }
    }

    #[test]
    fn one_server_with_two_addresses_distinguishes_all_three_mappings() {
        let mapped = X.parse().unwrap();
        let independent = Judgement::Independent { mapped, witnesses: 1, destinations: 2 };
        assert_eq!(judged(&[(0, P, X), (0, A_P, X), (0, A_A, X)]).judgement, independent);
        assert_eq!(judged(&[(0, P, X), (0, A_P, Y), (0, A_A, Y)]).judgement, on(Mapping::AddressDependent));
        assert_eq!(judged(&[(0, P, X), (0, A_P, Y), (0, A_A, Z)]).judgement, on(Mapping::AddressAndPortDependent));
    }

    #[test]
    fn two_plain_servers_show_whether_a_mapping_depends_on_the_destination() {
        let mapped = X.parse().unwrap();
        assert_eq!(
            judged(&[(0, P, X), (1, S2, X)]).judgement,
            Judgement::Independent { mapped, witnesses: 2, destinations: 2 }
        );
        let dependent = Judgement::Dependent { on: None, several_addresses: false };
        assert_eq!(judged(&[(0, P, X), (1, S2, Y)]).judgement, dependent);
    }

    #[test]
    fn one_server_address_gives_no_mapping() {
        assert_eq!(judged(&[]).judgement, Judgement::TooLittle);
        assert_eq!(judged(&[(0, P, X)]).judgement, Judgement::TooLittle);
        assert_eq!(judged(&[(0, A_P, X), (0, A_A, X)]).judgement, Judgement::TooLittle, "one address, two ports");
    }

    #[test]
    fn a_second_port_of_a_plain_server_distinguishes_the_dependent_mappings() {
        let second_port = "192.0.2.1:443";
        assert_eq!(judged(&[(0, P, X), (1, second_port, X), (2, S2, Y)]).judgement, on(Mapping::AddressDependent));
        let on_port = on(Mapping::AddressAndPortDependent);
        assert_eq!(judged(&[(0, P, X), (1, second_port, Y), (2, S2, Z)]).judgement, on_port);
    }

    #[test]
    fn one_wrong_server_of_two_is_a_contradiction_and_one_of_three_is_found() {
        let wrong = [(0, P, FOREIGN), (0, A_P, FOREIGN), (0, A_A, FOREIGN), (1, S2, X), (2, S3, X)];
        assert_eq!(judged(&wrong[..4]).judgement, Judgement::Contradiction);
        let mapped = X.parse().unwrap();
        let expected = Judged {
            judgement: Judgement::Independent { mapped, witnesses: 2, destinations: 2 },
            contradicted: Some(0),
        };
        assert_eq!(judged(&wrong), expected);
    }

    #[test]
    fn a_wrong_server_with_one_observation_is_found() {
        let wrong = [(0, P, X), (0, A_P, X), (0, A_A, X), (1, S2, FOREIGN), (2, S3, X)];
        let mapped = X.parse().unwrap();
        let expected = Judged {
            judgement: Judgement::Independent { mapped, witnesses: 2, destinations: 3 },
            contradicted: Some(1),
        };
        assert_eq!(judged(&wrong), expected);
        let behind_symmetric = [(0, P, X), (0, A_P, Y), (0, A_A, Z), (1, S2, FOREIGN), (2, S3, "203.0.113.1:40007")];
        let expected = Judged { judgement: on(Mapping::AddressAndPortDependent), contradicted: Some(1) };
        assert_eq!(judged(&behind_symmetric), expected);
    }

    #[test]
    fn a_pool_of_addresses_contradicts_no_server() {
        let (one, two) = ("203.0.113.1:5000", "203.0.113.2:6000");
        let lines = [(0, P, one), (0, A_P, two), (0, A_A, "203.0.113.2:6001"), (1, S2, "203.0.113.2:6002")];
        assert_eq!(judged(&[&lines[..], &[(2, S3, "203.0.113.1:5001")]].concat()).contradicted, None);
    }

    #[test]
    fn a_wrong_server_is_found_with_a_dependent_mapping() {
        let wrong = [(0, P, FOREIGN), (0, A_P, FOREIGN), (1, S2, X), (2, S3, Y)];
        let expected =
            Judged { judgement: Judgement::Dependent { on: None, several_addresses: false }, contradicted: Some(0) };
        assert_eq!(judged(&wrong), expected);
    }

    #[test]
    fn observations_of_an_untrusted_server_are_ignored() {
        let lines = observations(&[(0, P, FOREIGN), (1, S2, X), (2, S3, X)]);
        let judged = judge(&lines, |server| server != 0);
        assert!(matches!(
            judged,
            Judged { judgement: Judgement::Independent { witnesses: 2, .. }, contradicted: None }
        ));
    }

    #[test]
    fn several_addresses_with_one_port_are_several_uplinks() {
        let lines = vec![(0, P, "203.0.113.1:5000"), (1, S2, "203.0.113.2:5000"), (2, S3, "203.0.113.1:5000")];
        assert_eq!(judged(&lines[..2]).judgement, Judgement::MultiPath);
        let judged = judged(&lines);
        assert_eq!((judged.judgement, judged.contradicted), (Judgement::MultiPath, None), "two of three agree");
    }

    #[test]
    fn a_balanced_pool_with_preserved_ports_is_no_mapping_and_contradicts_no_server() {
        let ends = ["203.0.113.1:5000", "203.0.113.2:5000"];
        for pattern in 1..15_usize {
            let to = [(0, P), (0, A_A), (1, S2), (2, S3)];
            let lines: Vec<_> = (0..4).map(|n| (to[n].0, to[n].1, ends[pattern >> n & 1])).collect();
            let expected = Judged { judgement: Judgement::MultiPath, contradicted: None };
            assert_eq!(judged(&lines), expected, "{lines:?}");
        }
    }

    #[test]
    fn pooled_addresses_with_different_ports_are_a_dependent_mapping() {
        let lines = [(0, P, "203.0.113.1:5000"), (0, A_P, "203.0.113.2:6000"), (0, A_A, "203.0.113.2:6000")];
        let pooled = Judgement::Dependent { on: Some(Mapping::AddressDependent), several_addresses: true };
        assert_eq!(judged(&lines).judgement, pooled);
    }
}
