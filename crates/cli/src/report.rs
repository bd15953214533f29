//! The report of `portolan nat` and `portolan lab nat`, as text and as JSON.

pub(crate) mod confidence;
pub(crate) mod human;
pub(crate) mod json;
#[cfg(test)]
pub(crate) mod sample;
pub(crate) mod sentence;

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
    /// Whether the result is correct; `None` if some result is unknown.
    pub(crate) is_right: Option<bool>,
}
