//! Clients over TCP and TLS: framing, backpressure, limits and timers of their streams.

use crate::world::{Client, PEER, Reply, SERVER, World, addr, channel_data, config, indication, seconds, unsigned};
use core::net::SocketAddr;
use core::num::NonZeroU32;
use core::time::Duration;
use portolan_machine::{
    Closure, Cx, Datagram, Input, Instant, Machine, Output, Protocol, SocketEvent, SocketId, SocketOrder, Transmit,
    Verdict, WhenFull,
};
use portolan_stun::{Attribute, Message, Method};
use portolan_stun_agent::Rate;
use portolan_turn::{FreedReason, Server, ServerConfig, ServerEvent, ServerLimits, ServerSocket};

const LISTENER: SocketId = SocketId(1);

/// A server with a TCP listener.
pub(crate) fn world(config: &ServerConfig) -> World {
    let socket = ServerSocket::new(LISTENER, Protocol::TcpListen, addr(SERVER));
    World::with(Server::over(config, &[socket]).unwrap())
}

/// A stream that the server accepted.
pub(crate) fn accept(world: &mut World, remote: &str) -> SocketId {
    let socket = world.ids.next_socket();
    let accepted = SocketEvent::Accepted { socket, local: addr(SERVER), remote: addr(remote) };
    assert_eq!(world.input(Input::Socket(LISTENER, accepted)).0, Verdict::Mine);
    socket
}

/// The client closes its stream.
pub(crate) fn end(world: &mut World, id: SocketId) {
    let closed = Input::Socket(id, SocketEvent::Closed(Closure::ByPeer));
    assert!(world.input(closed).0 == Verdict::Mine || is_closed(world, id));
}

/// Passes one chunk, and drains the server. Returns the number of bytes taken, and what the server sent.
pub(crate) fn chunk(
    world: &mut World,
    id: SocketId,
    remote: SocketAddr,
    bytes: &[u8],
) -> (Option<usize>, Vec<Transmit>) {
    let mut cx = Cx::new(world.now, &mut world.rng, &mut world.ids);
    let taken = world.server.stream(&mut cx, Datagram::new(id, addr(SERVER), remote, bytes));
    let start = world.sent.len();
    world.drain();
    (taken, world.sent.split_off(start))
}

/// A client on a stream.
pub(crate) struct StreamClient {
    pub(crate) id: SocketId,
    pub(crate) client: Client,
}

impl StreamClient {
    /// A client with the nonce of its first 401.
    pub(crate) fn new(world: &mut World, remote: &str, user: &str) -> Self {
        let (nonce, password, relayed) = (String::new(), format!("secret of {user}"), addr("0.0.0.0:0"));
        let client = Client { address: addr(remote), user: user.into(), password, nonce, next_id: 0, relayed };
        let mut stream = Self { id: accept(world, remote), client };
        let request = unsigned(Method::ALLOCATE, stream.client.id(), &[Attribute::RequestedTransport(17)]);
        let reply = Reply::only(stream.write(world, &request));
        stream.client.nonce = reply.message().nonce().unwrap().to_string();
        stream
    }

    /// A client with an allocation, a permission and a channel.
    pub(crate) fn bound(world: &mut World, remote: &str, user: &str) -> Self {
        let mut stream = Self::new(world, remote, user);
        assert_eq!(stream.allocate(world), None);
        let attributes = [Attribute::ChannelNumber(0x4000), Attribute::XorPeerAddress(addr(PEER))];
        assert_eq!(stream.ask(world, Method::CHANNEL_BIND, &attributes).code(), None);
        stream
    }

    fn allocate(&mut self, world: &mut World) -> Option<u16> {
        self.allocate_with(world, &[Attribute::RequestedTransport(17)])
    }

