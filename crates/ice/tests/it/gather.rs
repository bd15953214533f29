//! The gatherer, in simulated networks and step by step.

#![expect(clippy::wildcard_enum_match_arm, reason = "a test looks for one kind of output")]

extern crate alloc;

mod addresses;
mod changes;
mod laws;
mod pacing;
mod servers;

use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use portolan_ice::gather::{GatherReport, Interface};
use portolan_ice::{CandidateKind, GatherConfig, GatherError, GatherEvent, Gatherer, LocalCandidate};
use portolan_machine::{
    Cx, Datagram, Entropy, Input, Instant, Machine, Output, SocketEvent, SocketId, SocketIds, SocketOrder, Transmit,
    Verdict,
};
use portolan_nat::translator::TranslatorConfig;
use portolan_sim::{Barrier, Fault, Gateway, Link, Net, SegmentId, Server, ServerId};
use portolan_stun::{Attribute, Message, ResponseClass, Writer};

pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

pub(crate) fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

pub(crate) const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// An address of an ordinary interface.
pub(crate) fn lan(name: &str, address: &str) -> Interface {
    Interface::new(name, ip(address))
}

/// The round trip time to the servers in milliseconds.
pub(crate) const RTT: u64 = 40;
/// The servers with this fault, each with an address of both families.
pub(crate) const GOOD: [&str; 2] = ["192.0.2.1:3478", "[2001:db8:1::1]:3478"];

/// A host with two dual-stack interfaces: `eth0` behind a NAT, `wlan0` behind another one.
pub(crate) struct World {
    pub(crate) net: Net<Gatherer>,
    pub(crate) host: portolan_sim::HostId,
    pub(crate) home: SegmentId,
}

impl World {
    /// The addresses of the host.
    pub(crate) const WIRED: [&str; 2] = ["192.168.1.7", "2001:db8:a::7"];
    pub(crate) const WIRELESS: [&str; 2] = ["10.20.0.7", "2001:db8:b::7"];
    /// The public addresses of the two NATs.
    pub(crate) const PUBLIC: [&str; 2] = ["203.0.113.1", "203.0.113.2"];

    pub(crate) fn new(config: GatherConfig, nat: TranslatorConfig) -> Self {
        let mut net = Net::new(1);
        let link = Link::delay(ms(RTT / 2));
        let gateway = |name, address| Gateway::new(name, [ip(address)], nat).ipv6(Barrier::Open);
        let home = net.add_gateway(net.internet(), gateway("home", Self::PUBLIC[0]), &link);
        let cafe = net.add_gateway(net.internet(), gateway("cafe", Self::PUBLIC[1]), &link);
        let gatherer = Gatherer::new(config).unwrap();
        let host = net.add_host(home, "host", &Self::WIRED.map(ip), &Link::PERFECT, gatherer);
        net.add_interface(host, cafe, &Self::WIRELESS.map(ip), &Link::PERFECT);
        Self { net, host, home }
    }

    pub(crate) fn add_server(&mut self, address: &str, fault: Fault) -> ServerId {
        self.net.add_server(self.net.internet(), Server::new(address, at(address)).fault(fault), &Link::PERFECT)
    }

    pub(crate) fn interfaces() -> Vec<Interface> {
        let of = |name, addresses: [&str; 2]| addresses.map(|address| lan(name, address));
        of("eth0", Self::WIRED).into_iter().chain(of("wlan0", Self::WIRELESS)).collect()
    }

    pub(crate) fn set(&mut self, interfaces: Vec<Interface>) {
        self.net.with(self.host, |gatherer, cx| gatherer.set_interfaces(cx, interfaces)).unwrap().unwrap();
    }

    pub(crate) fn run(&mut self, time: Duration) {
        let _stop = self.net.run_for(time);
    }

    /// The events so far with their times in milliseconds.
    pub(crate) fn events(&self) -> Vec<(u128, GatherEvent)> {
        let events = self.net.events().iter();
        events.map(|record| (record.at.since_origin().as_millis(), record.event.clone())).collect()
    }

    /// The candidates so far: time, kind, base address, address without port.
    pub(crate) fn candidates(&self) -> Vec<(u128, &'static str, String, String)> {
        let found = self.events().into_iter().filter_map(|(at, event)| match event {
            GatherEvent::Candidate(found) => {
                Some((at, found.kind.name(), found.base.ip().to_string(), found.address.ip().to_string()))
            }
            _ => None,
        });
        found.collect()
    }

    /// The times and reports of completed rounds.
    pub(crate) fn reports(&self) -> Vec<(u128, GatherReport)> {
        let reports = self.events().into_iter().filter_map(|(at, event)| match event {
            GatherEvent::Complete(report) => Some((at, report)),
            _ => None,
        });
        reports.collect()
    }
}

/// An RNG whose bytes count.
#[derive(Default)]
pub(crate) struct Counting(u8);

impl Entropy for Counting {
    fn fill(&mut self, out: &mut [u8]) {
        for byte in out {
            self.0 = self.0.wrapping_add(1);
            *byte = self.0;
        }
    }
}

