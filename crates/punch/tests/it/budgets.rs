//! The budget is never exceeded: entries and packets are counted at the simulated NAT.

use super::world::{Setup, World};
use alloc::collections::BTreeSet;
use core::net::SocketAddr;
use core::time::Duration;
use portolan_nat::behavior::{Filtering, Mapping, PortAllocation};
use portolan_nat::translator::TranslatorConfig;
use portolan_punch::forecast::{Budget, Conditions};
use portolan_sim::{EntryKind, PacketFate};
use proptest::prelude::*;
use proptest::sample::select;

fn any_nat() -> impl Strategy<Value = TranslatorConfig> {
    let ports = select(vec![
        PortAllocation::Preserving,
        PortAllocation::Sequential { step: 1 },
        PortAllocation::Sequential { step: -3 },
        PortAllocation::Random,
        PortAllocation::Block { size: 1024 },
    ]);
    (select(&Mapping::ALL[..]), select(&Filtering::ALL[..]), ports)
        .prop_map(|(mapping, filtering, ports)| TranslatorConfig::new(mapping, filtering).ports(ports))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn no_attempt_exceeds_its_budget(
        nats in (any_nat(), any_nat()),
        (mappings, sessions, rate) in (1_u16..300, 1_u16..1500, 1_u16..=120),
        loss in select(vec![0.0, 0.1, 0.3]),
        knows_block in any::<bool>(),
        seed in any::<u64>(),
    ) {
        let nats = [nats.0, nats.1];
        let mut world = World::new(nats).setup(Setup { loss, knows_block, ..Setup::default() });
        world.net.record_story();
        let mapped = world.introduce(seed);
        let (before, from) = (world.counts(), world.net.story_entries().len());
        let budget = Budget { mappings, sessions, rate };
        for side in [0, 1] {
            let config = world.config(side, mapped).may_guess(true);
            let config = config.conditions(Conditions { budget, ..Conditions::default() });
            world.net.with(world.hosts[side], |node, cx| node.punch(cx, config));
        }
        let _stop = world.net.run_for(Duration::from_secs(60));
        let after = world.counts();
        for (side, actor) in ["a", "b"].into_iter().enumerate() {
            let mut flows = BTreeSet::<(SocketAddr, SocketAddr)>::new();
            let mut times = Vec::new();
            for entry in &world.net.story_entries()[from..] {
                if let EntryKind::Packet(packet) = &entry.what
                    && packet.fate == PacketFate::Sent
                    && &*entry.actor == actor
                {
                    flows.insert((packet.source, packet.destination));
                    times.push(entry.at);
                }
            }
            let made = after[side].1.saturating_sub(before[side].1);
            prop_assert!(made <= usize::from(mappings), "{made} mappings");
            prop_assert!(flows.len() <= usize::from(sessions), "{} sessions", flows.len());
            for window in times.windows(usize::from(rate) + 1) {
                prop_assert!(window[usize::from(rate)] - window[0] >= Duration::from_secs(1), "more than {rate} packets/s");
            }
            let plan = *world.net.machine(world.hosts[side]).unwrap().puncher.as_ref().unwrap().plan();
            prop_assert!(made <= usize::from(plan.limit.mappings) && flows.len() <= usize::from(plan.limit.sessions));
        }
    }
}
