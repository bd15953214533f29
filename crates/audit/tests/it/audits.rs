//! Audits of conformant and faulty servers: each fault is reported, and loss, filters and NATs are not violations.

use crate::world::{Counting, message};
use core::cell::{Cell, RefCell};
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use portolan_audit::{
    Audit, AuditCommand, AuditConfig, AuditEvent, Check, Implausible, Outcome, Report, UnknownReason, Violation,
};
use portolan_machine::{
    Cx, Datagram, Input, Instant, Machine, Output, Protocol, Refusal, SocketEvent, SocketId, SocketIds, SocketOrder,
};
use portolan_sim::server::{Bogus, Tcp};
use portolan_sim::{Barrier, Fault, Gateway, Link, Net, Preset, Server, Topology};
use portolan_stun::{Attribute, Class, ErrorCode, Method, Writer};
use portolan_stun_agent::nonce::Features;

const SERVER: &str = "203.0.113.10:3478";
const OTHER: &str = "203.0.113.11:3479";

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn full() -> Server {
    Server::new("full", at(SERVER)).alternate(at(OTHER))
}

fn plain() -> Server {
    Server::new("plain", at(SERVER))
}

/// A client and a server with a round trip time of 50 ms.
struct World {
    server: Server,
    nat: Option<Barrier>,
    loss: f64,
    seed: u64,
}

impl World {
    fn of(server: Server) -> Self {
        Self { server, nat: None, loss: 0.0, seed: 1 }
    }

    fn report(&self) -> Report {
        let mut net = Net::new(self.seed);
        let link = Link::delay(Duration::from_millis(25)).loss(self.loss);
        let public: IpAddr = "198.51.100.7".parse().unwrap();
        let audit = Audit::new(AuditConfig::new(self.server.primary));
        let host = match self.nat {
            None => net.add_host(net.internet(), "client", &[public], &link, audit),
            Some(nat) => {
                let home = net.add_gateway(net.internet(), Gateway::new("home", [public], nat), &link);
                net.add_host(home, "client", &["192.168.1.7".parse().unwrap()], &Link::PERFECT, audit)
            }
        };
        net.add_server(net.internet(), self.server.clone(), &Link::PERFECT);
        net.command(host, AuditCommand::Start).unwrap();
        let _stop = net.run_until(Instant::ORIGIN + Duration::from_secs(30));
        let last = net.take_events().pop().unwrap();
        assert!(last.at < Instant::from_millis(3000), "the audit ended at {}", last.at);
        let AuditEvent::Report(report) = last.event else { panic!("{:?}", last.event) };
        assert!(report.traffic.sent <= Audit::MAX_DATAGRAMS, "{:?}", report.traffic);
        *report
    }
}

fn findings_text(report: &Report) -> String {
    report.findings.iter().map(|finding| format!("{finding}\n")).collect()
}

#[track_caller]
fn assert_found(report: &Report, expected: &[(Check, Outcome)]) {
    for (check, outcome) in expected {
        assert_eq!(report.outcome(*check), Some(*outcome), "{check}\n{}", findings_text(report));
    }
}

#[test]
fn a_conformant_responder_with_two_addresses_honours_all_checks() {
    let report = World::of(full().with_responder()).report();
    assert_eq!(report.violations().count(), 0, "{}", findings_text(&report));
    // These checks are optional. The server has no SOFTWARE, no support of RFC 3489, and no credentials.
    let optional = |check| matches!(check, Check::Software | Check::Classic | Check::Credentials);
    let expected =
        Check::all().map(|check| (check, if optional(check) { Outcome::NotSupported } else { Outcome::Honoured }));
    assert_found(&report, &expected.collect::<Vec<_>>());
    assert_eq!((report.mapped, report.control.lost), (Some(report.local), 0));
    assert_eq!(report.control.rtt, Some(Duration::from_millis(50)));
    assert!(report.traffic.sent < 75, "{:?}", report.traffic);
    let worst = report.amplification[0];
    assert!((3.0..4.0).contains(&worst.factor()), "the attributes that RFC 5780 §6.1 requires: {worst:?}");
    assert!(report.elapsed < Duration::from_millis(2900), "{:?}", report.elapsed);
}

