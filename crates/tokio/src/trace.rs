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

/// Emits every note as a `tracing` event of level `DEBUG` and target `portolan`.
///
/// The note's `Display` is the message. The fields are `at` (seconds since the driver was made), `scope` (the chain of
/// machines that made the note, absent at the root), `code` ([`Explain::code`]) and `rfc` (the clause that the note
/// follows, where there is one).
#[derive(Clone, Copy, Debug, Default)]
pub struct Tracing;

impl Trace for Tracing {
    fn note(&mut self, at: Instant, scope: &Scope<'_>, note: &dyn Explain) {
        if !tracing::enabled!(target: "portolan", Level::DEBUG) {
            return;
        }
        let scope = scope.parent().map(|_| display(scope));
        tracing::debug!(target: "portolan", at = %at, scope, code = note.code(), rfc = note.rfc().map(display), "{note}");
    }
}
