//! The net: hosts, links, gateways and servers in one struct. The clock jumps from wake-up to wake-up.
//!
//! Rules of this file: orders and transmits of machines are carried out before the clock moves. All random choices
//! follow from the seed. `build.rs` builds a net, `drive.rs` drives the machines, `travel.rs` moves datagrams.
//! `stream.rs`, `segment.rs` and `pipe.rs` hold TCP streams, and `neighbor.rs` holds ARP and neighbor discovery.
//!
//! ```
//! use core::time::Duration;
//! use portolan_sim::{Gateway, Link, Net, Server};
//! use portolan_nat::translator::TranslatorConfig;
//! # use portolan_machine::{Cx, Input, Machine, Never, Output, Verdict};
//! # struct Quiet;
//! # impl Machine for Quiet {
//! #     type Command = Never;
//! #     type Error = Never;
//! #     type Event = ();
//! #     fn command(&mut self, _: &mut Cx<'_>, command: Never) -> Result<(), Never> { match command {} }
//! #     fn handle(&mut self, _: &mut Cx<'_>, _: Input<'_>) -> Verdict { Verdict::NotMine }
//! #     fn poll(&mut self) -> Output<()> { Output::Wait(None) }
//! # }
//!
//! let mut net = Net::new(7);
//! let home = Gateway::new("home", ["203.0.113.7".parse()?], TranslatorConfig::home());
//! let inside = net.add_gateway(net.internet(), home, &Link::delay(Duration::from_millis(25)).loss(0.05));
//! let host = net.add_host(inside, "client", &["10.0.0.2".parse()?], &Link::PERFECT, Quiet);
//! net.add_server(net.internet(), Server::new("stun", "192.0.2.1:3478".parse()?), &Link::PERFECT);
//! net.run_for(Duration::from_secs(1));
//! assert!(net.events().is_empty(), "a quiet host does nothing");
//! # let _ = host;
//! # Ok::<(), core::net::AddrParseError>(())
//! ```

mod build;
mod drive;
mod neighbor;
mod pipe;
mod segment;
mod stream;
mod travel;

pub use crate::host::StreamStats;
pub use stream::StreamBacklog;

use crate::clock::{Clock, instant, nanos};
use crate::entropy::{CountingRng, HostRng, SeededRng};
use crate::host::{Host, Timer};
use crate::link::WireStats;
use crate::map::Map;
use crate::packet::{Origin, Packet, Pool};
use crate::server::ServerState;
use crate::story::{Story, StoryEntry};
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;
use neighbor::{Neighbors, Pair};
use portolan_machine::{Cx, Instant, Machine, SocketIds, Unreachability};
use portolan_nat::translator::Translator;
use stream::{StreamEvent, Streams};

/// A host of a [`Net`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostId(pub(crate) usize);

/// A server of a [`Net`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerId(pub(crate) usize);

/// A segment of a [`Net`] in which addresses are unique: the Internet, or the inside of a gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SegmentId(pub(crate) usize);

/// An event of a machine, with its time and its host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventRecord<E> {
    /// The time of the event.
    pub at: Instant,
    /// The host of the machine.
    pub host: HostId,
    /// The event.
    pub event: E,
}

/// The fate of all datagrams of a run. Every datagram is counted when it is created and when it ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// Datagrams sent by machines and servers.
    pub sent: u64,
    /// Copies made by wires that duplicate packets.
    pub doubled: u64,
    /// Datagrams delivered to a machine.
    pub delivered: u64,
    /// Datagrams delivered to a server.
    pub served: u64,
    /// Datagrams lost on a wire, on an interface that was down, in a full queue, or while neighbor resolution was
    /// pending.
    pub lost: u64,
    /// Datagrams dropped by gateways.
    pub dropped: u64,
    /// Datagrams without a route, a socket, or hops left.
    pub stranded: u64,
}

impl Ledger {
    /// The number of datagrams in transit.
    #[must_use]
    pub const fn in_flight(&self) -> u64 {
        (self.sent + self.doubled) - (self.delivered + self.served + self.lost + self.dropped + self.stranded)
    }
}

/// The reason why a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use]
pub enum Stop {
    /// No wake-up is left.
    Idle,
    /// The end time was reached.
    Time,
    /// The expected event happened.
    Found,
    /// A machine breaks the laws: it produces outputs without end while the clock stands still.
    Stalled,
}

/// A simulated network whose hosts run machines of one type.
#[derive(Debug)]
pub struct Net<M: Machine> {
    seed: u64,
    clock: Clock<Wake<M>>,
    rng: SeededRng,
    map: Map,
    hosts: Vec<Host<M>>,
    servers: Vec<ServerState>,
    transit: Transit,
    streams: Streams,
    events: Vec<EventRecord<M::Event>>,
    story: Option<Story>,
    /// Formats an event for the story.
    format_event: fn(&M::Event) -> String,
}

