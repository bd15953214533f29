//! A probe without STUN: it has the sockets at both ends, and so measures the NAT directly.
//!
//! The result does not depend on one packet. A packet that should arrive is retransmitted until it arrives. A missing
//! packet counts only if packets of the contacted endpoint arrive at the same time.

use core::cell::Cell;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use std::io::ErrorKind;
use std::net::{TcpStream, UdpSocket};
use std::thread;

use libtest_mimic::Failed;

use crate::Outcome;
use crate::kinds::{Classification, Dependence, Family, Kind, Presence};
use crate::receive::uninterrupted;
use crate::rules::{Mapping, Policy};
use crate::topology::Topology;

/// The ports of the servers: the port of STUN (RFC 8489 §8) and the next one.
pub(crate) const PORTS: [u16; 2] = [3478, 3479];

/// Sockets on every server address of one network, and the means to open more at the client.
pub(crate) struct Probe<'a> {
    topology: &'a Topology,
    kind: &'a Kind,
    /// Primary address, first port.
    contacted: UdpSocket,
    /// Primary address, second port.
    other_port: UdpSocket,
    /// Alternate address, second port.
    other_address: UdpSocket,
    /// The address of another host, first port.
    other_host: UdpSocket,
    /// The number of the last packet.
    last: Cell<u64>,
}

impl<'a> Probe<'a> {
    /// Binds the servers' sockets.
    pub(crate) fn new(kind: &'a Kind, topology: &'a Topology) -> Outcome<Self> {
        let [first, second] = PORTS;
        let plan = &topology.plan;
        let bind = |address, port| topology.servers.bind(SocketAddr::new(address, port)).and_then(with_timeout);
        Ok(Self {
            topology,
            kind,
            contacted: bind(plan.primary, first)?,
            other_port: bind(plan.primary, second)?,
            other_address: bind(plan.alternate, second)?,
            other_host: topology.second.bind(SocketAddr::new(plan.second, first)).and_then(with_timeout)?,
            last: Cell::new(0),
        })
    }

    /// Measures what the network does to UDP.
    pub(crate) fn measure(&self) -> Outcome<Classification> {
        let client = self.client()?;
        let Some(seen) = self.seen_by_contacted(&client)? else {
            self.tcp_works()?;
            return Ok(Classification::Blocked);
        };
        let mapping = self.mapping()?;
        let filtering = self.filtering()?;
        let presence = match (seen == client.local_addr()?, filtering) {
            (true, Dependence::EndpointIndependent) => Presence::Nothing,
            (true, Dependence::AddressDependent | Dependence::AddressAndPortDependent) => Presence::Firewall,
            (false, _) => Presence::Nat,
        };
        let classic = match self.kind.expected {
            // RFC 3489 §5 derives the classic name from the rest, so only the binary can compute it wrongly.
            Classification::Behavior { classic, .. } => classic,
            Classification::Blocked => "blocked",
        };
        Ok(Classification::Behavior { presence, mapping, filtering, classic })
    }

    /// Opens a socket at the client that has not sent yet.
    fn client(&self) -> Outcome<UdpSocket> {
        self.topology.client.bind(SocketAddr::new(self.topology.plan.client, 0)).and_then(with_timeout)
    }

    fn seen_by_contacted(&self, client: &UdpSocket) -> Outcome<Option<SocketAddr>> {
        self.seen(client, &self.contacted)
    }

    /// Returns the source address at a server; `None` if no packet arrives after all retransmissions.
    fn seen(&self, client: &UdpSocket, server: &UdpSocket) -> Outcome<Option<SocketAddr>> {
        for _ in 0..TRIES {
            let sent = self.token();
            client.send_to(&sent, server.local_addr()?)?;
            while let Some((received, source)) = receive(server)? {
                if received == sent {
                    return Ok(Some(source));
                }
            }
        }
        Ok(None)
    }

    /// Compares the mappings of a socket to four endpoints. Two sockets are used, because two random ports may be
    /// equal.
    fn mapping(&self) -> Outcome<Dependence> {
        let mut found = Dependence::EndpointIndependent;
        for _ in 0..2 {
            let client = self.client()?;
            let mapped = |server| self.seen(&client, server)?.ok_or_else(|| Failed::from(LOST));
            let contacted = mapped(&self.contacted)?;
            if mapped(&self.other_port)? != contacted {
                return Ok(Dependence::AddressAndPortDependent);
            }
            if mapped(&self.other_address)? != contacted || mapped(&self.other_host)? != contacted {
                found = Dependence::AddressDependent;
            }
            if mapped(&self.contacted)? != contacted {
                return Err("a socket's mapping to one endpoint changed".into());
            }
        }
        Ok(found)
    }

