//! Plays scripts of `TurnAudit` with TURN servers that answer, challenge, refuse, send wrong data, or are silent.
//! Checks the laws of machines, that everything is sent to the server of the audit, that the number of sends is bounded,
//! that a silent network ends the audit in the stated time, and that no note has a password.

use super::aftermath::Aftermath;
use super::credentials::{PASSWORD, USER, authenticator};
use super::peer::Peer;
use crate::byte_reader::{ADDRESSES, ByteReader};
use crate::flawed::{Flaw, Flawed};
use crate::monitor::play;
use portolan_audit::AuditCommand;
use portolan_audit::turn::{TurnAudit, TurnAuditConfig};
use portolan_machine::{Datagram, Input, Instant, Output, Protocol, SocketId, SocketOrder, Transmit};
use portolan_sim::laws::{Action, Context, Step};
use portolan_stun::{Attribute, Checked, Class, ErrorCode, Message, Method, ResponseClass, Writer};
use portolan_stun_agent::authenticator::Judgement;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

const HERE: &str = "198.51.100.7:40000";
/// The longest run, in steps. An audit of a server that answers has about 140 requests.
const LONGEST: usize = 300;

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

/// The server of a run.
struct Server<'a> {
    peer: Peer<'a>,
    place: SocketAddr,
    /// The sockets of the audit that are streams.
    streams: BTreeSet<SocketId>,
    /// Whether each response is correct.
    is_correct: bool,
    has_allocated: bool,
}

impl Server<'_> {
    /// Returns true in one of sixteen calls, and never if the server is correct.
    fn is_faulty(&mut self) -> bool {
        self.peer.choice() & 0x0f == 0x0f && !self.is_correct
    }

    /// Returns the datagrams and the chunks of streams that follow a message of the audit.
    fn replies(&mut self, at: Instant, sent: &Transmit) -> Vec<Step> {
        let message = Message::decode(&sent.payload).ok();
        let payload = match &message {
            Some(request) if request.class() == Class::Request => self.response(at, sent.socket, request),
            // The echo has the marker of relayed data, and answers a message that must not be answered.
            Some(_) | None => (self.peer.choice() & 3 == 3).then(|| sent.payload.to_vec()),
        };
        let Some(mut payload) = payload.filter(|_| !self.is_faulty()) else { return Vec::new() };
        if self.is_faulty() {
            let place = usize::from(self.peer.choice()) % payload.len();
            payload[place] ^= 1 << (self.peer.choice() & 7);
        }
        let socket = if self.is_faulty() { SocketId(1 + u64::from(self.peer.choice() % 6)) } else { sent.socket };
        let from = if self.is_faulty() { address(ADDRESSES[1]) } else { self.place };
        if !self.streams.contains(&socket) {
            return vec![Step::input(at, Input::Datagram(Datagram::new(socket, address(HERE), from, &payload)))];
        }
        let (first, second) = payload.split_at(usize::from(self.peer.choice()) % payload.len());
        let chunk = |bytes| Step::new(at, Action::Stream(Datagram::new(socket, address(HERE), from, bytes).into()));
        [first, second].into_iter().filter(|bytes| !bytes.is_empty()).map(chunk).collect()
    }

    /// Returns a response: a challenge, or a success or an error with integrity. A server without credentials gives
    /// responses without integrity.
    fn response(&mut self, at: Instant, socket: SocketId, request: &Message<'_>) -> Option<Vec<u8>> {
        let (mapped, mut buffer) = (address(HERE), [0; 600]);
        let authenticator = authenticator(self.place).filter(|_| request.method() != Method::BINDING);
        let Some(authenticator) = authenticator else {
            return self.write(&mut buffer, socket, &request.exempt(), |writer, _| Some(writer.finish().to_vec()));
        };
        match authenticator.judge(at, mapped, request) {
            Judgement::Admitted(admitted) => self.write(&mut buffer, socket, &admitted.message, |writer, request| {
                Some(admitted.signature.finish(writer, request.has_fingerprint()).ok()?.to_vec())
            }),
            Judgement::Rejected(why) => {
                Some(authenticator.write_rejection(&mut buffer, at, mapped, request, why).ok()?.to_vec())
            }
            Judgement::Discarded(_) => None,
        }
    }

    fn write<T: Checked>(
        &mut self,
        buffer: &mut [u8],
        socket: SocketId,
        request: &Message<'_, T>,
        finish: impl FnOnce(Writer<'_>, &Message<'_, T>) -> Option<Vec<u8>>,
    ) -> Option<Vec<u8>> {
        const CODES: [u16; 16] = [400, 401, 403, 420, 437, 438, 440, 441, 442, 443, 446, 447, 486, 500, 508, 300];
        let is_denied = request.xor_peer_address().is_some_and(|peer| peer.port() == 9);
        let code = match () {
            () if self.is_faulty() => Some(CODES[usize::from(self.peer.choice() & 15)]),
            () if is_denied && !self.is_faulty() => Some(403),
            () => None,
        };
        let class = if code.is_some() { ResponseClass::Error } else { ResponseClass::Success };
        let mut writer = Writer::response(buffer, request, class).ok()?;
        match code {
            Some(code) => {
                writer.add(&Attribute::ErrorCode(ErrorCode::recommended(code)?)).ok()?;
                if matches!(code, 401 | 438) {
                    writer.add(&Attribute::Realm("example.org".into())).ok()?;
                    writer.add(&Attribute::Nonce("a stale nonce".into())).ok()?;
                }
            }
            None if request.method() == Method::ALLOCATE => {
                // The relayed address is one of IPv6 for the two clients that request it.
                let ip = if matches!(socket.0, 4 | 6) { "2001:db8:5::1" } else { "203.0.113.1" };
                let port = 50_000 + u16::try_from(socket.0).unwrap_or_default();
                let relayed = SocketAddr::new(ip.parse().expect("an address"), port);
                writer.add(&Attribute::XorRelayedAddress(relayed)).ok()?;
                writer.add(&Attribute::XorMappedAddress(address(HERE))).ok()?;
                writer.add(&Attribute::Lifetime(600)).ok()?;
                self.has_allocated = true;
            }
            None => writer.add(&Attribute::Lifetime(request.lifetime().unwrap_or(600))).ok()?,
        }
        finish(writer, request)
    }
}

