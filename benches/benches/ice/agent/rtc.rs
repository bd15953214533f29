//! `rtc-ice`.

use super::{Agent, Packet};
use alloc::sync::Arc;
use bytes::BytesMut;
use core::net::SocketAddr;
use core::time::Duration;
use rtc_ice::candidate::candidate_host::CandidateHostConfig;
use rtc_ice::candidate::{Candidate, CandidateConfig};
use rtc_ice::{AgentConfig, Credentials};
use rtc_shared::{TransportContext, TransportMessage, TransportProtocol};
use sansio::Protocol;
use std::time::Instant;

pub(crate) struct Rtc {
    agent: rtc_ice::Agent,
    start: Instant,
    is_controlling: bool,
    candidates: Vec<Candidate>,
}

impl Agent for Rtc {
    const NAME: &'static str = "rtc-ice";
    type Inner = rtc_ice::Agent;
    type Description = (Credentials, Vec<Candidate>);
    type Bytes = BytesMut;

    fn new(addresses: &[SocketAddr], _: usize, is_controlling: bool) -> Self {
        let start = Instant::now();
        let config = Arc::new(AgentConfig { is_controlling, ..AgentConfig::default() });
        let provider = rtc_ice::crypto::default_provider().expect("a built-in provider");
        let mut agent = rtc_ice::Agent::new(start, config, provider).expect("a valid configuration");
        let host = |address: &SocketAddr| {
            let base_config = CandidateConfig {
                network: "udp".to_owned(),
                address: address.ip().to_string(),
                port: address.port(),
                component: 1,
                ..CandidateConfig::default()
            };
            CandidateHostConfig { base_config, ..CandidateHostConfig::default() }.new_candidate_host()
        };
        let candidates: Vec<Candidate> = addresses.iter().map(|address| host(address).expect("an address")).collect();
        for candidate in &candidates {
            agent.add_local_candidate(candidate.clone()).expect("a host candidate");
        }
        Self { agent, start, is_controlling, candidates }
    }

    fn description(&mut self) -> Self::Description {
        (self.agent.get_local_credentials().clone(), core::mem::take(&mut self.candidates))
    }

    fn accept(&mut self, now: Duration, (credentials, candidates): Self::Description) {
        for candidate in candidates {
            self.agent.add_remote_candidate(candidate).expect("a host candidate");
        }
        let Credentials { ufrag, pwd } = credentials;
        self.agent.start_connectivity_checks(self.start + now, self.is_controlling, ufrag, pwd).expect("credentials");
    }

    fn poll(&mut self, _: Duration) -> Option<Packet<BytesMut>> {
        while self.agent.poll_event().is_some() {}
        let sent = self.agent.poll_write()?;
        Some(Packet { from: sent.transport.local_addr, to: sent.transport.peer_addr, bytes: sent.message })
    }

    fn receive(&mut self, now: Duration, packet: Packet<BytesMut>) {
        let transport = TransportContext {
            local_addr: packet.to,
            peer_addr: packet.from,
            transport_protocol: TransportProtocol::UDP,
            ecn: None,
        };
        let message = TransportMessage { now: self.start + now, transport, message: packet.bytes };
        let _refused = self.agent.handle_read(message);
    }

    fn deadline(&mut self, _: Duration) -> Option<Duration> {
        self.agent.poll_timeout().map(|at| at.saturating_duration_since(self.start))
    }

    fn wake(&mut self, now: Duration) {
        self.agent.handle_timeout(self.start + now).expect("a running agent");
    }

    fn into_inner(self) -> rtc_ice::Agent {
        self.agent
    }

    fn selected(&self) -> Option<(SocketAddr, SocketAddr)> {
        self.agent.get_selected_candidate_pair().map(|(local, remote)| (local.addr(), remote.addr()))
    }
}
