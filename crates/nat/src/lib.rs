//! NAT behaviour in the words of RFC 4787: a NAT as plain data, and the sans-IO machine that finds out which one is in front of you.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod behavior;
pub mod discovery;
pub mod error;
pub mod event;
pub mod lifetime;
pub mod note;
pub mod profile;
pub mod translator;
