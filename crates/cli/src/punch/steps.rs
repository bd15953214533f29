//! The notes of the session that are steps of `--explain`.

use alloc::sync::Arc;
use portolan_machine::{Clause, Explain, Instant, Scope, Trace};
use portolan_tokio::Tracing;
use std::sync::{Mutex, PoisonError};
use tokio::sync::Notify;

/// The notes that are steps, by their codes.
const STEPS: [&str; 5] =
    ["peer-heard", "probe-answered", "address-given-up", "candidate-ignored", "guess-socket-refused"];

/// The largest number of steps from notes. A peer can cause many notes.
const LIMIT: usize = 24;

/// Records the notes that are steps, and forwards each note to `tracing`. Clones share the notes.
#[derive(Clone, Debug, Default)]
pub(super) struct StepNotes(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    notes: Mutex<Notes>,
    wake: Notify,
}

#[derive(Debug, Default)]
struct Notes {
    waiting: Vec<(String, Option<Clause>)>,
    recorded: usize,
}

impl StepNotes {
    /// Returns the notes that were not returned yet.
    pub(super) fn take(&self) -> Vec<(String, Option<Clause>)> {
        core::mem::take(&mut self.0.notes.lock().unwrap_or_else(PoisonError::into_inner).waiting)
    }

    /// Waits for a note. Cancellation safe.
    pub(super) async fn recorded(&self) {
        self.0.wake.notified().await;
    }
}

impl Trace for StepNotes {
    fn note(&mut self, at: Instant, scope: &Scope<'_>, note: &dyn Explain) {
        Tracing.note(at, scope, note);
        if !STEPS.contains(&note.code()) {
            return;
        }
        let mut notes = self.0.notes.lock().unwrap_or_else(PoisonError::into_inner);
        if notes.recorded < LIMIT {
            notes.recorded += 1;
            notes.waiting.push((note.to_string(), note.rfc()));
            self.0.wake.notify_one();
        }
    }
}
