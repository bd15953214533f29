//! The properties of generated NATs.

use core::net::SocketAddr;
use portolan_machine::Instant;
use portolan_nat::behavior::NatKind;
use portolan_nat::translator::Translator;
use portolan_strategies::topologies;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use std::collections::BTreeSet;

#[test]
fn every_kind_of_nat_occurs() {
    let mut runner = TestRunner::deterministic();
    let all: Vec<_> =
        (0..500).map(|_| topologies::translator().new_tree(&mut runner).expect("a NAT").current()).collect();
    let pairs: BTreeSet<_> = all.iter().map(|nat| format!("{:?} {:?}", nat.mapping, nat.filtering)).collect();
    assert_eq!(pairs.len(), 9);
    let allocations: BTreeSet<_> = all.iter().map(|nat| nat.allocation.kind()).collect();
    assert_eq!(allocations.len(), 4);
    assert!(all.iter().any(|nat| nat.kind() == NatKind::Firewall) && all.iter().any(|nat| nat.kind() == NatKind::Nat));
    assert!(all.iter().any(|nat| nat.overloading) && all.iter().any(|nat| nat.alg));
}

proptest! {
    /// For any chain of NATs, the answer to an outbound packet is translated back to the host.
    #[test]
    fn an_answer_comes_back_through_any_chain(chain in topologies::chain(), seed: u64) {
        let server: SocketAddr = ([192, 0, 2, 1], 3478).into();
        let mut nats: Vec<Translator> = chain
            .iter()
            .zip(1..)
            .map(|(config, place)| Translator::new(*config, &[([198, 51, 100, place]).into()], seed))
            .collect();
        let host: SocketAddr = ([10, 0, 0, 2], 4000).into();
        let mut source = host;
        for nat in &mut nats {
            match nat.outbound(Instant::ORIGIN, source, server) {
                Ok(portolan_nat::translator::Translation::Out { source: outside, .. }) => source = outside,
                other => return Err(TestCaseError::fail(format!("{other:?}"))),
            }
        }
        for nat in nats.iter_mut().rev() {
            source = nat.inbound(Instant::ORIGIN, server, source).map_err(|why| TestCaseError::fail(why.to_string()))?;
        }
        prop_assert_eq!(source, host);
    }
}
