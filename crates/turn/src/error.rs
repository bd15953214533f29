//! The errors of commands and configurations.
//!
//! ```
//! use portolan_turn::ClientError;
//!
//! assert_eq!(ClientError::NotAllocated.to_string(), "there is no allocation at the moment");
//! ```

mod client;

pub use client::ClientError;
