//! The clock of a driver, and the driver's one timer.
//!
//! The clock is tokio's and not the system's, so that `tokio::time::pause` also pauses the machine's time in tests.

use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;
use portolan_machine::{Deadline, Instant};
use tokio::time::Sleep;

/// A monotonic clock. Its origin is the moment when the clock was started.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    origin: tokio::time::Instant,
}

impl Clock {
    /// Starts a clock. Its current time is [`Instant::ORIGIN`].
    #[must_use]
    pub fn start() -> Self {
        Self { origin: tokio::time::Instant::now() }
    }

    /// The time since the clock was started.
    #[must_use]
    pub fn now(&self) -> Instant {
        Instant::from_origin(self.origin.elapsed())
    }

    /// Converts `at` to tokio's time. `None` if tokio's time cannot represent `at`.
    fn tokio(&self, at: Instant) -> Option<tokio::time::Instant> {
        self.origin.checked_add(at.since_origin())
    }
}

/// The machine's deadline, and the timer for it.
#[derive(Debug)]
pub(crate) struct Schedule {
    wait: Option<Deadline>,
    /// The time of the last [`Input::Timeout`](portolan_machine::Input::Timeout).
    last_timeout: Option<Instant>,
    /// Whether the machine's deadline is not later than the last timeout.
    stuck: bool,
    /// The time for which the timer is set, and the timer.
    sleep: Option<(Instant, Pin<Box<Sleep>>)>,
}

impl Schedule {
    /// The delay of a stuck deadline after the last timeout. Without the delay a machine that never moves its deadline
    /// would make the driver loop without a pause.
    pub(crate) const STUCK: Duration = Duration::from_millis(1);

    pub(crate) const fn new() -> Self {
        Self { wait: None, last_timeout: None, stuck: false, sleep: None }
    }

    /// Stores the machine's latest deadline. Returns the purpose of the deadline if the deadline has just become stuck:
    /// it is not later than the last timeout.
    pub(crate) fn set(&mut self, wait: Option<Deadline>) -> Option<&'static str> {
        self.wait = wait;
        let was_stuck = self.stuck;
        self.stuck = matches!((wait, self.last_timeout), (Some(wait), Some(last_timeout)) if wait.at <= last_timeout);
        wait.filter(|_| self.stuck && !was_stuck).map(|wait| wait.why)
    }

    /// Whether the deadline has come at `now`. If so, the caller must pass a timeout to the machine.
    pub(crate) fn take_due(&mut self, now: Instant) -> bool {
        let due = self.at().is_some_and(|at| at <= now);
        if due {
            self.last_timeout = Some(now);
        }
        due
    }

    /// Polls the timer. `Ready` means that the deadline may have come.
    pub(crate) fn poll(&mut self, clock: &Clock, cx: &mut Context<'_>) -> Poll<()> {
        let Some(at) = self.at() else {
            return Poll::Pending;
        };
        if at <= clock.now() {
            return Poll::Ready(());
        }
        let Some(until) = clock.tokio(at) else {
            return Poll::Pending;
        };
        let sleep = match &mut self.sleep {
            Some((set, sleep)) => {
                if *set != at {
                    sleep.as_mut().reset(until);
                    *set = at;
                }
                sleep
            }
            none @ None => &mut none.insert((at, Box::pin(tokio::time::sleep_until(until)))).1,
        };
        sleep.as_mut().poll(cx)
    }

    /// The time of the next timeout.
    fn at(&self) -> Option<Instant> {
        let wait = self.wait?.at;
        Some(match self.last_timeout {
            Some(last_timeout) if self.stuck => last_timeout + Self::STUCK,
            _ => wait,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(millis: u64) -> Option<Deadline> {
        Some(Deadline::new(Instant::from_millis(millis), "test"))
    }

    #[test]
    fn a_deadline_is_due_at_its_time_and_not_earlier() {
        let mut schedule = Schedule::new();
        assert!(!schedule.take_due(Instant::from_millis(99)), "there is no deadline");
        assert_eq!(schedule.set(wait(20)), None);
        assert!(!schedule.take_due(Instant::from_millis(19)));
        assert!(schedule.take_due(Instant::from_millis(20)));
    }

    #[test]
    fn a_stuck_deadline_is_delayed() {
        let mut schedule = Schedule::new();
        schedule.set(wait(20));
        assert!(schedule.take_due(Instant::from_millis(25)));
        assert_eq!(schedule.set(wait(20)), Some("test"), "a stuck deadline is reported");
        assert!(!schedule.take_due(Instant::from_millis(25)), "no busy loop");
        assert!(schedule.take_due(Instant::from_millis(26)));
        assert_eq!(schedule.set(wait(20)), None, "it is reported once");
        assert_eq!(schedule.set(wait(30)), None, "no longer stuck");
        assert!(schedule.take_due(Instant::from_millis(30)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_that_tokio_cannot_represent_never_comes() {
        let mut schedule = Schedule::new();
        schedule.set(Some(Deadline::new(Instant::from_origin(Duration::MAX), "never")));
        let clock = Clock::start();
        let slept = core::future::poll_fn(|cx| schedule.poll(&clock, cx));
        assert!(tokio::time::timeout(Duration::from_secs(3_600), slept).await.is_err());
    }
}
