//! A naive reference server beside the real one, under random transitions with time.
//!
//! The reference is a list of allocations with lists of permissions and channels, and it is searched from the start. It
//! knows nothing of timers, tables or sockets. Both get the same requests and data at the same times, and must agree in
//! each reply code and in each relayed datagram.

use crate::world::{Client, World, addr, config, relayed};
use core::net::SocketAddr;
use core::time::Duration;
use portolan_machine::Instant;
use portolan_stun::{Attribute, Message, Method};
use portolan_turn::ServerLimits;
use proptest::prelude::*;

const CLIENTS: [(&str, &str); 3] =
    [("192.0.2.77:40000", "alice"), ("192.0.2.77:40001", "alice"), ("192.0.2.78:40000", "bob")];
const PEERS: [&str; 4] = ["203.0.113.9:5000", "203.0.113.9:5001", "203.0.113.10:5000", "203.0.113.11:5000"];
const DENIED: &str = "10.0.0.1:5000";
const PERMISSIONS: usize = 2;
const CHANNELS: usize = 3;
const PER_USER: usize = 1;

/// A transition: what client number `client` or a peer does.
#[derive(Clone, Debug)]
enum Move {
    Allocate { client: usize, lifetime: Option<u32> },
    Refresh { client: usize, lifetime: Option<u32> },
    Permit { client: usize, peers: Vec<usize> },
    PermitDenied { client: usize, peer: usize },
    Bind { client: usize, number: u16, peer: usize },
    Send { client: usize, peer: usize },
    Channel { client: usize, number: u16 },
    FromPeer { client: usize, peer: usize },
    Wait { seconds: u64 },
}

#[derive(Debug, Default)]
struct Model {
    allocations: Vec<Allocation>,
}

#[derive(Debug)]
struct Allocation {
    client: usize,
    expires: Instant,
    permissions: Vec<(core::net::IpAddr, Instant)>,
    channels: Vec<(u16, SocketAddr, Instant)>,
}

fn after(now: Instant, seconds: u64) -> Instant {
    now + Duration::from_secs(seconds)
}

fn granted(lifetime: Option<u32>) -> u64 {
    u64::from(lifetime.unwrap_or(600)).clamp(600, 3600)
}

impl Model {
    /// Removes what is over.
    fn expire(&mut self, now: Instant) {
        self.allocations.retain(|allocation| allocation.expires > now);
        for allocation in &mut self.allocations {
            allocation.permissions.retain(|(_, expires)| *expires > now);
            allocation.channels.retain(|(_, _, expires)| after(*expires, 300) > now);
        }
    }

    fn of(&mut self, client: usize) -> Option<&mut Allocation> {
        self.allocations.iter_mut().find(|allocation| allocation.client == client)
    }

    fn allocate(&mut self, now: Instant, client: usize, lifetime: Option<u32>) -> Option<u16> {
        if self.of(client).is_some() {
            return Some(437);
        }
        let user = |client: usize| CLIENTS[client].1;
        if self.allocations.iter().filter(|other| user(other.client) == user(client)).count() >= PER_USER {
            return Some(486);
        }
        let expires = after(now, granted(lifetime));
        self.allocations.push(Allocation { client, expires, permissions: vec![], channels: vec![] });
        None
    }

    fn refresh(&mut self, now: Instant, client: usize, lifetime: Option<u32>) -> Option<u16> {
        let Some(allocation) = self.of(client) else { return Some(437) };
        match lifetime {
            Some(0) => self.allocations.retain(|allocation| allocation.client != client),
            lifetime => allocation.expires = after(now, granted(lifetime)),
        }
        None
    }

    fn permit(&mut self, now: Instant, client: usize, peers: &[SocketAddr]) -> Option<u16> {
        let Some(allocation) = self.of(client) else { return Some(437) };
        if peers.is_empty() {
            return Some(400);
        }
        if peers.contains(&addr(DENIED)) {
            return Some(403);
        }
        let mut permissions = allocation.permissions.clone();
        for peer in peers {
            permissions.retain(|(ip, _)| *ip != peer.ip());
            permissions.push((peer.ip(), after(now, 300)));
        }
        if permissions.len() > PERMISSIONS && permissions.len() > allocation.permissions.len() {
            return Some(508);
        }
        allocation.permissions = permissions;
        None
    }

