//! The actions of a puncher: strategies, probes, guesses, the choice of a path, keepalives.

use super::event::{Failure, PunchEvent};
use super::note::{PunchNote, WithholdReason};
use super::probe::Probe;
use super::schedule::{RouterTest, Stage, packet};
use super::table::{Path, Table};
use super::{
    AGAIN, Connected, Extra, INTERVAL, KEEPALIVE, Puncher, Punching, Router, SLOW_INTERVAL, SOON, State, Timer,
    UNANSWERED,
};
use crate::forecast::{Side, Strategy, probe_delay};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use core::time::Duration;
use portolan_machine::{Cx, Instant, Open, Output, Protocol, SocketId, SocketOrder, Timers, Transmit};
use portolan_nat::translator::PortRange;

/// The time from one address of the peer to the next.
const STAGGER: Duration = Duration::from_millis(20);
/// The time in which a side that lets the peer send first sends nothing of its own.
const QUIET: Duration = Duration::from_secs(1);
/// The time from the peer's packets to those of a side that lets the peer send first. It covers the difference of both
/// starts.
const MARGIN: Duration = Duration::from_millis(200);
/// The wait for a path whose two directions have the same endpoints.
const SETTLE: Duration = Duration::from_millis(250);

impl Puncher {
    pub(super) fn start(&mut self, cx: &mut Cx<'_>) {
        self.out.push(Output::Event(PunchEvent::Planned(Box::new(self.schedule.plan))));
        for remote in &self.schedule.ignored {
            cx.note(|| PunchNote::CandidateIgnored { remote: *remote });
        }
        if !self.schedule.targets.is_empty() {
            self.open_sockets(cx);
        }
        self.state = State::Waiting;
        self.timers.insert(cx.now() + self.config.start.max(SOON), Timer::Start);
        if self.schedule.test == RouterTest::Sent {
            self.test_router(cx);
        }
    }

    /// Sends a packet to another port of the peer's address.
    fn test_router(&mut self, cx: &mut Cx<'_>) {
        let peer = self.config.peer.reflexive;
        let is_apart = peer.ip() != self.config.reflexive.ip() && self.schedule.targets.contains(&peer);
        let Some(socket) = self.config.sockets.towards(peer).filter(|_| is_apart) else { return };
        // A random port is not one that a sequential NAT assigns next.
        let away = u16::try_from(1000 + cx.random_below(60_000)).unwrap_or(1000);
        let remote = SocketAddr::new(peer.ip(), predicted(peer.port(), 1, away));
        if self.send(cx, Path { socket, remote }, false).is_ok() {
            self.router = Router::Tested(remote);
        }
    }

    /// The time that the peer needs to send first, with this strategy.
    fn hold(&self, Stage { strategy, lasts }: Stage) -> Duration {
        let packet = packet(&self.config.conditions);
        let is_tracked = self.router == Router::Tracks;
        if self.round > 0 {
            return Duration::ZERO;
        }
        match strategy {
            Strategy::Predict { hard: Side::Own, window, .. } if is_tracked => packet * u32::from(window) + MARGIN,
            // The sockets are opened as late as possible: after nearly all probes of the peer.
            Strategy::Birthday { hard: Side::Own, sockets, .. } if is_tracked => {
                lasts.saturating_sub(packet * u32::from(sockets) + MARGIN)
            }
            Strategy::Predict { .. } | Strategy::Birthday { .. } | Strategy::Ipv6 | Strategy::LocalNetwork => {
                Duration::ZERO
            }
            Strategy::Reversal | Strategy::Simultaneous | Strategy::AnswerSource => {
                if self.schedule.is_quiet {
                    QUIET
                } else if is_tracked || self.schedule.test == RouterTest::TooLate {
                    MARGIN
                } else {
                    Duration::ZERO
                }
            }
        }
    }

    /// Opens the sockets of the guess, if this side needs some: before the run, not during it.
    fn open_sockets(&mut self, cx: &mut Cx<'_>) {
        let needed = self.schedule.stages.iter().find_map(|stage| match stage.strategy {
            Strategy::Birthday { hard: Side::Own, sockets, .. } => Some(sockets),
            Strategy::Birthday { hard: Side::Peer, .. }
            | Strategy::Predict { .. }
            | Strategy::Ipv6
            | Strategy::LocalNetwork
            | Strategy::Reversal
            | Strategy::Simultaneous
            | Strategy::AnswerSource => None,
        });
        let remote = self.config.peer.reflexive;
        let any = match remote {
            SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
            SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
        };
        for _ in 0..needed.unwrap_or(0) {
            let socket = cx.next_socket();
            self.extra.push(Extra { socket, local: None });
            let order = Open::new(socket, Protocol::Udp, any).towards(remote);
            self.out.push(Output::Socket(SocketOrder::Open(order)));
        }
    }

