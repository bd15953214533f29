//! `rice-proto`.

use super::{Agent, PORT, Packet};
use core::net::SocketAddr;
use core::time::Duration;
use rice_proto::agent::AgentPoll;
use rice_proto::candidate::{Candidate, CandidateType, TransportType};
use rice_proto::stream::Credentials;
use stun_proto::Instant;
use stun_proto::agent::Transmit;

pub(crate) struct Rice {
    agent: rice_proto::agent::Agent,
    stream: usize,
    deadline: Option<Instant>,
    selected: Option<(SocketAddr, SocketAddr)>,
}

fn at(now: Duration) -> Instant {
    Instant::from_nanos(i64::try_from(now.as_nanos()).expect("a short session"))
}

impl Agent for Rice {
    const NAME: &'static str = "rice-proto";
    type Inner = rice_proto::agent::Agent;
    type Description = (Credentials, Vec<Candidate>);
    type Bytes = Box<[u8]>;

    fn new(addresses: &[SocketAddr], _: usize, is_controlling: bool) -> Self {
        let mut agent = rice_proto::agent::Agent::builder().trickle_ice(true).controlling(is_controlling).build();
        let stream = agent.add_stream();
        let mut this = agent.mut_stream(stream).expect("a stream");
        let component = this.add_component().expect("a component");
        assert_eq!(component, 1);
        this.set_local_credentials(Credentials::new(rice_proto::random_string(8), rice_proto::random_string(24)));
        for address in addresses {
            let number = address.port() - PORT;
            let kind = (CandidateType::Host, TransportType::Udp);
            let priority = Candidate::calculate_priority(kind.0, kind.1, None, 8_191 - u32::from(number), 1);
            let host = Candidate::builder(1, kind.0, kind.1, &number.to_string(), *address);
            this.add_local_candidate(host.priority(priority).base_address(*address).build());
        }
        this.end_of_local_candidates();
        Self { agent, stream, deadline: None, selected: None }
    }

    fn description(&mut self) -> Self::Description {
        let stream = self.agent.stream(self.stream).expect("a stream");
        (stream.local_credentials().expect("credentials"), stream.local_candidates().cloned().collect())
    }

    fn accept(&mut self, now: Duration, (credentials, candidates): Self::Description) {
        let mut stream = self.agent.mut_stream(self.stream).expect("a stream");
        stream.set_remote_credentials(credentials);
        candidates.into_iter().for_each(|candidate| stream.add_remote_candidate(candidate));
        stream.end_of_remote_candidates();
        self.wake(now);
    }

    fn poll(&mut self, now: Duration) -> Option<Packet<Box<[u8]>>> {
        let sent = self.agent.poll_transmit(at(now))?.transmit;
        Some(Packet { from: sent.from, to: sent.to, bytes: sent.data })
    }

    fn receive(&mut self, now: Duration, packet: Packet<Box<[u8]>>) {
        let transmit = Transmit::new(packet.bytes, TransportType::Udp, packet.from, packet.to);
        let mut stream = self.agent.mut_stream(self.stream).expect("a stream");
        let _reply = stream.handle_incoming_data(1, transmit, at(now));
        self.wake(now);
    }

    fn deadline(&mut self, _: Duration) -> Option<Duration> {
        self.deadline.map(|at| Duration::from_nanos(u64::try_from(at.as_nanos()).unwrap_or_default()))
    }

    fn wake(&mut self, now: Duration) {
        loop {
            match self.agent.poll(at(now)) {
                AgentPoll::WaitUntil(until) => {
                    self.deadline = Some(until);
                    return;
                }
                AgentPoll::Closed => {
                    self.deadline = None;
                    return;
                }
                AgentPoll::SelectedPair(event) => {
                    let pair = event.selected.candidate_pair();
                    self.selected = Some((pair.local.address, pair.remote.address));
                }
                _ => {}
            }
        }
    }

    fn into_inner(self) -> rice_proto::agent::Agent {
        self.agent
    }

    fn selected(&self) -> Option<(SocketAddr, SocketAddr)> {
        self.selected
    }
}