/// Plays the script of the bytes. Returns whether the server gave an allocation.
pub fn run(bytes: &[u8]) -> bool {
    let mut reader = ByteReader::new(bytes);
    let shape = reader.byte();
    let place = address(ADDRESSES[[0, 0, 0, 0, 0, 0, 2, 3][usize::from(shape & 7)]]);
    let mut config = TurnAuditConfig::new(place, USER, PASSWORD);
    if shape & 8 == 0 {
        config = config.other_user("bob", PASSWORD);
    }
    let context = Context { seed: u64::from(shape), terminal: |_| true, ..Context::default() };
    let factory = || Flawed::new(TurnAudit::new(config.clone()), Flaw::PastDeadline);
    let mut script = vec![Step::command(Instant::ORIGIN, &AuditCommand::Start)];
    script.extend(reader.script(8, 6, |_| AuditCommand::Start.to_string()));
    let (peer, streams) = (Peer::new(bytes), BTreeSet::new());
    let mut server = Server { peer, place, streams, is_correct: shape & 0x30 == 0, has_allocated: false };
    let mut sent = 0;
    let whole = play(bytes, &factory, &script, &context, LONGEST, |at, output| match output {
        Output::Transmit(transmit) => {
            sent += 1;
            assert_eq!(transmit.remote, place, "a datagram to another address than that of the server");
            let later = at + Duration::from_millis(u64::from(server.peer.choice() & 0x7f));
            server.replies(later, transmit)
        }
        Output::Socket(SocketOrder::Open(open)) => {
            if open.protocol == Protocol::Tcp {
                server.streams.insert(open.id);
            }
            server.peer.answer(at, output)
        }
        Output::Socket(_) | Output::Event(_) | Output::Wait(_) => Vec::new(),
    });
    assert!(sent <= TurnAudit::MAX_DATAGRAMS, "{sent} sends");
    check_end(TurnAudit::new(config), &whole, sent > 0);
    server.has_allocated
}

/// Checks that a silent network ends an audit that has begun in the stated time, with one event.
fn check_end(audit: TurnAudit, whole: &[Step], has_begun: bool) {
    let Some(mut after) = Aftermath::of(audit, whole) else { return };
    after.pass_time(after.now + TurnAudit::MAX_DURATION);
    assert!(!after.waits(), "a deadline is left after the longest time of an audit");
    assert_eq!(after.events.len(), usize::from(has_begun || !after.events.is_empty()), "{:?}", after.events);
    let texts = format!("{} {:?} {:?}", after.notes, after.machine, after.events);
    assert!(!texts.contains(PASSWORD), "a password in a note");
}
