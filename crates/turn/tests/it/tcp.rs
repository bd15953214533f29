//! TCP allocations (RFC 6062): connections with peers, their data streams, timers and limits.

use crate::streams::{StreamClient, accept, chunk, end, is_closed, padded, world};
use crate::world::{Client, Host, OTHER_PEER, PEER, Reply, SERVER, World, addr, config, indication, seconds};
use portolan_machine::{
    Closure, Input, Instant, Open, Protocol, Refusal, SocketEvent, SocketId, SocketOrder, Transmit, Verdict, WhenFull,
};
use portolan_stun::{Attribute, Class, Message, Method};
use portolan_turn::{Bandwidth, PeerPolicy, ServerEvent, ServerLimits};

const TCP: Attribute<'_> = Attribute::RequestedTransport(6);

fn peer(text: &str) -> Attribute<'static> {
    Attribute::XorPeerAddress(addr(text))
}

/// A client with a TCP allocation and a permission for the peer.
fn alice(world: &mut World) -> StreamClient {
    let mut alice = StreamClient::new(world, "192.0.2.77:40000", "alice");
    assert_eq!(alice.allocate_with(world, &[TCP]), None);
    assert_eq!(alice.ask(world, Method::CREATE_PERMISSION, &[peer(PEER)]).code(), None);
    alice
}

/// The last order of a socket.
fn last_open(world: &World) -> Open {
    let mut opens = world.orders.iter().filter_map(|order| match order {
        SocketOrder::Open(open) => Some(open.clone()),
        SocketOrder::Pause(_) | SocketOrder::Resume(_) | SocketOrder::Close(_) => None,
    });
    opens.next_back().unwrap()
}

/// Connects to a peer. Returns the id of the connection and the stream to the peer.
fn connect(world: &mut World, client: &mut StreamClient, to: &str) -> (u32, SocketId) {
    let reply = client.ask(world, Method::CONNECT, &[peer(to)]);
    assert_eq!(reply.code(), None);
    (reply.message().connection_id().unwrap(), last_open(world).id)
}

/// A data stream of a client. Returns it with the code of the response to ConnectionBind.
fn bind(world: &mut World, remote: &str, user: &str, id: u32) -> (StreamClient, Option<u16>) {
    let mut data = StreamClient::new(world, remote, user);
    let code = data.ask(world, Method::CONNECTION_BIND, &[Attribute::ConnectionId(id)]).code();
    (data, code)
}

/// A connection with its two streams.
fn connection(world: &mut World, client: &mut StreamClient) -> (SocketId, StreamClient) {
    let (id, to_peer) = connect(world, client, PEER);
    let (data, code) = bind(world, "192.0.2.77:40001", "alice", id);
    assert_eq!(code, None);
    (to_peer, data)
}

/// Passes bytes of a peer, and returns the only transmit.
fn from_peer(world: &mut World, stream: SocketId, bytes: &[u8]) -> Transmit {
    let (taken, sent) = chunk(world, stream, addr(PEER), bytes);
    assert_eq!((taken, sent.len()), (Some(bytes.len()), 1));
    sent.into_iter().next().unwrap()
}

fn event(world: &mut World, socket: SocketId, event: SocketEvent) -> Vec<Transmit> {
    let (verdict, sent) = world.input(Input::Socket(socket, event));
    assert_eq!(verdict, Verdict::Mine);
    sent
}

/// A peer connects to the relayed address. Returns its stream, and what the server sent.
fn attempt(world: &mut World, relayed: &str, from: &str) -> (SocketId, Vec<Transmit>) {
    let (listener, socket) = (world.relay_socket(addr(relayed)), world.ids.next_socket());
    let sent = event(world, listener, SocketEvent::Accepted { socket, local: addr(relayed), remote: addr(from) });
    (socket, sent)
}

