//! The limit of the log: for each code of notes, at most [`LINES`] lines a second, then one line with the number of
//! the other notes.
//!
//! A peer causes notes with each packet. Without the limit, packets could fill the disk of the log. Routine notes (`-vv`)
//! are not limited, because the operator asked for each of them. Counters do not depend on the log.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use core::time::Duration;
use portolan_machine::{Explain, Instant, Scope, Trace};
use portolan_tokio::Tracing;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;
use tokio::time::sleep_until;

/// The maximum number of lines of one code in a window.
const LINES: u64 = 10;

/// The length of a window. A window begins with the first note after the last window.
const WINDOW: Duration = Duration::from_secs(1);

/// Decides which notes are logged. The state has one entry for each code, so it is bounded by the number of codes.
#[derive(Debug, Default)]
struct Limiter {
    windows: BTreeMap<&'static str, Window>,
}

#[derive(Clone, Copy, Debug)]
struct Window {
    start: Instant,
    /// The number of notes in the window.
    count: u64,
}

/// The decision about one note.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Decision {
    /// The number of notes of the same code that were not logged in the window before; 0 if there is none.
    hidden_before: u64,
    /// Whether the note is logged.
    is_logged: bool,
}

impl Window {
    const fn hidden(&self) -> u64 {
        self.count.saturating_sub(LINES)
    }

    fn has_ended(&self, now: Instant) -> bool {
        now.since(self.start) >= WINDOW
    }
}

impl Limiter {
    /// Decides about a note with this code.
    fn decide(&mut self, now: Instant, code: &'static str) -> Decision {
        let window = self.windows.entry(code).or_insert(Window { start: now, count: 0 });
        let mut hidden_before = 0;
        if window.has_ended(now) {
            hidden_before = window.hidden();
            *window = Window { start: now, count: 0 };
        }
        window.count = window.count.saturating_add(1);
        Decision { hidden_before, is_logged: window.count <= LINES }
    }

    /// Removes the windows that have ended, and returns the codes with notes that were not logged, with their number.
    fn end_windows(&mut self, now: Instant) -> Vec<(&'static str, u64)> {
        let mut ended = vec![];
        self.windows.retain(|code, window| {
            let has_ended = window.has_ended(now);
            if has_ended && window.hidden() > 0 {
                ended.push((*code, window.hidden()));
            }
            !has_ended
        });
        ended
    }

    /// Removes all windows, and returns the same as [`Self::end_windows`].
    fn end_all(&mut self) -> Vec<(&'static str, u64)> {
        let ended = core::mem::take(&mut self.windows).into_iter();
        ended.map(|(code, window)| (code, window.hidden())).filter(|(_, hidden)| *hidden > 0).collect()
    }

    fn has_hidden(&self) -> bool {
        self.windows.values().any(|window| window.hidden() > 0)
    }
}

/// The log of a server, with the limit. Clones share one state: one clone receives the notes from the driver, and the
/// other one prints the numbers when a window ends.
#[derive(Clone, Debug, Default)]
pub(super) struct LimitedLog {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    /// Reports that the deadline was set.
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    limiter: Limiter,
    /// The time at which the numbers must be printed; `None` while all notes are logged.
    deadline: Option<tokio::time::Instant>,
}

impl LimitedLog {
    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until a window with notes that were not logged has ended. The wait can be cancelled and repeated.
    pub(super) async fn window_ended(&self) {
        loop {
            let deadline = self.state().deadline;
            match deadline {
                Some(deadline) => return sleep_until(deadline).await,
                None => self.shared.changed.notified().await,
            }
        }
    }

    /// Prints the numbers of the windows that have ended.
    pub(super) fn print_ended(&self, now: Instant) {
        let mut state = self.state();
        let ended = state.limiter.end_windows(now);
        state.deadline = state.limiter.has_hidden().then(|| tokio::time::Instant::now() + WINDOW);
        drop(state);
        ended.into_iter().for_each(|(code, hidden)| print_hidden(now, code, hidden));
    }

    /// Prints the numbers of all windows: no more notes follow.
    pub(super) fn print_rest(&self, now: Instant) {
        let rest = self.state().limiter.end_all();
        rest.into_iter().for_each(|(code, hidden)| print_hidden(now, code, hidden));
    }
}

