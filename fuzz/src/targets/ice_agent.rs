//! Plays scripts of `Agent` of ICE with a peer that answers, refuses, lies, checks, nominates, or is silent. Checks the
//! laws of machines, that checks leave from a socket of a candidate to an address that is known, that a dead network ends
//! the session in the stated time, and that no note has a password.

use super::aftermath::Aftermath;
use super::peer::Peer;
use crate::byte_reader::{ADDRESSES, ByteReader};
use crate::flawed::{Flaw, Flawed};
use crate::monitor::play;
use portolan_ice::{
    Agent, AgentCommand, AgentConfig, AgentError, AgentEvent, AgentState, ComponentId, Credentials, LocalCandidate,
    Nomination, Policy, RemoteDescription,
};
use portolan_machine::{Cx, Datagram, Input, Instant, Machine, Output, Script, SocketId, Transmit, Verdict};
use portolan_sim::laws::{Context, Step};
use portolan_stun::attribute::Text;
use portolan_stun::{Attribute, Class, ErrorCode, IntegrityKey, Message, Method, ResponseClass, Writer};
use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

const ONE: ComponentId = ComponentId::new(0, 1);
const SOCKETS: [SocketId; 2] = [SocketId(1), SocketId(2)];
const LOCALS: [&str; 2] = [ADDRESSES[4], "[2001:db8:7::1]:40000"];
/// Addresses that the peer or a NAT adds.
const REFLEXIVE: [&str; 2] = ["203.0.113.7:61000", "203.0.113.8:61001"];
const PASSWORD: &str = "asd88fgpdd777uzjYhagZg";
const OTHER_PASSWORD: &str = "bbd88fgpdd777uzjYhagZg";
const UFRAG: &str = "peer";
const CANDIDATES: [&str; 5] = [
    "1 1 UDP 2130706431 192.0.2.1 3478 typ host",
    "2 1 UDP 1694498815 192.0.2.2 3479 typ srflx raddr 10.0.0.1 rport 1",
    "3 1 UDP 2130706175 2001:db8::1 3478 typ host",
    "9 1 UDP 1000000 192.0.2.1 3479 typ relay raddr 192.0.2.1 rport 5000",
    "8 1 UDP 1000 a1b2.local 9 typ host",
];

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

/// An agent whose credentials the peer of the run gets, as by signalling.
#[derive(Debug)]
struct Signalled {
    agent: Agent,
    credentials: Rc<RefCell<Option<Credentials>>>,
}

impl Machine for Signalled {
    type Command = AgentCommand;
    type Error = AgentError;
    type Event = AgentEvent;

    fn command(&mut self, cx: &mut Cx<'_>, command: AgentCommand) -> Result<(), AgentError> {
        let result = self.agent.command(cx, command);
        *self.credentials.borrow_mut() = self.agent.credentials().cloned();
        result
    }

    fn handle(&mut self, cx: &mut Cx<'_>, input: Input<'_>) -> Verdict {
        self.agent.handle(cx, input)
    }

    fn poll(&mut self) -> Output<AgentEvent> {
        self.agent.poll()
    }
}

fn config(shape: u8) -> AgentConfig {
    let mut config = AgentConfig::new().pairs(if shape & 0x20 == 0 { 100 } else { 3 });
    if shape & 2 == 0 {
        config = config.policy(Policy::Browserlike);
    }
    if shape & 0x0c == 0x0c {
        config = config.nomination(Nomination::Aggressive);
    }
    if shape & 0x50 == 0x50 { config.lite() } else { config }
}

fn local(at: usize) -> LocalCandidate {
    LocalCandidate::host(ONE, SOCKETS[at], address(LOCALS[at]))
}

fn description(ufrag: &str, password: &str, candidates: &[&str]) -> RemoteDescription {
    let candidates = candidates.iter().map(|candidate| candidate.parse().expect("a candidate")).collect();
    RemoteDescription::new(Credentials::new(ufrag, password).expect("credentials")).with_candidates(candidates)
}

fn set_remote(description: RemoteDescription) -> AgentCommand {
    AgentCommand::SetRemote { stream: 0, description: Box::new(description) }
}