    pub(crate) fn allocate_with(&mut self, world: &mut World, attributes: &[Attribute<'_>]) -> Option<u16> {
        let reply = self.ask(world, Method::ALLOCATE, attributes);
        if let Some(relayed) = reply.message().xor_relayed_address() {
            self.client.relayed = relayed;
        }
        reply.code()
    }

    pub(crate) fn ask(&mut self, world: &mut World, method: Method, attributes: &[Attribute<'_>]) -> Reply {
        let id = self.client.id();
        let request = self.client.signed(method, id, attributes);
        Reply::only(self.write(world, &request))
    }

    /// Writes bytes that the server takes as a whole.
    pub(crate) fn write(&self, world: &mut World, bytes: &[u8]) -> Vec<Transmit> {
        let (taken, sent) = chunk(world, self.id, self.client.address, bytes);
        assert_eq!(taken, Some(bytes.len()));
        sent
    }

    pub(crate) fn event(&self, world: &mut World, event: SocketEvent) -> Verdict {
        world.input(Input::Socket(self.id, event)).0
    }
}

/// ChannelData with its padding.
pub(crate) fn padded(number: u16, data: &[u8]) -> Vec<u8> {
    let mut bytes = channel_data(number, data);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

fn payload(length: usize) -> Vec<u8> {
    (0..length).map(|n| u8::try_from(n * 7 % 251).unwrap() | 1).collect()
}

pub(crate) fn is_closed(world: &World, id: SocketId) -> bool {
    world.orders.contains(&SocketOrder::Close(id))
}

#[test]
fn a_client_over_tcp_allocates_and_relays_in_both_directions() {
    let mut world = world(&config());
    let mut alice = StreamClient::bound(&mut world, "192.0.2.77:40000", "alice");
    let sent = alice.write(&mut world, &padded(0x4000, b"hello"));
    assert_eq!((sent.len(), sent[0].remote, &sent[0].payload[..]), (1, addr(PEER), &b"hello"[..]));

    let relayed = alice.client.relayed;
    let sent = world.peer(addr(PEER), relayed, b"hi");
    assert_eq!((sent.len(), sent[0].socket, sent[0].remote), (1, alice.id, alice.client.address));
    assert_eq!(&sent[0].payload[..], b"\x40\x00\x00\x02hi\0\0");
    assert_eq!(sent[0].when_full, WhenFull::Drop);

    let sent = world.peer(addr("203.0.113.9:7"), relayed, b"other port");
    let message = Message::decode(&sent[0].payload).unwrap();
    assert_eq!((message.method(), message.data()), (Method::DATA, Some(&b"other port"[..])));
    assert_eq!(sent[0].when_full, WhenFull::Drop);

    let reply = alice.ask(&mut world, Method::REFRESH, &[Attribute::Lifetime(0)]);
    assert_eq!((reply.code(), reply.0.when_full), (None, WhenFull::Close));
    assert_eq!(alice.allocate(&mut world), None, "the stream stays open");
}

#[test]
fn channel_data_of_every_size_is_relayed_without_its_padding_however_the_stream_is_split() {
    let mut world = world(&config());
    let alice = StreamClient::bound(&mut world, "192.0.2.77:40000", "alice");
    let relayed = alice.client.relayed;
    let whole = payload(1500);
    for size in 0..=1500 {
        let data = &whole[..size];
        let next = padded(0x4000, b"next");
        let stream = [padded(0x4000, data), next].concat();
        for cut in 1..=size + 4 {
            let (first, second) = stream.split_at(cut.min(stream.len() - 1));
            let mut sent = alice.write(&mut world, first);
            sent.extend(alice.write(&mut world, second));
            assert_eq!(sent.len(), 2, "{size} bytes, split at {cut}");
            assert_eq!((&sent[0].payload[..], &sent[1].payload[..]), (data, &b"next"[..]), "{size}, split at {cut}");
        }
        let sent = world.peer(addr(PEER), relayed, data);
        assert_eq!(sent[0].payload, padded(0x4000, data), "{size} bytes to the client");
    }
}

#[test]
fn channel_data_of_every_size_is_relayed_over_udp_with_and_without_padding() {
    let mut world = World::new(&config());
    let mut alice = Client::allocated(&mut world, "192.0.2.77:40000", "alice");
    assert_eq!(alice.bind(&mut world, 0x4000, PEER).code(), None);
    let whole = payload(1500);
    for size in 0..=1500 {
        let data = &whole[..size];
        for bytes in [channel_data(0x4000, data), padded(0x4000, data)] {
            let sent = world.client(alice.address, &bytes);
            assert_eq!((sent.len(), &sent[0].payload[..]), (1, data));
        }
        assert_eq!(world.peer(addr(PEER), alice.relayed, data)[0].payload, channel_data(0x4000, data));
    }
}

#[test]
fn the_longest_frames_are_relayed_and_a_length_does_not_wrap() {
    let mut world = world(&config());
    let alice = StreamClient::bound(&mut world, "192.0.2.77:40000", "alice");
    for size in [65_507, 65_531, 65_532, 65_533, 65_534, 65_535] {
        let data = payload(size);
        let mut stream = padded(0x4000, &data);
        stream.extend(padded(0x4000, b"next"));
        let mut sent = Vec::new();
        for part in stream.chunks(16_384) {
            sent.extend(alice.write(&mut world, part));
        }
        let relayed: Vec<&[u8]> = sent.iter().map(|transmit| &transmit.payload[..]).collect();
        assert_eq!(relayed.last(), Some(&&b"next"[..]), "{size}");
        assert!(relayed.len() == 2 && relayed[0] == data, "{size}");
    }
    assert!(!is_closed(&world, alice.id));
}

#[test]
fn a_stream_without_an_allocation_has_short_frames_and_its_channel_data_is_dropped() {
    let mut world = world(&config());
    let remote = "192.0.2.77:40000";
    for head in [&[0x40, 0, 0xff, 0xff][..], &[0x40, 0, 0x0f, 0xfd], &[0, 1, 0x0f, 0xf0], &[0, 3, 0xff, 0xfc]] {
        let id = accept(&mut world, remote);
        let (taken, sent) = chunk(&mut world, id, addr(remote), head);
        assert!(taken == Some(4) && sent.is_empty() && is_closed(&world, id), "{head:x?}");
    }
    for bytes in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"\x16\x03\x01\x02\x00\x01", b"\x80\x00\x00\x04", b"\xff"] {
        let id = accept(&mut world, remote);
        let (_, sent) = chunk(&mut world, id, addr(remote), bytes);
        assert!(sent.is_empty() && is_closed(&world, id), "{bytes:x?}");
    }
    let id = accept(&mut world, remote);
    let (taken, sent) = chunk(&mut world, id, addr(remote), &padded(0x4000, &payload(4000)));
    assert!(taken == Some(4004) && sent.is_empty() && !is_closed(&world, id));
    let (_, sent) = chunk(&mut world, id, addr(remote), &unsigned(Method::BINDING, [9; 12].into(), &[]));
    assert_eq!(Reply::only(sent).message().xor_mapped_address(), Some(addr(remote)));
    let stats = world.server.stats();
    assert_eq!((stats.streams.broken, stats.dropped.no_allocation, world.server.streams()), (8, 1, 1));
}

#[test]
fn a_slow_client_that_sends_half_a_frame_is_closed_after_a_minute() {
    let mut world = world(&config());
    let remote = "192.0.2.77:40000";
    let id = accept(&mut world, remote);
    let request = unsigned(Method::BINDING, [9; 12].into(), &[]);
    world.advance(seconds(30));
    let (_, sent) = chunk(&mut world, id, addr(remote), &request);
    assert_eq!(sent.len(), 1, "the idle time begins again");
    for byte in 0..19 {
        world.advance(seconds(31 + 3 * byte as u64));
        assert!(!is_closed(&world, id));
        chunk(&mut world, id, addr(remote), &request[byte..=byte]);
    }
    world.advance(Instant::from_millis(89_999));
    assert!(!is_closed(&world, id));
    world.advance(seconds(90));
    assert!(is_closed(&world, id));
    assert_eq!((world.server.streams(), world.server.stats().streams.idle, world.wait), (0, 1, None));
    assert_eq!(chunk(&mut world, id, addr(remote), b"\0").0, None, "no stream of the server any more");
}

#[test]
fn a_stream_with_an_allocation_stays_open_until_a_minute_after_its_end() {
    let mut world = world(&config());
    let alice = StreamClient::bound(&mut world, "192.0.2.77:40000", "alice");
    world.advance(seconds(599));
    assert!(!is_closed(&world, alice.id));
    assert_eq!(alice.write(&mut world, &padded(0x4000, b"late")).len(), 1);
    world.advance(seconds(601));
    assert!(matches!(world.events.last(), Some(ServerEvent::Freed { why: FreedReason::Expired, .. })));
    assert!(!is_closed(&world, alice.id));
    world.advance(seconds(720));
    assert!(is_closed(&world, alice.id));
    assert_eq!((world.server.streams(), world.wait), (0, None));
}

#[test]
fn the_end_of_a_stream_ends_its_allocation() {
    let mut world = world(&config());
    let alice = StreamClient::bound(&mut world, "192.0.2.77:40000", "alice");
    let relay = world.relay_socket(alice.client.relayed);
    assert_eq!(alice.event(&mut world, SocketEvent::Closed(Closure::Reset)), Verdict::Mine);
    assert!(matches!(world.events.last(), Some(ServerEvent::Freed { why: FreedReason::ClientLost, .. })));
    assert!(is_closed(&world, relay) && !is_closed(&world, alice.id));
    assert_eq!((world.server.streams(), world.server.allocations().count(), world.wait), (0, 0, None));

    let bob = StreamClient::bound(&mut world, "192.0.2.78:40000", "bob");
    let relay = world.relay_socket(bob.client.relayed);
    bob.write(&mut world, b"\xff\xff\xff\xff");
    assert!(is_closed(&world, relay) && is_closed(&world, bob.id), "a broken stream");
    assert_eq!((world.server.streams(), world.server.allocations().count(), world.wait), (0, 0, None));
}

#[test]
fn the_stop_closes_all_streams() {
    let mut world = world(&config());
    let alice = StreamClient::bound(&mut world, "192.0.2.77:40000", "alice");
    let idle = accept(&mut world, "192.0.2.78:40000");
    world.server.stop().unwrap();
    world.drain();
    assert!(is_closed(&world, alice.id) && is_closed(&world, idle) && !is_closed(&world, LISTENER));
    assert_eq!((world.events.last(), world.wait), (Some(&ServerEvent::Stopped), None));
    assert_eq!(chunk(&mut world, idle, addr("192.0.2.78:40000"), b"\0").0, None);
}

#[test]
fn new_streams_displace_idle_ones_but_never_one_with_an_allocation() {
    let mut limits = ServerLimits::default();
    (limits.streams, limits.streams_per_source) = (4, 3);
    let mut world = world(&config().limits(limits));
    let alice = StreamClient::bound(&mut world, "192.0.2.77:40000", "alice");
    let flood: Vec<SocketId> =
        (0..3).map(|port| accept(&mut world, &format!("192.0.2.66:{}", 50_000 + port))).collect();
    let refused = accept(&mut world, "192.0.2.66:60000");
    assert!(is_closed(&world, refused), "the source is at its limit");
    let other = accept(&mut world, "192.0.2.67:40000");
    let newcomer = accept(&mut world, "192.0.2.68:40000");
    assert!(is_closed(&world, flood[0]), "the source with the most streams loses its longest idle stream");
    assert!(![flood[1], flood[2], other, newcomer, alice.id].iter().any(|id| is_closed(&world, *id)));
    assert_eq!(world.server.streams(), 5, "four and that with the allocation");
    for n in 0..1000_u32 {
        accept(&mut world, &format!("10.{}.{}.1:40000", n / 256, n % 256));
    }
    assert!(world.server.streams() <= 5 && !is_closed(&world, alice.id));
    assert_eq!(alice.write(&mut world, &padded(0x4000, b"still here")).len(), 1);
    let streams = world.server.stats().streams;
    assert_eq!(streams.accepted + streams.refused, 1 + 3 + 1 + 2 + 1000);
    world.advance(seconds(3600));
    assert_eq!((world.server.streams(), world.wait), (0, None), "all are released");
}

#[test]
fn a_hundred_thousand_streams_leave_no_state() {
    let mut world = world(&config());
    for n in 0..100_000_u32 {
        let remote = format!("10.{}.{}.{}:40000", n >> 16, (n >> 8) & 255, n & 255);
        let id = accept(&mut world, &remote);
        if n % 3 == 0 {
            chunk(&mut world, id, addr(&remote), &[0x00, 0x01]);
        }
        if n % 2 == 0 {
            end(&mut world, id);
        }
        assert!(world.server.streams() <= 1024);
        world.orders.clear();
    }
    world.advance(seconds(61));
    assert_eq!((world.server.streams(), world.wait), (0, None));
}

#[test]
fn a_stream_is_read_only_while_the_queue_has_room_and_no_frame_is_lost() {
    let mut world = world(&config());
    let alice = StreamClient::bound(&mut world, "192.0.2.77:40000", "alice");
    let frames: Vec<u8> = (0..1000_u32).flat_map(|n| padded(0x4000, &n.to_be_bytes()[1..])).collect();
    let (mut rest, mut sent, mut calls) = (&frames[..], Vec::new(), 0);
    while !rest.is_empty() {
        let (taken, some) = chunk(&mut world, alice.id, alice.client.address, rest);
        assert!(taken.is_some_and(|taken| taken > 0) && some.len() <= 256);
        rest = &rest[taken.unwrap()..];
        sent.extend(some);
        calls += 1;
    }
    assert!(calls >= 4, "the queue has 256 places");
    let numbers: Vec<_> = sent.iter().map(|transmit| transmit.payload.to_vec()).collect();
    assert_eq!(numbers, (0..1000_u32).map(|n| n.to_be_bytes()[1..].to_vec()).collect::<Vec<_>>());
}

#[test]
fn a_full_stream_is_not_read_until_it_is_writable() {
    let mut world = world(&config());
    let alice = StreamClient::new(&mut world, "192.0.2.77:40000", "alice");
    let request = unsigned(Method::BINDING, [9; 12].into(), &[]);
    assert_eq!(alice.event(&mut world, SocketEvent::Full), Verdict::Mine);
    let (taken, sent) = chunk(&mut world, alice.id, alice.client.address, &request);
    assert_eq!((taken, sent.len()), (Some(0), 0));
    assert_eq!(alice.event(&mut world, SocketEvent::Writable), Verdict::Mine);
    assert_eq!(alice.write(&mut world, &request).len(), 1);
    assert_eq!(world.input(Input::Socket(SocketId(99), SocketEvent::Full)).0, Verdict::NotMine);
}

#[test]
fn requests_above_the_rate_wait_on_a_paused_stream_and_each_gets_a_response() {
    let rate = Rate::per_second(NonZeroU32::new(10).unwrap());
    let mut world = world(&config().rate(Some(rate)));
    let remote = addr("192.0.2.77:40000");
    let id = accept(&mut world, "192.0.2.77:40000");
    let requests: Vec<u8> = (0..60_u8).flat_map(|n| unsigned(Method::BINDING, [n; 12].into(), &[])).collect();
    let (mut rest, mut sent) = (&requests[..], Vec::new());
    let mut pauses = 0;
    while !rest.is_empty() {
        let (taken, some) = chunk(&mut world, id, remote, rest);
        rest = &rest[taken.unwrap()..];
        sent.extend(some);
        if !rest.is_empty() {
            assert_eq!(world.orders.last(), Some(&SocketOrder::Pause(id)));
            let wait = world.wait.unwrap();
            world.advance(wait.at);
            assert_eq!(world.orders.last(), Some(&SocketOrder::Resume(id)));
            pauses += 1;
        }
    }
    let ids: Vec<u8> = sent.iter().map(|transmit| transmit.payload[8]).collect();
    assert_eq!(ids, (0..60).collect::<Vec<u8>>(), "in order, none lost");
    assert_eq!(world.now, Instant::ORIGIN + Duration::from_secs(4), "20 at once, then 10 in each second");
    let stats = world.server.stats();
    assert_eq!((stats.requests, stats.bindings, stats.streams.paused), (60, 60, pauses));
    assert_eq!(stats.dropped.rate_limited, 0);
}

#[test]
fn a_paused_stream_that_ends_leaves_no_timer() {
    let rate = Rate::per_second(NonZeroU32::new(1).unwrap());
    let mut world = world(&config().rate(Some(rate)));
    let id = accept(&mut world, "192.0.2.77:40000");
    let requests: Vec<u8> = (0..9_u8).flat_map(|n| unsigned(Method::BINDING, [n; 12].into(), &[])).collect();
    chunk(&mut world, id, addr("192.0.2.77:40000"), &requests);
    assert_eq!(world.orders.last(), Some(&SocketOrder::Pause(id)));
    end(&mut world, id);
    assert_eq!((world.server.streams(), world.wait), (0, None));
}

#[test]
fn a_stream_that_the_queue_cannot_close_is_closed_later() {
    let mut limits = ServerLimits::default();
    limits.streams_per_source = 1;
    let mut world = world(&config().limits(limits));
    // The server is not drained, so the orders fill its queue.
    let accept_only = |world: &mut World| {
        let socket = world.ids.next_socket();
        let event = SocketEvent::Accepted { socket, local: addr(SERVER), remote: addr("192.0.2.66:40000") };
        let mut cx = Cx::new(world.now, &mut world.rng, &mut world.ids);
        assert_eq!(world.server.handle(&mut cx, Input::Socket(LISTENER, event)), Verdict::Mine);
    };
    (0..400).for_each(|_| accept_only(&mut world));
    let closes = |world: &World| world.orders.iter().filter(|order| matches!(order, SocketOrder::Close(_))).count();
    world.drain();
    assert_eq!(closes(&world), 256);
    world.advance(Instant::from_millis(10));
    assert_eq!((closes(&world), world.server.streams()), (399, 1));
}

#[test]
fn an_unknown_message_on_a_stream_is_dropped_and_an_unknown_request_is_answered() {
    let mut world = world(&config());
    let mut alice = StreamClient::bound(&mut world, "192.0.2.77:40000", "alice");
    let other = indication([9; 12].into(), &[]);
    let mut binding_indication = other.clone();
    binding_indication[..2].copy_from_slice(&[0x00, 0x11]);
    assert!(alice.write(&mut world, &binding_indication).is_empty());
    assert!(alice.write(&mut world, &other).is_empty(), "a Send indication without a peer");
    assert_eq!(alice.ask(&mut world, Method::new(0x0aa).unwrap(), &[]).code(), Some(400));
    assert!(matches!(world.server.poll(), Output::Wait(_)));
}
