//! The check by TCP connections, without a UDP response: UDP is blocked, or the host is offline.
//!
//! Rules of this file: a connection, or a refusal, shows that packets to this server leave and come back (RFC 3489
//! §10.1). Then UDP requests are sent to the server again. Their silence is evidence of a block, because an earlier
//! interruption of the path is over. One silent server is no evidence: it may be down, or serve TCP only. UDP is
//! blocked if two servers of different names and addresses are silent, or one that answers a STUN request over TCP. If
//! neither UDP nor TCP gets a response, the host is offline.

use crate::note::DiscoveryNote;
use crate::profile::{Evidence, Family};
use alloc::vec::Vec;
use core::net::SocketAddr;
use portolan_machine::{Instant, Refusal, SocketEvent, SocketId};
use portolan_stun_agent::AnswerFrom;

use super::action::{Action, Actions};
use super::plan::{PlannedRequest, STREAM, TCP_TIMEOUT};
use super::servers::{ServerState, Servers};
use super::tag::{Tag, Test};

/// The port that firewalls open most often.
const HTTPS: u16 = 443;

/// The number of servers that are tried.
const TRIED: usize = 3;

/// The TCP connections, and the UDP requests that follow them.
#[derive(Clone, Debug, Default)]
pub(super) struct TcpCheck {
    tries: Vec<Try>,
    servers: Vec<TriedServer>,
    started_at: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
struct Try {
    socket: SocketId,
    server: u8,
    to: SocketAddr,
    ended: Option<Result<(), Refusal>>,
}

/// A server that TCP is tried with.
#[derive(Clone, Copy, Debug)]
struct TriedServer {
    number: u8,
    /// The place of its name in the given list.
    index: usize,
    address: SocketAddr,
    /// Whether TCP has reached its host.
    is_reached: bool,
    /// Whether the UDP requests after that stayed unanswered.
    is_silent: bool,
    /// Whether it answered a STUN request over TCP.
    is_stun: bool,
}

impl TcpCheck {
    /// Opens connections to the servers' own port and to port 443, once.
    pub(super) fn start(
        &mut self,
        now: Instant,
        next_socket: &mut impl FnMut() -> SocketId,
        servers: &Servers,
    ) -> Actions {
        let mut actions = Actions::new();
        if self.started_at.is_some() {
            return actions;
        }
        self.started_at = Some(now);
        for (number, server) in servers.in_use() {
            let ServerState { index, address, .. } = *server;
            let is_other = |one: &TriedServer| one.index != index && one.address.ip() != address.ip();
            if self.servers.len() < TRIED && self.servers.iter().all(is_other) {
                let (is_reached, is_silent, is_stun) = (false, false, false);
                self.servers.push(TriedServer { number, index, address, is_reached, is_silent, is_stun });
            }
        }
        for TriedServer { number: server, address, .. } in self.servers.iter().copied() {
            let https = SocketAddr::new(address.ip(), HTTPS);
            for to in [address, https] {
                if self.tries.iter().all(|other| other.to != to) {
                    let socket = next_socket();
                    actions.push(Action::Note(DiscoveryNote::TcpTried { to }));
                    actions.push(Action::OpenTcp { socket, towards: to });
                    self.tries.push(Try { socket, server, to, ended: None });
                }
            }
        }
        actions
    }

    pub(super) const fn is_started(&self) -> bool {
        self.started_at.is_some()
    }

    pub(super) fn holds(&self, socket: SocketId) -> bool {
        self.tries.iter().any(|this| this.socket == socket)
    }

    /// Takes a socket event; `None` if the socket belongs to another part. Returns the server too if this is the first
    /// connection that reached its host.
    pub(super) fn socket_event(
        &mut self,
        now: Instant,
        socket: SocketId,
        event: SocketEvent,
    ) -> Option<(Actions, Option<(u8, SocketAddr)>)> {
        let this = self.tries.iter_mut().find(|this| this.socket == socket)?;
        let ended = match event {
            SocketEvent::Opened { .. } => Ok(()),
            SocketEvent::Refused(why) => Err(why),
            SocketEvent::Accepted { .. }
            | SocketEvent::Unreachable { .. }
            | SocketEvent::Full
            | SocketEvent::Writable
            | SocketEvent::Closed(_) => return Some((Actions::new(), None)),
        };
        this.ended = Some(ended);
        let (number, to) = (this.server, this.to);
        let mut actions = Actions::from([Action::Note(DiscoveryNote::TcpEnded { to, why: ended.err() })]);
        let server = self.servers.iter_mut().find(|server| server.number == number)?;
        if ended.is_ok() && to == server.address {
            actions.push(stream_request(now, socket, number, to));
        }
        let reaches = matches!(ended, Ok(()) | Err(Refusal::ConnectionRefused));
        let is_first = reaches && !server.is_reached;
        server.is_reached |= reaches;
        Some((actions, is_first.then_some((number, server.address))))
    }

    /// Takes the end of the UDP requests to a server that TCP has reached.
    pub(super) fn silent(&mut self, number: u8) {
        self.servers.iter_mut().filter(|server| server.number == number).for_each(|server| server.is_silent = true);
    }

    /// Takes a STUN response over TCP.
    pub(super) fn answered(&mut self, number: u8) {
        self.servers.iter_mut().filter(|server| server.number == number).for_each(|server| server.is_stun = true);
    }

    /// Whether TCP has shown that packets leave and come back.
    pub(super) fn is_reachable(&self) -> bool {
        self.servers.iter().any(|server| server.is_reached)
    }

    /// Whether UDP is blocked.
    pub(super) fn is_blocked(&self) -> bool {
        let mut silent = self.servers.iter().filter(|server| server.is_silent);
        silent.clone().any(|server| server.is_stun) || silent.nth(1).is_some()
    }

    /// Whether all connections, and the UDP requests after them, have ended.
    pub(super) fn is_over(&self) -> bool {
        self.is_started()
            && self.tries.iter().all(|this| this.ended.is_some())
            && self.servers.iter().all(|server| server.is_silent || !server.is_reached)
    }

    /// Closes the sockets that are open or being opened.
    pub(super) fn close(&self) -> impl Iterator<Item = Action> {
        let open = self.tries.iter().filter(|this| !matches!(this.ended, Some(Err(_))));
        open.map(|this| Action::Close(this.socket))
    }

    /// The results of the connections. `now`: the end of the run. A connection that got no response in a short time is
    /// no evidence.
    pub(super) fn evidence(&self, now: Instant) -> impl Iterator<Item = Evidence> {
        let has_waited = self.started_at.is_some_and(|at| at + TCP_TIMEOUT <= now);
        self.tries.iter().filter_map(move |this| match this.ended {
            Some(Ok(())) => Some(Evidence::TcpConnected { to: this.to }),
            Some(Err(why)) => Some(Evidence::TcpFailed { to: this.to, why }),
            None => has_waited.then_some(Evidence::TcpFailed { to: this.to, why: Refusal::TimedOut }),
        })
    }
}

fn stream_request(now: Instant, socket: SocketId, server: u8, to: SocketAddr) -> Action {
    Action::Request(PlannedRequest {
        tag: Tag { family: Family::of(&to), test: Test::Stream { server } },
        socket,
        to,
        change: None,
        schedule: STREAM,
        from: AnswerFrom::SameAsDestination,
        not_before: now,
    })
}
