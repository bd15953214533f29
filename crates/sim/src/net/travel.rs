//! How a datagram travels: up a wire, through segments and gateways, down a wire.
//!
//! Rules of this file: a packet that meets no delay goes as far as it can at once; one that does is put on the clock.
//! Every end of a packet has a line in the [`Ledger`](super::Ledger).

use super::{AT_ONCE, Net, Transit, Wake};
use crate::clock::{Nanos, instant};
use crate::gateway::Way;
use crate::link::Carried;
use crate::map::Owner;
use crate::packet::{Origin, Packet, Place};
use crate::story::{Cited, Story, Summary};
use alloc::boxed::Box;
use portolan_machine::{Instant, Machine, SocketNews, Unreachability};

impl<M: Machine> Net<M> {
    /// Sends what is ready, until nothing is.
    pub(super) fn settle(&mut self) {
        while let Some(packet) = self.transit.ready.pop_front() {
            if self.transit.at_once >= AT_ONCE {
                self.transit.ledger.stranded += 1;
                self.transit.pool.recycle(packet);
                continue;
            }
            self.transit.at_once += 1;
            self.travel(packet);
        }
    }

    /// Takes a packet as far as it goes without the clock.
    pub(super) fn travel(&mut self, mut packet: Box<Packet>) {
        loop {
            if self.transit.neighbors.is_used()
                && let Place::Up(interface) = packet.place
            {
                let Some(goes_on) = self.wait_for_next_hop(packet, interface) else { return };
                packet = goes_on;
            }
            let next = match packet.place {
                Place::Up(interface) | Place::Down(interface) => self.carry(&packet, interface),
                Place::AtSegment(segment) => self.route(&mut packet, segment).map(|next| (self.clock.now(), next)),
                Place::AtOwner(interface) => match self.map.interfaces.get(interface).map(|at| at.owner) {
                    Some(Owner::Gateway(gateway)) => {
                        let next = self.enter(&mut packet, gateway);
                        if let (true, Some(next)) = (self.transit.neighbors.is_used(), next) {
                            packet.place = next;
                            let Some(goes_on) = self.wait_inside(packet, gateway) else { return };
                            packet = goes_on;
                        }
                        next.map(|next| (self.clock.now(), next))
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
            self.transit.ledger.lost += 1;
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
        match wire.carry(self.clock.now(), || packet.wire_len(), &mut self.rng) {
            Carried::Once(out) => Some((out, end)),
            Carried::Twice(out, again) => {
                self.transit.ledger.doubled += 1;
                let mut twin = self.transit.pool.twin(packet);
                twin.place = end;
                self.clock.put(again, Wake::Flight(twin));
                Some((out, end))
            }
            carried @ (Carried::Lost | Carried::TailDropped) => {
                let what = if carried == Carried::Lost { "loses" } else { "has a full queue: drops" };
                self.transit.ledger.lost += 1;
                self.tell(at, |story, now, who| {
                    let (from, to) = (packet.source, packet.destination);
                    story.tell(now, who, format_args!("{what} {from} → {to}"));
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
            self.transit.ledger.stranded += 1;
            self.bad_news(packet, Unreachability::HopLimit);
            return None;
        }
        let place = self.map.segments.get(segment)?;
        if let Some(interface) = place.route(packet.destination.ip()) {
            return Some(Place::Down(interface));
        }
        let Some(number) = place.gateway else {
            self.transit.ledger.stranded += 1;
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
                self.transit.ledger.dropped += 1;
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
            self.transit.ledger.dropped += 1;
            let (from, to) = (packet.source, packet.destination);
            self.tell(interface, |story, now, who| {
                story.tell(now, who, format_args!("drops {from} → {to}: {}", Cited(&why)));
            });
            return None;
        }
        // Only what lies inside: a packet for nobody there does not go out again.
        let known = self.map.segments.get(inside)?.route(packet.destination.ip());
        if known.is_none() {
            self.transit.ledger.stranded += 1;
        }
        known.map(Place::Down)
    }

    /// Gives a packet to a server.
    fn serve(&mut self, packet: Box<Packet>, server: usize) {
        let Self { clock, servers, transit: Transit { pool, ready, ledger, .. }, .. } = self;
        let now = clock.now();
        let Some(server) = servers.get_mut(server) else { return };
        if server.listens_on(packet.destination) {
            ledger.served += 1;
            server.serve(&packet, now, pool, &mut |after, reply| {
                ledger.sent += 1;
                match after {
                    0 => ready.push_back(reply),
                    _ => clock.put(now.saturating_add(after), Wake::Flight(reply)),
                }
            });
        } else {
            self.transit.ledger.stranded += 1;
            self.bad_news(&packet, Unreachability::Port);
        }
        self.transit.pool.recycle(packet);
    }

    /// Sends news of a packet's fate back to the socket that sent it: as long back as it came.
    pub(super) fn bad_news(&mut self, packet: &Packet, why: Unreachability) {
        let Some(origin) = packet.origin else { return };
        let now = self.clock.now();
        self.clock.put(now.saturating_add(now - packet.sent), Wake::News(Box::new((origin, why))));
    }

    pub(super) fn bring(&mut self, (Origin { host, socket, remote }, why): (Origin, Unreachability)) {
        if let Some(at) = self.hosts.get_mut(host.0)
            && at.sockets.get(socket).is_some()
        {
            at.inbox.news.push_back((socket, SocketNews::Unreachable { remote, why }));
            self.drive(host.0);
        }
    }

    /// Adds to the story, where one is told, under the name of an interface's owner.
    pub(super) fn tell(&mut self, interface: usize, what: impl FnOnce(&mut Story, Instant, &str)) {
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