#[test]
fn a_client_connects_to_a_peer_and_relays_bytes() {
    let mut world = world(&config());
    let mut alice = alice(&mut world);
    let listener = world.orders.iter().find_map(|order| match order {
        SocketOrder::Open(open) => Some((open.protocol, open.local)),
        SocketOrder::Pause(_) | SocketOrder::Resume(_) | SocketOrder::Close(_) => None,
    });
    assert_eq!(listener, Some((Protocol::TcpListen, alice.client.relayed)));

    let (id, to_peer) = connect(&mut world, &mut alice, PEER);
    let open = last_open(&world);
    assert_eq!((open.protocol, open.local, open.remote), (Protocol::Tcp, alice.client.relayed, Some(addr(PEER))));
    assert_eq!(world.orders.last(), Some(&SocketOrder::Pause(to_peer)), "nothing is read before ConnectionBind");
    let (taken, sent) = chunk(&mut world, to_peer, addr(PEER), b"early");
    assert_eq!((taken, sent.len()), (Some(0), 0));

    let (data, code) = bind(&mut world, "192.0.2.77:40001", "alice", id);
    assert_eq!((code, world.orders.last()), (None, Some(&SocketOrder::Resume(to_peer))));
    let transmit = from_peer(&mut world, to_peer, b"early");
    assert_eq!(
        (transmit.socket, transmit.remote, &transmit.payload[..]),
        (data.id, data.client.address, &b"early"[..])
    );
    assert_eq!(transmit.when_full, WhenFull::Close, "no byte of a stream is dropped");
    let sent = data.write(&mut world, b"\x40\x00not framed");
    assert_eq!(
        (sent[0].socket, sent[0].remote, &sent[0].payload[..]),
        (to_peer, addr(PEER), &b"\x40\x00not framed"[..])
    );
    let relayed = world.server.stats().relayed;
    assert_eq!((relayed.to_peers.bytes, relayed.to_client.bytes), (12, 5));
    assert_eq!(world.server.streams(), 1, "a data stream has its connection as its bound");
}

#[test]
fn bytes_after_the_connection_bind_are_data_however_the_stream_is_split() {
    let mut world = world(&config());
    let mut alice = alice(&mut world);
    let length = {
        let mut data = StreamClient::new(&mut world, "192.0.2.77:40001", "alice");
        let id = data.client.id();
        data.client.signed(Method::CONNECTION_BIND, id, &[Attribute::ConnectionId(0)]).len() + 6
    };
    for cut in 1..length {
        let (id, to_peer) = connect(&mut world, &mut alice, PEER);
        let mut data = StreamClient::new(&mut world, "192.0.2.77:40001", "alice");
        let transaction = data.client.id();
        let mut stream = data.client.signed(Method::CONNECTION_BIND, transaction, &[Attribute::ConnectionId(id)]);
        stream.extend_from_slice(b"\xff\0GET!");
        assert_eq!(stream.len(), length);
        let (mut sent, mut at) = (Vec::new(), 0);
        for stop in [cut, length] {
            while at < stop {
                let (taken, some) = chunk(&mut world, data.id, data.client.address, &stream[at..stop]);
                assert!(taken.is_some_and(|taken| taken > 0), "split at {cut}");
                at += taken.unwrap();
                sent.extend(some);
            }
        }
        let bytes: Vec<u8> = sent[1..].iter().flat_map(|transmit| transmit.payload.to_vec()).collect();
        assert_eq!(bytes, b"\xff\0GET!", "split at {cut}");
        assert!(sent[1..].iter().all(|transmit| transmit.socket == to_peer));
        event(&mut world, to_peer, SocketEvent::Closed(Closure::ByPeer));
        assert!(is_closed(&world, data.id));
    }
}

