//! The table of transactions, as text and as JSON, schema `portolan.explain.summary/1` (docs/json.md).
//!
//! A response belongs to the request with its transaction ID from the endpoint to which the response goes. The server
//! may respond from another address (RFC 5780 §7.2). Requests inside of ChannelData have rows of their own.

use super::message::{Found, Message, Place, Transport};
use super::report;
use crate::output;
use crate::wrap;
use core::fmt::Write;
use core::net::SocketAddr;
use core::time::Duration;
use portolan_stun::explain::{Item, Line, explain};
use portolan_stun::{Attribute, Class, ErrorCode, Method, TransactionId};
use serde::Serialize;
use std::collections::HashMap;

const SCHEMA: &str = "portolan.explain.summary/1";

/// The transactions of the messages so far.
#[derive(Debug, Default)]
pub(super) struct Summary {
    transactions: Vec<Transaction>,
    /// The index of each transaction.
    indexes: HashMap<Key, usize>,
    indications: u64,
    channel_data: u64,
    /// The time of the first message.
    start: Option<u64>,
}

/// The client, the channel and the ID.
type Key = (Option<(Transport, SocketAddr)>, Option<u16>, TransactionId);

/// A transaction.
#[derive(Debug)]
struct Transaction {
    method: Method,
    id: TransactionId,
    channel: Option<u16>,
    /// The first message.
    place: Option<Place>,
    requests: u64,
    /// The times of the first request, and of the last request before the response.
    sent: Option<(u64, u64)>,
    responses: u64,
    response: Option<Response>,
    is_wrong: bool,
}

/// The first response.
#[derive(Debug)]
struct Response {
    place: Option<Place>,
    is_success: bool,
    mapped: Option<SocketAddr>,
    relayed: Option<SocketAddr>,
    /// The code and the reason phrase.
    error: Option<(u16, String)>,
    /// The number of requests before the response.
    requests: u64,
}

/// The facts of a message that the summary needs.
struct Facts {
    class: Class,
    method: Method,
    id: TransactionId,
    mapped: Option<SocketAddr>,
    relayed: Option<SocketAddr>,
    error: Option<(u16, String)>,
}

impl Facts {
    /// Reads the facts also from a malformed message; `None` if the bytes end in its header.
    fn of(bytes: &[u8]) -> Option<Self> {
        use Attribute as A;
        let (mut kind, mut id, mut mapped, mut relayed, mut error) = (None, None, None, None, None);
        for Line { item, .. } in explain(bytes) {
            if let Item::MessageType { class, method } = item {
                kind = Some((class, method));
            } else if let Item::TransactionId(found) = item {
                id = Some(found);
            }
            let Item::Attribute { value: Some(value), .. } = item else { continue };
            if let A::XorMappedAddress(address) = value {
                mapped = Some(address);
            } else if let A::MappedAddress(address) | A::XorMappedAddressDraft(address) = value {
                mapped = mapped.or(Some(address));
            } else if let A::XorRelayedAddress(address) = value {
                relayed = Some(address);
            } else if let A::ErrorCode(code) = value {
                error = error.or(Some(words(&code)));
            }
        }
        let (class, method) = kind?;
        Some(Self { class, method, id: id?, mapped, relayed, error })
    }
}

fn words(code: &ErrorCode<'_>) -> (u16, String) {
    (code.code(), code.reason().to_string())
}

impl Summary {
    /// Reads the next message.
    pub(super) fn add(&mut self, message: &Message) {
        self.start = self.start.or(message.place.and_then(|place| place.time));
        let is_wrong = report::is_wrong_message(message);
        if let Some((channel, inner)) = report::channel(&message.bytes) {
            self.channel_data += 1;
            if let Some(facts) = inner.and_then(Facts::of) {
                self.add_facts(facts, message.place, Some(channel), is_wrong);
            }
        } else if let Some(facts) = report::is_recognized(message).then(|| Facts::of(&message.bytes)).flatten() {
            self.add_facts(facts, message.place, None, is_wrong);
        }
    }

