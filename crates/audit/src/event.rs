//! The events on which the owner of an audit acts.
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

/// An event of an [`Audit`](crate::Audit). Each event is the last one.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum AuditEvent {
    /// The result of the audit.
    Report(Box<Report>),
    /// A UDP socket could not be opened.
    Failed(Refusal),
}
