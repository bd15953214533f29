//! Deadlines, under paused time.

use crate::recorder::{Mode, Recorded, RecorderExt as _, recorder};
use core::time::Duration;
use portolan_machine::{Cx, Deadline, Input, Instant, Machine, Never, Output, Protocol, Verdict};
use portolan_tokio::Driver;

const MS: Duration = Duration::from_millis(1);

#[tokio::test(start_paused = true)]
async fn a_deadline_causes_a_timeout_when_it_is_due_and_not_before() {
    let mut driver = recorder(Mode::Record);
    for millis in [1, 250, 3_600_000] {
        let at = driver.now() + MS * millis;
        driver.with(|machine, _| machine.wait = Some(Deadline::new(at, "test")));
        match driver.next().await {
            Recorded::Timeout(now) => assert!(at <= now && now <= at + 2 * MS, "{now} for {at}"),
            other => panic!("got {other:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_changed_deadline_replaces_the_old_one() {
    let mut driver = recorder(Mode::Record);
    let start = driver.now();
    driver.with(|machine, _| machine.wait = Some(Deadline::new(start + 100 * MS, "first")));
    assert!(tokio::time::timeout(50 * MS, driver.next()).await.is_err());
    driver.with(|machine, _| machine.wait = Some(Deadline::new(start + 300 * MS, "later")));
    assert!(tokio::time::timeout(200 * MS, driver.next()).await.is_err(), "the first deadline no longer counts");
    driver.with(|machine, _| machine.wait = Some(Deadline::new(start + 260 * MS, "earlier again")));
    assert!(matches!(driver.next().await, Recorded::Timeout(at) if at >= start + 260 * MS && at < start + 270 * MS));
}

#[tokio::test(start_paused = true)]
async fn a_deadline_in_the_past_causes_a_timeout_at_once() {
    let mut driver = recorder(Mode::Record);
    tokio::time::advance(500 * MS).await;
    driver.with(|machine, _| machine.wait = Some(Deadline::new(Instant::ORIGIN, "long ago")));
    let event = driver.next().await;
    assert!(matches!(event, Recorded::Timeout(at) if at < Instant::ORIGIN + 502 * MS), "{event:?}");
}

#[tokio::test(start_paused = true)]
async fn without_a_deadline_there_is_no_timeout() {
    let mut driver = recorder(Mode::Record);
    driver.opened(Protocol::Udp, "127.0.0.1:0").await;
    assert!(tokio::time::timeout(Duration::from_secs(86_400), driver.next()).await.is_err());
}

/// A machine that breaks the law of waits: its deadline never changes.
#[derive(Default)]
struct ConstantDeadline {
    timeouts: u32,
}

impl Machine for ConstantDeadline {
    type Command = Never;
    type Error = Never;
    type Event = u32;

    fn command(&mut self, _: &mut Cx<'_>, command: Never) -> Result<(), Never> {
        match command {}
    }

    fn handle(&mut self, _: &mut Cx<'_>, _: Input<'_>) -> Verdict {
        self.timeouts += 1;
        Verdict::Mine
    }

    fn poll(&mut self) -> Output<u32> {
        Output::Wait(Some(Deadline::new(Instant::ORIGIN, "nothing")))
    }
}

#[tokio::test(start_paused = true)]
async fn a_deadline_that_stays_due_causes_no_busy_loop() {
    let mut driver = Driver::new(ConstantDeadline::default()).unwrap();
    assert!(tokio::time::timeout(100 * MS, driver.next()).await.is_err());
    let timeouts = driver.machine().timeouts;
    assert!((10..=102).contains(&timeouts), "{timeouts} timeouts in 100 ms");
}
