//! Checks the laws of every machine during a measurement with responses, expired mappings and arbitrary inputs.

use super::lab::SERVER;
use alloc::collections::BTreeMap;
use bytes::Bytes;
use core::net::SocketAddr;
use core::time::Duration;
use portolan_machine::{Closure, Instant, Output, Refusal, SocketEvent, SocketId, SocketOrder, Unreachability};
use portolan_nat::behavior::Timers;
use portolan_nat::lifetime::{Lifetime, LifetimeConfig, LifetimeEvent, MeasurementCommand};
use portolan_nat::translator::{Translation, Translator, TranslatorConfig};
use portolan_sim::laws::{self, Context, Step};
use portolan_stun::{Attribute, Class, Message, Method, Writer};
use proptest::prelude::*;

fn machine() -> Lifetime {
    let (server, other) = (SERVER.parse().unwrap(), "198.51.100.7:3478".parse().unwrap());
    Lifetime::new(LifetimeConfig::new(vec![server, other]).max(Duration::from_secs(25))).unwrap()
}

fn context(seed: u64) -> Context<'static, Lifetime> {
    Context { terminal: |event| matches!(event, LifetimeEvent::Report(_)), seed, ..Context::default() }
}

/// A NAT with short lifetimes, and a server that honours RESPONSE-PORT.
struct Peer {
    nat: Translator,
    sockets: BTreeMap<SocketId, SocketAddr>,
}

impl Peer {
    fn new(seed: u64) -> Self {
        let timers = Timers {
            unreplied: Duration::from_secs(8),
            replied: Duration::from_secs(13),
            absolute: (seed.is_multiple_of(2)).then_some(Duration::from_secs(17)),
        };
        let outside = "203.0.113.9".parse().unwrap();
        let nat = Translator::new(TranslatorConfig::home().timers(timers), &[outside], seed);
        Self { nat, sockets: BTreeMap::new() }
    }

    fn reply(&mut self, at: Instant, output: &Output<LifetimeEvent>) -> Vec<Step> {
        let later = at + Duration::from_millis(20);
        match output {
            Output::Socket(SocketOrder::Open(open)) => {
                let local = SocketAddr::new("10.0.0.2".parse().unwrap(), open.local.port());
                self.sockets.insert(open.id, local);
                vec![Step::socket_event(at, open.id, SocketEvent::Opened { local })]
            }
            Output::Socket(SocketOrder::Close(id)) => {
                self.sockets.remove(id);
                Vec::new()
            }
            Output::Transmit(transmit) => {
                let response = self.sockets.get(&transmit.socket).copied().and_then(|local| {
                    let (socket, payload, to) = self.respond(at, local, transmit.remote, &transmit.payload)?;
                    Some(Step::datagram(later, socket, to, transmit.remote, &payload))
                });
                response.into_iter().collect()
            }
            Output::Socket(SocketOrder::Pause(_) | SocketOrder::Resume(_)) | Output::Event(_) | Output::Wait(_) => {
                Vec::new()
            }
        }
    }

    fn respond(
        &mut self,
        at: Instant,
        local: SocketAddr,
        server: SocketAddr,
        request: &[u8],
    ) -> Option<(SocketId, Bytes, SocketAddr)> {
        let Ok(Translation::Out { source, .. }) = self.nat.outbound(at, local, server) else { return None };
        let request = Message::decode(request).unwrap();
        let mut buffer = [0; 64];
        let id = request.transaction_id();
        let mut writer = Writer::new(&mut buffer, Class::SuccessResponse, Method::BINDING, id).unwrap();
        writer.add(&Attribute::XorMappedAddress(source)).unwrap();
        let to = SocketAddr::new(source.ip(), request.response_port().unwrap_or(source.port()));
        let to = self.nat.inbound(at, server, to).ok()?;
        let (socket, _) = self.sockets.iter().find(|(_, other)| **other == to)?;
        Some((*socket, Bytes::copy_from_slice(writer.finish()), to))
    }
}

