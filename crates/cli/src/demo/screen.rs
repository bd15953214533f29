//! The first screen of `portolan demo`: the network, the candidates, the checks, the pair, the data, and the verdict.

use super::changes::{self, Change};
use super::checks::{self, Line, kind_name};
use super::reason;
use super::session::{Plan, Session, Side, Verdict};
use super::{decisions, network, policy_name};
use crate::output::count;
use crate::wrap;
use clap::builder::styling::Style;
use core::fmt::{self, Display, Write};
use portolan_ice::{CandidateKind, PairState, Path};
use portolan_sim::{Barrier, Preset};

const STRONG: Style = Style::new().bold();

/// The number of checks on the screen, if there is room.
const CHECKS: usize = 5;

/// The least number of checks: those of the nominated pair.
const LEAST_CHECKS: usize = 2;

/// The number of lines of the screen at [`WIDTH`]. Less important checks are left out for it.
const LINES: usize = 30;

const WIDTH: usize = 100;

/// Returns the page for an output of this width.
pub(super) fn page(session: &Session, changes: &[(Change, Verdict)], with_decisions: bool, width: usize) -> String {
    let mut checks = CHECKS;
    loop {
        let parts = Parts { session, changes, with_decisions, checks };
        let is_short = |text: &str| wrap::to_width(text, WIDTH).lines().count() <= LINES;
        if with_decisions || checks == LEAST_CHECKS || is_short(&parts.page(WIDTH)) {
            return parts.page(width);
        }
        checks -= 1;
    }
}

/// What the page shows.
struct Parts<'a> {
    session: &'a Session,
    changes: &'a [(Change, Verdict)],
    with_decisions: bool,
    /// The largest number of checks.
    checks: usize,
}

impl Parts<'_> {
    fn page(&self, width: usize) -> String {
        let mut out = String::new();
        // Writing to a string cannot fail.
        let _ = self.write(&mut out, width);
        out
    }

    fn write(&self, out: &mut String, width: usize) -> fmt::Result {
        let Self { session, changes, with_decisions, checks } = *self;
        header(out, &session.plan)?;
        picture(out, &session.plan, width)?;
        if with_decisions {
            decisions::write(out, session)?;
        } else {
            candidates(out, session)?;
            check_rows(out, session, checks)?;
            pair(out, session)?;
        }
        verdict(out, session)?;
        if !with_decisions {
            change_rows(out, session, changes)?;
        }
        next(out, session, with_decisions)
    }
}

fn header(out: &mut String, plan: &Plan) -> fmt::Result {
    let Plan { rtt, loss, seed, policy, .. } = plan;
    let (rtt, loss, policy) = (rtt.as_millis(), loss * 100.0, policy_name(*policy));
    let ms = plan.signalling().as_millis();
    write!(out, "Simulated: no packet is sent. Round trip {rtt} ms, signalling {ms} ms, ")?;
    writeln!(out, "loss {loss} %, seed {seed}, {policy}.")
}

/// Draws the network: in one line, or from top to bottom where the line does not fit.
fn picture(out: &mut String, plan: &Plan, width: usize) -> fmt::Result {
    let functions = if plan.has_relay { "STUN and TURN server" } else { "STUN server" };
    let server = format!("{functions} {}", network::SERVER.ip());
    let fits = |has_addresses: &bool| {
        let (line, indent) = line(plan, *has_addresses);
        line.chars().count().max(indent + 3 + server.len()) <= width
    };
    if let Some((line, indent)) = [true, false].into_iter().find(fits).map(|has_addresses| line(plan, has_addresses)) {
        writeln!(out, "{line}")?;
        writeln!(out, "{:indent$}└─ {server}", "")?;
    } else {
        let [left, mut right] = Side::BOTH.map(|side| stations(plan, side, true));
        right.reverse();
        let all: Vec<String> = left.into_iter().chain([format!("Internet ── {server}")]).chain(right).collect();
        for (place, station) in all.iter().enumerate() {
            writeln!(out, "  {}{station}", if place == 0 || place + 1 == all.len() { "" } else { "│ " })?;
        }
    }
    for side in Side::BOTH {
        row(out, side.name(), behaviour(*side.of(&plan.presets)))?;
    }
    Ok(())
}

