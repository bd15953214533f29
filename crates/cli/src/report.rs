//! What was found out, in the ways people and programs read it.

pub(crate) mod human;
pub(crate) mod json;
#[cfg(test)]
pub(crate) mod sample;
pub(crate) mod sentence;
pub(crate) mod sureness;

use portolan_nat::lifetime::LifetimeReport;
use portolan_nat::profile::Report;

/// A report with what is needed to tell it.
#[derive(Clone, Debug)]
pub(crate) struct Telling {
    /// The finding.
    pub(crate) report: Report,
    /// What people call the servers, by their place in the list.
    pub(crate) servers: Vec<Box<str>>,
    /// How long mappings live, where that was asked for.
    pub(crate) lifetime: Option<LifetimeReport>,
    /// Where it was found out in a simulated network: which, and what is true there.
    pub(crate) simulation: Option<Simulation>,
    /// What happened, line by line, where that was recorded.
    pub(crate) story: Vec<String>,
}

impl Telling {
    /// What people call the server at `place`.
    pub(crate) fn server(&self, place: usize) -> &str {
        self.servers.get(place).map_or("", |name| name)
    }
}

/// A simulated network.
#[derive(Clone, Debug)]
pub(crate) struct Simulation {
    /// What it is, in a sentence.
    pub(crate) scene: String,
    /// Whether what was found is the case there; `None` where something remained unknown.
    pub(crate) is_right: Option<bool>,
}