/// A gatherer that is driven step by step.
pub(crate) struct Hand {
    pub(crate) gatherer: Gatherer,
    pub(crate) now: Instant,
    rng: Counting,
    ids: SocketIds,
}

impl Hand {
    pub(crate) fn new(config: GatherConfig) -> Self {
        let gatherer = Gatherer::new(config).unwrap();
        Self { gatherer, now: Instant::ORIGIN, rng: Counting::default(), ids: SocketIds::new() }
    }

    pub(crate) fn with<R>(&mut self, call: impl FnOnce(&mut Gatherer, &mut Cx<'_>) -> R) -> R {
        let mut cx = Cx::new(self.now, &mut self.rng, &mut self.ids);
        call(&mut self.gatherer, &mut cx)
    }

    pub(crate) fn set(&mut self, interfaces: Vec<Interface>) -> Result<(), GatherError> {
        self.with(|gatherer, cx| gatherer.set_interfaces(cx, interfaces))
    }

    pub(crate) fn handle(&mut self, input: Input<'_>) -> Verdict {
        self.with(|gatherer, cx| gatherer.handle(cx, input))
    }

    /// Drains the outputs, and returns them with the next deadline.
    pub(crate) fn drain(&mut self) -> (Vec<Output<GatherEvent>>, Option<Instant>) {
        let mut outputs = Vec::new();
        loop {
            match self.gatherer.poll() {
                Output::Wait(wait) => return (outputs, wait.map(|wait| wait.at)),
                output => outputs.push(output),
            }
        }
    }

    /// Opens each ordered socket on its address, with port 5000 + socket id if the order has none. Returns all other
    /// outputs, those that the openings cause included.
    pub(crate) fn open_all(&mut self) -> Vec<Output<GatherEvent>> {
        let mut others = Vec::new();
        loop {
            let (outputs, _) = self.drain();
            if outputs.is_empty() {
                return others;
            }
            for output in outputs {
                match output {
                    Output::Socket(SocketOrder::Open(open)) => {
                        let mut local = open.local;
                        if local.port() == 0 {
                            local.set_port(5000 + u16::try_from(open.id.0).unwrap());
                        }
                        assert_eq!(self.handle(Input::Socket(open.id, SocketEvent::Opened { local })), Verdict::Mine);
                    }
                    output => others.push(output),
                }
            }
        }
    }

    /// Lets time pass until `end`, with a timeout at each deadline. Returns the outputs with their times.
    pub(crate) fn run_until(&mut self, end: Instant) -> Vec<(Instant, Output<GatherEvent>)> {
        let mut all = Vec::new();
        loop {
            let (outputs, wait) = self.drain();
            all.extend(outputs.into_iter().map(|output| (self.now, output)));
            match wait {
                Some(wait) if wait <= end => {
                    assert!(wait > self.now, "no busy loop");
                    self.now = wait;
                    let _due = self.handle(Input::Timeout);
                }
                _ => {
                    self.now = end;
                    return all;
                }
            }
        }
    }

    /// Answers a request with this mapped address.
    pub(crate) fn answer(&mut self, request: &Transmit, local: SocketAddr, mapped: SocketAddr) -> Verdict {
        let response = response(request, &Attribute::XorMappedAddress(mapped));
        self.handle(Input::Datagram(Datagram::new(request.socket, local, request.remote, &response)))
    }
}

/// A success response to a request.
pub(crate) fn response(request: &Transmit, attribute: &Attribute<'_>) -> Vec<u8> {
    let request = Message::decode(&request.payload).unwrap().exempt();
    let mut buffer = [0; 200];
    let mut writer = Writer::response(&mut buffer, &request, ResponseClass::Success).unwrap();
    writer.add(attribute).unwrap();
    writer.finish().to_vec()
}

pub(crate) fn candidates(outputs: &[Output<GatherEvent>]) -> Vec<LocalCandidate> {
    let found = outputs.iter().filter_map(|output| match output {
        Output::Event(GatherEvent::Candidate(candidate)) => Some(*candidate),
        _ => None,
    });
    found.collect()
}

pub(crate) fn transmits(outputs: &[Output<GatherEvent>]) -> Vec<Transmit> {
    let sent = outputs.iter().filter_map(|output| match output {
        Output::Transmit(sent) => Some(sent.clone()),
        _ => None,
    });
    sent.collect()
}

pub(crate) fn completions(outputs: &[Output<GatherEvent>]) -> Vec<GatherReport> {
    let reports = outputs.iter().filter_map(|output| match output {
        Output::Event(GatherEvent::Complete(report)) => Some(report.clone()),
        _ => None,
    });
    reports.collect()
}

pub(crate) fn closed(outputs: &[Output<GatherEvent>]) -> Vec<SocketId> {
    let closed = outputs.iter().filter_map(|output| match output {
        Output::Socket(SocketOrder::Close(socket)) => Some(*socket),
        _ => None,
    });
    closed.collect()
}

pub(crate) fn is_host(candidate: &LocalCandidate) -> bool {
    candidate.kind == CandidateKind::Host
}