#[test]
fn a_peer_with_a_permission_connects_and_others_are_closed_at_once() {
    let mut world = world(&config());
    let alice = alice(&mut world);
    let relayed = alice.client.relayed.to_string();
    let (stream, sent) = attempt(&mut world, &relayed, OTHER_PEER);
    assert!(sent.is_empty() && is_closed(&world, stream));

    let (stream, sent) = attempt(&mut world, &relayed, PEER);
    let message = Message::decode(&sent[0].payload).unwrap();
    assert_eq!((sent.len(), sent[0].socket), (1, alice.id));
    assert_eq!((message.class(), message.method()), (Class::Indication, Method::CONNECTION_ATTEMPT));
    assert_eq!(message.xor_peer_address(), Some(addr(PEER)));
    assert_eq!(world.orders.last(), Some(&SocketOrder::Pause(stream)));
    let (data, code) = bind(&mut world, "192.0.2.77:40001", "alice", message.connection_id().unwrap());
    assert_eq!(code, None);
    assert_eq!(from_peer(&mut world, stream, b"hello").socket, data.id);

    world.advance(seconds(300));
    let (late, sent) = attempt(&mut world, &relayed, "203.0.113.9:6000");
    assert!(sent.is_empty() && is_closed(&world, late), "the permission is over");
    assert_eq!(from_peer(&mut world, stream, b"still open").socket, data.id);
}

#[test]
fn every_method_with_a_peer_denies_loopback_private_addresses_and_own_listeners() {
    let mut world = world(&config());
    let mut alice = alice(&mut world);
    for denied in ["127.0.0.1:22", "10.0.0.1:80", "169.254.169.254:80", "0.0.0.0:1", "203.0.113.9:0"] {
        assert_eq!(alice.ask(&mut world, Method::CONNECT, &[peer(denied)]).code(), Some(403), "{denied}");
    }
    assert_eq!(alice.ask(&mut world, Method::CONNECT, &[peer("[2600::9]:5000")]).code(), Some(443));

    let policy = PeerPolicy::new().allow("192.0.2.0/24".parse().unwrap());
    let mut world = self::world(&config().policy(policy));
    let mut alice = StreamClient::new(&mut world, "192.0.2.77:40000", "alice");
    assert_eq!(alice.allocate_with(&mut world, &[TCP]), None);
    assert_eq!(alice.ask(&mut world, Method::CONNECT, &[peer(SERVER)]).code(), Some(403), "an own listener");
    assert_eq!(alice.ask(&mut world, Method::CONNECT, &[peer("192.0.2.1:3479")]).code(), None, "another port");
}

#[test]
fn a_connect_is_refused_with_the_code_of_its_reason() {
    let mut world = world(&config());
    let mut alice = alice(&mut world);
    assert_eq!(alice.ask(&mut world, Method::CONNECT, &[]).code(), Some(400));
    world.host = Host::Refuses(Refusal::ConnectionRefused);
    assert_eq!(alice.ask(&mut world, Method::CONNECT, &[peer(PEER)]).code(), Some(447));
    world.host = Host::Waits;
    let request = alice.client.signed(Method::CONNECT, [7; 12].into(), &[peer(PEER)]);
    assert!(alice.write(&mut world, &request).is_empty(), "the response waits for the peer");
    assert_eq!(alice.ask(&mut world, Method::CONNECT, &[peer(PEER)]).code(), Some(446));
    let waiting = last_open(&world).id;
    let sent_before = world.sent.len();
    world.advance(Instant::from_millis(29_999));
    assert_eq!(world.sent.len(), sent_before);
    world.advance(seconds(30));
    assert_eq!(world.sent.len(), sent_before + 1);
    let response = Message::decode(&world.sent.last().unwrap().payload).unwrap();
    assert_eq!((response.error_code().unwrap().code(), is_closed(&world, waiting)), (447, true));

    world.host = Host::Opens;
    let (_, to_peer) = connect(&mut world, &mut alice, PEER);
    assert_eq!(alice.ask(&mut world, Method::CONNECT, &[peer(PEER)]).code(), Some(446));
    event(&mut world, to_peer, SocketEvent::Closed(Closure::Reset));
    connect(&mut world, &mut alice, PEER);

    let mut bob = StreamClient::new(&mut world, "192.0.2.78:40000", "bob");
    assert_eq!(bob.ask(&mut world, Method::CONNECT, &[peer(PEER)]).code(), Some(437));
    assert_eq!(bob.allocate_with(&mut world, &[Attribute::RequestedTransport(17)]), None);
    assert_eq!(bob.ask(&mut world, Method::CONNECT, &[peer(PEER)]).code(), Some(400), "an allocation for UDP");
    let refused = world.server.stats().refused;
    assert_eq!((refused.connection_exists, refused.connection_failed), (2, 2));
}

