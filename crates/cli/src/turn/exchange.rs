//! The datagrams that go through the relay, their loss and their latency.
//!
//! Rules of this file: each datagram has a random token, its number, and a filling. A datagram counts once. The peer
//! socket answers only datagrams with the token, and only to the relayed address.

use bytes::Bytes;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::time::Duration;
use portolan_tokio::Driver;
use portolan_turn::{Client, ClientEvent};
use std::io;
use tokio::net::UdpSocket;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout_at};

/// The interval of datagrams.
const INTERVAL: Duration = Duration::from_millis(5);
/// The time to wait for datagrams after the last one was sent.
const TAIL: Duration = Duration::from_secs(1);
/// The interval of the first datagrams of the peer, which show its address.
const HELLO: Duration = Duration::from_millis(100);
/// The number of a first datagram.
const NO_NUMBER: u32 = u32::MAX;

/// The socket of the peer.
pub(super) struct PeerSocket {
    socket: UdpSocket,
    relayed: SocketAddr,
    local: IpAddr,
    token: [u8; 8],
}

impl PeerSocket {
    /// Opens a socket of the family of the relayed address.
    pub(super) async fn open(relayed: SocketAddr, token: [u8; 8]) -> io::Result<Self> {
        let any: IpAddr = match relayed {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        // Connecting a UDP socket sends nothing, and shows the local address of the route.
        let route = UdpSocket::bind((any, 0)).await?;
        route.connect(relayed).await?;
        let local = route.local_addr()?.ip();
        Ok(Self { socket: UdpSocket::bind((any, 0)).await?, relayed, local, token })
    }

    pub(super) const fn local_ip(&self) -> IpAddr {
        self.local
    }
}

/// What to send.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    pub(super) peer: SocketAddr,
    pub(super) token: [u8; 8],
    pub(super) count: usize,
    pub(super) size: usize,
}

/// The times of one datagram.
#[derive(Clone, Copy, Debug)]
struct Times {
    sent: Instant,
    at_peer: Option<Instant>,
    back: Option<Instant>,
}

/// The datagrams that were sent, and when each of them arrived.
#[derive(Clone, Debug)]
pub(super) struct Datagrams {
    pub(super) size: usize,
    times: Vec<Times>,
}

/// The least, the median and the largest of some durations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spread {
    pub(super) least: Duration,
    pub(super) median: Duration,
    pub(super) most: Duration,
}

impl Datagrams {
    pub(super) fn sent(&self) -> usize {
        self.times.len()
    }

    pub(super) fn at_peer(&self) -> usize {
        self.times.iter().filter(|times| times.at_peer.is_some()).count()
    }

    pub(super) fn returned(&self) -> usize {
        self.times.iter().filter(|times| times.back.is_some()).count()
    }

    /// The latency from the client to the peer.
    pub(super) fn forth(&self) -> Option<Spread> {
        spread(self.times.iter().filter_map(|times| Some(times.at_peer? - times.sent)))
    }

    /// The latency from the peer to the client.
    pub(super) fn back(&self) -> Option<Spread> {
        spread(self.times.iter().filter_map(|times| Some(times.back? - times.at_peer?)))
    }

    /// The latency from the client to the peer and back.
    pub(super) fn round_trip(&self) -> Option<Spread> {
        spread(self.times.iter().filter_map(|times| Some(times.back? - times.sent)))
    }
}

fn spread(durations: impl Iterator<Item = Duration>) -> Option<Spread> {
    let mut all: Vec<_> = durations.collect();
    all.sort_unstable();
    Some(Spread { least: *all.first()?, median: *all.get(all.len() / 2)?, most: *all.last()? })
}

fn encode(token: [u8; 8], number: u32, size: usize) -> Bytes {
    let mut bytes = [&token[..], &number.to_be_bytes()].concat();
    bytes.resize(size.max(bytes.len()), 0x2e);
    bytes.into()
}

/// Returns the number of a datagram with the token.
fn number_of(token: [u8; 8], bytes: &[u8]) -> Option<u32> {
    let rest = bytes.strip_prefix(&token)?;
    rest.first_chunk().map(|number| u32::from_be_bytes(*number))
}

