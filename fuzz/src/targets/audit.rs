//! `Audit` before servers that answer, and some that do not answer right, under the watch and by lot under a law.

use super::peer::Peer;
use crate::feed::{Feed, PLACES};
use crate::flawed::{Flaw, Flawed};
use crate::watched::play;
use portolan_audit::{Audit, AuditCommand, AuditConfig};
use portolan_machine::{Instant, Output};
use portolan_sim::laws::{Context, Step};

/// Plays what the bytes say; says whether the server was asked.
pub fn run(bytes: &[u8]) -> bool {
    let mut feed = Feed::new(bytes);
    let shape = feed.byte();
    let place = PLACES[usize::from(shape >> 1 & 3)].parse().expect("an address");
    let config = AuditConfig::new(place).tcp(shape & 1 == 0);
    let context = Context { seed: u64::from(shape), terminal: |_| true, ..Context::default() };
    let factory = || Flawed::new(Audit::new(config), Flaw::OldDeadline);
    let mut script = vec![Step::command(Instant::ORIGIN, &AuditCommand::Start)];
    script.extend(feed.script(8, 4, |_| AuditCommand::Start.to_string()));
    let mut peer = Peer::guarded(bytes);
    let mut asked = false;
    play(bytes, &factory, &script, &context, 60, |at, output| {
        asked |= matches!(output, Output::Transmit(_));
        peer.answer(at, output)
    });
    asked
}
