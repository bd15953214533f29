//! Port allocation and pooling, judged from the mappings of a run (RFC 4787 §4.1, §4.2.1).
//!
//! Rules of this file: pure functions. Fewer than five mappings give no result.

use crate::behavior::{Pooling, PortAllocation};
use crate::profile::{Conclusion, Evidence, Unknown};
use alloc::vec::Vec;
use core::net::SocketAddr;

use super::doubt;

/// The mapping of one socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sample {
    /// The number of the server that reported it.
    pub(super) server: u8,
    /// The local port of the socket.
    pub(super) local: u16,
    /// The external endpoint.
    pub(super) external: SocketAddr,
    /// The place in the order of the requests.
    pub(super) order: u16,
}

/// The number of mappings that a rule needs.
const ENOUGH: usize = 5;

/// The largest step between neighbours that counts as sequential: mappings of other hosts lie between.
const LARGEST_STEP: i32 = 64;

/// The probability that a carrier's sequential allocator is that busy. This is an estimate without a measurement.
const BUSY_COUNTER: f64 = 0.05;

/// Judges the port allocation. `samples` hold each mapping once; they are sorted by the order of the requests.
pub(super) fn name(samples: &mut [Sample]) -> Conclusion<PortAllocation> {
    samples.sort_by_key(|sample| sample.order);
    let evidence: Vec<Evidence> =
        samples.iter().map(|s| Evidence::Mapped { local: s.local, external: s.external }).collect();
    if samples.len() < ENOUGH {
        return Conclusion::unknown(Unknown::TooFewSamples, evidence);
    }
    let (value, p_wrong) = judge(samples);
    Conclusion::value_with(value, p_wrong, evidence)
}

fn judge(samples: &[Sample]) -> (PortAllocation, f64) {
    if keeps_ports(samples) {
        return (PortAllocation::Preserving, doubt::PORT_CHANCE);
    }
    let ports: Vec<i32> = samples.iter().map(|sample| i32::from(sample.external.port())).collect();
    if let Some((step, p_wrong)) = counts(&ports) {
        return (PortAllocation::Sequential { step }, p_wrong);
    }
    let low = ports.iter().copied().min().unwrap_or(0);
    let high = ports.iter().copied().max().unwrap_or(0);
    // Blocks are aligned powers of two in practice: the smallest one that holds all samples.
    let block = [64, 128, 256, 512, 1024, 2048, 4096].into_iter().find(|size| low / size == high / size);
    match block {
        Some(size) => {
            let share = f64::from(size) / 64_512.0;
            let chance = (1..ports.len()).fold(1.0, |chance, _| chance * share);
            (PortAllocation::Block { size: u16::try_from(size).unwrap_or(u16::MAX) }, chance.max(doubt::MIN_P_WRONG))
        }
        // A sequential allocator with more hosts than `LARGEST_STEP` allows for gives the same samples.
        None => (PortAllocation::Random, BUSY_COUNTER),
    }
}

/// Whether the first mapping of each socket has the socket's own port, and the others follow directly.
fn keeps_ports(samples: &[Sample]) -> bool {
    let own = |sample: &Sample| {
        let first = samples.iter().find(|other| other.local == sample.local);
        let ahead = sample.external.port().wrapping_sub(sample.local);
        if first == Some(sample) { ahead == 0 } else { ahead < 64 }
    };
    samples.iter().all(own)
}

/// The step between neighbours: small and of one sign. One pair may be in the wrong order.
fn counts(ports: &[i32]) -> Option<(i16, f64)> {
    let steps: Vec<i32> = ports.windows(2).filter_map(|pair| Some(pair.get(1)? - pair.first()?)).collect();
    let up = steps.iter().filter(|step| **step > 0).count();
    let down = steps.len() - up;
    let sign = if up >= down { 1 } else { -1 };
    let mut sorted: Vec<i32> = ports.iter().map(|port| port * sign).collect();
    sorted.sort_unstable();
    let mut gaps: Vec<i32> = sorted.windows(2).filter_map(|pair| Some(pair.get(1)? - pair.first()?)).collect();
    if gaps.iter().any(|gap| *gap == 0 || *gap > LARGEST_STEP) {
        return None;
    }
    // For random ports, all but the first of n ports would fall into a window of n steps, and in order.
    let in_order = up.max(down);
    if in_order + 1 + steps.len() / 4 < steps.len() {
        return None;
    }
    gaps.sort_unstable();
    let step = gaps.first().copied()? * sign;
    Some((i16::try_from(step).ok()?, doubt::PORT_CHANCE))
}

