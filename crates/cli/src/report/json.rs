//! The report as JSON, schema `portolan.nat/1`; `docs/json.md` describes every field.
//!
//! A field keeps its meaning under one schema name; fields may be added. A verdict always has its four fields. Numbers
//! are milliseconds or probabilities, addresses are text.

mod lifetime;

pub(crate) use lifetime::event as lifetime_event;

use super::ReportData;
use super::confidence::two_digits;
use crate::vantage::Vantage;
use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;
use portolan_nat::event::DiscoveryEvent;
use portolan_nat::profile::{Conclusion, FamilyReport, Finding, Flaw, Path, Reachability, ServerReport};
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
            text(&Line { event: "mapping", family: family.as_str(), rest: word(conclusion) })
        }
        DiscoveryEvent::Filtering { family, conclusion } => {
            text(&Line { event: "filtering", family: family.as_str(), rest: word(conclusion) })
        }
        DiscoveryEvent::Flaw { family, server, flaw } => text(&Line {
            event: "flaw",
            family: family.as_str(),
            rest: Caught { server: *server, flaw: flaw_code(*flaw) },
        }),
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
    flaw: String,
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
    lifetime: Option<lifetime::Lives>,
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
            lifetime: data.lifetime.as_ref().map(lifetime::Lives::of),
            story: &data.story,
        }
    }
}

#[derive(Serialize)]
struct Family<'a> {
    family: &'static str,
    vantage: Option<&'static str>,
    nat: &'static str,
    public: &'a [SocketAddr],
    local: Option<SocketAddr>,
    mapping: Axis<&'static str>,
    filtering: Axis<&'static str>,
    #[serde(rename = "type")]
    kind: &'static str,
    hairpin: Axis<&'static str>,
    port_allocation: Axis<String>,
    port_preservation: Axis<bool>,
    pooling: Axis<&'static str>,
    alg: Axis<bool>,
    multi_homed: Axis<bool>,
    double_nat: Axis<bool>,
    unavailable: Option<String>,
    rtt_ms: Option<f64>,
    loss: Loss,
    servers: Vec<Server<'a>>,
}

impl<'a> Family<'a> {
    fn of(report: &'a FamilyReport, data: &'a ReportData) -> Self {
        let details = &report.details;
        Self {
            family: report.family.as_str(),
            vantage: Vantage::of(report).map(Vantage::as_str),
            nat: nat(report),
            public: &report.public,
            local: report.local,
            kind: report.classic_type().as_str(),
            mapping: axis(&report.mapping, |mapping| mapping.as_str()),
            filtering: axis(&report.filtering, |filtering| filtering.as_str()),
            hairpin: axis(&details.hairpin, |hairpin| hairpin.as_str()),
            port_allocation: axis(&details.port_allocation, ToString::to_string),
            port_preservation: axis(&details.port_preservation, |kept| *kept),
            pooling: axis(&details.pooling, |pooling| pooling.as_str()),
            alg: axis(&details.alg, |rewrites| *rewrites),
            multi_homed: axis(&details.multi_homed, |several| *several),
            double_nat: axis(&details.double_nat, |two| *two),
            unavailable: match report.reach {
                Reachability::Unavailable(why) => Some(why.to_string()),
                Reachability::Available | Reachability::Blocked | Reachability::Unknown => None,
            },
            rtt_ms: report.path.rtt.map(milliseconds),
            loss: Loss::of(report.path),
            servers: report.servers.iter().map(|server| Server::of(server, data)).collect(),
        }
    }
}

/// Returns the word for the kind of NAT.
pub(crate) fn nat(report: &FamilyReport) -> &'static str {
    match (report.reach, report.nat) {
        (Reachability::Unavailable(_), _) => "unavailable",
        (Reachability::Available | Reachability::Blocked | Reachability::Unknown, Some(kind)) => kind.as_str(),
        (Reachability::Available | Reachability::Blocked | Reachability::Unknown, None) => "unknown",
    }
}

#[derive(Serialize)]
struct Axis<T> {
    value: Option<T>,
    unknown: Option<&'static str>,
    p_wrong: Option<f64>,
    evidence: Vec<String>,
}

fn axis<T, U>(verdict: &Conclusion<T>, describe: impl Fn(&T) -> U) -> Axis<U> {
    let (value, unknown, p_wrong) = match &verdict.finding {
        Finding::Value { value, p_wrong } => (Some(describe(value)), None, Some(two_digits(*p_wrong))),
        Finding::Unknown(why) => (None, Some(why.as_str()), None),
    };
    Axis { value, unknown, p_wrong, evidence: verdict.evidence.iter().map(ToString::to_string).collect() }
}

fn word<T: fmt::Display>(verdict: &Conclusion<T>) -> Axis<String> {
    axis(verdict, ToString::to_string)
}

#[derive(Serialize)]
struct Loss {
    sent: u32,
    answered: u32,
}

impl Loss {
    const fn of(path: Path) -> Self {
        Self { sent: path.sent, answered: path.answered }
    }
}

#[derive(Serialize)]
struct Server<'a> {
    name: &'a str,
    address: SocketAddr,
    rtt_ms: Option<f64>,
    other_address: Option<SocketAddr>,
    flaws: Vec<String>,
}

impl<'a> Server<'a> {
    fn of(report: &ServerReport, data: &'a ReportData) -> Self {
        Self {
            name: data.server(report.server),
            address: report.address,
            rtt_ms: report.rtt.map(milliseconds),
            other_address: report.other_address,
            flaws: report.flaws.iter().map(|flaw| flaw_code(*flaw)).collect(),
        }
    }
}

/// Converts to milliseconds, rounded to the microsecond.
fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

fn flaw_code(flaw: Flaw) -> String {
    let code = match flaw {
        Flaw::Silent => "silent",
        Flaw::NoOtherAddress => "no-other-address",
        Flaw::OtherAddressInvalid => "other-address-invalid",
        Flaw::OtherAddressSilent => "other-address-silent",
        Flaw::ChangeRequestIgnored => "change-request-ignored",
        Flaw::ChangeRequestRefused(code) => return format!("change-request-refused-{code}"),
        Flaw::ChangeRequestUnanswered => "change-request-unanswered",
        Flaw::AnswersFromElsewhere => "answers-from-elsewhere",
        Flaw::Unstable => "unstable",
        Flaw::Contradicted => "contradicted",
        Flaw::Error(code) => return format!("error-{code}"),
        Flaw::Garbage => "garbage",
        Flaw::SameForAll => "same-for-all",
        Flaw::MappedAddressInvalid => "mapped-address-invalid",
        // The enum may grow. An unknown flaw is named by its `Display` text.
        other => return other.to_string().replace(' ', "-"),
    };
    code.to_owned()
}

#[cfg(test)]
mod tests;
