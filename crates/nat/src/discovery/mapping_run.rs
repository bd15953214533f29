//! The mapping socket: its servers, its observations and its conclusion.
//!
//! Rules of this file: it decides when to judge and when to send further requests; `mapping` judges observations. One
//! socket sends to all servers, because only mappings of one internal endpoint can be compared (RFC 4787 §4.1). The
//! requests to the primary addresses are repeated, so a change of the mapping during the run is seen. A mapping that
//! depends on the destination is concluded only if the first destination still shows its first endpoint.

use crate::behavior::{Mapping, NatKind};
use crate::event::DiscoveryEvent;
use crate::note::{DiscoveryNote, ExtraServerReason};
use crate::profile::{Conclusion, Evidence, Family, Flaw, Unknown};
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use portolan_machine::{Instant, SocketId};
use portolan_stun::ChangeRequest;
use portolan_stun_agent::{Answer, AnswerFrom, Schedule};

use super::action::{Action, Actions};
use super::doubt;
use super::filtering::Outcome;
use super::mapping::{self, Judgement, Observation};
use super::plan::{AGAIN, MAPPING, MAPPING_REPEATED, PlannedRequest};
use super::response::ResponseFields;
use super::servers::{RequestState, ServerState, Servers};
use super::tag::{Tag, Target, Test};

/// The most requests to further destinations if the NAT preserves the port. With the requests of every run they fit in
/// the ten transactions of the first second.
const POOL_REQUESTS: usize = 2;

/// Whether the observations are of one mapping.
#[derive(Clone, Copy, Debug)]
struct Confirmation {
    /// The time of the last new observation.
    observed_at: Instant,
    /// Whether a primary address showed its first endpoint again, after the last new observation.
    is_confirmed: bool,
}

/// The facts that the other sockets of the run show.
#[derive(Clone, Copy, Debug)]
pub(super) struct Others {
    /// The filtering socket showed the same endpoint twice, or gets no further response.
    pub(super) is_steady: bool,
    /// The NAT made another mapping for a socket.
    pub(super) is_rebound: bool,
    /// The sockets have different external addresses.
    pub(super) is_pooled: bool,
}

