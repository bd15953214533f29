//! What STUN agents do, sans-IO: transactions, the Binding and NAT behaviour responder.
