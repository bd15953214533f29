//! The mapping socket: its servers, its observations and its conclusion.
//!
//! Rules of this file: it decides when to judge and when to send further requests; `mapping` judges observations. One
//! socket sends to all servers, because only mappings of one internal endpoint can be compared (RFC 4787 §4.1).

use crate::behavior::{Mapping, NatKind};
use crate::event::DiscoveryEvent;
use crate::note::DiscoveryNote;
use crate::profile::{Conclusion, Evidence, Family, Flaw, Unknown};
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use portolan_machine::{Instant, SocketId};
use portolan_stun::ChangeRequest;
use portolan_stun_agent::{Answer, AnswerFrom};

use super::action::{Action, Actions};
use super::doubt;
use super::filtering::Outcome;
use super::mapping::{self, Judgement, Observation};
use super::plan::{MAPPING, PlannedRequest};
use super::response::ResponseFields;
use super::servers::{RequestState, Servers};
use super::tag::{Tag, Target, Test};

/// The mapping socket and its results.
#[derive(Clone, Debug)]
pub(super) struct MappingRun {
    pub(super) socket: SocketId,
    pub(super) local: Option<SocketAddr>,
    /// No request starts before this time: the other family goes first.
    pub(super) from: Instant,
    pub(super) observations: Vec<Observation>,
    /// MAPPED-ADDRESS and XOR-MAPPED-ADDRESS of one response. A pair that differs replaces an equal one.
    pub(super) twice: Option<(SocketAddr, SocketAddr)>,
    /// Another local address that a response came to.
    pub(super) other_local: Option<IpAddr>,
    /// The servers whose other addresses get requests.
    measured_with: Vec<u8>,
    /// The latest judgement.
    judgement: Judgement,
    pub(super) verdict: Option<Conclusion<Mapping>>,
}

impl MappingRun {
    pub(super) const fn new(socket: SocketId, from: Instant) -> Self {
        Self {
            socket,
            local: None,
            from,
            observations: Vec::new(),
            twice: None,
            other_local: None,
            measured_with: Vec::new(),
            judgement: Judgement::TooLittle,
            verdict: None,
        }
    }

    /// Returns a plain request to one address of a server. Returns each request once.
    pub(super) fn plan_request(&self, servers: &mut Servers, server: u8, target: Target) -> Option<Action> {
        let state = servers.get_mut(server)?;
        let to = state.address_of(target)?;
        let request = state.target(target);
        if request.planned || self.local.is_none() {
            return None;
        }
        request.planned = true;
        let tag = Tag { family: Family::of(&to), test: Test::Map { server, target } };
        Some(Action::Request(PlannedRequest {
            tag,
            socket: self.socket,
            to,
            change: None,
            schedule: MAPPING,
            from: AnswerFrom::SameAsDestination,
            not_before: self.from,
        }))
    }

    /// Returns a CHANGE-REQUEST on this socket, where no filter drops the response.
    ///
    /// The response comes from the other address, which the socket has contacted. If `whole` is false, it comes from
    /// the destination of the request.
    pub(super) fn plan_proof(&self, servers: &mut Servers, server: u8, whole: bool) -> Actions {
        let Some(state) = servers.get_mut(server).filter(|state| !state.proof.planned) else { return Actions::new() };
        state.proof.planned = true;
        state.proof_is_whole = whole;
        let to = state.address;
        let request = PlannedRequest {
            tag: Tag { family: Family::of(&to), test: Test::Proof { server } },
            socket: self.socket,
            to,
            change: Some(if whole { ChangeRequest::IP_AND_PORT } else { ChangeRequest::NONE }),
            schedule: MAPPING,
            from: AnswerFrom::AnyReported,
            not_before: self.from,
        };
        Actions::from([Action::Note(DiscoveryNote::ProofAsked { server: to }), Action::Request(request)])
    }

    /// Takes a success response to a plain request from this socket.
    pub(super) fn answered(&mut self, answer: &Answer<Tag>, server: u8, mapped: SocketAddr, fields: &ResponseFields) {
        if let (Some(plain), Some(xored)) = (fields.plain, fields.xored)
            && (self.twice.is_none() || plain != xored)
        {
            self.twice = Some((plain, xored));
        }
        if self.local.is_some_and(|local| local.ip() != answer.local.ip()) {
            // The response came in by another interface: that is another internal endpoint, with another mapping.
            self.other_local = Some(answer.local.ip());
            return;
        }
        let order = u16::try_from(self.observations.len()).unwrap_or(u16::MAX);
        self.observations.push(Observation { server, to: answer.from, mapped, order });
    }

