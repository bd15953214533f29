//! The portolan command: which NAT is in front of you, how sure that is, and why.
fn main() {}
