//! TCP candidates (RFC 6544): two connections in a network, and one connection with scripted streams.

use crate::pair::{ONE, Pair, Setup, Side};
use core::net::SocketAddr;
use core::time::Duration;
use portolan_connect::{ConnectConfig, ConnectEvent, Connection};
use portolan_ice::gather::Interface;
use portolan_ice::{AgentConfig, AgentState, Credentials, PairFailure, PairState, Policy, RemoteDescription};
use portolan_machine::{
    Closure, Cx, Datagram, Entropy, Input, Instant, Machine as _, Outbox, Output, Protocol, Refusal, SocketEvent,
    SocketId, SocketIds, SocketOrder, Transmit, Unreachability, Verdict,
};
use portolan_sim::{Preset, Topology};
use portolan_stun::framing::next_packet;
use portolan_stun::{Class, Message};

const POLICIES: [Policy; 2] = [Policy::Textbook, Policy::Browserlike];

fn setup(policy: Policy) -> Setup {
    let config = ConnectConfig::new().agent(AgentConfig::new().policy(policy)).tcp();
    Setup { has_relay: false, config, ..Setup::default() }
}

fn run(left: Preset, right: Preset, setup: &Setup) -> Pair {
    let topology = |preset| Topology::preset(preset).rtt(Duration::from_millis(40));
    let mut pair = Pair::new(1, &topology(left), &topology(right), setup);
    pair.start();
    pair.run_until(Duration::from_secs(60), Pair::is_selected);
    pair
}

/// Sends data both ways, and returns the data that arrived.
fn exchange(pair: &mut Pair, text: &'static [u8]) -> [Vec<Vec<u8>>; 2] {
    Side::BOTH.into_iter().for_each(|side| pair.send(side, text));
    pair.run_for(Duration::from_secs(1));
    Side::BOTH.map(|side| pair.data(side))
}

fn is_tcp(pair: &Pair, side: Side) -> bool {
    pair.selected(side).is_some_and(|path| pair.connection(side).is_tcp(&path))
}

#[test]
fn rfc6544_7_two_peers_without_udp_connect_over_tcp_and_keep_consent() {
    for policy in POLICIES {
        let mut pair = run(Preset::Blocked, Preset::Blocked, &setup(policy));
        assert!(pair.is_selected() && pair.agrees(), "{policy:?}");
        for side in Side::BOTH {
            assert!(is_tcp(&pair, side), "{policy:?} {side:?}: {:?}", pair.selected(side));
        }
        assert_eq!(exchange(&mut pair, b"hello"), [vec![b"hello".to_vec()], vec![b"hello".to_vec()]], "{policy:?}");
        // Two minutes without data: consent is requested and granted over the stream.
        pair.run_for(Duration::from_secs(120));
        for side in Side::BOTH {
            assert_eq!(pair.connection(side).agent().state(), AgentState::Completed, "{policy:?}");
        }
        assert_eq!(exchange(&mut pair, b"again").map(|data| data.len()), [2, 2], "{policy:?}");
    }
}

#[test]
fn rfc6544_4_2_udp_is_preferred_where_both_work() {
    for policy in POLICIES {
        let pair = run(Preset::Open, Preset::Open, &setup(policy));
        assert!(pair.is_selected() && pair.agrees(), "{policy:?}");
        assert!(Side::BOTH.into_iter().all(|side| !is_tcp(&pair, side)), "{policy:?}");
        // Each side signals an active and a passive candidate.
        for side in Side::BOTH {
            let of_side = pair.events.iter().filter(|(_, known, _)| *known == side);
            let candidates: Vec<String> = of_side
                .filter_map(|(.., event)| match event {
                    ConnectEvent::LocalCandidate { candidate, .. } => Some(candidate.to_string()),
                    _ => None,
                })
                .collect();
            let has = |words: &str| candidates.iter().any(|candidate| candidate.contains(words));
            assert!(has(" 9 typ host tcptype active") && has("typ host tcptype passive"), "{candidates:?}");
        }
    }
}

