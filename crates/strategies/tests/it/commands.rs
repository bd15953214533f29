//! Law 9 for each command of the workspace: the text of a command is parsed as the same command.

use core::fmt;
use core::time::Duration;
use portolan_machine::{Either, Script, SocketId};
use portolan_nat::discovery::MeasurementCommand;
use portolan_sim::laws;
use portolan_stun::{ChangeRequest, TransactionId};
use portolan_stun_agent::{AnswerFrom, Request, ResponderCommand, Schedule, TransactionCommand};

fn assert_survives<C: Script + PartialEq + fmt::Debug>(command: &C) {
    assert_eq!(laws::a_command_survives_its_text(command, &[]), Ok(()), "{command:?}");
}

#[test]
fn commands_of_the_responder_and_of_discovery_survive_their_text() {
    assert_survives(&ResponderCommand::Start);
    assert_survives(&ResponderCommand::Stop);
    assert_survives(&MeasurementCommand::Start);
    assert_survives(&MeasurementCommand::Stop);
    assert_survives(&Either::<MeasurementCommand, ResponderCommand>::First(MeasurementCommand::Stop));
    assert_survives(&Either::<MeasurementCommand, ResponderCommand>::Second(ResponderCommand::Stop));
}

#[test]
fn commands_of_transactions_survive_their_text() {
    let server = "[2001:db8::1]:3478".parse().expect("an address");
    let request = Request::binding(SocketId(3), server, 7_u8)
        .schedule(Schedule::at_millis([0, 100]).every(Duration::from_millis(250)).until(Duration::from_secs(2)))
        .from(AnswerFrom::AnyReported)
        .change(ChangeRequest::PORT)
        .fingerprint();
    assert_survives(&TransactionCommand::Request(request.clone()));
    assert_survives(&TransactionCommand::<u8>::Cancel(TransactionId::from([9; 12])));
    assert_survives(&TransactionCommand::<u8>::SetTail(TransactionId::from([9; 12]), Duration::from_nanos(1)));
    assert_survives(&Either::<TransactionCommand<u8>, MeasurementCommand>::First(TransactionCommand::Request(request)));
}