    /// Closes the sockets of the guess, except the one of the path.
    pub(super) fn close_sockets(&mut self) {
        let kept = self.path().map(|path| path.socket);
        let (out, table) = (&mut self.out, &self.table);
        self.extra.retain(|extra| {
            let is_used = kept == Some(extra.socket)
                || (kept.is_none() && table.iter().any(|(path, entry)| path.socket == extra.socket && entry.is_heard));
            if !is_used {
                out.push(Output::Socket(SocketOrder::Close(extra.socket)));
            }
            is_used
        });
    }

    /// Begins at the common start. Without an address of the peer the attempt fails, but not before the start: until then the
    /// peer learns of this side, and its packet can show an address.
    pub(super) fn start_is_due(&mut self, cx: &mut Cx<'_>) {
        if self.schedule.targets.is_empty() {
            return self.fail(Failure::NoAddress);
        }
        self.begin(cx);
    }

    /// Begins the first strategy.
    pub(super) fn begin(&mut self, cx: &mut Cx<'_>) {
        if matches!(self.state, State::Waiting) {
            self.punch(cx);
            self.begin_stage(cx);
        }
    }

    fn punch(&mut self, cx: &mut Cx<'_>) {
        self.timers = Timers::new();
        let order = (cx.random_below(u32::MAX), cx.random_below(u32::MAX));
        self.state = State::Punching(Punching {
            stage: 0,
            began: cx.now(),
            sprayed: 0,
            spray_from: cx.now(),
            order,
            is_heard: false,
            nominated: None,
            settle: None,
            is_settled: false,
        });
    }

    fn begin_stage(&mut self, cx: &mut Cx<'_>) {
        let Some(stage) = self.stage() else { return };
        let Stage { strategy, lasts } = stage;
        self.out.push(Output::Event(PunchEvent::Trying(strategy)));
        let (packet, hold) = (packet(&self.config.conditions), self.hold(stage));
        let first = cx.now() + SOON + hold;
        self.timers.insert(cx.now() + lasts, Timer::Stage);
        match strategy {
            Strategy::Predict { hard, .. } => {
                // Another address would take the next port of the sequence.
                self.schedule_probe(first, self.config.peer.reflexive);
                if hard == Side::Peer {
                    self.spray_from(first);
                }
            }
            Strategy::Birthday { hard: Side::Own, .. } => self.spray_from(first),
            Strategy::Birthday { hard: Side::Peer, sockets, first: low, last, .. } => {
                self.spray_from(first + probe_delay(sockets, PortRange::new(low, last), packet));
            }
            Strategy::Ipv6
            | Strategy::LocalNetwork
            | Strategy::Reversal
            | Strategy::Simultaneous
            | Strategy::AnswerSource => {
                let targets = self.schedule.targets.clone();
                for (n, remote) in (0..).zip(targets) {
                    self.schedule_probe(first + STAGGER * n, remote);
                }
            }
        }
    }

    fn stage(&self) -> Option<Stage> {
        let State::Punching(punching) = &self.state else { return None };
        if self.round > 0 {
            return (punching.stage == 0).then_some(Stage { strategy: Strategy::Simultaneous, lasts: AGAIN });
        }
        self.schedule.stages.get(punching.stage).copied()
    }

    fn schedule_probe(&mut self, at: Instant, remote: SocketAddr) {
        if let Some(socket) = self.config.sockets.towards(remote) {
            self.arm(at, Path { socket, remote });
        }
    }

    /// Sets the timer of a path, if it has none.
    pub(super) fn arm(&mut self, at: Instant, path: Path) {
        if let Some(entry) = self.table.admit(path)
            && entry.timer.is_none()
            && !entry.is_confirmed
        {
            entry.timer = Some(self.timers.insert(at, Timer::Probe(path)));
        }
    }

