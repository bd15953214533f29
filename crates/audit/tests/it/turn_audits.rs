//! Audits of scripted TURN servers: each weakness is found, and nothing else is reported.

use crate::scripted_turn::{SERVER, ScriptedServer, Sent, TcpAllocations, at};
use crate::world::Counting;
use alloc::collections::{BTreeMap, BTreeSet};
use core::net::SocketAddr;
use core::time::Duration;
use portolan_audit::AuditError;
use portolan_audit::turn::{
    Breach, Obstacle, TurnAttack, TurnAudit, TurnAuditConfig, TurnAuditEvent, TurnAuditFailure, TurnOutcome, TurnReport,
};
use portolan_machine::{
    Closure, Cx, Datagram, Input, Instant, Machine, Open, Output, Protocol, Refusal, SocketEvent, SocketId, SocketIds,
    SocketOrder,
};
use portolan_stun::Method;

/// A run of an audit against a server, without loss and with a round trip time of 10 ms.
struct Run {
    event: TurnAuditEvent,
    took: Duration,
    sent: u32,
    destinations: BTreeSet<SocketAddr>,
    closed: usize,
}

fn config() -> TurnAuditConfig {
    TurnAuditConfig::new(at(SERVER), "alice", "secret of alice").other_user("bob", "secret of bob")
}

/// An audit and the sockets of its host.
struct Bench {
    audit: TurnAudit,
    rng: Counting,
    ids: SocketIds,
    now: Instant,
    sockets: BTreeMap<SocketId, (Protocol, SocketAddr)>,
    /// The number of bytes in a chunk of a stream.
    chunk: usize,
}

impl Bench {
    fn new(config: TurnAuditConfig) -> Self {
        let (audit, rng, ids) = (TurnAudit::new(config), Counting::default(), SocketIds::new());
        let mut bench = Self { audit, rng, ids, now: Instant::ORIGIN, sockets: BTreeMap::new(), chunk: 7 };
        bench.audit.start(&mut Cx::new(bench.now, &mut bench.rng, &mut bench.ids)).unwrap();
        bench
    }

    fn handle(&mut self, input: Input<'_>) {
        let _verdict = self.audit.handle(&mut Cx::new(self.now, &mut self.rng, &mut self.ids), input);
    }

    /// Opens a socket. A server can refuse or ignore a stream.
    fn open(&mut self, open: &Open, server: &ScriptedServer) {
        let local = SocketAddr::new([198, 51, 100, 7].into(), 40_000 + self.sockets.len() as u16);
        self.sockets.insert(open.id, (open.protocol, local));
        let event = match server.tcp {
            TcpAllocations::NoListener if open.protocol == Protocol::Tcp => {
                SocketEvent::Refused(Refusal::ConnectionRefused)
            }
            TcpAllocations::NoConnection if open.protocol == Protocol::Tcp => return,
            _ => SocketEvent::Opened { local },
        };
        self.handle(Input::Socket(open.id, event));
    }

    fn deliver(&mut self, arriving: Sent) {
        self.now += Duration::from_millis(10);
        for (to, bytes) in arriving {
            let found = self.sockets.iter().find(|(_, (_, local))| *local == to);
            let (&socket, &(protocol, local)) = found.unwrap();
            if protocol == Protocol::Udp {
                self.handle(Input::Datagram(Datagram::new(socket, local, at(SERVER), &bytes)));
                continue;
            }
            for chunk in bytes.chunks(self.chunk) {
                let datagram = Datagram::new(socket, local, at(SERVER), chunk);
                let taken = self.audit.stream(&mut Cx::new(self.now, &mut self.rng, &mut self.ids), datagram);
                assert!(taken.is_none_or(|taken| taken == chunk.len()), "{taken:?}");
            }
        }
    }
}