#[test]
fn a_conformant_responder_with_one_address_refuses_unsupported_attributes() {
    let report = World::of(plain().with_responder().tcp(Tcp::Refuses)).report();
    assert_eq!(report.violations().count(), 0, "{}", findings_text(&report));
    for check in [
        Check::Tcp,
        Check::MappedAddress,
        Check::ResponseOrigin,
        Check::OtherAddress,
        Check::Alternates,
        Check::ChangePort,
        Check::ChangeAddress,
        Check::ChangeBoth,
    ] {
        assert_found(&report, &[(check, Outcome::NotSupported)]);
    }
    assert_found(&report, &[(Check::UnknownRequired, Outcome::Honoured), (Check::ResponsePort, Outcome::Honoured)]);
}

#[test]
fn a_conformant_responder_over_ipv6_has_no_violations() {
    let mut net = Net::new(1);
    let link = Link::delay(Duration::from_millis(25));
    let server = at("[2001:db8::10]:3478");
    let audit = Audit::new(AuditConfig::new(server));
    let host = net.add_host(net.internet(), "client", &["2001:db8:1::7".parse().unwrap()], &link, audit);
    let full = Server::new("six", server).alternate(at("[2001:db8::11]:3479")).with_responder();
    net.add_server(net.internet(), full, &Link::PERFECT);
    net.command(host, AuditCommand::Start).unwrap();
    let _stop = net.run_for(Duration::from_secs(5));
    let Some(AuditEvent::Report(report)) = net.take_events().pop().map(|last| last.event) else { panic!("a report") };
    assert_eq!(report.violations().count(), 0, "{}", findings_text(&report));
    assert_found(&report, &[(Check::ChangeBoth, Outcome::Honoured), (Check::Amplification, Outcome::Honoured)]);
}

