//! The inputs of a puncher: probes, responses, data of the application, and events of sockets.

use super::event::PunchEvent;
use super::note::{DropReason, PunchNote, WithholdReason};
use super::probe::{Decoded, Probe};
use super::table::Path;
use super::{Puncher, Router, State};
use bytes::Bytes;
use core::time::Duration;
use portolan_machine::{Cx, Datagram, Output, SocketEvent, SocketId, Transmit, Unreachability, Verdict};

/// The least time between two probes that packets of the peer cause on one path.
const TRIGGER: Duration = Duration::from_millis(20);

impl Puncher {
    pub(super) fn datagram(&mut self, cx: &mut Cx<'_>, datagram: Datagram<'_>) -> Verdict {
        if matches!(self.state, State::Idle | State::Ended) || !self.owns(datagram.socket) {
            return Verdict::NotMine;
        }
        let from = datagram.remote;
        let dropped = |cx: &mut Cx<'_>, why| {
            cx.note(|| PunchNote::Dropped { from, why });
            Verdict::Mine
        };
        match Probe::decode(datagram.payload, &self.config.key) {
            Decoded::OtherStun => Verdict::NotMine,
            Decoded::Data => self.data(cx, datagram),
            Decoded::Invalid => dropped(cx, DropReason::NotAuthentic),
            Decoded::Probe(probe) if probe.is_first == self.config.is_first => dropped(cx, DropReason::OwnSide),
            Decoded::Probe(probe) if probe.is_response => self.response(cx, datagram, probe),
            Decoded::Probe(probe) => self.request(cx, datagram, probe),
        }
    }

    fn request(&mut self, cx: &mut Cx<'_>, datagram: Datagram<'_>, probe: Probe) -> Verdict {
        let path = Path { socket: datagram.socket, remote: datagram.remote };
        if matches!(self.state, State::Waiting) && self.out.room() > 0 {
            // The peer has started.
            self.begin(cx);
        }
        if matches!(self.state, State::Connected(_)) && probe.round > self.round && self.out.room() > 8 {
            // The peer has lost the path.
            self.out.push(Output::Event(PunchEvent::Lost));
            self.punch_again(cx, probe.round);
        }
        if matches!(self.state, State::Punching(_)) {
            self.round = self.round.max(probe.round);
        }
        if probe.is_heard
            && probe.round == self.round
            && let Some(entry) = self.table.get_mut(path)
            && (entry.sends > 0 || entry.is_heard)
        {
            // Packets went to this address, and the peer got one.
            entry.is_confirmed = true;
        }
        self.respond(cx, path, probe);
        self.hear(cx, path);
        let State::Punching(punching) = &mut self.state else { return Verdict::Mine };
        if probe.is_selected && !self.config.is_first && probe.round == self.round {
            punching.nominated = Some(path);
        }
        let has_path = self.table.iter().any(|(_, entry)| entry.is_confirmed && entry.is_heard);
        let needs_path = probe.is_selected || !has_path;
        let entry = self.table.get(path).filter(|entry| needs_path && !entry.is_confirmed);
        // The first packet of a guess is not repeated, so a probe that must wait has a timer.
        let due = entry.map(|entry| entry.sent_at.map_or(cx.now(), |at| at + TRIGGER));
        match due {
            Some(due) if due <= cx.now() => {
                let _sent = self.send(cx, path, true);
                self.arm(cx.now() + super::INTERVAL, path);
            }
            Some(due) => self.arm(due, path),
            None => {}
        }
        self.choose(cx);
        Verdict::Mine
    }

    fn response(&mut self, cx: &mut Cx<'_>, datagram: Datagram<'_>, probe: Probe) -> Verdict {
        let Some(path) = self.table.path_of(probe.id).filter(|path| path.socket == datagram.socket) else {
            cx.note(|| PunchNote::Dropped { from: datagram.remote, why: DropReason::Unexpected });
            return Verdict::Mine;
        };
        cx.note(|| PunchNote::Answered { to: path.remote, from: datagram.remote });
        if let Some(entry) = self.table.get_mut(path) {
            entry.is_confirmed = true;
            if let Some(timer) = entry.timer.take() {
                self.timers.cancel(timer);
            }
        }
        if path.remote == datagram.remote {
            self.hear(cx, path);
        } else if let State::Punching(punching) = &mut self.state {
            punching.is_heard = true;
        }
        match &self.state {
            State::Connected(connected) if connected.path == path => self.path_lives(cx),
            State::Connected(_) | State::Idle | State::Waiting | State::Ended => {}
            State::Punching(_) => self.choose(cx),
        }
        Verdict::Mine
    }

    /// Marks a source of authentic packets.
    fn hear(&mut self, cx: &mut Cx<'_>, path: Path) {
        if let Some(entry) = self.table.admit(path)
            && !entry.is_heard
        {
            entry.is_heard = true;
            cx.note(|| PunchNote::Heard { from: path.remote });
        }
        if let State::Punching(punching) = &mut self.state {
            punching.is_heard = true;
        }
    }

    fn respond(&mut self, cx: &mut Cx<'_>, path: Path, probe: Probe) {
        let why = if self.table.admit(path).is_none() {
            WithholdReason::Entries
        } else if self.out.room() == 0 {
            WithholdReason::QueueFull
        } else if !self.pace.take(cx.now()) {
            WithholdReason::Rate
        } else {
            let response = Probe {
                is_response: true,
                is_first: self.config.is_first,
                is_selected: false,
                is_heard: true,
                round: self.round,
                ..probe
            };
            if let Some(payload) = response.encode(&self.config.key) {
                let _room = self.out.offer(Output::Transmit(Transmit::new(path.socket, path.remote, payload)));
            }
            return;
        };
        cx.note(|| PunchNote::Withheld { to: path.remote, why });
    }

    /// Data of the application counts as a confirmation: the peer has released its socket, so it knows the path.
    fn data(&mut self, cx: &mut Cx<'_>, datagram: Datagram<'_>) -> Verdict {
        let Datagram { socket, remote, payload, .. } = datagram;
        let path = Path { socket, remote };
        let Some(entry) = self.table.get_mut(path).filter(|entry| entry.is_heard) else {
            return Verdict::NotMine;
        };
        let data = PunchEvent::Data { socket, remote, payload: Bytes::copy_from_slice(payload) };
        if !self.out.offer(Output::Event(data)) {
            cx.note(|| PunchNote::Dropped { from: remote, why: DropReason::QueueFull });
            return Verdict::Mine;
        }
        if entry.sends > 0 {
            entry.is_confirmed = true;
        }
        match &mut self.state {
            State::Punching(punching) => {
                punching.nominated = Some(path);
                self.choose(cx);
            }
            State::Connected(connected) if connected.path == path => self.path_lives(cx),
            State::Connected(_) | State::Idle | State::Waiting | State::Ended => {}
        }
        Verdict::Mine
    }

    pub(super) fn socket_event(&mut self, cx: &mut Cx<'_>, socket: SocketId, event: SocketEvent) -> Verdict {
        if matches!(self.state, State::Idle | State::Ended) || !self.owns(socket) {
            return Verdict::NotMine;
        }
        match event {
            SocketEvent::Opened { local } => match self.extra_mut(socket) {
                Some(extra) => extra.local = Some(local),
                None => return Verdict::NotMine,
            },
            SocketEvent::Refused(why) => {
                if self.extra_mut(socket).is_none() {
                    return Verdict::NotMine;
                }
                self.extra.retain(|extra| extra.socket != socket);
                cx.note(|| PunchNote::SocketRefused { why });
            }
            SocketEvent::Unreachable { remote, why: Unreachability::Port } if self.router == Router::Tested(remote) => {
                self.router = Router::Tracks;
                cx.note(|| PunchNote::RouterTracks { remote });
            }
            SocketEvent::Unreachable { remote, why } => self.give_up(cx, Path { socket, remote }, why),
            SocketEvent::Accepted { .. } | SocketEvent::Full | SocketEvent::Writable | SocketEvent::Closed(_) => {
                return Verdict::NotMine;
            }
        }
        Verdict::Mine
    }

    /// Gives up an address at once, if another one is left.
    fn give_up(&mut self, cx: &mut Cx<'_>, path: Path, why: Unreachability) {
        // An opener is meant to end on its way.
        if matches!(why, Unreachability::HopLimit | Unreachability::TooLarge)
            || !matches!(self.state, State::Punching(_))
        {
            return;
        }
        let other_is_left = self.table.iter().any(|(other, entry)| other != path && entry.timer.is_some());
        let Some(entry) = self.table.get_mut(path).filter(|entry| !entry.is_heard && other_is_left) else { return };
        entry.is_given_up = true;
        if let Some(timer) = entry.timer.take() {
            self.timers.cancel(timer);
        }
        cx.note(|| PunchNote::AddressGivenUp { remote: path.remote, why });
    }
}
