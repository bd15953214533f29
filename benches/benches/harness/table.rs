//! The table of results: medians, allocations, ratios.
//!
//! Each bench includes this file by its path: `Codec`, `Ours` and `Operation` are those of the bench.

use crate::codec::{Codec, Ours};
use crate::operation::Operation;
use core::fmt;
use std::path::Path;

/// The maximum time and allocations of `portolan`'s codec at an operation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Goal {
    /// The maximum time as a multiple of the best peer's time.
    pub(crate) factor: f64,
    /// Additional nanoseconds.
    pub(crate) extra: f64,
    /// The maximum number of allocations.
    pub(crate) allocations: f64,
}

/// The results of each codec at each operation.
#[derive(Default)]
pub(crate) struct Table {
    cells: Vec<Cell>,
}

struct Cell {
    operation: Operation,
    codec: &'static str,
    /// Whether the ratio may compare with this codec.
    counts: bool,
    /// `None` if the codec does not support the operation.
    allocations: Option<f64>,
    /// The medians of the rounds, in nanoseconds.
    medians: Vec<f64>,
}

impl Cell {
    fn spread(&self) -> Option<Spread> {
        Spread::of(self.medians.clone())
    }
}

/// The least, median and greatest figure of the rounds.
struct Spread {
    least: f64,
    median: f64,
    most: f64,
}

impl Spread {
    fn of(mut rounds: Vec<f64>) -> Option<Self> {
        rounds.sort_by(f64::total_cmp);
        let median = *rounds.get(rounds.len() / 2)?;
        Some(Self { least: *rounds.first()?, median, most: *rounds.last()? })
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { least, median, most } = self;
        write!(f, "{median:>7.2} ({least:.2} to {most:.2})")
    }
}

impl Table {
    pub(crate) fn add<C: Codec>(&mut self, operation: Operation, allocations: Option<f64>) {
        let allocations = allocations.map(|count| count / operation.repeats());
        let counts = operation.counts::<C>() && C::NAME != Ours::NAME;
        self.cells.push(Cell { operation, codec: C::NAME, counts, allocations, medians: Vec::new() });
    }

    /// Reads the medians that criterion wrote to `folder`. There is no file for an operation that the filter left
    /// out.
    pub(crate) fn read(&mut self, folder: &Path) {
        for cell in &mut self.cells {
            let file = folder.join(cell.operation.name()).join(cell.codec).join("new/estimates.json");
            let Ok(text) = std::fs::read_to_string(&file) else { continue };
            let estimates: serde_json::Value = serde_json::from_str(&text).expect("criterion writes JSON");
            let median = estimates["median"]["point_estimate"].as_f64().expect("a median");
            cell.medians.push(median / cell.operation.repeats());
        }
    }

    /// Whether a codec supports an operation.
    pub(crate) fn is_able<C: Codec>(&self, operation: Operation) -> bool {
        self.row(operation).any(|cell| cell.codec == C::NAME && cell.allocations.is_some())
    }

    /// Returns the median of a codec's medians at an operation.
    #[allow(dead_code, reason = "only one of the benches calls it")]
    pub(crate) fn median<C: Codec>(&self, operation: Operation) -> Option<f64> {
        self.row(operation).find(|cell| cell.codec == C::NAME)?.spread().map(|spread| spread.median)
    }

    fn row(&self, operation: Operation) -> impl Iterator<Item = &Cell> {
        self.cells.iter().filter(move |cell| cell.operation == operation)
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "ns: median of the rounds' medians (least to most) [allocations], our time divided by it")?;
        writeln!(f, "* the ratio compares with these codecs: they make the same checks and do the same work\n")?;
        Operation::ALL.into_iter().try_for_each(|operation| self.fmt_operation(f, operation))
    }
}

impl Table {
    fn fmt_operation(&self, f: &mut fmt::Formatter<'_>, operation: Operation) -> fmt::Result {
        let Some(ours) = self.row(operation).find(|cell| cell.codec == Ours::NAME) else { return Ok(()) };
        if ours.medians.is_empty() {
            return Ok(());
        }
        writeln!(f, "{}", operation.name())?;
        for cell in self.row(operation) {
            let star = if cell.counts { '*' } else { ' ' };
            let shares = ours.medians.iter().zip(&cell.medians).map(|(own, peer)| own / peer).collect();
            match (cell.spread(), cell.allocations, Spread::of(shares)) {
                (Some(time), Some(count), Some(share)) => {
                    writeln!(f, "  {star} {:<16} {time:<26} [{count:.2}] {share}", cell.codec)?;
                }
                _ => writeln!(f, "    {:<16}        – cannot", cell.codec)?,
            }
        }
        let best = self.best_peers(operation);
        let goal = operation.goal();
        let rounds = || ours.medians.iter().zip(&best);
        // A goal has a factor and additional time. So the check uses the time divided by the maximum time.
        let used = rounds().map(|(own, best)| own / (best * goal.factor + goal.extra)).collect();
        let ratios = rounds().map(|(own, best)| own / best).collect();
        let (Some(ratio), Some(used)) = (Spread::of(ratios), Spread::of(used)) else { return Ok(()) };
        let met = used.median <= 1.0 && ours.allocations.is_some_and(|count| count <= goal.allocations);
        let verdict = if met { "met" } else { "MISSED" };
        writeln!(f, "    ratio {ratio}, share of the maximum {used}: {verdict}\n")
    }

    /// Returns the time of the best peer that counts, for each round.
    fn best_peers(&self, operation: Operation) -> Vec<f64> {
        let peers = || self.row(operation).filter(|cell| cell.counts && !cell.medians.is_empty());
        let rounds = peers().map(|cell| cell.medians.len()).min().unwrap_or_default();
        (0..rounds).filter_map(|round| peers().map(|cell| cell.medians[round]).reduce(f64::min)).collect()
    }
}