/// Returns the outcomes that a fault of a server with two addresses must have.
#[expect(clippy::wildcard_enum_match_arm, reason = "a new fault needs a new arm, and fails until it has one")]
fn expected_outcomes(fault: Fault) -> Vec<(Check, Outcome)> {
    let other = at(OTHER);
    let violated = Outcome::Violated;
    let bogus = |address: &str, why| vec![(Check::OtherAddress, violated(Violation::Implausible(at(address), why)))];
    match fault {
        Fault::None => vec![(Check::Binding, Outcome::Honoured), (Check::ChangeBoth, Outcome::Honoured)],
        Fault::Silent => {
            vec![
                (Check::Binding, Outcome::Unknown(UnknownReason::Silent)),
                (Check::Garbage, Outcome::Unknown(UnknownReason::Silent)),
            ]
        }
        Fault::IgnoresChangeRequest => [Check::ChangePort, Check::ChangeAddress, Check::ChangeBoth]
            .map(|check| (check, violated(Violation::Ignored)))
            .into(),
        Fault::RefusesChangeRequest => [Check::ChangePort, Check::ChangeAddress, Check::ChangeBoth]
            .map(|check| (check, violated(Violation::Error(420))))
            .into(),
        Fault::DropsChangeRequest => [Check::ChangePort, Check::ChangeAddress, Check::ChangeBoth]
            .map(|check| (check, violated(Violation::NotAnswered)))
            .into(),
        Fault::ChangesPortOnly => vec![
            (Check::ChangePort, Outcome::Honoured),
            (Check::ChangeAddress, violated(Violation::Ignored)),
            (Check::ChangeBoth, violated(Violation::From(SocketAddr::new(at(SERVER).ip(), other.port())))),
        ],
        Fault::NoOtherAddress => vec![(Check::OtherAddress, violated(Violation::Missing))],
        Fault::OtherAddress(Bogus::Itself) => bogus(SERVER, Implausible::SameAddress),
        Fault::OtherAddress(Bogus::SameAddress) => bogus("203.0.113.10:3479", Implausible::SameAddress),
        Fault::OtherAddress(Bogus::SamePort) => bogus("203.0.113.11:3478", Implausible::SamePort),
        Fault::OtherAddress(Bogus::Private) => bogus("172.16.0.53:3479", Implausible::NotGlobal),
        Fault::OtherAddress(Bogus::OtherFamily) => bogus("[2001:db8::2]:3479", Implausible::Family),
        Fault::OtherAddress(Bogus::Unspecified) => bogus("0.0.0.0:3479", Implausible::NotGlobal),
        Fault::DeadAlternate => vec![
            (Check::Alternates, violated(Violation::NotAnswered)),
            (Check::ChangePort, Outcome::Honoured),
            (Check::ChangeBoth, Outcome::Unknown(UnknownReason::Filter)),
        ],
        Fault::WrongMappedAddress(address) => vec![(Check::XorMappedAddress, violated(Violation::SameForTwo(address)))],
        Fault::ChangingMappedAddress => vec![(Check::Retransmission, violated(Violation::Differs))],
        Fault::LateDuplicates(_) | Fault::AnswersTwice => {
            vec![(Check::OneResponse, violated(Violation::Several { requests: 11, replies: 22 }))]
        }
        Fault::ThirdAddress(address) => vec![(Check::Source, violated(Violation::From(address)))],
        Fault::Garbage | Fault::Truncated => vec![(Check::Binding, violated(Violation::Unreadable))],
        Fault::WrongTransactionId => vec![(Check::TransactionId, violated(Violation::Wrong))],
        Fault::Echo => vec![(Check::Binding, violated(Violation::Echo))],
        Fault::OnlyXorMapped => vec![(Check::MappedAddress, violated(Violation::Missing))],
        Fault::OnlyMapped => vec![(Check::XorMappedAddress, violated(Violation::OnlyMapped))],
        Fault::NoMapped => vec![(Check::XorMappedAddress, violated(Violation::Missing))],
        Fault::Error(code) => vec![(Check::Binding, violated(Violation::Error(code)))],
        Fault::DropsEvery(_) => vec![(Check::Retransmission, Outcome::Unknown(UnknownReason::Loss))],
        Fault::Ipv4MappedAddress => {
            vec![(Check::XorMappedAddress, violated(Violation::WrongAddress(at("[::ffff:198.51.100.7]:55184"))))]
        }
        Fault::WrongFingerprint => vec![(Check::Fingerprint, violated(Violation::Wrong))],
        fault => panic!("no outcome is expected for {fault}"),
    }
}

#[test]
fn each_fault_is_reported_by_the_check_that_it_violates() {
    for fault in Fault::EACH {
        let report = World::of(full().fault(fault)).report();
        let expected = expected_outcomes(fault);
        for (check, outcome) in &expected {
            assert_eq!(report.outcome(*check), Some(*outcome), "{fault}: {check}\n{}", findings_text(&report));
        }
    }
}

#[test]
fn loss_is_never_reported_as_a_violation() {
    for (server, seeds) in [(full().with_responder(), 0..150), (plain().with_responder(), 0..50)] {
        for loss in [0.02, 0.1, 0.3] {
            for seed in seeds.clone() {
                let report = World { server: server.clone(), nat: None, loss, seed }.report();
                assert_eq!(report.violations().count(), 0, "seed {seed}, loss {loss}\n{}", findings_text(&report));
            }
        }
    }
}

#[test]
fn at_two_percent_loss_few_outcomes_are_unknown() {
    let unknown: usize = (0..50)
        .map(|seed| {
            let report = World { server: full().with_responder(), nat: None, loss: 0.02, seed }.report();
            report.findings.iter().filter(|finding| matches!(finding.outcome, Outcome::Unknown(_))).count()
        })
        .sum();
    let all = 50 * Check::all().len();
    assert!(unknown * 50 < all, "{unknown} of {all} findings are unknown");
}

