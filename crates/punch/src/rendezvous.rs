//! The rendezvous: two peers with a common room learn each other's addresses, and a common time to start.
//!
//! A [`Server`] (the introducer) stores who waits in a room. A [`Client`] registers, keeps its registration and its
//! mapping alive, and reports an [`Introduction`] when the other peer is there. The server relays introductions only.
//! It never relays data of peers.
//!
//! # The conversation
//!
//! Every message is STUN (RFC 8489) with the private method 0x0f0 and the long-term mechanism with SHA-256 (§9.2).
//! USERNAME is the name of the room.
//!
//! * *Register* is a request with the id of the peer (16 random bytes), its NAT card and its host candidates. The
//!   client repeats it as a keepalive. The response has the reflexive address of the client. If both peers are there,
//!   the response has the introduction too. A request with LIFETIME 0 ends the registration.
//! * *Wake* is an indication of the server with MESSAGE-INTEGRITY-SHA256. It tells a client to register again now, and
//!   has no other effect. The server sends at most five in a row to a peer.
//!
//! So an introduction is always in a verified response to a pending request. A third party cannot forge it, and a
//! replayed one matches no transaction. A second peer causes these steps: the server wakes the first peer. If the
//! first peer does not answer within 3 s, the server removes it, and the second peer waits alone. If it answers, both
//! are introduced, and the server wakes the second peer.
//!
//! # The common start
//!
//! The server chooses a time on its own clock, 500 ms after the introduction by default. Each response has the time
//! that is left when the server sends it. The client subtracts half of the smallest round trip that it has measured.
//! The clocks of the hosts are never compared. The two starts differ by half of the asymmetry of both paths. A
//! retransmitted response has less time left. If no time is left, the start is at once.
//!
//! # Secrets, and what the server can read
//!
//! * The operator of the server has one secret or several. [`room_password`] derives the password of a room from it.
//!   A host with the secret can use each room. A host with only the password of a room can use only that room.
//! * STUN is not encrypted. The server and each host on the path can read the name of the room, the addresses, the
//!   cards, the candidates and the ids. The server can also change them. The puncher must not trust these addresses:
//!   it accepts a path only after a verified probe.
//! * The `session` key of an introduction is an HMAC over the ids of both peers. By default its key is the password of
//!   the room, so the server can compute the session key, and hosts on the path cannot. With
//!   [`ClientConfig::peer_secret`] the key is a secret that the server never sees. This secret needs at least 128
//!   random bits, because a server that claims to be a peer receives probes and can guess a weak secret offline.
//! * Each id is fresh for each start of a client. So a server cannot make a client use the session key of an earlier
//!   start.
//!
//! # Bounds
//!
//! * A source without valid credentials leaves no state but a fixed table of rates. The nonces of challenges are
//!   stateless ([`Nonces`](portolan_stun_agent::nonce::Nonces)) and bound to the address and port of the client.
//! * A response is never longer than its request. A client pads its requests, and the server drops a request that is
//!   too short for its response. A wake has 76 bytes and goes only to an address that has proved that it receives
//!   responses.
//! * A room has two peers. A third one gets 480. The registrations are limited in total (508) and for each source
//!   (486), see [`ServerLimits`].
//! * A card has at most 512 bytes, and a peer at most 16 candidates.
//!
//! ```
//! use core::time::Duration;
//! use portolan_machine::{Cx, Datagram, Entropy, Input, Instant, Machine, Output, SocketId, SocketIds};
//! use portolan_punch::rendezvous::{Client, ClientCommand, ClientConfig, ClientEvent, Server, ServerConfig};
//! use portolan_punch::rendezvous::room_password;
//! # struct Counting(u8);
//! # impl Entropy for Counting { fn fill(&mut self, out: &mut [u8]) { self.0 += 1; out.fill(self.0) } }
//!
//! let (socket, address) = (SocketId(1), "192.0.2.1:3478".parse()?);
//! let config = ServerConfig::new(&[7; 32]).secret(b"a secret of the operator");
//! let mut server = Server::over(&config, &[socket])?;
//! let password = room_password(b"a secret of the operator", "attic");
//! let client = || Client::new(ClientConfig::new(socket, address, "attic", &password).card("nat:1"));
//! let mut peers = [("198.51.100.7:4000".parse()?, client()?), ("203.0.113.5:5000".parse()?, client()?)];
//!
//! // Both peers and the server in one program, without a network.
//! let (mut rng, mut ids) = (Counting(0), SocketIds::new());
//! let mut starts = Vec::new();
//! for round in 0..8 {
//!     let now = Instant::from_millis(round * 100);
//!     let mut cx = Cx::new(now, &mut rng, &mut ids);
//!     for (source, client) in &mut peers {
//!         if round == 0 {
//!             client.command(&mut cx, ClientCommand::Start)?;
//!         }
//!         let _mine = client.handle(&mut cx, Input::Timeout);
//!         loop {
//!             match client.poll() {
//!                 Output::Transmit(sent) => {
//!                     let datagram = Datagram::new(socket, address, *source, &sent.payload);
//!                     let _mine = server.handle(&mut cx, Input::Datagram(datagram));
//!                 }
//!                 Output::Event(ClientEvent::Introduced(introduction)) => {
//!                     assert_eq!(introduction.card.as_deref(), Some("nat:1"));
//!                     starts.push(now + introduction.start);
//!                 }
//!                 Output::Event(_) | Output::Socket(_) => {}
//!                 Output::Wait(_) => break,
//!             }
//!         }
//!     }
//!     while let Output::Transmit(sent) = server.poll() {
//!         for (source, client) in &mut peers {
//!             if *source == sent.remote {
//!                 let datagram = Datagram::new(socket, *source, address, &sent.payload);
//!                 let _mine = client.handle(&mut cx, Input::Datagram(datagram));
//!             }
//!         }
//!     }
//! }
//! assert_eq!(starts.len(), 2);
//! assert!(starts[1] - starts[0] <= Duration::from_millis(100), "events are polled one round later");
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```

mod client;
mod config;
mod error;
mod event;
mod keys;
mod message;
mod note;
mod room;
mod server;
mod stats;

pub use client::{Client, ClientCommand};
pub use config::{ClientConfig, ServerConfig, ServerLimits};
pub use error::{ClientConfigError, ClientError, ServerConfigError};
pub use event::{ClientEvent, EndReason, Introduction};
pub use keys::{REALM, room_password};
pub use message::{CANDIDATES, CARD_LEN, METHOD, ROOM_LEN};
pub use note::{ClientDropped, ClientNote, RequestRefusal, ServerDropped, ServerNote};
pub use server::Server;
pub use stats::{DroppedStats, RefusedStats, RejectedStats, ServerStats};