    /// Ends a strategy: the next one begins, or the attempt has failed.
    pub(super) fn next_stage(&mut self, cx: &mut Cx<'_>) {
        let heard = self.table.iter().any(|(_, entry)| entry.is_heard);
        let State::Punching(punching) = &mut self.state else { return };
        punching.stage += 1;
        (punching.sprayed, punching.settle) = (0, None);
        if self.stage().is_none() {
            return self.fail(if self.round > 0 {
                Failure::PathLost
            } else if heard {
                Failure::OneWay
            } else {
                Failure::NoAnswer
            });
        }
        self.timers = Timers::new();
        self.table.clear_timers();
        let needs_sockets =
            self.schedule.stages.iter().skip(self.stage_number()).any(|stage| stage.strategy.is_guess());
        if !needs_sockets {
            self.close_sockets();
        }
        self.begin_stage(cx);
        // A path on which a packet came is tried further.
        let heard: Vec<Path> = self.table.iter().filter(|(_, entry)| entry.is_heard).map(|(path, _)| path).collect();
        for path in heard {
            self.arm(cx.now() + SOON, path);
        }
        self.choose(cx);
    }

    const fn stage_number(&self) -> usize {
        match &self.state {
            State::Punching(punching) => punching.stage,
            State::Idle | State::Waiting | State::Connected(_) | State::Ended => 0,
        }
    }

    fn fail(&mut self, why: Failure) {
        let forecast = self.schedule.plan.forecast.reason;
        self.end(PunchEvent::Failed { why, forecast }, None);
    }

    const fn interval(&self) -> Duration {
        if self.round > 0 { SLOW_INTERVAL } else { INTERVAL }
    }

    /// Sends the probe of a path whose timer is due, and sets the timer again.
    pub(super) fn probe_is_due(&mut self, cx: &mut Cx<'_>, path: Path) {
        let Some(entry) = self.table.get_mut(path) else { return };
        entry.timer = None;
        let is_nomination = match &self.state {
            State::Connected(connected) => {
                if connected.path != path || connected.is_known {
                    return;
                }
                true
            }
            State::Punching(_) => false,
            State::Idle | State::Waiting | State::Ended => return,
        };
        if (entry.is_confirmed && !is_nomination) || entry.is_given_up {
            return;
        }
        let next = match self.send(cx, path, false) {
            Ok(()) => cx.now() + self.interval(),
            Err(WithholdReason::Rate) => self.pace.ready().max(cx.now() + SOON),
            Err(WithholdReason::Entries | WithholdReason::QueueFull) => return,
        };
        if let Some(entry) = self.table.get_mut(path) {
            entry.timer = Some(self.timers.insert(next, Timer::Probe(path)));
        }
    }

    /// Sends a probe. `by_peer`: a datagram of the peer causes it.
    pub(super) fn send(&mut self, cx: &mut Cx<'_>, path: Path, by_peer: bool) -> Result<(), WithholdReason> {
        let is_selected = self.config.is_first && self.path() == Some(path);
        let why = if self.table.admit(path).is_none() {
            Some(WithholdReason::Entries)
        } else if by_peer && self.out.room() < 8 {
            Some(WithholdReason::QueueFull)
        } else if !self.pace.take(cx.now()) {
            Some(WithholdReason::Rate)
        } else {
            None
        };
        if let Some(why) = why {
            cx.note(|| PunchNote::Withheld { to: path.remote, why });
            return Err(why);
        }
        if self.table.get(path).is_none_or(|entry| entry.id.is_none()) {
            self.table.set_id(path, cx.random::<12>().into());
        }
        let Some(entry) = self.table.get_mut(path) else { return Ok(()) };
        let id = entry.id.unwrap_or_default();
        entry.sends = entry.sends.saturating_add(1);
        entry.sent_at = Some(cx.now());
        let (sends, is_heard) = (entry.sends, entry.is_heard);
        let (is_first, round) = (self.config.is_first, self.round);
        let probe = Probe { id, is_response: false, is_first, is_selected, is_heard, round };
        let Some(payload) = probe.encode(&self.config.key) else { return Ok(()) };
        let mut transmit = Transmit::new(path.socket, path.remote, payload);
        if let (1, Some(hop_limit)) = (sends, self.config.opener_hop_limit) {
            transmit = transmit.with_hop_limit(hop_limit);
        }
        cx.note(|| PunchNote::ProbeSent { to: path.remote, send: sends });
        self.out.push(Output::Transmit(transmit));
        Ok(())
    }

    fn spray_from(&mut self, at: Instant) {
        if let State::Punching(punching) = &mut self.state {
            punching.spray_from = at;
            self.timers.insert(at, Timer::Spray);
        }
    }

