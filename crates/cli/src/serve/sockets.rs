//! The listening sockets of a TURN server: the same addresses for each worker.
//!
//! Rules of this file: all sockets are bound before a worker starts, so that the kernel divides the clients among all
//! workers from the first datagram on. With several workers the sockets have SO_REUSEPORT. That option would let a
//! second server of the same user share the port without an error, so each address is bound once without the option
//! first.

use super::{DEFAULT_LISTEN, ServeError};
use crate::output;
use core::net::SocketAddr;
use portolan_machine::{Protocol, Refusal};
use socket2::{Domain, Socket, Type};
use std::io::{self, ErrorKind};
use std::net::{TcpListener, UdpSocket};

/// The listening sockets of one worker.
#[derive(Debug, Default)]
pub(super) struct WorkerSockets {
    pub(super) udp: Vec<UdpSocket>,
    /// Listeners for TCP and TLS.
    pub(super) streams: Vec<(Protocol, TcpListener)>,
}

/// The listening sockets of all workers.
#[derive(Debug)]
pub(super) struct OpenSockets {
    pub(super) workers: Vec<WorkerSockets>,
    /// The addresses, with the ports that the system assigned.
    pub(super) listening: Vec<(Protocol, SocketAddr)>,
}

/// The number of peers that wait for `accept`.
const BACKLOG: i32 = 1_024;

/// Opens the sockets of each worker.
///
/// # Errors
/// [`ServeError::Listen`], when the system refuses a socket. If the addresses are the default ones, a missing family is
/// reported and skipped.
pub(super) fn open(
    listen: &[SocketAddr],
    tls: &[SocketAddr],
    workers: u16,
    buffer: Option<u32>,
) -> Result<OpenSockets, ServeError> {
    let mut open =
        OpenSockets { workers: (0..workers).map(|_| WorkerSockets::default()).collect(), listening: Vec::new() };
    let is_default = listen.is_empty();
    let listen = if is_default { &DEFAULT_LISTEN[..] } else { listen };
    for local in listen {
        match open.udp_and_tcp(*local, buffer) {
            Err(ServeError::Listen { local, why, .. }) if is_default && is_missing(why) => {
                output::print_diagnostic(format_args!("not listening on {local}: {why}"));
            }
            result => result?,
        }
    }
    for local in tls {
        open.streams(Protocol::TlsListen, *local)?;
    }
    match open.listening.first() {
        None => Err(ServeError::Listen {
            local: DEFAULT_LISTEN[0],
            protocol: Protocol::Udp,
            why: Refusal::FamilyNotSupported,
        }),
        Some(_) => Ok(open),
    }
}

const fn is_missing(why: Refusal) -> bool {
    matches!(why, Refusal::FamilyNotSupported | Refusal::AddressNotAvailable)
}

impl OpenSockets {
    /// Opens UDP and TCP on one address. If the port is 0, both get the port that the system assigns to UDP.
    fn udp_and_tcp(&mut self, local: SocketAddr, buffer: Option<u32>) -> Result<(), ServeError> {
        let shared = self.workers.len() > 1;
        let refused = |error: io::Error| ServeError::listen(local, Protocol::Udp, &error);
        let mut bound = bind(local, Type::DGRAM, false).map_err(refused)?;
        let mut at = bound.local_addr().map_err(refused)?.as_socket().unwrap_or(local);
        at.set_port(if local.port() == 0 { at.port() } else { local.port() });
        for worker in &mut self.workers {
            if shared {
                // Ends the socket without SO_REUSEPORT, which would exclude the others.
                drop(bound);
                bound = bind(at, Type::DGRAM, true).map_err(refused)?;
            }
            set_buffer(&bound, at, buffer).map_err(refused)?;
            let socket = bound.try_clone().map_err(refused)?;
            worker.udp.push(UdpSocket::from(socket));
        }
        self.listening.push((Protocol::Udp, at));
        self.streams(Protocol::TcpListen, at)
    }

    fn streams(&mut self, protocol: Protocol, local: SocketAddr) -> Result<(), ServeError> {
        let shared = self.workers.len() > 1;
        let refused = |error: io::Error| ServeError::listen(local, protocol, &error);
        let mut bound = bind(local, Type::STREAM, false).map_err(refused)?;
        if shared {
            // Only a listening socket without SO_REUSEPORT shows that another server listens.
            bound.listen(BACKLOG).map_err(refused)?;
        }
        let at = bound.local_addr().map_err(refused)?.as_socket().unwrap_or(local);
        for worker in &mut self.workers {
            if shared {
                drop(bound);
                bound = bind(at, Type::STREAM, true).map_err(refused)?;
            }
            bound.listen(BACKLOG).map_err(refused)?;
            let socket = bound.try_clone().map_err(refused)?;
            worker.streams.push((protocol, TcpListener::from(socket)));
        }
        self.listening.push((protocol, at));
        Ok(())
    }
}

