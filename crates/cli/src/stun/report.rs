//! The response as text and as JSON, schema `portolan.stun/1` (docs/json.md).

use super::Reply;
use crate::dissect::{JsonLine, json_lines, lines};
use crate::output::{self, milliseconds};
use core::fmt::Write;
use core::net::SocketAddr;
use portolan_machine::Protocol;
use portolan_stun::Integrity;
use serde::Serialize;

const SCHEMA: &str = "portolan.stun/1";

/// The contents of the response.
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

/// The code and the reason phrase of an error response.
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

/// An event as a line of JSON.
#[derive(Serialize)]
struct Line<'a> {
    event: &'static str,
    at_ms: f64,
    what: &'a str,
}

impl Report {
    /// Reads the contents of the response.
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
            transport: protocol_name(reply.protocol),
            local: response.local,
            outcome,
            mapped: facts.mapped,
            rtt_ms: response.round_trip.map(milliseconds),
            sends: response.sends,
            error: facts
                .error
                .as_ref()
                .map(|error| Refusal { code: error.code, reason: without_controls(&error.reason) }),
            software: facts.software.as_deref().map(without_controls),
            other_address: facts.other_address,
            response_origin: facts.response_origin,
            alternate_server: facts.alternate_server,
            verified: response.integrity.map(|integrity| match integrity {
                Integrity::Sha1 => "sha1",
                Integrity::Sha256 { .. } => "sha256",
            }),
            explained: reply.explain.then(|| Explained {
                request: json_lines(&reply.request, false),
                response: json_lines(&response.message, false),
            }),
        }
    }

    /// Whether the response has a mapped address.
    pub(super) const fn has_mapped_address(&self) -> bool {
        self.mapped.is_some()
    }

    /// Formats the report as one line of JSON, for `jsonl` with the name of the event.
    pub(super) fn json(&self, event: Option<&'static str>) -> String {
        let with_event = WithEvent { event, report: self };
        // Serialization cannot fail: every map key is text.
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

/// Describes the verification; `None` if no user was given and the server required none.
fn verified(reply: &Reply, report: &Report) -> Option<String> {
    let code = report.error.as_ref().map(|error| error.code);
    Some(match (report.verified, reply.has_user, code) {
        (Some("sha1"), ..) => "the server has the password of the user (HMAC-SHA1)".into(),
        (Some(_), ..) => "the server has the password of the user (HMAC-SHA-256)".into(),
        (None, true, _) => "no: the server did not require credentials".into(),
        (None, false, Some(401)) => "no: the server requires credentials, see --user".into(),
        (None, false, _) => return None,
    })
}

/// Formats the report as text.
pub(super) fn human(reply: &Reply, report: &Report) -> String {
    let from = format!("{} ({}, {})", report.server.name, report.server.address, report.transport);
    let result = match (&report.mapped, &report.error) {
        (Some(mapped), _) => format!("{from} sees you at {mapped}.\n"),
        (None, Some(error)) => format!("{from} refuses: {} {}.\n", error.code, error.reason),
        (None, None) => format!("{from} sent no mapped address.\n"),
    };
    let mut text = result.clone();
    let rtt = match report.rtt_ms {
        Some(rtt) => format!("{rtt:.1} ms"),
        None => format!("unknown after {}", output::count(report.sends as usize, "transmission")),
    };
    let mut fact = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "  {name:<17}{value}");
        }
    };
    fact("sent from", Some(report.local.to_string()));
    fact("round trip", Some(rtt));
    fact("software", report.software.clone());
    fact("other address", report.other_address.map(|address| address.to_string()));
    fact("response origin", report.response_origin.map(|address| address.to_string()));
    fact("verified", verified(reply, report));
    fact("alternate server", report.alternate_server.map(|address| address.to_string()));
    if reply.explain {
        for (what, bytes) in [("Request", &reply.request), ("Response", &reply.response.message)] {
            let _ = write!(text, "\n{what}, {} bytes\n{}", bytes.len(), lines(bytes, "", false).0);
        }
        // The start of a long text is no longer on the screen.
        let _ = write!(text, "\n{result}");
    }
    text
}

/// Formats an event as a line of JSON.
pub(super) fn event(event: &'static str, at_ms: f64, what: &str) -> String {
    serde_json::to_string(&Line { event, at_ms, what }).unwrap_or_default() + "\n"
}

pub(crate) const fn protocol_name(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Udp => "udp",
        Protocol::Tcp | Protocol::TcpListen => "tcp",
        Protocol::Tls | Protocol::TlsListen => "tls",
    }
}

/// Replaces control characters in the text of a server, because a terminal would execute them.
fn without_controls(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
