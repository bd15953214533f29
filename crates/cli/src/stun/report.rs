//! What came back, as text and as JSON, schema `portolan.stun/1` (docs/json.md).

use super::Reply;
use crate::explain::report::{JsonLine, json_lines, lines};
use crate::output::milliseconds;
use core::fmt::Write;
use core::net::SocketAddr;
use portolan_machine::Protocol;
use portolan_stun::Integrity;
use serde::Serialize;

const SCHEMA: &str = "portolan.stun/1";

/// What an answer says.
#[derive(Serialize)]
pub(super) struct Report {
    schema: &'static str,
    server: Server,
    transport: &'static str,
    local: SocketAddr,
    outcome: &'static str,
    mapped: Option<SocketAddr>,
    rtt_ms: Option<f64>,
    sends: u32,
    error: Option<Refusal>,
    software: Option<String>,
    other_address: Option<SocketAddr>,
    response_origin: Option<SocketAddr>,
    alternate_server: Option<SocketAddr>,
    verified: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    explained: Option<Explained>,
}

#[derive(Serialize)]
struct Server {
    name: Box<str>,
    address: SocketAddr,
}

/// An error response's code and reason.
#[derive(Serialize)]
struct Refusal {
    code: u16,
    reason: String,
}

#[derive(Serialize)]
struct Explained {
    request: Vec<JsonLine>,
    response: Vec<JsonLine>,
}

/// A line of events.
#[derive(Serialize)]
struct Line<'a> {
    event: &'static str,
    at_ms: f64,
    what: &'a str,
}

impl Report {
    /// Reads the response.
    pub(super) fn of(reply: &Reply) -> Self {
        let response = &reply.response;
        let facts = &response.facts;
        let outcome = match (&facts.error, facts.mapped) {
            (Some(_), _) => "refused",
            (None, Some(_)) => "answered",
            (None, None) => "no-mapped-address",
        };
        Self {
            schema: SCHEMA,
            server: Server { name: reply.name.clone(), address: reply.server },
            transport: word(reply.protocol),
            local: response.local,
            outcome,
            mapped: facts.mapped,
            rtt_ms: response.round_trip.map(milliseconds),
            sends: response.sends,
            error: facts.error.as_ref().map(|error| Refusal { code: error.code, reason: shown(&error.reason) }),
            software: facts.software.as_deref().map(shown),
            other_address: facts.other_address,
            response_origin: facts.response_origin,
            alternate_server: facts.alternate_server,
            verified: response.integrity.map(|integrity| match integrity {
                Integrity::Sha1 => "sha1",
                Integrity::Sha256 { .. } => "sha256",
            }),
            explained: reply
                .explain
                .then(|| Explained { request: json_lines(&reply.request), response: json_lines(&response.message) }),
        }
    }

    /// Whether a mapped address came back.
    pub(super) const fn is_good(&self) -> bool {
        self.mapped.is_some()
    }

    /// As one line of JSON, the last of several where it is an event.
    pub(super) fn json(&self, event: Option<&'static str>) -> String {
        let with_event = WithEvent { event, report: self };
        // Nothing in it can fail: no map has other keys than text.
        serde_json::to_string(&with_event).unwrap_or_default() + "\n"
    }
}

#[derive(Serialize)]
struct WithEvent<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<&'static str>,
    #[serde(flatten)]
    report: &'a Report,
}

/// Whether the server has proved that it knows the user; nothing where nobody was named and nobody was asked for.
fn verified(reply: &Reply, report: &Report) -> Option<String> {
    let code = report.error.as_ref().map(|error| error.code);
    Some(match (report.verified, reply.is_named, code) {
        (Some("sha1"), ..) => "the server knows the user's password (HMAC-SHA1)".into(),
        (Some(_), ..) => "the server knows the user's password (HMAC-SHA-256)".into(),
        (None, true, _) => "no: the server did not ask who you are".into(),
        (None, false, Some(401)) => "no: it asks who you are, see --user".into(),
        (None, false, _) => return None,
    })
}

/// The report for people.
pub(super) fn human(reply: &Reply, report: &Report) -> String {
    let mut text = String::new();
    let from = format!("{} ({}, {})", report.server.name, report.server.address, report.transport);
    // Writing to a string cannot fail.
    let _ = match (&report.mapped, &report.error) {
        (Some(mapped), _) => writeln!(text, "{from} sees you at {mapped}."),
        (None, Some(error)) => writeln!(text, "{from} refuses: {} {}.", error.code, error.reason),
        (None, None) => writeln!(text, "{from} answers without an address."),
    };
    let rtt = match report.rtt_ms {
        Some(rtt) => format!("{rtt:.1} ms"),
        None => format!("unknown, the request was sent {} times", report.sends),
    };
    let mut fact = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            let _ = writeln!(text, "  {name:<17}{value}");
        }
    };
    fact("sent from", Some(report.local.to_string()));
    fact("round trip", Some(rtt));
    fact("software", report.software.clone());
    fact("other address", report.other_address.map(|address| address.to_string()));
    fact("answered from", report.response_origin.map(|address| address.to_string()));
    fact("verified", verified(reply, report));
    fact("ask instead", report.alternate_server.map(|address| address.to_string()));
    if reply.explain {
        for (what, bytes) in [("Request", &reply.request), ("Response", &reply.response.message)] {
            let _ = write!(text, "\n{what}, {} bytes\n{}", bytes.len(), lines(bytes, "").0);
        }
    }
    text
}

/// Something that happened, as a line of JSON.
pub(super) fn event(event: &'static str, at_ms: f64, what: &str) -> String {
    serde_json::to_string(&Line { event, at_ms, what }).unwrap_or_default() + "\n"
}

pub(super) const fn word(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Udp => "udp",
        Protocol::Tcp | Protocol::TcpListen => "tcp",
        Protocol::Tls | Protocol::TlsListen => "tls",
    }
}

/// The text of a peer without control characters, which a terminal would obey.
fn shown(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
