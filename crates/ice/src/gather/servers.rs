//! The exchange of a gatherer with its servers: requests, responses and keepalives (RFC 8445 §5.1.1.2, §5.1.1.4, §14).

use super::base::{Mapping, Reflexive, mapped_address};
use super::requests::{Purpose, Requests, Tag, retransmission_timeout, schedule};
use super::{FailedServer, GatherEvent, GatherNote, Gatherer, ServerFailure};
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use portolan_machine::{Cx, Datagram, Input, Instant, Output, SocketId, Verdict};
use portolan_stun::Message;
use portolan_stun_agent::{Request, TransactionEvent, TransactionId};

/// The time that a server has for the answer to a keepalive.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_millis(7500);

impl Gatherer {
    /// Plans a request to each server of the family.
    pub(super) fn plan(&mut self, cx: &mut Cx<'_>, socket: SocketId, local: SocketAddr) {
        let servers = self.config.servers.iter().copied().filter(|server| server.is_ipv4() == local.is_ipv4());
        for server in servers.collect::<Vec<_>>() {
            if !self.requests.add(Tag { socket, server, purpose: Purpose::Gather }) {
                self.fail(cx, FailedServer { server, base: Some(local), why: ServerFailure::TooMany });
            }
        }
    }

    /// Counts the pairs of a socket with this address and a server, for the RTO.
    pub(super) fn count_pairs(&mut self, address: IpAddr) {
        self.round.pairs += self.config.servers.iter().filter(|server| server.is_ipv4() == address.is_ipv4()).count();
    }

    /// Plans the keepalives that are due.
    pub(super) fn plan_keepalives(&mut self, now: Instant) {
        while let Some((socket, server)) = self.timers.pop_due(now) {
            let reflexive = self.bases.get_mut(&socket).and_then(|base| base.of_server(server));
            if let Some(reflexive) = reflexive {
                reflexive.timer = None;
                self.requests.add(Tag { socket, server, purpose: Purpose::Keepalive });
            }
        }
    }

    /// Starts the next request, if there is one and the pacer allows it.
    pub(super) fn start_next(&mut self, cx: &mut Cx<'_>) -> bool {
        if !self.pacer.due(cx.now()) {
            return false;
        }
        let Some(tag) = self.requests.take_next() else { return false };
        let Some(base) = self.bases.get(&tag.socket).and_then(super::Base::local) else { return true };
        let (count, timeout) = match tag.purpose {
            Purpose::Gather => (self.round.pairs, self.config.timeout),
            Purpose::Keepalive => (Requests::KEEPALIVES.min(self.timers.len()), KEEPALIVE_TIMEOUT),
        };
        let rto = retransmission_timeout(self.pacer.interval(), count);
        let request = Request::binding(tag.socket, tag.server, tag).schedule(schedule(rto, timeout));
        self.pacer.take(cx.now());
        cx.note(|| GatherNote::Asked { base, server: tag.server, rto });
        match self.transactions.with(cx, |transactions, cx| transactions.request(cx, request)) {
            Ok(id) => self.requests.start(id, tag),
            Err(_) => self.fail_request(cx, tag, ServerFailure::TooMany),
        }
        true
    }

    /// Cancels the requests that `applies` selects.
    pub(super) fn cancel(&mut self, cx: &mut Cx<'_>, applies: impl Fn(&Tag) -> bool) {
        for id in self.requests.withdraw(applies) {
            self.requests.end(id, 0);
            let _ended = self.transactions.with(cx, |transactions, cx| transactions.cancel(cx, id));
        }
    }

    pub(super) fn datagram(&mut self, cx: &mut Cx<'_>, datagram: Datagram<'_>) -> Verdict {
        let verdict = self.transactions.handle(cx, Input::Datagram(datagram));
        if verdict == Verdict::Mine && Message::decode(datagram.payload).is_err() {
            let id = datagram.payload.get(8..20).and_then(|id| <[u8; 12]>::try_from(id).ok());
            id.into_iter().for_each(|id| self.requests.set_undecodable(TransactionId::from(id)));
        }
        verdict
    }

    /// Takes the outputs of the transactions.
    pub(super) fn drain(&mut self, cx: &mut Cx<'_>) {
        while let Some(output) = self.transactions.take() {
            match output {
                Output::Transmit(transmit) => self.out.push(Output::Transmit(transmit)),
                Output::Socket(order) => self.out.push(Output::Socket(order)),
                Output::Event(event) => self.react(cx, event),
                Output::Wait(_) => {}
            }
        }
    }

    fn react(&mut self, cx: &mut Cx<'_>, event: TransactionEvent<Tag>) {
        let (id, tag) = (event.id(), *event.tag());
        if !self.requests.is_in_flight(id) {
            return;
        }
        match event {
            TransactionEvent::Answered(answer) => {
                self.requests.end(id, answer.sends);
                let local = self.bases.get(&tag.socket).and_then(super::Base::local);
                let Some(local) = local else { return };
                match mapped_address(&answer.message, local) {
                    Ok(mapped) => self.answered(cx, tag, local, mapped),
                    Err(why) => self.fail_request(cx, tag, why),
                }
            }
            TransactionEvent::Elsewhere(answer) => self.requests.set_elsewhere(id, answer.from),
            TransactionEvent::Unreachable { why, .. } => {
                let mut pending = self.transactions.get().pending();
                let send = pending.find(|(other, ..)| *other == id).map_or(0, |(_, _, sends)| sends);
                drop(pending);
                if self.requests.set_unreachable(id, why, send) {
                    let _ended = self.transactions.with(cx, |transactions, cx| transactions.give_up(cx, id));
                }
            }
            TransactionEvent::Exhausted { sends, .. } => {
                if let Some(why) = self.requests.end(id, sends) {
                    self.fail_request(cx, tag, why);
                }
            }
            TransactionEvent::Unusable { why, .. } => {
                self.requests.end(id, 1);
                self.fail_request(cx, tag, ServerFailure::Unusable(why));
            }
            // The gatherer does not pass socket losses to its transactions.
            TransactionEvent::SocketLost { .. } | _ => {
                self.requests.end(id, 0);
            }
        }
    }