    /// Sends the next packet of a guess. A guess stops when a packet of the peer came.
    pub(super) fn spray(&mut self, cx: &mut Cx<'_>) {
        let Some(Stage { strategy, .. }) = self.stage() else { return };
        let State::Punching(punching) = &self.state else { return };
        if punching.is_heard {
            return;
        }
        let n = punching.sprayed;
        let path = match strategy {
            Strategy::Birthday { hard: Side::Own, sockets, .. } if n < sockets => {
                match self.extra.get(usize::from(n)) {
                    Some(Extra { socket, local: Some(_) }) => {
                        Some(Path { socket: *socket, remote: self.config.peer.reflexive })
                    }
                    Some(_) => None,
                    None => return,
                }
            }
            Strategy::Birthday { hard: Side::Peer, probes, first, last, .. } if n < probes => {
                self.main_path(nth_port(PortRange::new(first, last), punching.order, n.into()))
            }
            Strategy::Predict { hard: Side::Peer, step, window } if n < window => {
                self.main_path(predicted(self.config.peer.reflexive.port(), step, n + 1))
            }
            Strategy::Birthday { .. }
            | Strategy::Predict { .. }
            | Strategy::Ipv6
            | Strategy::LocalNetwork
            | Strategy::Reversal
            | Strategy::Simultaneous
            | Strategy::AnswerSource => return,
        };
        let sent = path.map_or(Ok(()), |path| self.send(cx, path, false));
        let next = match sent {
            Err(WithholdReason::Rate) => self.pace.ready().max(cx.now() + SOON),
            Ok(()) | Err(WithholdReason::Entries | WithholdReason::QueueFull) => {
                let State::Punching(punching) = &mut self.state else { return };
                punching.sprayed += 1;
                // A late timer does not delay the packets after it. The limit of packets in a second holds all the same.
                let due = punching.spray_from + packet(&self.config.conditions) * u32::from(punching.sprayed);
                due.max(cx.now() + SOON)
            }
        };
        self.timers.insert(next, Timer::Spray);
    }

    fn main_path(&self, port: u16) -> Option<Path> {
        let remote = SocketAddr::new(self.config.peer.reflexive.ip(), port);
        self.config.sockets.towards(remote).map(|socket| Path { socket, remote })
    }

    /// Chooses a path, if this side may do so and one is ready.
    pub(super) fn choose(&mut self, cx: &mut Cx<'_>) {
        let State::Punching(punching) = &self.state else { return };
        let is_ready = |path: &Path| self.table.get(*path).is_some_and(|entry| entry.is_confirmed);
        let confirmed = self.table.iter().find(|(_, entry)| entry.is_confirmed).map(|(path, _)| path);
        let symmetric = if self.config.is_first {
            self.table.iter().find(|(_, entry)| entry.is_confirmed && entry.is_heard).map(|(path, _)| path)
        } else {
            punching.nominated.filter(is_ready)
        };
        let may_settle = punching.is_heard && (self.config.is_first || punching.nominated.is_some());
        let any = confirmed.filter(|_| may_settle);
        match symmetric.or_else(|| any.filter(|_| punching.is_settled)) {
            // The event must find room in the queue.
            Some(path) if self.out.room() >= 8 => self.connect(cx, path),
            None if any.is_none() => {}
            Some(_) | None => {
                if punching.settle.is_none() {
                    let timer = self.timers.insert(cx.now() + SETTLE, Timer::Settle);
                    if let State::Punching(punching) = &mut self.state {
                        punching.settle = Some(timer);
                    }
                }
            }
        }
    }

    fn connect(&mut self, cx: &mut Cx<'_>, path: Path) {
        let State::Punching(punching) = &self.state else { return };
        let elapsed = cx.now().since(punching.began);
        self.timers = Timers::new();
        self.note_cost();
        self.table.keep_heard(path);
        self.table.clear_timers();
        self.state = State::Connected(Connected { path, unanswered: 0, is_known: !self.config.is_first });
        self.out.push(Output::Event(PunchEvent::Connected { path, elapsed }));
        if self.extra.iter().any(|extra| extra.socket != path.socket) {
            self.timers.insert(cx.now() + SOON, Timer::CloseSockets);
        }
        self.timers.insert(cx.now() + self.keepalive_interval(), Timer::Keepalive);
        if self.config.is_first {
            // A new transaction: its response shows that the peer knows the choice.
            self.table.set_id(path, cx.random::<12>().into());
            let _sent = self.send(cx, path, true);
            let timer = self.timers.insert(cx.now() + self.interval(), Timer::Probe(path));
            if let Some(entry) = self.table.get_mut(path) {
                entry.timer = Some(timer);
            }
        }
    }

