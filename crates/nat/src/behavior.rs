//! The words of RFC 4787.
