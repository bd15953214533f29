//! The result as text and as JSON, schema `portolan.turn/1` (docs/json.md).

use super::advice::advice;
use super::exchange::{Datagrams, Spread};
use crate::exit::Exit;
use crate::output::{count, milliseconds};
use core::fmt::Write;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use portolan_stun_agent::{ChallengeError, Unusable};
use portolan_turn::{Outcome, Step};
use serde::Serialize;

const SCHEMA: &str = "portolan.turn/1";

/// A stage of the command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Stage {
    Allocate,
    Permission,
    Peer,
    Channel,
    Data,
    Refresh,
}

/// The first stage that failed.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Failed {
    stage: Stage,
    code: Option<u16>,
    reason: String,
    attempted: Vec<String>,
    advice: &'static str,
    #[serde(skip)]
    is_refusal: bool,
}

/// Whether the server refused the request. All other outcomes are no decision of the server.
pub(super) const fn is_refusal(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Error { .. } | Outcome::Unusable(Unusable::Challenge(ChallengeError::WrongCredentials)))
}

impl Failed {
    /// The failure of the request `last`, with all attempted steps.
    pub(super) fn from_steps(stage: Stage, steps: &[Step], last: &Step, peer: Option<IpAddr>) -> Self {
        let wrong = Outcome::Unusable(Unusable::Challenge(ChallengeError::WrongCredentials));
        let code = last.outcome.code().or((last.outcome == wrong).then_some(401));
        Self {
            stage,
            code,
            reason: last.outcome.to_string(),
            attempted: steps.iter().map(ToString::to_string).collect(),
            advice: advice(stage, &last.outcome, peer),
            is_refusal: is_refusal(&last.outcome),
        }
    }

    /// The server does not respond any more.
    pub(super) fn silent(stage: Stage) -> Self {
        let advice = advice(stage, &Outcome::TimedOut, None);
        Self { stage, code: None, reason: "no response".into(), attempted: vec![], advice, is_refusal: false }
    }

    /// No datagram of the peer reached the client.
    pub(super) fn no_peer() -> Self {
        Self {
            stage: Stage::Peer,
            code: None,
            reason: "no datagram of the peer came through the relay".into(),
            attempted: vec![],
            advice: "a firewall may drop UDP between this host and the relayed address; name an echo server with --peer",
            is_refusal: false,
        }
    }

    /// No datagram came back.
    pub(super) fn no_data(datagrams: &Datagrams, is_own: bool) -> Self {
        let sent = count(datagrams.sent(), "datagram");
        let at_peer = if is_own { format!(", {} seen by the peer", datagrams.at_peer()) } else { String::new() };
        Self {
            stage: Stage::Data,
            code: None,
            reason: format!("{sent} sent{at_peer}, none came back"),
            attempted: vec![],
            advice: "check that the peer sends each datagram back, and that firewalls pass UDP between it and the relay",
            is_refusal: false,
        }
    }
}

/// The result of the command.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) name: String,
    pub(super) address: SocketAddr,
    pub(super) transport: &'static str,
    pub(super) relayed: Vec<SocketAddr>,
    pub(super) mapped: Option<SocketAddr>,
    pub(super) lifetime: Option<Duration>,
    pub(super) allocate: Option<Duration>,
    /// The peer, and whether it is a socket of this command.
    pub(super) peer: Option<(SocketAddr, bool)>,
    pub(super) channel: Option<u16>,
    pub(super) datagrams: Option<Datagrams>,
    pub(super) refreshed: Option<Duration>,
    pub(super) closed: bool,
    pub(super) failed: Option<Failed>,
    pub(super) steps: Option<Vec<String>>,
}

#[derive(Serialize)]
struct Json<'a> {
    schema: &'static str,
    server: Server<'a>,
    transport: &'static str,
    outcome: &'static str,
    relayed: &'a [SocketAddr],
    mapped: Option<SocketAddr>,
    lifetime_s: Option<u64>,
    allocate_ms: Option<f64>,
    peer: Option<Peer>,
    channel: Option<u16>,
    datagrams: Option<JsonDatagrams>,
    refreshed_s: Option<u64>,
    failed: Option<&'a Failed>,
    #[serde(skip_serializing_if = "Option::is_none")]
    steps: Option<&'a [String]>,
}

#[derive(Serialize)]
struct Server<'a> {
    name: &'a str,
    address: SocketAddr,
}

#[derive(Serialize)]
struct Peer {
    address: SocketAddr,
    own: bool,
}

#[derive(Serialize)]
struct JsonDatagrams {
    size: usize,
    sent: usize,
    at_peer: Option<usize>,
    returned: usize,
    forth_ms: Option<Latency>,
    back_ms: Option<Latency>,
    round_trip_ms: Option<Latency>,
}

#[derive(Serialize)]
struct Latency {
    least: f64,
    median: f64,
    most: f64,
}

impl From<Spread> for Latency {
    fn from(spread: Spread) -> Self {
        let [least, median, most] = [spread.least, spread.median, spread.most].map(milliseconds);
        Self { least, median, most }
    }
}

impl Report {
    pub(super) const fn new(name: String, address: SocketAddr, transport: &'static str) -> Self {
        Self {
            name,
            address,
            transport,
            relayed: Vec::new(),
            mapped: None,
            lifetime: None,
            allocate: None,
            peer: None,
            channel: None,
            datagrams: None,
            refreshed: None,
            closed: false,
            failed: None,
            steps: None,
        }
    }