    /// Measures which endpoints reach a socket that has sent to one endpoint only.
    fn filtering(&self) -> Outcome<Dependence> {
        let client = self.client()?;
        let public = self.seen_by_contacted(&client)?.ok_or(LOST)?;
        let (mut port_received, mut address_received, mut controls) = (false, false, 0);
        for _ in 0..self.rounds() {
            let (from_port, from_address, control) = (self.token(), self.token(), self.token());
            self.other_port.send_to(&from_port, public)?;
            self.other_address.send_to(&from_address, public)?;
            self.contacted.send_to(&control, public)?;
            while let Some((token, source)) = receive(&client)? {
                port_received |= source == self.other_port.local_addr()?;
                address_received |= source == self.other_address.local_addr()?;
                if token == control {
                    controls += 1;
                    break;
                }
            }
        }
        // A packet that arrived after its control packet.
        while let Some((_, source)) = receive(&client)? {
            port_received |= source == self.other_port.local_addr()?;
            address_received |= source == self.other_address.local_addr()?;
        }
        match (address_received, port_received) {
            _ if controls <= self.rounds() / 3 => Err("too few control packets of the contacted server arrived".into()),
            (true, true) => Ok(Dependence::EndpointIndependent),
            (false, true) => Ok(Dependence::AddressDependent),
            (false, false) => Ok(Dependence::AddressAndPortDependent),
            (true, false) => {
                Err("packets of another address arrived, but none of another port of the contacted address".into())
            }
        }
    }

    /// Checks the port allocation of the kind: preserving, sequential, or neither.
    pub(crate) fn check_ports(&self) -> Outcome {
        let Some(router) = self.kind.outermost() else { return Ok(()) };
        if self.kind.expected == Classification::Blocked {
            return Ok(());
        }
        let (mut kept, mut ports) = (0, vec![]);
        for _ in 0..5 {
            let client = self.client()?;
            let public = self.seen_by_contacted(&client)?.ok_or(LOST)?;
            kept += usize::from(public.port() == client.local_addr()?.port());
            ports.push(public.port());
            if !self.is_expected_source(public.ip()) {
                return Err(format!("the client is seen as {public}").into());
            }
        }
        let counted = ports.windows(2).all(|pair| matches!(pair, [one, other] if other.wrapping_sub(*one) == 1));
        let right = match router.mapping {
            Mapping::None | Mapping::Preserving | Mapping::OneToOne => kept == ports.len(),
            Mapping::Counting => counted,
            Mapping::Random | Mapping::PerAddress | Mapping::PerEndpoint | Mapping::Pool => kept == 0 && !counted,
        };
        if right { Ok(()) } else { Err(format!("{:?} allocated the ports {ports:?}", router.mapping).into()) }
    }

    fn is_expected_source(&self, address: IpAddr) -> bool {
        let plan = &self.topology.plan;
        let translated = self.kind.outermost().is_some_and(|router| router.mapping != Mapping::None);
        if translated { plan.external.contains(&address) } else { plan.client == address }
    }

    /// Checks whether two sockets of the client reach each other by their external endpoints, as the kind says.
    pub(crate) fn check_hairpin(&self) -> Outcome {
        let Some(router) = self.kind.outermost() else { return Ok(()) };
        if self.kind.expected == Classification::Blocked || router.mapping == Mapping::None {
            return Ok(());
        }
        let (one, other) = (self.client()?, self.client()?);
        let one_public = self.seen_by_contacted(&one)?.ok_or(LOST)?;
        let other_public = self.seen_by_contacted(&other)?.ok_or(LOST)?;
        let mut received = 0;
        for _ in 0..3 {
            // Both directions, because each socket may need to send first.
            other.send_to(&self.token(), one_public)?;
            one.send_to(&self.token(), other_public)?;
            while let Some((_, source)) = receive(&one)? {
                received += usize::from(source == other_public);
            }
        }
        match (received > 0, router.hairpin) {
            (true, true) | (false, false) => Ok(()),
            (true, false) => Err("a packet to the external endpoint of the other socket arrived".into()),
            (false, true) => Err("no packet to the external endpoint of the other socket arrived".into()),
        }
    }

