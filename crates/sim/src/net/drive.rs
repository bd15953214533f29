//! Drives machines in virtual time, as a driver and its operating system do.
//!
//! Rules of this file: a machine is drained after every input. Socket events are delivered between drains, never during a
//! drain. Of a host's timers on the clock, only the last one set is valid.

use super::{DelayedCall, HostId, Net, Wake};
use crate::clock::{instant, nanos};
use crate::host::Host;
use crate::map::Owner;
use crate::packet::{Origin, Packet, Place};
use crate::story::{Heading, Notes, PacketFate, Story, StrandedReason};
use alloc::boxed::Box;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use portolan_machine::{
    Cx, Datagram, Deadline, Input, Instant, Machine, Open, Output, Protocol, Refusal, SocketEvent, SocketId,
    SocketOrder, Transmit, Unreachability, Verdict,
};

/// Calls a machine with the context of its host.
pub(super) fn with_cx<M, R>(
    host: &mut Host<M>,
    now: Instant,
    story: Option<&mut Story>,
    call: impl FnOnce(&mut M, &mut Cx<'_>) -> R,
) -> R {
    let cx = Cx::new(now, &mut host.rng, &mut host.ids);
    match story {
        None => call(&mut host.machine, &mut { cx }),
        Some(story) => {
            let mut notes = Notes { story, host: &host.name };
            call(&mut host.machine, &mut cx.with_trace(&mut notes))
        }
    }
}

impl<M: Machine> Net<M> {
    /// The machine of a host; `None` for a host of another net.
    #[must_use]
    pub fn machine(&self, host: HostId) -> Option<&M> {
        self.hosts.get(host.0).map(|host| &host.machine)
    }

    /// Replaces the machine of a host and returns the old one. Sockets that the old machine left open stay open.
    pub fn replace(&mut self, host: HostId, machine: M) -> Option<M> {
        self.set_timer(host.0, Some(self.clock.now()));
        self.hosts.get_mut(host.0).map(|host| core::mem::replace(&mut host.machine, machine))
    }

    /// Sends a command to a machine and handles all that follows before the clock moves.
    ///
    /// A host of another net is ignored.
    ///
    /// # Errors
    /// [`Machine::Error`]: the command is impossible. The machine is then unchanged.
    pub fn command(&mut self, host: HostId, command: M::Command) -> Result<(), M::Error> {
        self.with(host, |machine, cx| machine.command(cx, command)).unwrap_or(Ok(()))
    }

    /// Calls an inherent command of a machine and handles all that follows before the clock moves.
    ///
    /// Returns `None` without a call for a host of another net.
    pub fn with<R>(&mut self, host: HostId, call: impl FnOnce(&mut M, &mut Cx<'_>) -> R) -> Option<R> {
        let now = self.now();
        let at = self.hosts.get_mut(host.0)?;
        let result = with_cx(at, now, self.story.as_mut(), call);
        self.drive(host.0);
        self.settle();
        Some(result)
    }

    /// Calls an inherent command of a machine after a delay and handles all that follows. Use it for messages outside
    /// the net, such as signaling.
    ///
    /// The call is dropped when the net is [reset](Self::reset), and for a host of another net.
    ///
    /// ```
    /// use core::time::Duration;
    /// use portolan_sim::{Link, Net};
    /// # use portolan_machine::{Cx, Input, Machine, Never, Output, Verdict};
    /// # #[derive(Default)]
    /// # struct Agent { candidates: Vec<&'static str> }
    /// # impl Machine for Agent {
    /// #     type Command = Never;
    /// #     type Error = Never;
    /// #     type Event = ();
    /// #     fn command(&mut self, _: &mut Cx<'_>, command: Never) -> Result<(), Never> { match command {} }
    /// #     fn handle(&mut self, _: &mut Cx<'_>, _: Input<'_>) -> Verdict { Verdict::NotMine }
    /// #     fn poll(&mut self) -> Output<()> { Output::Wait(None) }
    /// # }
    ///
    /// let mut net = Net::new(7);
    /// let host = net.add_host(net.internet(), "b", &["85.0.0.2".parse()?], &Link::PERFECT, Agent::default());
    /// net.after(host, Duration::from_millis(120), |agent, _| agent.candidates.push("candidate:1 1 udp …"));
    /// net.run_for(Duration::from_millis(119));
    /// assert!(net.machine(host).unwrap().candidates.is_empty());
    /// net.run_for(Duration::from_millis(1));
    /// assert_eq!(net.machine(host).unwrap().candidates.len(), 1);
    /// # Ok::<(), core::net::AddrParseError>(())
    /// ```
    pub fn after(&mut self, host: HostId, delay: Duration, call: impl FnOnce(&mut M, &mut Cx<'_>) + Send + 'static) {
        let call = DelayedCall { host: host.0, call: Box::new(call) };
        self.clock.schedule(self.clock.now().saturating_add(nanos(delay)), Wake::Call(Box::new(call)));
    }

    /// Makes a delayed call.
    pub(super) fn call(&mut self, DelayedCall { host, call }: DelayedCall<M>) {
        if self.hosts.get(host).is_some() {
            self.log(host, format_args!("is called by its owner"));
        }
        self.with(HostId(host), call);
    }

    /// Opens a UDP socket of a host, to hand to its machine by id. The machine gets no `Opened` event.
    ///
    /// # Errors
    /// * [`Refusal::AddressNotAvailable`]: the host does not have the address.
    /// * [`Refusal::AddressInUse`]: another socket is bound to the address and port.
    /// * [`Refusal::TooManySockets`]: port 0 was requested, and no dynamic port is free.
    /// * [`Refusal::NoRoute`]: the host belongs to another net.
    pub fn open(&mut self, host: HostId, local: SocketAddr) -> Result<(SocketId, SocketAddr), Refusal> {
        let id = self.hosts.get_mut(host.0).ok_or(Refusal::NoRoute)?.ids.next_socket();
        let local = self.bind(host.0, &Open::new(id, Protocol::Udp, local))?;
        Ok((id, local))
    }

    /// Wakes a machine at its deadline, or drains a new machine for the first time.
    pub(super) fn wake(&mut self, number: usize) {
        let now = self.clock.now();
        let Some(host) = self.hosts.get_mut(number) else { return };
        if host.timer.set != Some(now) {
            return;
        }
        host.timer.set = None;
        if host.timer.wait.is_some_and(|wait| wait <= now) {
            let _verdict = with_cx(host, instant(now), self.story.as_mut(), |m, cx| m.handle(cx, Input::Timeout));
        }
        self.drive(number);
    }

    /// Delivers a datagram to its socket.
    pub(super) fn deliver(&mut self, packet: Box<Packet>, number: usize) {
        let now = self.now();
        let Some(host) = self.hosts.get(number) else { return };
        if host.routing.are_readdressed && self.interface_of(number, packet.destination.ip()).is_none() {
            self.transit.ledger.stranded += 1;
            let fate = PacketFate::Stranded(StrandedReason::NoAddress);
            self.record(Some(Owner::Host(number)), &packet, || fate);
            self.log(number, format_args!("has lost the address of {} → {}", packet.source, packet.destination));
            return self.transit.pool.recycle(packet);
        }
        let Some(host) = self.hosts.get_mut(number) else { return };
        let Some(socket) = host.sockets.receiver(packet.destination, false) else {
            let rejects = host.system.rejects;
            self.transit.ledger.stranded += 1;
            let fate = PacketFate::Stranded(StrandedReason::NoSocket);
            self.record(Some(Owner::Host(number)), &packet, || fate);
            self.log(number, format_args!("has no socket for {} → {}", packet.source, packet.destination));
            if rejects {
                self.send_icmp_error(&packet, Unreachability::Port);
            }
            return self.transit.pool.recycle(packet);
        };
        if let Some(story) = &mut self.story {
            let (from, to) = (packet.source, packet.destination);
            story.add_line(now, &host.name, format_args!("receives {from} → {to} {}", Heading(packet.bytes())));
            story.add_packet(now, &host.name, &packet, PacketFate::Delivered);
        }
        self.transit.ledger.delivered += 1;
        let input = Input::Datagram(Datagram::new(socket, packet.destination, packet.source, packet.bytes()));
        let verdict = with_cx(host, now, self.story.as_mut(), |machine, cx| machine.handle(cx, input));
        if verdict == Verdict::NotMine {
            self.log(number, format_args!("ignores it"));
        }
        self.transit.pool.recycle(packet);
        self.drive(number);
    }

    /// Drains a machine, handles its orders, delivers socket events and stream bytes, and sets its timer.
    pub(super) fn drive(&mut self, number: usize) {
        let now = self.now();
        loop {
            let wait = loop {
                let Some(host) = self.hosts.get_mut(number) else { return };
                self.transit.operations += 1;
                if self.transit.operations >= super::MAX_OPERATIONS {
                    return;
                }
                match host.machine.poll() {
                    Output::Transmit(transmit) => self.transmit(number, transmit),
                    Output::Socket(order) => self.order(number, order),
                    Output::Event(event) => {
                        if let Some(story) = &mut self.story {
                            story.add_line(now, &host.name, format_args!("event: {}", (self.format_event)(&event)));
                        }
                        self.events.push(super::EventRecord { at: now, host: HostId(number), event });
                    }
                    Output::Wait(wait) => break wait,
                }
            };
            let Some(host) = self.hosts.get_mut(number) else { return };
            let Some((socket, event)) = host.inbox.socket_events.pop_front() else {
                match host.inbox.readable.pop_front() {
                    Some(socket) => self.hand_in(number, socket),
                    None => return self.set_timer(number, wait.map(|Deadline { at, .. }| nanos(at.since_origin()))),
                }
                continue;
            };
            if let Some(story) = &mut self.story {
                story.add_line(now, &host.name, format_args!("{socket} {event}"));
            }
            let input = Input::Socket(socket, event);
            let _verdict = with_cx(host, now, self.story.as_mut(), |machine, cx| machine.handle(cx, input));
        }
    }

    /// Stores the deadline of a machine. The clock gets a new entry only if the last one is too late.
    pub(super) fn set_timer(&mut self, number: usize, wait: Option<u64>) {
        let Some(host) = self.hosts.get_mut(number) else { return };
        host.timer.wait = wait;
        if let Some(wait) = wait
            && host.timer.set.is_none_or(|set| wait < set)
        {
            let wait = wait.max(self.clock.now());
            host.timer.set = Some(wait);
            self.clock.schedule(wait, Wake::Timer(u32::try_from(number).unwrap_or(u32::MAX)));
        }
    }

    /// Adds a line to the story, if one is recorded, under the name of a host.
    pub(super) fn log(&mut self, number: usize, what: core::fmt::Arguments<'_>) {
        if let (Some(story), Some(host)) = (&mut self.story, self.hosts.get(number)) {
            story.add_line(instant(self.clock.now()), &host.name, what);
        }
    }

    fn order(&mut self, number: usize, order: SocketOrder) {
        if self.story.is_some() {
            self.log(number, format_args!("{order}"));
        }
        match order {
            SocketOrder::Close(id) => self.close(number, id),
            SocketOrder::Pause(id) => self.set_paused(number, id, true),
            SocketOrder::Resume(id) => self.set_paused(number, id, false),
            SocketOrder::Open(open)
                if self.hosts.get(number).is_some_and(|host| host.sockets.get(open.id).is_some()) =>
            {
                self.log(number, format_args!("knows {} already: nothing happens", open.id));
            }
            SocketOrder::Open(open) => {
                let connects = open.protocol.is_stream() && !open.protocol.is_listener();
                let event = match self.bind(number, &open) {
                    Ok(local) if connects => match open.remote {
                        Some(remote) => return self.connect(number, open.id, local, remote),
                        None => SocketEvent::Refused(Refusal::NoRoute),
                    },
                    Ok(local) => SocketEvent::Opened { local },
                    Err(why) => SocketEvent::Refused(why),
                };
                if let Some(host) = self.hosts.get_mut(number) {
                    host.inbox.socket_events.push_back((open.id, event));
                }
            }
        }
    }

    /// Binds a socket. Returns the local address of its datagrams to the order's `remote`.
    fn bind(&mut self, number: usize, open: &Open) -> Result<SocketAddr, Refusal> {
        let own = |ip: IpAddr| self.interface_of(number, ip).is_some();
        if !open.local.ip().is_unspecified() && !own(open.local.ip()) {
            return Err(Refusal::AddressNotAvailable);
        }
        if open.remote.is_some_and(|remote| remote.is_ipv4() != open.local.is_ipv4()) {
            return Err(Refusal::FamilyNotSupported);
        }
        let leaves = match open.remote {
            Some(remote) => Some(self.egress(number, open.local.ip(), remote.ip()).ok_or(Refusal::NoRoute)?.0),
            None => None,
        };
        let host = self.hosts.get_mut(number).ok_or(Refusal::NoRoute)?;
        let bound = host.sockets.bind(open, &mut self.rng)?;
        Ok(SocketAddr::new(leaves.unwrap_or(bound.ip()), bound.port()))
    }

    /// The interface of a host that has this address.
    pub(super) fn interface_of(&self, number: usize, address: IpAddr) -> Option<usize> {
        let host = self.hosts.get(number)?;
        host.routing.interfaces.iter().copied().find(|interface| self.map.has_address(*interface, address))
    }

    /// The source address and the interface of datagrams to `destination` from a socket bound to `bound`.
    fn egress(&self, number: usize, bound: IpAddr, destination: IpAddr) -> Option<(IpAddr, usize)> {
        if !bound.is_unspecified() {
            let interface = self.interface_of(number, bound)?;
            return self.map.interfaces.get(interface)?.is_up.then_some((bound, interface));
        }
        let leaves_by = |number: usize| {
            let interface = self.map.interfaces.get(number).filter(|interface| interface.is_up)?;
            let mut own = interface.addresses.iter().copied();
            own.find(|ip| ip.is_ipv4() == destination.is_ipv4()).map(|ip| (ip, number))
        };
        let routing = &self.hosts.get(number)?.routing;
        if let Some((_, interface)) = routing.routes.iter().find(|(to, _)| *to == destination)
            && let Some(way) = leaves_by(*interface)
        {
            return Some(way);
        }
        routing.interfaces.iter().find_map(|interface| leaves_by(*interface))
    }

    /// Sends the datagram or the stream bytes of a transmit.
    fn transmit(&mut self, number: usize, transmit: Transmit) {
        let Transmit { socket: id, local, remote, hop_limit, when_full, payload, .. } = transmit;
        let Some(socket) = self.hosts.get(number).and_then(|host| host.sockets.get(id)) else {
            return self.log(number, format_args!("sends on {id}, which is not open: nothing happens"));
        };
        if socket.protocol.is_stream() {
            return if socket.is_connected {
                self.send_on(number, id, payload, when_full)
            } else {
                self.log(number, format_args!("sends on {id}, which is not connected: nothing happens"))
            };
        }
        let bound = socket.bound;
        let Some(source) = self.source(number, bound.ip(), local) else {
            return self.unreachable(number, id, remote, Unreachability::SourceAddress);
        };
        let family = bound.is_ipv4() == remote.is_ipv4();
        let Some((ip, interface)) = family.then(|| self.egress(number, source, remote.ip())).flatten() else {
            return self.unreachable(number, id, remote, Unreachability::Network);
        };
        let source = SocketAddr::new(ip, bound.port());
        let mut packet = self.transit.pool.packet(source, remote, Place::Up(interface), self.clock.now());
        packet.hop_limit = hop_limit.unwrap_or(packet.hop_limit);
        packet.origin = Some(Origin { host: number, socket: id, remote });
        packet.share(payload);
        self.transit.ledger.sent += 1;
        self.record(Some(Owner::Host(number)), &packet, || PacketFate::Sent);
        self.transit.ready.push_back(packet);
    }

    /// The source address of a transmit: the chosen address, else the bound one. `None`: the host does not have the
    /// address, or the socket is bound to another one.
    fn source(&self, number: usize, bound: IpAddr, chosen: Option<IpAddr>) -> Option<IpAddr> {
        let Some(chosen) = chosen else { return Some(bound) };
        let may_send = chosen == bound || (bound.is_unspecified() && chosen.is_ipv4() == bound.is_ipv4());
        (may_send && self.interface_of(number, chosen).is_some()).then_some(chosen)
    }

    /// Reports to a machine that a datagram could not be sent.
    fn unreachable(&mut self, number: usize, socket: SocketId, remote: SocketAddr, why: Unreachability) {
        let what = if why == Unreachability::SourceAddress { "no such source address for" } else { "no route to" };
        self.log(number, format_args!("has {what} {remote}"));
        if let Some(host) = self.hosts.get_mut(number) {
            host.inbox.socket_events.push_back((socket, SocketEvent::Unreachable { remote, why }));
        }
    }
}