#[test]
fn rfc6544_9_2_a_restart_uses_the_same_stream() {
    for policy in POLICIES {
        let mut pair = run(Preset::Blocked, Preset::Blocked, &setup(policy));
        let before = Side::BOTH.map(|side| pair.selected(side).map(|path| (path.local, path.remote)));
        pair.restart(Side::Left);
        pair.run_for(Duration::from_secs(10));
        assert!(pair.is_selected() && pair.agrees(), "{policy:?}");
        let after = Side::BOTH.map(|side| pair.selected(side).map(|path| (path.local, path.remote)));
        // There are two pairs, one in each direction, and the stream of the selected one stays.
        assert_eq!(before, after, "{policy:?}");
        assert_eq!(exchange(&mut pair, b"hello").map(|data| data.len()), [1, 1], "{policy:?}");
    }
}

#[test]
fn without_the_option_a_connection_has_no_tcp_candidates() {
    let pair = run(Preset::Blocked, Preset::Blocked, &Setup { has_relay: false, ..Setup::default() });
    assert!(!pair.is_selected());
}

// --- Scripted streams ------------------------------------------------------------------------------------------

struct Ones;

impl Entropy for Ones {
    fn fill(&mut self, out: &mut [u8]) {
        out.fill(1);
    }
}

/// One connection whose driver is the test.
struct Scripted {
    connection: Connection,
    ids: SocketIds,
    now: Instant,
    /// The streams that were ordered, with their peers.
    opened: Vec<(SocketId, SocketAddr)>,
    listener: Option<SocketId>,
    closed: Vec<SocketId>,
    sent: Vec<Transmit>,
}

const PEERS: [&str; 3] = ["192.0.2.1:5000", "192.0.2.2:5000", "192.0.2.3:5000"];
const LOCAL: &str = "198.51.100.7:40000";

impl Scripted {
    /// A controlling connection that knows a passive TCP candidate of each peer.
    fn new() -> Self {
        let connection = Connection::new(ConnectConfig::new().tcp()).unwrap();
        let (opened, closed, sent) = (vec![], vec![], vec![]);
        let mut scripted =
            Self { connection, ids: SocketIds::new(), now: Instant::ORIGIN, opened, listener: None, closed, sent };
        scripted.with(|connection, cx| connection.start(cx, true)).unwrap();
        let interfaces = vec![Interface::new("eth0", LOCAL.parse::<SocketAddr>().unwrap().ip())];
        scripted.with(|connection, cx| connection.set_interfaces(cx, interfaces)).unwrap();
        let candidates = PEERS.iter().enumerate().map(|(nth, peer)| {
            let peer: SocketAddr = peer.parse().unwrap();
            let priority = 1_500_000_000 - nth;
            let text = format!("{nth} 1 TCP {priority} {} {} typ host tcptype passive", peer.ip(), peer.port());
            text.parse().unwrap()
        });
        let credentials = Credentials::new("peer", "asd88fgpdd777uzjYhagZg").unwrap();
        let description = RemoteDescription::new(credentials).with_candidates(candidates.collect()).ended();
        scripted.with(|connection, cx| connection.set_remote(cx, 0, description)).unwrap();
        scripted.run(Duration::from_millis(500));
        scripted
    }

