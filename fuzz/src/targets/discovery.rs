//! Plays scripts of `Discovery` with servers that answer correctly, incorrectly or not at all, and checks the laws of
//! machines.

use super::peer::Peer;
use crate::byte_reader::{ADDRESSES, ByteReader};
use crate::flawed::{Flaw, Flawed};
use crate::monitor::play;
use portolan_machine::{Instant, Outbox, Output};
use portolan_nat::discovery::{Discovery, DiscoveryConfig, MeasurementCommand, StunServer};
use portolan_nat::event::DiscoveryEvent;
use portolan_sim::laws::{Context, Step};

/// Plays the script of the bytes. Returns whether a request was sent.
pub fn run(bytes: &[u8]) -> bool {
    let mut reader = ByteReader::new(bytes);
    let shape = reader.byte();
    let server = |name: &str, nth: usize| StunServer {
        name: name.into(),
        addresses: vec![ADDRESSES[nth].parse().expect("an address")],
    };
    let servers = [server("one", 0), server("two", 1), server("six", 3)];
    let mut config = DiscoveryConfig::new(servers[..1 + usize::from(shape % 3)].to_vec());
    config.hairpin = shape & 4 != 0;
    config.ports = shape & 8 != 0;
    let terminal = |event: &DiscoveryEvent| matches!(event, DiscoveryEvent::Report(_));
    let queue_limit = 3 * Outbox::<DiscoveryEvent>::LIMIT;
    let context = Context { seed: u64::from(shape), terminal, queue_limit, ..Context::default() };
    let factory = || Flawed::new(Discovery::new(config.clone()).expect("a configuration"), Flaw::AnswersForeign);
    let mut script = vec![Step::command(Instant::ORIGIN, &MeasurementCommand::Start)];
    script.extend(reader.script(6, 20, |reader| {
        if reader.byte() & 7 == 0 {
            MeasurementCommand::Stop.to_string()
        } else {
            MeasurementCommand::Start.to_string()
        }
    }));
    let mut peer = Peer::new(bytes);
    let mut asked = false;
    play(bytes, &factory, &script, &context, 30, |at, output| {
        asked |= matches!(output, Output::Transmit(_));
        peer.answer(at, output)
    });
    asked
}
