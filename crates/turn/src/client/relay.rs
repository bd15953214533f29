//! The data path: data to peers in the caller's buffer, and data of peers (RFC 8656 §11, §12).

use super::Client;
use super::allocation::{self, Phase};
use crate::event::ClientEvent;
use crate::note::{ClientDropped, ClientNote};
use crate::{ClientError, IndicationKind, LossReason};
use bytes::Bytes;
use core::net::SocketAddr;
use portolan_machine::{Cx, Datagram, Forward, Output, SocketId, Verdict, WhenFull};
use portolan_stun::attribute::{Attribute, AttributeType};
use portolan_stun::demux::ChannelData;
use portolan_stun::header::{Class, Method};
use portolan_stun::message::Message;

impl Client {
    /// Returns the datagram that carries `data` to a peer: ChannelData if the peer has a channel, otherwise a Send
    /// indication. It borrows the data, so nothing is copied and nothing is allocated. The owner sends it.
    ///
    /// # Errors
    /// * [`ClientError::NotRunning`] when the client was not started, is closing, or has ended.
    /// * [`ClientError::NotAllocated`] when there is no allocation at the moment.
    /// * [`ClientError::NoPermission`] when the server has confirmed neither a channel nor a permission for this peer.
    /// * [`ClientError::TooLong`] when the data does not fit into one message.
    pub fn seal<'a>(&self, cx: &mut Cx<'_>, peer: SocketAddr, data: &'a [u8]) -> Result<Forward<'a>, ClientError> {
        self.check_running()?;
        let socket = self.socket().ok_or(ClientError::NotAllocated)?;
        self.seal_on(cx, socket, peer, data)
    }