    fn add_facts(&mut self, facts: Facts, place: Option<Place>, channel: Option<u16>, is_wrong: bool) {
        let is_response = match facts.class {
            Class::Indication => {
                self.indications += 1;
                return;
            }
            Class::Request => false,
            Class::SuccessResponse | Class::ErrorResponse => true,
        };
        let client = |place: Place| (place.flow.transport, if is_response { place.flow.to } else { place.flow.from });
        let index = *self.indexes.entry((place.map(client), channel, facts.id)).or_insert(self.transactions.len());
        if index == self.transactions.len() {
            let (method, id) = (facts.method, facts.id);
            let empty = Transaction {
                method,
                id,
                channel,
                place,
                requests: 0,
                sent: None,
                responses: 0,
                response: None,
                is_wrong: false,
            };
            self.transactions.push(empty);
        }
        let Some(transaction) = self.transactions.get_mut(index) else { return };
        transaction.is_wrong |= is_wrong;
        if is_response {
            transaction.responses += 1;
            let Facts { mapped, relayed, error, class, .. } = facts;
            let (is_success, requests) = (class == Class::SuccessResponse, transaction.requests);
            let response = || Response { place, is_success, mapped, relayed, error, requests };
            transaction.response.get_or_insert_with(response);
        } else {
            transaction.requests += 1;
            if let (None, Some(time)) = (&transaction.response, place.and_then(|place| place.time)) {
                transaction.sent = Some((transaction.sent.map_or(time, |(first, _)| first), time));
            }
        }
    }
}

impl Transaction {
    /// Returns the least and the greatest round-trip time: from the last and from the first request before the response.
    fn round_trip(&self) -> Option<(Duration, Duration)> {
        let received = self.response.as_ref()?.place?.time?;
        let (first, last) = self.sent?;
        Some((Duration::from_nanos(received.checked_sub(last)?), Duration::from_nanos(received.checked_sub(first)?)))
    }

    const fn retransmissions(&self) -> u64 {
        self.requests.saturating_sub(1)
    }

    /// Returns client and server.
    fn endpoints(&self) -> Option<(SocketAddr, SocketAddr)> {
        let flow = self.place?.flow;
        Some(if self.requests == 0 { (flow.to, flow.from) } else { (flow.from, flow.to) })
    }

    /// Returns the source of the response, if it is not the destination of the request.
    fn other_source(&self) -> Option<SocketAddr> {
        let source = self.response.as_ref()?.place?.flow.from;
        self.endpoints().filter(|(_, server)| *server != source).map(|_| source)
    }

    fn response_cell(&self) -> String {
        match &self.response {
            None => "none".to_owned(),
            Some(Response { is_success: false, .. }) => "error".to_owned(),
            Some(Response { relayed: Some(relayed), .. }) => format!("relayed {relayed}"),
            Some(Response { mapped: Some(mapped), .. }) => mapped.to_string(),
            Some(_) => "success".to_owned(),
        }
    }

    fn error_cell(&self) -> String {
        let mut errors = vec![];
        if let Some(Response { error: Some((code, reason)), .. }) = &self.response {
            errors.push(format!("{code} {reason}").trim_end().to_owned());
        }
        errors.extend(self.other_source().map(|source| format!("response from {source}")));
        errors.extend((self.requests == 0).then(|| "no request".to_owned()));
        errors.extend(self.is_wrong.then(|| "malformed".to_owned()));
        errors.join("; ")
    }

    fn rtt_cell(&self) -> String {
        let Some((least, most)) = self.round_trip() else { return String::new() };
        let milliseconds = |duration: Duration| format!("{:.1}", duration.as_secs_f64() * 1e3);
        // It is unknown which of the requests the response answers.
        if least == most { milliseconds(least) } else { format!("{}–{}", milliseconds(least), milliseconds(most)) }
    }
}

const COLUMNS: [&str; 9] =
    ["packet", "seconds", "client", "server", "request", "response", "RTT (ms)", "retransmissions", "error"];

/// Formats the table and the counts. The counts are wrapped at `width`. The table is not, because a broken row has no
/// columns.
pub(super) fn human(summary: &Summary, width: usize) -> String {
    let rows = summary.transactions.iter().map(|transaction| row(summary, transaction));
    let rows: Vec<[String; COLUMNS.len()]> = core::iter::once(COLUMNS.map(str::to_owned)).chain(rows).collect();
    let mut widths = [0; COLUMNS.len()];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for row in &rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(widths).filter(|(_, width)| *width > 0) {
            // Writing to a string cannot fail.
            let _ = write!(line, "{cell:width$}  ");
        }
        let _ = writeln!(text, "{}", line.trim_end());
    }
    let count = |outcome: Option<bool>| {
        let is_counted = |one: &&Transaction| one.response.as_ref().map(|response| response.is_success) == outcome;
        summary.transactions.iter().filter(is_counted).count()
    };
    let resent: u64 = summary.transactions.iter().map(Transaction::retransmissions).sum();
    let counts = format!(
        "\n{} transaction(s): {} success, {} error, {} without a response; {resent} retransmission(s). {} indication(s), {} \
         ChannelData message(s).",
        summary.transactions.len(),
        count(Some(true)),
        count(Some(false)),
        count(None),
        summary.indications,
        summary.channel_data,
    );
    text.push_str(&wrap::to_width(&counts, width));
    text
}

