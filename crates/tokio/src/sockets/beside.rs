//! A plain socket beside the fast one, for datagrams larger than the path.
//!
//! The batching socket forbids fragmentation, as its makers need it. A datagram that is too large for one packet leaves
//! through this one, from the same address and port, and the kernel fragments it. It hears nobody: it is connected to a
//! port of its own host that no peer sends from, and a connected UDP socket takes datagrams from its peer alone. (The
//! machine's socket itself is never connected.)
//!
//! Two sockets may share an address only while both allow it, so both do for the moment of the bind, and no longer.

use core::net::SocketAddr;
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use std::io::Result;

/// The discard port (RFC 863): nobody's source port.
const NOBODY: u16 = 9;

/// The plain socket, and the address that it shares.
#[derive(Debug)]
pub(crate) struct Beside {
    socket: Socket,
    local: SocketAddr,
}

impl Beside {
    /// Makes a socket that shares `local`, a specific address, with `main`.
    pub(crate) fn new(main: SockRef<'_>, local: SocketAddr) -> Result<Self> {
        let socket = Socket::new(Domain::for_address(local), Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_nonblocking(true)?;
        if local.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        let mut nobody = local;
        nobody.set_port(NOBODY);
        main.set_reuse_address(true)?;
        let bound = socket
            .set_reuse_address(true)
            .and_then(|()| socket.bind(&local.into()))
            .and_then(|()| socket.connect(&nobody.into()))
            .and_then(|()| socket.set_reuse_address(false));
        main.set_reuse_address(false)?;
        bound?;
        Ok(Self { socket, local })
    }

    /// Whether it sends from this address.
    pub(crate) fn is_at(&self, local: SocketAddr) -> bool {
        self.local == local
    }

    /// The socket, to send with.
    pub(crate) fn socket(&self) -> SockRef<'_> {
        SockRef::from(&self.socket)
    }

    /// Sends one datagram, in fragments if need be.
    pub(crate) fn send(&self, remote: SocketAddr, payload: &[u8]) -> Result<()> {
        self.socket.send_to(payload, &remote.into()).map(|_| ())
    }
}
