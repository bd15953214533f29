//! The progress and the result of `portolan punch`: lines, steps with their reasons, or JSON.
//!
//! Standard output has the data of the pipe, so everything here goes to standard error. With `--hold` there is no data, and
//! the addresses and the JSON go to standard output.

use super::args::PunchArgs;
use super::error::PunchError;
use super::steps::StepNotes;
use crate::error::{CommandError as _, Failure};
use crate::exit::Exit;
use crate::options::DocumentFormat;
use crate::output::{self, milliseconds};
use core::fmt::Display;
use core::net::SocketAddr;
use core::time::Duration;
use portolan_machine::Clause;
use portolan_punch::card::Card;
use portolan_punch::forecast::{Budget, Strategy};
use portolan_punch::puncher::{Path, Plan, PunchEvent, Usage};
use portolan_punch::session::{Session, SessionEvent};
use serde_json::{Value, json};
use std::time::Instant;

/// Prints the progress, and remembers what the result needs.
pub(super) struct Reporter {
    is_json: bool,
    is_explained: bool,
    /// Whether standard output has no data.
    is_held: bool,
    may_guess: bool,
    budget: Budget,
    /// The number of the last step.
    step: u32,
    began: Instant,
    notes: StepNotes,
    facts: Facts,
}

/// What the result tells.
#[derive(Debug, Default)]
struct Facts {
    /// Whether this host has a NAT card.
    is_card_known: bool,
    public: Option<SocketAddr>,
    plan: Option<Plan>,
    tried: Vec<Strategy>,
    /// The local and the remote address of the last path.
    path: Option<(Option<SocketAddr>, SocketAddr)>,
    connected: Option<Duration>,
    usage: Usage,
}

impl Reporter {
    pub(super) fn new(args: &PunchArgs) -> Self {
        Self {
            is_json: args.format == DocumentFormat::Json,
            is_explained: args.explain,
            is_held: args.hold,
            may_guess: args.guess,
            budget: args.budget.unwrap_or_default(),
            step: 0,
            began: Instant::now(),
            notes: StepNotes::default(),
            facts: Facts::default(),
        }
    }

    /// The trace that records the notes for the steps; `None` without `--explain`.
    pub(super) fn trace(&self) -> Option<StepNotes> {
        self.is_explained.then(|| self.notes.clone())
    }

    /// The notes for the steps.
    pub(super) fn notes(&self) -> StepNotes {
        self.notes.clone()
    }

    /// The last plan.
    pub(super) const fn plan(&self) -> Option<&Plan> {
        self.facts.plan.as_ref()
    }

    /// Prints the result of a measurement. The steps have it anyway.
    pub(super) fn measured(&self, card: &Card) {
        self.progress(format_args!("the NAT card of this host is {card}"));
    }

    /// Prints the way of this host to the rendezvous, and its card.
    pub(super) fn begin(&mut self, rendezvous: SocketAddr, card: &Card) {
        let is_known = *card != Card::default();
        self.explain(
            format_args!(
                "this host registers at the rendezvous {rendezvous}, because the hosts do not know each other's public \
                 endpoint; the rendezvous relays endpoints and NAT cards, never data"
            ),
            Some(Clause::new(8489, "9.2")),
        );
        if is_known {
            self.explain(
                format_args!("the NAT card of this host is {card}; the other host gets it, so both compute one plan"),
                Some(Clause::new(4787, "4.1")),
            );
        } else {
            self.explain(UNKNOWN, Some(Clause::new(4787, "4.1")));
        }
        self.facts.is_card_known = is_known;
        let card = is_known.then_some(card);
        self.object(json!({ "event": "begun", "rendezvous": rendezvous, "card": card }));
    }

    /// Prints the notes that were recorded.
    pub(super) fn flush(&mut self) {
        for (text, clause) in self.notes.take() {
            self.explain(format_args!("{text}"), clause);
        }
    }

    /// Prints an event.
    pub(super) fn event(&mut self, event: &SessionEvent, session: &Session) {
        self.facts.usage = session.usage();
        // The first packets of the peer can begin a strategy. All other events follow their notes.
        if !matches!(event, SessionEvent::Punch(PunchEvent::Trying(_))) {
            self.flush();
        }
        match event {
            SessionEvent::Registered { reflexive } => self.registered(*reflexive),
            SessionEvent::Introduced { peer, card, start } => self.introduced(*peer, card.as_deref(), *start),
            SessionEvent::Punch(PunchEvent::Planned(plan)) => self.planned(plan),
            SessionEvent::Punch(PunchEvent::Trying(strategy)) => self.trying(*strategy),
            SessionEvent::Punch(PunchEvent::Connected { path, elapsed }) => {
                self.connected(session.local(path.socket), path.remote, *elapsed);
            }
            SessionEvent::Punch(PunchEvent::Lost) => {
                self.facts.path = None;
                let text = "the path is lost, because no probe was answered; punching again";
                self.both(format_args!("{text}"), format_args!("{text}"), None);
                self.object(json!({ "event": "lost" }));
            }
            SessionEvent::Punch(_) | SessionEvent::Ended(_) | _ => {}
        }
        self.flush();
    }

