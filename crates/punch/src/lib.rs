//! UDP hole punching, sans-IO.

#![no_std]
#![forbid(unsafe_code)]
