//! The net: hosts, links, gateways and servers in one struct that leaps from wake-up to wake-up.
//!
//! Rules of this file: a packet that meets no delay goes as far as it can at once; one that does is put on the clock.
//! What machines order and send is carried out before the clock moves. Everything that chooses draws from the seed.
//! How sockets and streams behave is in `drive.rs` and `stream.rs`; this file moves datagrams.
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

mod drive;
mod stream;

use crate::clock::{Clock, Nanos, instant, nanos};
use crate::entropy::{Counting, Dice, HostDice};
use crate::gateway::{Gateway, GatewayState, Way};
use crate::host::{Host, Sockets, Timer};
use crate::link::{Carried, Link, WireState, WireStats};
use crate::map::{Map, Owner};
use crate::packet::{Origin, Packet, Place, Pool};
use crate::server::{Server, ServerState};
use crate::story::{Cited, Story, Summary};
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::net::IpAddr;
use core::time::Duration;
use portolan_machine::{Instant, Machine, SocketIds, SocketNews, Unreachability};
use portolan_nat::translator::Translator;
use stream::{StreamNews, Streams};

/// A host of a [`Net`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostId(pub(crate) usize);

/// A server of a [`Net`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerId(pub(crate) usize);

/// A segment of a [`Net`] in which addresses are unique: the Internet, or the inside of a gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SegmentId(pub(crate) usize);

/// What a machine told its owner, when, and on which host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Happening<E> {
    /// When.
    pub at: Instant,
    /// On which host.
    pub host: HostId,
    /// What.
    pub event: E,
}

/// Why a run came to an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use]
pub enum Stop {
    /// Nothing is left to happen.
    Idle,
    /// The time that was asked for has come.
    Time,
    /// What was waited for has happened.
    Met,
    /// A machine breaks its laws: it talks without end while the clock stands still.
    Stalled,
}

/// A virtual internet whose hosts run machines of one kind.
#[derive(Debug)]
pub struct Net<M: Machine> {
    seed: u64,
    clock: Clock<Wake>,
    dice: Dice,
    map: Map,
    hosts: Vec<Host<M>>,
    servers: Vec<ServerState>,
    transit: Transit,
    streams: Streams,
    events: Vec<Happening<M::Event>>,
    story: Option<Story>,
}

/// What the clock wakes.
#[derive(Debug)]
enum Wake {
    /// A packet comes to the end of a wire, or leaves a server late.
    Flight(Box<Packet>),
    Timer(u32),
    /// Bad news comes back to the socket that sent.
    News(Box<(Origin, Unreachability)>),
    Stream(Box<StreamNews>),
}

/// Packets between wake-ups.
#[derive(Debug, Default)]
struct Transit {
    pool: Pool,
    /// Packets that go out before the clock moves.
    ready: VecDeque<Box<Packet>>,
    /// How much went on while the clock stood still.
    at_once: u32,
}

/// More than this at one moment means that somebody breaks the laws.
const AT_ONCE: u32 = 1_000_000;

