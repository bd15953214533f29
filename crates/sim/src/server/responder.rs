//! The responder of `stun-agent` as a server of a net: the same machine that answers on real sockets.
//!
//! The responder takes several times the processor time of the simple server. A test compares the responses of the two.

use super::Credentials;
use crate::clock::{Nanos, instant};
use crate::entropy::SeededRng;
use crate::packet::{Packet, Place, Pool};
use alloc::boxed::Box;
use alloc::vec::Vec;
use bytes::Bytes;
use core::net::SocketAddr;
use portolan_machine::{Cx, Datagram, Input, Machine, Output, SocketId, SocketIds, Verdict};
use portolan_stun_agent::{Responder, ResponderConfig};

/// A responder and the addresses of its sockets.
#[derive(Clone, Debug)]
pub(super) struct Hosted {
    responder: Responder,
    /// The n-th entry is the address of socket n + 1.
    locals: Vec<SocketAddr>,
    rng: SeededRng,
    ids: SocketIds,
}

impl Hosted {
    /// Creates a responder for a server's addresses, without a rate limit.
    ///
    /// Returns `None` if the responder rejects the addresses or the credentials.
    pub(super) fn new(
        primary: SocketAddr,
        alternate: Option<SocketAddr>,
        credentials: Option<&Credentials>,
        seed: u64,
    ) -> Option<Self> {
        let mut config = ResponderConfig::new().listen(primary).rate(None);
        if let Some(alternate) = alternate {
            config = config.alternate(alternate);
        }
        let mut rng = SeededRng::new(seed);
        if let Some(credentials) = credentials {
            config = config.credentials(credentials.authenticator(&mut rng).ok()?);
        }
        let mut locals = Vec::new();
        let responder = Responder::over(&config, |local| {
            locals.push(local);
            SocketId(locals.len() as u64)
        });
        Some(Self { responder: responder.ok()?, locals, rng, ids: SocketIds::new() })
    }

    /// Returns the response to one message over UDP or a stream. A response to a stream goes back on the same stream.
    pub(super) fn reply(&mut self, now: Nanos, local: SocketAddr, remote: SocketAddr, payload: &[u8]) -> Option<Bytes> {
        let at = self.locals.iter().position(|own| *own == local)?;
        let datagram = Datagram::new(SocketId(at as u64 + 1), local, remote, payload);
        let mut cx = Cx::new(instant(now), &mut self.rng, &mut self.ids);
        if self.responder.handle(&mut cx, Input::Datagram(datagram)) == Verdict::NotMine {
            return None;
        }
        let mut response = None;
        loop {
            match self.responder.poll() {
                Output::Transmit(transmit) => response = response.or(Some(transmit.payload)),
                Output::Socket(_) | Output::Event(_) => {}
                Output::Wait(_) => return response,
            }
        }
    }

    pub(super) fn serve(
        &mut self,
        packet: &Packet,
        now: Nanos,
        interface: usize,
        pool: &mut Pool,
        send: &mut impl FnMut(Nanos, Box<Packet>),
    ) {
        let Some(at) = self.locals.iter().position(|local| *local == packet.destination) else { return };
        let mut cx = Cx::new(instant(now), &mut self.rng, &mut self.ids);
        let verdict = self.responder.handle(
            &mut cx,
            Input::Datagram(Datagram::new(SocketId(at as u64 + 1), packet.destination, packet.source, packet.bytes())),
        );
        if verdict == Verdict::NotMine {
            return;
        }
        loop {
            match self.responder.poll() {
                Output::Transmit(transmit) => {
                    let nth = usize::try_from(transmit.socket.0).unwrap_or(0).wrapping_sub(1);
                    let Some(from) = self.locals.get(nth).copied() else { continue };
                    // Each socket is bound to one address. The system does not send from another address on it.
                    if transmit.local.is_some_and(|local| local != from.ip()) {
                        continue;
                    }
                    let mut reply = pool.packet(from, transmit.remote, Place::Up(interface), now);
                    reply.share(transmit.payload);
                    send(0, reply);
                }
                Output::Socket(_) | Output::Event(_) => {}
                Output::Wait(_) => return,
            }
        }
    }
}