    pub(super) fn exit(&self) -> Exit {
        match &self.failed {
            None => Exit::Success,
            Some(failed) if failed.is_refusal => Exit::Negative,
            Some(_) => Exit::Inconclusive,
        }
    }

    fn outcome(&self) -> &'static str {
        match &self.failed {
            None => "works",
            Some(failed) if failed.is_refusal => "refused",
            Some(_) => "inconclusive",
        }
    }

    /// Formats the report as JSON, in one line.
    pub(super) fn json(&self) -> String {
        let json = Json {
            schema: SCHEMA,
            server: Server { name: &self.name, address: self.address },
            transport: self.transport,
            outcome: self.outcome(),
            relayed: &self.relayed,
            mapped: self.mapped,
            lifetime_s: self.lifetime.map(|lifetime| lifetime.as_secs()),
            allocate_ms: self.allocate.map(milliseconds),
            peer: self.peer.map(|(address, own)| Peer { address, own }),
            channel: self.channel,
            datagrams: self.datagrams.as_ref().map(|datagrams| JsonDatagrams {
                size: datagrams.size,
                sent: datagrams.sent(),
                at_peer: self.peer.is_some_and(|(_, own)| own).then(|| datagrams.at_peer()),
                returned: datagrams.returned(),
                forth_ms: datagrams.forth().map(Latency::from),
                back_ms: datagrams.back().map(Latency::from),
                round_trip_ms: datagrams.round_trip().map(Latency::from),
            }),
            refreshed_s: self.refreshed.map(|lifetime| lifetime.as_secs()),
            failed: self.failed.as_ref(),
            steps: self.steps.as_deref(),
        };
        // Serialization cannot fail: every map key is text.
        serde_json::to_string(&json).unwrap_or_default() + "\n"
    }

    /// Formats the report as text. The verdict is the last line.
    pub(super) fn human(&self) -> String {
        let mut text = format!("{} ({}, {})", self.name, self.address, self.transport);
        // Writing to a string cannot fail.
        let _ = match self.relayed.first() {
            Some(relayed) => writeln!(text, " relays at {relayed}."),
            None => writeln!(text, " gives no allocation."),
        };
        if let Some(steps) = &self.steps {
            let _ = writeln!(text, "\nSteps");
            for step in steps {
                let _ = writeln!(text, "  {step}");
            }
            text.push('\n');
        }
        let mut fact = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                let _ = writeln!(text, "  {name:<14}{value}");
            }
        };
        fact("sees you at", self.mapped.map(|mapped| mapped.to_string()));
        fact("lifetime", self.lifetime.map(|lifetime| format!("{} s", lifetime.as_secs())));
        fact("allocated in", self.allocate.map(|took| format!("{:.1} ms", milliseconds(took))));
        fact("peer", self.peer.map(|(peer, own)| format!("{peer} ({})", if own { "own socket" } else { "--peer" })));
        fact("channel", self.channel.map(|number| format!("{number:#06x}")));
        if let Some(datagrams) = &self.datagrams {
            let (sent, returned) = (datagrams.sent(), datagrams.returned());
            let loss = 100.0 * (sent - returned) as f64 / sent.max(1) as f64;
            let sizes = format!("{} of {} bytes", count(sent, "datagram"), datagrams.size);
            fact("sent", Some(sizes));
            fact("returned", Some(format!("{returned}, loss {loss:.1} %")));
            fact("to the peer", datagrams.forth().map(latency));
            fact("from the peer", datagrams.back().map(latency));
            fact("round trip", datagrams.round_trip().map(latency));
        }
        fact("refreshed", self.refreshed.map(|lifetime| format!("for {} s", lifetime.as_secs())));
        fact("released", (self.closed && self.mapped.is_some()).then(|| "with a Refresh request of lifetime 0".into()));
        text + "\n" + &self.verdict()
    }

    fn verdict(&self) -> String {
        let Some(failed) = &self.failed else {
            let datagrams = self.datagrams.as_ref().map(|datagrams| (datagrams.sent(), datagrams.returned()));
            let (sent, returned) = datagrams.unwrap_or_default();
            return format!("It works: {returned} of {} came back through the relay.\n", count(sent, "datagram"));
        };
        let mut text = String::new();
        if !failed.attempted.is_empty() {
            text.push_str("Attempted:\n");
            for step in &failed.attempted {
                // Writing to a string cannot fail.
                let _ = writeln!(text, "  {step}");
            }
        }
        let what = match failed.stage {
            Stage::Allocate => "the allocation",
            Stage::Permission => "the permission for the peer",
            Stage::Peer => "the way from the peer",
            Stage::Channel => "the channel to the peer",
            Stage::Data => "the relayed data",
            Stage::Refresh => "the refresh of the allocation",
        };
        let verb = if failed.is_refusal { "The server refused" } else { "Unknown: there is no result for" };
        let _ = writeln!(text, "What to do: {}.\n{verb} {what}: {}.", failed.advice, failed.reason);
        text
    }
}

fn latency(spread: Spread) -> String {
    let Spread { least, median, most } = spread;
    let [least, median, most] = [least, median, most].map(milliseconds);
    format!("{median:.2} ms (median), {least:.2} to {most:.2} ms")
}