impl<M: Machine> Net<M> {
    /// An empty Internet; everything that chance decides in it follows from `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            clock: Clock::new(),
            dice: Dice::fork(seed, 0),
            map: Map::new(),
            hosts: Vec::new(),
            servers: Vec::new(),
            transit: Transit::default(),
            streams: Streams::default(),
            events: Vec::new(),
            story: None,
        }
    }

    /// The segment of public addresses.
    #[must_use]
    pub const fn internet(&self) -> SegmentId {
        SegmentId(0)
    }

    /// Puts a gateway on `link` into a segment; gives the segment on its inside.
    pub fn add_gateway(&mut self, outside: SegmentId, gateway: Gateway, link: &Link) -> SegmentId {
        let number = self.map.gateways.len();
        let interface = self.map.attach(Owner::Gateway(number), outside.0, &gateway.addresses, link);
        let inside = self.map.segments.len();
        self.map.segments.push(crate::map::Segment::default());
        if let Some(segment) = self.map.segments.last_mut() {
            segment.gateway = Some(number);
        }
        let seed = Map::gateway_seed(self.seed, number as u64);
        self.map.gateways.push(GatewayState::new(gateway, interface, inside, seed));
        SegmentId(inside)
    }

    /// Puts a host on `link` into a segment, with these addresses and a machine.
    pub fn add_host(
        &mut self,
        segment: SegmentId,
        name: &str,
        addresses: &[IpAddr],
        link: &Link,
        machine: M,
    ) -> HostId {
        let host = HostId(self.hosts.len());
        let interface = self.map.attach(Owner::Host(host.0), segment.0, addresses, link);
        self.hosts.push(Host {
            name: name.into(),
            machine,
            dice: HostDice::Seeded(Self::host_dice(self.seed, host.0)),
            ids: SocketIds::new(),
            sockets: Sockets::default(),
            interfaces: alloc::vec![interface],
            routes: Vec::new(),
            timer: Timer::default(),
            news: VecDeque::new(),
            rejects: true,
        });
        self.set_timer(host.0, Some(self.clock.now()));
        host
    }

    /// Gives a host one more way out, after those it has: another link, into the same segment or another.
    pub fn add_interface(&mut self, host: HostId, segment: SegmentId, addresses: &[IpAddr], link: &Link) {
        let interface = self.map.attach(Owner::Host(host.0), segment.0, addresses, link);
        if let Some(host) = self.hosts.get_mut(host.0) {
            host.interfaces.push(interface);
        }
    }

    /// Makes a host send to `destination` by its `nth` interface, the first being 0.
    pub fn add_route(&mut self, host: HostId, destination: IpAddr, nth: usize) {
        if let Some(host) = self.hosts.get_mut(host.0)
            && let Some(interface) = host.interfaces.get(nth).copied()
        {
            host.routes.push((destination, interface));
        }
    }

    /// Puts a server on `link` into a segment.
    pub fn add_server(&mut self, segment: SegmentId, server: Server, link: &Link) -> ServerId {
        let id = ServerId(self.servers.len());
        let addresses: Vec<IpAddr> = server.addresses().collect();
        let interface = self.map.attach(Owner::Server(id.0), segment.0, &addresses, link);
        self.servers.push(ServerState::new(server, interface, Self::server_seed(self.seed, id.0)));
        id
    }

    /// Begins a new run on the same map: the clock at the origin, no packet on its way, no mapping, no socket, no
    /// event, an empty story. Machines stay as they are: see [`replace`](Self::replace). Allocates nothing.
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
        self.transit.at_once = 0;
        self.dice = Dice::fork(seed, 0);
        self.map.reset(seed);
        for (host, n) in self.hosts.iter_mut().zip(0..) {
            host.dice = match host.dice {
                HostDice::Seeded(_) => HostDice::Seeded(Self::host_dice(seed, n)),
                HostDice::Counting(_) => HostDice::Counting(Counting::default()),
            };
            host.ids = SocketIds::new();
            host.sockets.clear();
            host.timer = Timer::default();
            host.news.clear();
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

    const fn host_dice(seed: u64, host: usize) -> Dice {
        Dice::fork(seed, (1 << 41) | host as u64)
    }

    const fn server_seed(seed: u64, server: usize) -> u64 {
        Dice::fork(seed, (1 << 42) | server as u64).next_u64()
    }

    /// Writes a story from now on.
    pub fn tell_story(&mut self) {
        self.story.get_or_insert_default();
    }

    /// What has been told so far; empty without [`tell_story`](Self::tell_story).
    #[must_use]
    pub fn story(&self) -> &str {
        self.story.as_ref().map_or("", Story::as_str)
    }

    /// Lets the machine of a host throw dice that count, so that a person can read its transaction ids.
    pub fn count_instead_of_dice(&mut self, host: HostId) {
        if let Some(host) = self.hosts.get_mut(host.0) {
            host.dice = HostDice::Counting(Counting::default());
        }
    }

    /// Whether ports of a host where nobody listens answer with ICMP; they do unless told otherwise.
    pub fn set_rejects(&mut self, host: HostId, rejects: bool) {
        if let Some(host) = self.hosts.get_mut(host.0) {
            host.rejects = rejects;
        }
    }

    /// Takes the `nth` interface of a host down or up. While it is down nothing leaves or arrives by it.
    pub fn set_interface(&mut self, host: HostId, nth: usize, is_up: bool) {
        let interface = self.hosts.get(host.0).and_then(|host| host.interfaces.get(nth).copied());
        if let Some(interface) = interface.and_then(|interface| self.map.interfaces.get_mut(interface)) {
            interface.is_up = is_up;
        }
    }

    /// Changes the link that a segment's gateway hangs on; what is on its way stays on its way.
    pub fn set_uplink(&mut self, inside: SegmentId, link: &Link) {
        let gateway = self.map.segments.get(inside.0).and_then(|segment| segment.gateway);
        let gateway = gateway.and_then(|gateway| self.map.gateways.get(gateway));
        if let Some(interface) = gateway.and_then(|gateway| self.map.interfaces.get_mut(gateway.interface)) {
            (interface.up, interface.down) = (WireState::new(&link.up), WireState::new(&link.down));
        }
    }

    /// Changes what is wrong with a server.
    pub fn set_fault(&mut self, server: ServerId, fault: crate::server::Fault) {
        if let Some(server) = self.servers.get_mut(server.0) {
            server.config.fault = fault;
        }
    }

    /// The NAT or firewall of a segment's gateway for IPv4 or IPv6, to look at.
    #[must_use]
    pub fn translator(&self, inside: SegmentId, ipv4: bool) -> Option<&Translator> {
        let gateway = self.map.segments.get(inside.0)?.gateway?;
        self.map.gateways.get(gateway)?.translator(ipv4)
    }

    /// What the link of a segment's gateway has done, up and down.
    #[must_use]
    pub fn uplink_stats(&self, inside: SegmentId) -> (WireStats, WireStats) {
        let gateway = self.map.segments.get(inside.0).and_then(|segment| segment.gateway);
        let gateway = gateway.and_then(|gateway| self.map.gateways.get(gateway));
        self.interface_stats(gateway.map(|gateway| gateway.interface))
    }

    /// What the first link of a host has done, up and down.
    #[must_use]
    pub fn host_stats(&self, host: HostId) -> (WireStats, WireStats) {
        self.interface_stats(self.hosts.get(host.0).and_then(|host| host.interfaces.first().copied()))
    }

    /// What the link of a server has done, up and down.
    #[must_use]
    pub fn server_stats(&self, server: ServerId) -> (WireStats, WireStats) {
        self.interface_stats(self.servers.get(server.0).map(|server| server.interface))
    }

    fn interface_stats(&self, interface: Option<usize>) -> (WireStats, WireStats) {
        let interface = interface.and_then(|interface| self.map.interfaces.get(interface));
        interface.map(|interface| (interface.up.stats, interface.down.stats)).unwrap_or_default()
    }

    /// What all links have done together, in both directions.
    #[must_use]
    pub fn stats(&self) -> WireStats {
        let each = self.map.interfaces.iter().map(|interface| interface.up.stats.plus(interface.down.stats));
        each.fold(WireStats::default(), WireStats::plus)
    }

    /// The time.
    #[must_use]
    pub const fn now(&self) -> Instant {
        instant(self.clock.now())
    }

    /// The seed of this run.
    #[must_use]
    pub const fn seed(&self) -> u64 {
        self.seed
    }

    /// What machines have told their owners, in order.
    #[must_use]
    pub fn events(&self) -> &[Happening<M::Event>] {
        &self.events
    }

    /// The same, taken away.
    pub fn take_events(&mut self) -> Vec<Happening<M::Event>> {
        core::mem::take(&mut self.events)
    }

    /// Leaps to the next wake-up and does all that follows from it; `None` when nothing is left to happen.
    pub fn step(&mut self) -> Option<Instant> {
        self.settle();
        let before = self.clock.now();
        let wake = self.clock.leap()?;
        if self.clock.now() != before {
            self.transit.at_once = 0;
        }
        match wake {
            Wake::Flight(packet) => self.travel(packet),
            Wake::Timer(host) => self.wake(host as usize),
            Wake::News(news) => self.bring(*news),
            Wake::Stream(news) => self.stream_news(*news),
        }
        self.settle();
        Some(self.now())
    }

    /// Runs until `end` has come, what happens at `end` included.
    pub fn run_until(&mut self, end: Instant) -> Stop {
        self.run_until_met(end, |_| false)
    }

    /// Runs for so long.
    pub fn run_for(&mut self, time: Duration) -> Stop {
        self.run_until(self.now() + time)
    }

    /// Runs until an event is what was waited for, at most until `end`.
    pub fn run_until_event(&mut self, end: Instant, mut is_it: impl FnMut(HostId, &M::Event) -> bool) -> Stop {
        let mut seen = 0;
        self.run_until_met(end, |net| {
            let new = net.events.get(seen..).unwrap_or_default();
            seen = net.events.len();
            new.iter().any(|happening| is_it(happening.host, &happening.event))
        })
    }

    fn run_until_met(&mut self, end: Instant, mut is_met: impl FnMut(&Self) -> bool) -> Stop {
        let until = nanos(end.since_origin());
        self.settle();
        loop {
            if is_met(self) {
                return Stop::Met;
            }
            if self.transit.at_once >= AT_ONCE {
                return Stop::Stalled;
            }
            match self.clock.next() {
                Some(next) if next <= until => {
                    let _now = self.step();
                }
                next => {
                    self.clock.pass(until);
                    return if next.is_some() { Stop::Time } else { Stop::Idle };
                }
            }
        }
    }

    /// Sends what is ready, until nothing is.
    fn settle(&mut self) {
        while let Some(packet) = self.transit.ready.pop_front() {
            if self.transit.at_once >= AT_ONCE {
                self.transit.pool.recycle(packet);
                continue;
            }
            self.transit.at_once += 1;
            self.travel(packet);
        }
    }

    /// Takes a packet as far as it goes without the clock.
    fn travel(&mut self, mut packet: Box<Packet>) {
        loop {
            let next = match packet.place {
                Place::Up(interface) | Place::Down(interface) => self.carry(&packet, interface),
                Place::AtSegment(segment) => self.route(&mut packet, segment).map(|next| (self.clock.now(), next)),
                Place::AtOwner(interface) => match self.map.interfaces.get(interface).map(|at| at.owner) {
                    Some(Owner::Gateway(gateway)) => {
                        self.enter(&mut packet, gateway).map(|next| (self.clock.now(), next))
                    }
                    Some(Owner::Host(host)) => return self.deliver(packet, host),
                    Some(Owner::Server(server)) => return self.serve(packet, server),
                    None => None,
                },
            };
            let Some((at, next)) = next else { return self.transit.pool.recycle(packet) };
            packet.place = next;
            if at > self.clock.now() {
                return self.clock.put(at, Wake::Flight(packet));
            }
        }
    }

    /// Puts a packet on a wire: when and where it comes out.
    fn carry(&mut self, packet: &Packet, at: usize) -> Option<(Nanos, Place)> {
        let interface = self.map.interfaces.get(at)?;
        if !interface.is_up {
            return None;
        }
        if let (Some(_), Place::Up(_), Owner::Host(_) | Owner::Server(_)) = (&self.story, packet.place, interface.owner)
        {
            self.tell(at, |story, now, who| {
                let what = Summary(packet.bytes());
                story.tell(now, who, format_args!("{} → {} {what}", packet.source, packet.destination));
            });
        }
        let interface = self.map.interfaces.get_mut(at)?;
        let (wire, end) = match packet.place {
            Place::Up(_) => (&mut interface.up, Place::AtSegment(interface.segment)),
            Place::Down(_) | Place::AtSegment(_) | Place::AtOwner(_) => (&mut interface.down, Place::AtOwner(at)),
        };
        match wire.carry(self.clock.now(), &mut self.dice) {
            Carried::Once(out) => Some((out, end)),
            Carried::Twice(out, again) => {
                let mut twin = self.transit.pool.twin(packet);
                twin.place = end;
                self.clock.put(again, Wake::Flight(twin));
                Some((out, end))
            }
            Carried::Lost => {
                self.tell(at, |story, now, who| {
                    let (from, to) = (packet.source, packet.destination);
                    story.tell(now, who, format_args!("loses {from} → {to}"));
                });
                None
            }
        }
    }

    /// Finds the way on from a segment.
    fn route(&mut self, packet: &mut Packet, segment: usize) -> Option<Place> {
        let now = self.clock.now();
        packet.hop_limit = packet.hop_limit.saturating_sub(1);
        if packet.hop_limit == 0 {
            self.bad_news(packet, Unreachability::HopLimit);
            return None;
        }
        let place = self.map.segments.get(segment)?;
        if let Some(interface) = place.route(packet.destination.ip()) {
            return Some(Place::Down(interface));
        }
        let Some(number) = place.gateway else {
            self.bad_news(packet, Unreachability::Network);
            return None;
        };
        let gateway = self.map.gateways.get_mut(number)?;
        let (source, interface) = (packet.source, gateway.interface);
        match gateway.outbound(instant(now), packet) {
            Ok(Way::Out { created }) => {
                if created {
                    let seen = packet.source;
                    self.tell(interface, |story, now, who| {
                        let what = if source == seen { "lets answers in to" } else { "new mapping" };
                        if source == seen {
                            story.tell(now, who, format_args!("{what} {source}"));
                        } else {
                            story.tell(now, who, format_args!("{what} {source} as {seen}"));
                        }
                    });
                }
                Some(Place::Up(interface))
            }
            Ok(Way::Back) => {
                let (seen, destination) = (packet.source, packet.destination);
                self.tell(interface, |story, now, who| {
                    story.tell(now, who, format_args!("turns round {source} as {seen} to {destination}"));
                });
                Some(Place::AtSegment(segment))
            }
            Err(why) => {
                let (from, to) = (packet.source, packet.destination);
                self.tell(interface, |story, now, who| {
                    story.tell(now, who, format_args!("drops {from} → {to}: {}", Cited(&why)));
                });
                if let Some(news) = why.news() {
                    self.bad_news(packet, news);
                }
                None
            }
        }
    }

    /// Brings a packet through a gateway from outside.
    fn enter(&mut self, packet: &mut Packet, gateway: usize) -> Option<Place> {
        let now = self.clock.now();
        let gateway = self.map.gateways.get_mut(gateway)?;
        let (inside, interface) = (gateway.inside, gateway.interface);
        if let Err(why) = gateway.inbound(instant(now), packet) {
            let (from, to) = (packet.source, packet.destination);
            self.tell(interface, |story, now, who| {
                story.tell(now, who, format_args!("drops {from} → {to}: {}", Cited(&why)));
            });
            return None;
        }
        // Only what lies inside: a packet for nobody there does not go out again.
        let known = self.map.segments.get(inside)?.route(packet.destination.ip());
        known.map(Place::Down)
    }

    /// Gives a packet to a server.
    fn serve(&mut self, packet: Box<Packet>, server: usize) {
        let Some(server) = self.servers.get_mut(server) else { return };
        if server.listens_on(packet.destination) {
            let (now, Transit { pool, ready, .. }, clock) = (self.clock.now(), &mut self.transit, &mut self.clock);
            server.serve(&packet, now, pool, &mut |after, reply| match after {
                0 => ready.push_back(reply),
                _ => clock.put(now.saturating_add(after), Wake::Flight(reply)),
            });
        } else {
            self.bad_news(&packet, Unreachability::Port);
        }
        self.transit.pool.recycle(packet);
    }

    /// Sends news of a packet's fate back to the socket that sent it: as long back as it came.
    fn bad_news(&mut self, packet: &Packet, why: Unreachability) {
        let Some(origin) = packet.origin else { return };
        let now = self.clock.now();
        self.clock.put(now.saturating_add(now - packet.sent), Wake::News(Box::new((origin, why))));
    }

    fn bring(&mut self, (Origin { host, socket, remote }, why): (Origin, Unreachability)) {
        if let Some(at) = self.hosts.get_mut(host.0)
            && at.sockets.get(socket).is_some()
        {
            at.news.push_back((socket, SocketNews::Unreachable { remote, why }));
            self.drive(host.0);
        }
    }

    /// Adds to the story, where one is told, under the name of an interface's owner.
    fn tell(&mut self, interface: usize, what: impl FnOnce(&mut Story, Instant, &str)) {
        let Some(story) = &mut self.story else { return };
        let who = match self.map.interfaces.get(interface).map(|interface| interface.owner) {
            Some(Owner::Host(host)) => self.hosts.get(host).map(|host| &host.name),
            Some(Owner::Server(server)) => self.servers.get(server).map(|server| &server.config.name),
            Some(Owner::Gateway(gateway)) => self.map.gateways.get(gateway).map(|gateway| &gateway.config.name),
            None => None,
        };
        what(story, instant(self.clock.now()), who.map_or("", |name| name));
    }
}
