//! `--datagrams`: each line of the input is a datagram, and each datagram is a line of the output.

use super::error::PunchError;
use super::report::Reporter;
use crate::output;
use portolan_machine::Transmit;
use portolan_punch::puncher::{Path, PunchEvent};
use portolan_punch::session::{Session, SessionEvent};
use portolan_tokio::Driver;
use std::io::{self, BufRead as _};
use tokio::sync::mpsc;

/// Sends each line of the input as a datagram, and prints each datagram as a line. Ends at the end of the input.
pub(super) async fn run(
    driver: &mut Driver<Session>,
    mut path: Path,
    reporter: &mut Reporter,
) -> Result<(), PunchError> {
    let (sender, mut input) = mpsc::channel(64);
    // Reading blocks, and cannot be cancelled. The process does not wait for this thread.
    std::thread::spawn(move || {
        let lines = io::stdin().lock().split(b'\n');
        lines.map_while(Result::ok).try_for_each(|line| sender.blocking_send(line))
    });
    loop {
        let event = tokio::select! {
            line = input.recv() => match line {
                Some(line) => {
                    let sent = driver.send(Transmit::new(path.socket, path.remote, line.into()));
                    if let Err(why) = sent {
                        reporter.line(format_args!("a line was not sent: {why}"));
                    }
                    continue;
                }
                None => return Ok(()),
            },
            event = driver.next() => event,
        };
        match event {
            SessionEvent::Punch(PunchEvent::Data { payload, .. }) => {
                let text = [&payload, &b"\n"[..]].concat();
                if output::write(&text).is_err() {
                    return Ok(());
                }
            }
            SessionEvent::Punch(PunchEvent::Connected { path: new, .. }) => {
                path = new;
                reporter.event(&event, driver.machine());
            }
            SessionEvent::Ended(end) => return Err(PunchError::ended(end, reporter.plan())),
            SessionEvent::Registered { .. } | SessionEvent::Introduced { .. } | SessionEvent::Punch(_) | _ => {
                reporter.event(&event, driver.machine());
            }
        }
    }
}
