//! Moves the bytes of a stream: from the send queue, over the wires, through the window, to the reader.
//!
//! Rules of this file, as for every driver ([`portolan_machine::socket`]):
//!
//! * A machine is drained between two chunks. Bytes that the machine does not take are handed in again.
//! * Nothing is handed in from a stream that is paused, or to an accepting end with more than 64 KiB to send. An opening
//!   end reads also while its send queue is full.
//! * The end of a stream comes after its last bytes.
//! * Segments arrive in order. A segment on a broken path goes back to its sender, and so do the segments behind it,
//!   until the sender retransmits it.

use super::pipe::{Retry, Segment};
use super::stream::{ACCEPTING, EndOwner, StreamEvent};
use super::{Net, Wake};
use crate::clock::instant;
use crate::host::StreamId;
use crate::packet::{SEGMENT, stream_wire_len};
use crate::story::{EntryKind, StreamFate, StreamRecord};
use alloc::boxed::Box;
use bytes::Bytes;
use portolan_machine::{Closure, Datagram, Machine, SocketId, WhenFull};

impl<M: Machine> Net<M> {
    /// Sends bytes on the stream of a socket.
    pub(super) fn send_on(&mut self, number: usize, socket: SocketId, payload: Bytes, when_full: WhenFull) {
        let Some((id, end)) = self.stream_of(number, socket) else { return };
        let length = payload.len();
        let bytes = payload.clone();
        let Some(pipe) = self.streams.pipe_mut(id, end) else { return };
        if !pipe.sender.push(payload, when_full) {
            if let Some(host) = self.hosts.get_mut(number) {
                host.stream_stats.dropped += 1;
                host.stream_stats.dropped_bytes += length as u64;
            }
            return self.log(number, format_args!("drops {length} bytes for {socket}: more than 64 KiB wait"));
        }
        self.record_bytes(number, id, end, StreamFate::Written, &bytes);
        self.pump(id, end);
        if self.streams.pipe(id, end).is_some_and(|pipe| pipe.sender.overflows()) {
            return self.close_for(number, socket, Closure::Overflow);
        }
        self.tell_fullness(id, end);
    }

    /// Notifies the owner of an end once when its stream becomes full, or writable again.
    fn tell_fullness(&mut self, id: StreamId, end: usize) {
        let owner = self.streams.end(id, end).map(|end| end.owner);
        let (Some(EndOwner::Socket(host, socket)), Some(pipe)) = (owner, self.streams.pipe_mut(id, end)) else {
            return;
        };
        let event = pipe.sender.socket_event();
        if let (Some(event), Some(host)) = (event, self.hosts.get_mut(host.0)) {
            host.inbox.socket_events.push_back((socket, event));
        }
    }

    /// Sends the queued bytes that fit, after the window or the path has opened. The sender may read again.
    fn pump_and_read(&mut self, id: StreamId, pipe: usize) {
        self.pump(id, pipe);
        self.tell_fullness(id, pipe);
        self.read(id, pipe);
    }

    /// Sends as much as the window of a pipe allows.
    pub(super) fn pump(&mut self, id: StreamId, pipe: usize) {
        let Some(at) = self.streams.pipe(id, pipe) else { return };
        if at.retry.is_some() || !at.sender.has_segment() {
            return;
        }
        if !self.is_whole(id, pipe) {
            return self.put_retry(id, pipe, Retry::default());
        }
        let is_limited = at.hops.iter().any(|hop| self.map.wire(*hop).is_some_and(|wire| wire.is_limited()));
        let limit = if is_limited { SEGMENT } else { usize::MAX };
        while let Some(segment) = self.streams.pipe_mut(id, pipe).and_then(|pipe| pipe.sender.next_segment(limit)) {
            self.move_segment(id, pipe, 0, segment);
        }
    }

