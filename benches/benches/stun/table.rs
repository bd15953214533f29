//! The table at the end: best of the medians, allocations, ratios.

use crate::codec::{Codec, Ours};
use crate::operation::Operation;
use core::fmt;
use std::path::Path;

/// What is known of each codec at each operation.
#[derive(Default)]
pub(crate) struct Table {
    cells: Vec<Cell>,
}

struct Cell {
    operation: Operation,
    codec: &'static str,
    counts: bool,
    /// `None` where the codec cannot do it.
    allocations: Option<f64>,
    /// The medians of the rounds, in nanoseconds.
    medians: Vec<f64>,
}

impl Cell {
    fn best(&self) -> Option<f64> {
        self.medians.iter().copied().reduce(f64::min)
    }

    /// How far the rounds lie apart, as a share of the best.
    fn noise(&self) -> f64 {
        let worst = self.medians.iter().copied().reduce(f64::max);
        worst.zip(self.best()).map_or(0.0, |(worst, best)| worst / best - 1.0)
    }
}

impl Table {
    pub(crate) fn add<C: Codec>(&mut self, operation: Operation, allocations: Option<f64>) {
        let allocations = allocations.map(|count| count / operation.repeats());
        let counts = operation.counts::<C>() && C::NAME != Ours::NAME;
        self.cells.push(Cell { operation, codec: C::NAME, counts, allocations, medians: Vec::new() });
    }

    /// Reads the medians that criterion wrote to `folder`; what was filtered out is not there.
    pub(crate) fn read(&mut self, folder: &Path) {
        for cell in &mut self.cells {
            let file = folder.join(cell.operation.name()).join(cell.codec).join("new/estimates.json");
            let Ok(text) = std::fs::read_to_string(&file) else { continue };
            let estimates: serde_json::Value = serde_json::from_str(&text).expect("criterion writes JSON");
            let median = estimates["median"]["point_estimate"].as_f64().expect("a median");
            cell.medians.push(median / cell.operation.repeats());
        }
    }

    fn row(&self, operation: Operation) -> impl Iterator<Item = &Cell> {
        self.cells.iter().filter(move |cell| cell.operation == operation)
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "ns: best of the rounds' medians, ± how far they lie apart; [allocations]")?;
        writeln!(f, "* is what the ratio counts against: careful peers that do the same work\n")?;
        for operation in Operation::ALL {
            let Some(ours) = self.row(operation).find(|cell| cell.codec == Ours::NAME) else { continue };
            let Some(own) = ours.best() else { continue };
            writeln!(f, "{}", operation.name())?;
            for cell in self.row(operation) {
                let star = if cell.counts { '*' } else { ' ' };
                match (cell.best(), cell.allocations) {
                    (Some(best), Some(count)) => {
                        let noise = cell.noise() * 100.0;
                        let ratio = own / best;
                        writeln!(
                            f,
                            "  {star} {:<16} {best:>8.2} ns ±{noise:>3.0} %  [{count:.2}]  {ratio:>5.2}",
                            cell.codec
                        )?;
                    }
                    _ => writeln!(f, "    {:<16}        – cannot", cell.codec)?,
                }
            }
            let peers = self.row(operation).filter(|cell| cell.counts).filter_map(Cell::best);
            let Some(best) = peers.reduce(f64::min) else { continue };
            let goal = operation.goal();
            let limit = best * goal.factor + goal.extra;
            let met = own <= limit && ours.allocations.is_some_and(|count| count <= goal.allocations);
            let verdict = if met { "met" } else { "MISSED" };
            writeln!(f, "    ratio {:.2}, at most {limit:.2} ns: {verdict}\n", own / best)?;
        }
        Ok(())
    }
}