#[test]
fn behind_each_kind_of_nat_a_conformant_server_has_no_violations() {
    for preset in [Preset::Home, Preset::FullCone, Preset::Restricted, Preset::Symmetric] {
        for server in [full().with_responder(), plain().with_responder()] {
            let nat = Topology::preset(preset).ipv4.first().copied();
            let report = World { server: server.clone(), nat, loss: 0.0, seed: 7 }.report();
            assert_eq!(report.violations().count(), 0, "{}\n{}", preset.as_str(), findings_text(&report));
            assert_eq!(report.mapped.map(|mapped| mapped.ip().to_string()).as_deref(), Some("198.51.100.7"));
            if server.alternate.is_some() {
                // The probes to the other addresses opened the filter. With address-dependent mapping they cannot.
                let symmetric = preset == Preset::Symmetric;
                let outcome = if symmetric { Outcome::Unknown(UnknownReason::Filter) } else { Outcome::Honoured };
                assert_found(&report, &[(Check::ChangePort, outcome), (Check::ChangeBoth, outcome)]);
            }
        }
    }
}

#[test]
fn faults_under_loss_are_reported_or_unknown_but_never_honoured() {
    for fault in [Fault::IgnoresChangeRequest, Fault::OnlyMapped, Fault::Error(500), Fault::WrongTransactionId] {
        for seed in 0..20 {
            let report = World { server: full().fault(fault), nat: None, loss: 0.05, seed }.report();
            let (check, outcome) = expected_outcomes(fault)[0];
            let found = report.outcome(check);
            assert!(found == Some(outcome) || matches!(found, Some(Outcome::Unknown(_))), "{fault} {seed}: {found:?}");
            assert_ne!(found, Some(Outcome::Honoured));
        }
    }
}

/// Audits a server that is a function from request to replies, with a round trip time of 40 ms, without TCP.
fn audit_of(server: &str, answer: impl Fn(&[u8]) -> Vec<Vec<u8>>) -> Report {
    audit_timed(server, &Cell::new(0), answer)
}

/// Like [`audit_of`]. Before each request `clock` is set to its time in milliseconds.
fn audit_timed(server: &str, clock: &Cell<u64>, answer: impl Fn(&[u8]) -> Vec<Vec<u8>>) -> Report {
    audit_over(server, clock, None, answer)
}

/// A server over TCP: a function from request to response.
type OverTcp<'a> = &'a dyn Fn(&[u8]) -> Vec<u8>;

/// Like [`audit_timed`], with TCP if `over_tcp` is given.
fn audit_over(
    server: &str,
    clock: &Cell<u64>,
    over_tcp: Option<OverTcp<'_>>,
    answer: impl Fn(&[u8]) -> Vec<Vec<u8>>,
) -> Report {
    let server = at(server);
    let mut world = Audited {
        audit: Audit::new(AuditConfig::new(server).tcp(over_tcp.is_some())),
        rng: Counting::default(),
        ids: SocketIds::new(),
        now: 0,
    };
    world.with(|audit, cx| audit.start(cx)).unwrap();
    let mut stream = None;
    let mut in_flight: Vec<(u64, SocketId, SocketAddr, Vec<u8>)> = vec![];
    loop {
        match world.audit.poll() {
            Output::Socket(SocketOrder::Open(open)) => {
                if open.protocol == Protocol::Tcp {
                    stream = Some(open.id);
                }
                let local = SocketAddr::new(server.ip(), 40_000 + open.id.0 as u16);
                let _mine =
                    world.with(|audit, cx| audit.handle(cx, Input::Socket(open.id, SocketEvent::Opened { local })));
            }
            Output::Socket(_) => {}
            Output::Transmit(sent) => {
                clock.set(world.now);
                let replies = match over_tcp.filter(|_| stream == Some(sent.socket)) {
                    Some(over_tcp) => vec![over_tcp(&sent.payload)],
                    None => answer(&sent.payload),
                };
                in_flight.extend(replies.into_iter().map(|reply| (world.now + 40, sent.socket, sent.remote, reply)));
            }
            Output::Event(AuditEvent::Report(report)) => return *report,
            Output::Event(event) => panic!("{event:?}"),
            Output::Wait(until) => {
                let until = until.map_or(u64::MAX, |until| until.at.since_origin().as_micros().div_ceil(1000) as u64);
                let (at, datagram) = match in_flight.first() {
                    Some((at, ..)) if *at <= until => (*at, Some(in_flight.remove(0))),
                    _ => (until, None),
                };
                assert!(at < 10_000, "the audit does not end");
                world.now = world.now.max(at);
                let input = match &datagram {
                    Some((_, socket, remote, payload)) => {
                        let datagram = Datagram::new(
                            *socket,
                            SocketAddr::new(server.ip(), 40_000 + socket.0 as u16),
                            *remote,
                            payload,
                        );
                        if stream == Some(*socket) {
                            let _taken = world.with(|audit, cx| audit.stream(cx, datagram));
                            continue;
                        }
                        Input::Datagram(datagram)
                    }
                    None => Input::Timeout,
                };
                let _verdict = world.with(|audit, cx| audit.handle(cx, input));
            }
        }
    }
}