    /// Moves a segment on from wire number `hop` of its path. The clock schedules it where it waits for a wire with a
    /// bandwidth, and at the end of the path.
    pub(super) fn move_segment(&mut self, id: StreamId, pipe: usize, hop: usize, segment: Segment) {
        let Some(at) = self.streams.pipe_mut(id, pipe) else { return };
        if hop > at.hops.len() {
            return self.arrive(id, pipe, segment);
        }
        let now = self.clock.now();
        let mut out = now;
        for (number, next) in at.hops.iter().enumerate().skip(hop) {
            let Some(wire) = self.map.wire_mut(*next) else { continue };
            if wire.is_limited() && out > now {
                let event = StreamEvent::Segment(id, pipe, number, segment);
                return self.clock.schedule(out, Wake::Stream(Box::new(event)));
            }
            out = wire.carry_segment(out, stream_wire_len(segment.len()));
        }
        at.last_arrival = at.last_arrival.max(out);
        let event = StreamEvent::Segment(id, pipe, at.hops.len() + 1, segment);
        self.clock.schedule(at.last_arrival, Wake::Stream(Box::new(event)));
    }

    /// Handles a segment at the end of its path.
    fn arrive(&mut self, id: StreamId, pipe: usize, segment: Segment) {
        let is_whole = self.is_whole(id, pipe);
        let Some(stream) = self.streams.get_mut(id) else { return };
        let Some(at) = stream.pipes.get_mut(pipe) else { return };
        if !is_whole || !at.receiver.expects(&segment) {
            at.sender.give_back(segment);
            return if at.retry.is_none() {
                self.put_retry(id, pipe, Retry::default())
            };
        }
        let reader = 1 - pipe;
        // The system of an unknown stream answers with RST.
        if at.receiver.has_ended() {
            return self.break_end(id, pipe, Closure::Reset);
        }
        match stream.ends.get(reader).map(|end| end.owner) {
            Some(EndOwner::Socket(..) | EndOwner::Server(_)) => {
                at.receiver.push(segment);
                self.read(id, reader);
            }
            // The system of a closed end accepts the bytes and drops them.
            Some(EndOwner::Closed) => {
                let length = segment.len();
                at.receiver.push(segment);
                at.receiver.discard();
                self.taken(id, pipe, length);
            }
            Some(EndOwner::Lost) => self.break_end(id, pipe, Closure::Reset),
            None => {}
        }
    }

    /// The reader of a pipe has taken bytes. The sender learns this after a delay.
    pub(super) fn taken(&mut self, id: StreamId, pipe: usize, bytes: usize) {
        if bytes > 0 {
            self.later(self.stream_delay(id, 1 - pipe), StreamEvent::Taken(id, pipe, bytes));
        }
    }

    /// The window update reaches the sender of a pipe.
    pub(super) fn window_opens(&mut self, id: StreamId, pipe: usize, bytes: usize) {
        let Some(at) = self.streams.pipe_mut(id, pipe) else { return };
        at.sender.acknowledge(bytes);
        self.pump_and_read(id, pipe);
    }

    /// Retransmits over a broken path.
    pub(super) fn retry(&mut self, id: StreamId, pipe: usize) {
        let is_whole = self.is_whole(id, pipe);
        let Some(retry) = self.streams.pipe_mut(id, pipe).and_then(|pipe| pipe.retry.take()) else { return };
        match retry.next() {
            _ if is_whole => self.pump_and_read(id, pipe),
            _ if !self.streams.pipe(id, pipe).is_some_and(|pipe| pipe.sender.has_segment()) => {}
            Some(retry) => self.put_retry(id, pipe, retry),
            None => self.break_end(id, pipe, Closure::TimedOut),
        }
    }

    /// Hands an end the bytes that have arrived.
    pub(super) fn read(&mut self, id: StreamId, end: usize) {
        let Some(owner) = self.streams.end(id, end).map(|end| end.owner) else { return };
        match owner {
            EndOwner::Socket(host, socket) => {
                let Some(at) = self.hosts.get_mut(host.0) else { return };
                at.inbox.mark_readable(socket);
                self.drive(host.0);
            }
            EndOwner::Server(server) => self.server_reads(id, end, server),
            EndOwner::Closed | EndOwner::Lost => {}
        }
    }