    fn registered(&mut self, public: SocketAddr) {
        if self.facts.public.replace(public).is_none() && !self.facts.is_card_known {
            // A refused registration remains one line.
            self.progress(UNKNOWN);
        }
        self.both(
            format_args!("the public endpoint is {public}; waiting for the other host"),
            format_args!(
                "the rendezvous sees this host at {public}; the probes leave from the same socket, so the other host can \
                 send to this mapping; waiting for the other host"
            ),
            Some(Clause::new(8489, "14.2")),
        );
        self.object(json!({ "event": "registered", "public": public }));
    }

    fn introduced(&mut self, peer: SocketAddr, card: Option<&Card>, start: Duration) {
        let without = if card.is_some() { "" } else { ", without a NAT card" };
        self.both(
            format_args!("the other host is at {peer}{without}"),
            format_args!("the other host is at {peer}, as the rendezvous sees it"),
            Some(Clause::new(5128, "3.3")),
        );
        match card {
            Some(card) => self.explain(
                format_args!("the NAT card of the other host is {card}; the forecast follows from both cards"),
                Some(Clause::new(4787, "4.1")),
            ),
            None => self.explain(
                format_args!("the other host has sent no NAT card, so its NAT is unknown"),
                Some(Clause::new(4787, "4.1")),
            ),
        }
        let millis = start.as_millis();
        self.explain(
            format_args!(
                "both hosts start in {millis} ms, at one time that the rendezvous chose: a packet that arrives before the \
                 other host has sent is dropped by its filter"
            ),
            Some(Clause::new(5128, "3.3")),
        );
        self.object(json!({ "event": "introduced", "peer": peer, "card": card, "start_ms": milliseconds(start) }));
    }

    fn planned(&mut self, plan: &Plan) {
        self.facts.plan = Some(*plan);
        self.facts.tried.clear();
        let Plan { forecast, limit, budget, may_guess, .. } = *plan;
        let (verdict, reason) = (forecast.verdict, forecast.reason);
        let Budget { mappings, sessions, rate } = budget;
        let whose = if budget == self.budget { "this host's" } else { "the smaller limits of both hosts" };
        let guess = match (may_guess, self.may_guess) {
            (true, _) => "both hosts allow to guess ports",
            (false, true) => "ports are not guessed, because the other host does not allow it",
            (false, false) => "ports are not guessed, because this host does not allow it (--guess)",
        };
        self.explain(
            format_args!(
                "the budget is {mappings} mappings, {sessions} sessions and {rate} packets/s ({whose}); {guess}"
            ),
            None,
        );
        let chance = forecast.probability.map(|p| format!(" with {:.1} %", (p * 1000.0).floor() / 10.0));
        let chance = chance.unwrap_or_default();
        self.both(
            format_args!("forecast: {verdict} ({reason}); at most {limit}"),
            format_args!("the forecast is: {verdict}{chance}, because {reason}"),
            Some(Clause::new(4787, "5")),
        );
        let (strategy, peer, lasts) = (forecast.strategy, forecast.peer, plan.lasts.as_secs_f64());
        self.explain(
            format_args!(
                "the strategy of the forecast is: {strategy}. This host makes at most {} mappings and {} sessions; the other \
                 host makes about {} and {}. The attempt ends after {lasts:.1} s at the latest",
                limit.mappings, limit.sessions, peer.mappings, peer.sessions
            ),
            None,
        );
        self.object(json!({
            "event": "planned",
            "forecast": forecast,
            "limit": limit,
            "budget": budget_object(&budget),
            "guess": may_guess,
            "lasts_ms": milliseconds(plan.lasts),
        }));
    }

    fn trying(&mut self, strategy: Strategy) {
        let number = self.facts.tried.len() + 1;
        let before = if number > 1 { " (the strategy before found no path)" } else { "" };
        self.facts.tried.push(strategy);
        self.both(
            format_args!("{strategy}"),
            format_args!("strategy {number}{before}: {strategy}; each packet opens the filter of the own NAT"),
            Some(Clause::new(5128, "3.3")),
        );
        self.object(json!({ "event": "trying", "strategy": strategy }));
    }

    fn connected(&mut self, local: Option<SocketAddr>, remote: SocketAddr, elapsed: Duration) {
        self.facts.path = Some((local, remote));
        self.facts.connected = Some(elapsed);
        let (public, millis) = (self.facts.public, elapsed.as_millis());
        let used = self.facts.usage;
        self.both(
            format_args!("connected to {remote} after {millis} ms"),
            format_args!(
                "connected to {remote} after {millis} ms: packets arrive in both directions; this host used {}",
                counts(&used)
            ),
            Some(Clause::new(5128, "3.3")),
        );
        let elapsed = milliseconds(elapsed);
        self.object(json!({
            "event": "connected", "local": local, "public": public, "remote": remote, "elapsed_ms": elapsed,
        }));
    }