    fn with<R>(&mut self, call: impl FnOnce(&mut Connection, &mut Cx<'_>) -> R) -> R {
        let result = call(&mut self.connection, &mut Cx::new(self.now, &mut Ones, &mut self.ids));
        self.drain();
        result
    }

    fn drain(&mut self) -> Option<Instant> {
        loop {
            match self.connection.poll() {
                Output::Wait(wait) => return wait.map(|wait| wait.at),
                Output::Transmit(transmit) => self.sent.push(transmit),
                Output::Event(_) => {}
                Output::Socket(SocketOrder::Open(open)) => match (open.protocol, open.remote) {
                    (Protocol::Tcp, Some(remote)) => self.opened.push((open.id, remote)),
                    (protocol, _) => {
                        if protocol == Protocol::TcpListen {
                            self.listener = Some(open.id);
                        }
                        self.socket(open.id, SocketEvent::Opened { local: LOCAL.parse().unwrap() });
                    }
                },
                Output::Socket(SocketOrder::Close(id)) => self.closed.push(id),
                Output::Socket(order) => panic!("{order:?}"),
            }
        }
    }

    fn socket(&mut self, id: SocketId, event: SocketEvent) {
        let verdict = self.with(|connection, cx| connection.handle(cx, Input::Socket(id, event)));
        assert_eq!(verdict, Verdict::Mine);
    }

    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.drain().filter(|at| *at <= end) {
            self.now = at;
            let _verdict = self.with(|connection, cx| connection.handle(cx, Input::Timeout));
        }
        self.now = end;
    }

    /// Hands all bytes in, as a driver does.
    fn stream(&mut self, id: SocketId, mut bytes: &[u8]) {
        while !bytes.is_empty() && !self.closed.contains(&id) {
            let chunk = Datagram::new(id, LOCAL.parse().unwrap(), PEERS[0].parse().unwrap(), bytes);
            let taken = self.with(|connection, cx| connection.stream(cx, chunk)).unwrap();
            assert!(taken > 0);
            bytes = &bytes[taken..];
        }
    }

    /// The stream to a peer.
    fn to(&self, peer: usize) -> SocketId {
        let peer: SocketAddr = PEERS[peer].parse().unwrap();
        self.opened.iter().rev().find(|(_, remote)| *remote == peer).unwrap().0
    }

    /// The states of the pairs, by peer.
    fn pairs(&self) -> Vec<(PairState, Option<PairFailure>)> {
        let find = |peer: &&str| {
            let peer: SocketAddr = peer.parse().unwrap();
            let mut pairs = self.connection.agent().pairs().filter(|pair| pair.path.remote == peer);
            let pair = pairs.next().unwrap();
            assert!(pairs.next().is_none(), "a passive local candidate has no pair (RFC 6544 §6.2)");
            (pair.state, pair.failure)
        };
        PEERS.iter().map(find).collect()
    }
}

#[test]
fn rfc6544_7_1_a_refused_stream_fails_only_its_pair_with_a_reason() {
    let mut scripted = Scripted::new();
    assert_eq!(scripted.opened.len(), 3, "one stream for each check");
    assert!(scripted.sent.is_empty(), "nothing is sent before the stream is open");
    scripted.socket(scripted.to(0), SocketEvent::Refused(Refusal::ConnectionRefused));
    let failed = (PairState::Failed, Some(PairFailure::Unreachable(Unreachability::Port)));
    let pending = (PairState::InProgress, None);
    assert_eq!(scripted.pairs(), [failed, pending, pending]);
    scripted.socket(scripted.to(1), SocketEvent::Opened { local: LOCAL.parse().unwrap() });
    let sent = scripted.sent.pop().unwrap();
    assert_eq!(sent.socket, scripted.to(1));
    let frame = next_packet(&sent.payload).unwrap();
    assert_eq!(frame.taken, sent.payload.len());
    assert_eq!(Message::decode(frame.bytes).unwrap().class(), Class::Request);
    // TCP retransmits: one request in the transaction timeout of 39.5 s.
    scripted.run(Duration::from_secs(38));
    assert!(scripted.sent.is_empty());
    scripted.run(Duration::from_secs(3));
    assert_eq!(scripted.pairs()[1].0, PairState::Failed);
}

