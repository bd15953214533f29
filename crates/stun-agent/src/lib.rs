//! What STUN agents do, sans-IO: transactions, the Binding and NAT behaviour responder.

#![no_std]
#![forbid(unsafe_code)]
