//! The budget is never exceeded: mappings and sessions are counted at the simulated NAT, and packets at the host.

use super::laws::probe_of;
use super::world::{NodeEvent, Setup, World, at};
use alloc::collections::BTreeSet;
use core::net::SocketAddr;
use core::time::Duration;
use portolan_machine::{Datagram, Input, Machine as _};
use portolan_nat::behavior::{Filtering, Mapping, PortAllocation};
use portolan_nat::translator::TranslatorConfig;
use portolan_punch::forecast::{Budget, Conditions, Cost};
use portolan_punch::puncher::PunchEvent;
use portolan_sim::{EntryKind, PacketFate};
use proptest::prelude::*;
use proptest::sample::select;

fn any_ports() -> impl Strategy<Value = PortAllocation> {
    select(vec![
        PortAllocation::Preserving,
        PortAllocation::Sequential { step: 1 },
        PortAllocation::Sequential { step: -3 },
        PortAllocation::Random,
        PortAllocation::Block { size: 1024 },
    ])
}

fn any_nat() -> impl Strategy<Value = TranslatorConfig> {
    (select(&Mapping::ALL[..]), select(&Filtering::ALL[..]), any_ports())
        .prop_map(|(mapping, filtering, ports)| TranslatorConfig::new(mapping, filtering).ports(ports))
}

/// Any pair, and more often a pair whose ports must be guessed.
fn pair() -> impl Strategy<Value = [TranslatorConfig; 2]> {
    let by_port = Filtering::AddressAndPortDependent;
    let hard = (select(&Mapping::ALL[1..]), any_ports())
        .prop_map(move |(mapping, ports)| TranslatorConfig::new(mapping, by_port).ports(ports));
    let easy = TranslatorConfig::new(Mapping::EndpointIndependent, by_port);
    prop_oneof![
        1 => (any_nat(), any_nat()).prop_map(|(one, other)| [one, other]),
        2 => (hard, any::<bool>()).prop_map(move |(hard, swap)| if swap { [hard, easy] } else { [easy, hard] }),
    ]
}

/// Budgets that bind: a few entries, or fewer than a guess needs.
fn any_budget() -> impl Strategy<Value = Budget> {
    let few = (1_u16..12, 1_u16..24, 1_u16..=120);
    let some = (1_u16..300, 1_u16..1500, 20_u16..=120);
    prop_oneof![few, some].prop_map(|(mappings, sessions, rate)| Budget { mappings, sessions, rate })
}

/// What a side used, as its NAT and its host count it.
#[derive(Debug, Default)]
struct Used {
    /// The mappings that the NAT made or reused.
    mappings: usize,
    sessions: usize,
    /// The most packets in a second.
    packets: usize,
}

/// Counts what a side used since an entry of the story.
fn used(world: &World, side: usize, from: usize) -> Used {
    let (actor, gateway) = (["a", "b"][side], ["home a", "home b"][side]);
    let (mut flows, mut made) = (BTreeSet::<(SocketAddr, SocketAddr)>::new(), BTreeSet::new());
    let (mut times, mut used) = (Vec::new(), Used::default());
    for entry in &world.net.story_entries()[from..] {
        match &entry.what {
            EntryKind::Packet(packet) if packet.fate == PacketFate::Sent && &*entry.actor == actor => {
                flows.insert((packet.source, packet.destination));
                times.push(entry.at);
            }
            EntryKind::Mapping { internal, .. } if &*entry.actor == gateway => {
                used.mappings += 1;
                made.insert(*internal);
            }
            EntryKind::Packet(_) | EntryKind::Mapping { .. } | EntryKind::Note(_) | _ => {}
        }
    }
    // The main socket has its mapping from the introduction. A destination-dependent NAT does not use it again.
    let is_easy = world.nats[side].mapping == Mapping::EndpointIndependent;
    let reused = flows.iter().any(|(source, _)| is_easy && !made.contains(source));
    used.mappings += usize::from(reused);
    used.sessions = flows.len();
    used.packets = (0..times.len())
        .map(|first| times[first..].iter().take_while(|at| **at - times[first] < Duration::from_secs(1)).count())
        .max()
        .unwrap_or(0);
    used
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn no_attempt_exceeds_its_budget(
        nats in pair(),
        budget in any_budget(),
        loss in select(vec![0.0, 0.1, 0.3]),
        knows_block in any::<bool>(),
        // A lying introducer names other hosts, and a hostile peer sends authentic probes from many addresses.
        candidates in 0_u8..17,
        sources in prop_oneof![Just(0_u16), 1_u16..60],
        seed in any::<u64>(),
    ) {
        let mut world = World::new(nats).setup(Setup { loss, knows_block, ..Setup::default() });
        world.net.record_story();
        let mapped = world.introduce(seed);
        let (before, from) = (world.counts(), world.net.story_entries().len());
        let mut sockets = Vec::new();
        for side in [0, 1] {
            let mut config = world.config(side, mapped).may_guess(true);
            config.peer.candidates = (0..candidates).map(|n| SocketAddr::from(([203, 0, 113, n], 53))).collect();
            sockets.push(config.sockets.ipv4.unwrap());
            let config = config.conditions(Conditions { budget, ..Conditions::default() });
            world.net.with(world.hosts[side], |node, cx| node.punch(cx, config));
        }
        for n in 0..sources {
            let _stop = world.net.run_for(Duration::from_millis(400));
            for side in [0, 1] {
                let probe = probe_of(side == 1, [n as u8; 12]);
                let source = SocketAddr::from(([198, 51, 100, 1 + (n % 3) as u8], 1000 + n));
                let datagram = Datagram::new(sockets[side], at("10.0.0.2:5000"), source, &probe);
                world.net.with(world.hosts[side], |node, cx| node.handle(cx, Input::Datagram(datagram)));
            }
        }
        let _stop = world.net.run_for(Duration::from_secs(60));
        let after = world.counts();
        for side in [0, 1] {
            let used = used(&world, side, from);
            let Cost { mappings, sessions, .. } =
                world.net.machine(world.hosts[side]).unwrap().puncher.as_ref().unwrap().plan().limit;
            prop_assert!(mappings <= budget.mappings && sessions <= budget.sessions);
            prop_assert!(used.packets <= usize::from(budget.rate), "{used:?} of {budget:?}");
            // An attempt after a loss counts anew.
            let is_lost = world.net.events().iter().any(|record| record.event == NodeEvent::Punch(PunchEvent::Lost));
            if !is_lost {
                prop_assert!(used.mappings <= usize::from(mappings), "{used:?} of {mappings} mappings");
                prop_assert!(used.sessions <= usize::from(sessions), "{used:?} of {sessions} sessions");
                let live = after[side].1.saturating_sub(before[side].1);
                prop_assert!(live <= usize::from(mappings), "{live} live mappings of {mappings}");
            }
        }
    }
}
