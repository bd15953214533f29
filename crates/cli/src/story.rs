//! What happened, line by line, for `--explain`.

use alloc::sync::Arc;
use portolan_machine::{Explain, Instant, Scope, Trace};
use portolan_tokio::Tracing;
use std::sync::{Mutex, PoisonError};

/// Keeps each note as a line, and hands it on to `tracing` as well. Clones share their lines.
#[derive(Clone, Debug, Default)]
pub(crate) struct Recorder(Arc<Mutex<Vec<String>>>);

/// More lines than any classification has; a peer that floods must not fill the memory.
const LIMIT: usize = 10_000;

impl Recorder {
    /// What was said so far.
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
