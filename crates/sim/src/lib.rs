//! A virtual internet in virtual time: hosts, links, NATs, servers honest and lying; repeatable byte for byte.
//!
//! # What this crate refuses to do
//!
//! It opens no socket, reads no clock, starts no thread and sleeps for nobody: an hour of its time takes as long as what
//! happens in it. Nothing in it is random but by the seed, and nothing leaves the process. It models no congestion control,
//! no fragments and no loss of TCP segments: datagrams cross links one by one, streams are pipes with a window. It knows no
//! protocol but STUN, which it needs for its servers and stories. Its dice are fit for tests and nothing else.
//!
//! # What it does
//!
//! It runs machines ([`portolan_machine::Machine`]) on hosts behind gateways behind gateways, and leaps from wake-up to
//! wake-up. Links delay, lose, double and reorder, and have a bandwidth and a queue ([`link`]); gateways translate, filter or block by the words of
//! RFC 4787 ([`gateway`]); servers tell the truth or do one of two dozen things that servers have been seen to do
//! ([`server`]). A run can be told as a [`story`]; a [`net::Ledger`] accounts for every packet; [`laws`] checks what any
//! machine must keep. Ready-made networks stand in [`topology`].
//!
//! ```
//! use core::net::SocketAddr;
//! use core::time::Duration;
//! use portolan_machine::{
//!     Cx, Input, Machine, Never, Open, Outbox, Output, Protocol, SocketNews, SocketOrder, Transmit, Verdict,
//! };
//! use portolan_sim::{Preset, Topology};
//! use portolan_stun::{Class, Message, Method, Writer};
//!
//! /// Asks a server where it is seen from, once.
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
//!             Input::Socket(socket, SocketNews::Opened { .. }) => {
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
//! # What it costs
//!
//! A client that asks fifty questions through a NAT takes some 16 µs of processor time a run, about 160 ns a datagram,
//! its own work and the servers' included: the example `throughput` measures it. A network is built once and
//! [reset](Net::reset) for each run, which allocates nothing.

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
pub use story::Story;
pub use topology::{Lab, Preset, Topology};
