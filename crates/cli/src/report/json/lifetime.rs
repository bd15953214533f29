//! The events of a lifetime measurement as JSON.

use super::text;
use core::net::SocketAddr;
use core::time::Duration;
use portolan_nat::lifetime::LifetimeEvent;
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

/// Converts to seconds, rounded to the millisecond.
fn seconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e3).round() / 1e3
}
