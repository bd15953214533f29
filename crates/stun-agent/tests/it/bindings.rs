//! The pure Binding response: its attributes, its errors, and its agreement with the responder.

use crate::credentials_server::{CLIENT, Draft, code, kinds, long_term, nonce};
use crate::responses::config;
use crate::world::{World, addr, message};
use portolan_machine::{Datagram, Input, Output, SocketId};
use portolan_stun::{Attribute, AttributeType, Class, EncodeError, Message, Method, Writer};
use portolan_stun_agent::Responder;
use portolan_stun_agent::authenticator::Judgement;
use portolan_stun_agent::binding::{RESPONSE_LEN, response};

const SERVER: &str = "192.0.2.1:3478";
const CLIENT6: &str = "[2001:db8::7]:40000";
const ID: [u8; 12] = [7; 12];

/// The response to an unauthenticated request, and its code.
fn reply(request: &[u8], mapped: &str) -> (Vec<u8>, Option<u16>) {
    let mut buffer = [0; RESPONSE_LEN];
    let response = response(&mut buffer, &Message::decode(request).unwrap().exempt(), addr(mapped), None).unwrap();
    (response.bytes.to_vec(), response.code)
}

fn with_fingerprint() -> Vec<u8> {
    let mut buffer = [0; 64];
    let writer = Writer::new(&mut buffer, Class::Request, Method::BINDING, ID.into()).unwrap();
    writer.fingerprint().unwrap().finish().to_vec()
}

fn unknown(number: u16) -> Attribute<'static> {
    Attribute::Unknown { kind: AttributeType::new(number), value: &[] }
}

#[test]
fn rfc8489_6_3_1_1_a_success_response_has_only_xor_mapped_address() {
    for client in [CLIENT, CLIENT6] {
        let (bytes, code) = reply(&message(Class::Request, ID.into(), &[]), client);
        assert_eq!((kinds(&bytes), code), (vec![AttributeType::XOR_MAPPED_ADDRESS], None));
        assert_eq!(Message::decode(&bytes).unwrap().xor_mapped_address(), Some(addr(client)));
    }
    let (bytes, _) = reply(&with_fingerprint(), CLIENT);
    assert_eq!(kinds(&bytes), [AttributeType::XOR_MAPPED_ADDRESS, AttributeType::FINGERPRINT]);
    Message::decode(&bytes).unwrap().check_fingerprint().unwrap();
}

#[test]
fn rfc8489_6_3_1_unknown_attributes_are_listed_once_and_at_most_16() {
    let attributes = [unknown(0x7ffe), unknown(0x7ffe), unknown(0xfffe), unknown(0x0026)];
    let (bytes, code) = reply(&message(Class::Request, ID.into(), &attributes), CLIENT);
    assert_eq!(code, Some(420));
    let listed = Message::decode(&bytes).unwrap();
    let listed: Vec<_> = listed.unknown_attributes().unwrap().iter().map(AttributeType::number).collect();
    assert_eq!(listed, [0x7ffe, 0x0026], "PADDING of RFC 5780 is unknown here");
    let many: Vec<_> = (0..40).map(|n| unknown(0x7f00 + n)).collect();
    let (bytes, _) = reply(&message(Class::Request, ID.into(), &many), CLIENT);
    assert_eq!(Message::decode(&bytes).unwrap().unknown_attributes().unwrap().iter().count(), 16);
}

#[test]
fn only_a_request_gets_a_response_and_a_short_buffer_is_an_error() {
    let mut buffer = [0; RESPONSE_LEN];
    for class in [Class::Indication, Class::SuccessResponse, Class::ErrorResponse] {
        let bytes = message(class, ID.into(), &[]);
        let message = Message::decode(&bytes).unwrap().exempt();
        assert_eq!(response(&mut buffer, &message, addr(CLIENT), None), Err(EncodeError::NotARequest));
    }
    let bytes = message(Class::Request, ID.into(), &[]);
    let request = Message::decode(&bytes).unwrap().exempt();
    for length in 0..32 {
        let error = response(&mut buffer[..length], &request, addr(CLIENT), None);
        assert!(matches!(error, Err(EncodeError::BufferTooShort { .. })), "{error:?}");
    }
}

#[test]
fn the_longest_response_fits_into_the_stated_length() {
    let authenticator = long_term();
    let nonce = nonce(&authenticator, 1, CLIENT);
    let draft = Draft::complete(&nonce);
    let draft = (0..40).fold(draft, |draft, n| draft.with(unknown(0x7f00 + n)));
    let bytes = Draft { fingerprint: true, ..draft }.bytes();
    let request = Message::decode(&bytes).unwrap();
    let now = portolan_machine::Instant::from_millis(1000);
    let Judgement::Admitted(admitted) = authenticator.judge(now, addr(CLIENT), &request) else { panic!("rejected") };
    let mut buffer = [0; RESPONSE_LEN];
    let longest = response(&mut buffer, &admitted.message, addr(CLIENT), Some(&admitted.signature)).unwrap();
    assert_eq!((longest.bytes.len(), longest.code), (RESPONSE_LEN, Some(420)));
    assert!(kinds(longest.bytes).contains(&AttributeType::MESSAGE_INTEGRITY_SHA256));
}

/// A responder without an alternate address sends the same bytes, unless the request has attributes of RFC 5780.
#[test]
fn the_responder_sends_the_same_response() {
    let responder = Responder::over(&config(&[SERVER], &[]), |_| SocketId(1)).unwrap();
    let mut world = World::new(responder);
    for request in [
        message(Class::Request, ID.into(), &[]),
        with_fingerprint(),
        message(Class::Request, ID.into(), &[unknown(0x7ffe), unknown(0x7ffd)]),
        message(Class::Request, ID.into(), &[Attribute::Software("x".into())]),
    ] {
        let datagram = Datagram::new(SocketId(1), addr(SERVER), addr(CLIENT), &request);
        let _verdict = world.input(Input::Datagram(datagram));
        let outputs = world.outputs();
        let [Output::Transmit(sent)] = &outputs[..] else { panic!("one reply, not {outputs:?}") };
        let (bytes, error) = reply(&request, CLIENT);
        assert_eq!((&sent.payload[..], code(&sent.payload)), (&bytes[..], error));
    }
}
