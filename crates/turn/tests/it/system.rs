//! The laws of the whole system: no orphans, no eternity, one bad neighbor.

use crate::lab::{
    Lab, Place, RTT, addr, authenticator, client_config, credential, home, random_ports, short_lived, udp_server,
};
use alloc::collections::BTreeSet;
use core::net::SocketAddr;
use core::time::Duration;
use portolan_sim::Link;
use portolan_turn::{ClientCommand, ClientConfig, ClientEvent, ClientState, ServerConfig};
use proptest::prelude::*;

/// The relayed addresses at the server.
fn at_server(lab: &Lab) -> BTreeSet<SocketAddr> {
    lab.server().allocations().flat_map(|allocation| allocation.relayed.iter()).collect()
}

/// The relayed addresses of the clients.
fn at_clients(lab: &Lab, places: &[Place]) -> BTreeSet<SocketAddr> {
    places.iter().flat_map(|place| lab.client(*place).relayed().to_vec()).collect()
}

#[derive(Clone, Copy, Debug)]
enum Act {
    Run(u64),
    Start(usize),
    Close(usize),
    Peer(usize),
    Rebind(usize),
    Credential(usize),
    Outage(usize, u64),
}

fn any_act() -> impl Strategy<Value = Act> {
    let client = 0..4_usize;
    prop_oneof![
        4 => (0..200_000_u64).prop_map(Act::Run),
        4 => (0..200_u64).prop_map(Act::Run),
        3 => client.clone().prop_map(Act::Start),
        1 => client.clone().prop_map(Act::Close),
        2 => client.clone().prop_map(Act::Peer),
        1 => client.clone().prop_map(Act::Rebind),
        1 => client.clone().prop_map(Act::Credential),
        1 => (client, 0..30_000_u64).prop_map(|(client, millis)| Act::Outage(client, millis)),
    ]
}

fn link(loss: f64) -> Link {
    Link::delay(Duration::from_millis(RTT / 2)).loss(loss)
}

fn perform(lab: &mut Lab, places: &[Place], peer: SocketAddr, act: Act) {
    let command = |lab: &mut Lab, client: usize, command| {
        let _refused = lab.net.command(places[client].host, portolan_machine::Either::First(command));
    };
    match act {
        Act::Run(millis) => lab.run(millis),
        Act::Start(client) => command(lab, client, ClientCommand::Start(client_config())),
        Act::Close(client) => command(lab, client, ClientCommand::Close),
        Act::Peer(client) => command(lab, client, ClientCommand::AddChannel { peer }),
        Act::Rebind(client) => lab.net.flush_gateway(places[client].inside),
        Act::Credential(client) => {
            command(lab, client, ClientCommand::SetCredential { credential: credential("bob"), expires: None });
        }
        Act::Outage(client, millis) => {
            lab.net.set_uplink(places[client].inside, &link(1.0));
            lab.run(millis);
            lab.net.set_uplink(places[client].inside, &link(0.0));
        }
    }
}

fn four_clients(seed: u64) -> (Lab, Vec<Place>, SocketAddr) {
    let mut lab = Lab::new(seed, &udp_server());
    let nats = [home(), random_ports(), short_lived(30), home()];
    let places = nats.into_iter().map(|nat| lab.add_client(nat, 0.0)).collect();
    let (_, peer) = lab.add_peer();
    (lab, places, peer)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn no_orphans(seed in any::<u64>(), acts in proptest::collection::vec(any_act(), 0..24)) {
        let (mut lab, places, peer) = four_clients(seed);
        for act in acts {
            perform(&mut lab, &places, peer, act);
        }
        // Each running client has its allocation at the server after the recovery time of an outage. The allocations
        // that a NAT cut off leave at their expiry.
        lab.run(660_000);
        prop_assert_eq!(at_server(&lab), at_clients(&lab, &places));
        for place in &places {
            let _refused = lab.net.command(place.host, portolan_machine::Either::First(ClientCommand::Close));
        }
        lab.run(RTT);
        prop_assert_eq!(at_server(&lab), BTreeSet::new(), "one round trip after the stop of all clients");
        for place in &places {
            let state = lab.client(*place).state();
            prop_assert!(matches!(state, ClientState::Idle | ClientState::Ended), "{:?}", state);
        }
    }

    #[test]
    fn no_eternity(seed in any::<u64>(), acts in proptest::collection::vec(any_act(), 0..24)) {
        let (mut lab, places, peer) = four_clients(seed);
        for act in acts {
            perform(&mut lab, &places, peer, act);
        }
        for place in &places {
            lab.net.set_uplink(place.inside, &link(1.0));
        }
        let limit = client_config().silence_limit();
        lab.run(u64::try_from(limit.as_millis()).unwrap() + RTT);
        for place in &places {
            let state = lab.client(*place).state();
            prop_assert!(matches!(state, ClientState::Idle | ClientState::Ended), "{:?}: {:?}", state, lab.events(*place));
            let terminal = lab.events(*place).iter().filter(|(_, event)| event.is_terminal()).count();
            prop_assert_eq!(terminal, usize::from(state == ClientState::Ended));
        }
        lab.run(600_000);
        prop_assert_eq!(lab.allocations(), 0, "the server frees at expiry");
    }
}

