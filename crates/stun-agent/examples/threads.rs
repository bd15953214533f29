//! A driver for any machine on UDP sockets and threads of the standard library.
//!
//! Run it with `cargo run -p portolan-stun-agent --example threads`. A STUN server and a client, each with a driver of its
//! own, exchange one request over the loopback interface. Then the program ends.
//!
//! [`Driver::next`] is the driver loop. It has the duties that `portolan_machine` gives to an owner: it drains the machine
//! before every input, it reports each ordered socket once, and it passes the time in.

#![expect(clippy::std_instead_of_alloc, reason = "a program with std has no second name for its collections")]

use core::error::Error;
use core::net::SocketAddr;
use core::time::Duration;
use portolan_machine::{
    Cx, Datagram, Entropy, Input, Instant, Machine, Open, Output, Protocol, Refusal, SocketEvent, SocketId, SocketIds,
    SocketOrder,
};
use portolan_stun_agent::{Query, QueryConfig, QueryEvent, Responder, ResponderConfig, ResponderEvent};
use std::collections::{BTreeMap, VecDeque};
use std::io::ErrorKind;
use std::net::UdpSocket;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Weak};

/// The system's RNG.
struct SystemRng;

impl Entropy for SystemRng {
    fn fill(&mut self, out: &mut [u8]) {
        // Transaction IDs must be unpredictable, so a failure is not ignored.
        getrandom::fill(out).unwrap_or_else(|why| panic!("the system has no random bytes: {why}"));
    }
}

/// A datagram that a reader thread received.
struct Received {
    socket: SocketId,
    local: SocketAddr,
    remote: SocketAddr,
    payload: Vec<u8>,
}

/// A machine with its sockets. Streams are refused as unsupported.
struct Driver<M> {
    machine: M,
    sockets: BTreeMap<SocketId, Arc<UdpSocket>>,
    ids: SocketIds,
    started: std::time::Instant,
    /// The socket events that the machine has not got yet.
    events: VecDeque<(SocketId, SocketEvent)>,
    inbox: Receiver<Received>,
    /// The sender that each reader thread clones. A full channel stops the readers, so the system's receive buffer
    /// bounds the datagrams that wait.
    readers: SyncSender<Received>,
}

impl<M: Machine> Driver<M> {
    fn new(machine: M) -> Self {
        let (readers, inbox) = sync_channel(64);
        let (sockets, ids, events) = (BTreeMap::new(), SocketIds::new(), VecDeque::new());
        Self { machine, sockets, ids, started: std::time::Instant::now(), events, inbox, readers }
    }

    /// Calls the machine, for a command or an input.
    fn with<T>(&mut self, call: impl FnOnce(&mut M, &mut Cx<'_>) -> T) -> T {
        let now = Instant::from_origin(self.started.elapsed());
        call(&mut self.machine, &mut Cx::new(now, &mut SystemRng, &mut self.ids))
    }

    /// Returns the next event of the machine; `None` after `limit`.
    fn next(&mut self, limit: Duration) -> Option<M::Event> {
        let end = self.started.elapsed() + limit;
        loop {
            let deadline = match self.machine.poll() {
                Output::Event(event) => return Some(event),
                Output::Transmit(packet) => {
                    // A datagram that cannot be sent is lost. The machine retransmits.
                    if let Some(socket) = self.sockets.get(&packet.socket) {
                        let _ = socket.send_to(&packet.payload, packet.remote);
                    }
                    continue;
                }
                Output::Socket(order) => {
                    self.execute(order);
                    continue;
                }
                Output::Wait(deadline) => deadline,
            };
            // The machine is drained: it may get its next input.
            if let Some((socket, event)) = self.events.pop_front() {
                let _ = self.with(|machine, cx| machine.handle(cx, Input::Socket(socket, event)));
                continue;
            }
            let until = deadline.map_or(end, |deadline| deadline.at.since_origin().min(end));
            match self.inbox.recv_timeout(until.saturating_sub(self.started.elapsed())) {
                Ok(Received { socket, local, remote, payload }) => {
                    let datagram = Datagram::new(socket, local, remote, &payload);
                    let _ = self.with(|machine, cx| machine.handle(cx, Input::Datagram(datagram)));
                }
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    if self.started.elapsed() >= end {
                        return None;
                    }
                    let _ = self.with(|machine, cx| machine.handle(cx, Input::Timeout));
                }
            }
        }
    }

