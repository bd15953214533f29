//! The errors of commands.
//!
//! ```
//! use portolan_audit::AuditError;
//!
//! assert_eq!(AuditError::NotIdle.to_string(), "the audit was started before");
//! ```

/// The reason for which an audit refused a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuditError {
    /// The audit was started before.
    #[error("the audit was started before")]
    NotIdle,
    /// The address of the server is unspecified, or its port is 0.
    #[error("the server has no address or no port")]
    Destination,
    /// The text is not a command.
    #[error("the only command is `start`")]
    UnknownCommand,
}
