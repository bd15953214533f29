//! `Discovery` with servers that answer, and some that do not answer right, under the watch and by lot under a law.

use super::peer::Peer;
use crate::feed::{Feed, PLACES};
use crate::flawed::{Flaw, Flawed};
use crate::watched::play;
use portolan_machine::{Instant, Outbox, Output};
use portolan_nat::discovery::{Discovery, DiscoveryConfig, MeasurementCommand, StunServer};
use portolan_nat::event::DiscoveryEvent;
use portolan_sim::laws::{Context, Step};

/// Plays what the bytes say; says whether a server was asked.
pub fn run(bytes: &[u8]) -> bool {
    let mut feed = Feed::new(bytes);
    let shape = feed.byte();
    let server = |name: &str, nth: usize| StunServer {
        name: name.into(),
        addresses: vec![PLACES[nth].parse().expect("an address")],
    };
    let servers = [server("one", 0), server("two", 1), server("six", 3)];
    let mut config = DiscoveryConfig::new(servers[..1 + usize::from(shape % 3)].to_vec());
    config.hairpin = shape & 4 != 0;
    config.ports = shape & 8 != 0;
    let terminal = |event: &DiscoveryEvent| matches!(event, DiscoveryEvent::Report(_));
    let queue_limit = 3 * Outbox::<DiscoveryEvent>::LIMIT;
    let context = Context { seed: u64::from(shape), terminal, queue_limit, ..Context::default() };
    let factory = || Flawed::new(Discovery::new(config.clone()).expect("a configuration"), Flaw::Eavesdropper);
    let mut script = vec![Step::command(Instant::ORIGIN, &MeasurementCommand::Start)];
    script.extend(feed.script(6, 20, |feed| {
        if feed.byte() & 7 == 0 { MeasurementCommand::Stop.to_string() } else { MeasurementCommand::Start.to_string() }
    }));
    let mut peer = Peer::new(bytes);
    let mut asked = false;
    play(bytes, &factory, &script, &context, 30, |at, output| {
        asked |= matches!(output, Output::Transmit(_));
        peer.answer(at, output)
    });
    asked
}
