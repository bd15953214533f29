//! A public STUN server on a socket of the standard library, and a client that sends four requests to it.
//!
//! Run it with `cargo run -p portolan-stun --example binding_server`. It uses only the loopback interface, and ends
//! after the last response.

use core::error::Error;
use core::net::SocketAddr;
use core::time::Duration;
use portolan_stun::{
    Attribute, AttributeType, Class, FingerprintPolicy, Message, Method, ResponseClass, Writer, length,
};
use std::net::UdpSocket;

/// Returns the response to a datagram, or `None` if the datagram must be dropped.
fn respond<'b>(datagram: &[u8], from: SocketAddr, buffer: &'b mut [u8]) -> Option<&'b [u8]> {
    // RFC 8489 §7: a FINGERPRINT that is present must be correct.
    let request = Message::decode_with(datagram, FingerprintPolicy::IfPresent).ok()?;
    // A server never responds to a response: two servers would answer each other without end.
    if request.class() != Class::Request || request.method() != Method::BINDING {
        return None;
    }
    // This server needs no credentials.
    let request = request.exempt();
    // RFC 8489 §6.3.1: comprehension-required attributes that the server does not understand are refused with 420.
    let mut unknown = request.not_understood(AttributeType::BASE).take(16).peekable();
    let writer = if unknown.peek().is_some() {
        Writer::unknown_attribute_response(buffer, &request, unknown).ok()?
    } else {
        let mut writer = Writer::response(buffer, &request, ResponseClass::Success).ok()?;
        writer.add(&Attribute::XorMappedAddress(from)).ok()?;
        writer
    };
    // RFC 8489 §7: the response has FINGERPRINT if the request has it.
    Some(if request.has_fingerprint() { writer.fingerprint().ok()?.finish() } else { writer.finish() })
}

/// Serves until a datagram without bytes arrives. Returns the numbers of responses and of dropped datagrams.
fn serve(socket: &UdpSocket) -> std::io::Result<(u32, u32)> {
    // A receive buffer has the largest datagram that the server accepts; a longer one is truncated and not decoded.
    let (mut input, mut output) = ([0; 1500], [0; length::unknown_attribute_response(16)]);
    let (mut responses, mut dropped) = (0, 0);
    loop {
        let (received, from) = socket.recv_from(&mut input)?;
        if received == 0 {
            return Ok((responses, dropped));
        }
        match respond(input.get(..received).unwrap_or_default(), from, &mut output) {
            Some(response) => {
                socket.send_to(response, from)?;
                responses += 1;
            }
            None => dropped += 1,
        }
    }
}

/// Writes a Binding request with the attributes, and FINGERPRINT if required.
fn request<'b>(
    buffer: &'b mut [u8],
    id: u8,
    attributes: &[Attribute<'_>],
    fingerprint: bool,
) -> Result<&'b [u8], Box<dyn Error>> {
    let mut writer = Writer::new(buffer, Class::Request, Method::BINDING, [id; 12].into())?;
    attributes.iter().try_for_each(|attribute| writer.add(attribute))?;
    Ok(if fingerprint { writer.fingerprint()?.finish() } else { writer.finish() })
}

fn main() -> Result<(), Box<dyn Error>> {
    let server = UdpSocket::bind("127.0.0.1:0")?;
    let address = server.local_addr()?;
    let server = std::thread::spawn(move || serve(&server));

    let client = UdpSocket::bind("127.0.0.1:0")?;
    client.connect(address)?;
    client.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut buffer = [0; 128];

    // The first request has a wrong FINGERPRINT. The server drops it, so the first response is that of the second.
    let mut damaged = request(&mut buffer, 1, &[], true)?.to_vec();
    damaged.iter_mut().last().into_iter().for_each(|byte| *byte ^= 1);
    client.send(&damaged)?;
    println!("request 1: a wrong FINGERPRINT");

    let change = [Attribute::ChangeRequest(portolan_stun::ChangeRequest { ip: true, port: true })];
    let requests: [(u8, &str, &[Attribute<'_>], bool); 3] = [
        (2, "no attributes", &[], false),
        (3, "FINGERPRINT", &[], true),
        (4, "CHANGE-REQUEST, which the server does not understand", &change, true),
    ];
    for (id, name, attributes, fingerprint) in requests {
        client.send(request(&mut buffer, id, attributes, fingerprint)?)?;
        let mut input = [0; 1500];
        let received = client.recv(&mut input)?;
        let response = Message::decode(input.get(..received).unwrap_or_default())?;
        if response.transaction_id() != [id; 12].into() || response.has_fingerprint() != fingerprint {
            return Err(format!("request {id} got {response:?}").into());
        }
        println!("request {id}: {name}\n  {response:?}");
    }
    client.send(&[])?;
    let (responses, dropped) = server.join().map_err(|_| "the server panicked")??;
    println!("{responses} responses, {dropped} dropped");
    Ok(())
}