/// The network in one line, and the column below the Internet.
fn line(plan: &Plan, has_addresses: bool) -> (String, usize) {
    let [left, mut right] = Side::BOTH.map(|side| stations(plan, side, has_addresses));
    right.reverse();
    let front = format!("  {} ── ", left.join(" ── "));
    let indent = front.chars().count() + 3;
    (format!("{front}Internet ── {}", right.join(" ── ")), indent)
}

/// The stations from a peer to the Internet, with or without the addresses of the NATs.
fn stations(plan: &Plan, side: Side, has_addresses: bool) -> Vec<String> {
    let topology = network::topology(plan, side);
    let mut stations = vec![format!("{} {}", side.name(), network::host_address(&topology, side))];
    let count = topology.ipv4.len();
    stations.extend(topology.ipv4.iter().enumerate().map(|(place, barrier)| {
        let is_outermost = place + 1 == count;
        match barrier {
            Barrier::Open => "router".to_owned(),
            Barrier::Blocked { .. } => "firewall: no UDP".to_owned(),
            Barrier::Translator(nat) if nat.translate => {
                let whose = if place > 0 { "carrier NAT" } else { "NAT" };
                if has_addresses {
                    format!("{whose} {}", network::gateway_address(side, is_outermost))
                } else {
                    whose.to_owned()
                }
            }
            Barrier::Translator(_) => "firewall".to_owned(),
        }
    }));
    stations
}

/// Describes a preset in one sentence.
const fn behaviour(preset: Preset) -> &'static str {
    match preset {
        Preset::Open => "open: a public address, no NAT and no firewall",
        Preset::Home => "home: one public port per socket; only the contacted address and port may answer",
        Preset::Cgnat => "cgnat: a home router behind the NAT of the carrier",
        Preset::Symmetric => "symmetric: another public port for each destination; only the destination may answer",
        Preset::FullCone => "full-cone: one public port per socket; every host may send to it",
        Preset::Restricted => "restricted: one public port per socket; each port of a contacted address may answer",
        Preset::Firewall => "firewall: a public address; only the contacted address and port may answer",
        Preset::Blocked => "blocked: a network that lets no UDP through",
        Preset::Offline => "offline: no network",
        _ => "another network",
    }
}

fn candidates(out: &mut String, session: &Session) -> fmt::Result {
    writeln!(out, "{STRONG}Candidates{STRONG:#}: the addresses at which a peer may be reachable")?;
    let mut explained = Vec::new();
    for side in Side::BOTH {
        let peer = side.of(&session.peers);
        for (place, found) in peer.found.iter().enumerate() {
            let name = if place == 0 { side.name() } else { "" };
            let (kind, address) = (kind_name(found.kind), found.address.to_string());
            let over_tcp = found.kind == CandidateKind::Relayed && network::is_blocked(&session.plan, side);
            let how = if over_tcp {
                "an address of the TURN server, reached over TCP"
            } else if explained.contains(&found.kind) {
                ""
            } else {
                explained.push(found.kind);
                meaning(found.kind)
            };
            let text = format!("  {name:<6}{} {kind:<17}{address:<17} {how}", found.at);
            writeln!(out, "{}", text.trim_end())?;
        }
        if peer.found.is_empty() {
            writeln!(out, "  {:<6}none", side.name())?;
        }
    }
    Ok(())
}

const PEER_REFLEXIVE: &str = " (peer-reflexive: only the other peer sees this address)";

/// Explains a type of candidates.
const fn meaning(kind: CandidateKind) -> &'static str {
    match kind {
        CandidateKind::Host => "an address of the computer itself",
        CandidateKind::ServerReflexive => "outside the NAT, as the STUN server sees it",
        CandidateKind::PeerReflexive => "an address that only the peer sees",
        CandidateKind::Relayed => "an address of the TURN server, which forwards",
    }
}