#[test]
fn a_tcp_allocation_needs_a_stream_and_excludes_the_attributes_of_udp() {
    let mut world = world(&config());
    let mut alice = StreamClient::new(&mut world, "192.0.2.77:40000", "alice");
    let token = Attribute::ReservationToken([1; 8]);
    for excluded in [Attribute::DontFragment, Attribute::EvenPort(false), Attribute::EvenPort(true), token] {
        assert_eq!(alice.allocate_with(&mut world, &[TCP, excluded]), Some(400), "{excluded:?}");
    }
    assert_eq!(alice.allocate_with(&mut world, &[TCP]), None);
    let channel = [Attribute::ChannelNumber(0x4000), peer(PEER)];
    assert_eq!(alice.ask(&mut world, Method::CHANNEL_BIND, &channel).code(), Some(400));
    assert_eq!(alice.ask(&mut world, Method::CREATE_PERMISSION, &[peer(PEER)]).code(), None);
    assert!(alice.write(&mut world, &padded(0x4000, b"data")).is_empty());
    let send = indication([9; 12].into(), &[peer(PEER), Attribute::Data(b"data")]);
    assert!(alice.write(&mut world, &send).is_empty(), "nothing is sent on a listener");

    let mut over_udp = World::new(&config());
    let mut carol = Client::new(&mut over_udp, "192.0.2.79:40000", "alice");
    assert_eq!(carol.ask(&mut over_udp, Method::ALLOCATE, &[TCP]).code(), Some(400));
    assert_eq!(carol.ask(&mut over_udp, Method::CONNECTION_BIND, &[Attribute::ConnectionId(1)]).code(), Some(400));

    let mut limits = ServerLimits::default();
    limits.connections = 0;
    let mut without = self::world(&config().limits(limits));
    let mut dave = StreamClient::new(&mut without, "192.0.2.77:40000", "alice");
    assert_eq!(dave.allocate_with(&mut without, &[TCP]), Some(442));
}

#[test]
fn a_connection_is_bound_once_and_only_by_its_user() {
    let mut world = world(&config());
    let mut alice = alice(&mut world);
    let (id, to_peer) = connect(&mut world, &mut alice, PEER);
    assert_eq!(bind(&mut world, "192.0.2.66:1", "bob", id).1, Some(441));
    assert_eq!(bind(&mut world, "192.0.2.77:40009", "alice", id ^ 1).1, Some(400), "another id");
    let attributes = [Attribute::ConnectionId(id)];
    assert_eq!(alice.ask(&mut world, Method::CONNECTION_BIND, &attributes).code(), Some(400), "the control stream");
    let mut without_id = StreamClient::new(&mut world, "192.0.2.77:40008", "alice");
    assert_eq!(without_id.ask(&mut world, Method::CONNECTION_BIND, &[]).code(), Some(400));
    assert!(!is_closed(&world, to_peer));
    let (data, code) = bind(&mut world, "192.0.2.77:40001", "alice", id);
    assert_eq!(code, None);
    assert_eq!(bind(&mut world, "192.0.2.77:40002", "alice", id).1, Some(400), "bound already");
    assert_eq!(from_peer(&mut world, to_peer, b"x").socket, data.id);
}