    /// Chooses the server whose other addresses mapping is measured with, and the next one when that server fails.
    pub(super) fn choose_server(&mut self, now: Instant, servers: &mut Servers) -> Actions {
        let mut actions = Actions::new();
        if self.verdict.is_some() || self.local.is_none() || !self.needs_another_server(now, servers) {
            return actions;
        }
        let Some(server) = servers.next_capable(|server| self.measured_with.contains(&server)) else { return actions };
        self.measured_with.push(server);
        if let Some(state) = servers.get(server)
            && let Some(other) = state.address_of(Target::OtherBoth)
        {
            actions.push(Action::Note(DiscoveryNote::AlternateFound { server: state.address, other }));
        }
        actions.extend(self.plan_request(servers, server, Target::OtherAddress));
        actions.extend(self.plan_request(servers, server, Target::OtherBoth));
        actions
    }

    fn needs_another_server(&self, now: Instant, servers: &Servers) -> bool {
        let Some(last) = self.measured_with.last().and_then(|server| servers.get(*server)) else { return true };
        let alternates = last.targets.iter().skip(1);
        let unanswered = |request: &RequestState| request.sent_at.is_some() && !request.is_answered();
        let silent =
            alternates.clone().all(|request| unanswered(request) && request.timeout_at().is_none_or(|end| end <= now));
        // The server has answered all requests, and the observations do not suffice.
        let exhausted = alternates.clone().all(|request| request.outcome != Outcome::Waiting)
            && match self.judgement {
                Judgement::TooLittle | Judgement::Contradiction | Judgement::Dependent { on: None, .. } => true,
                Judgement::Independent { .. } | Judgement::Dependent { on: Some(_), .. } | Judgement::MultiPath => {
                    false
                }
            };
        silent || exhausted || !last.is_trusted()
    }

    /// The time at which [`MappingRun::choose_server`] may choose another server.
    pub(super) fn deadline(&self, now: Instant, servers: &Servers) -> Option<Instant> {
        let last = servers.get(*self.measured_with.last()?)?;
        last.alternate().timeout_at().filter(|at| self.verdict.is_none() && *at > now)
    }

    /// Judges. Returns whether the servers contradict each other, and a flaw if one server is contradicted.
    pub(super) fn judge(&mut self, now: Instant, servers: &mut Servers, steady: bool) -> (bool, Option<Action>) {
        if self.verdict.is_some() {
            return (false, None);
        }
        let judged = mapping::judge(&self.observations, |server| servers.is_trusted(server));
        let flaw = judged.contradicted.and_then(|server| servers.hold(server, Flaw::Contradicted));
        self.judgement = judged.judgement;
        self.verdict = self.conclude(judged.judgement, now, servers, steady);
        let contradiction = match judged.judgement {
            Judgement::Contradiction => true,
            Judgement::Dependent { several_addresses, .. } => several_addresses,
            Judgement::MultiPath => true,
            Judgement::TooLittle | Judgement::Independent { .. } => false,
        };
        (contradiction, flaw)
    }

    fn conclude(
        &self,
        judgement: Judgement,
        now: Instant,
        servers: &Servers,
        steady: bool,
    ) -> Option<Conclusion<Mapping>> {
        let pending = servers.any_pending(now);
        let more = pending || self.more_to_come(servers);
        let unknown = |why| Some(Conclusion::unknown(why, self.evidence(servers)));
        match judgement {
            Judgement::Independent { witnesses: 1, .. } if pending => None,
            Judgement::Independent { witnesses, .. } => {
                let p_wrong = if witnesses > 1 { doubt::PORT_CHANCE } else { doubt::SINGLE_SERVER };
                Some(Conclusion::value_with(Mapping::EndpointIndependent, p_wrong, self.evidence(servers)))
            }
            // A faulty server may report several addresses, so the reported address must have stayed the same.
            Judgement::Dependent { on: Some(_), several_addresses } if pending || (several_addresses && !steady) => {
                None
            }
            Judgement::Dependent { on: Some(on), .. } => {
                let lone = self.witnesses(servers) < 2;
                let p_wrong = if lone { doubt::SINGLE_SERVER } else { doubt::PORT_CHANCE };
                Some(Conclusion::value_with(on, p_wrong, self.evidence(servers)))
            }
            Judgement::MultiPath if pending || !steady => None,
            Judgement::MultiPath => unknown(Unknown::MultiPath),
            _ if more => None,
            Judgement::Dependent { on: None, .. } => unknown(Unknown::Dependent),
            Judgement::Contradiction => unknown(Unknown::ServersDisagree),
            Judgement::TooLittle => self.conclude_from_little(servers),
        }
    }

