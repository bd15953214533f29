//! `portolan-ice`, with each of its policies.

use super::{Agent, PORT, Packet};
use core::marker::PhantomData;
use core::net::SocketAddr;
use core::time::Duration;
use portolan_ice::{AgentConfig, AgentEvent, ComponentId, LocalCandidate, Policy, RemoteDescription};
use portolan_machine::{Cx, Datagram, Entropy, Input, Instant, Machine, Output, SocketId, SocketIds};
use portolan_sdp::candidate::CandidateAttribute;

/// The component of the session.
pub(crate) const COMPONENT: ComponentId = ComponentId::new(0, 1);

/// A fast RNG whose ids do not repeat.
pub(crate) struct Xorshift(pub(crate) u64);

impl Entropy for Xorshift {
    fn fill(&mut self, out: &mut [u8]) {
        for chunk in out.chunks_mut(8) {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            chunk.copy_from_slice(&self.0.to_le_bytes()[..chunk.len()]);
        }
    }
}

/// The policy of an agent, and its name in the table.
pub(crate) trait OwnPolicy {
    const NAME: &'static str;
    const POLICY: Policy;
}

/// The policy of RFC 8445.
pub(crate) struct Textbook;
/// The policy of browsers.
pub(crate) struct Browserlike;

impl OwnPolicy for Textbook {
    const NAME: &'static str = "portolan-ice";
    const POLICY: Policy = Policy::Textbook;
}

impl OwnPolicy for Browserlike {
    const NAME: &'static str = "portolan-ice, browserlike";
    const POLICY: Policy = Policy::Browserlike;
}

pub(crate) type Ours = OwnAgent<Textbook>;

pub(crate) struct OwnAgent<P> {
    pub(crate) agent: portolan_ice::Agent,
    pub(crate) rng: Xorshift,
    pub(crate) ids: SocketIds,
    candidates: Vec<CandidateAttribute>,
    deadline: Option<Instant>,
    policy: PhantomData<P>,
}

/// Returns the socket of an address.
fn socket(address: SocketAddr) -> SocketId {
    SocketId(1 + u64::from(address.port() - PORT))
}

impl<P: OwnPolicy> OwnAgent<P> {
    /// Calls the agent.
    pub(crate) fn call<T>(
        &mut self,
        now: Duration,
        call: impl FnOnce(&mut portolan_ice::Agent, &mut Cx<'_>) -> T,
    ) -> T {
        let mut cx = Cx::new(Instant::from_origin(now), &mut self.rng, &mut self.ids);
        call(&mut self.agent, &mut cx)
    }
}

impl<P: OwnPolicy> Agent for OwnAgent<P> {
    const NAME: &'static str = P::NAME;
    type Inner = portolan_ice::Agent;
    type Description = RemoteDescription;
    type Bytes = bytes::Bytes;

    fn new(addresses: &[SocketAddr], limit: usize, is_controlling: bool) -> Self {
        let config = AgentConfig::new().policy(P::POLICY).pairs(limit);
        let rng = Xorshift(if is_controlling { 0x9e37_79b9_7f4a_7c15 } else { 0x2545_f491_4f6c_dd1d });
        let agent = portolan_ice::Agent::new(config);
        let (ids, candidates, deadline) = (SocketIds::new(), Vec::new(), None);
        let mut this = Self { agent, rng, ids, candidates, deadline, policy: PhantomData };
        this.call(Duration::ZERO, |agent, cx| {
            agent.start(cx, is_controlling).expect("a new agent");
            for address in addresses {
                let host = LocalCandidate::host(COMPONENT, socket(*address), *address);
                agent.add_local(cx, host).expect("a usable address");
            }
            agent.end_local(cx).expect("a running agent");
        });
        this
    }

    fn description(&mut self) -> RemoteDescription {
        // The owner gets the candidates as events.
        let none = self.poll(Duration::ZERO);
        assert!(none.is_none(), "nothing is sent before the description of the peer");
        let credentials = self.agent.credentials().expect("a running agent").clone();
        RemoteDescription::new(credentials).with_candidates(core::mem::take(&mut self.candidates)).ended()
    }

    fn accept(&mut self, now: Duration, description: RemoteDescription) {
        self.call(now, |agent, cx| agent.set_remote(cx, 0, description)).expect("a running agent");
    }

    fn poll(&mut self, _: Duration) -> Option<Packet<bytes::Bytes>> {
        loop {
            match self.agent.poll() {
                Output::Transmit(sent) => {
                    let ip = sent.local.expect("a check has a source address");
                    let port = PORT + u16::try_from(sent.socket.0 - 1).expect("a small number");
                    return Some(Packet { from: SocketAddr::new(ip, port), to: sent.remote, bytes: sent.payload });
                }
                Output::Event(AgentEvent::LocalCandidate { candidate, .. }) => self.candidates.push(*candidate),
                Output::Wait(wait) => {
                    self.deadline = wait.map(|wait| wait.at);
                    return None;
                }
                Output::Event(_) | Output::Socket(_) => {}
            }
        }
    }

    fn receive(&mut self, now: Duration, packet: Packet<bytes::Bytes>) {
        let datagram = Datagram::new(socket(packet.to), packet.to, packet.from, &packet.bytes);
        let _verdict = self.call(now, |agent, cx| agent.handle(cx, Input::Datagram(datagram)));
    }

    fn deadline(&mut self, _: Duration) -> Option<Duration> {
        self.deadline.map(Instant::since_origin)
    }

    fn wake(&mut self, now: Duration) {
        let _verdict = self.call(now, |agent, cx| agent.handle(cx, Input::Timeout));
    }

    fn into_inner(self) -> portolan_ice::Agent {
        self.agent
    }

    fn selected(&self) -> Option<(SocketAddr, SocketAddr)> {
        self.agent.selected(COMPONENT).map(|path| (path.local, path.remote))
    }
}
