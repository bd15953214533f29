//! Plays scripts of `Responder` with clients over UDP and streams, some of which answer challenges, and checks the
//! laws of machines.

use super::credentials::{authenticator, signed_request};
use super::peer::Peer;
use crate::byte_reader::{ADDRESSES, ByteReader};
use crate::flawed::{Flaw, Flawed};
use crate::monitor::play;
use portolan_machine::{Datagram, Input, Instant, Output, SocketOrder};
use portolan_sim::laws::{Action, Context, Step};
use portolan_stun::{Class, Message, Method, Writer};
use portolan_stun_agent::{Responder, ResponderCommand, ResponderConfig, ResponderEvent};
use std::time::Duration;

/// A client that sends a request when a socket opens, and answers a challenge with credentials.
fn client(at: Instant, output: &Output<ResponderEvent>, choice: u8) -> Option<Step> {
    let later = at + Duration::from_millis(200);
    let remote = ADDRESSES[4].parse().ok()?;
    match output {
        Output::Socket(SocketOrder::Open(open)) => {
            let mut buffer = [0; 32];
            let request = Writer::new(&mut buffer, Class::Request, Method::BINDING, [9; 12].into()).ok()?;
            Some(Step::datagram(later, open.id, open.local, remote, request.finish()))
        }
        Output::Transmit(sent) => {
            let reply = Message::decode(&sent.payload).ok().filter(|reply| reply.class() == Class::ErrorResponse)?;
            let mut request = signed_request(&reply, choice)?;
            if choice & 0xe0 == 0xe0 {
                let last = request.len() - usize::from(choice & 0x1f) - 1;
                request[last] ^= 1;
            }
            let local = ADDRESSES[0].parse().ok()?;
            let datagram = Datagram::new(sent.socket, local, sent.remote, &request);
            let is_stream = sent.socket.0 >= 100;
            Some(if is_stream {
                Step::new(later, Action::Stream(datagram.into()))
            } else {
                Step::input(later, Input::Datagram(datagram))
            })
        }
        Output::Socket(_) | Output::Event(_) | Output::Wait(_) => None,
    }
}

/// Plays the script of the bytes. Returns whether a response was sent.
pub fn run(bytes: &[u8]) -> bool {
    let mut reader = ByteReader::new(bytes);
    let shape = reader.byte();
    let place = |nth: usize| ADDRESSES[nth].parse().expect("an address");
    let mut config = ResponderConfig::new().listen(place(0));
    if shape & 1 == 0 {
        config = config.alternate(place(1));
    }
    if shape & 2 == 0 {
        config = config.streams(3);
    }
    if let Some(authenticator) = authenticator(place(usize::from(shape >> 2 & 3))) {
        config = config.credentials(authenticator);
    }
    let terminal = |event: &ResponderEvent| *event == ResponderEvent::Stopped;
    let context = Context { seed: u64::from(shape), terminal, ..Context::default() };
    let factory = || Flawed::new(Responder::new(&config).expect("a configuration"), Flaw::RepeatsTransmit);
    let mut script = vec![Step::command(Instant::ORIGIN, &ResponderCommand::Start)];
    script.extend(reader.script(14, 8, |reader| {
        if reader.byte() & 7 == 0 { ResponderCommand::Stop.to_string() } else { ResponderCommand::Start.to_string() }
    }));
    let mut peer = Peer::new(bytes);
    let mut answered = false;
    play(bytes, &factory, &script, &context, 40, |at, output| {
        answered |= matches!(output, Output::Transmit(_));
        let mut steps = peer.answer(at, output);
        steps.extend(client(at, output, peer.choice()));
        steps
    });
    answered
}