    /// Checks the rate of packet loss, within five standard deviations.
    pub(crate) fn check_loss(&self) -> Outcome {
        if self.kind.expected == Classification::Blocked {
            return Ok(());
        }
        let client = self.client()?;
        let public = self.seen_by_contacted(&client)?.ok_or(LOST)?;
        let sent: u16 = if self.kind.loss() == 0 { 40 } else { 400 };
        let (mut out, mut back) = (0_u16, 0_u16);
        for _ in 0..sent / 40 {
            // A few packets at a time, so that the queues of the kernel do not overflow.
            for _ in 0..40 {
                client.send_to(&self.token(), self.contacted.local_addr()?)?;
                self.contacted.send_to(&self.token(), public)?;
            }
            while receive(&self.contacted)?.is_some() {
                out += 1;
            }
            while receive(&client)?.is_some() {
                back += 1;
            }
        }
        let (sent, share) = (f64::from(sent), f64::from(self.kind.loss()) / 100.0);
        let spread = 5.0 * (sent * share * (1.0 - share)).sqrt();
        for (way, received) in [("out", out), ("back", back)] {
            let lost = sent - f64::from(received);
            if (lost - sent * share).abs() > spread {
                return Err(format!("{lost} of {sent} packets were lost in the direction {way}").into());
            }
        }
        Ok(())
    }

    /// Checks that an idle mapping expires after the seconds of the kind, and not long before.
    pub(crate) fn check_lifetime(&self) -> Outcome {
        let lifetime = Duration::from_secs(self.kind.outermost().ok_or("no router")?.lifetime.into());
        let margin = Duration::from_millis(1500);
        let (early, late) = (self.client()?, self.client()?);
        let early_public = self.seen_by_contacted(&early)?.ok_or(LOST)?;
        let late_public = self.seen_by_contacted(&late)?.ok_or(LOST)?;
        // This test measures the time itself, so it must wait.
        thread::sleep(lifetime - margin);
        let token = self.token();
        self.contacted.send_to(&token, early_public)?;
        if receive(&early)?.is_none_or(|(received, _)| received != token) {
            return Err("the mapping expired too early".into());
        }
        thread::sleep(2 * margin);
        self.contacted.send_to(&self.token(), late_public)?;
        if receive(&late)?.is_some() { Err("the mapping did not expire".into()) } else { Ok(()) }
    }

    /// Checks that a network without UDP still has TCP on one of the usual ports: accepted or refused.
    fn tcp_works(&self) -> Outcome {
        let only_443 = self.kind.outermost().is_some_and(|router| router.policy == Policy::OnlyTcp443);
        let [stun, _] = PORTS;
        for (port, expected) in [(443, true), (stun, !only_443)] {
            let server = SocketAddr::new(self.topology.plan.primary, port);
            let answered = self.topology.client.inside(|| {
                Ok(match TcpStream::connect_timeout(&server, Duration::from_millis(250)) {
                    Ok(_) => true,
                    Err(why) => why.kind() == ErrorKind::ConnectionRefused,
                })
            })?;
            if answered != expected {
                return Err(format!("TCP to {server}: answered is {answered}, expected {expected}").into());
            }
        }
        Ok(())
    }

    /// The number of packets that test the filter, so that loss does not look like a filter.
    fn rounds(&self) -> usize {
        if self.kind.loss() == 0 { 4 } else { 40 }
    }

    /// Returns a payload that was never sent before.
    fn token(&self) -> [u8; 8] {
        self.last.set(self.last.get() + 1);
        self.last.get().to_be_bytes()
    }
}

/// Checks that the client has addresses of one family only.
pub(crate) fn check_family(kind: &Kind, topology: &Topology) -> Outcome {
    let other: SocketAddr = match kind.family {
        Family::V4 => "[2001:db8:113::10]:3478".parse()?,
        Family::V6 => "203.0.113.10:3478".parse()?,
    };
    topology.client.inside(|| {
        let any = if other.is_ipv6() { "[::]:0" } else { "0.0.0.0:0" };
        let reached = UdpSocket::bind(any).and_then(|socket| socket.connect(other));
        if reached.is_ok() { Err(format!("there is a route to {other}").into()) } else { Ok(()) }
    })
}

/// Returns the next datagram, if one arrives soon.
fn receive(socket: &UdpSocket) -> Outcome<Option<([u8; 8], SocketAddr)>> {
    let mut payload = [0; 8];
    match uninterrupted(|| socket.recv_from(&mut payload)) {
        Ok((_, source)) => Ok(Some((payload, source))),
        Err(why) if matches!(why.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Ok(None),
        Err(why) => Err(why.into()),
    }
}

fn with_timeout(socket: UdpSocket) -> Outcome<UdpSocket> {
    socket.set_read_timeout(Some(WAIT))?;
    Ok(socket)
}

/// The upper bound of the delay of a packet. The networks have no delay, but the machine may be busy.
const WAIT: Duration = Duration::from_millis(25);
/// The number of transmissions until a path counts as closed.
const TRIES: usize = 30;
const LOST: &str = "a server no longer sees the client";
