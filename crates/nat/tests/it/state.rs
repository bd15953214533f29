//! Law 14: the state of a discovery and of a measurement is bounded with many peers, and is released at the end.

use core::net::SocketAddr;
use core::time::Duration;
use portolan_machine::{Instant, Machine, Output, Script, SocketEvent, SocketOrder};
use portolan_nat::discovery::{Discovery, DiscoveryConfig, StunServer};
use portolan_nat::event::DiscoveryEvent;
use portolan_nat::lifetime::{Lifetime, LifetimeConfig};
use portolan_sim::laws::{self, Context, StateLimit, Step, debug_length};
use portolan_stun::{Attribute, Class, Message, Writer};

const SERVERS: [&str; 2] = ["198.51.100.1:3478", "198.51.100.2:3478"];
const LOCAL: &str = "10.0.0.2:50000";

/// Simulates a NAT that preserves the port, and servers. The servers drop about every third request and respond to about
/// every fifth from another port.
fn internet<E>(now: Instant, output: &Output<E>) -> Vec<Step> {
    let later = now + Duration::from_millis(40);
    let local: SocketAddr = LOCAL.parse().unwrap();
    match output {
        Output::Socket(SocketOrder::Open(open)) => {
            let port = if open.local.port() == 0 { local.port() } else { open.local.port() };
            vec![Step::socket_event(later, open.id, SocketEvent::Opened { local: SocketAddr::new(local.ip(), port) })]
        }
        Output::Transmit(sent) => {
            let request = Message::decode(&sent.payload).unwrap();
            let (method, id) = (request.method(), request.transaction_id());
            let first_byte = id.as_bytes()[0];
            let mut buffer = [0; 100];
            let mut response = Writer::new(&mut buffer, Class::SuccessResponse, method, id).unwrap();
            let mapped = SocketAddr::new("203.0.113.7".parse().unwrap(), local.port());
            response.add(&Attribute::XorMappedAddress(mapped)).unwrap();
            response.add(&Attribute::ResponseOrigin(sent.remote)).unwrap();
            let mut from = sent.remote;
            from.set_port(from.port() + u16::from(first_byte.is_multiple_of(5)));
            let steps = vec![Step::datagram(later, sent.socket, local, from, response.finish())];
            if first_byte.is_multiple_of(3) { vec![] } else { steps }
        }
        Output::Socket(_) | Output::Event(_) | Output::Wait(_) => vec![],
    }
}

/// Checks law 14 during a run and at its end, with several seeds.
fn check<M: Machine<Command: Script> + core::fmt::Debug>(
    factory: impl Fn() -> M,
    terminal: fn(&M::Event) -> bool,
    steps: usize,
    limit: StateLimit,
) {
    let mut played = 0;
    for seed in 0..6 {
        let context = Context { seed, terminal, ..Context::default() };
        let start = [Step::new(Instant::ORIGIN, laws::Action::Command("start".into()))];
        let whole = laws::rehearse(&factory, &start, &context, steps, internet);
        played += whole.len();
        laws::state_is_bounded(&factory, &whole, &context, debug_length, limit).unwrap();
    }
    assert!(played > 60, "the runs have {played} steps");
}

#[test]
fn a_discovery_keeps_a_bounded_state_and_releases_it() {
    let servers = SERVERS.map(|server| StunServer { name: server.into(), addresses: vec![server.parse().unwrap()] });
    let config = DiscoveryConfig::new(servers.to_vec());
    let limit = StateLimit { flooded: 10_500, tables: 1_000 };
    check(|| Discovery::new(config.clone()).unwrap(), |event| matches!(event, DiscoveryEvent::Report(_)), 400, limit);
}

#[test]
fn a_measurement_keeps_a_bounded_state_and_releases_it() {
    let servers = SERVERS.map(|server| server.parse().unwrap());
    let config = LifetimeConfig::new(servers.to_vec()).max(Duration::from_secs(25));
    let limit = StateLimit { flooded: 6_500, tables: 1_200 };
    check(|| Lifetime::new(config.clone()).unwrap(), |_| false, 600, limit);
}
