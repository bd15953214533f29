//! Measures simulated networks: `campaign [SEEDS]`. The default is 10,000 seeds for each kind and loss, and 100 for
//! each situation. The exit code is 1 if a bound is exceeded.

use portolan_benches::campaign::{Campaign, Kind, LOSSES, Row};
use portolan_benches::situations::Situation;
use std::io::Write as _;
use std::process::ExitCode;
use std::time::Instant;

/// Returns the maximum share of wrong results at a loss.
fn allowed_wrong(loss: f64) -> f64 {
    if loss <= 0.05 { 0.0 } else { 0.001 }
}

/// Returns the maximum share of unknown results at a loss.
fn allowed_unknown(loss: f64) -> f64 {
    if loss <= 0.05 { 0.01 } else { 1.0 }
}

fn main() -> ExitCode {
    let seeds = match std::env::args().nth(1).map(|text| text.replace('_', "").parse::<u64>()) {
        None => 10_000,
        Some(Ok(seeds)) if seeds > 0 => seeds,
        Some(_) => {
            let _closed = writeln!(std::io::stderr(), "campaign: SEEDS must be a number above 0, such as 10000");
            return ExitCode::from(2);
        }
    };
    let started = Instant::now();
    let kept = run(seeds) & run_situations((seeds / 100).max(1));
    let speed = speed(seeds);
    let _closed = writeln!(
        std::io::stdout(),
        "\n{} networks in {:.1} s; {speed:.0} classifications a second on one core at 5 % loss",
        seeds * (Kind::ALL.len() * LOSSES.len()) as u64,
        started.elapsed().as_secs_f64()
    );
    if kept { ExitCode::SUCCESS } else { ExitCode::from(1) }
}

/// Runs all kinds at all losses on two threads and prints the rows. Returns whether the bounds were kept.
fn run(seeds: u64) -> bool {
    let mut out = std::io::stdout();
    let _closed = writeln!(
        out,
        "loss/dir  kind       runs  wrong (expected)   unknown (expected)   p (wrong)  measured  slowest"
    );
    let mut kept = true;
    for loss in LOSSES {
        let rows = std::thread::scope(|scope| {
            let halves = [0..seeds / 2, seeds / 2..seeds];
            let threads = halves.map(|seeds| {
                scope.spawn(move || Kind::ALL.map(|kind| Campaign { seeds: seeds.clone(), loss }.run(kind)))
            });
            let mut sum = [Row::default(); 12];
            for thread in threads {
                let Ok(rows) = thread.join() else { continue };
                sum.iter_mut().zip(&rows).for_each(|(sum, row)| sum.add(row));
            }
            sum
        });
        for (kind, row) in Kind::ALL.into_iter().zip(rows) {
            let runs = f64::from(row.runs);
            let _closed = writeln!(
                out,
                "{:>6.0} %  {kind:<9} {:>6}  {:>5} ({:>8.4})   {:>7} ({:>8.4})   {:>9.6}  {:>7.3} %  {:>5} ms",
                loss * 100.0,
                row.runs,
                row.wrong,
                kind.expected_wrong(loss) * runs,
                row.unknown,
                kind.expected_unknown(loss) * runs,
                row.error_probability / runs,
                row.measured_loss() * 100.0,
                row.slowest.as_millis()
            );
            // Four standard deviations of the share of lost packets.
            let spread = 4.0 * (loss * (1.0 - loss) / (row.packets.max(1) as f64)).sqrt();
            kept &= f64::from(row.wrong) <= allowed_wrong(loss) * runs
                && f64::from(row.unknown) <= allowed_unknown(loss) * runs
                && u64::from(row.runs) == seeds
                && (row.measured_loss() - loss).abs() <= spread + f64::EPSILON;
        }
    }
    kept
}

/// Runs all situations on two threads and prints the rows. Returns whether the bounds were kept.
fn run_situations(seeds: u64) -> bool {
    let mut out = std::io::stdout();
    let _closed = writeln!(out, "\nsituation                  runs  wrong (expected)  blames  unknown  slowest");
    let mut kept = true;
    for situation in Situation::all() {
        let [one, two] = std::thread::scope(|scope| {
            let halves = [0..seeds / 2, seeds / 2..seeds];
            halves
                .map(|seeds| scope.spawn(move || situation.run(seeds)))
                .map(|thread| thread.join().unwrap_or_default())
        });
        let (runs, wrong, blames) = (one.runs + two.runs, one.wrong + two.wrong, one.blames + two.blames);
        let expected = situation.expected_wrong(runs);
        let _closed = writeln!(
            out,
            "{situation:<24} {runs:>6}  {wrong:>5} ({expected:>8.2})  {blames:>6}  {:>7}  {:>4} ms",
            one.unknown + two.unknown,
            one.slowest.max(two.slowest).as_millis()
        );
        // Four standard deviations of the number of equal choices.
        kept &= blames == 0 && runs > 0 && f64::from(wrong) <= expected + 4.0 * expected.sqrt();
    }
    kept
}

/// Returns the classifications per second on one core at 5 % loss, with the same number of each kind.
fn speed(seeds: u64) -> f64 {
    let seeds = 0..(seeds / 10).max(1);
    let started = Instant::now();
    let runs: u32 = Kind::ALL.iter().map(|kind| Campaign { seeds: seeds.clone(), loss: 0.05 }.run(*kind).runs).sum();
    f64::from(runs) / started.elapsed().as_secs_f64()
}