fn run(server: &mut ScriptedServer, config: TurnAuditConfig) -> Run {
    let mut bench = Bench::new(config);
    let (mut sent, mut closed, mut destinations, mut arriving) = (0, 0, BTreeSet::new(), Vec::new());
    loop {
        let mut event = None;
        let wait = loop {
            match bench.audit.poll() {
                Output::Socket(SocketOrder::Open(open)) => bench.open(&open, server),
                Output::Socket(_) => closed += 1,
                Output::Transmit(transmit) => {
                    sent += 1;
                    destinations.insert(transmit.remote);
                    let connects = server.connects.len();
                    let answers = server.answer(bench.sockets[&transmit.socket].1, &transmit.payload);
                    if server.tcp == TcpAllocations::Closes && server.connects.len() > connects {
                        bench.handle(Input::Socket(transmit.socket, SocketEvent::Closed(Closure::Reset)));
                    } else {
                        arriving.extend(answers);
                    }
                }
                Output::Event(last) => event = Some(last),
                Output::Wait(wait) => break wait,
            }
        };
        if let Some(event) = event {
            assert_eq!(wait, None, "an ended audit waits for nothing");
            return Run { event, took: bench.now.since(Instant::ORIGIN), sent, destinations, closed };
        }
        if arriving.is_empty() {
            bench.now = wait.unwrap().at;
            bench.handle(Input::Timeout);
        } else {
            bench.deliver(core::mem::take(&mut arriving));
        }
    }
}

fn report_of(run: Run) -> TurnReport {
    let TurnAuditEvent::Report(report) = run.event else { panic!("{:?}", run.event) };
    *report
}

fn audit(server: &mut ScriptedServer) -> TurnReport {
    report_of(run(server, config()))
}

fn findings(report: &TurnReport) -> String {
    report.findings.iter().map(|finding| format!("{}: {finding}\n", finding.attack)).collect()
}

fn not_held(report: &TurnReport) -> Vec<TurnAttack> {
    let of = |finding: &&portolan_audit::turn::TurnFinding| matches!(finding.outcome, TurnOutcome::NotHeld(_));
    report.findings.iter().filter(of).map(|finding| finding.attack).collect()
}

/// The attacks that an audit never tests.
const NEVER: [TurnAttack; 4] = [
    TurnAttack::PermissionExpiry,
    TurnAttack::ChannelExpiry,
    TurnAttack::UnlimitedReplies,
    TurnAttack::PermissionFlood,
];

#[test]
fn a_server_without_weakness_holds_each_attack_and_no_allocation_remains() {
    let mut server = ScriptedServer::new(None);
    let run = run(&mut server, config());
    assert_eq!(run.destinations, [at(SERVER)].into(), "nothing is sent to another address");
    assert!((120..145).contains(&run.sent), "{}", run.sent);
    assert!(run.took < Duration::from_secs(4), "{:?}", run.took);
    assert_eq!((run.closed, server.allocations()), (6, 0));
    let report = report_of(run);
    for finding in &report.findings {
        let is_tested = !NEVER.contains(&finding.attack);
        assert_eq!(finding.outcome == TurnOutcome::Held, is_tested, "{}", findings(&report));
        assert_eq!((finding.tested > 0, finding.untested > 0), (is_tested, !is_tested), "{finding}");
    }
    let summary = report.summary();
    assert_eq!((summary.not_held, summary.not_testable), (0, NEVER.len()));
    assert_eq!(report.findings.len(), TurnAttack::all().count());
    assert_eq!(report.software.as_deref(), Some("weak!"));
}

#[test]
fn each_weakness_is_found_and_no_other_is_reported() {
    for weakness in TurnAttack::all().filter(|attack| !NEVER.contains(attack)) {
        let mut server = ScriptedServer::new(Some(weakness));
        let report = audit(&mut server);
        assert_eq!(not_held(&report), [weakness], "{weakness}\n{}", findings(&report));
    }
}

#[test]
fn a_breach_names_its_evidence() {
    let breach = |weakness| match audit(&mut ScriptedServer::new(Some(weakness))).outcome(weakness) {
        Some(TurnOutcome::NotHeld(breach)) => breach,
        other => panic!("{weakness}: {other:?}"),
    };
    assert_eq!(breach(TurnAttack::MetadataPeer), Breach::Peer(Method::CREATE_PERMISSION, at("169.254.169.254:9")));
    assert_eq!(breach(TurnAttack::ForeignNonce), Breach::Code(Method::REFRESH, 437));
    assert_eq!(breach(TurnAttack::ConnectPeer), Breach::Connected(at("127.88.99.1:9")));
    assert_eq!(breach(TurnAttack::Padding), Breach::Padding(0xaa));
    assert_eq!(breach(TurnAttack::AfterIntegrity), Breach::Ended);
    assert_eq!(breach(TurnAttack::ChannelRange), Breach::Channel(0));
    assert_eq!(breach(TurnAttack::LoopbackSend), Breach::Relayed);
}