/// Generates other inputs: invalid datagrams, socket events, early and late timeouts, on own and other sockets.
fn any_input() -> impl Strategy<Value = Step> {
    let at = (0_u64..60_000).prop_map(Instant::from_millis);
    let socket = (0_u64..30).prop_map(SocketId);
    let address = prop_oneof![Just(SERVER.parse().unwrap()), Just(SocketAddr::from(([10, 0, 0, 2], 50_000)))];
    let invalid = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..40),
        // The header of a Binding response with an id of no request.
        any::<[u8; 12]>().prop_map(|id| [&[1, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42][..], &id].concat()),
    ];
    let event = (address.clone(), 0_u8..7).prop_map(|(address, nth)| match nth {
        0 => SocketEvent::Opened { local: address },
        1 => SocketEvent::Refused(Refusal::AddressInUse),
        2 => SocketEvent::Refused(Refusal::NoRoute),
        3 => SocketEvent::Closed(Closure::DriverEnded),
        4 => SocketEvent::Accepted { socket: SocketId(99), local: address, remote: address },
        _ => SocketEvent::Unreachable { remote: address, why: Unreachability::Network },
    });
    prop_oneof![
        4 => at.clone().prop_map(Step::timeout),
        4 => (at.clone(), socket.clone(), address.clone(), address, invalid)
            .prop_map(|(at, socket, local, remote, bytes)| Step::datagram(at, socket, local, remote, &bytes)),
        3 => (at.clone(), socket, event).prop_map(|(at, socket, event)| Step::socket_event(at, socket, event)),
        1 => at.prop_map(|at| Step::command(at, &MeasurementCommand::Start)),
    ]
}

fn conversation(seed: u64, noise: &[Step], limit: usize) -> Vec<Step> {
    let script: Vec<_> =
        [Step::command(Instant::from_millis(0), &MeasurementCommand::Start)].iter().chain(noise).cloned().collect();
    let mut peer = Peer::new(seed);
    laws::rehearse(&machine, &script, &context(seed), limit, |at, output| peer.reply(at, output))
}

#[test]
fn a_complete_measurement_keeps_the_laws() {
    for seed in 0..2 {
        let whole = conversation(seed, &[], 5000);
        let (recording, played) = laws::record(machine(), &whole, &context(seed));
        let last = played.iter().flat_map(|played| &played.outputs).filter_map(|output| match output {
            Output::Event(LifetimeEvent::Report(report)) => Some(report),
            Output::Event(_) | Output::Transmit(_) | Output::Socket(_) | Output::Wait(_) => None,
        });
        let report = last.last().expect("the script is a whole measurement");
        assert!(report.unreplied.value().unwrap().contains(Duration::from_secs(8)), "{report}");
        assert!(report.replied.value().unwrap().contains(Duration::from_secs(13)), "{report}");
        let read: laws::Recording = recording.to_string().parse().unwrap();
        assert_eq!(read, recording);
        assert_eq!(laws::replay(machine(), &read, &context(seed)).unwrap(), played);
        laws::check_all(&machine, &whole, &context(seed)).unwrap_or_else(|violation| panic!("{violation}"));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_inputs_keep_the_laws(
        seed in 0_u64..1000,
        mut noise in prop::collection::vec((any_input(), any::<bool>()), 0..40),
        in_order in any::<bool>(),
        stopped in prop::option::of(0_u64..40_000),
    ) {
        if in_order {
            noise.sort_by_key(|(step, _)| step.at);
        }
        let drained = |(step, drain): (Step, bool)| if drain { step } else { step.undrained() };
        let mut noise: Vec<_> = noise.into_iter().map(drained).collect();
        noise.extend(stopped.map(|at| Step::command(Instant::from_millis(at), &MeasurementCommand::Stop)));
        let whole = conversation(seed, &noise, 700);
        if let Err(violation) = laws::check_all(&machine, &whole, &context(seed)) {
            panic!("{violation}");
        }
    }
}
