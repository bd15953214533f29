//! Plays scripts of `Lifetime` behind a NAT with short timers and with four kinds of servers, and checks the laws of
//! machines.
//!
//! Only one or two idle times are measured, so that a run of a few dozen steps reaches the measurement.

use crate::byte_reader::{ADDRESSES, ByteReader};
use crate::flawed::{Flaw, Flawed};
use crate::monitor::play;
use portolan_machine::{Instant, Output, Refusal, SocketEvent, SocketId, SocketOrder, Transmit};
use portolan_nat::behavior::Timers;
use portolan_nat::lifetime::{Lifetime, LifetimeConfig, LifetimeEvent, MeasurementCommand};
use portolan_nat::translator::{Translation, Translator, TranslatorConfig};
use portolan_sim::laws::{Context, Step};
use portolan_stun::{Attribute, Class, ErrorCode, Message, Writer};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

/// Plays the script of the bytes. Returns whether the measurement began.
pub fn run(bytes: &[u8]) -> bool {
    let mut reader = ByteReader::new(bytes);
    let shape = reader.byte();
    let mut network = Network::new(&mut reader);
    let server = |nth: usize| ADDRESSES[nth].parse().expect("an address");
    let servers = if shape & 1 == 0 { vec![server(0)] } else { vec![server(0), server(1)] };
    let step = Duration::from_secs(2 + u64::from(shape >> 1 & 7));
    let config = LifetimeConfig::new(servers).step(step).max(step * (1 + u32::from(shape >> 4 & 1)));
    let terminal = |event: &LifetimeEvent| matches!(event, LifetimeEvent::Report(_));
    let context = Context { seed: u64::from(shape), terminal, ..Context::default() };
    let factory = || Flawed::new(Lifetime::new(config.clone()).expect("a configuration"), Flaw::LosesOutput);
    let mut script = vec![Step::command(Instant::ORIGIN, &MeasurementCommand::Start)];
    script.extend(reader.script(8, 12, |reader| {
        if reader.byte() & 7 == 0 {
            MeasurementCommand::Stop.to_string()
        } else {
            MeasurementCommand::Start.to_string()
        }
    }));
    let mut begun = false;
    play(bytes, &factory, &script, &context, 60, |at, output| {
        begun |= matches!(output, Output::Event(LifetimeEvent::Begun { .. }));
        network.answer(at, output)
    });
    begun
}

/// The NAT of the client, and the servers.
struct Network {
    nat: Translator,
    sockets: BTreeMap<SocketId, SocketAddr>,
    /// The behaviour of the first server, and that of the others.
    servers: [Server; 2],
    /// Every packet with a number divisible by this one is lost; 0: no packet is lost.
    loss: u8,
    packets: u8,
}

/// The behaviour of a server after a request with RESPONSE-PORT.
#[derive(Clone, Copy)]
enum Server {
    Honours,
    Ignores,
    Refuses,
    Silent,
}

impl Network {
    fn new(reader: &mut ByteReader<'_>) -> Self {
        let secs = |byte: u8| Duration::from_secs(u64::from(byte & 15));
        let timers = Timers {
            unreplied: secs(reader.byte()),
            replied: secs(reader.byte()),
            absolute: Some(secs(reader.byte())).filter(|time| time.as_secs() > 3),
        };
        let outside = "203.0.113.9".parse().expect("an address");
        let nat = Translator::new(TranslatorConfig::home().timers(timers), &[outside], 1);
        let kind = |byte: u8| match byte & 7 {
            0 => Server::Silent,
            1 => Server::Refuses,
            2 => Server::Ignores,
            _ => Server::Honours,
        };
        let servers = [kind(reader.byte()), kind(reader.byte())];
        Self { nat, sockets: BTreeMap::new(), servers, loss: reader.byte() & 31, packets: 0 }
    }

    fn answer(&mut self, at: Instant, output: &Output<LifetimeEvent>) -> Vec<Step> {
        match output {
            Output::Socket(SocketOrder::Open(open)) => {
                if open.local.port().is_multiple_of(61) {
                    return vec![Step::socket_event(at, open.id, SocketEvent::Refused(Refusal::AddressInUse))];
                }
                let local = SocketAddr::from(([10, 0, 0, 2], open.local.port()));
                self.sockets.insert(open.id, local);
                vec![Step::socket_event(at, open.id, SocketEvent::Opened { local })]
            }
            Output::Socket(SocketOrder::Close(id)) => {
                self.sockets.remove(id);
                Vec::new()
            }
            Output::Transmit(sent) => self.reply(at, sent).into_iter().collect(),
            Output::Socket(_) | Output::Event(_) | Output::Wait(_) => Vec::new(),
        }
    }

    fn reply(&mut self, at: Instant, sent: &Transmit) -> Option<Step> {
        self.packets = self.packets.wrapping_add(1);
        if self.loss > 0 && self.packets.is_multiple_of(self.loss) {
            return None;
        }
        let local = *self.sockets.get(&sent.socket)?;
        let Ok(Translation::Out { source, .. }) = self.nat.outbound(at, local, sent.remote) else { return None };
        let request = Message::decode(&sent.payload).ok()?;
        let first = ADDRESSES[0].parse() == Ok(sent.remote);
        let kind = self.servers[usize::from(!first)];
        let mut buffer = [0; 96];
        let (method, id) = (request.method(), request.transaction_id());
        let port = match (kind, request.response_port()) {
            (Server::Silent, _) => return None,
            (Server::Honours, Some(port)) => port,
            (Server::Honours | Server::Ignores, _) | (Server::Refuses, None) => source.port(),
            (Server::Refuses, Some(_)) => {
                let mut writer = Writer::new(&mut buffer, Class::ErrorResponse, method, id).ok()?;
                writer.add(&Attribute::ErrorCode(ErrorCode::recommended(420)?)).ok()?;
                return self.deliver(at, sent.remote, source, writer.finish());
            }
        };
        let mut writer = Writer::new(&mut buffer, Class::SuccessResponse, method, id).ok()?;
        writer.add(&Attribute::XorMappedAddress(source)).ok()?;
        self.deliver(at, sent.remote, SocketAddr::new(source.ip(), port), writer.finish())
    }

    /// Delivers a packet from outside, if the NAT accepts it.
    fn deliver(&mut self, at: Instant, from: SocketAddr, to: SocketAddr, payload: &[u8]) -> Option<Step> {
        let to = self.nat.inbound(at, from, to).ok()?;
        let (socket, _) = self.sockets.iter().find(|(_, local)| **local == to)?;
        Some(Step::datagram(at + Duration::from_millis(20), *socket, to, from, payload))
    }
}
