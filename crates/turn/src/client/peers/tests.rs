//! The states of permissions and channels, and their bounds.

use super::*;
use alloc::collections::BTreeSet;
use portolan_machine::Timers;

const SERVER: SocketAddr = SocketAddr::new(IpAddr::V4(core::net::Ipv4Addr::new(192, 0, 2, 1)), 3478);

fn peer(n: u32) -> PeerKey {
    let [_, b, c, d] = n.to_be_bytes();
    PeerKey::channel(([203, b, c, d], 5000).into())
}

fn step(seconds: u64, outcome: Outcome) -> Step {
    let at = Instant::ORIGIN + Duration::from_secs(seconds);
    Step { at, server: SERVER, method: Method::CHANNEL_BIND, sends: 7, outcome, icmp: None }
}

fn refused() -> Outcome {
    Outcome::Error { code: 403, reason: crate::Reason::default() }
}

#[test]
fn each_peer_has_a_channel_number_of_its_own_up_to_the_limit() {
    let mut peers = Peers::default();
    for n in 0..u32::try_from(Peers::LIMIT).unwrap() {
        assert_eq!(peers.add(peer(n)), Ok(true));
        assert_eq!(peers.add(peer(n)), Ok(false), "it is wanted already");
    }
    assert_eq!(peers.add(peer(100_000)), Err(ClientError::Full { limit: Peers::LIMIT }));
    let numbers: BTreeSet<_> = core::iter::from_fn(|| peers.next_request()).map(|(_, number)| number).collect();
    assert_eq!(numbers.len(), Peers::LIMIT);
    assert!(numbers.iter().all(|number| (0x4000..=0x4fff).contains(number)));
}

#[test]
fn a_removed_channel_is_forgotten_with_its_number_when_its_timer_is_due() {
    let (mut peers, mut timers) = (Peers::default(), Timers::new());
    // More peers than numbers, one after the other: the numbers go round.
    for n in 0..10_000 {
        peers.add(peer(n)).unwrap();
        let (key, number) = peers.next_request().unwrap();
        assert_eq!(number, 0x4000 + u16::try_from(n % 0x1000).unwrap());
        assert_eq!(peers.succeed(Instant::ORIGIN, key), Settled::Added(number));
        assert_eq!(peers.peer_of(number).map(PeerKey::channel), Some(key));
        peers.remove(key);
        assert_eq!((peers.peer_of(number), peers.len()), (None, 1), "the number is reserved");
        peers.set_timer(key, timers.insert(Instant::ORIGIN, key));
        peers.timer_due(key);
        assert_eq!((peers.len(), peers.numbers.len(), peers.waiting.len()), (0, 0, 0));
    }
}

#[test]
fn a_channel_that_is_added_again_before_its_release_keeps_its_number() {
    let mut peers = Peers::default();
    peers.add(peer(1)).unwrap();
    peers.add(peer(2)).unwrap();
    let first = peers.next_request().unwrap();
    peers.succeed(Instant::ORIGIN, first.0);
    peers.remove(first.0);
    assert_eq!(peers.add(peer(1)), Ok(true));
    let numbers: Vec<_> = core::iter::from_fn(|| peers.next_request()).collect();
    assert_eq!(numbers, [(peer(2), 0x4001), first]);
}

#[test]
fn a_failed_peer_has_no_effect_on_another() {
    let mut peers = Peers::default();
    let permission = PeerKey::Permission(peer(1).ip());
    peers.add(peer(1)).unwrap();
    peers.add(permission).unwrap();
    while peers.next_request().is_some() {}
    let failed = step(1, refused());
    assert_eq!(peers.fail(peer(1), failed.clone()), Settled::Failed([failed].into()));
    assert!(!peers.is_permitted(peer(1).ip()));
    assert_eq!(peers.succeed(Instant::ORIGIN, permission), Settled::Added(0));
    assert!(peers.is_permitted(peer(1).ip()));
    assert_eq!(peers.number_of(([203, 0, 0, 1], 5000).into()), None);
    assert!(peers.is_settled());
    assert_eq!(peers.renewed(true).len(), 1, "a refused peer is left out");
}

#[test]
fn timeouts_are_bounded_by_tries_and_by_the_lifetime() {
    let mut peers = Peers::default();
    peers.add(peer(1)).unwrap();
    peers.next_request();
    assert_eq!(peers.fail(peer(1), step(40, Outcome::TimedOut)), Settled::Again);
    peers.next_request();
    assert!(matches!(peers.fail(peer(1), step(80, Outcome::TimedOut)), Settled::Failed(steps) if steps.len() == 2));
    // A granted peer is tried again until the end of its lifetime, and never more than eight times.
    for (seconds, tries) in [(30, 8), (100, 3), (400, 1)] {
        let mut peers = Peers::default();
        peers.add(peer(1)).unwrap();
        peers.next_request();
        peers.succeed(Instant::ORIGIN, peer(1));
        let mut failures = 0;
        peers.timer_due(peer(1));
        while peers.next_request().is_some() {
            failures += 1;
            let _settled = peers.fail(peer(1), step(seconds * failures, Outcome::TimedOut));
        }
        assert_eq!(failures, tries, "each after {seconds} s");
        assert!(!peers.is_permitted(peer(1).ip()));
    }
}

#[test]
fn an_ipv6_peer_with_a_scope_is_the_same_peer() {
    let plain: SocketAddr = "[2001:db8::9]:5000".parse().unwrap();
    let scoped: SocketAddr = "[2001:db8::9%7]:5000".parse().unwrap();
    let mut peers = Peers::default();
    peers.add(PeerKey::channel(scoped)).unwrap();
    let (key, number) = peers.next_request().unwrap();
    peers.succeed(Instant::ORIGIN, key);
    assert_eq!((peers.number_of(plain), peers.number_of(scoped)), (Some(number), Some(number)));
    assert_eq!(peers.of_peer(plain.ip()), [key]);
}