/// The payload of a wake-up.
#[derive(Debug)]
enum Wake<M> {
    /// A packet reaches the end of a wire, or a server sends it after a delay.
    Flight(Box<Packet>),
    Timer(u32),
    /// An ICMP error reaches the socket that sent the packet.
    IcmpError(Box<(Origin, Unreachability)>),
    Stream(Box<StreamEvent>),
    /// The second request for a neighbor arrives.
    Neighbor(Box<Pair>),
    Call(Box<DelayedCall<M>>),
}

/// A pending call to the machine of a host.
struct DelayedCall<M> {
    host: usize,
    call: Box<HostCall<M>>,
}

type HostCall<M> = dyn FnOnce(&mut M, &mut Cx<'_>) + Send;

impl<M> fmt::Debug for DelayedCall<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DelayedCall").field("host", &self.host).finish_non_exhaustive()
    }
}

/// Packets between wake-ups.
#[derive(Debug, Default)]
struct Transit {
    pool: Pool,
    /// Packets to move before the clock advances.
    ready: VecDeque<Box<Packet>>,
    /// The number of operations since the clock last moved.
    operations: u32,
    ledger: Ledger,
    neighbors: Neighbors,
}

/// More operations than this at one time mean that a machine breaks the laws.
const MAX_OPERATIONS: u32 = 1_000_000;

