//! The probabilities behind a forecast.
//!
//! Rules of this file: pure functions of numbers. `core` has no exponential function, so the file has its own.

/// The probability that at most `most` events occur, if `mean` are expected (Poisson).
pub(super) fn poisson_at_most(most: u16, mean: f64) -> f64 {
    let mut term = exp_of_minus(mean);
    let mut sum = term;
    for k in 1..=most {
        term *= mean / f64::from(k);
        sum += term;
    }
    sum.min(1.0)
}

/// The probability that at least one of `probes` different ports is one of `sockets` random ports, of `ports` ports, and
/// that the packet of this hit arrives.
///
/// Each hit has one packet that must arrive: the later one of the socket's packet and of the probe. The earlier one only
/// opens the filter of its own side. It is sent once, with the probability `arrives`.
pub(super) fn birthday(ports: u32, sockets: u16, probes: u16, arrives: f64) -> f64 {
    1.0 - misses(ports, sockets, arrives).take(usize::from(probes) + 1).last().unwrap_or(1.0)
}

/// The number of probes after which one hits on average; runs without a hit count with all probes.
pub(super) fn mean_probes(ports: u32, sockets: u16, probes: u16) -> f64 {
    misses(ports, sockets, 1.0).take(usize::from(probes)).sum()
}

/// The probability that none of the first 0, 1, 2, … probes hits and arrives. With loss it is an approximation: the sockets
/// of lost hits are not removed.
fn misses(ports: u32, sockets: u16, arrives: f64) -> impl Iterator<Item = f64> {
    let mut miss = 1.0;
    (0..ports).map(move |n| {
        let before = miss;
        let left = ports - n;
        let hit = f64::from(sockets).min(f64::from(left)) / f64::from(left);
        miss *= 1.0 - arrives * hit;
        before
    })
}

/// e to the power of `-x`, for `x` of at least 0.
fn exp_of_minus(x: f64) -> f64 {
    // A short series for a small argument, then sixteen squarings.
    let y = x / 65_536.0;
    let mut power = 1.0 - y * (1.0 - y / 2.0 * (1.0 - y / 3.0));
    for _ in 0..16 {
        power *= power;
    }
    power
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(found: f64, expected: f64, tolerance: f64) {
        assert!((found - expected).abs() < tolerance, "{found} is not {expected}");
    }

    #[test]
    fn the_exponential_function_agrees_with_std() {
        for x in [0.0, 0.001, 1.0, 3.0, 60.0, 500.0_f64] {
            near(exp_of_minus(x), (-x).exp(), 1e-9);
        }
    }

    #[test]
    fn ten_flows_a_second_in_300_milliseconds() {
        near(poisson_at_most(4, 3.0), 0.815, 0.001);
        near(poisson_at_most(9, 3.0), 0.9989, 0.0001);
        near(poisson_at_most(40, 0.0), 1.0, 1e-12);
    }

    #[test]
    fn birthday_figures_of_the_full_range_and_of_a_block() {
        near(birthday(64_512, 256, 1200, 1.0), 0.992, 0.0005);
        near(birthday(64_512, 256, 175, 1.0), 0.50, 0.005);
        near(birthday(64_512, 256, 1000, 1.0), 0.982, 0.001);
        near(birthday(2048, 97, 97, 1.0), 0.99, 0.002);
        near(birthday(2048, 256, 35, 1.0), 0.99, 0.002);
        near(birthday(10, 10, 1, 1.0), 1.0, 1e-12);
        near(birthday(10, 3, 8, 1.0), 1.0, 1e-12);
        near(birthday(100, 10, 0, 1.0), 0.0, 1e-12);
    }

    #[test]
    fn loss_leaves_some_hits_without_effect() {
        near(birthday(64_512, 256, 1200, 0.81), 0.98, 0.001);
        near(birthday(2048, 97, 97, 0.9025), 0.988, 0.002);
        near(birthday(10, 10, 1, 0.5), 0.5, 1e-12);
        near(birthday(10, 10, 2, 0.0), 0.0, 1e-12);
    }

    #[test]
    fn the_mean_of_a_certain_hit_is_one_probe() {
        near(mean_probes(10, 10, 5), 1.0, 1e-12);
        near(mean_probes(64_512, 256, 1200), 250.0, 5.0);
    }
}
