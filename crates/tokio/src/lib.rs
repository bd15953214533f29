//! One tokio driver for any portolan machine: sockets, clock, dice, tracing. No protocol knowledge.
