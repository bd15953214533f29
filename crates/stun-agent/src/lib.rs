//! Sans-IO STUN agents: client transactions with or without credentials, and a responder for Binding and NAT
//! behaviour discovery.
//!
//! # Scope
//!
//! This crate reads no clock, has no RNG and owns no socket: the driver has them, see [`portolan_machine`]. It draws
//! no conclusion about the network, such as the type of a NAT. A response from an unexpected address is reported,
//! never accepted. A request with a credential accepts only verified responses. A password is never sent, and `Debug`
//! and `Display` never print it. The responder sends no reply to a response or an indication, and no reply to another
//! host than the client. It does not support RFC 3489. It stores keys instead of passwords. If it requires
//! credentials, it serves only authenticated requests.
//!
//! # Contents
//!
//! * [`Transactions`]: retransmits requests by their [`Schedule`], matches responses, checks their sender, and times
//!   requests out (RFC 8489 §6.2, §6.3).
//! * [`credential`]: the client side of the short-term and long-term mechanisms (RFC 8489 §9). It adds integrity to
//!   requests, verifies responses, and follows verified redirections (§10). The number of retries after challenges is
//!   bounded, and no challenge lowers the security. A [`Credential`] is passed together with a request:
//!   [`Transactions::request_with`], [`TransactionCommand::RequestWith`].
//! * [`Query`]: one Binding request to one server, with its socket, its deadline and the decoded response.
//! * [`Responder`]: a server for Binding (RFC 8489) and NAT behaviour discovery (RFC 5780) over UDP and TCP, with a
//!   [`Rate`] limit for each source.
//! * [`Authenticator`]: the server side of the credential mechanisms (RFC 8489 §9.1.3, §9.2.4). It returns the user
//!   of a request or the reason of its rejection. It is pure and usable without a responder.
//!   [`ResponderConfig::credentials`] sets the authenticator of a responder.
//! * [`binding`]: the response to a Binding request. It is pure and usable without a responder.
//! * [`framing`]: splits a byte stream into STUN messages and ChannelData. It is pure and usable alone.
//! * [`rate::Limiter`] and [`source::Source`]: the token buckets of all sources of a server, and what counts as one
//!   source.
//! * [`TimedKeys`](authenticator::TimedKeys): keys of time-limited credentials, without a table of users.
//! * [`nonce`]: nonces for which a server stores no state. It is pure and usable alone.
//! * [`alternate`]: detects redirection loops for a client. It is pure and usable alone.
//!
//! [`Transactions`], [`Query`] and [`Responder`] are machines: `handle`, `stream` and `command` take the inputs, and
//! `poll` returns the outputs.
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
//! // A client and a server in one program, without a network.
//! let (mut rng, mut ids) = (Counting(0), SocketIds::new());
//! let (client, server) = ("198.51.100.7:40000".parse()?, "192.0.2.1:3478".parse()?);
//! let mut transactions = Transactions::<u8>::new();
//! let mut responder = Responder::over(&ResponderConfig::new().listen(server), |_| SocketId(2))?;
//!
//! let mut cx = Cx::new(Instant::ORIGIN, &mut rng, &mut ids);
//! transactions.request(&mut cx, Request::binding(SocketId(1), server, 7))?;
//! let Output::Transmit(request) = transactions.poll() else { panic!("expected a request") };
//! let request = Datagram::new(SocketId(2), server, client, &request.payload);
//! assert_eq!(responder.handle(&mut cx, Input::Datagram(request)), Verdict::Mine);
//! let Output::Transmit(response) = responder.poll() else { panic!("expected a response") };
//! let response = Datagram::new(SocketId(1), client, server, &response.payload);
//! assert_eq!(transactions.handle(&mut cx, Input::Datagram(response)), Verdict::Mine);
//! let Output::Event(TransactionEvent::Answered(response)) = transactions.poll() else { panic!("expected an event") };
//! assert_eq!(portolan_stun::Message::decode(&response.message)?.xor_mapped_address(), Some(client));
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod alternate;
pub mod authenticator;
pub mod binding;
pub mod credential;
pub mod error;
pub mod event;
pub mod framing;
pub mod nonce;
pub mod note;
pub mod query;
pub mod rate;
pub mod responder;
pub mod schedule;
pub mod source;
pub mod stream_table;
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
