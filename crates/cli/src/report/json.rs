//! The report as JSON, schema `portolan.nat/1`; `docs/json.md` describes every field.
//!
//! A field keeps its meaning under one schema name; fields may be added. A verdict always has its four fields. Numbers
//! are milliseconds or probabilities, addresses are text.

mod lifetime;

pub(crate) use lifetime::event as lifetime_event;

use super::ReportData;
use crate::output::milliseconds;
use crate::vantage::Vantage;
use core::net::SocketAddr;
use portolan_nat::behavior::{ClassicType, Filtering, Hairpin, Mapping, Pooling, PortAllocation};
use portolan_nat::event::DiscoveryEvent;
use portolan_nat::lifetime::LifetimeReport;
use portolan_nat::profile::{Conclusion, Family as Measured, FamilyReport, Flaw, Path, Reachability, ServerReport};
use serde::Serialize;

/// The name of the schema.
const SCHEMA: &str = "portolan.nat/1";

/// Formats the report as one line of JSON.
pub(crate) fn report(data: &ReportData) -> String {
    text(&Document::of(data, None))
}

/// Formats the report as the last line of the events.
pub(crate) fn last(data: &ReportData) -> String {
    text(&Document::of(data, Some("report")))
}

/// Formats an event as one line of JSON; `None` for the report, which needs more data than the event has.
pub(crate) fn event(event: &DiscoveryEvent) -> Option<String> {
    Some(match event {
        DiscoveryEvent::Public { family, endpoint, local } => text(&Line {
            event: "public",
            family: family.as_str(),
            rest: Public { endpoint: *endpoint, local: *local },
        }),
        DiscoveryEvent::Nat { family, nat } => {
            text(&Line { event: "nat", family: family.as_str(), rest: Nat { nat: nat.as_str() } })
        }
        DiscoveryEvent::Mapping { family, conclusion } => {
            text(&Line { event: "mapping", family: family.as_str(), rest: conclusion })
        }
        DiscoveryEvent::Filtering { family, conclusion } => {
            text(&Line { event: "filtering", family: family.as_str(), rest: conclusion })
        }
        DiscoveryEvent::Flaw { family, server, flaw } => {
            text(&Line { event: "flaw", family: family.as_str(), rest: Caught { server: *server, flaw: *flaw } })
        }
        DiscoveryEvent::Report(_) => return None,
        // The enum may grow. Unknown events are skipped.
        _ => return None,
    })
}

/// Formats a change between two runs of `--watch` as one line of JSON.
pub(crate) fn change(family: &'static str, what: &'static str, was: &str, is: &str) -> String {
    text(&Line { event: "change", family, rest: Change { what, was, is } })
}

fn text<T: Serialize>(value: &T) -> String {
    // Serialization cannot fail: every map key is text, and no `Serialize` returns an error.
    serde_json::to_string(value).unwrap_or_default()
}

#[derive(Serialize)]
struct Line<T> {
    event: &'static str,
    family: &'static str,
    #[serde(flatten)]
    rest: T,
}

#[derive(Serialize)]
struct Public {
    endpoint: SocketAddr,
    local: SocketAddr,
}

#[derive(Serialize)]
struct Nat {
    nat: &'static str,
}

#[derive(Serialize)]
struct Caught {
    server: SocketAddr,
    flaw: Flaw,
}

#[derive(Serialize)]
struct Change<'a> {
    what: &'static str,
    was: &'a str,
    is: &'a str,
}

#[derive(Serialize)]
struct Document<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<&'static str>,
    schema: &'static str,
    families: Vec<Family<'a>>,
    elapsed_ms: u64,
    simulated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    lifetime: Option<&'a LifetimeReport>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    story: &'a [String],
}

impl<'a> Document<'a> {
    fn of(data: &'a ReportData, event: Option<&'static str>) -> Self {
        Self {
            event,
            schema: SCHEMA,
            families: data.report.families.iter().map(|family| Family::of(family, data)).collect(),
            elapsed_ms: u64::try_from(data.report.elapsed.as_millis()).unwrap_or(u64::MAX),
            simulated: data.simulation.is_some(),
            lifetime: data.lifetime.as_ref(),
            story: &data.story,
        }
    }
}

#[derive(Serialize)]
struct Family<'a> {
    family: Measured,
    vantage: Option<&'static str>,
    nat: &'static str,
    public: &'a [SocketAddr],
    local: Option<SocketAddr>,
    mapping: &'a Conclusion<Mapping>,
    filtering: &'a Conclusion<Filtering>,
    #[serde(rename = "type")]
    kind: ClassicType,
    hairpin: &'a Conclusion<Hairpin>,
    port_allocation: &'a Conclusion<PortAllocation>,
    port_preservation: &'a Conclusion<bool>,
    pooling: &'a Conclusion<Pooling>,
    alg: &'a Conclusion<bool>,
    multi_homed: &'a Conclusion<bool>,
    double_nat: &'a Conclusion<bool>,
    unavailable: Option<String>,
    rtt_ms: Option<f64>,
    loss: Path,
    servers: Vec<Server<'a>>,
}

impl<'a> Family<'a> {
    fn of(report: &'a FamilyReport, data: &'a ReportData) -> Self {
        let details = &report.details;
        Self {
            family: report.family,
            vantage: Vantage::of(report).map(Vantage::as_str),
            nat: report.device(),
            public: &report.public,
            local: report.local,
            kind: report.classic_type(),
            mapping: &report.mapping,
            filtering: &report.filtering,
            hairpin: &details.hairpin,
            port_allocation: &details.port_allocation,
            port_preservation: &details.port_preservation,
            pooling: &details.pooling,
            alg: &details.alg,
            multi_homed: &details.multi_homed,
            double_nat: &details.double_nat,
            unavailable: match report.reach {
                Reachability::Unavailable(why) => Some(why.to_string()),
                Reachability::Available | Reachability::Blocked | Reachability::Unknown => None,
            },
            rtt_ms: report.path.rtt.map(milliseconds),
            loss: report.path,
            servers: report.servers.iter().map(|server| Server::of(server, data)).collect(),
        }
    }
}

#[derive(Serialize)]
struct Server<'a> {
    name: &'a str,
    address: SocketAddr,
    rtt_ms: Option<f64>,
    other_address: Option<SocketAddr>,
    flaws: &'a [Flaw],
}

impl<'a> Server<'a> {
    fn of(report: &'a ServerReport, data: &'a ReportData) -> Self {
        Self {
            name: data.server(report.server),
            address: report.address,
            rtt_ms: report.rtt.map(milliseconds),
            other_address: report.other_address,
            flaws: &report.flaws,
        }
    }
}

#[cfg(test)]
mod tests;
