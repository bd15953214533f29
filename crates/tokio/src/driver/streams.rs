//! Passes bytes of streams to the machine, and queues the bytes that the machine does not take for the owner.

use super::{Driver, Engine};
use crate::data::{EventOrData, Received};
use bytes::{Buf, Bytes, BytesMut};
use core::future::poll_fn;
use core::net::SocketAddr;
use core::task::Context;
use core::task::Poll;
use portolan_machine::{Closure, Datagram, Machine, SocketId};

impl<M: Machine> Driver<M> {
    /// Returns the machine's next event, or the next bytes that the machine did not take, in order of arrival.
    ///
    /// From the first call on, the driver queues the bytes that the machine does not take:
    ///
    /// * Datagrams, up to 1 MiB in all. Further datagrams are dropped and counted
    ///   ([`Counters::data`](crate::Counters)). A datagram counts for at least 64 bytes.
    /// * Bytes of streams, at most 64 KiB a stream. The driver reads no more of the stream until the owner has taken
    ///   these bytes, so the peer waits. The driver also stops reading while the machine has paused the stream, and
    ///   reads no accepted stream while more than 64 KiB wait to be sent on it. When the machine closes the stream, its
    ///   queued bytes are dropped.
    /// * The end of a stream, as an empty payload, if the machine returns
    ///   [`Verdict::NotMine`](portolan_machine::Verdict::NotMine) for
    ///   [`SocketEvent::Closed`](portolan_machine::SocketEvent::Closed).
    ///
    /// Queued data does not delay [`next`](Self::next), which returns events only. Cancellation safe: all state is in
    /// the driver, none is in the future.
    ///
    /// ```
    /// # use portolan_machine::{Cx, Input, Machine, Never, Output, Transmit, Verdict};
    /// use portolan_tokio::{Driver, EventOrData};
    ///
    /// /// Takes nothing.
    /// struct Idle;
    /// # impl Machine for Idle {
    /// #     type Command = Never;
    /// #     type Error = Never;
    /// #     type Event = Never;
    /// #     fn command(&mut self, _: &mut Cx<'_>, command: Never) -> Result<(), Never> { match command {} }
    /// #     fn handle(&mut self, _: &mut Cx<'_>, _: Input<'_>) -> Verdict { Verdict::NotMine }
    /// #     fn poll(&mut self) -> Output<Never> { Output::Wait(None) }
    /// # }
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
    /// let mut driver = Driver::new(Idle)?;
    /// let (socket, local) = driver.adopt_udp(std::net::UdpSocket::bind("127.0.0.1:0")?)?;
    /// let client = tokio::net::UdpSocket::bind("127.0.0.1:0").await?;
    /// client.send_to(b"ping", local).await?;
    /// let EventOrData::Data(received) = driver.next_or_data().await else { unreachable!() };
    /// assert_eq!((received.socket, &*received.payload), (socket, &b"ping"[..]));
    /// driver.send(Transmit::new(socket, received.remote, "pong".into()))?;
    /// let mut answer = [0; 4];
    /// client.recv(&mut answer).await?;
    /// assert_eq!(&answer, b"pong");
    /// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub async fn next_or_data(&mut self) -> EventOrData<M::Event> {
        poll_fn(|cx| self.poll_next_or_data(cx)).await
    }

    /// Polls for the next event or data, as [`next_or_data`](Self::next_or_data) does. Must be called within the tokio
    /// runtime.
    pub fn poll_next_or_data(&mut self, cx: &mut Context<'_>) -> Poll<EventOrData<M::Event>> {
        self.engine.queue.keep_data();
        self.poll_with(cx, |engine| {
            let (item, read_on) = engine.queue.pop()?;
            if let Some(stream) = read_on {
                engine.sockets.resume_for_owner(stream);
            }
            Some(item)
        })
    }
}

impl<M: Machine> Engine<M> {
    /// The maximum number of [`Machine::stream`] calls for one stream before other sockets are polled.
    const CALLS: usize = 16;