    /// Half the shortest lifetime that a card has, at most 25 s.
    fn keepalive_interval(&self) -> Duration {
        let lifetimes = [self.config.own.lifetime, self.config.peer.card.lifetime];
        let shortest = lifetimes.into_iter().flatten().min();
        shortest.map_or(KEEPALIVE, |lifetime| (lifetime / 2).clamp(Duration::from_secs(2), KEEPALIVE))
    }

    pub(super) fn keepalive(&mut self, cx: &mut Cx<'_>) {
        let State::Connected(connected) = &mut self.state else { return };
        let path = connected.path;
        if connected.unanswered >= UNANSWERED.0 {
            return self.lose(cx);
        }
        connected.unanswered += 1;
        if connected.unanswered == 1 {
            self.table.set_id(path, cx.random::<12>().into());
        }
        let _sent = self.send(cx, path, false);
        self.timers.insert(cx.now() + UNANSWERED.1, Timer::Keepalive);
    }

    /// An answer came on the path in use.
    pub(super) fn path_lives(&mut self, cx: &mut Cx<'_>) {
        let at = cx.now() + self.keepalive_interval();
        let State::Connected(connected) = &mut self.state else { return };
        (connected.unanswered, connected.is_known) = (0, true);
        let closing = self.extra.iter().any(|extra| extra.socket != connected.path.socket);
        self.timers = Timers::new();
        self.table.clear_timers();
        self.timers.insert(at, Timer::Keepalive);
        if closing {
            self.timers.insert(cx.now() + SOON, Timer::CloseSockets);
        }
    }

    /// The path is lost: punches again, beginning with the lost path.
    fn lose(&mut self, cx: &mut Cx<'_>) {
        self.out.push(Output::Event(PunchEvent::Lost));
        self.punch_again(cx, self.round.wrapping_add(1).max(1));
    }

    pub(super) fn punch_again(&mut self, cx: &mut Cx<'_>, round: u16) {
        let lost = self.path();
        self.round = round;
        self.note_cost();
        self.table = Table::new(self.schedule.limit);
        self.punch(cx);
        if let Some(path) = lost {
            self.arm(cx.now() + SOON, path);
        }
        self.begin_stage(cx);
    }

    pub(super) fn extra_mut(&mut self, socket: SocketId) -> Option<&mut Extra> {
        self.extra.iter_mut().find(|extra| extra.socket == socket)
    }
}

/// The port after `count` steps of a sequential allocator, within the unprivileged ports.
fn predicted(last: u16, step: i16, count: u16) -> u16 {
    const FIRST: i32 = 1024;
    let range = i32::from(u16::MAX) - FIRST + 1;
    let port = i32::from(last) - FIRST + i32::from(step) * i32::from(count);
    u16::try_from(FIRST + port.rem_euclid(range)).unwrap_or(u16::MAX)
}

/// The `n`th port of a random order without repetition.
fn nth_port(ports: PortRange, (offset, step): (u32, u32), n: u32) -> u16 {
    let count = ports.count();
    // A step without a common divisor visits each port once. 1 is such a step, so the search ends.
    let is_coprime = |step: &u32| gcd(*step, count) == 1;
    let step = (step % count..).find(is_coprime).unwrap_or(1);
    let place = (u64::from(offset) + u64::from(step) * u64::from(n)) % u64::from(count);
    u16::try_from(u64::from(ports.first) + place).unwrap_or(ports.last)
}

const fn gcd(a: u32, b: u32) -> u32 {
    let (mut a, mut b) = (a, b);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeSet;

    #[test]
    fn no_port_is_guessed_twice() {
        for (ports, order) in [
            (PortRange::UNPRIVILEGED, (5, 7)),
            (PortRange::UNPRIVILEGED, (u32::MAX, 64_512 * 3)),
            (PortRange::new(34_816, 36_863), (99, 1024)),
            (PortRange::new(7, 7), (3, 4)),
        ] {
            let seen: BTreeSet<u16> = (0..ports.count()).map(|n| nth_port(ports, order, n)).collect();
            assert_eq!(seen.len(), ports.count() as usize);
            assert!(seen.iter().all(|port| ports.contains(*port)));
        }
    }

    #[test]
    fn a_prediction_wraps_at_the_ends_of_the_range() {
        assert_eq!(predicted(65_534, 1, 3), 1025);
        assert_eq!(predicted(1025, -2, 1), 65_535);
        assert_eq!(predicted(40_000, 4, 5), 40_020);
    }
}
