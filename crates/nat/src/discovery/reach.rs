//! Is UDP blocked, or is there no way out at all? TCP tells, when no UDP answer comes.
//!
//! Rules of this file: it only connects and looks; no byte is sent. A connection, or a refusal, shows that packets get
//! out and come back, so it is UDP that is blocked (RFC 3489 §10.1). Silence of both is no way out.

use crate::note::DiscoveryNote;
use crate::profile::Evidence;
use alloc::vec::Vec;
use core::net::SocketAddr;
use portolan_machine::{Protocol, Refusal, SocketId, SocketNews};

use super::desk::Desk;
use super::servers::Servers;

/// The port that is open when any is.
const HTTPS: u16 = 443;

/// How many servers are tried.
const TRIED: usize = 2;

/// The connections that are tried.
#[derive(Clone, Debug, Default)]
pub(super) struct TcpCheck {
    tries: Vec<Try>,
    asked: bool,
}

#[derive(Clone, Copy, Debug)]
struct Try {
    socket: SocketId,
    to: SocketAddr,
    ended: Option<Result<(), Refusal>>,
}

impl TcpCheck {
    /// Opens connections to the servers' own port and to 443, once.
    pub(super) fn start(&mut self, desk: &mut Desk<'_, '_>, servers: &Servers) {
        if core::mem::replace(&mut self.asked, true) {
            return;
        }
        let addresses: Vec<SocketAddr> = servers.asked().map(|(_, server)| server.address).take(TRIED).collect();
        for address in addresses {
            let https = SocketAddr::new(address.ip(), HTTPS);
            for to in [address, https] {
                if self.tries.iter().all(|other| other.to != to) {
                    desk.cx.note(|| DiscoveryNote::TcpTried { to });
                    let socket = desk.open(Protocol::Tcp, 0, to);
                    self.tries.push(Try { socket, to, ended: None });
                }
            }
        }
    }

    pub(super) const fn is_started(&self) -> bool {
        self.asked
    }

    /// Takes news of one of its sockets; `false`: not its socket.
    pub(super) fn news(&mut self, desk: &mut Desk<'_, '_>, socket: SocketId, news: SocketNews) -> bool {
        let Some(this) = self.tries.iter_mut().find(|this| this.socket == socket) else { return false };
        let ended = match news {
            SocketNews::Opened { .. } => Ok(()),
            SocketNews::Refused(why) => Err(why),
            SocketNews::Accepted { .. }
            | SocketNews::Unreachable { .. }
            | SocketNews::Full
            | SocketNews::Writable
            | SocketNews::Closed(_) => return true,
        };
        this.ended = Some(ended);
        let to = this.to;
        desk.cx.note(|| DiscoveryNote::TcpEnded { to, why: ended.err() });
        true
    }

    /// Whether TCP has shown that packets get out and come back.
    pub(super) fn shows_a_way_out(&self) -> bool {
        self.tries.iter().any(|this| matches!(this.ended, Some(Ok(()) | Err(Refusal::ConnectionRefused))))
    }

    /// Whether all connections have ended.
    pub(super) fn is_over(&self) -> bool {
        self.asked && self.tries.iter().all(|this| this.ended.is_some())
    }

    /// Closes what is still open or opening.
    pub(super) fn close(&mut self, desk: &mut Desk<'_, '_>) {
        for this in self.tries.iter().filter(|this| !matches!(this.ended, Some(Err(_)))) {
            desk.close(this.socket);
        }
    }

    pub(super) fn evidence(&self) -> impl Iterator<Item = Evidence> {
        self.tries.iter().map(|this| match this.ended {
            Some(Ok(())) => Evidence::TcpConnected { to: this.to },
            Some(Err(why)) => Evidence::TcpFailed { to: this.to, why },
            None => Evidence::TcpFailed { to: this.to, why: Refusal::TimedOut },
        })
    }
}
