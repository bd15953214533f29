//! Emits the notes of machines as `tracing` events.
//!
//! ```
//! use portolan_tokio::{DriverConfig, Tracing};
//!
//! let traced = DriverConfig::default().with_trace(Tracing); // the default: notes go to the program's tracing subscriber
//! let untraced = DriverConfig::default().without_trace();
//! # let _ = (traced, untraced);
//! ```

use portolan_machine::{Explain, Instant, Scope, Trace};
use tracing::Level;
use tracing::field::display;

/// Emits every note as a `tracing` event of level `DEBUG` and target `portolan`.
///
/// The message is the note's `Display`. The fields are:
///
/// * `at`: seconds since the driver was created.
/// * `scope`: the chain of machines that made the note; absent for the root machine.
/// * `code`: [`Explain::code`].
/// * `rfc`: the RFC section of the note, if there is one.
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