    /// Passes bytes that were just read from a stream to the machine, and keeps the bytes that the machine does not
    /// take.
    pub(super) fn take_chunk(&mut self, id: SocketId, local: SocketAddr, remote: SocketAddr, bytes: &[u8]) {
        let taken = self.pass_to_machine(Datagram::new(id, local, remote, bytes));
        if let Some(rest) = bytes.get(taken..).filter(|rest| !rest.is_empty()) {
            self.sockets.keep_unread(id, BytesMut::from(rest));
        }
    }

    /// Passes bytes that were read earlier to the machine, and keeps the bytes that the machine does not take.
    pub(super) fn take_unread(&mut self, id: SocketId, local: SocketAddr, remote: SocketAddr, mut bytes: BytesMut) {
        let taken = self.pass_to_machine(Datagram::new(id, local, remote, &bytes));
        bytes.advance(taken);
        if !bytes.is_empty() {
            self.sockets.keep_unread(id, bytes);
        }
    }

    /// Passes bytes of a stream to the machine in parts. Returns the number of bytes that need not be kept:
    /// the machine took them, they were queued for the owner, or they were dropped.
    ///
    /// Before every part the machine is drained and no socket event waits.
    fn pass_to_machine(&mut self, chunk: Datagram<'_>) -> usize {
        let (id, mut taken) = (chunk.socket, 0);
        for _ in 0..Self::CALLS {
            self.deliver_socket_events();
            let rest = chunk.with_payload(chunk.payload.get(taken..).unwrap_or_default());
            let ready = self.drained && !self.sockets.has_socket_events() && self.sockets.is_readable(id);
            if rest.payload.is_empty() || !ready {
                break;
            }
            let Some(count) = self.machine.stream(&mut self.env.cx(), rest) else {
                self.keep_chunk(rest);
                return chunk.payload.len();
            };
            let count = count.min(rest.payload.len());
            taken += count;
            self.drain();
            // If the machine took nothing because it paused the stream or filled an accepted one, that is no refusal.
            if count > 0 || self.drained && self.sockets.is_readable(id) {
                self.sockets.record_taken(id, count, &mut self.env);
            }
        }
        taken
    }

    /// Queues bytes of a stream for the owner. If the owner has not requested data, counts a drop.
    fn keep_chunk(&mut self, chunk: Datagram<'_>) {
        if self.queue.keeps_data() {
            self.queue.push_chunk(received(chunk));
            self.sockets.wait_for_owner(chunk.socket);
        } else {
            self.sockets.counters.not_mine += 1;
        }
    }

    /// Queues a datagram for the owner. If the owner has not requested data or the queue is full, counts a drop.
    pub(super) fn keep_datagram(&mut self, datagram: Datagram<'_>) {
        if !self.queue.keeps_data() {
            self.sockets.counters.not_mine += 1;
        } else if !self.queue.push_datagram(received(datagram)) {
            self.sockets.counters.data += 1;
        }
    }

    /// Queues the end of a stream for the owner. `mine`: the machine took the socket event, so the owner gets no end.
    pub(super) fn report_end_to_owner(&mut self, id: SocketId, why: Closure, mine: bool) {
        let addresses = self.sockets.take_end(id);
        if why == Closure::Overflow {
            // Overflow is the only end of a stream of which the owner has not taken all bytes: the driver does not read
            // such a stream, so it cannot find another end.
            self.queue.drop_chunk(id);
        }
        if let Some((local, remote)) = addresses
            && self.queue.keeps_data()
            && !mine
            && !self.queue.push_end(id, local, remote)
        {
            self.sockets.counters.data += 1;
        }
    }
}

fn received(datagram: Datagram<'_>) -> Received {
    let Datagram { socket, local, remote, payload, .. } = datagram;
    Received { socket, local, remote, payload: Bytes::copy_from_slice(payload) }
}
