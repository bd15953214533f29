//! What the caller did wrong.
//!
//! ```
//! use portolan_audit::AuditError;
//!
//! assert_eq!(AuditError::NotIdle.to_string(), "the audit was started before");
//! ```

/// Why a command to an audit was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuditError {
    /// The audit was started before.
    #[error("the audit was started before")]
    NotIdle,
    /// Nothing can be sent to an unspecified address or to port 0.
    #[error("the server has no address or no port")]
    Destination,
    /// The text is no command.
    #[error("the only command is `start`")]
    UnknownCommand,
}