    fn bind(&mut self, now: Instant, client: usize, number: u16, peer: SocketAddr) -> Option<u16> {
        let Some(allocation) = self.of(client) else { return Some(437) };
        let conflict = |(n, p, _): &(u16, SocketAddr, Instant)| (*n == number) != (*p == peer);
        if allocation.channels.iter().any(conflict) {
            return Some(400);
        }
        let is_new = !allocation.channels.iter().any(|(n, ..)| *n == number);
        let is_permitted = allocation.permissions.iter().any(|(ip, _)| *ip == peer.ip());
        if !is_permitted && allocation.permissions.len() >= PERMISSIONS
            || is_new && allocation.channels.len() >= CHANNELS
        {
            return Some(508);
        }
        allocation.channels.retain(|(n, ..)| *n != number);
        allocation.channels.push((number, peer, after(now, 600)));
        allocation.permissions.retain(|(ip, _)| *ip != peer.ip());
        allocation.permissions.push((peer.ip(), after(now, 300)));
        None
    }

    fn is_permitted(&mut self, client: usize, peer: SocketAddr) -> bool {
        let Some(allocation) = self.of(client) else { return false };
        allocation.permissions.iter().any(|(ip, _)| *ip == peer.ip())
    }

    fn peer_of(&mut self, now: Instant, client: usize, number: u16) -> Option<SocketAddr> {
        let (_, peer, expires) = *self.of(client)?.channels.iter().find(|(n, ..)| *n == number)?;
        (expires > now).then_some(peer)
    }

    fn channel_of(&mut self, now: Instant, client: usize, peer: SocketAddr) -> Option<u16> {
        let (number, _, expires) = *self.of(client)?.channels.iter().find(|(_, p, _)| *p == peer)?;
        (expires > now).then_some(number)
    }
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let client = 0..CLIENTS.len();
    let peer = 0..PEERS.len();
    let number = 0x4000..0x4004_u16;
    let lifetime = prop_oneof![Just(None), Just(Some(0)), Just(Some(700)), Just(Some(3000)), Just(Some(9999))];
    let allocate = prop_oneof![3 => Just(None), 1 => Just(Some(0)), 1 => Just(Some(3000))];
    let one = prop_oneof![
        4 => (client.clone(), allocate).prop_map(|(client, lifetime)| Move::Allocate { client, lifetime }),
        2 => (client.clone(), lifetime).prop_map(|(client, lifetime)| Move::Refresh { client, lifetime }),
        3 => (client.clone(), proptest::collection::vec(peer.clone(), 0..3))
            .prop_map(|(client, peers)| Move::Permit { client, peers }),
        1 => (client.clone(), peer.clone()).prop_map(|(client, peer)| Move::PermitDenied { client, peer }),
        4 => (client.clone(), number.clone(), peer.clone())
            .prop_map(|(client, number, peer)| Move::Bind { client, number, peer }),
        4 => (client.clone(), peer.clone()).prop_map(|(client, peer)| Move::Send { client, peer }),
        4 => (client.clone(), number).prop_map(|(client, number)| Move::Channel { client, number }),
        4 => (client, peer).prop_map(|(client, peer)| Move::FromPeer { client, peer }),
        2 => prop_oneof![Just(1), Just(299), Just(300), Just(301), 0..700_u64, 0..2000_u64]
            .prop_map(|seconds| Move::Wait { seconds }),
    ];
    // Two of three runs begin with allocations, so that the moves get further.
    let first =
        proptest::option::weighted(0.7, Just([0, 2].map(|client| Move::Allocate { client, lifetime: Some(3000) })));
    (first, proptest::collection::vec(one, 1..80))
        .prop_map(|(first, moves)| first.into_iter().flatten().chain(moves).collect())
}

/// Both servers, and the clients of the real one.
struct Run {
    world: World,
    clients: Vec<Client>,
    model: Model,
    /// Timeouts do not come.
    late: bool,
    /// Successful allocations, data to peers, data to clients.
    reached: [usize; 3],
}

/// Plays the moves on both servers. `late`: no timeout comes.
fn play(moves: &[Move], late: bool) -> Result<[usize; 3], TestCaseError> {
    let mut limits = ServerLimits::default();
    (limits.allocations_per_user, limits.permissions, limits.channels) = (1, 2, 3);
    let mut world = World::new(&config().limits(limits));
    let clients = CLIENTS.iter().map(|(address, user)| Client::new(&mut world, address, user)).collect();
    let mut run = Run { world, clients, model: Model::default(), late, reached: [0; 3] };
    for step in moves {
        run.model.expire(run.world.now);
        run.play(step)?;
        if !late {
            run.compare()?;
        }
    }
    Ok(run.reached)
}

