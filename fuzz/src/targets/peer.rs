//! The peer of a machine: it opens sockets and answers requests, mostly correctly.

use super::credentials::authenticator;
use crate::byte_reader::ADDRESSES;
use portolan_machine::{Datagram, Input, Instant, Output, Refusal, SocketEvent, SocketOrder, Transmit};
use portolan_sim::laws::{Action, Step};
use portolan_stun::{Attribute, Class, ErrorCode, Message, ResponseClass, Writer};
use portolan_stun_agent::Authenticator;
use portolan_stun_agent::authenticator::Judgement;
use std::net::SocketAddr;
use std::time::Duration;

/// A peer whose choices come from the bytes of the input.
#[derive(Debug)]
pub(super) struct Peer<'a> {
    choices: std::iter::Cycle<std::slice::Iter<'a, u8>>,
    /// Whether the servers at some addresses require credentials.
    requires_credentials: bool,
}

impl<'a> Peer<'a> {
    pub(super) fn new(choices: &'a [u8]) -> Self {
        Self { choices: choices.iter().cycle(), requires_credentials: false }
    }

    /// Returns a peer whose servers at some addresses require credentials.
    pub(super) fn with_credentials(choices: &'a [u8]) -> Self {
        Self { requires_credentials: true, ..Self::new(choices) }
    }

    /// Returns the next byte of the choices, which repeat.
    pub(super) fn choice(&mut self) -> u8 {
        self.choices.next().copied().unwrap_or_default()
    }

    /// Returns the steps that follow an output of the machine.
    pub(super) fn answer<E>(&mut self, now: Instant, output: &Output<E>) -> Vec<Step> {
        let later = now + Duration::from_millis(u64::from(self.choice() & 0x7f));
        match output {
            Output::Socket(SocketOrder::Open(open)) => {
                let local = if open.local.port() == 0 { here(open.local) } else { open.local };
                let refused = self.choice() & 0x1f == 0x1f;
                let event =
                    if refused { SocketEvent::Refused(Refusal::AddressInUse) } else { SocketEvent::Opened { local } };
                vec![Step::socket_event(later, open.id, event)]
            }
            Output::Transmit(sent) => self.reply(later, sent),
            Output::Socket(_) | Output::Event(_) | Output::Wait(_) => Vec::new(),
        }
    }

    fn reply(&mut self, at: Instant, sent: &Transmit) -> Vec<Step> {
        let Ok(request) = Message::decode(&sent.payload) else { return Vec::new() };
        if request.class() != Class::Request {
            return Vec::new();
        }
        let shape = self.choice();
        let other = ADDRESSES[1].parse().unwrap_or(sent.remote);
        let changed = request.change_request().is_some_and(|change| change.ip || change.port);
        let from = if changed || shape & 0x0f == 0x0f { other } else { sent.remote };
        let class = if shape & 0x70 == 0x70 { Class::ErrorResponse } else { Class::SuccessResponse };
        let local = here(sent.remote);
        let authenticator = Some(sent.remote).filter(|_| self.requires_credentials).and_then(authenticator);
        let payload = match authenticator {
            Some(authenticator) => authenticated_response(&authenticator, at, &request, class, local, other),
            None => response(&request, class, local, from, other),
        };
        let Some(mut payload) = payload else { return Vec::new() };
        let place = self.choice();
        if place & 0x1f == 0x1f {
            // The network changes one bit.
            let at = usize::from(self.choice()) % payload.len();
            payload[at] ^= 1 << (place >> 5);
        }
        let datagram = Datagram::new(sent.socket, local, from, &payload);
        let step = if shape & 0x80 == 0 {
            Step::input(at, Input::Datagram(datagram))
        } else {
            Step::new(at, Action::Stream(datagram.into()))
        };
        vec![step; usize::from(shape & 3)]
    }
}

/// Returns the address of the host in the family of `like`.
fn here(like: SocketAddr) -> SocketAddr {
    let ip: std::net::IpAddr =
        if like.is_ipv4() { [198, 51, 100, 7].into() } else { [0x2001, 0xdb8, 7, 0, 0, 0, 0, 1].into() };
    SocketAddr::new(ip, 40_000)
}

/// Returns the response of a server that requires credentials: a challenge, or a response with integrity. An error
/// response to a valid request is a redirection (300).
fn authenticated_response(
    authenticator: &Authenticator,
    at: Instant,
    request: &Message<'_>,
    class: Class,
    mapped: SocketAddr,
    other: SocketAddr,
) -> Option<Vec<u8>> {
    let mut buffer = [0; Authenticator::REJECTION_LEN];
    let admitted = match authenticator.judge(at, mapped, request) {
        Judgement::Admitted(admitted) => admitted,
        Judgement::Rejected(why) => {
            return Some(authenticator.write_rejection(&mut buffer, at, mapped, request, why).ok()?.to_vec());
        }
        Judgement::Discarded(_) => return None,
    };
    let outcome = if class == Class::ErrorResponse { ResponseClass::Error } else { ResponseClass::Success };
    let mut writer = Writer::response(&mut buffer, &admitted.message, outcome).ok()?;
    if outcome == ResponseClass::Error {
        writer.add(&Attribute::ErrorCode(ErrorCode::recommended(300)?)).ok()?;
        writer.add(&Attribute::AlternateServer(other)).ok()?;
    } else {
        writer.add(&Attribute::XorMappedAddress(mapped)).ok()?;
    }
    Some(admitted.signature.finish(writer, request.has_fingerprint()).ok()?.to_vec())
}

fn response(
    request: &Message<'_>,
    class: Class,
    mapped: SocketAddr,
    origin: SocketAddr,
    other: SocketAddr,
) -> Option<Vec<u8>> {
    let mut buffer = [0; 256];
    let mut writer = Writer::new(&mut buffer, class, request.method(), request.transaction_id()).ok()?;
    writer.add(&Attribute::XorMappedAddress(mapped)).ok()?;
    writer.add(&Attribute::ResponseOrigin(origin)).ok()?;
    writer.add(&Attribute::OtherAddress(other)).ok()?;
    Some(writer.finish().to_vec())
}