#[test]
fn a_stale_nonce_costs_one_more_round_trip_at_the_close() {
    let config = {
        let credentials = authenticator().nonce_lifetime(Duration::from_secs(10));
        ServerConfig::new(credentials).listen_udp(addr("50.0.0.1:3478")).relay("50.0.0.1".parse().unwrap()).rate(None)
    };
    let mut lab = Lab::new(8, &config);
    let place = lab.add_client(home(), 0.0);
    lab.start(place, client_config());
    lab.run(60_000);
    lab.command(place, ClientCommand::Close);
    lab.run(RTT);
    assert_eq!(lab.allocations(), 1);
    lab.run(RTT);
    assert_eq!((lab.allocations(), lab.client(place).state()), (0, ClientState::Ended));
}

#[test]
fn one_bad_neighbor_never_stops_an_independent_client() {
    let mut lab = Lab::new(3, &udp_server());
    lab.add_liar(addr("50.0.0.7:3478"));
    let good = lab.add_client(home(), 0.0);
    let (_, peer) = lab.add_peer();
    lab.start(good, client_config());
    lab.command(good, ClientCommand::AddChannel { peer });
    lab.run(1_000);
    // A dead server, a lying server, a refusing server (an unknown user), and a peer of an address that is denied.
    let neighbors = [
        ClientConfig::new(addr("50.0.0.99:3478"), credential("ann")),
        ClientConfig::new(addr("50.0.0.7:3478"), credential("ann")),
        ClientConfig::new(addr("50.0.0.1:3478"), credential("unknown")),
    ];
    for config in neighbors {
        let place = lab.add_client(home(), 0.0);
        lab.start(place, config);
    }
    lab.command(good, ClientCommand::AddChannel { peer: addr("10.9.9.9:9") });
    let mut sent = 0;
    while lab.now() < 200_000 {
        assert!(lab.send(good, peer, b"data"));
        sent += 1;
        lab.run(100);
    }
    lab.run(1_000);
    assert_eq!(lab.data(good).len(), sent);
    assert!(!lab.events(good).iter().any(|(_, event)| matches!(event, ClientEvent::Lost { .. })));
}

/// The response to ChannelBind arrives after the keepalive was sent, and then the network is dead.
#[test]
fn a_client_that_heard_a_packet_after_its_last_keepalive_ends_in_time() {
    let (mut lab, places, peer) = four_clients(0);
    for act in [Act::Start(0), Act::Run(75), Act::Outage(0, 15_025), Act::Peer(0), Act::Run(25)] {
        perform(&mut lab, &places, peer, act);
    }
    lab.net.set_uplink(places[0].inside, &link(1.0));
    let limit = u64::try_from(client_config().silence_limit().as_millis()).unwrap();
    let dead = lab.now();
    lab.run(limit + RTT);
    let (at, last) = lab.events(places[0]).last().expect("an event").clone();
    assert!(last.is_terminal() && at > dead + limit - 1_000, "{at}: {last:?}");
}