fn bind(local: SocketAddr, kind: Type, shared: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(local), kind, None)?;
    if local.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    #[cfg(unix)]
    {
        // A restarted server can bind while old streams are in TIME_WAIT.
        if kind == Type::STREAM {
            socket.set_reuse_address(true)?;
        }
        if shared {
            socket.set_reuse_port(true)?;
        }
    }
    #[cfg(not(unix))]
    let _ = shared;
    socket.bind(&local.into())?;
    Ok(socket)
}

/// Sets the buffers of a socket, and reports a size that the system does not give.
fn set_buffer(socket: &Socket, local: SocketAddr, buffer: Option<u32>) -> io::Result<()> {
    let Some(size) = buffer.and_then(|bytes| usize::try_from(bytes).ok()) else { return Ok(()) };
    socket.set_recv_buffer_size(size)?;
    socket.set_send_buffer_size(size)?;
    let given = socket.recv_buffer_size()?.min(socket.send_buffer_size()?);
    if given < size {
        output::print_diagnostic(format_args!(
            "the kernel gives {given} bytes instead of {size} to the buffers of {local}: raise net.core.rmem_max and \
             net.core.wmem_max, or lower --socket-buffer"
        ));
    }
    Ok(())
}

/// Maps an error of the system to the reason that the driver would report.
pub(super) fn refusal(error: &io::Error) -> Refusal {
    #[cfg(unix)]
    if let Some(number) = error.raw_os_error() {
        use rustix::io::Errno;
        let descriptors = [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM];
        if descriptors.iter().any(|errno| errno.raw_os_error() == number) {
            return Refusal::TooManySockets;
        }
        if number == Errno::AFNOSUPPORT.raw_os_error() {
            return Refusal::FamilyNotSupported;
        }
    }
    let known = [
        (ErrorKind::AddrInUse, Refusal::AddressInUse),
        (ErrorKind::AddrNotAvailable, Refusal::AddressNotAvailable),
        (ErrorKind::PermissionDenied, Refusal::PermissionDenied),
        (ErrorKind::Unsupported, Refusal::FamilyNotSupported),
    ];
    let found = known.into_iter().find(|(kind, _)| *kind == error.kind());
    found.map_or(Refusal::Unspecified, |(_, refusal)| refusal)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn local() -> SocketAddr {
        "127.0.0.1:0".parse().unwrap()
    }

    #[test]
    fn each_worker_gets_every_address_and_tcp_has_the_port_of_udp() {
        for workers in [1, 3] {
            let open = open(&[local(), local()], &[local()], workers, None).unwrap();
            assert_eq!(open.workers.len(), usize::from(workers));
            let protocols: Vec<_> = open.listening.iter().map(|(protocol, _)| *protocol).collect();
            let both = [Protocol::Udp, Protocol::TcpListen];
            assert_eq!(protocols, [&both[..], &both, &[Protocol::TlsListen]].concat());
            for worker in &open.workers {
                let udp = worker.udp.iter().map(|socket| socket.local_addr().unwrap());
                let streams = worker.streams.iter().map(|(_, socket)| socket.local_addr().unwrap());
                let expected: Vec<_> = open.listening.iter().map(|(_, local)| *local).collect();
                let [a, b]: [SocketAddr; 2] = udp.collect::<Vec<_>>().try_into().unwrap();
                let [c, d, e]: [SocketAddr; 3] = streams.collect::<Vec<_>>().try_into().unwrap();
                assert_eq!([a, c, b, d, e], *expected);
            }
        }
    }

    #[test]
    fn a_second_server_on_the_same_port_is_refused_although_the_sockets_are_shared() {
        for workers in [1, 2] {
            let first = open(&[local()], &[], 2, None).unwrap();
            let (_, at) = first.listening[0];
            let second = open(&[at], &[], workers, None).unwrap_err();
            assert!(matches!(second, ServeError::Listen { why: Refusal::AddressInUse, .. }), "{second}");
            let tls = open(&[local()], &[at], workers, None).unwrap_err();
            assert!(matches!(tls, ServeError::Listen { protocol: Protocol::TlsListen, .. }), "{tls}");
        }
    }

    #[test]
    fn a_buffer_size_is_set_on_each_listener() {
        let open = open(&[local()], &[], 2, Some(65_536)).unwrap();
        for worker in open.workers {
            let socket = Socket::from(worker.udp.into_iter().next().unwrap());
            assert!(socket.recv_buffer_size().unwrap() >= 65_536);
        }
    }
}
