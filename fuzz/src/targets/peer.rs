//! The other side of a machine's run: it opens sockets and answers requests, mostly as it should.

use crate::feed::PLACES;
use portolan_machine::{Datagram, Input, Instant, Output, Refusal, SocketNews, SocketOrder, Transmit};
use portolan_sim::laws::Step;
use portolan_stun::{Attribute, Class, Message, Writer};
use std::net::SocketAddr;
use std::time::Duration;

/// What the peer decides by: the run's own bytes, over and over.
#[derive(Debug)]
pub(super) struct Peer<'a> {
    choices: std::iter::Cycle<std::slice::Iter<'a, u8>>,
}

impl<'a> Peer<'a> {
    pub(super) fn new(choices: &'a [u8]) -> Self {
        Self { choices: choices.iter().cycle() }
    }

    fn choice(&mut self) -> u8 {
        self.choices.next().copied().unwrap_or_default()
    }

    /// What comes of an output.
    pub(super) fn answer<E>(&mut self, now: Instant, output: &Output<E>) -> Vec<Step> {
        let later = now + Duration::from_millis(u64::from(self.choice() & 0x7f));
        match output {
            Output::Socket(SocketOrder::Open(open)) => {
                let local = if open.local.port() == 0 { here(open.local) } else { open.local };
                let refused = self.choice() & 0x1f == 0x1f;
                let news =
                    if refused { SocketNews::Refused(Refusal::AddressInUse) } else { SocketNews::Opened { local } };
                vec![Step::news(later, open.id, news)]
            }
            Output::Transmit(sent) => self.reply(later, sent),
            Output::Socket(SocketOrder::Close(_)) | Output::Event(_) | Output::Wait(_) => Vec::new(),
        }
    }

    fn reply(&mut self, at: Instant, sent: &Transmit) -> Vec<Step> {
        let Ok(request) = Message::decode(&sent.payload) else { return Vec::new() };
        if request.class() != Class::Request {
            return Vec::new();
        }
        let shape = self.choice();
        let other = PLACES[1].parse().unwrap_or(sent.remote);
        let changed = request.change_request().is_some_and(|change| change.ip || change.port);
        let from = if changed || shape & 0x0f == 0x0f { other } else { sent.remote };
        let class = if shape & 0x70 == 0x70 { Class::ErrorResponse } else { Class::SuccessResponse };
        let local = here(sent.remote);
        let Some(payload) = response(&request, class, local, from, other) else { return Vec::new() };
        let datagram = Datagram { socket: sent.socket, local, remote: from, payload: &payload };
        let step = if shape & 0x80 == 0 { Input::Datagram(datagram) } else { Input::Stream(datagram) };
        vec![Step::input(at, step); usize::from(shape & 3)]
    }
}

/// The host's own address, of the family of `like`.
fn here(like: SocketAddr) -> SocketAddr {
    let ip: std::net::IpAddr =
        if like.is_ipv4() { [198, 51, 100, 7].into() } else { [0x2001, 0xdb8, 7, 0, 0, 0, 0, 1].into() };
    SocketAddr::new(ip, 40_000)
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
