//! STUN (RFC 8489) bytes to meaning and back: no allocator, no I/O, no panics.
