//! One relay and a scripted server, without a network: single messages that no server of the tests sends.

use crate::lab::{addr, ip};
use crate::server::{Reply, answer, data_indication, icmp_indication};
use core::net::SocketAddr;
use portolan_connect::{Relay, RelayClosure, RelayCommand, RelayError, RelayEvent};
use portolan_machine::{
    Cx, Datagram, Entropy, Explain, Input, Instant, Machine, Output, Scope, SocketEvent, SocketId, SocketIds,
    SocketOrder, Trace, Transmit, Unreachability, Verdict,
};
use portolan_stun::attribute::Icmp;
use portolan_stun::{Message, Method};
use portolan_stun_agent::Credential;
use portolan_turn::{ClientConfig, ClientError, LossReason};

const SERVER: &str = "192.0.2.1:3478";
const RELAYED: &str = "192.0.2.1:50000";
const PEER: &str = "203.0.113.9:5000";
const LOCAL: &str = "10.0.0.7:40000";

struct Counting(u16);

impl Entropy for Counting {
    fn fill(&mut self, out: &mut [u8]) {
        self.0 += 1;
        for pair in out.chunks_mut(2) {
            pair.copy_from_slice(&self.0.to_be_bytes()[..pair.len()]);
        }
    }
}

struct Notes(Vec<&'static str>);

impl Trace for Notes {
    fn note(&mut self, _: Instant, _: &Scope<'_>, note: &dyn Explain) {
        self.0.push(note.code());
    }
}

/// A relay whose requests are answered at once, as `decide` says.
struct Direct {
    relay: Relay,
    rng: Counting,
    ids: SocketIds,
    now: u64,
    notes: Notes,
    events: Vec<RelayEvent>,
    sent: Vec<Transmit>,
    decide: fn(Method) -> Reply,
}

impl Direct {
    fn allocated() -> Self {
        let (rng, ids, notes) = (Counting(0), SocketIds::new(), Notes(vec![]));
        let (events, sent) = (vec![], vec![]);
        let mut direct =
            Self { relay: Relay::new(), rng, ids, now: 0, notes, events, sent, decide: |_| Reply::Success };
        let config = ClientConfig::new(addr(SERVER), Credential::long_term("ann", "secret"));
        direct.with(|relay, cx| relay.command(cx, RelayCommand::Start(config))).unwrap();
        let opened = |event: &RelayEvent| matches!(event, RelayEvent::Opened { socket: SocketId(2), .. });
        assert!(direct.take_events().iter().all(opened));
        direct
    }

    fn with<R>(&mut self, call: impl FnOnce(&mut Relay, &mut Cx<'_>) -> R) -> R {
        let now = Instant::from_millis(self.now);
        let mut cx = Cx::new(now, &mut self.rng, &mut self.ids).with_trace(&mut self.notes);
        let result = call(&mut self.relay, &mut cx);
        self.drain();
        result
    }

    fn drain(&mut self) {
        loop {
            match self.relay.poll() {
                Output::Wait(_) => return,
                Output::Event(event) => self.events.push(event),
                Output::Socket(SocketOrder::Open(open)) => {
                    self.input(Input::Socket(open.id, SocketEvent::Opened { local: addr(LOCAL) }));
                }
                Output::Socket(_) => {}
                Output::Transmit(transmit) => {
                    let addresses = (addr("198.51.100.7:40000"), &[addr(RELAYED)][..]);
                    let decide = self.decide;
                    let answer =
                        answer(&transmit.payload, ("secret", "nonce"), addresses, |request| decide(request.method()));
                    let socket = transmit.socket;
                    self.sent.push(transmit);
                    if let Some(answer) = answer {
                        self.input(Input::Datagram(Datagram::new(socket, addr(LOCAL), addr(SERVER), &answer)));
                    }
                }
            }
        }
    }

    fn input(&mut self, input: Input<'_>) {
        let _verdict = self.with(|relay, cx| relay.handle(cx, input));
    }

    /// A datagram of the server.
    fn datagram(&mut self, payload: &[u8]) {
        self.input(Input::Datagram(Datagram::new(SocketId(1), addr(LOCAL), addr(SERVER), payload)));
    }

    fn send(&mut self, socket: SocketId, data: &'static [u8]) -> Verdict {
        self.with(|relay, cx| relay.send(cx, &Transmit::new(socket, addr(PEER), data.into())))
    }

    fn take_events(&mut self) -> Vec<RelayEvent> {
        core::mem::take(&mut self.events)
    }

    fn has_note(&self, code: &str) -> bool {
        self.notes.0.contains(&code)
    }
}

#[test]
fn data_is_received_without_a_copy() {
    let mut direct = Direct::allocated();
    let payload = data_indication(addr(PEER), b"data");
    let datagram = Datagram::new(SocketId(1), addr(LOCAL), addr(SERVER), &payload);
    assert_eq!(direct.relay.receive(&datagram), None, "no permission");
    direct.with(|relay, cx| relay.add_peer(cx, addr(PEER).ip())).unwrap();
    let inner = direct.relay.receive(&datagram).unwrap();
    assert_eq!((inner.socket, inner.local, inner.remote), (SocketId(2), addr(RELAYED), addr(PEER)));
    assert!(payload.as_ptr_range().contains(&inner.payload.as_ptr()), "borrowed");
    for (socket, remote) in [(SocketId(2), SERVER), (SocketId(1), PEER)] {
        let foreign = Datagram::new(socket, addr(LOCAL), addr(remote), &payload);
        assert_eq!(direct.relay.receive(&foreign), None);
    }
    direct.take_events();
    direct.datagram(&payload);
    let (socket, local, peer) = (SocketId(2), addr(RELAYED), addr(PEER));
    assert_eq!(direct.take_events(), [RelayEvent::Data { socket, local, peer, payload: b"data"[..].into() }]);
}

#[test]
fn the_queue_of_data_is_bounded() {
    let mut direct = Direct::allocated();
    direct.with(|relay, cx| relay.add_peer(cx, addr(PEER).ip())).unwrap();
    let payload = data_indication(addr(PEER), b"data");
    let datagram = Datagram::new(SocketId(1), addr(LOCAL), addr(SERVER), &payload);
    direct.with(|relay, cx| {
        for _ in 0..300 {
            assert_eq!(relay.handle(cx, Input::Datagram(datagram)), Verdict::Mine);
        }
    });
    assert_eq!(direct.take_events().len(), 256);
    assert!(direct.has_note("relay-dropped-queue-full"));
}

#[test]
fn an_icmp_error_is_reported_for_its_port() {
    let mut direct = Direct::allocated();
    let unreachable = |(kind, code): (u8, u16)| icmp_indication(addr(PEER), Icmp { kind, code, data: 0 });
    direct.datagram(&unreachable((3, 3)));
    assert_eq!(direct.take_events(), [], "no permission");
    direct.with(|relay, cx| relay.add_peer(cx, addr(PEER).ip())).unwrap();
    let cases = [
        ((3, 0), Unreachability::Network),
        ((3, 1), Unreachability::Host),
        ((3, 3), Unreachability::Port),
        ((3, 4), Unreachability::TooLarge),
        ((3, 13), Unreachability::Prohibited),
        ((11, 0), Unreachability::HopLimit),
        ((12, 0), Unreachability::Unspecified),
    ];
    for (icmp, why) in cases {
        direct.datagram(&unreachable(icmp));
        let (socket, peer, port, steps) = (SocketId(2), ip("203.0.113.9"), Some(5000), vec![]);
        assert_eq!(direct.take_events(), [RelayEvent::Unreachable { socket, peer, port, why, steps }]);
    }
}

/// After 437 over UDP the socket to the server stays, and messages of the old allocation may be on the way.
#[test]
fn what_arrives_for_a_lost_allocation_is_dropped() {
    let mut direct = Direct::allocated();
    direct.with(|relay, cx| relay.add_peer(cx, addr(PEER).ip())).unwrap();
    direct.take_events();
    direct.decide = |method| match method {
        Method::CREATE_PERMISSION => Reply::Error(437),
        _ => Reply::Silence,
    };
    assert_eq!(direct.send(SocketId(2), b"sent"), Verdict::Mine);
    direct.with(|relay, cx| relay.add_peer(cx, ip("203.0.113.10"))).unwrap();
    let why = RelayClosure::Lost(LossReason::Mismatch);
    assert_eq!(direct.take_events(), [RelayEvent::Closed { socket: SocketId(2), why }]);
    let payload = data_indication(addr(PEER), b"late");
    assert_eq!(direct.relay.receive(&Datagram::new(SocketId(1), addr(LOCAL), addr(SERVER), &payload)), None);
    direct.datagram(&payload);
    assert_eq!(direct.take_events(), []);
    assert_eq!(direct.send(SocketId(2), b"closed"), Verdict::NotMine);
}

#[test]
fn datagrams_that_wait_for_a_refused_channel_request_a_permission() {
    let mut direct = Direct::allocated();
    direct.decide = |_| Reply::Silence;
    direct.with(|relay, cx| relay.add_channel(cx, addr(PEER))).unwrap();
    assert_eq!(direct.send(SocketId(2), b"waits"), Verdict::Mine);
    assert!(direct.has_note("relay-datagram-held"));
    direct.decide = |method| match method {
        Method::CHANNEL_BIND => Reply::Error(400),
        _ => Reply::Success,
    };
    // The request is retransmitted, and refused now.
    direct.now = 600;
    direct.input(Input::Timeout);
    let last = direct.sent.iter().rev().take(2).map(|sent| Message::decode(&sent.payload).unwrap().method());
    assert_eq!(last.collect::<Vec<_>>(), [Method::SEND, Method::CREATE_PERMISSION]);
}

#[test]
fn the_datagrams_of_a_removed_peer_are_dropped() {
    let mut direct = Direct::allocated();
    direct.decide = |_| Reply::Silence;
    assert_eq!(direct.send(SocketId(2), b"waits"), Verdict::Mine);
    direct.with(|relay, cx| relay.remove_peer(cx, addr(PEER).ip())).unwrap();
    assert!(direct.has_note("relay-dropped-removed"));
    let unknown = direct.with(|relay, cx| relay.remove_peer(cx, addr(PEER).ip()));
    assert_eq!(unknown, Err(RelayError::Client(ClientError::UnknownPeer(addr(PEER).ip()))));
    let data = b"x"[..].into();
    let send = RelayCommand::Send { socket: SocketId(1), peer: addr(PEER), data };
    assert_eq!(direct.with(|relay, cx| relay.command(cx, send)), Err(RelayError::Socket(SocketId(1))));
}

/// 72 datagrams of nine peers: the total bound drops the oldest.
#[test]
fn sixty_four_datagrams_wait_in_all_and_are_dropped_at_the_close() {
    let mut direct = Direct::allocated();
    direct.decide = |_| Reply::Silence;
    for peer in 1..=9 {
        let peer = SocketAddr::from(([203, 0, 113, peer], 5000));
        for _ in 0..8 {
            let _mine = direct.with(|relay, cx| relay.send(cx, &Transmit::new(SocketId(2), peer, b"x"[..].into())));
        }
    }
    let count = |direct: &Direct, code| direct.notes.0.iter().filter(|note| **note == code).count();
    assert_eq!((count(&direct, "relay-dropped-limit"), count(&direct, "relay-dropped-peer-limit")), (8, 0));
    direct.with(|relay, cx| relay.close(cx)).unwrap();
    assert_eq!(count(&direct, "relay-dropped-closed"), 64);
}
