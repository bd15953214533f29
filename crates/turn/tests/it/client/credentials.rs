//! Credentials: challenges, expiry, and the replacement of an allocation.

use super::world::{PEER, RELAYED, Reply, SERVER, World, addr, config, data_indication};
use core::time::Duration;
use portolan_machine::Instant;
use portolan_stun::{Attribute, Method};
use portolan_stun_agent::{ChallengeError, Credential, Unusable};
use portolan_turn::{ClientError, ClientEvent, ClientState, Outcome};

#[test]
fn a_refused_credential_ends_the_client_with_the_reason() {
    let mut world = World::new();
    world.password = "another";
    world.with(|client, cx| client.start(cx, config())).unwrap();
    world.run(1_000);
    let Some(ClientEvent::Failed { steps, .. }) = world.take_events().pop() else { panic!() };
    let refused = Outcome::Unusable(Unusable::Challenge(ChallengeError::WrongCredentials));
    assert_eq!((steps.len(), &steps[0].outcome), (1, &refused));
}

#[test]
fn a_stale_nonce_is_answered_for_every_method() {
    let mut world = World::allocated(config());
    for (n, nonce) in ["nonce-2", "nonce-3", "nonce-4", "nonce-5"].into_iter().enumerate() {
        world.nonce = nonce;
        let now = world.now;
        match n {
            0 => world.with(|client, cx| client.add_permission(cx, addr(PEER).ip())).unwrap(),
            1 => world.with(|client, cx| client.add_channel(cx, addr(PEER))).unwrap(),
            2 => world.run(540_100),
            _ => world.with(|client, cx| client.close(cx)).unwrap(),
        }
        let until = world.now.max(now) + 1_000;
        world.run(until);
    }
    assert_eq!(world.client.state(), ClientState::Ended);
    let failed = |(_, event): &&(u64, ClientEvent)| {
        matches!(
            event,
            ClientEvent::PermissionFailed { .. }
                | ClientEvent::ChannelFailed { .. }
                | ClientEvent::RefreshFailed { .. }
        )
    };
    assert_eq!(world.events.iter().filter(failed).count(), 0);
}

#[test]
fn the_owner_is_told_before_the_credential_expires() {
    let mut world = World::allocated(config().expires(Duration::from_secs(120)));
    world.take_events();
    world.run(200_000);
    let expires = ClientEvent::CredentialExpires { at: Instant::from_millis(120_000) };
    assert_eq!(world.events, [(60_000, expires)]);
}

/// A server whose second allocation has another relayed address.
fn two_allocations(world: &mut World) {
    world.script = Box::new(|message, _| match message.method() {
        Method::ALLOCATE => Reply::With(vec![
            Attribute::XorRelayedAddress(addr("192.0.2.1:50002")),
            Attribute::XorMappedAddress(addr("198.51.100.7:40000")),
            Attribute::Lifetime(600),
        ]),
        _ => Reply::Success,
    });
}

#[test]
fn a_new_credential_makes_an_allocation_that_overlaps_the_old_one() {
    let mut world = World::allocated(config());
    world.with(|client, cx| client.add_channel(cx, addr(PEER))).unwrap();
    world.with(|client, cx| client.add_permission(cx, addr("203.0.113.10:1").ip())).unwrap();
    world.run(100_000);
    let old = world.client.socket().unwrap();
    two_allocations(&mut world);
    world.take_events();
    world.with(|client, cx| client.set_credential(cx, Credential::long_term("ann", "secret"), None)).unwrap();
    assert_eq!(world.client.relayed(), [addr(RELAYED)], "the old allocation is used meanwhile");
    world.run(100_000 + 20);
    world.with(|client, cx| client.send(cx, addr(PEER), &b"still"[..].into())).unwrap();
    assert_eq!(world.sent.last().unwrap().socket, old);
    world.run(101_000);
    let new = addr("192.0.2.1:50002");
    let replaced = ClientEvent::Replaced { old: vec![addr(RELAYED)], new: vec![new] };
    assert_eq!(world.take_events(), [replaced], "the peers are not reported again");
    assert_eq!(world.client.channel(addr(PEER)), Some(0x4000), "the number stays the same");
    assert!(world.client.is_permitted(addr("203.0.113.10:1").ip()));
    world.with(|client, cx| client.send(cx, addr(PEER), &b"moved"[..].into())).unwrap();
    assert_ne!(world.sent.last().unwrap().socket, old);
    // Data on the old allocation still arrives, until it is released.
    world.datagram_on(old, addr(SERVER), &data_indication(addr(PEER), b"late"));
    assert_eq!(world.take_events(), [ClientEvent::Data { peer: addr(PEER), payload: b"late"[..].into() }]);
    world.run(120_000);
    let releases: Vec<_> = world.sent.iter().filter(|seen| seen.method() == Some(Method::REFRESH)).collect();
    assert_eq!((releases.len(), releases[0].socket), (1, old));
    assert_eq!(releases[0].message().lifetime(), Some(0));
    assert_eq!(world.take_events(), []);
}

#[test]
fn a_refused_new_credential_leaves_the_allocation() {
    let mut world = World::allocated(config());
    world.take_events();
    world.with(|client, cx| client.set_credential(cx, Credential::long_term("eve", "wrong"), None)).unwrap();
    world.run(10_000);
    let [ClientEvent::ReplacementFailed { steps }] = &world.take_events()[..] else { panic!() };
    assert!(matches!(steps[0].outcome, Outcome::Unusable(_)));
    assert_eq!((world.client.state(), world.client.relayed()), (ClientState::Allocated, &[addr(RELAYED)][..]));
    let short = Credential::short_term("a", "b");
    assert_eq!(world.with(|client, cx| client.set_credential(cx, short, None)), Err(ClientError::Mechanism));
}

#[test]
fn many_new_credentials_leave_at_most_three_allocations() {
    let mut world = World::allocated(config());
    two_allocations(&mut world);
    for n in 0..50 {
        world.with(|client, cx| client.set_credential(cx, Credential::long_term("ann", "secret"), None)).unwrap();
        let until = world.now + n % 7 * 10;
        world.run(until);
        let open = world.open_sockets();
        assert!(open <= 3, "{open} sockets");
    }
    world.run(100_000);
    assert_eq!(world.open_sockets(), 1);
}

#[test]
fn a_client_without_an_allocation_tries_a_new_credential_at_once() {
    let mut world = World::new();
    world.is_dead = true;
    world.with(|client, cx| client.start(cx, config())).unwrap();
    world.with(|client, cx| client.add_permission(cx, addr(PEER).ip())).unwrap();
    world.run(1_000);
    world.is_dead = false;
    world.with(|client, cx| client.set_credential(cx, Credential::long_term("ann", "secret"), None)).unwrap();
    world.run(1_200);
    assert_eq!(world.client.state(), ClientState::Allocated);
    assert!(world.client.is_permitted(addr(PEER).ip()), "the peers are kept");
}