    /// Concludes when at most one address answered, and no other address is left.
    fn conclude_from_little(&self, servers: &Servers) -> Option<Conclusion<Mapping>> {
        let evidence = self.evidence(servers);
        let trusted = self.observations.iter().find(|seen| servers.is_trusted(seen.server));
        let Some(seen) = trusted else {
            let unsteady = servers.in_use().any(|(_, server)| server.flaws.contains(&Flaw::Unstable));
            let flawed = servers.in_use().any(|(_, server)| !server.flaws.is_empty());
            let why = match (unsteady, flawed) {
                (true, _) => Unknown::Rebinding,
                (false, true) => Unknown::ServerError,
                // `check_reachability` decides whether UDP is blocked.
                (false, false) => return None,
            };
            return Some(Conclusion::unknown(why, evidence));
        };
        // A socket that is not translated has one endpoint for all destinations.
        let untouched = self.local == Some(seen.mapped);
        Some(if untouched {
            Conclusion::value_with(Mapping::EndpointIndependent, doubt::SINGLE_SERVER, evidence)
        } else {
            Conclusion::unknown(Unknown::SingleServer, evidence)
        })
    }

    /// Whether a pending request or an unused server may add an observation.
    fn more_to_come(&self, servers: &Servers) -> bool {
        let under_way = servers.in_use().any(|(_, server)| server.targets.iter().any(RequestState::is_waiting));
        let untried = servers.next_capable(|server| self.measured_with.contains(&server)).is_some();
        under_way || untried || servers.has_more()
    }

    fn witnesses(&self, servers: &Servers) -> usize {
        let mut servers_seen: Vec<u8> = self.observations.iter().map(|seen| seen.server).collect();
        servers_seen.retain(|server| servers.is_trusted(*server));
        servers_seen.sort_unstable();
        servers_seen.dedup();
        servers_seen.len()
    }

    fn evidence(&self, servers: &Servers) -> Vec<Evidence> {
        let mut evidence: Vec<Evidence> =
            self.observations.iter().map(|seen| Evidence::Seen { to: seen.to, mapped: seen.mapped }).collect();
        evidence.extend(self.local.map(|address| Evidence::Local { address }));
        for (_, server) in servers.in_use() {
            evidence.extend(server.flaws.iter().map(|flaw| Evidence::Server { address: server.address, flaw: *flaw }));
        }
        evidence
    }

    /// The endpoints that trusted servers reported for the socket, each once.
    pub(super) fn public(&self, servers: &Servers) -> Vec<SocketAddr> {
        let mut public = Vec::with_capacity(1);
        for seen in self.observations.iter().filter(|seen| servers.is_trusted(seen.server)) {
            if !public.contains(&seen.mapped) {
                public.push(seen.mapped);
            }
        }
        public
    }

    /// Whether the socket is translated; `None` before the first response.
    pub(super) fn is_translated(&self, servers: &Servers) -> Option<bool> {
        let mut trusted = self.observations.iter().filter(|seen| servers.is_trusted(seen.server)).peekable();
        trusted.peek()?;
        Some(trusted.any(|seen| Some(seen.mapped) != self.local))
    }
}

/// The kind of NAT, from translation and filtering.
pub(super) fn nat_kind(translated: bool, filtering: Option<&crate::behavior::Filtering>) -> NatKind {
    match (translated, filtering) {
        (true, _) => NatKind::Nat,
        (false, Some(crate::behavior::Filtering::EndpointIndependent) | None) => NatKind::None,
        (false, Some(_)) => NatKind::Firewall,
    }
}

/// The event for a conclusion on mapping.
pub(super) fn event(family: Family, verdict: &Conclusion<Mapping>) -> DiscoveryEvent {
    DiscoveryEvent::Mapping { family, conclusion: verdict.clone() }
}