fn row(summary: &Summary, transaction: &Transaction) -> [String; COLUMNS.len()] {
    let seconds = |time: u64| Duration::from_nanos(time.saturating_sub(summary.start.unwrap_or(time))).as_secs_f64();
    let transport = transaction.place.map_or("", |place| report::transport_name(place.flow.transport));
    let (client, server) = match (transaction.endpoints(), transaction.channel) {
        (None, _) => (String::new(), String::new()),
        (Some((client, server)), None) => (format!("{transport} {client}"), server.to_string()),
        (Some((client, server)), Some(channel)) => {
            (format!("{transport} {client}"), format!("{server} channel {channel:#06x}"))
        }
    };
    [
        transaction.place.map_or(String::new(), |place| place.packet.to_string()),
        transaction.place.and_then(|place| place.time).map_or(String::new(), |time| format!("{:.3}", seconds(time))),
        client,
        server,
        transaction.method.to_string(),
        transaction.response_cell(),
        transaction.rtt_cell(),
        transaction.retransmissions().to_string(),
        transaction.error_cell(),
    ]
}

#[derive(Serialize)]
struct Document {
    schema: &'static str,
    source: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    packets: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    skipped: Option<u64>,
    transactions: Vec<JsonTransaction>,
    indications: u64,
    channel_data: u64,
}

#[derive(Serialize)]
struct JsonTransaction {
    #[serde(flatten)]
    request: JsonRequest,
    #[serde(flatten)]
    response: Option<JsonResponse>,
    responses: u64,
    wrong: bool,
}

#[derive(Serialize)]
struct JsonRequest {
    method: String,
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    packet: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    transport: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    server: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    channel: Option<u16>,
    requests: u64,
    retransmissions: u64,
}

#[derive(Serialize)]
struct JsonResponse {
    /// `success` or `error`.
    response: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_packet: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_from: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mapped: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    relayed: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_code: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rtt_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rtt_most_ms: Option<f64>,
}

/// Formats the summary as one JSON object. `found` has the kind of input and the counts of packets.
pub(super) fn json(summary: &Summary, found: &Found) -> String {
    let is_capture = found.packets > 0;
    let document = Document {
        schema: SCHEMA,
        source: found.source,
        packets: is_capture.then_some(found.packets),
        skipped: is_capture.then_some(found.skipped),
        transactions: summary.transactions.iter().map(json_transaction).collect(),
        indications: summary.indications,
        channel_data: summary.channel_data,
    };
    // Serialization cannot fail: every map key is text.
    serde_json::to_string(&document).unwrap_or_default() + "\n"
}

fn json_transaction(transaction: &Transaction) -> JsonTransaction {
    let endpoints = transaction.endpoints();
    let round_trip = transaction.round_trip();
    let response = transaction.response.as_ref().map(|response| JsonResponse {
        response: if response.is_success { "success" } else { "error" },
        response_packet: response.place.map(|place| place.packet),
        response_from: transaction.other_source().map(|source| source.to_string()),
        mapped: response.mapped.map(|mapped| mapped.to_string()),
        relayed: response.relayed.map(|relayed| relayed.to_string()),
        error_code: response.error.as_ref().map(|(code, _)| *code),
        error_reason: response.error.as_ref().map(|(_, reason)| reason.clone()),
        rtt_ms: round_trip.map(|(least, _)| output::milliseconds(least)),
        rtt_most_ms: round_trip.filter(|_| response.requests > 1).map(|(_, most)| output::milliseconds(most)),
    });
    JsonTransaction {
        request: JsonRequest {
            method: transaction.method.to_string(),
            id: transaction.id.to_string(),
            packet: transaction.place.map(|place| place.packet),
            time: transaction.place.and_then(|place| place.time).map(report::utc),
            transport: transaction.place.map(|place| report::transport_name(place.flow.transport)),
            client: endpoints.map(|(client, _)| client.to_string()),
            server: endpoints.map(|(_, server)| server.to_string()),
            channel: transaction.channel,
            requests: transaction.requests,
            retransmissions: transaction.retransmissions(),
        },
        response,
        responses: transaction.responses,
        wrong: transaction.is_wrong,
    }
}
