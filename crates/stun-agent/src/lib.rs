//! What STUN agents do, sans-IO: transactions, the Binding and NAT behaviour responder.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod error;
pub mod event;
mod framing;
pub mod note;
pub mod schedule;
pub mod transaction;

pub use error::RequestError;
pub use event::{Answer, Event, Loss, Unusable};
pub use note::{Dropped, Ending, Note};
pub use portolan_stun::TransactionId;
pub use schedule::{Schedule, ScheduleParseError};
pub use transaction::{AnswerFrom, AnswerOn, Command, Request, Seal, TextError, Transactions};