#[test]
fn denied_peers_are_named_in_requests_only() {
    let mut server = ScriptedServer::new(None);
    let run = run(&mut server, config());
    assert!(server.peers.len() > 20, "{:?}", server.peers);
    assert_eq!(run.destinations.len(), 1);
}

#[test]
fn what_a_server_lacks_is_not_testable() {
    let mut server = ScriptedServer::with(|server| server.has_ipv6 = false);
    let alone = TurnAuditConfig::new(at(SERVER), "alice", "secret of alice");
    let report = report_of(run(&mut server, alone));
    let not_testable = |attack| match report.outcome(attack) {
        Some(TurnOutcome::NotTestable(why)) => Some(why),
        _ => None,
    };
    assert_eq!(not_testable(TurnAttack::MappedPeer), Some(Obstacle::NoIpv6));
    assert_eq!(not_testable(TurnAttack::OtherUser), Some(Obstacle::NoOtherUser));
    let loopback = report.findings.iter().find(|finding| finding.attack == TurnAttack::LoopbackPeer).unwrap();
    assert_eq!((loopback.outcome, loopback.tested, loopback.untested), (TurnOutcome::Held, 4, 2));
    assert_eq!(not_held(&report), []);
}

#[test]
fn dropped_data_is_no_evidence_without_its_control() {
    let mut server = ScriptedServer::with(|server| server.loses_data = true);
    let report = audit(&mut server);
    for attack in [TurnAttack::SendWithoutPermission, TurnAttack::DataWithoutPermission, TurnAttack::ChannelDataLength]
    {
        assert_eq!(report.outcome(attack), Some(TurnOutcome::NotTestable(Obstacle::NoControl)), "{attack}");
    }
}

#[test]
fn one_allocation_is_enough_for_the_attacks_on_peers() {
    let mut server = ScriptedServer::with(|server| server.quota = 1);
    let report = audit(&mut server);
    assert_eq!(report.outcome(TurnAttack::PrivatePeer), Some(TurnOutcome::Held), "{}", findings(&report));
    let relay = report.outcome(TurnAttack::SendWithoutPermission);
    assert_eq!(relay, Some(TurnOutcome::NotTestable(Obstacle::NoControl)));
    assert_eq!(server.allocations(), 0);
}

#[test]
fn a_missing_response_is_no_evidence_and_the_audit_ends() {
    let mut server = ScriptedServer::with(|server| server.ignores = Some(Method::CREATE_PERMISSION));
    let run = run(&mut server, config());
    assert!(run.sent <= TurnAudit::MAX_DATAGRAMS && run.took < TurnAudit::MAX_DURATION, "{} {:?}", run.sent, run.took);
    let report = report_of(run);
    assert_eq!(not_held(&report), [], "{}", findings(&report));
    // The server answers other methods, so a channel shows whether it denies the peer.
    assert_eq!(report.outcome(TurnAttack::PrivatePeer), Some(TurnOutcome::Held));
}

#[test]
fn a_server_that_becomes_silent_is_not_asked_for_ever() {
    let mut server = ScriptedServer::with(|server| server.ignores = Some(Method::REFRESH));
    let run = run(&mut server, config());
    assert!(run.took < Duration::from_secs(30), "{:?}", run.took);
    assert!(not_held(&report_of(run)).is_empty());
}

#[test]
fn a_slow_server_is_audited_within_the_longest_time() {
    let mut server = ScriptedServer::with(|server| server.is_slow = true);
    let run = run(&mut server, config());
    assert!(run.sent <= TurnAudit::MAX_DATAGRAMS && run.took < TurnAudit::MAX_DURATION, "{} {:?}", run.sent, run.took);
    assert!(run.took > Duration::from_secs(60), "{:?}", run.took);
    assert_eq!(not_held(&report_of(run)), []);
}

#[test]
fn without_an_allocation_there_is_no_report() {
    let wrong = TurnAuditConfig::new(at(SERVER), "alice", "wrong");
    let failed = run(&mut ScriptedServer::new(None), wrong).event;
    assert_eq!(failed, TurnAuditEvent::Failed(TurnAuditFailure::NoAllocation(401)));
    let mut silent = ScriptedServer::with(|server| server.ignores = Some(Method::ALLOCATE));
    let run = run(&mut silent, config());
    assert_eq!(run.event, TurnAuditEvent::Failed(TurnAuditFailure::Silent));
    assert_eq!((run.sent, run.closed), (3, 4));
}

