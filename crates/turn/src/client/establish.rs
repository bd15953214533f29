//! Making an allocation: sockets, Allocate requests, and the attempts at all servers (RFC 8656 §7).

use super::allocation::{Allocation, Clocks, Grant, Phase, Role, framer, refresh_after};
use super::attempt::{Attempt, Reaction};
use super::config::{AllocateOptions, Families};
use super::peers::Peers;
use super::requests::Job;
use super::{Client, Stage, Timer, insert};
use crate::event::{ClientEvent, ClientFailure, Outcome, Step};
use crate::note::ClientNote;
use alloc::vec::Vec;
use core::net::SocketAddr;
use portolan_machine::{Cx, Open, Output, Refusal, SocketId, SocketOrder};
use portolan_stun::attribute::{AddressFamily, Attribute};
use portolan_stun::header::Method;
use portolan_stun::message::Message;
use portolan_stun_agent::alternate::{Alternates, ResponseAuthentication};

/// The protocol number of UDP in REQUESTED-TRANSPORT (RFC 8656 §18.8).
const UDP: u8 = 17;
/// The largest number of allocations at once: the current one, the next one, and a replaced one.
const ALLOCATIONS: usize = 3;

impl Client {
    /// Begins a round of attempts over all servers, with the server of this index first.
    pub(super) fn begin_round(&mut self, cx: &mut Cx<'_>, first: usize, peers: Peers) {
        let Some(config) = &self.config else { return };
        let options = config.options;
        self.try_servers(cx, Attempt::new(first, options), peers);
    }

    /// Begins an attempt at the first server, from that of `attempt`, that is not blocked. Without one, the client
    /// keeps its current allocation or ends.
    pub(super) fn try_servers(&mut self, cx: &mut Cx<'_>, mut attempt: Attempt, peers: Peers) {
        let Some(config) = &self.config else { return };
        let (servers, now) = (config.servers.clone(), cx.now());
        self.plan.blocked.retain(|(_, until)| *until > now);
        while attempt.tried < servers.len() {
            let index = (attempt.first + attempt.tried) % servers.len();
            let Some(&server) = servers.get(index) else { break };
            match self.plan.blocked.iter().find(|(blocked, _)| *blocked == server) {
                Some(&(_, until)) => {
                    let outcome = Outcome::Blocked(until);
                    self.record(Step { at: now, server, method: Method::ALLOCATE, sends: 0, outcome, icmp: None });
                    attempt.tried += 1;
                }
                None => return self.open_socket(cx, attempt, server, peers),
            }
        }
        if self.current().is_some() {
            let steps = core::mem::take(&mut self.plan.steps);
            self.out.push(Output::Event(ClientEvent::ReplacementFailed { steps }));
        } else {
            self.fail(ClientFailure::NoServer);
        }
    }

    /// Orders the socket of an attempt.
    fn open_socket(&mut self, cx: &mut Cx<'_>, attempt: Attempt, server: SocketAddr, peers: Peers) {
        let Some(config) = &self.config else { return };
        let socket = cx.next_socket();
        let is_first = self.allocations.is_empty() && attempt.sockets == 1;
        let mut open = Open::new(socket, config.protocol, config.bind(server, is_first)).towards(server);
        open.server_name = attempt.domain.clone().or_else(|| config.server_name.clone());
        self.out.push(Output::Socket(SocketOrder::Open(open)));
        cx.note(|| ClientNote::Opening { server, socket });
        self.insert_next(cx, attempt, (socket, server), Phase::Opening, peers);
    }

    /// Adds the next allocation, and returns its number.
    pub(super) fn insert_next(
        &mut self,
        cx: &mut Cx<'_>,
        attempt: Attempt,
        (socket, server): (SocketId, SocketAddr),
        phase: Phase,
        peers: Peers,
    ) -> Option<u32> {
        while self.allocations.len() >= ALLOCATIONS
            && let Some(oldest) = self.allocations.iter().find(|allocation| allocation.role == Role::Old)
        {
            let number = oldest.number;
            self.drop_allocation(cx, number);
        }
        let config = self.config.as_ref()?;
        let number = self.plan.numbers;
        self.plan.numbers = number.wrapping_add(1);
        let end = insert(&mut self.timers, cx.now() + config.times.timeout, Timer::End(number));
        let credential = config.credential.clone();
        let (role, grant) = (Role::Next, Grant::none(server));
        let clocks = Clocks { end, heard: cx.now(), ..Clocks::default() };
        let socket = Some(socket);
        let next = Allocation {
            number,
            socket,
            server,
            role,
            phase,
            attempt,
            credential,
            grant,
            peers,
            clocks,
            framer: framer(),
            icmp: None,
        };
        self.allocations.push(next);
        Some(number)
    }

