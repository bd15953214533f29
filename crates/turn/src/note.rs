//! The notes of the machines: diagnostics for a log.
//!
//! ```
//! use portolan_machine::Explain;
//! use portolan_turn::ClientNote;
//!
//! let note = ClientNote::Releasing { server: "192.0.2.1:3478".parse()? };
//! assert_eq!(note.code(), "allocation-releasing");
//! # Ok::<(), core::net::AddrParseError>(())
//! ```

mod client;

pub use client::{ClientDropped, ClientNote};
