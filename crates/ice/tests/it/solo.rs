//! One agent without a network: a test passes each message in, and reads each message that the agent sends.

use core::net::SocketAddr;
use core::time::Duration;
use portolan_ice::{Agent, AgentConfig, AgentEvent, ComponentId, Credentials, LocalCandidate, RemoteDescription};
use portolan_machine::{
    Cx, Datagram, Entropy, Explain, Input, Instant, Machine as _, Output, Scope, SocketId, SocketIds, Trace, Transmit,
    Verdict,
};
use portolan_stun::attribute::Text;
use portolan_stun::{Attribute, Class, ErrorCode, IntegrityKey, Message, Method, ResponseClass, TransactionId, Writer};

pub(crate) const ONE: ComponentId = ComponentId::new(0, 1);
pub(crate) const LOCAL: &str = "10.0.0.7:4000";
pub(crate) const PEER: &str = "192.0.2.1:5000";
pub(crate) const PASSWORD: &str = "asd88fgpdd777uzjYhagZg";
pub(crate) const UFRAG: &str = "peer";

pub(crate) fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

struct Counter(u8);

impl Entropy for Counter {
    fn fill(&mut self, out: &mut [u8]) {
        for byte in out {
            self.0 = self.0.wrapping_add(1);
            *byte = self.0;
        }
    }
}