/// The mapping socket and its results.
#[derive(Clone, Debug)]
pub(super) struct MappingRun {
    pub(super) socket: SocketId,
    pub(super) local: Option<SocketAddr>,
    /// No request starts before this time: the other family goes first.
    pub(super) from: Instant,
    pub(super) observations: Vec<Observation>,
    confirmation: Confirmation,
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
            confirmation: Confirmation { observed_at: from, is_confirmed: false },
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
        let schedule = match target {
            Target::Primary | Target::OtherBoth => MAPPING_REPEATED,
            Target::OtherAddress => MAPPING,
        };
        Some(self.plain_request(Test::Map { server, target }, to, schedule))
    }

    /// Returns a request that is sent while TCP is known to pass.
    pub(super) fn plan_again(&self, server: u8, to: SocketAddr) -> Action {
        self.plain_request(Test::Again { server }, to, AGAIN)
    }

    fn plain_request(&self, test: Test, to: SocketAddr, schedule: Schedule) -> Action {
        Action::Request(PlannedRequest {
            tag: Tag { family: Family::of(&to), test },
            socket: self.socket,
            to,
            change: None,
            schedule,
            from: AnswerFrom::SameAsDestination,
            not_before: self.from,
        })
    }

    /// Returns a CHANGE-REQUEST on this socket, where no filter drops the response.
    ///
    /// The response comes from the other address, which the socket has contacted. If `whole` is false, it comes from
    /// the destination of the request.
    pub(super) fn plan_proof(&self, servers: &mut Servers, server: u8, whole: bool) -> Actions {
        let Some(state) = servers.get_mut(server).filter(|state| !state.proof.request.planned) else {
            return Actions::new();
        };
        (state.proof.request.planned, state.proof.is_whole) = (true, whole);
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
    pub(super) fn answered(
        &mut self,
        now: Instant,
        answer: &Answer<Tag>,
        (server, rtt): (u8, Duration),
        mapped: SocketAddr,
        fields: &ResponseFields,
    ) {
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
        let before = self.observations.iter().find(|seen| seen.server == server && seen.to == answer.from);
        if let Some(before) = before {
            // The request passed the NAT at most one round trip ago.
            let is_later = now >= self.confirmation.observed_at + rtt;
            self.confirmation.is_confirmed |= before.mapped == mapped && is_later;
            return;
        }
        let order = u16::try_from(self.observations.len()).unwrap_or(u16::MAX);
        self.observations.push(Observation { server, to: answer.from, mapped, order });
        self.confirmation = Confirmation { observed_at: now, is_confirmed: false };
    }

    /// Chooses the server whose other addresses mapping is measured with, and the next one when that server fails.
    pub(super) fn choose_server(&mut self, now: Instant, servers: &mut Servers) -> Actions {
        let mut actions = Actions::new();
        if self.verdict.is_some() || self.local.is_none() {
            return actions;
        }
        actions.extend(self.sample_pool(now, servers));
        if !self.needs_another_server(now, servers) {
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

    /// Whether the NAT preserves the port. Then an equal port at all destinations is no evidence: a NAT that chooses one
    /// of several addresses for each destination preserves the port too.
    fn is_preserved(&self, servers: &Servers) -> bool {
        let seen = self.observations.iter().find(|seen| servers.is_trusted(seen.server));
        seen.zip(self.local).is_some_and(|(seen, local)| seen.mapped != local && seen.mapped.port() == local.port())
    }

    /// Returns requests to further destination addresses if the NAT preserves the port.
    ///
    /// A new address is stronger evidence than another port of a known address: a NAT may choose its address by a hash
    /// of the destination address. So the second server gets one request to its other address, and then further
    /// servers get one each. If there are none left, the second server gets a request to its other port too.
    fn sample_pool(&self, now: Instant, servers: &mut Servers) -> Actions {
        let mut actions = Actions::new();
        // Whether the second server has another address is known after its response.
        if !self.is_preserved(servers) || servers.any_pending(now) {
            return actions;
        }
        let capable: Vec<u8> = Self::sampled(servers).map(|(number, _)| number).collect();
        let Some(first) = capable.first().copied() else { return actions };
        actions.extend(self.plan_request(servers, first, Target::OtherAddress));
        actions.extend(self.plan_request(servers, first, Target::OtherBoth));
        let second = capable.get(1).copied();
        actions.extend(second.and_then(|second| self.plan_request(servers, second, Target::OtherBoth)));
        let sent = usize::from(second.is_some());
        while sent + servers.extra() < POOL_REQUESTS {
            let Some(number) = servers.join_sample() else { break };
            let why = ExtraServerReason::PreservedPort;
            let note = servers.get(number).map(|state| DiscoveryNote::Joined { server: state.address, why });
            actions.extend(note.map(Action::Note));
            actions.extend(self.plan_request(servers, number, Target::Primary));
        }
        if let Some(second) = second.filter(|_| sent + servers.extra() < POOL_REQUESTS) {
            actions.extend(self.plan_request(servers, second, Target::OtherAddress));
        }
        actions
    }

    /// The servers whose other addresses get requests if the NAT preserves the port.
    fn sampled(servers: &Servers) -> impl Iterator<Item = (u8, &ServerState)> {
        servers.required().filter(|(_, server)| server.is_capable() && server.is_trusted()).take(2)
    }

    /// Whether only a second response of a primary address is missing.
    pub(super) fn awaits_confirmation(&self) -> bool {
        self.verdict.is_none() && !self.confirmation.is_confirmed && self.observations.len() > 1
    }

    /// Whether a request to a further destination address is pending or will follow.
    fn is_sampling(&self, now: Instant, servers: &Servers) -> bool {
        let is_under_way =
            |request: &RequestState| request.is_waiting() && request.timeout_at().is_none_or(|timeout| timeout > now);
        self.is_preserved(servers)
            && (servers.any_sample_pending(now)
                || Self::sampled(servers).any(|(_, server)| !server.alternate().planned)
                || servers.trusted().any(|server| server.targets.iter().skip(1).any(is_under_way)))
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
        let alternates = servers.in_use().flat_map(|(_, server)| server.targets.iter().skip(1));
        let timeouts = alternates.filter_map(RequestState::timeout_at);
        timeouts.filter(|at| self.verdict.is_none() && *at > now).min()
    }

    /// Judges. Returns whether the servers contradict each other, and a flaw if one server is contradicted.
    pub(super) fn judge(&mut self, now: Instant, servers: &mut Servers, others: Others) -> (bool, Option<Action>) {
        if self.is_disproved(servers, others) {
            self.verdict = None;
        }
        if self.verdict.is_some() {
            self.revise(servers, others);
            return (false, None);
        }
        let judged = mapping::judge(&self.observations, |server| servers.is_trusted(server));
        self.judgement = judged.judgement;
        // A rebinding makes a correct server look wrong.
        if judged.contradicted.is_some() && !self.confirmation.is_confirmed && !servers.primaries_are_over() {
            return (true, None);
        }
        let flaw = judged.contradicted.and_then(|server| servers.hold(server, Flaw::Contradicted));
        self.verdict = self.conclude(judged.judgement, now, servers, others);
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
        others: Others,
    ) -> Option<Conclusion<Mapping>> {
        let pending = servers.any_pending(now);
        let more = pending || self.more_to_come(servers);
        let steady = others.is_steady;
        let unknown = |why| Some(Conclusion::unknown(why, self.evidence(servers)));
        let is_unconfirmed = match judgement {
            Judgement::Dependent { .. } | Judgement::MultiPath | Judgement::Contradiction => {
                !self.confirmation.is_confirmed
            }
            Judgement::TooLittle | Judgement::Independent { .. } => false,
        };
        match judgement {
            _ if self.is_rebound(servers) => unknown(Unknown::Rebinding),
            _ if servers.is_doubtful() => None,
            // Without a second response of the first destination a rebinding explains the same observations.
            _ if is_unconfirmed && !servers.primaries_are_over() => None,
            _ if is_unconfirmed => unknown(Unknown::HighLoss),
            Judgement::Independent { witnesses: 1, .. } if pending => None,
            Judgement::Independent { .. } if self.is_sampling(now, servers) => None,
            Judgement::Independent { witnesses, destinations, .. } => {
                let p_wrong = self.error_of_independence(servers, witnesses, destinations);
                let mut evidence = self.evidence(servers);
                evidence.extend(self.is_preserved(servers).then_some(Evidence::PreservedPort { destinations }));
                Some(Conclusion::value_with(Mapping::EndpointIndependent, p_wrong, evidence))
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

    fn error_of_independence(&self, servers: &Servers, witnesses: u8, destinations: u8) -> f64 {
        let p_wrong = if witnesses > 1 { doubt::PORT_CHANCE } else { doubt::SINGLE_SERVER };
        if self.is_preserved(servers) { p_wrong.max(doubt::POOL * doubt::one_of_two(destinations)) } else { p_wrong }
    }

    /// Whether the NAT made another mapping for the socket during the run.
    fn is_rebound(&self, servers: &Servers) -> bool {
        servers.trusted().any(|server| server.rebound().is_some())
    }

    /// Replaces a conclusion that later responses disprove, so that no two conclusions contradict each other.
    fn revise(&mut self, servers: &Servers, others: Others) {
        let Some(verdict) = self.verdict.as_ref().filter(|verdict| verdict.reason() != Some(Unknown::Rebinding)) else {
            return;
        };
        if others.is_rebound || self.is_rebound(servers) {
            self.verdict = Some(Conclusion::unknown(Unknown::Rebinding, self.evidence(servers)));
        } else if others.is_pooled
            && verdict.value() == Some(&Mapping::EndpointIndependent)
            && let Judgement::Independent { destinations, .. } = self.judgement
        {
            let (evidence, chance) = (self.evidence(servers), doubt::one_of_two(destinations));
            self.verdict = Some(if self.is_preserved(servers) {
                Conclusion::unknown(Unknown::MultiPath, evidence)
            } else {
                let p_wrong = verdict.p_wrong().unwrap_or(chance).max(chance);
                Conclusion::value_with(Mapping::EndpointIndependent, p_wrong, evidence)
            });
        }
    }

    /// Whether the reason of a revision was a server that is not trusted any more.
    fn is_disproved(&self, servers: &Servers, others: Others) -> bool {
        match self.verdict.as_ref().and_then(Conclusion::reason) {
            Some(Unknown::Rebinding) => !others.is_rebound && !self.is_rebound(servers),
            Some(Unknown::MultiPath) => !others.is_pooled && matches!(self.judgement, Judgement::Independent { .. }),
            Some(_) | None => false,
        }
    }

    /// The reason if the run ends before a conclusion; `None`: the time was too short.
    pub(super) fn reason_so_far(&self, servers: &Servers) -> Option<Unknown> {
        match self.judgement {
            _ if self.is_rebound(servers) => Some(Unknown::Rebinding),
            Judgement::Contradiction if self.confirmation.is_confirmed => Some(Unknown::ServersDisagree),
            Judgement::MultiPath if self.confirmation.is_confirmed => Some(Unknown::MultiPath),
            Judgement::Contradiction | Judgement::MultiPath | Judgement::Dependent { .. } => None,
            Judgement::TooLittle | Judgement::Independent { .. } => None,
        }
    }

    /// Concludes when at most one address answered, and no other address is left.
    fn conclude_from_little(&self, servers: &Servers) -> Option<Conclusion<Mapping>> {
        let evidence = self.evidence(servers);
        let trusted = self.observations.iter().find(|seen| servers.is_trusted(seen.server));
        let Some(seen) = trusted else {
            let flawed = servers.in_use().any(|(_, server)| !server.flaws.is_empty());
            let why = match (flawed, servers.is_heard()) {
                (true, _) => Unknown::ServerError,
                (false, true) => Unknown::HighLoss,
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

    pub(super) fn evidence(&self, servers: &Servers) -> Vec<Evidence> {
        let mut evidence: Vec<Evidence> =
            self.observations.iter().map(|seen| Evidence::Seen { to: seen.to, mapped: seen.mapped }).collect();
        for server in servers.trusted() {
            evidence.extend(server.rebound().map(|mapped| Evidence::Seen { to: server.address, mapped }));
        }
        evidence.extend(self.local.map(|address| Evidence::Local { address }));
        for (_, server) in servers.in_use() {
            evidence.extend(server.flaws.iter().map(|flaw| Evidence::Server { address: server.address, flaw: *flaw }));
        }
        evidence
    }

    /// The endpoints that trusted servers reported for the socket, each once.
    pub(super) fn public(&self, servers: &Servers) -> Vec<SocketAddr> {
        let mut public = Vec::with_capacity(1);
        let seen = self.observations.iter().filter(|seen| servers.is_trusted(seen.server)).map(|seen| seen.mapped);
        for mapped in seen.chain(servers.trusted().filter_map(ServerState::rebound)) {
            if !public.contains(&mapped) {
                public.push(mapped);
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