#[test]
fn a_connection_is_bound_with_the_nonce_of_its_control_connection() {
    let mut world = world(&config());
    let mut alice = alice(&mut world);
    let (id, to_peer) = connect(&mut world, &mut alice, PEER);
    let mut data = StreamClient::new(&mut world, "192.0.2.77:40001", "alice");
    data.client.nonce = alice.client.nonce.clone();
    let bound = data.ask(&mut world, Method::CONNECTION_BIND, &[Attribute::ConnectionId(id)]);
    assert_eq!((bound.code(), bound.message().connection_id()), (None, Some(id)));
    assert_eq!(from_peer(&mut world, to_peer, b"x").socket, data.id);

    // A connection that a peer began.
    let (stream, sent) = attempt(&mut world, &alice.client.relayed.to_string(), "203.0.113.9:6000");
    let id = Message::decode(&sent[0].payload).unwrap().connection_id().unwrap();
    let mut data = StreamClient::new(&mut world, "192.0.2.77:40002", "alice");
    data.client.nonce = alice.client.nonce.clone();
    assert_eq!(data.ask(&mut world, Method::CONNECTION_BIND, &[Attribute::ConnectionId(id)]).code(), None);
    let (taken, sent) = chunk(&mut world, stream, addr("203.0.113.9:6000"), b"y");
    assert_eq!((taken, sent[0].socket), (Some(1), data.id));
}

#[test]
fn the_nonce_of_a_control_connection_is_stale_for_everything_but_its_own_connection_bind() {
    let mut world = world(&config());
    let mut alice = alice(&mut world);
    let (id, to_peer) = connect(&mut world, &mut alice, PEER);
    let mut other = StreamClient::new(&mut world, "192.0.2.77:41000", "alice");
    assert_eq!(other.allocate_with(&mut world, &[TCP]), None);
    assert_eq!(other.ask(&mut world, Method::CREATE_PERMISSION, &[peer(PEER)]).code(), None);
    let (foreign, _) = connect(&mut world, &mut other, OTHER_PEER);
    let own = [Attribute::ConnectionId(id)];
    let mut stale = |remote: &str, user: &str, method, attributes: &[Attribute<'_>], after: &[u8]| {
        let mut data = StreamClient::new(&mut world, remote, user);
        data.client.nonce = alice.client.nonce.clone();
        let transaction = data.client.id();
        let request = data.client.signed_and(method, transaction, attributes, after);
        let reply = Reply::only(data.write(&mut world, &request));
        assert_eq!(reply.code(), Some(438), "{remote} {user} {method:?} {attributes:?}");
        end(&mut world, data.id);
    };
    stale("192.0.2.78:40001", "alice", Method::CONNECTION_BIND, &own, &[]);
    stale("[2001:db8::77]:40001", "alice", Method::CONNECTION_BIND, &own, &[]);
    stale("192.0.2.77:40001", "bob", Method::CONNECTION_BIND, &own, &[]);
    stale("192.0.2.77:40001", "alice", Method::CONNECTION_BIND, &[Attribute::ConnectionId(foreign)], &[]);
    stale("192.0.2.77:40001", "alice", Method::CONNECTION_BIND, &[Attribute::ConnectionId(id ^ 1)], &[]);
    let after = [&[0, 0x2a, 0, 4], &id.to_be_bytes()[..]].concat();
    stale("192.0.2.77:40001", "alice", Method::CONNECTION_BIND, &[], &after);
    for method in [Method::ALLOCATE, Method::REFRESH, Method::CONNECT, Method::CREATE_PERMISSION] {
        let attributes = [Attribute::ConnectionId(id), TCP, peer("203.0.113.9:7000")];
        stale("192.0.2.77:40001", "alice", method, &attributes, &[]);
    }
    let (data, code) = bind(&mut world, "192.0.2.77:40001", "alice", id);
    assert_eq!(code, None, "nothing was bound");
    assert_eq!(from_peer(&mut world, to_peer, b"x").socket, data.id);

    // A recorded ConnectionBind cannot be repeated.
    let (id, _) = connect(&mut world, &mut alice, "203.0.113.9:7000");
    let mut data = StreamClient::new(&mut world, "192.0.2.77:40002", "alice");
    data.client.nonce = alice.client.nonce.clone();
    let transaction = data.client.id();
    let request = data.client.signed(Method::CONNECTION_BIND, transaction, &[Attribute::ConnectionId(id)]);
    let mut write = |remote: &str| {
        let stream = StreamClient::new(&mut world, remote, "alice");
        Reply::only(stream.write(&mut world, &request)).code()
    };
    assert_eq!((write("192.0.2.77:40003"), write("192.0.2.77:40004")), (None, Some(438)));
}