    fn execute(&mut self, order: SocketOrder) {
        match order {
            SocketOrder::Open(open) => {
                let event = self.open(&open).map_or_else(SocketEvent::Refused, |local| SocketEvent::Opened { local });
                self.events.push_back((open.id, event));
            }
            // The reader thread ends, because it has no socket any more.
            SocketOrder::Close(id) => drop(self.sockets.remove(&id)),
            // There are no streams.
            SocketOrder::Pause(_) | SocketOrder::Resume(_) => {}
        }
    }

    /// Opens a UDP socket and starts its reader thread. Returns the local address.
    fn open(&mut self, open: &Open) -> Result<SocketAddr, Refusal> {
        if open.protocol != Protocol::Udp {
            return Err(Refusal::Unsupported);
        }
        let socket = Arc::new(UdpSocket::bind(open.local).map_err(|why| refusal(&why))?);
        let mut local = socket.local_addr().map_err(|why| refusal(&why))?;
        if local.ip().is_unspecified() {
            // A machine gets no wildcard address. The route to the destination decides the source address; `connect`
            // on a second socket sends no packet.
            let remote = open.remote.ok_or(Refusal::Unsupported)?;
            let probe = UdpSocket::bind((local.ip(), 0)).map_err(|why| refusal(&why))?;
            probe.connect(remote).map_err(|why| refusal(&why))?;
            local.set_ip(probe.local_addr().map_err(|why| refusal(&why))?.ip());
        }
        // The reader tests at this interval whether its socket was closed.
        socket.set_read_timeout(Some(Duration::from_millis(100))).map_err(|why| refusal(&why))?;
        let (id, readers, reader) = (open.id, self.readers.clone(), Arc::downgrade(&socket));
        std::thread::spawn(move || read(id, local, &reader, &readers));
        self.sockets.insert(open.id, socket);
        Ok(local)
    }
}

/// Receives datagrams until the driver closes the socket or ends.
fn read(id: SocketId, local: SocketAddr, socket: &Weak<UdpSocket>, readers: &SyncSender<Received>) {
    let mut buffer = vec![0; 65_535];
    while let Some(socket) = socket.upgrade() {
        // An error is a timeout or an ICMP error of an earlier datagram: the socket stays usable.
        let Ok((length, remote)) = socket.recv_from(&mut buffer) else { continue };
        drop(socket);
        let payload = buffer.get(..length).unwrap_or_default().to_vec();
        if readers.send(Received { socket: id, local, remote, payload }).is_err() {
            return;
        }
    }
}

/// Translates an error of the system.
#[expect(clippy::wildcard_enum_match_arm, reason = "the system has many more errors")]
fn refusal(why: &std::io::Error) -> Refusal {
    match why.kind() {
        ErrorKind::AddrInUse => Refusal::AddressInUse,
        ErrorKind::AddrNotAvailable => Refusal::AddressNotAvailable,
        ErrorKind::PermissionDenied => Refusal::PermissionDenied,
        ErrorKind::NetworkUnreachable | ErrorKind::HostUnreachable => Refusal::NoRoute,
        _ => Refusal::Unspecified,
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the other events need no action")]
fn main() -> Result<(), Box<dyn Error>> {
    const LIMIT: Duration = Duration::from_secs(5);
    let loopback = SocketAddr::from(([127, 0, 0, 1], 0));

    let mut server = Driver::new(Responder::new(&ResponderConfig::new().listen(loopback).streams(0))?);
    server.with(Responder::start)?;
    let Some(ResponderEvent::Listening { local: address, .. }) = server.next(LIMIT) else {
        return Err("the server could not open its socket".into());
    };
    println!("the server listens on {address}");
    let server = std::thread::spawn(move || {
        // The responder has no further event: it serves until the time is over.
        let _ = server.next(Duration::from_secs(1));
        server.machine.stats()
    });

    let mut client = Driver::new(Query::new());
    client.with(|query, cx| query.start(cx, QueryConfig::new(address)))?;
    while let Some(event) = client.next(LIMIT) {
        match event {
            QueryEvent::Response(response) => {
                println!("the server sees the client at {:?}", response.facts.mapped);
                println!("the server counts {}", server.join().map_err(|_| "the server panicked")?);
                return Ok(());
            }
            QueryEvent::Failed(why) => return Err(why.into()),
            QueryEvent::Opened { local, .. } => println!("the client sends from {local}"),
            _ => {}
        }
    }
    Err("no response".into())
}
