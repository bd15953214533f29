//! The lifetimes of mappings as JSON.

use super::{Axis, Loss, axis, text};
use core::net::SocketAddr;
use core::time::Duration;
use portolan_nat::lifetime::{LifetimeEvent, LifetimeRange, LifetimeReport};
use portolan_nat::profile::Conclusion;
use serde::Serialize;

/// Formats an event of the measurement as one line of JSON; `None` for events whose data is in the report.
pub(crate) fn event(event: &LifetimeEvent) -> Option<String> {
    Some(match event {
        LifetimeEvent::Rejected { server, why } => {
            text(&Rejected { event: "lifetime-rejected", server: *server, unknown: why.as_str() })
        }
        LifetimeEvent::Begun { server, sockets, expected, .. } => text(&Begun {
            event: "lifetime-begun",
            server: *server,
            sockets: *sockets,
            expected_s: expected.as_secs_f64(),
        }),
        LifetimeEvent::Point { series, idle, alive } => {
            text(&Point { event: "lifetime-point", series: series.to_string(), idle_s: seconds(*idle), alive: *alive })
        }
        LifetimeEvent::Replied(_)
        | LifetimeEvent::Unreplied(_)
        | LifetimeEvent::Absolute(_)
        | LifetimeEvent::Refresh(_)
        | LifetimeEvent::Report(_) => {
            return None;
        }
        // The enum may grow. Unknown events are skipped.
        _ => return None,
    })
}

#[derive(Serialize)]
struct Rejected {
    event: &'static str,
    server: SocketAddr,
    unknown: &'static str,
}

#[derive(Serialize)]
struct Begun {
    event: &'static str,
    server: SocketAddr,
    sockets: usize,
    expected_s: f64,
}

#[derive(Serialize)]
struct Point {
    event: &'static str,
    series: String,
    idle_s: f64,
    alive: bool,
}

/// The whole measurement.
#[derive(Serialize)]
pub(super) struct Lives {
    family: &'static str,
    server: SocketAddr,
    translated: Option<bool>,
    replied: Axis<Range>,
    unreplied: Axis<Range>,
    absolute: Axis<Range>,
    refresh_outbound: Axis<bool>,
    refresh_inbound: Axis<bool>,
    keepalive_s: Option<f64>,
    loss: Loss,
    elapsed_ms: u64,
}

#[derive(Serialize)]
struct Range {
    at_least_s: f64,
    at_most_s: Option<f64>,
}

impl Lives {
    pub(super) fn of(report: &LifetimeReport) -> Self {
        Self {
            family: report.family.as_str(),
            server: report.server,
            translated: report.translated,
            replied: range(&report.replied),
            unreplied: range(&report.unreplied),
            absolute: range(&report.absolute),
            refresh_outbound: axis(&report.refresh.outbound, |does| *does),
            refresh_inbound: axis(&report.refresh.inbound, |does| *does),
            keepalive_s: report.recommended_keepalive.map(seconds),
            loss: Loss::of(report.path),
            elapsed_ms: u64::try_from(report.elapsed.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

fn range(verdict: &Conclusion<LifetimeRange>) -> Axis<Range> {
    axis(verdict, |range| Range { at_least_s: seconds(range.at_least), at_most_s: range.at_most.map(seconds) })
}

/// Converts to seconds, rounded to the millisecond.
fn seconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e3).round() / 1e3
}
