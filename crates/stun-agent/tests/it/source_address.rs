//! The source of a response is the destination of the request, except with CHANGE-REQUEST (RFC 8489 §6.3.1.2, RFC
//! 5780 §6.1).

use crate::credentials_server::long_term;
use crate::responses::{Server, config};
use crate::world::{World, addr, message};
use core::net::{IpAddr, SocketAddr};
use portolan_machine::{Datagram, Input, Machine as _, Output, SocketEvent, SocketId, Transmit, Verdict};
use portolan_stun::{Attribute, ChangeRequest, Class, Message};
use portolan_stun_agent::{Responder, ResponderConfig};

/// Four addresses of the server and a client, by family.
const FAMILIES: [([&str; 2], &str); 2] =
    [(["192.0.2.1", "192.0.2.2"], "198.51.100.7:40000"), (["2001:db8::1", "2001:db8::2"], "[2001:db8:1::7]:40000")];
const CHANGES: [Option<ChangeRequest>; 5] = [
    None,
    Some(ChangeRequest::NONE),
    Some(ChangeRequest::IP),
    Some(ChangeRequest::PORT),
    Some(ChangeRequest::IP_AND_PORT),
];
const PORTS: [Option<u16>; 2] = [None, Some(5000)];

/// The source address and port that a driver would use, with the sockets in the order of `bound`.
fn source(sent: &Transmit, bound: &[SocketAddr]) -> SocketAddr {
    let bound = bound[usize::try_from(sent.socket.0).unwrap()];
    match sent.local {
        Some(local) => {
            assert!(bound.ip().is_unspecified() || bound.ip() == local, "{local} on a socket bound to {bound}");
            SocketAddr::new(local, bound.port())
        }
        None => {
            assert!(!bound.ip().is_unspecified(), "the system chooses the source of {sent:?}");
            bound
        }
    }
}

fn send_request(
    world: &mut Server,
    bound: &[SocketAddr],
    to: SocketAddr,
    client: &str,
    attributes: &[Attribute<'_>],
) -> Transmit {
    let matches =
        |socket: &SocketAddr| *socket == to || socket.ip().is_unspecified() && socket.is_ipv4() == to.is_ipv4();
    let socket = SocketId(bound.iter().position(matches).unwrap() as u64);
    let bytes = message(Class::Request, [7; 12].into(), attributes);
    let datagram = Datagram::new(socket, to, addr(client), &bytes);
    assert_eq!(world.input(Input::Datagram(datagram)), Verdict::Mine);
    let mut outputs = world.outputs();
    assert_eq!(outputs.len(), 1);
    let Output::Transmit(sent) = outputs.remove(0) else { panic!("a response, not {outputs:?}") };
    sent
}

fn attributes(change: Option<ChangeRequest>, port: Option<u16>) -> Vec<Attribute<'static>> {
    change.map(Attribute::ChangeRequest).into_iter().chain(port.map(Attribute::ResponsePort)).collect()
}

fn over(config: &ResponderConfig, bound: &[SocketAddr]) -> Server {
    let socket = |local| SocketId(bound.iter().position(|&other| other == local).unwrap() as u64);
    World::new(Responder::over(config, socket).unwrap())
}

#[test]
fn a_wildcard_socket_responds_from_the_destination_address_of_the_request() {
    let bound = ["0.0.0.0:3478", "[::]:3478"];
    let config = config(&bound, &[]);
    let bound = bound.map(addr);
    let mut world = over(&config, &bound);
    for (addresses, client) in FAMILIES {
        for (address, change, port) in combinations(&addresses) {
            let to = SocketAddr::new(address, 3478);
            let sent = send_request(&mut world, &bound, to, client, &attributes(change, port));
            assert_eq!(source(&sent, &bound), to, "{change:?}, {port:?}");
            let response = Message::decode(&sent.payload).unwrap();
            // RFC 5780 §6.1: without an alternate address CHANGE-REQUEST is 420, with any flags.
            assert_eq!(response.error_code().map(|error| error.code()), change.map(|_| 420), "{change:?}, {port:?}");
            let origin = (change.is_none() && port.is_some()).then_some(to);
            assert_eq!(response.response_origin(), origin);
        }
    }
}

