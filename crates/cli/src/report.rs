//! The report of `portolan nat` and `portolan lab nat`, as text and as JSON.

pub(crate) mod confidence;
pub(crate) mod human;
pub(crate) mod json;
#[cfg(test)]
pub(crate) mod sample;
pub(crate) mod sentence;
pub(crate) mod steps;

use portolan_nat::lifetime::LifetimeReport;
use portolan_nat::profile::Report;

/// A report with everything that is printed with it.
#[derive(Clone, Debug)]
pub(crate) struct ReportData {
    /// The report of the discovery.
    pub(crate) report: Report,
    /// The names of the servers, by their index in the list.
    pub(crate) servers: Vec<Box<str>>,
    /// The lifetimes of mappings, if they were measured.
    pub(crate) lifetime: Option<LifetimeReport>,
    /// The simulated network, if there is one.
    pub(crate) simulation: Option<Simulation>,
    /// The notes of the run, one a line, if they were recorded.
    pub(crate) story: Vec<String>,
}

impl ReportData {
    /// Returns the name of the server at `place`.
    pub(crate) fn server(&self, place: usize) -> &str {
        self.servers.get(place).map_or("", |name| name)
    }
}

/// A simulated network.
#[derive(Clone, Debug)]
pub(crate) struct Simulation {
    /// The description of the network.
    pub(crate) description: String,
    /// The result, compared with the simulated network.
    pub(crate) comparison: Comparison,
}

/// The result of a simulation, compared with the simulated network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    /// All results are correct.
    Right,
    /// A result is wrong.
    Wrong,
    /// Some results are unknown, and all others are correct.
    Incomplete,
    /// Mapping and filtering are correct, but the second of two NATs was not found.
    HiddenNat,
}

impl Comparison {
    /// Returns the sentence of the report.
    pub(crate) const fn sentence(self) -> &'static str {
        match self {
            Self::Right => "The result is correct.",
            Self::Wrong => "The result is WRONG; unless the loss explains it, please report the seed.",
            Self::Incomplete => "Some results are unknown; all others are correct.",
            Self::HiddenNat => {
                "Mapping and filtering are correct, but there are two NATs. The second NAT cannot be seen from inside."
            }
        }
    }
}