struct Notes(Vec<&'static str>);

impl Trace for Notes {
    fn note(&mut self, _: Instant, _: &Scope<'_>, note: &dyn Explain) {
        self.0.push(note.code());
    }
}

pub(crate) struct Solo {
    pub(crate) agent: Agent,
    rng: Counter,
    ids: SocketIds,
    pub(crate) now: Instant,
    pub(crate) sent: Vec<(Instant, Transmit)>,
    pub(crate) events: Vec<AgentEvent>,
    notes: Notes,
}

impl Solo {
    /// An agent with one host candidate on socket 1.
    pub(crate) fn new(controlling: bool, config: AgentConfig) -> Self {
        let (rng, ids, notes) = (Counter(0), SocketIds::new(), Notes(vec![]));
        let (sent, events) = (vec![], vec![]);
        let mut solo = Self { agent: Agent::new(config), rng, ids, now: Instant::ORIGIN, sent, events, notes };
        solo.with(|agent, cx| agent.start(cx, controlling)).unwrap();
        solo.with(|agent, cx| agent.add_local(cx, LocalCandidate::host(ONE, SocketId(1), addr(LOCAL)))).unwrap();
        solo
    }

    /// An agent that knows one candidate of the peer, and has sent its first check.
    pub(crate) fn checking(controlling: bool, config: AgentConfig) -> Self {
        let mut solo = Self::new(controlling, config);
        solo.describe(&["1 1 UDP 2130706431 192.0.2.1 5000 typ host"]);
        solo
    }

    /// Sets the description of the peer, with all its candidates.
    pub(crate) fn describe(&mut self, candidates: &[&str]) {
        let candidates = candidates.iter().map(|candidate| candidate.parse().unwrap()).collect();
        let credentials = Credentials::new(UFRAG, PASSWORD).unwrap();
        let description = RemoteDescription::new(credentials).with_candidates(candidates).ended();
        self.with(|agent, cx| agent.set_remote(cx, 0, description)).unwrap();
        self.with(|agent, cx| agent.end_local(cx)).unwrap();
    }

    pub(crate) fn with<R>(&mut self, call: impl FnOnce(&mut Agent, &mut Cx<'_>) -> R) -> R {
        let mut cx = Cx::new(self.now, &mut self.rng, &mut self.ids).with_trace(&mut self.notes);
        let result = call(&mut self.agent, &mut cx);
        self.drain();
        result
    }

    /// Takes the outputs, and returns the next deadline.
    pub(crate) fn drain(&mut self) -> Option<Instant> {
        loop {
            match self.agent.poll() {
                Output::Wait(wait) => return wait.map(|wait| wait.at),
                Output::Event(event) => self.events.push(event),
                Output::Transmit(transmit) => self.sent.push((self.now, transmit)),
                Output::Socket(order) => panic!("{order:?}"),
            }
        }
    }

    /// Advances the time, with every timeout on the way.
    pub(crate) fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.drain().filter(|at| *at <= end) {
            self.now = at;
            let _verdict = self.with(|agent, cx| agent.handle(cx, Input::Timeout));
        }
        self.now = end;
    }

    pub(crate) fn receive(&mut self, from: &str, payload: &[u8]) -> Verdict {
        let datagram = Datagram::new(SocketId(1), addr(LOCAL), addr(from), payload);
        self.with(|agent, cx| agent.handle(cx, Input::Datagram(datagram)))
    }

    /// Takes what the agent has sent.
    pub(crate) fn take(&mut self) -> Vec<Transmit> {
        core::mem::take(&mut self.sent).into_iter().map(|(_, transmit)| transmit).collect()
    }

    /// Passes a request of the peer in. Returns the class and the error code of the response, if there is one. Other
    /// messages that the agent sends stay.
    pub(crate) fn request(&mut self, from: &str, payload: &[u8]) -> Option<(Class, u16)> {
        let id = Message::decode(payload).unwrap().transaction_id();
        let _verdict = self.receive(from, payload);
        let at =
            self.sent.iter().position(|(_, sent)| Message::decode(&sent.payload).unwrap().transaction_id() == id)?;
        let (_, response) = self.sent.remove(at);
        assert_eq!(response.remote, addr(from));
        let message = Message::decode(&response.payload).unwrap();
        Some((message.class(), message.error_code().map_or(0, |error| error.code())))
    }

    /// The key of requests to the agent and of their responses.
    pub(crate) fn key(&self) -> IntegrityKey {
        IntegrityKey::short_term(self.agent.credentials().unwrap().password())
    }

    /// A check of the peer: these attributes after USERNAME.
    pub(crate) fn check(&self, id: u8, attributes: &[Attribute<'_>]) -> Vec<u8> {
        let username = format!("{}:{UFRAG}", self.agent.credentials().unwrap().ufrag());
        let mut all = vec![Attribute::Username(Text::new(&username))];
        all.extend_from_slice(attributes);
        encode(id, &all, Some(&self.key()), true)
    }

    /// The check of a peer with the other role.
    pub(crate) fn valid_check(&self, id: u8, nominates: bool) -> Vec<u8> {
        let role =
            if self.agent.role().is_controlling() { Attribute::IceControlled(1) } else { Attribute::IceControlling(1) };
        let mut attributes = vec![Attribute::Priority(1_862_270_975), role];
        attributes.extend(nominates.then_some(Attribute::UseCandidate));
        self.check(id, &attributes)
    }

    /// Responds to the last check that the agent has sent.
    pub(crate) fn respond(&mut self, from: &str, result: Result<SocketAddr, u16>) {
        let _verdict = self.try_respond(from, result);
    }

    pub(crate) fn try_respond(&mut self, from: &str, result: Result<SocketAddr, u16>) -> Verdict {
        let last = self.last_request();
        let request = Message::decode(&last).unwrap();
        let mut buffer = [0; 200];
        let class = if result.is_ok() { ResponseClass::Success } else { ResponseClass::Error };
        let mut writer = Writer::response(&mut buffer, &request.exempt(), class).unwrap();
        match result {
            Ok(mapped) => writer.add(&Attribute::XorMappedAddress(mapped)).unwrap(),
            Err(code) => writer.add(&Attribute::ErrorCode(ErrorCode::new(code, Text::new("")).unwrap())).unwrap(),
        }
        let key = IntegrityKey::short_term(PASSWORD);
        let bytes = writer.message_integrity(&key).unwrap().fingerprint().unwrap().finish().to_vec();
        self.receive(from, &bytes)
    }

    pub(crate) fn last_request(&self) -> Vec<u8> {
        let is_request = |bytes: &[u8]| Message::decode(bytes).unwrap().class() == Class::Request;
        let last = self.sent.iter().rev().find(|(_, sent)| is_request(&sent.payload));
        last.unwrap().1.payload.to_vec()
    }

    /// The number of requests that were sent and not taken.
    pub(crate) fn requests(&self) -> usize {
        let is_request = |bytes: &[u8]| Message::decode(bytes).unwrap().class() == Class::Request;
        self.sent.iter().filter(|(_, sent)| is_request(&sent.payload)).count()
    }

    pub(crate) fn has_note(&self, code: &str) -> bool {
        self.notes.0.contains(&code)
    }
}

/// Encodes a Binding request.
pub(crate) fn encode(
    id: u8,
    attributes: &[Attribute<'_>],
    key: Option<&IntegrityKey>,
    has_fingerprint: bool,
) -> Vec<u8> {
    let mut buffer = [0; 600];
    let id = TransactionId::from([id; 12]);
    let mut writer = Writer::new(&mut buffer, Class::Request, Method::BINDING, id).unwrap();
    attributes.iter().for_each(|attribute| writer.add(attribute).unwrap());
    match (key, has_fingerprint) {
        (Some(key), true) => writer.message_integrity(key).unwrap().fingerprint().unwrap().finish().to_vec(),
        (Some(key), false) => writer.message_integrity(key).unwrap().finish().to_vec(),
        (None, true) => writer.fingerprint().unwrap().finish().to_vec(),
        (None, false) => writer.finish().to_vec(),
    }
}
