//! Law 9 for each command of the workspace: its text holds all of it.

use core::fmt;
use core::time::Duration;
use portolan_machine::{Either, Script, SocketId};
use portolan_nat::discovery::MeasurementCommand;
use portolan_sim::laws;
use portolan_stun::{ChangeRequest, TransactionId};
use portolan_stun_agent::{AnswerFrom, Request, ResponderCommand, Schedule, TransactionCommand};

fn survives<C: Script + PartialEq + fmt::Debug>(command: &C) {
    assert_eq!(laws::a_command_survives_its_text(command, &[]), Ok(()), "{command:?}");
}

#[test]
fn commands_of_the_servers_and_of_discovery() {
    survives(&ResponderCommand::Start);
    survives(&ResponderCommand::Stop);
    survives(&MeasurementCommand::Start);
    survives(&MeasurementCommand::Stop);
    survives(&Either::<MeasurementCommand, ResponderCommand>::First(MeasurementCommand::Stop));
    survives(&Either::<MeasurementCommand, ResponderCommand>::Second(ResponderCommand::Stop));
}

#[test]
fn commands_of_transactions() {
    let server = "[2001:db8::1]:3478".parse().expect("an address");
    let request = Request::binding(SocketId(3), server, 7_u8)
        .schedule(Schedule::at_millis([0, 100]).every(Duration::from_millis(250)).until(Duration::from_secs(2)))
        .from(AnswerFrom::AnyReported)
        .change(ChangeRequest::PORT)
        .fingerprint();
    survives(&TransactionCommand::Request(request.clone()));
    survives(&TransactionCommand::<u8>::Cancel(TransactionId::from([9; 12])));
    survives(&TransactionCommand::<u8>::SetTail(TransactionId::from([9; 12]), Duration::from_nanos(1)));
    survives(&Either::<TransactionCommand<u8>, MeasurementCommand>::First(TransactionCommand::Request(request)));
}