#[test]
fn a_connection_that_is_not_bound_is_closed_after_thirty_seconds() {
    let mut world = world(&config());
    let mut alice = alice(&mut world);
    world.advance(seconds(10));
    let (id, to_peer) = connect(&mut world, &mut alice, PEER);
    let (incoming, _) = attempt(&mut world, &alice.client.relayed.to_string(), "203.0.113.9:6000");
    world.advance(Instant::from_millis(39_999));
    assert!(!is_closed(&world, to_peer) && !is_closed(&world, incoming));
    world.advance(seconds(40));
    assert!(is_closed(&world, to_peer) && is_closed(&world, incoming));
    assert_eq!(bind(&mut world, "192.0.2.77:40001", "alice", id).1, Some(400));

    let (_, data) = connection(&mut world, &mut alice);
    world.advance(seconds(400));
    assert!(!is_closed(&world, data.id), "a bound connection has no timeout");
}

#[test]
fn a_full_stream_pauses_the_other_one() {
    let mut world = world(&config());
    let mut alice = alice(&mut world);
    let (to_peer, data) = connection(&mut world, &mut alice);
    for (full, paused) in [(to_peer, data.id), (data.id, to_peer)] {
        event(&mut world, full, SocketEvent::Full);
        assert_eq!(world.orders.last(), Some(&SocketOrder::Pause(paused)));
        event(&mut world, full, SocketEvent::Writable);
        assert_eq!(world.orders.last(), Some(&SocketOrder::Resume(paused)));
    }
}

#[test]
fn a_connection_above_the_bandwidth_of_its_allocation_is_paused_and_loses_nothing() {
    let mut limits = ServerLimits::default();
    limits.bandwidth = Some(Bandwidth::per_second(core::num::NonZeroU32::new(100_000).unwrap()));
    let mut world = world(&config().limits(limits));
    let mut alice = alice(&mut world);
    let (to_peer, data) = connection(&mut world, &mut alice);
    let bytes: Vec<u8> = (0..600_000_u32).map(|n| (n % 251) as u8).collect();
    let (mut rest, mut received, mut pauses) = (&bytes[..], Vec::new(), 0);
    while !rest.is_empty() {
        let part = rest.get(..70_000).unwrap_or(rest);
        let (taken, sent) = chunk(&mut world, to_peer, addr(PEER), part);
        sent.iter().for_each(|transmit| received.extend_from_slice(&transmit.payload));
        rest = &rest[taken.unwrap()..];
        if taken == Some(0) {
            assert_eq!(world.orders.last(), Some(&SocketOrder::Pause(to_peer)));
            // The peer of the other direction has a full stream meanwhile: one order for both reasons.
            event(&mut world, data.id, SocketEvent::Full);
            let orders = world.orders.len();
            let wait = world.wait.unwrap();
            world.advance(wait.at);
            assert_eq!(world.orders.len(), orders, "still full");
            event(&mut world, data.id, SocketEvent::Writable);
            assert_eq!(world.orders.last(), Some(&SocketOrder::Resume(to_peer)));
            pauses += 1;
        }
    }
    assert!(received == bytes && pauses >= 5);
    let seconds = world.now.since_origin().as_secs_f64();
    assert!((4.9..5.1).contains(&seconds), "100 kB at once, then 100 kB in each second: {seconds} s");
}

