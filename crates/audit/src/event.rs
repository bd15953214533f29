//! What the owner of an audit must act on.
//!
//! ```
//! use portolan_audit::AuditEvent;
//! use portolan_machine::Refusal;
//!
//! let event = AuditEvent::Failed(Refusal::NoRoute);
//! assert!(!matches!(event, AuditEvent::Report(_)));
//! ```

use crate::Report;
use alloc::boxed::Box;
use portolan_machine::Refusal;

/// The end of an [`Audit`](crate::Audit): each event is the last.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum AuditEvent {
    /// What was found.
    Report(Box<Report>),
    /// A UDP socket could not be made.
    Failed(Refusal),
}