impl<M: Machine> Net<M> {
    /// Creates an empty Internet. All random choices follow from `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            clock: Clock::new(),
            rng: SeededRng::fork(seed, 0),
            map: Map::new(),
            hosts: Vec::new(),
            servers: Vec::new(),
            transit: Transit::default(),
            streams: Streams::default(),
            events: Vec::new(),
            story: None,
            format_event: |event| alloc::format!("{event:?}"),
        }
    }

    /// Starts a new run on the same map. The clock is at the origin; packets, mappings, sockets and events are cleared,
    /// and the story is empty. The structure, the settings and the machines stay: see [`replace`](Self::replace).
    /// Allocates nothing, except for servers with a responder.
    pub fn reset(&mut self, seed: u64) {
        self.seed = seed;
        for wake in self.clock.reset() {
            if let Wake::Flight(packet) = wake {
                self.transit.pool.recycle(packet);
            }
        }
        while let Some(packet) = self.transit.ready.pop_front() {
            self.transit.pool.recycle(packet);
        }
        for packet in self.transit.neighbors.clear() {
            self.transit.pool.recycle(packet);
        }
        (self.transit.operations, self.transit.ledger) = (0, Ledger::default());
        self.rng = SeededRng::fork(seed, 0);
        self.map.reset(seed);
        for (host, n) in self.hosts.iter_mut().zip(0..) {
            host.rng = match host.rng {
                HostRng::Seeded(_) => HostRng::Seeded(Self::host_rng(seed, n)),
                HostRng::Counting(_) => HostRng::Counting(CountingRng::default()),
            };
            host.ids = SocketIds::new();
            host.sockets.clear();
            host.timer = Timer::default();
            host.inbox.clear();
            host.stream_stats = StreamStats::default();
        }
        for (server, n) in self.servers.iter_mut().zip(0..) {
            server.reset(Self::server_seed(seed, n));
        }
        self.streams.clear();
        self.events.clear();
        if let Some(story) = &mut self.story {
            story.clear();
        }
        for host in 0..self.hosts.len() {
            self.set_timer(host, Some(0));
        }
    }

    const fn host_rng(seed: u64, host: usize) -> SeededRng {
        SeededRng::fork(seed, (1 << 41) | host as u64)
    }

    const fn server_seed(seed: u64, server: usize) -> u64 {
        SeededRng::fork(seed, (1 << 42) | server as u64).next_u64()
    }

    /// Records a story from now on.
    pub fn record_story(&mut self) {
        self.story.get_or_insert_default();
    }

    /// Records a story from now on. `format_event` formats an event; the default is its `Debug` form.
    pub fn record_story_with(&mut self, format_event: fn(&M::Event) -> String) {
        self.format_event = format_event;
        self.record_story();
    }

    /// The story so far; empty without [`record_story`](Self::record_story).
    #[must_use]
    pub fn story(&self) -> &str {
        self.story.as_ref().map_or("", Story::as_str)
    }

    /// The entries of the story so far: each packet, each mapping and each note. Empty without
    /// [`record_story`](Self::record_story).
    #[must_use]
    pub fn story_entries(&self) -> &[StoryEntry] {
        self.story.as_ref().map_or(&[], Story::entries)
    }

    /// The NAT or firewall of a segment's gateway, for IPv4 or IPv6.
    #[must_use]
    pub fn translator(&self, inside: SegmentId, ipv4: bool) -> Option<&Translator> {
        let gateway = self.map.segments.get(inside.0)?.gateway?;
        self.map.gateways.get(gateway)?.translator(ipv4)
    }

    /// The statistics of the link of a segment's gateway, up and down.
    #[must_use]
    pub fn uplink_stats(&self, inside: SegmentId) -> (WireStats, WireStats) {
        let gateway = self.map.segments.get(inside.0).and_then(|segment| segment.gateway);
        let gateway = gateway.and_then(|gateway| self.map.gateways.get(gateway));
        self.interface_stats(gateway.map(|gateway| gateway.interface))
    }

    /// The statistics of the first link of a host, up and down.
    #[must_use]
    pub fn host_stats(&self, host: HostId) -> (WireStats, WireStats) {
        self.interface_stats(self.hosts.get(host.0).and_then(|host| host.routing.interfaces.first().copied()))
    }

    /// The statistics of the link of a server, up and down.
    #[must_use]
    pub fn server_stats(&self, server: ServerId) -> (WireStats, WireStats) {
        self.interface_stats(self.servers.get(server.0).map(|server| server.interface))
    }

    fn interface_stats(&self, interface: Option<usize>) -> (WireStats, WireStats) {
        let interface = interface.and_then(|interface| self.map.interfaces.get(interface));
        interface.map(|interface| (interface.up.stats, interface.down.stats)).unwrap_or_default()
    }

    /// The sum of the statistics of all links, in both directions.
    #[must_use]
    pub fn stats(&self) -> WireStats {
        let each = self.map.interfaces.iter().map(|interface| interface.up.stats.plus(interface.down.stats));
        each.fold(WireStats::default(), WireStats::plus)
    }

    /// The fate of all datagrams so far.
    #[must_use]
    pub const fn ledger(&self) -> Ledger {
        self.transit.ledger
    }

    /// The current virtual time.
    #[must_use]
    pub const fn now(&self) -> Instant {
        instant(self.clock.now())
    }

    /// The seed of this run.
    #[must_use]
    pub const fn seed(&self) -> u64 {
        self.seed
    }

    /// The events of all machines so far, in order.
    #[must_use]
    pub fn events(&self) -> &[EventRecord<M::Event>] {
        &self.events
    }

    /// Returns the events so far and clears them.
    pub fn take_events(&mut self) -> Vec<EventRecord<M::Event>> {
        core::mem::take(&mut self.events)
    }

    /// Advances to the next wake-up and handles it completely; `None` when no wake-up is left.
    pub fn step(&mut self) -> Option<Instant> {
        self.settle();
        let before = self.clock.now();
        let wake = self.clock.advance()?;
        if self.clock.now() != before {
            self.transit.operations = 0;
        }
        match wake {
            Wake::Flight(packet) => self.travel(packet),
            Wake::Timer(host) => self.wake(host as usize),
            Wake::IcmpError(error) => self.deliver_icmp_error(*error),
            Wake::Stream(event) => self.handle_stream_event(*event),
            Wake::Neighbor(pair) => self.exchange_is_due(*pair),
            Wake::Call(call) => self.call(*call),
        }
        self.settle();
        Some(self.now())
    }

    /// Runs until `end`, wake-ups at `end` included.
    pub fn run_until(&mut self, end: Instant) -> Stop {
        self.run_until_condition(end, |_| false)
    }

    /// Runs for this much virtual time.
    pub fn run_for(&mut self, time: Duration) -> Stop {
        self.run_until(self.now() + time)
    }

    /// Runs until `is_it` accepts an event, at most until `end`.
    pub fn run_until_event(&mut self, end: Instant, mut is_it: impl FnMut(HostId, &M::Event) -> bool) -> Stop {
        let mut seen = 0;
        self.run_until_condition(end, |net| {
            let new = net.events.get(seen..).unwrap_or_default();
            seen = net.events.len();
            new.iter().any(|record| is_it(record.host, &record.event))
        })
    }

    fn run_until_condition(&mut self, end: Instant, mut is_met: impl FnMut(&Self) -> bool) -> Stop {
        let until = nanos(end.since_origin());
        self.settle();
        loop {
            if is_met(self) {
                return Stop::Found;
            }
            if self.transit.operations >= MAX_OPERATIONS {
                return Stop::Stalled;
            }
            match self.clock.next() {
                Some(next) if next <= until => {
                    let _now = self.step();
                }
                next => {
                    self.clock.advance_to(until);
                    return if next.is_some() { Stop::Time } else { Stop::Idle };
                }
            }
        }
    }
}
