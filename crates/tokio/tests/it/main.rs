//! The driver on real sockets: loopback, and network namespaces of the tests' own.

mod driving;
mod namespace;
mod puppet;
mod streams;
mod time;
mod tls;
mod udp;
