//! Allocations that are lost or replaced: each has a virtual socket of its own.

use crate::lab::{Lab, RTT, authenticator, client_config, credential};
use core::time::Duration;
use portolan_connect::{RelayClosure, RelayCommand, RelayEvent};
use portolan_machine::{SocketId, Unreachability};
use portolan_sim::Link;
use portolan_turn::{ClientConfig, LossReason};

fn opened(lab: &Lab) -> Vec<(u64, SocketId)> {
    let opened = lab.events().into_iter().filter_map(|(at, event)| match event {
        RelayEvent::Opened { socket, .. } => Some((at, socket)),
        _ => None,
    });
    opened.collect()
}

fn closed(lab: &Lab) -> Vec<(u64, SocketId, RelayClosure)> {
    let closed = lab.events().into_iter().filter_map(|(at, event)| match event {
        RelayEvent::Closed { socket, why } => Some((at, socket, why)),
        _ => None,
    });
    closed.collect()
}

/// A NAT gives another host the port of the relay at 100 s.
#[test]
fn a_rebinding_closes_the_socket_and_opens_another_one() {
    let mut lab = Lab::allocated(11, client_config());
    let (host, peer) = lab.add_peer();
    assert!(lab.echoes(peer, b"first"));
    let (old, old_relayed) = (lab.net_socket().unwrap(), lab.relayed());
    let mapped = lab.party().relay().client().mapped().unwrap();
    let local = ([10, 0, 0, 3], mapped.port()).into();
    let neighbor = lab.add_echo(lab.inside, local, &Link::PERFECT);

    lab.run_until(90_000);
    while lab.now() < 125_000 {
        if lab.now() == 100_000 {
            lab.net.flush_gateway(lab.inside);
            lab.with_echo(neighbor, |echo, _| echo.send(peer, b"takes the port"));
        }
        // The peer goes on with the old relayed address, and the user with its last socket.
        lab.with_echo(host, |echo, _| echo.send(old_relayed, b"late"));
        if lab.net_socket().is_some() {
            lab.send(peer, b"data");
        }
        lab.run(20);
    }
    let new = lab.net_socket().unwrap();
    assert_ne!((new, lab.relayed()), (old, old_relayed));
    // The keepalive at 105.1 s shows the change. Then: its response, the challenge of the new address, 437.
    let keepalive = 105_100;
    let [(lost, socket, RelayClosure::Lost(LossReason::Mismatch))] = closed(&lab)[..] else {
        panic!("{:?}", lab.events())
    };
    assert_eq!((socket, lost), (old, keepalive + 3 * RTT));
    let on_old = lab.received().iter().filter(|received| received.socket == old);
    assert!(on_old.clone().count() > 100);
    assert!(on_old.map(|received| received.at).max() <= Some(lost), "nothing arrives on the closed socket");
    let on_new = lab.received().iter().find(|received| received.socket == new).unwrap();
    // Allocate, CreatePermission, and the way to the peer and back.
    assert_eq!((on_new.at, opened(&lab)[1].0), (lost + 3 * RTT, lost + RTT));
    assert!(lab.received().iter().all(|received| received.socket != new || received.payload == b"data"));
    assert_eq!(lab.allocations(), 2, "never a third allocation");
    assert_eq!(opened(&lab).len(), 2);

    // The binding changes back: the earlier allocation is used again, by a new socket.
    lab.net.flush_gateway(lab.inside);
    lab.run(16_000 + 5 * RTT);
    assert_eq!(lab.relayed(), old_relayed);
    assert_eq!(opened(&lab).len(), 3);
    assert_eq!(closed(&lab)[1..], [(opened(&lab)[2].0, new, RelayClosure::Replaced)]);
    assert!(lab.echoes(peer, b"third"));
    assert_eq!(lab.allocations(), 2);
    lab.run(700_000);
    assert_eq!(lab.allocations(), 1);
}

#[test]
fn new_credentials_before_the_expiry_lose_no_datagram() {
    let mut lab = Lab::allocated(12, client_config().expires(Duration::from_secs(120)));
    let (host, peer) = lab.add_peer();
    lab.command(RelayCommand::AddChannel { peer });
    lab.run_until(2_000);
    let first = lab.net_socket().unwrap();
    let mut sent = 0_u32;
    while lab.now() < 600_000 {
        if lab.now() == 100_000 {
            let (credential, expires) = (credential("bob"), Some(Duration::from_secs(3600)));
            lab.command(RelayCommand::SetCredential { credential, expires });
        }
        if lab.now() == 120_000 {
            // The first credential is not valid any more.
            lab.with_gate(|gate| gate.server.set_credentials(authenticator(&["bob"])));
        }
        lab.send(peer, &sent.to_be_bytes());
        sent += 1;
        lab.run(20);
    }
    lab.run(1_000);
    let expected: Vec<_> = (0..sent).map(|number| number.to_be_bytes().to_vec()).collect();
    let at_peer: Vec<_> = lab.echo(host).received.iter().map(|received| received.payload.clone()).collect();
    assert_eq!((lab.received().len(), at_peer.len()), (sent as usize, sent as usize), "nothing is lost");
    assert_eq!((lab.payloads(), at_peer), (expected.clone(), expected), "and the order is kept");
    assert!(
        lab.events()
            .iter()
            .any(|(at, event)| { *at == 60_000 && matches!(event, RelayEvent::CredentialExpires { .. }) })
    );
    let second = lab.net_socket().unwrap();
    let opened = opened(&lab);
    assert_eq!(opened.iter().map(|(_, socket)| *socket).collect::<Vec<_>>(), [first, second]);
    let overlap = u64::try_from(ClientConfig::OVERLAP.as_millis()).unwrap();
    assert_eq!(closed(&lab), [(opened[1].0 + overlap, first, RelayClosure::Replaced)]);
    assert_eq!(lab.allocations(), 1);
}

