//! `Transactions` in the middle of conversations, with credentials and without, under the watch and by lot under a law.

use super::credentials::credential;
use super::peer::Peer;
use crate::feed::Feed;
use crate::flawed::{Flaw, Flawed};
use crate::watched::play;
use portolan_machine::{Script, SocketId};
use portolan_sim::laws::Context;
use portolan_stun::{ChangeRequest, TransactionId};
use portolan_stun_agent::{AnswerFrom, Request, Schedule, TransactionCommand, Transactions};
use std::time::Duration;

/// Plays what the bytes say; says whether anything came of it.
pub fn run(bytes: &[u8]) -> bool {
    let mut feed = Feed::new(bytes);
    let sockets = [SocketId(1), SocketId(2), SocketId(3)];
    let context = Context { seed: u64::from(feed.word()), handed_in: &sockets, ..Context::default() };
    let script = feed.script(12, sockets.len(), |feed| any_command(feed).to_text());
    let factory = || Flawed::new(Transactions::<u8>::new(), Flaw::OldDeadline);
    let mut peer = Peer::guarded(bytes);
    let whole = play(bytes, &factory, &script, &context, 40, |at, output| peer.answer(at, output));
    whole.len() > script.len()
}

fn any_command(feed: &mut Feed<'_>) -> TransactionCommand<u8> {
    let kind = feed.byte();
    match command(feed) {
        TransactionCommand::Request(request) if kind & 3 != 0 => {
            TransactionCommand::RequestWith(request, credential(kind >> 2 & 7))
        }
        command => command,
    }
}

fn command(feed: &mut Feed<'_>) -> TransactionCommand<u8> {
    match feed.byte() & 7 {
        0 => TransactionCommand::Cancel(TransactionId::from([feed.byte() & 7; 12])),
        1 => TransactionCommand::SetTail(
            TransactionId::from([feed.byte() & 7; 12]),
            Duration::from_millis(feed.word().into()),
        ),
        _ => TransactionCommand::Request(request(feed)),
    }
}

fn request(feed: &mut Feed<'_>) -> Request<u8> {
    let request = Request::binding(SocketId(1 + feed.below(3) as u64), feed.place(), feed.byte());
    let request = match feed.byte() & 3 {
        0 => request.schedule(Schedule::rfc8489()),
        1 => request.schedule(Schedule::reliable(Duration::from_millis(feed.word().into()))),
        2 => request.schedule(Schedule::at_millis([0, feed.word().into(), feed.word().into()]).repeat(feed.flag())),
        _ => request.schedule(Schedule::at_millis([0]).every(Duration::from_millis(250)).until(Duration::from_secs(5))),
    };
    let request = match feed.byte() & 3 {
        0 => request.from(AnswerFrom::Exactly(feed.place())),
        1 => request.from(AnswerFrom::AnyReported),
        _ => request.from(AnswerFrom::SameAsDestination),
    };
    if feed.flag() { request.change(ChangeRequest::PORT) } else { request.fingerprint() }
}
