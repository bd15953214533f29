//! A virtual internet in virtual time: hosts, links, NATs, servers honest and lying; repeatable byte for byte.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod laws;
