//! `Responder` with clients over UDP and streams, under the watch and by lot under a law.

use super::peer::Peer;
use crate::feed::{Feed, PLACES};
use crate::flawed::{Flaw, Flawed};
use crate::watched::play;
use portolan_machine::{Instant, Output, SocketOrder};
use portolan_sim::laws::{Context, Step};
use portolan_stun::{Class, Method, Writer};
use portolan_stun_agent::{Authenticator, Responder, ResponderCommand, ResponderConfig, ResponderEvent, Users};
use std::time::Duration;

/// A client that asks as soon as there is whom to ask.
fn client(at: Instant, output: &Output<ResponderEvent>) -> Option<Step> {
    let Output::Socket(SocketOrder::Open(open)) = output else { return None };
    let mut buffer = [0; 32];
    let request = Writer::new(&mut buffer, Class::Request, Method::BINDING, [9; 12].into()).ok()?;
    let later = at + Duration::from_millis(200);
    let remote = PLACES[4].parse().ok()?;
    Some(Step::datagram(later, open.id, open.local, remote, request.finish()))
}

/// A server's users, under either mechanism.
fn authenticator(short_term: bool) -> Authenticator {
    let mut users = if short_term { Users::short_term() } else { Users::long_term("example.org") };
    users.add("evtj:h6vY", "VOkJxbRl1RmTxUk/WvJxBt").expect("a user");
    if short_term { Authenticator::short_term(users) } else { Authenticator::long_term("example.org", &[7; 32], users).expect("a realm") }
}

/// Plays what the bytes say; says whether it answered.
pub fn run(bytes: &[u8]) -> bool {
    let mut feed = Feed::new(bytes);
    let shape = feed.byte();
    let place = |nth: usize| PLACES[nth].parse().expect("an address");
    let mut config = ResponderConfig::new().listen(place(0));
    if shape & 1 == 0 {
        config = config.alternate(place(1));
    }
    if shape & 2 == 0 {
        config = config.streams(3);
    }
    if shape & 4 != 0 {
        config = config.credentials(authenticator(shape & 8 == 0));
    }
    let terminal = |event: &ResponderEvent| *event == ResponderEvent::Stopped;
    let context = Context { seed: u64::from(shape), terminal, ..Context::default() };
    let factory = || Flawed::new(Responder::new(&config).expect("a configuration"), Flaw::Parrot);
    let mut script = vec![Step::command(Instant::ORIGIN, &ResponderCommand::Start)];
    script.extend(feed.script(14, 8, |feed| {
        if feed.byte() & 7 == 0 { ResponderCommand::Stop.to_string() } else { ResponderCommand::Start.to_string() }
    }));
    let mut peer = Peer::new(bytes);
    let mut answered = false;
    play(bytes, &factory, &script, &context, 40, |at, output| {
        answered |= matches!(output, Output::Transmit(_));
        let mut steps = peer.answer(at, output);
        steps.extend(client(at, output));
        steps
    });
    answered
}
