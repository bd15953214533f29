//! The matrix: every NAT profile against every other, with and without a relay, and its page `docs/matrix.md`.
//!
//! An oracle predicts whether a direct path exists. It is a naive model of two NATs: mappings and contacted endpoints in
//! lists, and checks in rounds until nothing changes. The oracle knows no ICE.

use crate::pair::{Pair, Setup, Side};
use alloc::collections::BTreeSet;
use core::fmt::Write as _;
use core::time::Duration;
use portolan_connect::ConnectConfig;
use portolan_ice::{AgentConfig, Policy};
use portolan_machine::Protocol;
use portolan_nat::behavior::{Filtering, Mapping, PortAllocation};
use portolan_nat::translator::TranslatorConfig;
use portolan_sim::{Barrier, Topology};

const RTT: Duration = Duration::from_millis(40);

/// A kind of network, with its name in the table.
struct Profile {
    name: &'static str,
    barriers: Vec<Barrier>,
}

fn profiles() -> Vec<Profile> {
    use Filtering as F;
    use Mapping as M;
    let nat = |mapping, filtering| Barrier::from(TranslatorConfig::new(mapping, filtering));
    let random =
        |mapping, filtering| Barrier::from(TranslatorConfig::new(mapping, filtering).ports(PortAllocation::Random));
    let wall = |filtering| Barrier::from(TranslatorConfig::firewall(filtering));
    let cgnat = || Barrier::from(TranslatorConfig::cgnat());
    let all: [(&'static str, Vec<Barrier>); 22] = [
        ("open", vec![]),
        ("fw-eif", vec![wall(F::EndpointIndependent)]),
        ("fw-adf", vec![wall(F::AddressDependent)]),
        ("fw-apdf", vec![wall(F::AddressAndPortDependent)]),
        ("eim-eif", vec![nat(M::EndpointIndependent, F::EndpointIndependent)]),
        ("eim-adf", vec![nat(M::EndpointIndependent, F::AddressDependent)]),
        ("eim-apdf", vec![nat(M::EndpointIndependent, F::AddressAndPortDependent)]),
        ("adm-eif", vec![nat(M::AddressDependent, F::EndpointIndependent)]),
        ("adm-adf", vec![nat(M::AddressDependent, F::AddressDependent)]),
        ("adm-apdf", vec![nat(M::AddressDependent, F::AddressAndPortDependent)]),
        ("apdm-eif", vec![nat(M::AddressAndPortDependent, F::EndpointIndependent)]),
        ("apdm-adf", vec![nat(M::AddressAndPortDependent, F::AddressDependent)]),
        ("apdm-apdf", vec![nat(M::AddressAndPortDependent, F::AddressAndPortDependent)]),
        ("eim-random", vec![random(M::EndpointIndependent, F::AddressAndPortDependent)]),
        ("adm-random", vec![random(M::AddressDependent, F::AddressDependent)]),
        ("apdm-random", vec![random(M::AddressAndPortDependent, F::AddressAndPortDependent)]),
        ("cgnat", vec![cgnat()]),
        ("home+cgnat", vec![Barrier::from(TranslatorConfig::home()), cgnat()]),
        ("symm+cgnat", vec![Barrier::from(TranslatorConfig::symmetric()), cgnat()]),
        ("home+symm", vec![Barrier::from(TranslatorConfig::home()), Barrier::from(TranslatorConfig::symmetric())]),
        ("home+fw", vec![Barrier::from(TranslatorConfig::home()), wall(F::AddressAndPortDependent)]),
        ("no-udp", vec![Barrier::UDP_BLOCKED]),
    ];
    all.into_iter().map(|(name, barriers)| Profile { name, barriers }).collect()
}

fn topology(profile: &Profile, loss: f64) -> Topology {
    Topology::chain(profile.barriers.iter().copied()).rtt(RTT).loss(loss)
}

// --- The oracle ------------------------------------------------------------------------------------------------

/// An endpoint: the side and the number of the mapping. Two ports of the server are side 2.
type Endpoint = (usize, usize);

/// A naive NAT in front of one socket: its mappings, each with the destinations that the socket contacted through it.
struct NaiveNat {
    mapping: Mapping,
    filtering: Filtering,
    mappings: Vec<(Endpoint, BTreeSet<Endpoint>)>,
}

impl NaiveNat {
    /// The strictest behaviour of all barriers.
    fn new(profile: &Profile) -> Option<Self> {
        let (mut mapping, mut filtering) = (Mapping::EndpointIndependent, Filtering::EndpointIndependent);
        for barrier in &profile.barriers {
            let Barrier::Translator(config) = barrier else { return None };
            // A firewall translates nothing.
            let own = if config.translate { config.mapping } else { Mapping::EndpointIndependent };
            mapping = Mapping::ALL[Mapping::ALL
                .iter()
                .position(|m| *m == own)
                .max(Mapping::ALL.iter().position(|m| *m == mapping))
                .unwrap()];
            filtering = Filtering::ALL[Filtering::ALL
                .iter()
                .position(|f| *f == config.filtering)
                .max(Filtering::ALL.iter().position(|f| *f == filtering))
                .unwrap()];
        }
        Some(Self { mapping, filtering, mappings: Vec::new() })
    }

    /// Sends to an endpoint, and returns the number of the mapping.
    fn send(&mut self, to: Endpoint) -> usize {
        let is_same = |first: &Endpoint| match self.mapping {
            Mapping::EndpointIndependent => true,
            Mapping::AddressDependent => first.0 == to.0,
            Mapping::AddressAndPortDependent => *first == to,
        };
        let at = self.mappings.iter().position(|(first, _)| is_same(first)).unwrap_or_else(|| {
            self.mappings.push((to, BTreeSet::new()));
            self.mappings.len() - 1
        });
        self.mappings[at].1.insert(to);
        at
    }

    /// Whether a packet from this endpoint to this mapping passes.
    fn accepts(&self, at: usize, from: Endpoint) -> bool {
        let contacted = &self.mappings[at].1;
        match self.filtering {
            Filtering::EndpointIndependent => true,
            Filtering::AddressDependent => contacted.iter().any(|(side, _)| *side == from.0),
            Filtering::AddressAndPortDependent => contacted.contains(&from),
        }
    }
}

/// Whether checks can find a direct path between two profiles.
fn is_direct(left: &Profile, right: &Profile) -> bool {
    let (Some(left), Some(right)) = (NaiveNat::new(left), NaiveNat::new(right)) else { return false };
    let mut nats = [left, right];
    // Both sides know the mapping of the other side towards the server.
    let reflexive = [nats[0].send((2, 0)), nats[1].send((2, 0))];
    let mut known = [BTreeSet::from([(1, reflexive[1])]), BTreeSet::from([(0, reflexive[0])])];
    let mut valid = [false, false];
    for _ in 0..6 {
        for side in 0..2 {
            for to in known[side].clone() {
                let from = (side, nats[side].send(to));
                if !nats[1 - side].accepts(to.1, from) {
                    continue;
                }
                known[1 - side].insert(from);
                // The response leaves through the mapping towards the source of the check.
                let back = (1 - side, nats[1 - side].send(from));
                valid[side] |= back == to && nats[side].accepts(from.1, back);
            }
        }
    }
    valid == [true, true]
}

// --- The matrix ------------------------------------------------------------------------------------------------

fn setup(left: &Profile, right: &Profile, has_relay: bool) -> Setup {
    let is_blocked = |profile: &Profile| NaiveNat::new(profile).is_none();
    let relay_protocol = if is_blocked(left) || is_blocked(right) { Protocol::Tcp } else { Protocol::Udp };
    let agent = AgentConfig::new().policy(Policy::Browserlike);
    Setup { has_relay, relay_protocol, config: ConnectConfig::new().agent(agent), ..Setup::default() }
}

fn run(left: &Profile, right: &Profile, seed: u64, loss: f64, setup: &Setup, end: u64) -> Pair {
    let mut pair = Pair::new(seed, &topology(left, loss), &topology(right, loss), setup);
    pair.start();
    pair.run_until(Duration::from_secs(end), Pair::is_selected);
    pair
}

/// Runs on until a relayed pair would have been replaced by a direct one, and returns the time of the first selection.
fn settle(pair: &mut Pair) -> u128 {
    let selected = pair.millis();
    let end = pair.net.now().since_origin() + Duration::from_secs(5);
    pair.run_until(end, |_| false);
    selected
}

/// The cell of the table: the types of the selected pair, the checks of both sides, and the time.
fn cell(pair: &Pair, selected: u128) -> String {
    let Some(path) = pair.selected(Side::Left) else { return "none".into() };
    let checks: u32 = Side::BOTH
        .into_iter()
        .flat_map(|side| {
            pair.connection(side).agent().pairs().map(|pair| pair.counters.requests_sent).collect::<Vec<_>>()
        })
        .sum();
    format!("{}–{} {checks} {selected}", path.local_kind, path.remote_kind)
}

/// Every cell agrees with the oracle, and the page has the cells.
#[test]
fn every_profile_against_every_other_connects_as_the_oracle_predicts() {
    let all = profiles();
    let mut page = String::from(HEAD);
    for left in &all {
        let _ = write!(page, "\n## {}\n\n| other side | with a relay | without |\n|---|---|---|\n", left.name);
        for right in &all {
            let name = format!("{} {}", left.name, right.name);
            let is_direct = is_direct(left, right);
            let mut relayed = run(left, right, 1, 0.0, &setup(left, right, true), 60);
            assert!(relayed.is_selected(), "{name} is not connected");
            let selected = settle(&mut relayed);
            let path = relayed.selected(Side::Left).unwrap();
            assert_eq!(path.is_relayed(), !is_direct, "{name}: {path}");
            let alone = run(left, right, 1, 0.0, &setup(left, right, false), 5);
            assert_eq!(alone.is_selected(), is_direct, "{name} without a relay");
            let (with, without) = (cell(&relayed, selected), cell(&alone, alone.millis()));
            let _ = writeln!(page, "| {} | {with} | {without} |", right.name);
        }
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/matrix.md");
    if std::env::var_os("PORTOLAN_WRITE_MATRIX").is_some() {
        std::fs::write(path, &page).unwrap();
    }
    let listed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(listed == page, "docs/matrix.md is outdated; write it with PORTOLAN_WRITE_MATRIX=1");
}

/// Every twelfth cell over IPv6. NATs of IPv6 exist, but most IPv6 networks have a firewall only.
#[test]
fn a_sample_of_the_cells_connects_over_ipv6_as_the_oracle_predicts() {
    let all = profiles();
    let cells = all.iter().flat_map(|left| all.iter().map(move |right| (left, right)));
    for (left, right) in cells.step_by(12) {
        let name = format!("{} {} over IPv6", left.name, right.name);
        let is_direct = is_direct(left, right);
        for has_relay in [true, false] {
            let setup = Setup { is_ipv6: true, ..setup(left, right, has_relay) };
            let mut pair = run(left, right, 1, 0.0, &setup, if has_relay { 60 } else { 5 });
            assert_eq!(pair.is_selected(), has_relay || is_direct, "{name}, relay: {has_relay}");
            if pair.is_selected() {
                settle(&mut pair);
                let path = pair.selected(Side::Left).unwrap();
                assert!(path.local.is_ipv6() && path.remote.is_ipv6(), "{name}: {path}");
                assert_eq!(path.is_relayed(), !is_direct, "{name}: {path}");
            }
        }
    }
}

/// Loss delays a connection. It does not prevent one.
#[test]
fn every_profile_connects_to_every_other_with_loss() {
    let all = profiles();
    let (mut sessions, mut misses) = (0, Vec::new());
    for left in &all {
        for right in &all {
            let setup = setup(left, right, true);
            for (loss, first) in [(0.0, 0), (0.05, SEEDS), (0.2, 2 * SEEDS)] {
                for seed in first..first + SEEDS {
                    sessions += 1;
                    let pair = run(left, right, seed, loss, &setup, 60);
                    if !pair.is_selected() {
                        misses.push(format!("{} {} loss {loss} seed {seed}", left.name, right.name));
                    }
                }
            }
        }
    }
    assert!(misses.is_empty(), "{} of {sessions}: {:?}", misses.len(), &misses[..misses.len().min(10)]);
}

/// The seeds of each cell and loss.
const SEEDS: u64 = 16;

/// The same seed gives the same packets at the same times, with loss.
#[test]
fn the_same_seed_gives_the_same_trace() {
    let all = profiles();
    let cells = all.iter().flat_map(|left| all.iter().map(move |right| (left, right)));
    for (left, right) in cells.step_by(12) {
        let setup = setup(left, right, true);
        let trace = |seed| {
            let mut pair = Pair::new(seed, &topology(left, 0.1), &topology(right, 0.1), &setup);
            pair.net.record_story();
            pair.start();
            pair.run_until(Duration::from_secs(60), Pair::is_selected);
            pair.net.story().to_owned()
        };
        let first = trace(7);
        assert!(first.lines().count() > 10 && first == trace(7), "{} {}", left.name, right.name);
        assert!(first != trace(8), "{} {}", left.name, right.name);
    }
}

const HEAD: &str = "\
# Which networks connect, and how

Two connections of `portolan_connect`, each behind one kind of network, with the policy of browsers, a round trip of 40 ms
to the server, and trickled candidates. The simulator runs them in virtual time; a test writes and compares this page.

A cell has the types of the selected pair (left, then other side) 5 s after the first selection, the number of checks of both
sides until then, and the milliseconds from the start of gathering to the first selection on both sides. A relayed pair may be
replaced by a direct one in these 5 s. `none`: no pair within 5 s.

The names: `eim`, `adm` and `apdm` are the mapping behaviours of RFC 4787 §4.1 (endpoint-independent, address-dependent,
address-and-port-dependent); `eif`, `adf` and `apdf` the filtering behaviours of §5. `fw` is a firewall without translation.
NATs preserve ports, except those named `random`. `symm` is `apdm-apdf`, `home` is `eim-apdf`, and `a+b` is `a` behind `b`.
`no-udp` drops UDP, so its relay is reached over TCP.
";
