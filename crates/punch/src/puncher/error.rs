//! The errors of commands.

/// Why a command was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PunchError {
    /// The attempt has started already.
    #[error("the attempt has started already")]
    AlreadyStarted,
    /// There is no path to release.
    #[error("there is no path to release")]
    NotConnected,
    /// The attempt has ended.
    #[error("the attempt has ended")]
    Ended,
}
