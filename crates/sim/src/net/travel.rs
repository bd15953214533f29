//! The path of a datagram: up a wire, through segments and gateways, down a wire.
//!
//! Rules of this file: a packet moves on at once until it meets a delay; then the clock schedules it. The
//! [`Ledger`](super::Ledger) counts every packet that ends.

use super::{MAX_OPERATIONS, Net, Transit, Wake};
use crate::clock::{Nanos, instant};
use crate::gateway::{DropCause, Way};
use crate::link::Carried;
use crate::map::Owner;
use crate::packet::{Origin, Packet, Place};
use crate::story::{Cited, EntryKind, PacketFate, Story, StrandedReason, Summary};
use alloc::boxed::Box;
use alloc::string::ToString;
use portolan_machine::{Explain, Instant, Machine, SocketEvent, Unreachability};

impl<M: Machine> Net<M> {
    /// Moves all ready packets until none is left.
    pub(super) fn settle(&mut self) {
        while let Some(packet) = self.transit.ready.pop_front() {
            if self.transit.operations >= MAX_OPERATIONS {
                self.transit.ledger.stranded += 1;
                self.record(None, &packet, || PacketFate::Stranded(StrandedReason::Stalled));
                self.transit.pool.recycle(packet);
                continue;
            }
            self.transit.operations += 1;
            self.travel(packet);
        }
    }

