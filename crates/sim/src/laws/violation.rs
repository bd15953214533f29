//! A broken law, with the steps that show it.

use super::law::Law;
use super::script::{ReadError, Step};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

/// A law was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The law.
    pub law: Law,
    /// The step at or after which the law was broken, counted from 0; `None`: before the first step.
    pub step: Option<usize>,
    /// The violation, in plain English.
    pub what: String,
    /// The steps up to the broken step; they break the law by themselves. [`check`](super::check) and
    /// [`check_all`](super::check_all) set them; the functions of single laws leave them empty.
    pub steps: Vec<Step>,
}

impl Violation {
    pub(super) const fn new(law: Law, step: Option<usize>, what: String) -> Self {
        Self { law, step, what, steps: Vec::new() }
    }
}

impl fmt::Display for Violation {
    /// Displays the reason, and the steps if they are known, as [`Steps`] shows them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} broken ", self.law)?;
        match self.step {
            Some(step) => write!(f, "at step {step}: ")?,
            None => f.write_str("before the first step: ")?,
        }
        f.write_str(&self.what)?;
        if self.steps.is_empty() {
            return Ok(());
        }
        write!(f, "\nthe steps that break it, for a regression test:\n{}", Steps(&self.steps))
    }
}

impl core::error::Error for Violation {}

/// Steps as a Rust expression that can be pasted into a test: [`read_steps`] with its text.
///
/// ```
/// use portolan_machine::Instant;
/// use portolan_sim::laws::{Step, Steps, read_steps};
///
/// let steps = [Step::timeout(Instant::ORIGIN), Step::timeout(Instant::from_millis(20)).undrained()];
/// let text = Steps(&steps).to_string();
/// assert_eq!(text, "laws::read_steps(\n    r\"
/// 0.000000000 timeout
/// 0.020000000 undrained timeout
/// \",\n)\n.unwrap()");
/// assert_eq!(read_steps("\n0.000000000 timeout\n0.020000000 undrained timeout\n"), Ok(steps.to_vec()));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Steps<'a>(pub &'a [Step]);

impl fmt::Display for Steps<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        // A raw string ends at a quote with the same number of hashes, and commands may hold any text.
        let mut hashes = String::new();
        let quote = |hashes: &str| lines.iter().any(|line| line.contains(&alloc::format!("\"{hashes}")));
        while quote(&hashes) {
            hashes.push('#');
        }
        writeln!(f, "laws::read_steps(\n    r{hashes}\"")?;
        lines.iter().try_for_each(|line| writeln!(f, "{line}"))?;
        write!(f, "\"{hashes},\n)\n.unwrap()")
    }
}

/// Parses steps, one a line. Empty lines and lines that begin with `#` are skipped.
///
/// # Errors
/// [`ReadError`], with the first line that is not a step.
pub fn read_steps(text: &str) -> Result<Vec<Step>, ReadError> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    let steps = lines.map(|(index, line)| {
        line.parse().map_err(|why: ReadError| ReadError { line: index + 1, expected: why.expected })
    });
    steps.collect()
}
