//! What was found out, in the ways people and programs read it.

pub(crate) mod human;
pub(crate) mod json;
#[cfg(test)]
pub(crate) mod sample;
pub(crate) mod sentence;
pub(crate) mod sureness;

use portolan_nat::profile::Report;

/// A report with what is needed to tell it.
#[derive(Clone, Debug)]
pub(crate) struct Telling {
    /// The finding.
    pub(crate) report: Report,
    /// What people call the servers, by their place in the list.
    pub(crate) servers: Vec<Box<str>>,
    /// Whether it was found out about a simulated network.
    pub(crate) simulated: bool,
    /// What happened, line by line, where that was recorded.
    pub(crate) story: Vec<String>,
}

impl Telling {
    /// What people call the server at `place`.
    pub(crate) fn server(&self, place: usize) -> &str {
        self.servers.get(place).map_or("", |name| name)
    }
}
