//! The fresh socket of a session whose NAT has sequential ports.
//!
//! The rendezvous wakes the client when the peer comes. The session then opens a new socket, and the client registers there.
//! So the peer predicts from a port that the NAT has just assigned. Until the new socket is open, the old one stays in use.

use super::{Session, SocketState};
use portolan_machine::{Cx, Output, SocketId, SocketOrder};

impl Session {
    /// Orders a new socket towards the rendezvous.
    pub(super) fn open_fresh(&mut self, cx: &mut Cx<'_>) {
        let is_waiting = self.sockets.iter().any(|socket| matches!(socket.state, SocketState::Ordered));
        if self.puncher.is_none() && !is_waiting {
            self.open(cx, self.config.rendezvous.is_ipv4(), Some(self.config.rendezvous));
        }
    }

    /// Moves the client to the new socket, and closes the old one. A refused socket is forgotten.
    pub(super) fn use_fresh(&mut self, cx: &mut Cx<'_>, id: SocketId) {
        let Some(index) = self.sockets.iter().position(|socket| socket.id == id) else { return };
        let fresh = self.sockets.remove(index);
        if matches!(fresh.state, SocketState::Refused(_)) {
            return;
        }
        if self.puncher.is_some() || self.client.is_none() {
            return self.out.push(Output::Socket(SocketOrder::Close(id)));
        }
        if let Some(old) = self.sockets.first_mut() {
            let old = core::mem::replace(old, fresh);
            self.out.push(Output::Socket(SocketOrder::Close(old.id)));
        }
        let candidates = self.candidates();
        if let Some(client) = &mut self.client {
            // A client that has ended refuses the move.
            let _moved = client.with(cx, |client, cx| client.move_to(cx, id, candidates));
        }
    }

    /// Closes a new socket that comes too late: the peer is introduced.
    pub(super) fn close_fresh(&mut self) {
        let out = &mut self.out;
        self.sockets.retain(|socket| {
            let is_late = matches!(socket.state, SocketState::Ordered);
            if is_late {
                out.push(Output::Socket(SocketOrder::Close(socket.id)));
            }
            !is_late
        });
    }
}