    /// Prints the addresses of a path that is held, on standard output.
    pub(super) fn held(&self, session: &Session, path: Path) -> Result<(), PunchError> {
        if self.is_json {
            return Ok(());
        }
        let text =
            |address: Option<SocketAddr>| address.map_or_else(|| "unknown".to_owned(), |known| known.to_string());
        let (local, public) = (text(session.local(path.socket)), text(self.facts.public));
        Ok(output::print(&format!("local {local}\npublic {public}\npeer {}\n", path.remote))?)
    }

    /// Remembers what the session has used.
    pub(super) fn used(&mut self, session: &Session) {
        self.facts.usage = session.usage();
    }

    /// Prints the result, and returns the exit code, or the failure that is still to be printed.
    pub(super) fn end(&mut self, result: Result<(), PunchError>) -> Result<Exit, Failure> {
        self.flush();
        let exit = result.as_ref().map_or_else(|why| why.exit(), |()| Exit::Success);
        let text = result.as_ref().map_or_else(ToString::to_string, |()| "connected, and ended as asked".to_owned());
        if self.is_explained {
            let used = counts(&self.facts.usage);
            self.explain(format_args!("verdict: {text} (this host used {used})"), None);
        }
        let object = self.result(exit, &result);
        self.object(object);
        match result {
            // The verdict, or the object on standard error, is the line of the failure.
            Err(why) if !(self.is_explained || self.is_json) || (self.is_json && self.is_held) => Err(why.into()),
            Ok(()) | Err(_) => Ok(exit),
        }
    }

    fn result(&self, exit: Exit, result: &Result<(), PunchError>) -> Value {
        let Facts { public, plan, tried, path, connected, usage, .. } = &self.facts;
        let text = result.as_ref().err().map(ToString::to_string);
        let (reason, remedy) = text.as_deref().map_or((None, None), |text| match text.split_once("; ") {
            Some((reason, remedy)) => (Some(reason), Some(remedy)),
            None => (Some(text), None),
        });
        json!({
            "event": "result",
            "schema": "portolan.punch/1",
            "outcome": result.as_ref().map_or_else(PunchError::outcome, |()| "connected"),
            "reason": reason,
            "remedy": remedy,
            "forecast": plan.map(|plan| plan.forecast.verdict),
            "forecast_reason": plan.map(|plan| plan.forecast.reason),
            "strategy": tried.last(),
            "tried": tried.iter().map(|strategy| strategy.as_str()).collect::<Vec<_>>(),
            "local": path.and_then(|(local, _)| local),
            "public": public,
            "remote": path.map(|(_, remote)| remote),
            "packets": usage.packets,
            "planned": plan.map(|plan| json!({ "mappings": plan.limit.mappings, "sessions": plan.limit.sessions })),
            "used": { "mappings": usage.mappings, "sessions": usage.sessions },
            "connected_ms": connected.map(milliseconds),
            "elapsed_ms": milliseconds(self.began.elapsed()),
            "exit_code": exit.code(),
        })
    }

    /// Prints a line that is no event, in the human format.
    pub(super) fn line(&self, line: impl Display) {
        if !self.is_json {
            output::print_diagnostic(line);
        }
    }

    /// Prints a line of the progress, or the step in its place.
    fn both(&mut self, line: impl Display, step: impl Display, clause: Option<Clause>) {
        if self.is_explained {
            self.explain(step, clause);
        } else {
            self.progress(line);
        }
    }

    fn progress(&self, line: impl Display) {
        if !self.is_explained {
            self.line(line);
        }
    }

    /// Prints a step.
    fn explain(&mut self, text: impl Display, clause: Option<Clause>) {
        if !self.is_explained {
            return;
        }
        self.step += 1;
        if self.is_json {
            let (number, rfc) = (self.step, clause.map(|clause| clause.to_string()));
            return self.object(json!({ "event": "step", "number": number, "text": text.to_string(), "rfc": rfc }));
        }
        let clause = clause.map(|clause| format!(" [{clause}]")).unwrap_or_default();
        output::print_wrapped_diagnostic(format_args!(" {}. {text}{clause}", self.step));
    }

    /// Prints an object in the JSON format.
    fn object(&self, object: Value) {
        if !self.is_json {
            return;
        }
        let line = object.to_string() + "\n";
        // Neither a reader that has gone nor a full disk ends a path that is held.
        let _written = if self.is_held { output::print_part(&line).is_ok() } else { output::print_error_part(&line) };
    }
}

/// The line of a host without a card.
const UNKNOWN: &str = "the NAT of this host is unknown, so no port is guessed; add --measure, or --card with the line of \
                       `portolan nat --card`";

fn budget_object(budget: &Budget) -> Value {
    let Budget { mappings, sessions, rate } = *budget;
    json!({ "mappings": mappings, "sessions": sessions, "rate": rate })
}

/// Returns the packets, mappings and sessions of this host in words.
fn counts(usage: &Usage) -> String {
    let Usage { packets, mappings, sessions, .. } = usage;
    format!(
        "{}, {} and {}",
        output::count(usize::try_from(*packets).unwrap_or(usize::MAX), "packet"),
        output::count(usize::from(*mappings), "mapping"),
        output::count(usize::from(*sessions), "session")
    )
}
