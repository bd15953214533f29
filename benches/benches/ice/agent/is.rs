//! `is`, the agent of str0m.

use super::{Agent, Packet};
use core::net::SocketAddr;
use core::time::Duration;
use is::stun::{StunMessage, StunPacket};
use is::{Candidate, IceAgent, IceAgentEvent, IceCreds, Protocol};
use std::time::Instant;

pub(crate) struct Is {
    agent: IceAgent,
    start: Instant,
    selected: Option<(SocketAddr, SocketAddr)>,
}

impl Is {
    fn take_events(&mut self) {
        while let Some(event) = self.agent.poll_event() {
            if let IceAgentEvent::NominatedSend { source, destination, .. } = event {
                self.selected = Some((source, destination));
            }
        }
    }
}

impl Agent for Is {
    const NAME: &'static str = "is";
    type Inner = IceAgent;
    type Description = (IceCreds, Vec<Candidate>);
    type Bytes = Vec<u8>;

    fn new(addresses: &[SocketAddr], limit: usize, is_controlling: bool) -> Self {
        let mut agent = IceAgent::new(IceCreds::new());
        agent.set_controlling(is_controlling);
        agent.set_max_candidate_pairs(limit);
        for address in addresses {
            agent.add_local_candidate(Candidate::host(*address, Protocol::Udp).expect("a usable address"));
        }
        Self { agent, start: Instant::now(), selected: None }
    }

    fn description(&mut self) -> Self::Description {
        (self.agent.local_credentials().clone(), self.agent.local_candidates().collect())
    }

    fn accept(&mut self, now: Duration, (credentials, candidates): Self::Description) {
        self.agent.set_remote_credentials(credentials);
        for candidate in candidates {
            self.agent.add_remote_candidate(candidate);
        }
        self.wake(now);
    }

    fn poll(&mut self, _: Duration) -> Option<Packet<Vec<u8>>> {
        let sent = self.agent.poll_transmit()?;
        Some(Packet { from: sent.source, to: sent.destination, bytes: sent.contents.into() })
    }

    fn receive(&mut self, now: Duration, packet: Packet<Vec<u8>>) {
        let Ok(message) = StunMessage::parse(&packet.bytes) else { return };
        let (source, destination) = (packet.from, packet.to);
        let packet = StunPacket { proto: Protocol::Udp, source, destination, message };
        let _accepted = self.agent.handle_packet(self.start + now, packet);
        self.take_events();
    }

    fn deadline(&mut self, _: Duration) -> Option<Duration> {
        self.agent.poll_timeout().map(|at| at.saturating_duration_since(self.start))
    }

    fn wake(&mut self, now: Duration) {
        self.agent.handle_timeout(self.start + now);
        self.take_events();
    }

    fn into_inner(self) -> IceAgent {
        self.agent
    }

    fn selected(&self) -> Option<(SocketAddr, SocketAddr)> {
        self.selected
    }
}
