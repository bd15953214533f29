//! The actions that the parts of a discovery return.
//!
//! Rules of this file: a part returns [`Actions`]. It has no access to the output queue, the transactions and the
//! RNG. [`Discovery`](super::Discovery) applies the actions in their order.

use crate::event::DiscoveryEvent;
use crate::note::DiscoveryNote;
use crate::profile::{Family, Flaw};
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;
use portolan_machine::SocketId;
use portolan_stun::TransactionId;

use super::plan::PlannedRequest;
use super::source_port::PortRange;

/// Actions in the order in which they are applied.
pub(super) type Actions = Vec<Action>;

/// One action.
#[derive(Clone, Debug)]
pub(super) enum Action {
    /// Order a UDP socket on a random dynamic port (RFC 5780 §4.1).
    OpenUdp {
        socket: SocketId,
        towards: SocketAddr,
        ports: PortRange,
        /// Whether the socket replaces one whose port was taken.
        replaces: bool,
    },
    /// Order a TCP connection.
    OpenTcp { socket: SocketId, towards: SocketAddr },
    /// Close a socket.
    Close(SocketId),
    /// Start this request as soon as the budget allows.
    Request(PlannedRequest),
    /// Start this request at once, outside the budget.
    RequestNow(PlannedRequest),
    /// Cancel a request. A request that has ended is ignored.
    Cancel(TransactionId),
    /// Change the timeout of a request after its last send.
    SetTail(TransactionId, Duration),
    /// Withdraw the requests of a filtering attempt that have not started.
    Withdraw { family: Family, attempt: u8 },
    /// Report a flaw of a server.
    Flaw { family: Family, server: SocketAddr, flaw: Flaw },
    /// Pass this event to the owner.
    Event(DiscoveryEvent),
    /// Make this note.
    Note(DiscoveryNote),
}

impl Action {
    /// A fresh UDP socket.
    pub(super) const fn open_udp(socket: SocketId, towards: SocketAddr, ports: PortRange) -> Self {
        Self::OpenUdp { socket, towards, ports, replaces: false }
    }
}