fn command(reader: &mut ByteReader<'_>) -> AgentCommand {
    let detail = reader.byte();
    let nth = usize::from(detail);
    match reader.byte() & 15 {
        0 if detail & 7 == 7 => AgentCommand::Close,
        0 => AgentCommand::Start { controlling: detail & 1 == 0 },
        1 => AgentCommand::AddLocal(local(nth % 2)),
        2 => {
            let server = address(ADDRESSES[1]).ip();
            AgentCommand::AddLocal(local(0).server_reflexive(address(REFLEXIVE[nth % 2]), server))
        }
        3 => {
            let (relayed, server) = (address(REFLEXIVE[1]), address(ADDRESSES[1]).ip());
            AgentCommand::AddLocal(LocalCandidate::relayed(ONE, SOCKETS[1], relayed, relayed, server))
        }
        4 => AgentCommand::RemoveLocal(SOCKETS[nth % 2]),
        5 => AgentCommand::EndLocal,
        6 => AgentCommand::EndRemote { stream: u16::from(detail & 1) },
        7 => AgentCommand::Restart,
        8 => AgentCommand::Resolve { name: "a1b2.local".into(), address: Some(address(ADDRESSES[nth % 4]).ip()) },
        9 => AgentCommand::Resolve { name: "a1b2.local".into(), address: None },
        10 => set_remote(description("next", PASSWORD, &CANDIDATES[..nth % 6])),
        11 => set_remote(description(UFRAG, PASSWORD, &CANDIDATES[..nth % 6]).answering("AAAA")),
        12 => set_remote(description("lite", OTHER_PASSWORD, &CANDIDATES[1..3]).lite()),
        13 => set_remote(description(UFRAG, PASSWORD, &CANDIDATES[..nth % 6]).ended()),
        _ => {
            let candidate = CANDIDATES[nth % 5].parse().expect("a candidate");
            AgentCommand::AddRemote { stream: 0, candidate: Box::new(candidate) }
        }
    }
}

/// A response to a check: mostly a success with the source address of the check.
fn response(request: &Message<'_>, sent: &Transmit, peer: &mut Peer<'_>) -> Option<Vec<u8>> {
    const CODES: [u16; 6] = [400, 401, 403, 487, 487, 500];
    let key = IntegrityKey::short_term(if peer.choice() & 0x0f == 0x0f { OTHER_PASSWORD } else { PASSWORD });
    let (shape, mut buffer) = (peer.choice(), [0; 400]);
    let mut writer;
    if shape & 7 == 7 {
        writer = Writer::response(&mut buffer, &request.exempt(), ResponseClass::Error).ok()?;
        let code = CODES[usize::from(shape >> 3) % CODES.len()];
        writer.add(&Attribute::ErrorCode(ErrorCode::new(code, Text::new(""))?)).ok()?;
    } else {
        writer = Writer::response(&mut buffer, &request.exempt(), ResponseClass::Success).ok()?;
        let mapped = match shape >> 3 & 7 {
            7 => address(REFLEXIVE[0]),
            6 => SocketAddr::from(([203, 0, 113, shape], 7)),
            _ => SocketAddr::new(sent.local.unwrap_or(address(LOCALS[0]).ip()), 40_000),
        };
        writer.add(&Attribute::XorMappedAddress(mapped)).ok()?;
    }
    Some(writer.message_integrity(&key).ok()?.fingerprint().ok()?.finish().to_vec())
}

/// A check of the peer with the credentials of the agent.
fn check(credentials: &Credentials, choices: [u8; 3]) -> Vec<u8> {
    let [shape, id, detail] = choices;
    let mut buffer = [0; 400];
    let mut writer = Writer::new(&mut buffer, Class::Request, Method::BINDING, [id & 15; 12].into()).expect("room");
    let ufrag = if shape & 0x18 == 0x18 { "next" } else { UFRAG };
    let username = format!("{}:{ufrag}", credentials.ufrag());
    writer.add(&Attribute::Username(Text::new(&username))).expect("room");
    writer.add(&Attribute::Priority(1_862_270_975 + u32::from(detail))).expect("room");
    let tie_breaker = if detail & 1 == 0 { u64::from(detail) } else { u64::MAX };
    let role = if shape & 0x60 == 0x60 {
        Attribute::IceControlled(tie_breaker)
    } else {
        Attribute::IceControlling(tie_breaker)
    };
    writer.add(&role).expect("room");
    if shape & 1 == 0 {
        writer.add(&Attribute::UseCandidate).expect("room");
    }
    let key = IntegrityKey::short_term(if detail & 0x1f == 0x1f { PASSWORD } else { credentials.password() });
    writer.message_integrity(&key).expect("room").fingerprint().expect("room").finish().to_vec()
}

