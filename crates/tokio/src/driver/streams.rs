//! How the driver hands in bytes of streams, and what becomes of bytes that no machine takes.

use super::{Driver, Helm};
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
    /// From the first call on, bytes that no machine takes are kept for the owner:
    ///
    /// * Datagrams, up to 1 MiB in all; further ones are dropped and counted ([`Counters::data`](crate::Counters)). A
    ///   datagram counts for at least 64 bytes.
    /// * Bytes of streams, at most 64 KiB a stream. The driver reads no more of a stream before the owner has taken them,
    ///   so the peer waits. Nothing is read either while the machine has paused the stream or while more than 64 KiB wait
    ///   to be sent on it. When the machine closes the stream, the bytes that wait are dropped.
    /// * The end of a stream, as an empty payload, when the machine says that
    ///   [`SocketNews::Closed`](portolan_machine::SocketNews::Closed) is not its own.
    ///
    /// Data that waits does not hold up [`next`](Self::next), which returns events only. Cancellation safe: the future
    /// holds nothing that the driver does not keep.
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

    /// Polls for [`next_or_data`](Self::next_or_data). Must be called within the runtime.
    pub fn poll_next_or_data(&mut self, cx: &mut Context<'_>) -> Poll<EventOrData<M::Event>> {
        self.helm.queue.keep_data();
        self.poll_with(cx, |helm| {
            let (item, read_on) = helm.queue.pop()?;
            if let Some(stream) = read_on {
                helm.sockets.owner_took_bytes(stream);
            }
            Some(item)
        })
    }
}

impl<M: Machine> Helm<M> {
    /// How many times the machine is asked to take bytes of one stream before other sockets get their chance.
    const CALLS: usize = 16;

    /// Hands in bytes that have just been read from a stream, and keeps those that are not taken.
    pub(super) fn take_chunk(&mut self, id: SocketId, local: SocketAddr, remote: SocketAddr, bytes: &[u8]) {
        let taken = self.hand_in(Datagram::new(id, local, remote, bytes));
        if let Some(rest) = bytes.get(taken..).filter(|rest| !rest.is_empty()) {
            self.sockets.keep_unread(id, BytesMut::from(rest));
        }
    }

    /// Hands in bytes that were read earlier, and keeps those that are not taken.
    pub(super) fn take_unread(&mut self, id: SocketId, local: SocketAddr, remote: SocketAddr, mut bytes: BytesMut) {
        let taken = self.hand_in(Datagram::new(id, local, remote, &bytes));
        bytes.advance(taken);
        if !bytes.is_empty() {
            self.sockets.keep_unread(id, bytes);
        }
    }

    /// Hands in bytes of a stream part by part, and returns how many need not be kept. The machine is drained, and has
    /// heard all news, before every part.
    fn hand_in(&mut self, chunk: Datagram<'_>) -> usize {
        let (id, mut taken) = (chunk.socket, 0);
        for _ in 0..Self::CALLS {
            self.tell_news();
            let rest = chunk.with_payload(chunk.payload.get(taken..).unwrap_or_default());
            let ready = self.drained && !self.sockets.has_news() && self.sockets.is_readable(id);
            if rest.payload.is_empty() || !ready {
                break;
            }
            let Some(count) = self.machine.stream(&mut self.world.cx(), rest) else {
                self.keep_chunk(rest);
                return chunk.payload.len();
            };
            let count = count.min(rest.payload.len());
            taken += count;
            self.drain();
            // A machine that took nothing may have paused the stream, or filled it.
            if count > 0 || self.drained && self.sockets.is_readable(id) {
                self.sockets.record_taken(id, count, &mut self.world);
            }
        }
        taken
    }

    /// Keeps bytes of a stream that no machine takes for the owner, or counts them.
    fn keep_chunk(&mut self, chunk: Datagram<'_>) {
        if self.queue.keeps_data() {
            self.queue.push_chunk(received(chunk));
            self.sockets.wait_for_owner(chunk.socket);
        } else {
            self.sockets.counters.not_mine += 1;
        }
    }

    /// Keeps a datagram that no machine takes for the owner, or counts it.
    pub(super) fn keep_datagram(&mut self, datagram: Datagram<'_>) {
        if !self.queue.keeps_data() {
            self.sockets.counters.not_mine += 1;
        } else if !self.queue.push_datagram(received(datagram)) {
            self.sockets.counters.data += 1;
        }
    }

    /// Does for the owner what the end of a stream asks for. `mine`: the machine took the news.
    pub(super) fn end_for_owner(&mut self, id: SocketId, why: Closure, mine: bool) {
        let addresses = self.sockets.take_end(id);
        if why == Closure::Overflow {
            // Only a stream that the machine itself has filled ends while the owner has bytes to take.
            self.queue.forget_chunk(id);
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