    /// Moves a packet as far as it gets without a delay.
    pub(super) fn travel(&mut self, mut packet: Box<Packet>) {
        loop {
            if self.transit.neighbors.is_used()
                && let Place::Up(interface) = packet.place
            {
                let Some(passed) = self.wait_for_next_hop(packet, interface) else { return };
                packet = passed;
            }
            let next = match packet.place {
                Place::Up(interface) | Place::Down(interface) => self.carry(&packet, interface),
                Place::AtSegment(segment) => self.route(&mut packet, segment).map(|next| (self.clock.now(), next)),
                Place::AtOwner(interface) => match self.map.interfaces.get(interface).map(|at| at.owner) {
                    Some(Owner::Gateway(gateway)) => {
                        let next = self.enter(&mut packet, gateway);
                        if let (true, Some(next)) = (self.transit.neighbors.is_used(), next) {
                            packet.place = next;
                            let Some(passed) = self.wait_inside(packet, gateway) else { return };
                            packet = passed;
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
                return self.clock.schedule(at, Wake::Flight(packet));
            }
        }
    }

    /// Puts a packet on a wire. Returns when and where it comes out.
    fn carry(&mut self, packet: &Packet, at: usize) -> Option<(Nanos, Place)> {
        let interface = self.map.interfaces.get(at)?;
        if !interface.is_up {
            let owner = interface.owner;
            self.transit.ledger.lost += 1;
            self.record(Some(owner), packet, || PacketFate::Lost);
            return None;
        }
        if let (Some(_), Place::Up(_), Owner::Host(_) | Owner::Server(_)) = (&self.story, packet.place, interface.owner)
        {
            self.log_for_interface(at, |story, now, name| {
                let what = Summary(packet.bytes());
                story.add_line(now, name, format_args!("{} → {} {what}", packet.source, packet.destination));
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
                let mut copy = self.transit.pool.duplicate(packet);
                copy.place = end;
                self.record_at(at, packet, || PacketFate::Doubled);
                self.clock.schedule(again, Wake::Flight(copy));
                Some((out, end))
            }
            carried @ (Carried::Lost | Carried::TailDropped) => {
                let what = if carried == Carried::Lost { "loses" } else { "has a full queue: drops" };
                self.transit.ledger.lost += 1;
                self.record_at(at, packet, || PacketFate::Lost);
                self.log_for_interface(at, |story, now, name| {
                    let (from, to) = (packet.source, packet.destination);
                    story.add_line(now, name, format_args!("{what} {from} → {to}"));
                });
                None
            }
        }
    }

    /// Routes a packet from a segment.
    fn route(&mut self, packet: &mut Packet, segment: usize) -> Option<Place> {
        let now = self.clock.now();
        packet.hop_limit = packet.hop_limit.saturating_sub(1);
        if packet.hop_limit == 0 {
            self.transit.ledger.stranded += 1;
            let owner = self.map.segments.get(segment).and_then(|segment| segment.gateway).map(Owner::Gateway);
            self.record(owner, packet, || PacketFate::Stranded(StrandedReason::HopLimit));
            self.send_icmp_error(packet, Unreachability::HopLimit);
            return None;
        }
        let place = self.map.segments.get(segment)?;
        if let Some(interface) = place.route(packet.destination.ip()) {
            return Some(Place::Down(interface));
        }
        let Some(number) = place.gateway else {
            self.transit.ledger.stranded += 1;
            self.record(None, packet, || PacketFate::Stranded(StrandedReason::NoRoute));
            self.send_icmp_error(packet, Unreachability::Network);
            return None;
        };
        let gateway = self.map.gateways.get_mut(number)?;
        let (source, interface) = (packet.source, gateway.interface);
        match gateway.outbound(instant(now), packet) {
            Ok(Way::Out { created }) => {
                if created {
                    let seen = packet.source;
                    self.log_for_interface(interface, |story, now, name| {
                        story.add_entry(now, name, EntryKind::Mapping { internal: source, external: seen });
                        let what = if source == seen { "lets answers in to" } else { "new mapping" };
                        if source == seen {
                            story.add_line(now, name, format_args!("{what} {source}"));
                        } else {
                            story.add_line(now, name, format_args!("{what} {source} as {seen}"));
                        }
                    });
                }
                Some(Place::Up(interface))
            }
            Ok(Way::Hairpin) => {
                let (seen, destination) = (packet.source, packet.destination);
                self.log_for_interface(interface, |story, now, name| {
                    story.add_line(now, name, format_args!("hairpins {source} as {seen} to {destination}"));
                });
                Some(Place::AtSegment(segment))
            }
            Err(why) => {
                self.transit.ledger.dropped += 1;
                self.record(Some(Owner::Gateway(number)), packet, || dropped(&why));
                let (from, to) = (packet.source, packet.destination);
                self.log_for_interface(interface, |story, now, name| {
                    story.add_line(now, name, format_args!("drops {from} → {to}: {}", Cited(&why)));
                });
                if let Some(error) = why.icmp_error() {
                    self.send_icmp_error(packet, error);
                }
                None
            }
        }
    }

    /// Moves a packet through a gateway from outside.
    fn enter(&mut self, packet: &mut Packet, number: usize) -> Option<Place> {
        let now = self.clock.now();
        let gateway = self.map.gateways.get_mut(number)?;
        let (inside, interface) = (gateway.inside, gateway.interface);
        if let Err(why) = gateway.inbound(instant(now), packet) {
            self.transit.ledger.dropped += 1;
            self.record(Some(Owner::Gateway(number)), packet, || dropped(&why));
            let (from, to) = (packet.source, packet.destination);
            self.log_for_interface(interface, |story, now, name| {
                story.add_line(now, name, format_args!("drops {from} → {to}: {}", Cited(&why)));
            });
            return None;
        }
        // Only inside destinations: a packet to an unknown address does not go out again.
        let known = self.map.segments.get(inside)?.route(packet.destination.ip());
        if known.is_none() {
            self.transit.ledger.stranded += 1;
            self.record(Some(Owner::Gateway(number)), packet, || PacketFate::Stranded(StrandedReason::NoRoute));
        }
        known.map(Place::Down)
    }

    /// Delivers a packet to a server.
    fn serve(&mut self, packet: Box<Packet>, number: usize) {
        let Self { clock, servers, story, transit: Transit { pool, ready, ledger, .. }, .. } = self;
        let now = clock.now();
        let Some(server) = servers.get_mut(number) else { return };
        if server.listens_on(packet.destination) {
            ledger.served += 1;
            let name = story.as_ref().map(|_| server.config.name.clone()).unwrap_or_default();
            if let Some(story) = story {
                story.add_packet(instant(now), &name, &packet, PacketFate::Served);
            }
            server.serve(&packet, now, pool, &mut |after, reply| {
                ledger.sent += 1;
                if let Some(story) = story {
                    story.add_packet(instant(now), &name, &reply, PacketFate::Sent);
                }
                match after {
                    0 => ready.push_back(reply),
                    _ => clock.schedule(now.saturating_add(after), Wake::Flight(reply)),
                }
            });
        } else {
            self.transit.ledger.stranded += 1;
            self.record(Some(Owner::Server(number)), &packet, || PacketFate::Stranded(StrandedReason::NoSocket));
            self.send_icmp_error(&packet, Unreachability::Port);
        }
        self.transit.pool.recycle(packet);
    }

    /// Sends an ICMP error to the socket that sent the packet. The error takes as long back as the packet took.
    pub(super) fn send_icmp_error(&mut self, packet: &Packet, why: Unreachability) {
        let Some(origin) = packet.origin else { return };
        let now = self.clock.now();
        self.clock.schedule(now.saturating_add(now - packet.sent), Wake::IcmpError(Box::new((origin, why))));
    }

    pub(super) fn deliver_icmp_error(&mut self, (Origin { host, socket, remote }, why): (Origin, Unreachability)) {
        if let Some(at) = self.hosts.get_mut(host)
            && at.sockets.get(socket).is_some()
        {
            at.inbox.socket_events.push_back((socket, SocketEvent::Unreachable { remote, why }));
            self.drive(host);
        }
    }

    /// Adds the entry of a packet to the story, if one is recorded, under the name of an interface's owner.
    fn record_at(&mut self, interface: usize, packet: &Packet, fate: impl FnOnce() -> PacketFate) {
        let owner = self.map.interfaces.get(interface).map(|interface| interface.owner);
        self.record(owner, packet, fate);
    }

    /// Adds the entry of a packet to the story, if one is recorded. Without an owner its actor is the Internet.
    pub(super) fn record(&mut self, owner: Option<Owner>, packet: &Packet, fate: impl FnOnce() -> PacketFate) {
        if self.story.is_none() {
            return;
        }
        let now = instant(self.clock.now());
        let Some(mut story) = self.story.take() else { return };
        story.add_packet(now, owner.map_or("internet", |owner| self.name_of(owner)), packet, fate());
        self.story = Some(story);
    }

    fn name_of(&self, owner: Owner) -> &str {
        let name = match owner {
            Owner::Host(host) => self.hosts.get(host).map(|host| &host.name),
            Owner::Server(server) => self.servers.get(server).map(|server| &server.config.name),
            Owner::Gateway(gateway) => self.map.gateways.get(gateway).map(|gateway| &gateway.config.name),
        };
        name.map_or("", |name| name)
    }

    /// Adds a line to the story, if one is recorded, under the name of an interface's owner.
    pub(super) fn log_for_interface(&mut self, interface: usize, what: impl FnOnce(&mut Story, Instant, &str)) {
        let Some(story) = &mut self.story else { return };
        let name = match self.map.interfaces.get(interface).map(|interface| interface.owner) {
            Some(Owner::Host(host)) => self.hosts.get(host).map(|host| &host.name),
            Some(Owner::Server(server)) => self.servers.get(server).map(|server| &server.config.name),
            Some(Owner::Gateway(gateway)) => self.map.gateways.get(gateway).map(|gateway| &gateway.config.name),
            None => None,
        };
        what(story, instant(self.clock.now()), name.map_or("", |name| name));
    }
}

/// The fate of a packet that a gateway drops.
fn dropped(why: &DropCause) -> PacketFate {
    PacketFate::Dropped { code: why.code(), why: why.to_string().into_boxed_str(), clause: why.rfc() }
}
