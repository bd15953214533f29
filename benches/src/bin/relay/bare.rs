//! The bare forwarder: recv and send without a protocol.
//!
//! The first datagram of a client opens a relay socket; the response is the address of that socket as text. Later
//! datagrams go through that relay socket to the peer, and datagrams of the peer go back to the client, unchanged. One
//! thread waits for all sockets by epoll and receives until a socket is empty.

use crate::Outcome;
use core::net::SocketAddr;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use std::collections::HashMap;
use std::io::Write as _;
use std::net::UdpSocket;

/// The datagrams that one socket gives before the next socket is read.
const BATCH: usize = 32;
/// The number of the listening socket. The relay sockets have the numbers from 0.
const LISTENER: u64 = u64::MAX;

struct Bare {
    listener: UdpSocket,
    peer: SocketAddr,
    epoll: Epoll,
    /// The relay sockets and their clients.
    relays: Vec<(UdpSocket, SocketAddr)>,
    by_client: HashMap<SocketAddr, usize>,
}

/// Forwards until the process is ended.
pub(crate) fn serve(address: SocketAddr, peer: SocketAddr) -> Outcome<()> {
    let epoll = Epoll::new(EpollCreateFlags::empty())?;
    let listener = crate::server::bind(address)?;
    epoll.add(&listener, EpollEvent::new(EpollFlags::EPOLLIN, LISTENER))?;
    writeln!(std::io::stdout(), "ready")?;
    let mut bare = Bare { listener, peer, epoll, relays: Vec::new(), by_client: HashMap::new() };
    let mut events = [EpollEvent::empty(); 64];
    let mut buffer = [0; 2_048];
    loop {
        let ready = bare.epoll.wait(&mut events, EpollTimeout::NONE)?;
        for event in events.iter().take(ready) {
            match usize::try_from(event.data()).ok().and_then(|number| bare.relays.get(number)) {
                Some(relay) => bare.forward_from_peer(relay, &mut buffer),
                None => bare.forward_from_clients(&mut buffer)?,
            }
        }
    }
}

impl Bare {
    fn forward_from_peer(&self, (relay, client): &(UdpSocket, SocketAddr), buffer: &mut [u8]) {
        for _ in 0..BATCH {
            let Ok((length, _)) = relay.recv_from(buffer) else { return };
            let _dropped = self.listener.send_to(buffer.get(..length).unwrap_or_default(), client);
        }
    }

    fn forward_from_clients(&mut self, buffer: &mut [u8]) -> Outcome<()> {
        for _ in 0..BATCH {
            let Ok((length, client)) = self.listener.recv_from(buffer) else { return Ok(()) };
            if let Some((relay, _)) = self.by_client.get(&client).and_then(|number| self.relays.get(*number)) {
                let _dropped = relay.send_to(buffer.get(..length).unwrap_or_default(), self.peer);
            } else {
                self.open(client)?;
            }
        }
        Ok(())
    }

    fn open(&mut self, client: SocketAddr) -> Outcome<()> {
        let relay = crate::server::bind((self.listener.local_addr()?.ip(), 0).into())?;
        let number = self.relays.len();
        self.epoll.add(&relay, EpollEvent::new(EpollFlags::EPOLLIN, u64::try_from(number)?))?;
        self.listener.send_to(relay.local_addr()?.to_string().as_bytes(), client)?;
        self.relays.push((relay, client));
        self.by_client.insert(client, number);
        Ok(())
    }
}
