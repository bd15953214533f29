//! The notes of a run, one a line, for `--explain`.

use alloc::sync::Arc;
use portolan_machine::{Explain, Instant, Scope, Trace};
use portolan_tokio::Tracing;
use std::sync::{Mutex, PoisonError};

/// Records each note as a line and forwards it to `tracing`. Clones share the lines.
#[derive(Clone, Debug, Default)]
pub(crate) struct Recorder(Arc<Mutex<Vec<String>>>);

/// The maximum number of lines. No classification has so many, and a flood of packets cannot exhaust the memory.
const LIMIT: usize = 10_000;

impl Recorder {
    /// Returns the lines recorded so far.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Trace for Recorder {
    fn note(&mut self, at: Instant, scope: &Scope<'_>, note: &dyn Explain) {
        Tracing.note(at, scope, note);
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() < LIMIT {
            let clause = note.rfc().map(|clause| format!(" [{clause}]")).unwrap_or_default();
            lines.push(format!("{at} {note}{clause}"));
        }
    }
}