fn check_rows(out: &mut String, session: &Session, limit: usize) -> fmt::Result {
    let rows = checks::of(session, limit);
    if rows.is_empty() {
        return writeln!(out, "{STRONG}Checks{STRONG:#}: none, because no pair of candidates can be checked");
    }
    writeln!(out, "{STRONG}Checks{STRONG:#}: requests from a candidate of one peer to a candidate of the other")?;
    for check in &rows {
        writeln!(out, "  {}  {}", check.at, Line { session, check })?;
    }
    Ok(())
}

/// The reason why another pair was not nominated.
const fn why_not(state: PairState) -> &'static str {
    match state {
        PairState::Frozen | PairState::Waiting => "its check was not sent yet",
        PairState::InProgress => "its check has no response yet",
        PairState::Succeeded => "it is valid too, but less preferred",
        PairState::Failed => "its check failed",
    }
}

/// The two ends of a path in words.
pub(super) fn ends(path: &Path) -> String {
    let (local, remote) = (kind_name(path.local_kind), kind_name(path.remote_kind));
    format!("left {local} {} with right {remote} {}", path.local, path.remote)
}

fn pair(out: &mut String, session: &Session) -> fmt::Result {
    let left = Side::Left.of(&session.peers);
    if let (Some((at, selection)), Some(path)) = (&left.selection, &left.path) {
        let kinds = [path.local_kind, path.remote_kind];
        let new = if kinds.contains(&CandidateKind::PeerReflexive) { PEER_REFLEXIVE } else { "" };
        row(out, "Nominated", format_args!("{at} {}: {}{new}", ends(path), selection.why))?;
        if let Some((other, state)) = &selection.next_best {
            row(out, "Next best", format_args!("{}: {}", ends(other), why_not(*state)))?;
        }
    }
    match session.exchange {
        Some(exchange) => {
            let lost = match exchange.unanswered {
                0 => String::new(),
                number => format!(", after {} without an answer", count(number, "datagram")),
            };
            let ms = exchange.round_trip.as_millis();
            row(out, "Data", format_args!("left → right and back in {ms} ms{lost}"))
        }
        None => row(out, "Data", "none"),
    }
}

fn verdict(out: &mut String, session: &Session) -> fmt::Result {
    row(out, "Verdict", format_args!("{STRONG}{}{STRONG:#}", headline(session)))?;
    row(out, "Reason", reason::of(session))
}

/// The verdict as a sentence.
pub(super) fn headline(session: &Session) -> String {
    let at = session.selected_at().unwrap_or(session.end);
    match session.verdict() {
        Verdict::Direct => format!("Connected after {at}, directly from peer to peer."),
        Verdict::Relayed => format!("Connected after {at}, through the TURN server."),
        Verdict::NotConnected => format!("Not connected; the agents gave up after {at}."),
    }
}

fn change_rows(out: &mut String, session: &Session, changes: &[(Change, Verdict)]) -> fmt::Result {
    let mut name = "Change";
    for verdict in [Verdict::Direct, Verdict::Relayed, Verdict::NotConnected] {
        let options = changes::leading_to(verdict, changes);
        if verdict != session.verdict() && !options.is_empty() {
            row(out, name, format_args!("{} with {options}", verdict.name()))?;
            name = "";
        }
    }
    if name.is_empty() { Ok(()) } else { row(out, name, format_args!("no single change gives another verdict")) }
}

fn next(out: &mut String, session: &Session, with_decisions: bool) -> fmt::Result {
    let deeper = if with_decisions { "--explain=packets" } else { "--explain" };
    let symmetric = [Preset::Symmetric; 2];
    let other = if session.plan.presets == symmetric {
        "--left home --right home"
    } else {
        "--left symmetric --right symmetric"
    };
    row(out, "Next", format_args!("portolan demo {deeper}; portolan demo {other}"))
}

fn row(out: &mut String, name: &str, what: impl Display) -> fmt::Result {
    writeln!(out, "{name:<11} {what}")
}