struct Audited {
    audit: Audit,
    rng: Counting,
    ids: SocketIds,
    now: u64,
}

impl Audited {
    fn with<R>(&mut self, call: impl FnOnce(&mut Audit, &mut Cx<'_>) -> R) -> R {
        let mut cx = Cx::new(Instant::from_millis(self.now), &mut self.rng, &mut self.ids);
        call(&mut self.audit, &mut cx)
    }
}

/// A response with the bytes 8 to 20 of any datagram as its transaction id.
fn response(class: Class, to: &[u8], attributes: &[Attribute<'_>]) -> Vec<Vec<u8>> {
    let id: [u8; 12] = to[8..20].try_into().unwrap();
    vec![message(class, id.into(), attributes)]
}

const MAPPED: &str = "192.0.2.7:41000";

#[test]
fn a_server_that_answers_everything_violates_each_check_for_no_response() {
    let report = audit_of("192.0.2.1:3478", |bytes| {
        response(Class::SuccessResponse, bytes, &[Attribute::XorMappedAddress(at(MAPPED))])
    });
    for check in [Check::UnknownMethod, Check::Indication, Check::Response, Check::Truncated, Check::OddLength] {
        assert_found(&report, &[(check, Outcome::Violated(Violation::Answered))]);
    }
    assert_found(
        &report,
        &[
            (Check::Garbage, Outcome::Violated(Violation::Answered)),
            (Check::UnknownRequired, Outcome::Violated(Violation::Ignored)),
            (Check::ChangeBoth, Outcome::Violated(Violation::Ignored)),
            (Check::ResponsePort, Outcome::Violated(Violation::Ignored)),
            (Check::Padding, Outcome::Violated(Violation::Ignored)),
            (Check::PaddingAndResponsePort, Outcome::Violated(Violation::Ignored)),
            // A server without FINGERPRINT may ignore the attribute.
            (Check::Fingerprint, Outcome::NotSupported),
            (Check::WrongFingerprint, Outcome::NotSupported),
            // The response has the magic cookie in place of the first 4 bytes of the id.
            (Check::Classic, Outcome::Violated(Violation::Wrong)),
            (Check::Binding, Outcome::Honoured),
        ],
    );
}

#[test]
fn an_amplifying_server_is_reported_with_its_factor() {
    let report = audit_of("192.0.2.1:3478", |bytes| {
        let text = "x".repeat(600);
        let attributes = [Attribute::XorMappedAddress(at(MAPPED)), Attribute::Padding(text.as_bytes())];
        response(Class::SuccessResponse, bytes, &attributes)
    });
    // 20 bytes of header, 12 of address and 604 of PADDING for 20 bytes.
    assert_found(&report, &[(Check::Amplification, Outcome::Violated(Violation::Amplifies(31)))]);
    assert_eq!(report.amplification[0].reply_bytes, 636);
}

#[test]
fn a_server_that_requires_credentials_is_checked_by_its_401_only() {
    let error = Attribute::ErrorCode(ErrorCode::recommended(401).unwrap());
    let report = audit_of("192.0.2.1:3478", |bytes| {
        // The nonce must depend on the client. Here it depends on the transaction id.
        let nonce = format!("obMatJos2AAAA{:02x}", bytes[8]);
        let attributes = [error, Attribute::Realm("r".into()), Attribute::Nonce(nonce.as_str().into())];
        response(Class::ErrorResponse, bytes, &attributes)
    });
    let challenge = report.credentials.clone().unwrap();
    assert_eq!(
        (challenge.realm.as_deref(), challenge.features, challenge.algorithms),
        (Some("r"), Some(Features::NONE), vec![])
    );
    assert_found(&report, &[(Check::Credentials, Outcome::Honoured)]);
    assert_found(&report, &[(Check::Binding, Outcome::Unknown(UnknownReason::Credentials))]);
    assert_found(&report, &[(Check::ChangeBoth, Outcome::Unknown(UnknownReason::Credentials))]);
    let faulty = audit_of("192.0.2.1:3478", |bytes| response(Class::ErrorResponse, bytes, &[error]));
    assert_found(&faulty, &[(Check::Credentials, Outcome::Violated(Violation::Missing))]);
    for (nonce, violation) in [("constant", Violation::SameNonce), ("obMatJos2gAAA", Violation::FeatureBit)] {
        let faulty = audit_of("192.0.2.1:3478", |bytes| {
            let attributes = [error, Attribute::Realm("r".into()), Attribute::Nonce(nonce.into())];
            response(Class::ErrorResponse, bytes, &attributes)
        });
        assert_found(&faulty, &[(Check::Credentials, Outcome::Violated(violation))]);
    }
}

#[test]
fn on_loopback_a_foreign_mapped_address_is_a_violation() {
    let report = audit_of("127.0.0.1:3478", |bytes| {
        response(Class::SuccessResponse, bytes, &[Attribute::XorMappedAddress(at(MAPPED))])
    });
    assert_found(&report, &[(Check::XorMappedAddress, Outcome::Violated(Violation::WrongAddress(at(MAPPED))))]);
}

#[test]
fn an_rfc_3489_response_is_matched_by_its_sixteen_byte_id() {
    let report = audit_of("192.0.2.1:3478", |bytes| {
        let mut answers =
            response(Class::SuccessResponse, bytes, &[Attribute::MappedAddress("192.0.2.7:5".parse().unwrap())]);
        answers[0][4..8].copy_from_slice(&bytes[4..8]);
        answers
    });
    assert_found(&report, &[(Check::Classic, Outcome::Honoured)]);
    assert_found(&report, &[(Check::XorMappedAddress, Outcome::Violated(Violation::OnlyMapped))]);
}

#[test]
fn a_wrong_fingerprint_and_a_missing_one_have_different_outcomes() {
    let with = |mask: u8| {
        audit_of("192.0.2.1:3478", move |bytes| {
            let mut buffer = [0; 64];
            let id: [u8; 12] = bytes[8..20].try_into().unwrap();
            let mut writer = Writer::new(&mut buffer, Class::SuccessResponse, Method::BINDING, id.into()).unwrap();
            writer.add(&Attribute::XorMappedAddress(at(MAPPED))).unwrap();
            let mut answer = writer.fingerprint().unwrap().finish().to_vec();
            *answer.last_mut().unwrap() ^= mask;
            vec![answer]
        })
    };
    let right = with(0);
    assert_found(&right, &[(Check::Fingerprint, Outcome::Honoured)]);
    assert_found(&right, &[(Check::WrongFingerprint, Outcome::Violated(Violation::Answered))]);
    assert_found(&with(1), &[(Check::Fingerprint, Outcome::Violated(Violation::Wrong))]);
}

/// Whether a request has an attribute of this type.
fn has(request: &[u8], kind: u16) -> bool {
    request[20..].chunks(4).any(|word| word.starts_with(&kind.to_be_bytes()))
}

fn refusal(code: u16, to: &[u8]) -> Vec<Vec<u8>> {
    response(Class::ErrorResponse, to, &[Attribute::ErrorCode(ErrorCode::recommended(code).unwrap())])
}

fn success(to: &[u8]) -> Vec<Vec<u8>> {
    response(Class::SuccessResponse, to, &[Attribute::XorMappedAddress(at(MAPPED))])
}

#[test]
fn wrong_handling_of_unknown_attributes_is_reported() {
    // 0x7ead is comprehension-required, 0xfead is comprehension-optional.
    let refuses_both = audit_of("192.0.2.1:3478", |bytes| {
        if has(bytes, 0x7ead) || has(bytes, 0xfead) { refusal(420, bytes) } else { success(bytes) }
    });
    assert_found(&refuses_both, &[(Check::UnknownOptional, Outcome::Violated(Violation::Error(420)))]);
    // The refusal is correct, but has no UNKNOWN-ATTRIBUTES.
    assert_found(&refuses_both, &[(Check::UnknownRequired, Outcome::Violated(Violation::Missing))]);
    let drops = audit_of("192.0.2.1:3478", |bytes| if has(bytes, 0xfead) { vec![] } else { success(bytes) });
    assert_found(&drops, &[(Check::UnknownOptional, Outcome::Violated(Violation::NotAnswered))]);
}

#[test]
fn processing_an_attribute_after_fingerprint_is_reported() {
    let fingerprinted = |bytes: &[u8]| {
        let mut buffer = [0; 64];
        let id: [u8; 12] = bytes[8..20].try_into().unwrap();
        let mut writer = Writer::new(&mut buffer, Class::SuccessResponse, Method::BINDING, id.into()).unwrap();
        writer.add(&Attribute::XorMappedAddress(at(MAPPED))).unwrap();
        vec![writer.fingerprint().unwrap().finish().to_vec()]
    };
    let processes =
        audit_of("192.0.2.1:3478", |bytes| if has(bytes, 0x7ead) { refusal(420, bytes) } else { fingerprinted(bytes) });
    assert_found(&processes, &[(Check::AfterFingerprint, Outcome::Violated(Violation::Error(420)))]);
    // The server may ignore the attribute, refuse the request, or drop it.
    let refuses = |bytes: &[u8]| if has(bytes, 0x7ead) { refusal(400, bytes) } else { fingerprinted(bytes) };
    let drops = |bytes: &[u8]| if has(bytes, 0x7ead) { vec![] } else { fingerprinted(bytes) };
    for report in [
        audit_of("192.0.2.1:3478", fingerprinted),
        audit_of("192.0.2.1:3478", refuses),
        audit_of("192.0.2.1:3478", drops),
    ] {
        assert_found(&report, &[(Check::AfterFingerprint, Outcome::Honoured)]);
    }
}

#[test]
fn a_response_origin_that_is_not_the_source_is_reported() {
    let reported = |origin: Option<&'static str>| {
        audit_of("192.0.2.1:3478", move |bytes| {
            let mut attributes =
                vec![Attribute::XorMappedAddress(at(MAPPED)), Attribute::OtherAddress(at("198.51.100.2:3479"))];
            attributes.extend(origin.map(|origin| Attribute::ResponseOrigin(at(origin))));
            response(Class::SuccessResponse, bytes, &attributes)
        })
    };
    let wrong = Violation::WrongAddress(at("192.0.2.1:3479"));
    assert_found(&reported(Some("192.0.2.1:3479")), &[(Check::ResponseOrigin, Outcome::Violated(wrong))]);
    assert_found(&reported(None), &[(Check::ResponseOrigin, Outcome::Violated(Violation::Missing))]);
    assert_found(&reported(Some("192.0.2.1:3478")), &[(Check::ResponseOrigin, Outcome::Honoured)]);
}

#[test]
fn wrong_responses_over_tcp_are_reported() {
    let silent = |_: &[u8]| vec![];
    let garbage = |_: &[u8]| b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec();
    let bare = |bytes: &[u8]| response(Class::SuccessResponse, bytes, &[]).concat();
    let error = |bytes: &[u8]| refusal(500, bytes).concat();
    let right = |bytes: &[u8]| success(bytes).concat();
    let cases: [(OverTcp<'_>, Outcome); 5] = [
        (&silent, Outcome::Violated(Violation::NotAnswered)),
        (&garbage, Outcome::Violated(Violation::Unreadable)),
        (&bare, Outcome::Violated(Violation::Missing)),
        (&error, Outcome::Violated(Violation::Error(500))),
        (&right, Outcome::Honoured),
    ];
    for (over_tcp, outcome) in cases {
        let report = audit_over("192.0.2.1:3478", &Cell::new(0), Some(over_tcp), success);
        assert_found(&report, &[(Check::Tcp, outcome)]);
    }
}

/// The rows have the order, the names and the clauses of the checks.
#[test]
fn the_ledger_has_a_row_for_each_check() {
    let rows: Vec<(String, String)> = include_str!("../../../../docs/rfc/audit.md")
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once("` | "))
        .map(|(name, rest)| (name.to_owned(), rest.split(" | ").next().unwrap().to_owned()))
        .collect();
    let checks = Check::all().map(|check| (check.name().to_owned(), check.clause().to_string()));
    assert_eq!(rows, checks.collect::<Vec<_>>());
}

#[test]
fn a_silent_server_and_a_refused_socket_end_without_violations() {
    let report = audit_of("192.0.2.1:3478", |_| vec![]);
    assert!(!report.is_answered() && report.violations().count() == 0, "{}", findings_text(&report));
    let mut world = Audited {
        audit: Audit::new(AuditConfig::new(at(SERVER))),
        rng: Counting::default(),
        ids: SocketIds::new(),
        now: 0,
    };
    world.with(|audit, cx| audit.start(cx)).unwrap();
    let refused = Input::Socket(SocketId(1), SocketEvent::Refused(Refusal::PermissionDenied));
    let _mine = world.with(|audit, cx| audit.handle(cx, refused));
    let mut last = world.audit.poll();
    while let Output::Socket(_) = last {
        last = world.audit.poll();
    }
    assert_eq!(last, Output::Event(AuditEvent::Failed(Refusal::PermissionDenied)));
    assert_eq!(world.audit.poll(), Output::Wait(None));
}

#[test]
fn at_most_ten_new_requests_are_sent_in_any_second() {
    // RFC 5780 §5. A retransmission is not a new request, so each id counts once.
    let (requests, clock) = (RefCell::new(Vec::<([u8; 12], u64)>::new()), Cell::new(0));
    let _report = audit_timed("192.0.2.1:3478", &clock, |bytes| {
        let id: [u8; 12] = bytes[8..20].try_into().unwrap();
        let is_request = bytes[0] & 0xc1 == 0 && bytes[1] & 0x10 == 0 && bytes.len() % 4 == 0;
        if is_request && !requests.borrow().iter().any(|(other, _)| *other == id) {
            requests.borrow_mut().push((id, clock.get()));
        }
        let attributes = [Attribute::XorMappedAddress(at(MAPPED)), Attribute::OtherAddress(at("192.0.2.2:3479"))];
        response(Class::SuccessResponse, bytes, &attributes)
    });
    let starts: Vec<u64> = requests.into_inner().into_iter().map(|(_, at)| at).collect();
    assert!(starts.len() >= 18, "{starts:?}");
    for (n, start) in starts.iter().enumerate() {
        let within = starts[n..].iter().take_while(|other| **other < start + 1000).count();
        // The count includes the truncated message, which is not a request. This run has no request over TCP.
        assert!(within <= 10, "{within} new requests within a second from {start} ms on: {starts:?}");
    }
}