/// Sends datagrams of the peer to the relayed address until one arrives, and returns the address of the peer as the
/// relay sees it.
pub(super) async fn find_peer(driver: &mut Driver<Client>, socket: &PeerSocket, limit: Duration) -> Option<SocketAddr> {
    let deadline = Instant::now() + limit;
    let hello = encode(socket.token, NO_NUMBER, 0);
    let mut ticks = interval(HELLO);
    let found = async {
        loop {
            tokio::select! {
                event = driver.next() => match event {
                    ClientEvent::Data { peer, payload } if number_of(socket.token, &payload) == Some(NO_NUMBER) => {
                        return Some(peer);
                    }
                    ClientEvent::Failed { .. } => return None,
                    _ => {}
                },
                // A datagram that cannot be sent now is repeated.
                _ = ticks.tick() => drop(socket.socket.send_to(&hello, socket.relayed).await),
            }
        }
    };
    timeout_at(deadline, found).await.ok().flatten()
}

/// Sends the datagrams, and waits until all are back or the time is over.
pub(super) async fn run(driver: &mut Driver<Client>, peer: Option<&PeerSocket>, plan: &Plan) -> io::Result<Datagrams> {
    let mut datagrams = Datagrams { size: plan.size, times: Vec::with_capacity(plan.count) };
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut buffer = vec![0; 65_536];
    let mut end = Instant::now() + TAIL;
    let mut returned = 0;
    while returned < plan.count {
        tokio::select! {
            event = driver.next() => match event {
                ClientEvent::Data { payload, .. } => {
                    if let Some(times) = datagrams.find(plan.token, &payload).filter(|times| times.back.is_none()) {
                        times.back = Some(Instant::now());
                        returned += 1;
                    }
                }
                ClientEvent::Failed { .. } | ClientEvent::Lost { .. } => break,
                _ => {}
            },
            received = receive(peer, &mut buffer) => {
                let bytes = buffer.get(..received?).unwrap_or_default();
                if let (Some(times), Some(peer)) = (datagrams.find(plan.token, bytes), peer) {
                    times.at_peer.get_or_insert_with(Instant::now);
                    // A datagram that cannot be sent counts as lost.
                    let _ = peer.socket.send_to(bytes, peer.relayed).await;
                }
            },
            _ = ticks.tick(), if datagrams.sent() < plan.count => {
                let number = u32::try_from(datagrams.sent()).unwrap_or(NO_NUMBER);
                let data = encode(plan.token, number, plan.size);
                let sent = Instant::now();
                // Without an allocation the datagram counts as lost.
                let _ = driver.with(|client, cx| client.send(cx, plan.peer, &data));
                datagrams.times.push(Times { sent, at_peer: None, back: None });
                end = sent + TAIL;
            },
            () = sleep_until(end) => break,
        }
    }
    Ok(datagrams)
}

impl Datagrams {
    fn find(&mut self, token: [u8; 8], bytes: &[u8]) -> Option<&mut Times> {
        let number = number_of(token, bytes)?;
        self.times.get_mut(usize::try_from(number).ok()?)
    }
}

/// Receives a datagram of the peer; never returns if the peer is another program.
async fn receive(peer: Option<&PeerSocket>, buffer: &mut [u8]) -> io::Result<usize> {
    match peer {
        // An ICMP error for an earlier datagram is reported here on some systems. It is no data.
        Some(peer) => Ok(peer.socket.recv_from(buffer).await.map_or(0, |(length, _)| length)),
        None => core::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_datagram_has_its_number_and_its_size() {
        let token = [7; 8];
        let bytes = encode(token, 5, 160);
        assert_eq!((bytes.len(), number_of(token, &bytes)), (160, Some(5)));
        assert_eq!(number_of([8; 8], &bytes), None, "of another run");
        assert_eq!(number_of(token, bytes.get(..11).unwrap()), None, "cut");
    }

    #[test]
    fn loss_and_latency_count_each_datagram_once() {
        let start = Instant::now();
        let after = |millis| start + Duration::from_millis(millis);
        let times = |at_peer: Option<u64>, back: Option<u64>| Times {
            sent: start,
            at_peer: at_peer.map(after),
            back: back.map(after),
        };
        let all = vec![times(Some(1), Some(4)), times(Some(3), None), times(None, None), times(Some(2), Some(9))];
        let datagrams = Datagrams { size: 16, times: all };
        assert_eq!((datagrams.sent(), datagrams.at_peer(), datagrams.returned()), (4, 3, 2));
        let spread = |least, median, most| {
            let [least, median, most] = [least, median, most].map(Duration::from_millis);
            Some(Spread { least, median, most })
        };
        assert_eq!(datagrams.forth(), spread(1, 2, 3));
        assert_eq!(datagrams.back(), spread(3, 7, 7));
        assert_eq!(datagrams.round_trip(), spread(4, 9, 9));
    }
}