#[test]
fn the_end_of_a_stream_ends_its_connection_and_the_end_of_the_allocation_ends_all() {
    let mut world = world(&config());
    let mut alice = alice(&mut world);
    let (to_peer, data) = connection(&mut world, &mut alice);
    event(&mut world, to_peer, SocketEvent::Closed(Closure::ByPeer));
    assert!(is_closed(&world, data.id) && !is_closed(&world, to_peer));
    let (to_peer, data) = connection(&mut world, &mut alice);
    end(&mut world, data.id);
    assert!(is_closed(&world, to_peer));

    let (to_peer, data) = connection(&mut world, &mut alice);
    let (_, waiting) = connect(&mut world, &mut alice, OTHER_PEER);
    assert_eq!(alice.ask(&mut world, Method::REFRESH, &[Attribute::Lifetime(0)]).code(), None);
    assert!([to_peer, data.id, waiting].iter().all(|id| is_closed(&world, *id)));
    assert!(matches!(world.events.last(), Some(ServerEvent::Freed { .. })));
    world.advance(seconds(100));
    assert_eq!((world.server.streams(), world.wait), (0, None), "nothing is left");
}

#[test]
fn a_new_policy_ends_the_connections_with_denied_peers() {
    let mut world = world(&config());
    let mut alice = alice(&mut world);
    let (to_peer, data) = connection(&mut world, &mut alice);
    world.server.set_policy(PeerPolicy::new());
    world.drain();
    assert!(is_closed(&world, to_peer) && is_closed(&world, data.id));
}

#[test]
fn the_connections_of_an_allocation_are_bounded_and_released() {
    let mut limits = ServerLimits::default();
    limits.connections = 3;
    let mut world = world(&config().limits(limits));
    let mut alice = alice(&mut world);
    let relayed = alice.client.relayed.to_string();
    let (_, first) = connect(&mut world, &mut alice, PEER);
    connect(&mut world, &mut alice, OTHER_PEER);
    attempt(&mut world, &relayed, "203.0.113.9:1");
    assert_eq!(alice.ask(&mut world, Method::CONNECT, &[peer("203.0.113.9:2")]).code(), Some(508));
    let (refused, sent) = attempt(&mut world, &relayed, "203.0.113.9:3");
    assert!(sent.is_empty() && is_closed(&world, refused));
    event(&mut world, first, SocketEvent::Closed(Closure::Reset));
    connect(&mut world, &mut alice, "203.0.113.9:2");

    for n in 0..20_000_u32 {
        let from = format!("203.0.113.9:{}", 1024 + n % 60_000);
        let (stream, _) = attempt(&mut world, &relayed, &from);
        world.orders.clear();
        if n % 2 == 0 && !is_closed(&world, stream) {
            let closed = Input::Socket(stream, SocketEvent::Closed(Closure::ByPeer));
            let _was_open = world.input(closed).0;
        }
    }
    let lost = alice.event(&mut world, SocketEvent::Closed(Closure::Reset));
    assert_eq!(lost, Verdict::Mine);
    assert_eq!((world.server.streams(), world.server.allocations().count(), world.wait), (0, 0, None));
}

#[test]
fn a_peer_that_connects_while_the_queue_is_full_is_closed() {
    let mut world = world(&config());
    let alice = alice(&mut world);
    let _other = accept(&mut world, "192.0.2.78:40000");
    let listener = world.relay_socket(alice.client.relayed);
    for port in 1..=300_u16 {
        let (socket, local) = (world.ids.next_socket(), alice.client.relayed);
        let remote = core::net::SocketAddr::new(addr(PEER).ip(), port);
        let mut cx = portolan_machine::Cx::new(world.now, &mut world.rng, &mut world.ids);
        let accepted = Input::Socket(listener, SocketEvent::Accepted { socket, local, remote });
        assert_eq!(portolan_machine::Machine::handle(&mut world.server, &mut cx, accepted), Verdict::Mine);
    }
    world.drain();
    world.advance(seconds(1));
    let count = |kind: fn(&SocketOrder) -> bool| world.orders.iter().filter(|order| kind(order)).count();
    let (paused, closed) =
        (count(|order| matches!(order, SocketOrder::Pause(_))), count(|order| matches!(order, SocketOrder::Close(_))));
    assert_eq!((paused, closed), (64, 300 - 64));
}