    /// Hands a machine the next chunk of a stream, or reports the end.
    pub(super) fn hand_in(&mut self, number: usize, socket: SocketId) {
        let Some((id, end)) = self.stream_of(number, socket) else { return };
        let Some(stream) = self.streams.get_mut(id) else { return };
        let at = self.hosts.get(number).and_then(|host| host.sockets.get(socket));
        let may_read = at.is_some_and(|socket| socket.is_connected && !socket.is_paused);
        let is_blocked = end == ACCEPTING && stream.pipes.get(end).is_some_and(|out| out.sender.is_blocked());
        let Some(receiver) = stream.pipes.get_mut(1 - end).map(|pipe| &mut pipe.receiver) else { return };
        if !may_read || is_blocked {
            return receiver.forgive();
        }
        let Some(chunk) = receiver.front().cloned() else {
            if let Some(why) = receiver.ended() {
                self.close_for(number, socket, why);
            }
            return;
        };
        let Some((local, remote)) = stream.ends.get(end).map(|end| (end.local, end.remote)) else { return };
        self.log(number, format_args!("{socket} brings {} bytes from {remote}", chunk.len()));
        let now = instant(self.clock.now());
        let Some(host) = self.hosts.get_mut(number) else { return };
        let datagram = Datagram::new(socket, local, remote, &chunk);
        let answer = super::drive::with_cx(host, now, self.story.as_mut(), |machine, cx| machine.stream(cx, datagram));
        let taken = answer.unwrap_or(chunk.len()).min(chunk.len());
        if answer.is_none() {
            host.stream_stats.unclaimed_bytes += chunk.len() as u64;
            self.log(number, format_args!("ignores it"));
        } else if taken < chunk.len() {
            self.log(number, format_args!("takes {taken} of them"));
        }
        if answer.is_some() && taken > 0 {
            self.record_bytes(number, id, end, StreamFate::Read, chunk.get(..taken).unwrap_or_default());
        }
        self.taken(id, 1 - end, taken);
        let receiver = self.streams.pipe_mut(id, 1 - end).map(|pipe| &mut pipe.receiver);
        let (passed, is_readable) = receiver.map_or((true, false), |at| (at.take(taken), at.is_readable()));
        if !passed {
            self.close_for(number, socket, Closure::NotRead);
        } else if is_readable && let Some(host) = self.hosts.get_mut(number) {
            host.inbox.mark_readable(socket);
        }
    }

    /// Adds the entry of bytes that a machine wrote or took.
    fn record_bytes(&mut self, number: usize, id: StreamId, end: usize, fate: StreamFate, bytes: &[u8]) {
        let now = instant(self.clock.now());
        let (Some(story), Some(host)) = (&mut self.story, self.hosts.get(number)) else { return };
        let Some(end) = self.streams.end(id, end) else { return };
        let (source, destination) = match fate {
            StreamFate::Written => (end.local, end.remote),
            StreamFate::Read => (end.remote, end.local),
        };
        let record = StreamRecord { source, destination, bytes: bytes.into(), fate };
        story.add_entry(now, &host.name, EntryKind::Stream(record));
    }

    /// A server answers complete messages while its send queue has room.
    fn server_reads(&mut self, id: StreamId, end: usize, server: usize) {
        let now = self.clock.now();
        let Some(at) = self.streams.end(id, end) else { return };
        loop {
            let Some(stream) = self.streams.get_mut(id) else { return };
            if stream.pipes.get(end).is_none_or(|out| out.sender.is_blocked()) {
                return;
            }
            let Some(receiver) = stream.pipes.get_mut(1 - end).map(|pipe| &mut pipe.receiver) else { return };
            if let Some(message) = receiver.next_message() {
                let server = self.servers.get_mut(server);
                let reply = server.and_then(|server| server.serve_stream(now, at.local, at.remote, &message));
                if let (Some(reply), Some(out)) = (reply, self.streams.pipe_mut(id, end)) {
                    out.sender.push(reply, WhenFull::Close);
                    self.pump(id, end);
                }
            } else if receiver.unread() > 0 {
                let taken = receiver.hold();
                self.taken(id, 1 - end, taken);
            } else {
                if receiver.ended().is_some() {
                    self.streams.set_owner(id, end, EndOwner::Closed);
                }
                return;
            }
        }
    }

    /// Pauses a stream, or resumes it.
    pub(super) fn set_paused(&mut self, number: usize, socket: SocketId, is_paused: bool) {
        let Some(host) = self.hosts.get_mut(number) else { return };
        match host.sockets.get_mut(socket).filter(|at| at.protocol.is_stream() && !at.protocol.is_listener()) {
            Some(at) => {
                at.is_paused = is_paused;
                host.inbox.mark_readable(socket);
            }
            None => self.log(number, format_args!("{socket} is no stream: nothing happens")),
        }
    }
}
