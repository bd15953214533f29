//! The share of each worker: limits and relay ports are divided among the workers.
//!
//! Rules of this file: the sum of the shares is never above the whole, and no share is zero. A kernel assigns a client
//! to a worker by its address and port, so one user can reach one worker or all of them.

/// Returns the share of a limit; `None` if the limit is below the number of workers.
pub(super) const fn limit(whole: u32, workers: u16) -> Option<u32> {
    match whole.checked_div(workers as u32) {
        Some(0) | None => None,
        share => share,
    }
}

/// Returns the relay ports of each worker; `None` if there are not two ports for each of several workers.
///
/// Each share but the last one has an even number of ports, so that a pair of ports is not divided.
pub(super) fn ports((first, last): (u16, u16), workers: u16) -> Option<Vec<(u16, u16)>> {
    let (first, last, workers) = (u32::from(first), u32::from(last), u32::from(workers));
    if workers <= 1 {
        return Some(vec![(u16::try_from(first).ok()?, u16::try_from(last).ok()?)]);
    }
    // The first port of an odd range belongs to no pair.
    let lone = first % 2;
    let pairs = (last + 1).checked_sub(first + lone)? / 2;
    let share = pairs / workers;
    if share == 0 {
        return None;
    }
    let range = |worker: u32| {
        let begin = first + lone + worker * share * 2;
        let end = if worker + 1 == workers { last } else { begin + share * 2 - 1 };
        let begin = if worker == 0 { first } else { begin };
        Some((u16::try_from(begin).ok()?, u16::try_from(end).ok()?))
    };
    (0..workers).map(range).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shares_of_a_limit_are_not_above_the_limit() {
        for workers in 1..=9 {
            for whole in 0..=40 {
                match limit(whole, workers) {
                    Some(share) => assert!(share >= 1 && share * u32::from(workers) <= whole, "{whole} / {workers}"),
                    None => assert!(whole < u32::from(workers), "{whole} / {workers}"),
                }
            }
        }
        assert_eq!(limit(5, 0), None);
    }

    #[test]
    fn the_shares_of_the_ports_are_the_range_without_overlap_and_without_a_divided_pair() {
        for (first, last) in [(49_152, 65_535), (1, 65_535), (50_000, 50_007), (50_001, 50_008), (50_001, 50_009)] {
            for workers in 1..=9 {
                let Some(shares) = ports((first, last), workers) else {
                    assert!(last - first + 1 < 2 * workers + 2, "{first}-{last} / {workers}");
                    continue;
                };
                assert_eq!(shares.len(), usize::from(workers));
                assert_eq!((shares[0].0, shares[shares.len() - 1].1), (first, last), "{first}-{last} / {workers}");
                for pair in shares.windows(2) {
                    assert!(pair[0].0 < pair[0].1);
                    assert_eq!(pair[0].1 + 1, pair[1].0, "{first}-{last} / {workers}: no gap and no overlap");
                    assert_eq!(pair[1].0 % 2, 0, "{first}-{last} / {workers}: a pair begins at an even port");
                }
            }
        }
        assert_eq!(ports((5, 5), 1), Some(vec![(5, 5)]));
        assert_eq!(ports((5, 5), 2), None);
    }
}