    /// Returns the same as [`seal`](Self::seal) for the allocation of this socket
    /// ([`ClientAllocation`](crate::ClientAllocation)), so that its relayed address is the source address of the data.
    ///
    /// A replaced allocation relays until the end of the overlap. Its permissions and channels are not refreshed any
    /// more; each of them usually lives for another 60 s.
    ///
    /// # Errors
    /// The same as for [`seal`](Self::seal); without an allocation on this socket [`ClientError::NotAllocated`].
    pub fn seal_on<'a>(
        &self,
        cx: &mut Cx<'_>,
        socket: SocketId,
        peer: SocketAddr,
        data: &'a [u8],
    ) -> Result<Forward<'a>, ClientError> {
        self.check_running()?;
        let relaying = self.on_socket(socket).filter(|allocation| allocation.relays());
        let allocation = relaying.ok_or(ClientError::NotAllocated)?;
        let too_long = ClientError::TooLong { length: data.len() };
        let forward = Forward::new(socket, allocation.server, data);
        if let Some(number) = allocation.peers.number_of(peer) {
            let head = ChannelData::head(number, data.len()).ok_or(too_long)?;
            let forward = forward.with_head(&head).ok_or(too_long)?;
            return Ok(if self.is_stream() { forward.padded().with_when_full(WhenFull::Drop) } else { forward });
        }
        if !allocation.peers.is_permitted(peer.ip()) || peer.port() == 0 {
            return Err(ClientError::NoPermission(peer));
        }
        let head = IndicationKind::Send.head(cx.random().into(), peer, data.len()).ok_or(too_long)?;
        let forward = forward.with_head(head.as_slice()).ok_or(too_long)?.padded();
        Ok(if self.is_stream() { forward.with_when_full(WhenFull::Drop) } else { forward })
    }

    /// Returns the peer and the data of a datagram that carries data of a peer; `None` for all other datagrams. This
    /// function is pure: the owner can pass the data on without a copy, and passes in other datagrams by `handle`.
    ///
    /// Data of a peer without a permission is not returned (RFC 8656 §11.4).
    #[must_use]
    pub fn open<'a>(&self, datagram: &Datagram<'a>) -> Option<(SocketAddr, &'a [u8])> {
        let allocation = self.on_socket(datagram.socket)?;
        let is_active = allocation.phase == Phase::Active && allocation.server == datagram.remote;
        allocation.open(datagram.payload).ok().filter(|_| is_active)
    }

    /// Takes bytes of a stream as [`stream`](portolan_machine::Machine::stream) does, but handles one whole frame at most.
    ///
    /// An owner that drains the client after each frame gets the events of each frame before the next frame changes the
    /// state of the client ([`allocations`](Self::allocations)).
    pub fn stream_frame(&mut self, cx: &mut Cx<'_>, chunk: Datagram<'_>) -> Option<usize> {
        self.stream_frames(cx, chunk, 1)
    }

    /// Takes bytes of a stream, with this number of whole frames at most.
    pub(super) fn stream_frames(&mut self, cx: &mut Cx<'_>, chunk: Datagram<'_>, most: usize) -> Option<usize> {
        let number = self.on_socket(chunk.socket)?.number;
        // Due timers run before the first byte, so that the outputs do not depend on the chunks.
        let _verdict = self.timeout(cx);
        self.settle(cx);
        let taken = self.chunk(cx, number, chunk, most);
        self.settle(cx);
        Some(taken)
    }

    /// Handles bytes of a stream: whole frames, while the queue has space for the outputs of one frame.
    fn chunk(&mut self, cx: &mut Cx<'_>, number: u32, chunk: Datagram<'_>, most: usize) -> usize {
        /// The space for the outputs of one frame: the requests of a window of peers, and a few events and orders.
        const SPACE: usize = 64;
        let Some(allocation) = self.allocation_mut(number) else { return chunk.payload.len() };
        let mut framer = core::mem::replace(&mut allocation.framer, allocation::framer());
        let mut left = most;
        let taken = framer.feed_while(chunk.payload, |frame| {
            let has_space = left > 0 && self.out.room() >= SPACE;
            left = left.saturating_sub(1);
            has_space && self.allocation(number).is_some() && self.frame(cx, number, chunk.with_payload(frame))
        });
        let Some(allocation) = self.allocation_mut(number) else { return chunk.payload.len() };
        allocation.framer = framer;
        match taken {
            Ok(taken) => taken,
            Err(_) => {
                cx.note(|| ClientNote::Dropped { from: chunk.remote, why: ClientDropped::Unexpected });
                self.socket_closed(cx, number, LossReason::NotFramed);
                chunk.payload.len()
            }
        }
    }

    /// Handles one frame of a stream. Returns `false` if the frame has to be passed again.
    fn frame(&mut self, cx: &mut Cx<'_>, number: u32, frame: Datagram<'_>) -> bool {
        match self.transactions.with(cx, |transactions, cx| transactions.message(cx, frame)) {
            None => return false,
            Some(Verdict::Mine) => {}
            Some(Verdict::NotMine) => self.message(cx, number, frame),
        }
        self.settle(cx);
        true
    }

    /// Handles a message of the server that is not a response to a request.
    pub(super) fn message(&mut self, cx: &mut Cx<'_>, number: u32, datagram: Datagram<'_>) {
        let from = datagram.remote;
        let Some(allocation) = self.allocation_mut(number) else { return };
        let opened = match allocation.phase {
            Phase::Active => allocation.open(datagram.payload),
            Phase::Opening | Phase::Allocating | Phase::Releasing => Err(ClientDropped::Unexpected),
        };
        let event = match opened {
            Ok((peer, data)) => ClientEvent::Data { peer, payload: Bytes::copy_from_slice(data) },
            Err(why) => match icmp_event(datagram.payload) {
                Some((peer, icmp)) if allocation.peers.may_receive(peer.ip()) => {
                    ClientEvent::PeerUnreachable { peer, icmp }
                }
                Some(_) | None => return cx.note(|| ClientNote::Dropped { from, why }),
            },
        };
        allocation.hear(cx.now());
        if !self.out.offer(Output::Event(event)) {
            cx.note(|| ClientNote::Dropped { from, why: ClientDropped::QueueFull });
        }
    }
}

/// The peer and the ICMP error of a Data indication without data (RFC 8656 §11.5).
fn icmp_event(payload: &[u8]) -> Option<(SocketAddr, portolan_stun::attribute::Icmp)> {
    let message = Message::decode(payload).ok()?;
    let is_indication = (message.class(), message.method()) == (Class::Indication, Method::DATA);
    let unknown = message.not_understood(&[AttributeType::XOR_PEER_ADDRESS]).next();
    let Some(Ok(Attribute::Icmp(icmp))) = message.attribute(AttributeType::ICMP).filter(|_| is_indication) else {
        return None;
    };
    Some((message.xor_peer_address()?, icmp)).filter(|_| unknown.is_none())
}
