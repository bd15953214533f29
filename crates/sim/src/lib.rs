//! A deterministic network simulator in virtual time: hosts, links, NATs, and STUN servers with or without faults.
//!
//! # Limits
//!
//! The simulator opens no socket, reads no clock, starts no thread and never sleeps: the cost of a run depends on its
//! packets, not on its virtual time. All random choices follow from the seed. No packet leaves the process.
//!
//! The simulator has no congestion control, no fragmentation and no loss of TCP segments. Each datagram crosses a link
//! separately; a stream is a pipe with a receive window. STUN is the only protocol that the simulator decodes, for its
//! servers and stories. The RNGs are for tests only: they are not cryptographic.
//!
//! # Features
//!
//! * The simulator runs machines ([`portolan_machine::Machine`]) on hosts behind any number of nested gateways. The
//!   clock jumps from wake-up to wake-up.
//! * Links delay, lose, duplicate and reorder packets, and have a bandwidth and a queue ([`link`]).
//! * Gateways translate, filter or block packets, with the behaviors of RFC 4787 ([`gateway`]).
//! * Servers are correct, or have one of two dozen faults that were observed on public servers ([`server`]).
//! * A run can be recorded as a [`story`], and a [`net::Ledger`] accounts for every packet.
//! * [`laws`] checks the rules that every machine must keep.
//! * [`topology`] has presets of common networks.
//!
//! ```
//! use core::net::SocketAddr;
//! use core::time::Duration;
//! use portolan_machine::{
//!     Cx, Input, Machine, Never, Open, Outbox, Output, Protocol, SocketEvent, SocketOrder, Transmit, Verdict,
//! };
//! use portolan_sim::{Preset, Topology};
//! use portolan_stun::{Class, Message, Method, Writer};
//!
//! /// Sends one Binding request and reports the mapped address.
//! struct Asker { server: SocketAddr, out: Outbox<SocketAddr> }
//!
//! impl Machine for Asker {
//!     type Command = Never;
//!     type Error = Never;
//!     type Event = SocketAddr;
//!
//!     fn command(&mut self, _: &mut Cx<'_>, command: Never) -> Result<(), Never> { match command {} }
//!
//!     fn handle(&mut self, cx: &mut Cx<'_>, input: Input<'_>) -> Verdict {
//!         match input {
//!             Input::Socket(socket, SocketEvent::Opened { .. }) => {
//!                 let mut buffer = [0; 20];
//!                 let id = cx.random::<12>().into();
//!                 let request = Writer::new(&mut buffer, Class::Request, Method::BINDING, id).unwrap().finish();
//!                 self.out.push(Output::Transmit(Transmit::new(socket, self.server, request.to_vec().into())));
//!             }
//!             Input::Datagram(d) => {
//!                 let answer = Message::decode(d.payload).ok().and_then(|message| message.xor_mapped_address());
//!                 if let Some(seen) = answer { self.out.push(Output::Event(seen)) }
//!             }
//!             _ => return Verdict::NotMine,
//!         }
//!         Verdict::Mine
//!     }
//!
//!     fn poll(&mut self) -> Output<SocketAddr> { self.out.pop().unwrap_or(Output::Wait(None)) }
//! }
//!
//! let server: SocketAddr = "50.0.0.1:3478".parse()?;
//! let mut lab = Topology::preset(Preset::Cgnat).build(1, Asker { server, out: Outbox::new() });
//! lab.net.record_story();
//! lab.net.with(lab.client, |asker, cx| {
//!     let order = Open::new(cx.next_socket(), Protocol::Udp, "0.0.0.0:0".parse().unwrap()).towards(server);
//!     asker.out.push(Output::Socket(SocketOrder::Open(order)));
//! });
//! let _stop = lab.net.run_for(Duration::from_secs(1));
//!
//! let seen = &lab.net.events()[0];
//! assert_eq!(seen.event.ip().to_string(), "85.0.0.1", "the carrier's address, through two NATs");
//! assert_eq!(seen.at.to_string(), "0.050s");
//! assert!(lab.net.story().contains("carrier      new mapping 100.64.0.2:"));
//! # Ok::<(), core::net::AddrParseError>(())
//! ```
//!
//! # Cost
//!
//! A run of a client that sends fifty requests through a NAT takes about 16 µs of processor time, or 160 ns a datagram.
//! This includes the work of the client and of the servers. The example `throughput` measures it. A net is built once
//! and [reset](Net::reset) for each run; the reset allocates nothing.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub(crate) mod clock;
pub mod entropy;
pub mod gateway;
pub(crate) mod host;
pub mod laws;
pub mod link;
pub(crate) mod map;
pub mod net;
pub(crate) mod packet;
pub mod server;
pub mod story;
pub mod topology;

pub use gateway::{Barrier, Gateway};
pub use link::{Link, Wire, WireStats};
pub use net::{EventRecord, HostId, Ledger, Net, SegmentId, ServerId, Stop, StreamBacklog, StreamStats};
pub use server::{Fault, Server};
pub use story::{
    EntryKind, NoteRecord, PacketFate, PacketRecord, Story, StoryEntry, StrandedReason, StreamFate, StreamRecord,
};
pub use topology::{Lab, Preset, Topology};