#[test]
fn an_audit_without_sockets_ends_and_a_second_start_is_refused() {
    let (mut rng, mut ids) = (Counting::default(), SocketIds::new());
    let mut cx = Cx::new(Instant::ORIGIN, &mut rng, &mut ids);
    let mut audit = TurnAudit::new(config());
    audit.start(&mut cx).unwrap();
    assert_eq!(audit.start(&mut cx), Err(AuditError::NotIdle));
    let _verdict = audit.handle(&mut cx, Input::Socket(SocketId(1), SocketEvent::Refused(Refusal::NoRoute)));
    let outputs: Vec<_> = core::iter::from_fn(|| match audit.poll() {
        Output::Wait(_) => None,
        output @ (Output::Transmit(_) | Output::Socket(_) | Output::Event(_)) => Some(output),
    })
    .collect();
    let last = outputs.last();
    let failed = TurnAuditEvent::Failed(TurnAuditFailure::Refused(Refusal::NoRoute));
    assert_eq!(last, Some(&Output::Event(failed)));
    let nowhere = TurnAuditConfig::new(at("0.0.0.0:3478"), "alice", "x");
    assert_eq!(TurnAudit::new(nowhere).start(&mut cx), Err(AuditError::Destination));
}

fn connect_peer(tcp: TcpAllocations) -> (TurnOutcome, u32, u32) {
    let mut server = ScriptedServer::with(|server| server.tcp = tcp);
    let run = run(&mut server, config());
    assert!(run.sent <= TurnAudit::MAX_DATAGRAMS && run.took < TurnAudit::MAX_DURATION, "{} {:?}", run.sent, run.took);
    let expected = if tcp == TcpAllocations::Ignores { 0..45 } else { 0..10 };
    assert!(expected.contains(&run.took.as_secs()), "{tcp:?}: {:?}", run.took);
    assert_eq!(run.destinations, [at(SERVER)].into(), "nothing is sent to a peer");
    let report = report_of(run);
    let finding = report.findings.iter().find(|finding| finding.attack == TurnAttack::ConnectPeer).unwrap();
    (finding.outcome, finding.tested, finding.untested)
}

#[test]
fn each_denied_peer_is_tested_by_connect_on_a_tcp_allocation() {
    let mut server = ScriptedServer::new(None);
    let report = audit(&mut server);
    let finding = report.findings.iter().find(|finding| finding.attack == TurnAttack::ConnectPeer).unwrap();
    assert_eq!((finding.outcome, finding.tested, finding.untested), (TurnOutcome::Held, 26, 0));
    let denied: BTreeSet<SocketAddr> = server.peers.iter().filter(|peer| peer.port() == 9).copied().collect();
    assert_eq!(server.connects, denied);
}

#[test]
fn a_connection_to_a_denied_peer_is_a_breach_if_it_is_made_or_tried() {
    // 447: the server tried to connect.
    for code in [0, 447] {
        let (outcome, ..) = connect_peer(TcpAllocations::Connects(code));
        assert_eq!(outcome, TurnOutcome::NotHeld(Breach::Connected(at("127.0.0.1:9"))), "{code}");
    }
    let (outcome, ..) = connect_peer(TcpAllocations::Connects(508));
    assert_eq!(outcome, TurnOutcome::NotTestable(Obstacle::Code(Method::CONNECT, 508)));
}

#[test]
fn without_a_tcp_allocation_connect_is_not_testable() {
    let untested = |why| (TurnOutcome::NotTestable(why), 0, 26);
    for tcp in [TcpAllocations::Refused(442), TcpAllocations::NoListener, TcpAllocations::NoConnection] {
        assert_eq!(connect_peer(tcp), untested(Obstacle::NoTcpAllocation), "{tcp:?}");
    }
    let (outcome, ..) = connect_peer(TcpAllocations::Refused(486));
    assert_eq!(outcome, TurnOutcome::NotTestable(Obstacle::Code(Method::ALLOCATE, 486)));
}

#[test]
fn a_connect_request_without_a_response_is_no_evidence() {
    for tcp in [TcpAllocations::Ignores, TcpAllocations::Closes] {
        let (outcome, tested, untested) = connect_peer(tcp);
        assert_eq!((outcome, tested, untested), (TurnOutcome::NotTestable(Obstacle::Silent), 0, 26), "{tcp:?}");
    }
}
