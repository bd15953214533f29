//! Deadlines, under paused time.

use crate::puppet::{Habit, Heard, Strings as _, puppet};
use core::time::Duration;
use portolan_machine::{Cx, Deadline, Input, Instant, Machine, Never, Output, Protocol, Verdict};
use portolan_tokio::Driver;

const MS: Duration = Duration::from_millis(1);

#[tokio::test(start_paused = true)]
async fn a_deadline_wakes_when_it_is_due_and_not_before() {
    let mut driver = puppet(Habit::Tells);
    for millis in [1, 250, 3_600_000] {
        let at = driver.now() + MS * millis;
        driver.with(|puppet, _| puppet.wait = Some(Deadline::new(at, "test")));
        match driver.next().await {
            Heard::Timeout(now) => assert!(at <= now && now <= at + 2 * MS, "{now} for {at}"),
            other => panic!("heard {other:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_deadline_that_moves_is_followed() {
    let mut driver = puppet(Habit::Tells);
    let start = driver.now();
    driver.with(|puppet, _| puppet.wait = Some(Deadline::new(start + 100 * MS, "first")));
    assert!(tokio::time::timeout(50 * MS, driver.next()).await.is_err());
    driver.with(|puppet, _| puppet.wait = Some(Deadline::new(start + 300 * MS, "later")));
    assert!(tokio::time::timeout(200 * MS, driver.next()).await.is_err(), "the first one is gone");
    driver.with(|puppet, _| puppet.wait = Some(Deadline::new(start + 260 * MS, "earlier again")));
    assert!(matches!(driver.next().await, Heard::Timeout(at) if at >= start + 260 * MS && at < start + 270 * MS));
}

#[tokio::test(start_paused = true)]
async fn a_deadline_in_the_past_is_told_at_once() {
    let mut driver = puppet(Habit::Tells);
    tokio::time::advance(500 * MS).await;
    driver.with(|puppet, _| puppet.wait = Some(Deadline::new(Instant::ORIGIN, "long ago")));
    let told = driver.next().await;
    assert!(matches!(told, Heard::Timeout(at) if at < Instant::ORIGIN + 502 * MS), "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn without_a_deadline_nothing_wakes() {
    let mut driver = puppet(Habit::Tells);
    driver.opened(Protocol::Udp, "127.0.0.1:0").await;
    assert!(tokio::time::timeout(Duration::from_secs(86_400), driver.next()).await.is_err());
}

/// Breaks the law of waits: its deadline never moves on.
#[derive(Default)]
struct Stuck {
    asked: u32,
}

impl Machine for Stuck {
    type Command = Never;
    type Error = Never;
    type Event = u32;

    fn command(&mut self, _: &mut Cx<'_>, command: Never) -> Result<(), Never> {
        match command {}
    }

    fn handle(&mut self, _: &mut Cx<'_>, _: Input<'_>) -> Verdict {
        self.asked += 1;
        Verdict::Mine
    }

    fn poll(&mut self) -> Output<u32> {
        Output::Wait(Some(Deadline::new(Instant::ORIGIN, "nothing")))
    }
}

#[tokio::test(start_paused = true)]
async fn a_deadline_that_does_not_move_on_takes_no_core() {
    let mut driver = Driver::new(Stuck::default()).unwrap();
    assert!(tokio::time::timeout(100 * MS, driver.next()).await.is_err());
    let asked = driver.machine().asked;
    assert!((10..=102).contains(&asked), "asked {asked} times in 100 ms");
}