#[test]
fn rfc6544_7_1_bytes_that_are_no_frames_of_an_agent_close_only_their_stream() {
    let garbage: [&[u8]; 3] = [b"HTTP/1.1 400 Bad Request\r\n\r\n", &[0, 5, 1, 2, 3, 4, 5], &[0xff; 400]];
    for bytes in garbage {
        for part in [1, 3, bytes.len()] {
            let mut scripted = Scripted::new();
            for peer in 0..2 {
                scripted.socket(scripted.to(peer), SocketEvent::Opened { local: LOCAL.parse().unwrap() });
            }
            // A partial frame waits.
            scripted.stream(scripted.to(0), &[0]);
            assert!(scripted.closed.is_empty());
            for part in bytes.chunks(part) {
                scripted.stream(scripted.to(1), part);
            }
            assert_eq!(scripted.closed, [scripted.to(1)], "{bytes:?}");
            let states: Vec<PairState> = scripted.pairs().into_iter().map(|(state, _)| state).collect();
            assert_eq!(states, [PairState::InProgress, PairState::Failed, PairState::InProgress], "{bytes:?}");
        }
    }
}

/// A listener is open for everyone: strangers do not take the place of a peer, and the memory is bounded.
#[test]
fn rfc6544_7_2_accepted_streams_are_bounded() {
    let mut scripted = Scripted::new();
    let listener = scripted.listener.unwrap();
    for nth in 0..200_u16 {
        let remote = SocketAddr::from(([203, 0, 113, 9], 1_000 + nth));
        let (socket, local) = (SocketId(1_000 + u64::from(nth)), LOCAL.parse().unwrap());
        scripted.socket(listener, SocketEvent::Accepted { socket, local, remote });
        scripted.stream(socket, &[0]);
    }
    // 32 streams are kept, the newest ones among them, and those that this side opens.
    assert_eq!(scripted.closed.len(), 200 - 32);
    assert!(!scripted.closed.contains(&SocketId(1_199)) && !scripted.closed.contains(&scripted.to(0)));
    scripted.closed.clear();
    scripted.with(Connection::close).unwrap();
    assert!(scripted.closed.contains(&listener));
    assert_eq!(scripted.closed.iter().filter(|id| id.0 >= 1_000).count(), 32);
    assert!(scripted.connection.path(ONE).is_none());
}

/// A flood of strangers between two drains: the queue stays bounded, and each stream above the limit is closed later.
#[test]
fn rfc6544_7_2_a_flood_of_accepted_streams_queues_a_bounded_number_of_outputs() {
    let mut scripted = Scripted::new();
    let listener = scripted.listener.unwrap();
    let local = LOCAL.parse().unwrap();
    let ids = 1_000..1_800;
    for id in ids.clone() {
        let (socket, remote) = (SocketId(id), SocketAddr::from(([203, 0, 113, 9], id as u16)));
        let event = Input::Socket(listener, SocketEvent::Accepted { socket, local, remote });
        let (mut ones, ids) = (Ones, &mut scripted.ids);
        let mut cx = Cx::new(scripted.now, &mut ones, ids);
        assert_eq!(scripted.connection.handle(&mut cx, event), Verdict::Mine);
    }
    scripted.drain();
    assert_eq!(scripted.closed.len(), Outbox::<ConnectEvent>::LIMIT);
    // A stream that waits for its close brings bytes, and one ends by itself.
    scripted.stream(SocketId(1_700), &[0, 1]);
    scripted.socket(SocketId(1_701), SocketEvent::Closed(Closure::ByPeer));
    scripted.run(Duration::from_secs(1));
    let kept: Vec<u64> = ids.filter(|id| !scripted.closed.contains(&SocketId(*id))).collect();
    assert_eq!(kept, [1_701].into_iter().chain(1_768..1_800).collect::<Vec<u64>>(), "the newest 32 are kept");
}

/// The agent loses the passive candidate, so no pair uses the accepted streams.
#[test]
fn rfc6544_8_the_streams_of_a_lost_listener_are_closed() {
    let mut scripted = Scripted::new();
    let listener = scripted.listener.unwrap();
    let (socket, local, remote) = (SocketId(1_000), LOCAL.parse().unwrap(), PEERS[0].parse().unwrap());
    scripted.socket(listener, SocketEvent::Accepted { socket, local, remote });
    scripted.socket(listener, SocketEvent::Closed(Closure::Unspecified));
    assert_eq!(scripted.closed, [socket]);
}