    pub(super) fn opened(&mut self, cx: &mut Cx<'_>, number: u32) {
        let Some(allocation) = self.allocation_mut(number) else { return };
        if allocation.phase == Phase::Opening {
            allocation.phase = Phase::Allocating;
            self.send_allocate(cx, number);
        }
    }

    pub(super) fn send_allocate(&mut self, cx: &mut Cx<'_>, number: u32) {
        let Some(allocation) = self.allocation(number) else { return };
        let AllocateOptions { lifetime, family, even_port, token, dont_fragment } = allocation.attempt.options;
        let family = match family {
            Families::Unspecified => None,
            Families::Only(family) => Some(Attribute::RequestedAddressFamily(family)),
            Families::Dual => Some(Attribute::AdditionalAddressFamily(AddressFamily::Ipv6)),
        };
        let attributes: Vec<Attribute<'_>> = [
            Some(Attribute::RequestedTransport(UDP)),
            lifetime.map(Attribute::Lifetime),
            family,
            even_port.map(Attribute::EvenPort),
            token.map(Attribute::ReservationToken),
            dont_fragment.then_some(Attribute::DontFragment),
        ]
        .into_iter()
        .flatten()
        .collect();
        if let Err(why) = self.request(cx, number, Job::Allocate, &attributes)
            && let Some(allocation) = self.allocation(number)
        {
            let step = allocation.step(cx.now(), Method::ALLOCATE, 0, Outcome::NotSent(why));
            self.attempt_failed(cx, number, step);
        }
    }

    pub(super) fn allocate_answered(&mut self, cx: &mut Cx<'_>, number: u32, message: &Message<'_>, from: SocketAddr) {
        let is_closing = self.stage == Stage::Closing;
        let Some(allocation) = self.allocation_mut(number) else { return };
        let Some(grant) = Grant::read(message) else {
            let step = allocation.step(cx.now(), Method::ALLOCATE, 1, Outcome::Malformed);
            return self.attempt_failed(cx, number, step);
        };
        // After a redirection over UDP this is another server than the configured one.
        allocation.server = from;
        (allocation.phase, allocation.grant) = (Phase::Active, grant);
        if is_closing || allocation.role == Role::Old {
            return self.release(cx, number);
        }
        self.activate(cx, number);
    }

    /// Sets the timers of a new allocation, and uses it unless there is a current one.
    fn activate(&mut self, cx: &mut Cx<'_>, number: u32) {
        let now = cx.now();
        self.set_lifetime(now, number);
        self.set_keepalive(now, number);
        self.plan.steps.clear();
        let current = self.current().map(|current| current.peers.renewed(true));
        let Some(allocation) = self.allocations.iter_mut().find(|allocation| allocation.number == number) else {
            return;
        };
        let Allocation { server, ref grant, .. } = *allocation;
        let grant = grant.clone();
        if let Some(&relayed) = grant.relayed.first() {
            cx.note(|| ClientNote::Allocated { server, relayed });
        }
        allocation.hear(now);
        allocation.clocks.since = now;
        match current {
            Some(peers) => allocation.peers = peers,
            None => {
                allocation.role = Role::Current;
                let Grant { relayed, mapped, tuple: _, lifetime, token, missing } = grant;
                self.out.push(Output::Event(match self.plan.previous.take() {
                    None => ClientEvent::Allocated { relayed, mapped, server, lifetime, token, missing },
                    Some(old) => ClientEvent::Replaced { old, new: relayed },
                }));
            }
        }
    }

    /// Sets the end of the lifetime and the time of the Refresh request.
    pub(super) fn set_lifetime(&mut self, now: portolan_machine::Instant, number: u32) {
        let Some(allocation) = self.allocations.iter_mut().find(|allocation| allocation.number == number) else {
            return;
        };
        let lifetime = allocation.grant.lifetime;
        allocation.clocks.expires = now + lifetime;
        let end = insert(&mut self.timers, allocation.clocks.expires, Timer::End(number));
        let refresh = insert(&mut self.timers, now + refresh_after(lifetime), Timer::Refresh(number));
        let old = [
            core::mem::replace(&mut allocation.clocks.end, end),
            core::mem::replace(&mut allocation.clocks.refresh, refresh),
        ];
        for timer in old.into_iter().flatten() {
            self.timers.cancel(timer);
        }
    }

    /// Follows a verified 300 over a stream, which needs a new stream (RFC 8489 §10). Over UDP the transactions follow.
    pub(super) fn redirected(&mut self, cx: &mut Cx<'_>, number: u32, message: &Message<'_>, sends: u32) {
        let Some(allocation) = self.allocation_mut(number) else { return };
        let (now, server) = (cx.now(), allocation.server);
        let alternates = allocation.attempt.alternates.get_or_insert_with(|| Alternates::new(now, server));
        match alternates.follow(now, message, ResponseAuthentication::ByIntegrity) {
            Ok(to) => {
                cx.note(|| ClientNote::Redirected { to });
                // RFC 8489 §10: the certificate is that of the new domain, or otherwise that of the previous one.
                if let Some(domain) = message.alternate_domain().and_then(|domain| domain.as_str()) {
                    allocation.attempt.domain = Some(domain.into());
                }
                let (attempt, peers) = (allocation.attempt.clone(), core::mem::take(&mut allocation.peers));
                self.drop_allocation(cx, number);
                self.open_socket(cx, attempt, to, peers);
            }
            Err(why) => {
                let why = portolan_stun_agent::Unusable::Alternate(why);
                let step = allocation.step(now, Method::ALLOCATE, sends, Outcome::Unusable(why));
                self.attempt_failed(cx, number, step);
            }
        }
    }

    pub(super) fn socket_refused(&mut self, cx: &mut Cx<'_>, number: u32, why: Refusal) {
        let Some(allocation) = self.allocation_mut(number) else { return };
        allocation.socket = None;
        let step = allocation.step(cx.now(), Method::ALLOCATE, 0, Outcome::Refused(why));
        self.attempt_failed(cx, number, step);
    }

    /// Applies the reaction to a failed attempt.
    pub(super) fn attempt_failed(&mut self, cx: &mut Cx<'_>, number: u32, step: Step) {
        let is_running = self.stage == Stage::Running;
        let Some(allocation) = self.allocation_mut(number) else { return };
        if !is_running || allocation.role != Role::Next {
            self.drop_allocation(cx, number);
            return self.end_close_when_done();
        }
        let reaction = allocation.attempt.react(&step.outcome);
        if let Reaction::Again(options) = reaction {
            allocation.attempt.options = options;
            self.note_attempt(cx, step, reaction);
            return self.send_allocate(cx, number);
        }
        let (server, mut attempt) = (allocation.server, allocation.attempt.clone());
        let peers = core::mem::take(&mut allocation.peers);
        self.drop_allocation(cx, number);
        self.note_attempt(cx, step, reaction);
        match reaction {
            Reaction::NewSocket => {
                attempt.sockets += 1;
                return self.open_socket(cx, attempt, server, peers);
            }
            Reaction::Block(time) => self.block(attempt.server_index(), cx.now() + time),
            Reaction::NextServer | Reaction::Again(_) => {}
        }
        let (first, tried) = (attempt.first, attempt.tried + 1);
        let options = self.config.as_ref().map(|config| config.options).unwrap_or_default();
        self.try_servers(cx, Attempt { tried, ..Attempt::new(first, options) }, peers);
    }

    fn note_attempt(&mut self, cx: &mut Cx<'_>, step: Step, reaction: Reaction) {
        cx.note(|| ClientNote::AttemptFailed { step: step.clone(), reaction: reaction.as_str() });
        self.record(step);
    }

    fn record(&mut self, step: Step) {
        if self.plan.steps.len() < Self::STEPS {
            self.plan.steps.push(step);
        }
    }

    /// Blocks a server of the configuration until a time.
    fn block(&mut self, index: usize, until: portolan_machine::Instant) {
        let Some(config) = &self.config else { return };
        if let Some(&server) = config.servers.get(index % config.servers.len().max(1)) {
            self.plan.blocked.retain(|(blocked, _)| *blocked != server);
            self.plan.blocked.push((server, until));
        }
    }

    /// Drops the next allocation, so that another attempt can begin, and returns the peers to request there.
    pub(super) fn drop_next(&mut self, cx: &mut Cx<'_>) -> Peers {
        let has_current = self.current().is_some();
        let Some(next) = self.allocations.iter_mut().find(|allocation| allocation.role == Role::Next) else {
            return Peers::default();
        };
        let (number, phase) = (next.number, next.phase);
        let peers = core::mem::take(&mut next.peers);
        next.role = Role::Old;
        match phase {
            Phase::Opening => self.drop_allocation(cx, number),
            Phase::Active => self.release(cx, number),
            // A success response is followed by a release.
            Phase::Allocating | Phase::Releasing => {}
        }
        if has_current { Peers::default() } else { peers }
    }
}