impl Run {
    fn play(&mut self, step: &Move) -> Result<(), TestCaseError> {
        let Self { world, clients, model, late, reached } = self;
        let (now, late) = (world.now, *late);
        match step.clone() {
            Move::Wait { seconds } if late => world.now = after(now, seconds),
            Move::Wait { seconds } => world.advance(after(now, seconds)),
            Move::Allocate { client, lifetime } => {
                let attributes: Vec<_> = lifetime.map(Attribute::Lifetime).into_iter().collect();
                let code = clients[client].allocate(world, &attributes).code();
                // An allocation of another client that is not released yet counts in the quota.
                if !(late && code == Some(486)) {
                    prop_assert_eq!(code, model.allocate(now, client, lifetime));
                }
                reached[0] += usize::from(code.is_none());
            }
            Move::Refresh { client, lifetime } => {
                let attributes: Vec<_> = lifetime.map(Attribute::Lifetime).into_iter().collect();
                let code = clients[client].ask(world, Method::REFRESH, &attributes).code();
                prop_assert_eq!(code, model.refresh(now, client, lifetime));
            }
            Move::Permit { client, peers } => {
                let peers: Vec<_> = peers.into_iter().map(|peer| addr(PEERS[peer])).collect();
                self.permit(client, &peers)?;
            }
            Move::PermitDenied { client, peer } => self.permit(client, &[addr(PEERS[peer]), addr(DENIED)])?,
            Move::Bind { client, number, peer } => {
                let code = clients[client].bind(world, number, PEERS[peer]).code();
                if !(late && code == Some(508)) {
                    prop_assert_eq!(code, model.bind(now, client, number, addr(PEERS[peer])));
                }
            }
            Move::Send { client, peer } => {
                let sent = clients[client].send(world, PEERS[peer], b"send");
                prop_assert_eq!(sent.len(), usize::from(model.is_permitted(client, addr(PEERS[peer]))));
                reached[1] += sent.len();
            }
            Move::Channel { client, number } => {
                let sent = clients[client].channel(world, number, b"channel");
                prop_assert_eq!(sent.first().map(|sent| sent.remote), model.peer_of(now, client, number));
                reached[1] += sent.len();
            }
            Move::FromPeer { client, peer } => self.peer_data(client, addr(PEERS[peer]))?,
        }
        Ok(())
    }

    fn permit(&mut self, client: usize, peers: &[SocketAddr]) -> Result<(), TestCaseError> {
        let attributes: Vec<_> = peers.iter().copied().map(Attribute::XorPeerAddress).collect();
        let now = self.world.now;
        let code = self.clients[client].ask(&mut self.world, Method::CREATE_PERMISSION, &attributes).code();
        if !(self.late && code == Some(508)) {
            prop_assert_eq!(code, self.model.permit(now, client, peers));
        }
        Ok(())
    }

    fn peer_data(&mut self, client: usize, from: SocketAddr) -> Result<(), TestCaseError> {
        let Client { address, relayed: to, .. } = self.clients[client];
        let sent = self.world.peer(from, to, b"peer");
        if !self.model.is_permitted(client, from) {
            prop_assert!(sent.is_empty());
            return Ok(());
        }
        let (remote, bytes) = relayed(&sent);
        prop_assert_eq!(remote, address);
        match self.model.channel_of(self.world.now, client, from) {
            Some(number) => prop_assert_eq!(bytes, crate::world::channel_data(number, b"peer")),
            None => {
                let message = Message::decode(&bytes).unwrap();
                prop_assert_eq!((message.xor_peer_address(), message.data()), (Some(from), Some(&b"peer"[..])));
            }
        }
        self.reached[2] += 1;
        Ok(())
    }

    /// Compares the tables of both servers.
    fn compare(&mut self) -> Result<(), TestCaseError> {
        self.model.expire(self.world.now);
        prop_assert_eq!(self.world.server.allocations().count(), self.model.allocations.len());
        for info in self.world.server.allocations() {
            let client = CLIENTS.iter().position(|(address, _)| addr(address) == info.client.address).unwrap();
            let expected = self.model.of(client).unwrap();
            prop_assert_eq!(info.expires, expected.expires);
            prop_assert_eq!(info.permissions, expected.permissions.len());
            prop_assert_eq!(info.channels, expected.channels.len());
        }
        prop_assert_eq!(self.world.relays.len(), self.model.allocations.len());
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_server_agrees_with_a_naive_reference(moves in moves()) {
        play(&moves, false)?;
    }

    /// Without timeouts everything still ends in time; only the limits count what is not released yet.
    #[test]
    fn the_server_agrees_with_a_naive_reference_when_no_timeout_comes(moves in moves()) {
        play(&moves, true)?;
    }
}

#[test]
fn random_transitions_reach_allocations_and_data_in_both_directions() {
    use proptest::strategy::ValueTree;
    let (mut runner, strategy) = (proptest::test_runner::TestRunner::deterministic(), moves());
    let mut reached = [0; 3];
    for _ in 0..100 {
        let moves = strategy.new_tree(&mut runner).unwrap().current();
        let played = play(&moves, false).unwrap();
        reached.iter_mut().zip(played).for_each(|(sum, count)| *sum += count);
    }
    assert!(reached.into_iter().all(|count| count > 50), "{reached:?}");
}