#[test]
fn a_replaced_socket_sends_from_its_relayed_address_until_the_end_of_the_overlap() {
    let mut lab = Lab::allocated(20, client_config());
    let (host, peer) = lab.add_peer();
    let (_, unknown) = lab.add_peer();
    assert!(lab.echoes(peer, b"before"));
    let (old, old_relayed) = (lab.net_socket().unwrap(), lab.relayed());
    lab.command(RelayCommand::SetCredential { credential: credential("bob"), expires: None });
    lab.run(1_000);
    let (new, new_relayed) = (lab.net_socket().unwrap(), lab.relayed());
    assert_ne!(old, new);
    for socket in [old, new] {
        lab.send_from(socket, peer, b"both");
    }
    // A replaced allocation gets no new permission.
    lab.send_from(old, unknown, b"dropped");
    lab.run(1_000);
    let from: Vec<_> = lab.echo(host).received[1..].iter().map(|received| received.remote).collect();
    assert_eq!(from, [old_relayed, new_relayed]);
    let sockets: Vec<_> = lab.received()[1..].iter().map(|received| received.socket).collect();
    assert_eq!(sockets, [old, new], "each answer arrives on the socket of its relayed address");
    assert!(lab.gate().requests.iter().all(|(.., of)| of.ip() != unknown.ip()));

    lab.run(10_000);
    assert_eq!(closed(&lab).len(), 1);
    lab.send_from(old, peer, b"closed");
    lab.run(1_000);
    assert_eq!(lab.echo(host).received.len(), 3);
    assert!(lab.echoes(peer, b"after"));
}

/// The permission of a peer may be denied only by the allocation that replaces the current one.
#[test]
fn a_denial_by_the_next_allocation_is_reported_on_its_own_socket() {
    let mut lab = Lab::allocated(21, client_config());
    let (_, peer) = lab.add_peer();
    let (_, good) = lab.add_peer();
    assert!(lab.echoes(peer, b"before") && lab.echoes(good, b"before"));
    let old = lab.net_socket().unwrap();
    // The same user, so that the gate can sign its response.
    lab.with_gate(|gate| gate.refused = vec![(peer.ip(), crate::server::Refusal::Code(403))]);
    lab.command(RelayCommand::SetCredential { credential: credential("ann"), expires: None });
    lab.run(1_000);
    let new = lab.net_socket().unwrap();
    let unreachable: Vec<_> = lab
        .events()
        .into_iter()
        .filter_map(|(_, event)| match event {
            RelayEvent::Unreachable { socket, peer, why, .. } => Some((socket, peer, why)),
            _ => None,
        })
        .collect();
    assert_eq!(unreachable, [(new, peer.ip(), Unreachability::Prohibited)]);
    lab.send_from(old, peer, b"overlap");
    lab.run(2 * RTT);
    assert_eq!(lab.received().last().map(|received| received.socket), Some(old));
    assert!(lab.echoes(good, b"good"));
}

#[test]
fn a_wrong_credential_leaves_the_socket_as_it_is() {
    let mut lab = Lab::allocated(22, client_config());
    let (_, peer) = lab.add_peer();
    let credential = portolan_stun_agent::Credential::long_term("ann", "wrong");
    lab.command(RelayCommand::SetCredential { credential, expires: None });
    lab.run(1_000);
    let is_failure = |event: &RelayEvent| matches!(event, RelayEvent::ReplacementFailed { steps } if !steps.is_empty());
    assert!(lab.events().iter().any(|(_, event)| is_failure(event)), "{:?}", lab.events());
    assert_eq!(opened(&lab).len(), 1);
    assert!(lab.echoes(peer, b"good"));
}

#[test]
fn after_a_restart_of_the_server_data_is_relayed_within_three_round_trips_of_the_first_437() {
    let mut lab = Lab::allocated(15, client_config());
    let (host, peer) = lab.add_peer();
    assert!(lab.echoes(peer, b"before"));
    lab.run_until(200_000);
    lab.restart_server();
    assert_eq!(lab.allocations(), 0);
    let mut last = 0;
    while lab.now() < 260_000 {
        if lab.net_socket().is_some() {
            lab.send(peer, b"again");
        }
        last = lab.echo(host).received.last().map_or(0, |received| received.at);
        lab.run(10);
    }
    assert!(last > 259_000);
    let [(lost, _, RelayClosure::Lost(LossReason::Mismatch))] = closed(&lab)[..] else { panic!("{:?}", lab.events()) };
    let again = lab.echo(host).received.iter().find(|received| received.at > 200_000).unwrap().at;
    assert!(again > lost && again <= lost + 3 * RTT, "lost at {lost} ms, at the peer again at {again} ms");
    assert_eq!((lab.allocations(), opened(&lab).len()), (1, 2));
    assert!(lab.echoes(peer, b"after"));
}

#[test]
fn a_relay_ends_with_the_reason_when_no_server_is_left_after_a_loss() {
    let mut lab = Lab::allocated(23, client_config());
    let socket = lab.net_socket().unwrap();
    lab.net.set_uplink(lab.inside, &Link::PERFECT.loss(1.0));
    let limit = u64::try_from(client_config().silence_limit().as_millis()).unwrap();
    lab.run(limit);
    let events = lab.events();
    let [.., (_, RelayEvent::Closed { socket: closed, why }), (at, RelayEvent::Refused { .. })] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!((*closed, *why), (socket, RelayClosure::Lost(LossReason::Silent)));
    assert!(*at <= 1_000 + limit);
}
