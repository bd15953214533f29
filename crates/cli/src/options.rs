//! Options that several subcommands have in common.

use clap::{Args, ValueEnum};
use core::time::Duration;

/// The format of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Text: a sentence, the facts, the confidence
    Human,
    /// One JSON object (docs/json.md)
    Json,
    /// One JSON object per line for each event, the report last
    Jsonl,
}

/// The format of a result that has no events before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DocumentFormat {
    /// Text
    Human,
    /// One JSON object (docs/json.md)
    Json,
}

/// The options of a report.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct ReportOptions {
    /// The format of the report
    #[arg(long, value_enum, default_value = "human")]
    pub(crate) format: Format,
    /// Print each step with its evidence and the section of the RFC; =packets prints each packet too
    #[arg(long, value_name = "LEVEL", value_enum, num_args = 0..=1, require_equals = true,
          default_missing_value = "steps")]
    pub(crate) explain: Option<ExplainLevel>,
}

/// The amount of explanation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExplainLevel {
    /// The steps of the measurement, with their RFC sections
    Steps,
    /// All evidence and each packet
    Packets,
}

/// Parses a timeout in seconds, from 0.1 s to one hour.
pub(crate) fn seconds(text: &str) -> Result<Duration, &'static str> {
    let seconds: f64 = text.parse().map_err(|_| "a number of seconds, such as 5 or 2.5")?;
    if (0.1..=3600.0).contains(&seconds) {
        Ok(Duration::from_secs_f64(seconds))
    } else {
        Err("between 0.1 and 3600 seconds")
    }
}

/// Parses a share of packets in percent, at most 50.
pub(crate) fn percent(text: &str) -> Result<f64, &'static str> {
    let share: f64 = text.parse().map_err(|_| "a share in percent, such as 5")?;
    if (0.0..=50.0).contains(&share) {
        Ok(share)
    } else {
        Err("between 0 and 50 percent: more loss makes every result unknown")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_is_a_finite_number_of_seconds() {
        assert_eq!(seconds("2.5"), Ok(Duration::from_millis(2500)));
        assert!(seconds("inf").is_err());
        assert!(seconds("0").is_err());
    }
}