    fn answered(&mut self, cx: &mut Cx<'_>, tag: Tag, base: SocketAddr, mapped: SocketAddr) {
        match tag.purpose {
            Purpose::Gather => self.add_reflexive(cx, tag, base, mapped),
            Purpose::Keepalive => self.confirm(cx, tag, base, mapped),
        }
    }

    fn add_reflexive(&mut self, cx: &mut Cx<'_>, tag: Tag, local: SocketAddr, mapped: SocketAddr) {
        let (server, mode) = (tag.server, self.config.mode);
        let Some(base) = self.bases.get_mut(&tag.socket) else { return };
        match base.map(tag.socket, mode, mapped, server.ip()) {
            Mapping::Redundant => cx.note(|| GatherNote::Redundant { base: local, mapped, server }),
            Mapping::AlreadyKnown => cx.note(|| GatherNote::AlreadyKnown { base: local, mapped, server }),
            Mapping::New(candidate) => {
                base.reflexive.push(Reflexive { candidate, server, timer: None, failures: 0 });
                self.out.push(Output::Event(GatherEvent::Candidate(candidate)));
                self.set_timer(cx.now(), tag.socket, server);
            }
        }
    }

    /// Compares the mapped address in the answer to a keepalive with the candidate.
    fn confirm(&mut self, cx: &mut Cx<'_>, tag: Tag, local: SocketAddr, mapped: SocketAddr) {
        let (server, mode) = (tag.server, self.config.mode);
        let Some(base) = self.bases.get_mut(&tag.socket) else { return };
        let Some(index) = base.reflexive.iter().position(|reflexive| reflexive.server == server) else { return };
        let Some(stale) = base.reflexive.get(index).map(|reflexive| reflexive.candidate) else { return };
        if let Some(reflexive) = base.reflexive.get_mut(index) {
            reflexive.failures = 0;
        }
        if stale.address != mapped {
            // The stale candidate is still in the list, so that the new one gets another preference.
            let candidate = match base.map(tag.socket, mode, mapped, server.ip()) {
                Mapping::New(candidate) => Some(candidate),
                Mapping::Redundant | Mapping::AlreadyKnown => None,
            };
            match (base.reflexive.get_mut(index), candidate) {
                (Some(reflexive), Some(candidate)) => reflexive.candidate = candidate,
                (_, None) => drop(base.reflexive.remove(index)),
                (None, Some(_)) => {}
            }
            cx.note(|| GatherNote::MappingChanged { base: local, from: stale.address, to: mapped });
            self.out.push(Output::Event(GatherEvent::Changed { stale, candidate }));
        }
        self.set_timer(cx.now(), tag.socket, server);
    }

    /// Sets the time of the next keepalive of a candidate. The interval doubles with each failure in a row, so that a
    /// dead server gets few requests.
    fn set_timer(&mut self, now: Instant, socket: SocketId, server: SocketAddr) {
        let reflexive = self.bases.get_mut(&socket).and_then(|base| base.of_server(server));
        let Some(reflexive) = reflexive.filter(|_| self.keeps_alive) else { return };
        let factor = 1_u32.checked_shl(reflexive.failures).unwrap_or(u32::MAX);
        let at = now + self.config.keepalive.saturating_mul(factor);
        // At the end of time there is no later time.
        if at > now {
            reflexive.timer = Some(self.timers.insert(at, (socket, server)));
        }
    }

    /// Ends a request that gave no candidate.
    fn fail_request(&mut self, cx: &mut Cx<'_>, tag: Tag, why: ServerFailure) {
        let base = self.bases.get(&tag.socket).and_then(super::Base::local);
        let failed = FailedServer { server: tag.server, base, why };
        match tag.purpose {
            Purpose::Gather => self.fail(cx, failed),
            Purpose::Keepalive => {
                cx.note(|| GatherNote::KeepaliveFailed(failed));
                if let Some(reflexive) = self.bases.get_mut(&tag.socket).and_then(|base| base.of_server(tag.server)) {
                    reflexive.failures = reflexive.failures.saturating_add(1);
                }
                self.set_timer(cx.now(), tag.socket, tag.server);
            }
        }
    }

    fn fail(&mut self, cx: &mut Cx<'_>, failed: FailedServer) {
        cx.note(|| GatherNote::ServerFailed(failed));
        self.round.report.failed.push(failed);
        self.out.push(Output::Event(GatherEvent::ServerFailed(failed)));
    }

    /// Reports the servers whose family no socket has. Without any socket, the sockets are the reason.
    pub(super) fn report_unused_servers(&mut self, cx: &mut Cx<'_>) {
        let families: Vec<bool> = self.bases.values().filter_map(|base| Some(base.local()?.is_ipv4())).collect();
        if families.is_empty() {
            return;
        }
        for number in 0..self.config.servers.len() {
            let Some(server) = self.config.servers.get(number).copied() else { continue };
            if !families.contains(&server.is_ipv4()) {
                self.fail(cx, FailedServer { server, base: None, why: ServerFailure::NoAddressOfFamily });
            }
        }
    }
}
