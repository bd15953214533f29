//! A NAT device as plain data.
