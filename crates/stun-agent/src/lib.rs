//! What STUN agents do, sans-IO: transactions, with credentials where they are asked for, and the Binding and NAT
//! behaviour responder.
//!
//! # What this crate refuses to do
//!
//! It reads no clock, has no RNG and owns no socket: a driver does, see [`portolan_machine`]. It draws no conclusion about
//! the network: the type of NAT and the usable paths are the task of its callers. A response from an unexpected address is
//! reported, never accepted. A request with a credential accepts only verified responses. The crate never
//! sends a password or shows one in `Debug` or `Display`, never answers a response or an indication, and never
//! sends a reply to another host than the one that asked. Its responder knows no RFC 3489, keeps of passwords only keys,
//! and where it asks for credentials it does nothing for those that prove none.
//!
//! # What it does
//!
//! * [`Transactions`]: requests, retransmitted by their [`Schedule`], matched with their responses, checked for the sender,
//!   timed out (RFC 8489 §6.2, §6.3).
//! * [`credential`]: the client's half of the short-term and long-term mechanisms (RFC 8489 §9): requests are signed,
//!   answers verified, challenges answered within bounds and never for less than before, verified redirections followed
//!   (§10). A [`Credential`] goes beside a request: [`Transactions::request_with`],
//!   [`TransactionCommand::RequestWith`].
//! * [`Query`]: one Binding request to one server, with the socket, the deadline and the decoded response.
//! * [`Responder`]: a server for Binding (RFC 8489) and NAT behaviour discovery (RFC 5780), over UDP and TCP, each source
//!   at its [`Rate`].
//! * [`Authenticator`]: the server half of the credential mechanisms (RFC 8489 §9.1.3, §9.2.4), pure and usable alone: it
//!   returns the user of a request, or the rejection. A responder takes one in [`ResponderConfig::credentials`].
//! * [`nonce`] and [`alternate`]: two more parts that are pure and stand alone: a server's nonces that need no memory, and
//!   a client's guard against redirections in circles.
//!
//! [`Transactions`], [`Query`] and [`Responder`] are machines: everything that happens goes in by `handle`, `stream` or `command`,
//! everything that they do comes out of `poll`.
//!
//! ```
//! use portolan_machine::{Cx, Datagram, Entropy, Input, Instant, Machine, Output, SocketId, SocketIds, Verdict};
//! use portolan_stun_agent::{TransactionEvent, Request, Responder, ResponderConfig, Transactions};
//!
//! struct Counting(u8);
//! impl Entropy for Counting {
//!     fn fill(&mut self, out: &mut [u8]) {
//!         self.0 += 1;
//!         out.fill(self.0);
//!     }
//! }
//!
//! // A client and a server, and nothing between them but this program.
//! let (mut rng, mut ids) = (Counting(0), SocketIds::new());
//! let (client, server) = ("198.51.100.7:40000".parse()?, "192.0.2.1:3478".parse()?);
//! let mut asker = Transactions::<u8>::new();
//! let mut responder = Responder::over(&ResponderConfig::new().listen(server), |_| SocketId(2))?;
//!
//! let mut cx = Cx::new(Instant::ORIGIN, &mut rng, &mut ids);
//! asker.request(&mut cx, Request::binding(SocketId(1), server, 7))?;
//! let Output::Transmit(request) = asker.poll() else { panic!("a request") };
//! let there = Datagram::new(SocketId(2), server, client, &request.payload);
//! assert_eq!(responder.handle(&mut cx, Input::Datagram(there)), Verdict::Mine);
//! let Output::Transmit(reply) = responder.poll() else { panic!("a reply") };
//! let back = Datagram::new(SocketId(1), client, server, &reply.payload);
//! assert_eq!(asker.handle(&mut cx, Input::Datagram(back)), Verdict::Mine);
//! let Output::Event(TransactionEvent::Answered(answer)) = asker.poll() else { panic!("an answer") };
//! assert_eq!(portolan_stun::Message::decode(&answer.message)?.xor_mapped_address(), Some(client));
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod alternate;
pub mod authenticator;
pub mod credential;
pub mod error;
pub mod event;
mod framing;
mod hex;
pub mod nonce;
pub mod note;
pub mod query;
pub mod rate;
pub mod responder;
pub mod schedule;
mod source;
pub mod transaction;

pub use authenticator::{Authenticator, Users};
pub use credential::{ChallengeError, Credential, Mechanism};
pub use error::{QueryError, RequestError, ResponderConfigError, ResponderError};
pub use event::{Answer, ResponderEvent, SocketLoss, TransactionEvent, Unusable};
pub use note::{Dropped, ResponderDropped, ResponderNote, TransactionEnd, TransactionNote};
pub use portolan_stun::TransactionId;
pub use query::{
    ErrorResponse, Query, QueryCommand, QueryConfig, QueryEvent, QueryFailure, QueryResponse, ResponseFacts,
};
pub use rate::Rate;
pub use responder::{DroppedStats, RejectedStats, Responder, ResponderCommand, ResponderConfig, Stats, StreamStats};
pub use schedule::{Schedule, ScheduleParseError};
pub use transaction::{AnswerFrom, AnswerOn, Request, Seal, TransactionCommand, Transactions};