/// Judges whether all mappings of the host share one address. `samples` hold each mapping once. If only different servers
/// report different addresses, one of them may be wrong.
pub(super) fn pooling(samples: &[Sample]) -> Conclusion<Pooling> {
    let differs = |a: &Sample, b: &Sample| a.external.ip() != b.external.ip();
    let pair_of = |server: Option<u8>| {
        let is_its = move |sample: &&Sample| server.is_none_or(|server| sample.server == server);
        let first = samples.iter().find(is_its)?;
        Some((first, samples.iter().filter(is_its).find(|sample| differs(first, sample))?))
    };
    let evidence = |samples: &mut dyn Iterator<Item = &Sample>| -> Vec<Evidence> {
        samples.map(|s| Evidence::Mapped { local: s.local, external: s.external }).collect()
    };
    let shared = |server: u8| {
        let its = samples.iter().filter(move |sample| sample.server == server);
        let mut others = samples.iter().filter(move |sample| sample.server != server);
        others.clone().next().is_none()
            || others
                .any(|other| pair_of(Some(other.server)).is_some() || its.clone().any(|sample| !differs(sample, other)))
    };
    // A server whose addresses no other server reports may be wrong, unless other servers report several ones too.
    let shown = samples.iter().filter(|sample| shared(sample.server));
    if let Some((one, two)) = shown.clone().find_map(|sample| pair_of(Some(sample.server))) {
        return Conclusion::value_with(Pooling::Arbitrary, doubt::MIN_P_WRONG, evidence(&mut [one, two].into_iter()));
    }
    if let Some((one, two)) = pair_of(None) {
        return Conclusion::unknown(Unknown::ServersDisagree, evidence(&mut [one, two].into_iter()));
    }
    let shown = evidence(&mut samples.iter());
    if samples.len() < ENOUGH {
        return Conclusion::unknown(Unknown::TooFewSamples, shown);
    }
    // With two addresses drawn at random, each further mapping has the first address half the time.
    let chance = (1..samples.len()).fold(1.0, |chance, _| chance * 0.5);
    Conclusion::value_with(Pooling::Paired, chance, shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(ports: &[(u16, u16)]) -> Vec<Sample> {
        let sample = |(order, (local, external)): (usize, &(u16, u16))| Sample {
            server: 0,
            local: *local,
            external: SocketAddr::from(([203, 0, 113, 1], *external)),
            order: u16::try_from(order).unwrap(),
        };
        ports.iter().enumerate().map(sample).collect()
    }

    fn named(ports: &[(u16, u16)]) -> Option<PortAllocation> {
        name(&mut samples(ports)).value().copied()
    }

    #[test]
    fn fewer_than_five_mappings_give_no_allocation() {
        let verdict = name(&mut samples(&[(5, 5), (6, 6), (7, 7), (8, 8)]));
        assert_eq!(verdict.reason(), Some(Unknown::TooFewSamples));
        assert_eq!(verdict.evidence.len(), 4, "the samples are part of the evidence");
    }

    #[test]
    fn equal_local_and_external_ports_are_preserving() {
        let kept = [(50_001, 50_001), (50_009, 50_009), (51_000, 51_000), (60_001, 60_001), (49_200, 49_200)];
        assert_eq!(named(&kept), Some(PortAllocation::Preserving));
        let one_socket = [(50_001, 50_001), (50_001, 50_002), (50_001, 50_003), (50_001, 50_004), (51_000, 51_000)];
        assert_eq!(named(&one_socket), Some(PortAllocation::Preserving), "the other mappings have the next free ports");
    }

    #[test]
    fn a_constant_step_up_or_down_is_sequential() {
        let local = 50_000;
        let up = [(local, 20_000), (local, 20_001), (local, 20_002), (local, 20_003), (local, 20_004)];
        assert_eq!(named(&up), Some(PortAllocation::Sequential { step: 1 }));
        let down = [(local, 20_010), (local, 20_008), (local, 20_006), (local, 20_004), (local, 20_002)];
        assert_eq!(named(&down), Some(PortAllocation::Sequential { step: -2 }));
        let busy = [(local, 20_000), (local, 20_005), (local, 20_006), (local, 20_009), (local, 20_010)];
        assert_eq!(named(&busy), Some(PortAllocation::Sequential { step: 1 }), "mappings of other hosts lie between");
        let swapped = [(local, 20_000), (local, 20_002), (local, 20_001), (local, 20_003), (local, 20_004)];
        assert_eq!(named(&swapped), Some(PortAllocation::Sequential { step: 1 }), "two packets were reordered");
    }

    #[test]
    fn ports_in_one_block_are_a_block_and_other_ports_are_random() {
        let local = 50_000;
        let block = [(local, 10_240), (local, 12_200), (local, 11_000), (local, 10_900), (local, 11_700)];
        assert_eq!(named(&block), Some(PortAllocation::Block { size: 2048 }));
        let random = [(local, 10_240), (local, 62_200), (local, 31_000), (local, 40_900), (local, 1_700)];
        assert_eq!(named(&random), Some(PortAllocation::Random));
    }

    #[test]
    fn two_addresses_are_arbitrary_pooling_and_five_equal_ones_are_paired() {
        let mut five = samples(&[(1, 1), (2, 2), (3, 3), (4, 4), (5, 5)]);
        assert_eq!(pooling(&five).value(), Some(&Pooling::Paired));
        assert_eq!(pooling(&five[..4]).reason(), Some(Unknown::TooFewSamples));
        five[1].external.set_ip([203, 0, 113, 2].into());
        assert_eq!(pooling(&five[..2]).value(), Some(&Pooling::Arbitrary));
        let sample = |server, last| Sample { server, external: ([203, 0, 113, last], 5).into(), ..five[0] };
        let pools = [[sample(0, 1), sample(1, 1), sample(1, 2)], [sample(0, 1), sample(1, 2), sample(1, 3)]];
        assert_eq!(pooling(&pools[0]).value(), Some(&Pooling::Arbitrary), "both servers report the first address");
        assert_eq!(pooling(&pools[1]).reason(), Some(Unknown::ServersDisagree), "one server may be wrong");
        five[1].server = 1;
        assert_eq!(pooling(&five).reason(), Some(Unknown::ServersDisagree), "one server reports the other address");
    }
}
