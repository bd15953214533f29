//! From the machines' notes to `tracing` events.
//!
//! ```
//! use portolan_tokio::{DriverConfig, Tracing};
//!
//! let spoken = DriverConfig::default().with_trace(Tracing); // as by default: heard by the program's tracing subscriber
//! let silent = DriverConfig::default().without_trace();
//! # let _ = (spoken, silent);
//! ```

use portolan_machine::{Explain, Instant, Scope, Trace};
use tracing::Level;
use tracing::field::display;

/// Speaks every note as a `tracing` event of level `DEBUG` and target `portolan`.
///
/// Fields: `at` (seconds since the driver began), `scope` (the chain of speaking machines, absent at the root), `rfc`
/// (the clause that the note follows, where there is one). The note's plain English is the message.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tracing;

impl Trace for Tracing {
    fn note(&mut self, at: Instant, scope: &Scope<'_>, note: &dyn Explain) {
        if !tracing::enabled!(target: "portolan", Level::DEBUG) {
            return;
        }
        let scope = scope.parent().map(|_| display(scope));
        tracing::debug!(target: "portolan", at = %at, scope, rfc = note.rfc().map(display), "{note}");
    }
}
