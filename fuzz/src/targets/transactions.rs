//! `Transactions` in the middle of conversations, with credentials and without, under the watch and by lot under a law.

use super::credentials::credential;
use super::peer::Peer;
use crate::feed::Feed;
use crate::flawed::{Flaw, Flawed};
use crate::watched::play;
use portolan_machine::{Cx, Datagram, Input, Machine, Output, Script, ScriptError, SocketId, Verdict};
use portolan_sim::laws::Context;
use portolan_stun::{ChangeRequest, TransactionId};
use portolan_stun_agent::{
    AnswerFrom, Request, RequestError, Schedule, TextError, TransactionCommand, TransactionEvent, Transactions,
};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// Plays what the bytes say; says whether anything came of it.
pub fn run(bytes: &[u8]) -> bool {
    let mut feed = Feed::new(bytes);
    let sockets = [SocketId(1), SocketId(2), SocketId(3)];
    let context = Context { seed: u64::from(feed.word()), handed_in: &sockets, ..Context::default() };
    let script = feed.script(12, sockets.len(), |feed| ask(feed).to_string());
    let factory = || Flawed::new(Asker(Transactions::new()), Flaw::OldDeadline);
    let mut peer = Peer::guarded(bytes);
    let whole = play(bytes, &factory, &script, &context, 40, |at, output| peer.answer(at, output));
    whole.len() > script.len()
}

/// Requests that prove who asks are no commands, for a password has no text: here they are, by the number of a credential.
#[derive(Debug)]
struct Asker(Transactions<u8>);

/// A command, or a request with a credential: `prove 2 request …`.
enum Ask {
    Plain(TransactionCommand<u8>),
    Proving(u8, Request<u8>),
}

impl fmt::Display for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(command) => command.fmt(f),
            Self::Proving(kind, request) => write!(f, "prove {kind} {}", TransactionCommand::Request(request.clone())),
        }
    }
}

impl FromStr for Ask {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        let Some((kind, text)) = text.strip_prefix("prove ").and_then(|text| text.split_once(' ')) else {
            return text.parse().map(Self::Plain);
        };
        Ok(match (kind.parse(), text.parse()?) {
            (Ok(kind), TransactionCommand::Request(request)) => Self::Proving(kind, request),
            (_, command) => Self::Plain(command),
        })
    }
}

impl Script for Ask {
    fn write(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        write!(out, "{self}")
    }

    fn read(text: &str) -> Result<Self, ScriptError> {
        text.parse().map_err(|_| ScriptError::new("a command, or `prove KIND` and a command"))
    }
}

impl Machine for Asker {
    type Command = Ask;
    type Error = RequestError;
    type Event = TransactionEvent<u8>;

    fn command(&mut self, cx: &mut Cx<'_>, ask: Ask) -> Result<(), RequestError> {
        match ask {
            Ask::Plain(command) => self.0.command(cx, command),
            Ask::Proving(kind, request) => self.0.request_with(cx, request, credential(kind)).map(drop),
        }
    }

    fn handle(&mut self, cx: &mut Cx<'_>, input: Input<'_>) -> Verdict {
        self.0.handle(cx, input)
    }

    fn stream(&mut self, cx: &mut Cx<'_>, chunk: Datagram<'_>) -> Option<usize> {
        self.0.stream(cx, chunk)
    }

    fn poll(&mut self) -> Output<TransactionEvent<u8>> {
        self.0.poll()
    }
}

fn ask(feed: &mut Feed<'_>) -> Ask {
    let kind = feed.byte();
    match command(feed) {
        TransactionCommand::Request(request) if kind & 3 != 0 => Ask::Proving(kind >> 2 & 7, request),
        command => Ask::Plain(command),
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
