//! `ezk-ice`.

use super::{Agent, Packet};
use core::net::SocketAddr;
use core::time::Duration;
use ezk_ice::{Component, IceAgent, IceCredentials, IceEvent, ReceivedPkt};
use ezk_sdp_types::IceCandidate;
use std::time::Instant;

pub(crate) struct Ezk {
    agent: IceAgent,
    start: Instant,
    first: SocketAddr,
    addresses: Vec<SocketAddr>,
}

impl Agent for Ezk {
    const NAME: &'static str = "ezk-ice";
    type Inner = IceAgent;
    type Description = (IceCredentials, Vec<IceCandidate>);
    type Bytes = Vec<u8>;

    fn new(addresses: &[SocketAddr], _: usize, is_controlling: bool) -> Self {
        let mut agent = IceAgent::new_for_offer(IceCredentials::random(), is_controlling, true);
        for address in addresses {
            agent.add_host_addr(Component::Rtp, *address);
        }
        Self { agent, start: Instant::now(), first: addresses[0], addresses: addresses.to_vec() }
    }

    fn description(&mut self) -> Self::Description {
        (self.agent.credentials().clone(), self.agent.ice_candidates())
    }

    fn accept(&mut self, now: Duration, (credentials, candidates): Self::Description) {
        self.agent.set_remote_data(credentials, &candidates, true);
        self.wake(now);
    }

    fn poll(&mut self, _: Duration) -> Option<Packet<Vec<u8>>> {
        loop {
            if let IceEvent::SendData { data, source, target, .. } = self.agent.pop_event()? {
                // The event has the source IP address only: the package expects one socket for all addresses.
                let own = |ip| self.addresses.iter().find(|known| known.ip() == ip).copied();
                let from = source.and_then(own).unwrap_or(self.first);
                return Some(Packet { from, to: target, bytes: data });
            }
        }
    }

    fn receive(&mut self, now: Duration, packet: Packet<Vec<u8>>) {
        let (data, source, destination) = (packet.bytes, packet.from, packet.to);
        self.agent.receive(self.start + now, ReceivedPkt { data, source, destination, component: Component::Rtp });
    }

    fn deadline(&mut self, now: Duration) -> Option<Duration> {
        self.agent.timeout(self.start + now).map(|wait| now + wait)
    }

    fn wake(&mut self, now: Duration) {
        self.agent.poll(self.start + now);
    }

    fn into_inner(self) -> IceAgent {
        self.agent
    }

    fn selected(&self) -> Option<(SocketAddr, SocketAddr)> {
        self.agent.discovered_addr(Component::Rtp)
    }
}
