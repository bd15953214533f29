//! Plays scripts of `Transactions`, with and without credentials, and checks the laws of machines.

use super::credentials::credential;
use super::peer::Peer;
use crate::byte_reader::ByteReader;
use crate::flawed::{Flaw, Flawed};
use crate::monitor::play;
use portolan_machine::{Script, SocketId};
use portolan_sim::laws::Context;
use portolan_stun::{ChangeRequest, TransactionId};
use portolan_stun_agent::{AnswerFrom, Request, Schedule, TransactionCommand, Transactions};
use std::time::Duration;

/// Plays the script of the bytes. Returns whether the run has more steps than the script.
pub fn run(bytes: &[u8]) -> bool {
    let mut reader = ByteReader::new(bytes);
    let sockets = [SocketId(1), SocketId(2), SocketId(3)];
    let context = Context { seed: u64::from(reader.word()), handed_in: &sockets, ..Context::default() };
    let script = reader.script(12, sockets.len(), |reader| any_command(reader).to_text());
    let factory = || Flawed::new(Transactions::<u8>::new(), Flaw::PastDeadline);
    let mut peer = Peer::with_credentials(bytes);
    let whole = play(bytes, &factory, &script, &context, 40, |at, output| peer.answer(at, output));
    whole.len() > script.len()
}

fn any_command(reader: &mut ByteReader<'_>) -> TransactionCommand<u8> {
    let kind = reader.byte();
    match command(reader) {
        TransactionCommand::Request(request) if kind & 3 != 0 => {
            TransactionCommand::RequestWith(request, credential(kind >> 2 & 7))
        }
        command => command,
    }
}

fn command(reader: &mut ByteReader<'_>) -> TransactionCommand<u8> {
    match reader.byte() & 7 {
        0 => TransactionCommand::Cancel(TransactionId::from([reader.byte() & 7; 12])),
        1 => TransactionCommand::SetTail(
            TransactionId::from([reader.byte() & 7; 12]),
            Duration::from_millis(reader.word().into()),
        ),
        _ => TransactionCommand::Request(request(reader)),
    }
}

fn request(reader: &mut ByteReader<'_>) -> Request<u8> {
    let request = Request::binding(SocketId(1 + reader.below(3) as u64), reader.known_address(), reader.byte());
    let request = match reader.byte() & 3 {
        0 => request.schedule(Schedule::rfc8489()),
        1 => request.schedule(Schedule::reliable(Duration::from_millis(reader.word().into()))),
        2 => {
            request.schedule(Schedule::at_millis([0, reader.word().into(), reader.word().into()]).repeat(reader.flag()))
        }
        _ => request.schedule(Schedule::at_millis([0]).every(Duration::from_millis(250)).until(Duration::from_secs(5))),
    };
    let request = match reader.byte() & 3 {
        0 => request.from(AnswerFrom::Exactly(reader.known_address())),
        1 => request.from(AnswerFrom::AnyReported),
        _ => request.from(AnswerFrom::SameAsDestination),
    };
    if reader.flag() { request.change(ChangeRequest::PORT) } else { request.fingerprint() }
}
