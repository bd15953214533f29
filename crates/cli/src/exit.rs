//! Exit codes: a script's way to read the report.
//!
//! Each command has its own row in docs/exit-codes.md, which its help repeats; what they have in common:
//!
//! | Code | Meaning |
//! |---|---|
//! | 0 | it did what it was asked |
//! | 1 | it did, and the answer is no: a `--require` is not met, something is wrong, a server refused |
//! | 2 | it could not run: bad arguments, no server, no network, nothing that can be read or used |
//! | 3 | it ran, and what was asked could not be told |

use std::process::ExitCode;

/// How the command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// It did what it was asked.
    Done,
    /// What is required is not the case.
    Unmet,
    /// What was looked at has something wrong.
    Wrong,
    /// It could not run.
    CouldNotRun,
    /// It ran, and could not tell.
    Inconclusive,
}

impl Exit {
    /// The number that the shell sees.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Unmet | Self::Wrong => 1,
            Self::CouldNotRun => 2,
            Self::Inconclusive => 3,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