impl Trace for LimitedLog {
    fn note(&mut self, at: Instant, scope: &Scope<'_>, note: &dyn Explain) {
        if note.is_routine() {
            return Tracing.note(at, scope, note);
        }
        let mut state = self.state();
        let Decision { hidden_before, is_logged } = state.limiter.decide(at, note.code());
        if !is_logged && state.deadline.is_none() {
            state.deadline = Some(tokio::time::Instant::now() + WINDOW);
            self.shared.changed.notify_one();
        }
        drop(state);
        if hidden_before > 0 {
            print_hidden(at, note.code(), hidden_before);
        }
        if is_logged {
            Tracing.note(at, scope, note);
        }
    }
}

fn print_hidden(at: Instant, code: &'static str, hidden: u64) {
    tracing::debug!(target: "portolan", at = %at, code, "{hidden} more of {code} in the last second");
}

#[cfg(test)]
mod tests {
    use super::*;

    const DROPPED: &str = "dropped-not-stun";
    const OTHER: &str = "streams-full";

    fn at(millis: u64) -> Instant {
        Instant::from_millis(millis)
    }

    fn repeat(limiter: &mut Limiter, times: u32, at: Instant, code: &'static str) {
        for _ in 0..times {
            let _ = limiter.decide(at, code);
        }
    }

    #[test]
    fn ten_notes_of_a_code_are_logged_in_a_second_and_the_number_of_the_others_follows() {
        let mut limiter = Limiter::default();
        for millis in 0..500 {
            let expected = Decision { hidden_before: 0, is_logged: millis < 10 };
            assert_eq!(limiter.decide(at(millis), DROPPED), expected, "{millis}");
        }
        // Another code has its own limit.
        assert!(limiter.decide(at(500), OTHER).is_logged);
        assert_eq!(limiter.decide(at(999), DROPPED), Decision { hidden_before: 0, is_logged: false });
        assert_eq!(limiter.decide(at(1_000), DROPPED), Decision { hidden_before: 491, is_logged: true });
        assert_eq!(limiter.decide(at(1_001), DROPPED), Decision { hidden_before: 0, is_logged: true });
    }

    #[test]
    fn the_number_is_printed_without_another_note_and_once() {
        let mut limiter = Limiter::default();
        repeat(&mut limiter, 12, at(0), DROPPED);
        repeat(&mut limiter, 10, at(0), OTHER);
        assert!(limiter.has_hidden());
        assert_eq!(limiter.end_windows(at(999)), []);
        assert_eq!(limiter.end_windows(at(1_000)), [(DROPPED, 2)]);
        assert_eq!(limiter.end_windows(at(9_000)), []);
        assert!(limiter.windows.is_empty() && !limiter.has_hidden());
        repeat(&mut limiter, 15, at(9_000), DROPPED);
        assert_eq!(limiter.end_all(), [(DROPPED, 5)]);
        assert_eq!(limiter.end_all(), []);
    }

    #[test]
    fn each_note_is_logged_or_counted_for_any_times() {
        let mut limiter = Limiter::default();
        let (mut logged, mut hidden, mut now) = (0, 0, 0_u64);
        for step in 0..10_000_u64 {
            // Steps of 0 to 88 ms, and sometimes the time leaps or runs backwards.
            now = match step % 97 {
                50 => now.saturating_sub(3_000),
                70 => now + 10_000,
                more => now + step * more % 89,
            };
            let decision = limiter.decide(at(now), DROPPED);
            logged += u64::from(decision.is_logged);
            hidden += decision.hidden_before;
            if step % 31 == 0 {
                hidden += limiter.end_windows(at(now)).iter().map(|(_, hidden)| hidden).sum::<u64>();
            }
        }
        hidden += limiter.end_all().iter().map(|(_, hidden)| hidden).sum::<u64>();
        assert_eq!(logged + hidden, 10_000);
        assert!(hidden > 100, "{hidden}");
    }

    #[tokio::test(start_paused = true)]
    async fn the_end_of_a_window_is_awaited_only_after_a_note_was_not_logged() {
        let mut log = LimitedLog::default();
        let note = portolan_stun_agent::ResponderNote::Dropped {
            from: "192.0.2.1:9".parse().unwrap(),
            why: portolan_stun_agent::ResponderDropped::NotStun,
        };
        let start = tokio::time::Instant::now();
        (0..10).for_each(|_| log.note(at(0), &Scope::ROOT, &note));
        let wait = tokio::time::timeout(Duration::from_secs(60), log.window_ended()).await;
        assert!(wait.is_err());
        log.note(at(0), &Scope::ROOT, &note);
        // A wait that is cancelled loses nothing.
        assert!(tokio::time::timeout(Duration::from_millis(1), log.window_ended()).await.is_err());
        log.window_ended().await;
        assert_eq!(start.elapsed(), Duration::from_secs(61));
        log.print_ended(at(1_000));
        assert_eq!(log.state().deadline, None);
    }
}
