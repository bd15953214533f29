//! Properties of every net: packets are conserved, time and order are kept, and a run depends only on its seed.

use crate::probe::Probe;
use core::time::Duration;
use portolan_machine::{Protocol, SocketId};
use portolan_nat::behavior::{Filtering, Hairpin, Mapping, PortAllocation, Refresh};
use portolan_nat::translator::{PortRange, TranslatorConfig};
use portolan_sim::topology::Topology;
use portolan_sim::{Fault, Lab, Link, Stop};
use proptest::prelude::*;

fn translators() -> impl Strategy<Value = TranslatorConfig> {
    let allocation = prop_oneof![
        Just(PortAllocation::Preserving),
        (-3_i16..=3).prop_filter("a step", |step| *step != 0).prop_map(|step| PortAllocation::Sequential { step }),
        Just(PortAllocation::Random),
        (1_u16..300).prop_map(|size| PortAllocation::Block { size }),
    ];
    let axes = (0..3_usize, 0..3_usize, allocation, 1_u16..2000, any::<[bool; 5]>());
    axes.prop_map(|(mapping, filtering, allocation, ports, [translate, hairpin, overloading, inbound, alg])| {
        let mut config = TranslatorConfig::new(Mapping::ALL[mapping], Filtering::ALL[filtering])
            .ports(allocation)
            .range(PortRange::new(40_000, 40_000 + ports))
            .overloading(overloading)
            .hairpin(if hairpin { Hairpin::ExternalSource } else { Hairpin::None })
            .refresh(Refresh { outbound: true, inbound })
            .alg(alg);
        config.translate = translate;
        config
    })
}

fn links() -> impl Strategy<Value = Link> {
    let bandwidth = prop_oneof![Just(None), (500..20_000_u64, 0..400_u64).prop_map(Some)];
    (0..60_u64, 0..40_u64, 0.0..0.5, 0.0..0.5, 0.0..0.5, 0..90_u64, bandwidth).prop_map(
        |(delay, jitter, loss, twice, held, hold, bandwidth)| {
            let ms = Duration::from_millis;
            let link =
                Link::delay(ms(delay)).jitter(ms(jitter)).loss(loss).duplication(twice).reordering(held, ms(hold));
            bandwidth.map_or(link, |(bytes, queue)| link.bandwidth(bytes, queue))
        },
    )
}

#[derive(Clone, Debug)]
enum Operation {
    Open(u16),
    Close(u64),
    Send(u64, usize, bool),
    Wait(u64),
}

fn operations() -> impl Strategy<Value = Vec<Operation>> {
    let operation = prop_oneof![
        1 => (0..4_u16).prop_map(Operation::Open),
        1 => (1..6_u64).prop_map(Operation::Close),
        6 => (1..6_u64, 0..TARGETS.len(), any::<bool>()).prop_map(|(s, to, is_request)| Operation::Send(s, to, is_request)),
        2 => (0..200_u64).prop_map(Operation::Wait),
    ];
    proptest::collection::vec(operation, 1..60)
}

/// Servers, a port without a socket, an unassigned address, the gateway and the client.
const TARGETS: [&str; 7] = [
    "50.0.0.1:3478",
    "50.0.0.2:3479",
    "60.0.0.1:3478",
    "50.0.0.1:9",
    "70.0.0.9:53",
    "85.0.0.1:40000",
    "192.168.1.2:50000",
];

fn run(topology: &Topology, seed: u64, operations: &[Operation]) -> (Lab<Probe>, String) {
    let mut lab = topology.build(seed, Probe::default());
    lab.net.record_story();
    for operation in operations {
        let client = lab.client;
        match *operation {
            Operation::Open(port) => {
                let local = if port == 0 { "0.0.0.0:0".to_owned() } else { format!("0.0.0.0:{}", 40_000 + port) };
                lab.net.with(client, |probe, cx| probe.open(cx, Protocol::Udp, &local, None));
            }
            Operation::Close(socket) => {
                lab.net.with(client, |probe, _| probe.close(SocketId(socket)));
            }
            Operation::Send(socket, to, is_request) => {
                lab.net.with(client, |probe, cx| match is_request {
                    true => probe.send_request(cx, SocketId(socket), TARGETS[to], None),
                    false => probe.send(SocketId(socket), TARGETS[to], "?"),
                });
            }
            Operation::Wait(ms) => {
                let _end = lab.net.run_for(Duration::from_millis(ms));
            }
        }
    }
    let story = lab.net.story().to_owned();
    (lab, story)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn packets_are_conserved_and_the_same_seed_gives_the_same_run(
        chain in proptest::collection::vec(translators(), 0..3),
        access in links(),
        faults in [0..Fault::EACH.len(), 0..Fault::EACH.len()],
        seed in any::<u64>(),
        operations in operations(),
    ) {
        let mut topology = Topology::chain(chain.into_iter().map(Into::into));
        topology.access = access;
        topology.faults = faults.map(|n| Fault::EACH[n]);

        let (mut lab, story) = run(&topology, seed, &operations);
        let (_, again) = run(&topology, seed, &operations);
        prop_assert_eq!(&story, &again);

        prop_assert_eq!(lab.net.run_for(Duration::from_secs(60)), Stop::Idle);
        prop_assert_eq!(lab.net.ledger().in_flight(), 0, "{:?}", lab.net.ledger());
        let times = lab.net.events().windows(2).all(|pair| pair[0].at <= pair[1].at);
        prop_assert!(times);
        let (lost, tail_dropped) = (lab.net.stats().lost, lab.net.stats().tail_dropped);
        prop_assert_eq!(lab.net.ledger().lost, lost + tail_dropped);
        prop_assert_eq!(lab.net.ledger().doubled, lab.net.stats().duplicated);
    }
}
