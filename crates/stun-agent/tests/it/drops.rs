//! Datagrams that a responder drops: each has a counter and a note with the reason.

use crate::responses::{CLIENT, ID, config, request};
use crate::world::{World, addr, message};
use portolan_machine::{SocketEvent, Verdict};
use portolan_stun::{Attribute, ChangeRequest, Class, Method, Writer};
use portolan_stun_agent::{DroppedStats, Responder};

#[test]
fn each_datagram_that_is_dropped_on_an_own_socket_is_counted_and_noted_with_its_reason() {
    let old = |attributes: &[Attribute<'_>]| {
        let mut bytes = request(attributes);
        bytes[4..8].copy_from_slice(&[1, 2, 3, 4]);
        bytes
    };
    let [mut short, mut long] = [request(&[Attribute::ResponsePort(5)]), request(&[])];
    short.truncate(24);
    long.extend([0; 4]);
    let mut buffer = [0; 64];
    let writer = Writer::new(&mut buffer, Class::Request, Method::BINDING, ID.into()).unwrap();
    let mut forged = writer.fingerprint().unwrap().finish().to_vec();
    forged[27] ^= 1;
    let mut allocate = request(&[]);
    allocate[..2].copy_from_slice(&[0, 3]);
    let mut old_secret = old(&[]);
    old_secret[..2].copy_from_slice(&[0, 2]);
    let count = |field: fn(&mut DroppedStats) -> &mut u64| {
        let mut expected = DroppedStats::default();
        *field(&mut expected) += 1;
        expected
    };
    let (no_cookie, undecodable) = (count(|stats| &mut stats.no_cookie), count(|stats| &mut stats.undecodable));
    let (not_requests, not_stun) = (count(|stats| &mut stats.not_requests), count(|stats| &mut stats.not_stun));
    let fingerprint = count(|stats| &mut stats.fingerprint);
    for (bytes, reason, expected, requests) in [
        (old(&[]), "no magic cookie", no_cookie, 1),
        (old(&[Attribute::ChangeRequest(ChangeRequest::PORT)]), "no magic cookie", no_cookie, 1),
        (short, "the header announces", undecodable, 1),
        (long, "the header announces", undecodable, 1),
        (forged, "FINGERPRINT", fingerprint, 1),
        (allocate, "not a Binding request", not_requests, 0),
        (message(Class::Indication, ID.into(), &[]), "not a Binding request", not_requests, 0),
        (message(Class::SuccessResponse, ID.into(), &[]), "not a Binding request", not_requests, 0),
        (old_secret, "it is not STUN", not_stun, 0),
        (old(&[])[..19].to_vec(), "it is not STUN", not_stun, 0),
        (b"GET / HTTP/1.1\r\n\r\n    ".to_vec(), "it is not STUN", not_stun, 0),
        (vec![], "it is not STUN", not_stun, 0),
    ] {
        let mut world = World::new(Responder::new(&config(&["192.0.2.1:3478"], &[])).unwrap());
        world.with(|machine, cx| machine.start(cx)).unwrap();
        let _verdict = world.socket_event(1, SocketEvent::Opened { local: addr("192.0.2.1:3478") });
        world.lines();
        assert_eq!(world.datagram(1, CLIENT, &bytes), Verdict::Mine, "{bytes:02x?}");
        assert_eq!(world.lines(), [""; 0], "{bytes:02x?}");
        let stats = world.machine.stats();
        assert_eq!((stats.dropped, stats.requests), (expected, requests), "{bytes:02x?}");
        let [note] = &world.notes.0[..] else { panic!("one note: {:?}", world.notes) };
        assert!(note.starts_with(&format!("message from {CLIENT} dropped: ")) && note.contains(reason), "{note}");
    }
}
