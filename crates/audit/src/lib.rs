//! An audit of one STUN server: the clauses of RFC 8489 and RFC 5780 that the server honours, and its amplification.
//!
//! # Limits
//!
//! The crate reads no clock, has no RNG and owns no socket. It draws no conclusion about the network. If loss, a
//! filter or a NAT can be the reason for a result, the outcome is unknown and not a violation.
//!
//! # What it does
//!
//! [`Audit`] is a machine. It sends a fixed set of probes, at most [`Audit::MAX_DATAGRAMS`] datagrams in all. It
//! sends at most ten new requests in any second (RFC 5780 §5). At usual round trip times an audit ends within three
//! seconds. It ends with a [`Report`], which has a [`Finding`] for each [`Check`].
//!
//! [`turn::TurnAudit`] is a second machine: it attacks the TURN server of its owner.
//!
//! A control is a bare request that is repeated during the whole audit. Its responses show the loss. A missing
//! response to another probe counts only together with the control.
//!
//! ```
//! use portolan_machine::{Cx, Entropy, Input, Instant, Machine, Output, SocketIds, SocketEvent, SocketOrder};
//! use portolan_audit::{Audit, AuditConfig};
//! # struct Counting(u8);
//! # impl Entropy for Counting { fn fill(&mut self, out: &mut [u8]) { self.0 += 1; out.fill(self.0) } }
//!
//! let (mut rng, mut ids) = (Counting(0), SocketIds::new());
//! let mut audit = Audit::new(AuditConfig::new("192.0.2.1:3478".parse()?).tcp(false));
//! let mut cx = Cx::new(Instant::ORIGIN, &mut rng, &mut ids);
//! audit.start(&mut cx)?;
//! for local in ["198.51.100.7:40000", "198.51.100.7:40001"] {
//!     let Output::Socket(SocketOrder::Open(open)) = audit.poll() else { panic!("two sockets") };
//!     audit.handle(&mut cx, Input::Socket(open.id, SocketEvent::Opened { local: local.parse()? }));
//! }
//! let Output::Transmit(first) = audit.poll() else { panic!("the control is sent first") };
//! assert_eq!((first.remote.to_string().as_str(), first.payload.len()), ("192.0.2.1:3478", 20));
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```

#![no_std]
#![forbid(unsafe_code)]
#![expect(clippy::wildcard_enum_match_arm, reason = "the wildcard stands for all probes without a special case")]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod audit;
pub mod check;
pub mod error;
pub mod event;
mod evidence;
mod judge;
pub mod note;
mod plan;
pub mod probe;
pub mod report;
#[cfg(feature = "serde")]
mod serialize;
pub mod turn;

pub use audit::{Audit, AuditCommand, AuditConfig};
pub use check::{Check, Implausible, Outcome, UnknownReason, Violation};
pub use error::AuditError;
pub use event::AuditEvent;
pub use note::AuditNote;
pub use probe::{Probe, UnknownProbe};
pub use report::{Amplification, ControlStats, Credentials, Finding, Report, Summary, Traffic};
