//! The check by TCP connections, without a UDP response: UDP is blocked, or the host is offline.
//!
//! Rules of this file: it connects and sends no byte. A connection, or a refusal, shows that packets leave and come
//! back; then UDP is blocked (RFC 3489 §10.1). If neither UDP nor TCP gets a response, the host is offline.

use crate::note::DiscoveryNote;
use crate::profile::Evidence;
use alloc::vec::Vec;
use core::net::SocketAddr;
use portolan_machine::{Refusal, SocketEvent, SocketId};

use super::action::{Action, Actions};
use super::servers::Servers;

/// The port that firewalls open most often.
const HTTPS: u16 = 443;

/// The number of servers that are tried.
const TRIED: usize = 2;

/// The TCP connections.
#[derive(Clone, Debug, Default)]
pub(super) struct TcpCheck {
    tries: Vec<Try>,
    started: bool,
}

#[derive(Clone, Copy, Debug)]
struct Try {
    socket: SocketId,
    to: SocketAddr,
    ended: Option<Result<(), Refusal>>,
}

impl TcpCheck {
    /// Opens connections to the servers' own port and to port 443, once.
    pub(super) fn start(&mut self, next_socket: &mut impl FnMut() -> SocketId, servers: &Servers) -> Actions {
        let mut actions = Actions::new();
        if core::mem::replace(&mut self.started, true) {
            return actions;
        }
        let addresses: Vec<SocketAddr> = servers.in_use().map(|(_, server)| server.address).take(TRIED).collect();
        for address in addresses {
            let https = SocketAddr::new(address.ip(), HTTPS);
            for to in [address, https] {
                if self.tries.iter().all(|other| other.to != to) {
                    let socket = next_socket();
                    actions.push(Action::Note(DiscoveryNote::TcpTried { to }));
                    actions.push(Action::OpenTcp { socket, towards: to });
                    self.tries.push(Try { socket, to, ended: None });
                }
            }
        }
        actions
    }

    pub(super) const fn is_started(&self) -> bool {
        self.started
    }

    /// Takes a socket event; `None` if the socket belongs to another part.
    pub(super) fn socket_event(&mut self, socket: SocketId, event: SocketEvent) -> Option<Actions> {
        let this = self.tries.iter_mut().find(|this| this.socket == socket)?;
        let ended = match event {
            SocketEvent::Opened { .. } => Ok(()),
            SocketEvent::Refused(why) => Err(why),
            SocketEvent::Accepted { .. }
            | SocketEvent::Unreachable { .. }
            | SocketEvent::Full
            | SocketEvent::Writable
            | SocketEvent::Closed(_) => return Some(Actions::new()),
        };
        this.ended = Some(ended);
        let ended = DiscoveryNote::TcpEnded { to: this.to, why: ended.err() };
        Some(Actions::from([Action::Note(ended)]))
    }

    /// Whether TCP has shown that packets leave and come back.
    pub(super) fn is_reachable(&self) -> bool {
        self.tries.iter().any(|this| matches!(this.ended, Some(Ok(()) | Err(Refusal::ConnectionRefused))))
    }

    /// Whether all connections have ended.
    pub(super) fn is_over(&self) -> bool {
        self.started && self.tries.iter().all(|this| this.ended.is_some())
    }

    /// Closes the sockets that are open or being opened.
    pub(super) fn close(&self) -> impl Iterator<Item = Action> {
        let open = self.tries.iter().filter(|this| !matches!(this.ended, Some(Err(_))));
        open.map(|this| Action::Close(this.socket))
    }

    pub(super) fn evidence(&self) -> impl Iterator<Item = Evidence> {
        self.tries.iter().map(|this| match this.ended {
            Some(Ok(())) => Evidence::TcpConnected { to: this.to },
            Some(Err(why)) => Evidence::TcpFailed { to: this.to, why },
            None => Evidence::TcpFailed { to: this.to, why: Refusal::TimedOut },
        })
    }
}
