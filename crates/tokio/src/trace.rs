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

/// Emits every note as a `tracing` event with target `portolan`. The level is `TRACE` for a note that
/// [is routine](Explain::is_routine), and `DEBUG` for each other note.
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
        // The level of an event is a constant of its call site.
        macro_rules! emit {
            ($level:expr) => {
                if tracing::enabled!(target: "portolan", $level) {
                    let scope = scope.parent().map(|_| display(scope));
                    let (code, rfc) = (note.code(), note.rfc().map(display));
                    tracing::event!(target: "portolan", $level, at = %at, scope, code, rfc, "{note}");
                }
            };
        }
        if note.is_routine() { emit!(Level::TRACE) } else { emit!(Level::DEBUG) }
    }
}
