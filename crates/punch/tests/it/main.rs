//! Peers, NATs and the introducer in virtual time.

mod rendezvous;
