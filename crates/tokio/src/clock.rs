//! Tokio's clock in the machine's words, and the one sleep of a driver.
//!
//! Tokio's clock rather than the system's: under `tokio::time::pause` a test's time is the machine's time.

use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;
use portolan_machine::{Deadline, Instant};
use tokio::time::Sleep;

/// A monotonic clock whose origin is the moment it was made.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    origin: tokio::time::Instant,
}

impl Clock {
    /// Starts at [`Instant::ORIGIN`] now.
    #[must_use]
    pub fn start() -> Self {
        Self { origin: tokio::time::Instant::now() }
    }

    /// The time since the clock was started.
    #[must_use]
    pub fn now(&self) -> Instant {
        Instant::from_origin(self.origin.elapsed())
    }

    /// When `at` is for tokio; `None` where it lies past the end of tokio's time.
    fn tokio(&self, at: Instant) -> Option<tokio::time::Instant> {
        self.origin.checked_add(at.since_origin())
    }
}

/// What a machine waits for, and the sleep until then.
#[derive(Debug)]
pub(crate) struct Schedule {
    wait: Option<Deadline>,
    /// When the machine was last told that time has passed.
    told: Option<Instant>,
    /// Whether the wait did not move on after that.
    stuck: bool,
    /// The moment the sleep is set to, and the sleep.
    sleep: Option<(Instant, Pin<Box<Sleep>>)>,
}

impl Schedule {
    /// How long a deadline is put off that did not move on after a timeout. Without it a machine that breaks the law
    /// of waits would take a whole core.
    pub(crate) const STUCK: Duration = Duration::from_millis(1);

    pub(crate) const fn new() -> Self {
        Self { wait: None, told: None, stuck: false, sleep: None }
    }

    /// Keeps the machine's latest wait. Returns what it is for if it has become stuck: not later than the last timeout.
    pub(crate) fn set(&mut self, wait: Option<Deadline>) -> Option<&'static str> {
        self.wait = wait;
        let was_stuck = self.stuck;
        self.stuck = matches!((wait, self.told), (Some(wait), Some(told)) if wait.at <= told);
        wait.filter(|_| self.stuck && !was_stuck).map(|wait| wait.why)
    }

    /// Whether the machine wants to hear at `now` that time has passed; it is then taken as told.
    pub(crate) fn take_due(&mut self, now: Instant) -> bool {
        let due = self.at().is_some_and(|at| at <= now);
        if due {
            self.told = Some(now);
        }
        due
    }

    /// Ready when the deadline may have come.
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

    /// The moment to wake at.
    fn at(&self) -> Option<Instant> {
        let wait = self.wait?.at;
        Some(match self.told {
            Some(told) if self.stuck => told + Self::STUCK,
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
    fn a_deadline_is_told_when_it_comes_and_not_before() {
        let mut schedule = Schedule::new();
        assert!(!schedule.take_due(Instant::from_millis(99)), "nothing is waited for");
        assert_eq!(schedule.set(wait(20)), None);
        assert!(!schedule.take_due(Instant::from_millis(19)));
        assert!(schedule.take_due(Instant::from_millis(20)));
    }

    #[test]
    fn a_deadline_that_does_not_move_on_is_put_off() {
        let mut schedule = Schedule::new();
        schedule.set(wait(20));
        assert!(schedule.take_due(Instant::from_millis(25)));
        assert_eq!(schedule.set(wait(20)), Some("test"), "stuck, and says so");
        assert!(!schedule.take_due(Instant::from_millis(25)), "no busy loop");
        assert!(schedule.take_due(Instant::from_millis(26)));
        assert_eq!(schedule.set(wait(20)), None, "still stuck, said once");
        assert_eq!(schedule.set(wait(30)), None, "moved on");
        assert!(schedule.take_due(Instant::from_millis(30)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_past_the_end_of_time_never_comes() {
        let mut schedule = Schedule::new();
        schedule.set(Some(Deadline::new(Instant::from_origin(Duration::MAX), "never")));
        let clock = Clock::start();
        let slept = core::future::poll_fn(|cx| schedule.poll(&clock, cx));
        assert!(tokio::time::timeout(Duration::from_secs(3_600), slept).await.is_err());
    }
}