#[test]
fn specific_sockets_respond_from_their_own_address_and_with_change_request_from_the_other() {
    let listen = ["192.0.2.1:3478", "[2001:db8::1]:3478"];
    let config = config(&listen, &["192.0.2.2:3479", "[2001:db8::2]:3479"]);
    let bound: Vec<SocketAddr> = FAMILIES
        .iter()
        .flat_map(|(addresses, _)| {
            [3478, 3479].map(|port| addresses.map(|ip| SocketAddr::new(ip.parse().unwrap(), port)))
        })
        .flatten()
        .collect();
    let mut world = over(&config, &bound);
    for (addresses, client) in FAMILIES {
        for (address, change, port) in combinations(&addresses) {
            for (local_port, other_port) in [(3478, 3479), (3479, 3478)] {
                let to = SocketAddr::new(address, local_port);
                let other = addresses.map(|ip| ip.parse().unwrap()).into_iter().find(|ip| *ip != address).unwrap();
                let flags = change.unwrap_or(ChangeRequest::NONE);
                let from = SocketAddr::new(
                    if flags.ip { other } else { address },
                    if flags.port { other_port } else { local_port },
                );
                let sent = send_request(&mut world, &bound, to, client, &attributes(change, port));
                assert_eq!(source(&sent, &bound), from, "{change:?}, {port:?} to {to}");
                assert_eq!(Message::decode(&sent.payload).unwrap().response_origin(), Some(from));
                assert_eq!(sent.remote.port(), port.unwrap_or(40000));
            }
        }
    }
}

fn combinations(addresses: &[&str; 2]) -> Vec<(IpAddr, Option<ChangeRequest>, Option<u16>)> {
    let mut all = vec![];
    for address in addresses {
        for change in CHANGES {
            all.extend(PORTS.map(|port| (address.parse().unwrap(), change, port)));
        }
    }
    all
}

#[test]
fn error_responses_have_the_destination_address_of_the_request_as_source() {
    let wildcard = config(&["0.0.0.0:3478"], &[]);
    let bound = [addr("0.0.0.0:3478")];
    let (to, client) = (addr("192.0.2.2:3478"), FAMILIES[0].1);
    for (config, attributes, code) in [
        (wildcard.clone(), vec![Attribute::Priority(1)], 420),
        (wildcard.clone(), vec![Attribute::ResponsePort(0)], 400),
        (wildcard.clone().credentials(long_term()), vec![], 401),
        (wildcard.credentials(long_term()), vec![Attribute::Realm("example.org".into())], 401),
    ] {
        let sent = send_request(&mut over(&config, &bound), &bound, to, client, &attributes);
        assert_eq!(Message::decode(&sent.payload).unwrap().error_code().unwrap().code(), code);
        assert_eq!(source(&sent, &bound), to, "{code}");
    }
}

#[test]
fn a_stream_needs_no_source_address() {
    let mut world = World::new(Responder::new(&config(&["0.0.0.0:3478"], &[])).unwrap());
    world.with(|machine, cx| machine.start(cx)).unwrap();
    for socket in [1, 2] {
        let _verdict = world.socket_event(socket, SocketEvent::Opened { local: addr("0.0.0.0:3478") });
    }
    let (local, remote) = (addr("192.0.2.2:3478"), addr(FAMILIES[0].1));
    let _verdict = world.socket_event(2, SocketEvent::Accepted { socket: SocketId(9), local, remote });
    world.outputs();
    let bytes = message(Class::Request, [7; 12].into(), &[Attribute::Padding(&[0; 4])]);
    let taken = world.with(|machine, cx| machine.stream(cx, Datagram::new(SocketId(9), local, remote, &bytes)));
    assert_eq!(taken, Some(bytes.len()));
    let Output::Transmit(sent) = world.outputs().remove(0) else { panic!("a response") };
    assert_eq!((sent.socket, sent.local, sent.remote), (SocketId(9), None, remote));
    assert_eq!(Message::decode(&sent.payload).unwrap().response_origin(), Some(local));
}
