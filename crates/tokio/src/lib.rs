//! One tokio driver for any [`Machine`](portolan_machine::Machine): real sockets, the system's clock and RNG, and notes
//! as tracing events.
//!
//! # Purpose
//!
//! A [`Driver`] owns a machine and the machine's sockets: UDP sockets, TCP and TLS streams, and listeners. UDP
//! datagrams are received and sent in batches where the platform supports batches.
//!
//! * The machine orders sockets. The caller can also pass in open sockets: [`Driver::adopt_udp`],
//!   [`Driver::adopt_stream`], [`Driver::adopt_listener`].
//! * [`Driver::next`] passes datagrams, stream bytes, socket states and timeouts to the machine. It executes the
//!   machine's outputs and returns the machine's next event.
//! * [`Driver::next_or_data`] also returns the bytes that the machine does not take.
//! * [`Driver::send`] sends bytes of the application on the machine's sockets.
//! * The futures are cancellation safe: a dropped future loses nothing.
//!
//! # Limits
//!
//! The driver implements no protocol and makes no decision: it does not retry, send keep-alives or choose a socket.
//! It resolves no names. It spawns no task and no thread, so nothing outlives the [`Driver`]. It connects no UDP
//! socket, has no unbounded queue, and contains no `unsafe` code.
//!
//! # Bounds and backpressure
//!
//! Every buffer is bounded:
//!
//! * Datagrams that the driver does not read stay in the system's receive buffer. When a UDP send buffer is full, the
//!   driver drops the datagram, makes a note and increments a counter.
//! * When the machine takes only a part of a stream's bytes, the driver stops reading the stream until the machine has
//!   taken the rest. Meanwhile the peer waits.
//! * A stream is full when more than 64 KiB wait to be sent on it. The driver does not read a full stream that a
//!   listener accepted. It reads opened and adopted streams even while they are full, so that two full ends of one
//!   stream do not wait for each other. The driver drops
//!   droppable payloads for a full stream whole ([`WhenFull`](portolan_machine::WhenFull)).
//! * A stream ends when more than 256 KiB wait to be sent on it
//!   ([`Closure::Overflow`](portolan_machine::Closure::Overflow)).
//!
//! # Features
//!
//! * `tls` (default): streams and listeners over TLS, with `rustls`. Without this feature the driver refuses orders for
//!   [`Protocol::Tls`](portolan_machine::Protocol::Tls) and
//!   [`Protocol::TlsListen`](portolan_machine::Protocol::TlsListen) with
//!   [`Refusal::Unsupported`](portolan_machine::Refusal::Unsupported).
//!
//! # Example
//!
//! An echo machine on loopback:
//!
//! ```
//! use portolan_machine::{Cx, Input, Machine, Never, Open, Outbox, Output, Protocol, SocketEvent, SocketOrder};
//! use portolan_machine::{Transmit, Verdict};
//! use std::net::SocketAddr;
//!
//! #[derive(Default)]
//! struct Echo(Outbox<SocketAddr>);
//! impl Machine for Echo {
//!     type Command = Never;
//!     type Error = Never;
//!     type Event = SocketAddr;
//!
//!     fn command(&mut self, _: &mut Cx<'_>, command: Never) -> Result<(), Never> {
//!         match command {}
//!     }
//!     fn handle(&mut self, _: &mut Cx<'_>, input: Input<'_>) -> Verdict {
//!         let _room = match input {
//!             Input::Datagram(d) => {
//!                 let back = Transmit::new(d.socket, d.remote, d.payload.to_vec().into());
//!                 self.0.offer(Output::Transmit(back))
//!             }
//!             Input::Socket(_, SocketEvent::Opened { local }) => self.0.offer(Output::Event(local)),
//!             _ => return Verdict::NotMine,
//!         };
//!         Verdict::Mine
//!     }
//!     fn poll(&mut self) -> Output<SocketAddr> {
//!         self.0.pop().unwrap_or(Output::Wait(None))
//!     }
//! }
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! let mut driver = portolan_tokio::Driver::new(Echo::default())?;
//! driver.with(|echo, cx| {
//!     let open = Open::new(cx.next_socket(), Protocol::Udp, ([127, 0, 0, 1], 0).into());
//!     echo.0.push(Output::Socket(SocketOrder::Open(open)));
//! });
//! let server = driver.next().await;
//! let client = tokio::net::UdpSocket::bind("127.0.0.1:0").await?;
//! client.send_to(b"ahoy", server).await?;
//! let mut answer = [0; 4];
//! tokio::select! { _ = driver.next() => {}, got = client.recv(&mut answer) => { got?; } }
//! assert_eq!(&answer, b"ahoy");
//! # Ok::<(), std::io::Error>(()) })?;
//! # Ok::<(), std::io::Error>(())
//! ```

#![forbid(unsafe_code)]

extern crate alloc;

mod clock;
mod config;
mod data;
mod driver;
mod entropy;
mod errors;
mod note;
mod sockets;
#[cfg(feature = "tls")]
mod tls;
#[cfg(not(feature = "tls"))]
#[path = "tls/absent.rs"]
mod tls;
mod trace;

pub use clock::Clock;
pub use config::DriverConfig;
pub use data::{EventOrData, Received, SendError};
pub use driver::Driver;
pub use entropy::OsEntropy;
pub use note::DriverNote;
/// The TLS library. A [`DriverConfig`] takes certificates, keys and configurations of this library.
#[cfg(feature = "tls")]
pub use rustls;
pub use sockets::{Backlog, Counters};
pub use trace::Tracing;
