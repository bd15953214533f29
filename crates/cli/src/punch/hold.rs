//! `--hold`: the path stays open without data, until the input ends or a signal arrives.
//!
//! The session answers probes, sends keepalives, and punches again if the path is lost.

use super::error::PunchError;
use super::report::Reporter;
use crate::signals::StopSignal;
use portolan_punch::puncher::{Path, PunchEvent};
use portolan_punch::session::{Session, SessionEvent};
use portolan_tokio::Driver;
use std::io;
use tokio::sync::oneshot;

/// Holds the path.
pub(super) async fn run(driver: &mut Driver<Session>, path: Path, reporter: &mut Reporter) -> Result<(), PunchError> {
    let mut stop = StopSignal::register().map_err(PunchError::Start)?;
    let (sender, mut end) = oneshot::channel::<()>();
    // Reading blocks, and cannot be cancelled. The process does not wait for this thread.
    std::thread::spawn(move || {
        let _copied = io::copy(&mut io::stdin().lock(), &mut io::sink());
        drop(sender);
    });
    reporter.held(driver.machine(), path)?;
    loop {
        let event = tokio::select! {
            _ended = &mut end => return Ok(()),
            () = stop.received() => return Ok(()),
            event = driver.next() => event,
        };
        match event {
            SessionEvent::Punch(PunchEvent::Connected { path, .. }) => {
                reporter.event(&event, driver.machine());
                reporter.held(driver.machine(), path)?;
            }
            SessionEvent::Ended(end) => return Err(PunchError::ended(end, reporter.plan())),
            SessionEvent::Registered { .. } | SessionEvent::Introduced { .. } | SessionEvent::Punch(_) | _ => {
                reporter.event(&event, driver.machine());
            }
        }
    }
}