/// The datagrams that follow a datagram of the agent: responses, and checks of the peer.
fn replies(at: Instant, sent: &Transmit, own: Option<&Credentials>, peer: &mut Peer<'_>) -> Vec<Step> {
    let mut payloads = Vec::new();
    let shape = peer.choice();
    let message = Message::decode(&sent.payload).ok();
    if let Some(request) = message.filter(|message| message.class() == Class::Request)
        && shape & 0x0f != 0x0f
    {
        payloads.extend(response(&request, sent, peer));
    }
    if let Some(credentials) = own.filter(|_| shape & 0x30 == 0x30) {
        payloads.push(check(credentials, [peer.choice(), peer.choice(), peer.choice()]));
    }
    let at_socket = SOCKETS.iter().position(|socket| *socket == sent.socket).unwrap_or_default();
    let mut steps = Vec::new();
    for mut payload in payloads {
        if peer.choice() & 0x1f == 0x1f {
            let place = usize::from(peer.choice()) % payload.len();
            payload[place] ^= 1 << (shape & 7);
        }
        let from = if peer.choice() & 0x1f == 0x1f { address(ADDRESSES[2]) } else { sent.remote };
        let datagram = Datagram::new(sent.socket, address(LOCALS[at_socket]), from, &payload);
        let later = at + Duration::from_millis(u64::from(peer.choice() & 0x7f));
        steps.extend((0..1 + usize::from(shape >> 7)).map(|_| Step::input(later, Input::Datagram(datagram))));
    }
    steps
}

/// Plays the script of the bytes. Returns whether a pair was selected.
pub fn run(bytes: &[u8]) -> bool {
    let mut reader = ByteReader::new(bytes);
    let shape = reader.byte();
    let config = config(shape);
    let terminal = |event: &AgentEvent| *event == AgentEvent::Closed;
    let context = Context { seed: u64::from(shape), handed_in: &SOCKETS, terminal, ..Context::default() };
    let credentials = Rc::default();
    let factory = || {
        let (agent, credentials) = (Agent::new(config.clone()), Rc::clone(&credentials));
        Flawed::new(Signalled { agent, credentials }, Flaw::AnswersForeign)
    };
    let mut script: Vec<Step> = [
        AgentCommand::Start { controlling: shape & 1 == 0 },
        AgentCommand::AddLocal(local(0)),
        AgentCommand::AddLocal(local(1)),
        set_remote(description(UFRAG, PASSWORD, &CANDIDATES[..usize::from(reader.byte()) % 6])),
    ]
    .iter()
    .map(|command| Step::command(Instant::ORIGIN, command))
    .collect();
    script.extend(reader.script(16, SOCKETS.len(), |reader| command(reader).to_text()));
    let mut peer = Peer::new(bytes);
    let mut is_selected = false;
    let whole = play(bytes, &factory, &script, &context, 80, |at, output| match output {
        Output::Event(AgentEvent::Selected(selection)) => {
            is_selected = true;
            assert!(SOCKETS.contains(&selection.path.socket), "{selection:?} is on a socket without a candidate");
            Vec::new()
        }
        Output::Transmit(sent) => {
            assert!(sent.local.is_some(), "a datagram without the address of its base: {sent:?}");
            replies(at, sent, credentials.borrow().as_ref(), &mut peer)
        }
        Output::Socket(order) => panic!("an agent orders no sockets: {order:?}"),
        Output::Event(_) | Output::Wait(_) => Vec::new(),
    });
    check_end(&config, shape, &whole);
    is_selected
}

/// Checks the bounds of the state, and that a dead network ends the session in the stated time.
fn check_end(config: &AgentConfig, shape: u8, whole: &[Step]) {
    let Some(mut after) = Aftermath::of(Agent::new(config.clone()), whole) else { return };
    let limit = if shape & 0x20 == 0 { 100 } else { 3 };
    assert!(after.machine.pairs().count() <= limit, "more pairs than {limit}");
    let own = after.machine.credentials().cloned();
    let is_lite = shape & 0x50 == 0x50;
    after.pass_time(after.now + LONGEST);
    let state = after.machine.state();
    let has_ended = matches!(state, AgentState::Failed | AgentState::Closed) || whole.is_empty();
    assert!(has_ended || is_lite, "no end in {LONGEST:?}: {state:?}");
    assert!(!has_ended || !after.waits(), "a deadline is left after the end");
    let texts = format!("{} {:?}", after.notes, after.events);
    let passwords = [PASSWORD, OTHER_PASSWORD].into_iter().chain(own.as_ref().map(Credentials::password));
    passwords.for_each(|password| assert!(!texts.contains(password), "a password in a note or an event"));
}

/// The wait for a description (900 s), and 30 s of consent.
const LONGEST: Duration = Duration::from_secs(930);

#[cfg(test)]
mod tests {
    #[test]
    fn every_seed_keeps_the_laws() {
        assert!(crate::seeds::of("ice_agent").len() >= 48);
    }
}
