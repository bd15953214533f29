//! Plays scripts of `Audit` with servers that answer correctly, incorrectly or not at all, and checks the laws of
//! machines.

use super::peer::Peer;
use crate::byte_reader::{ADDRESSES, ByteReader};
use crate::flawed::{Flaw, Flawed};
use crate::monitor::play;
use portolan_audit::{Audit, AuditCommand, AuditConfig};
use portolan_machine::{Instant, Output};
use portolan_sim::laws::{Context, Step};

/// Plays the script of the bytes. Returns whether a request was sent.
pub fn run(bytes: &[u8]) -> bool {
    let mut reader = ByteReader::new(bytes);
    let shape = reader.byte();
    let place = ADDRESSES[usize::from(shape >> 1 & 3)].parse().expect("an address");
    let config = AuditConfig::new(place).tcp(shape & 1 == 0);
    let context = Context { seed: u64::from(shape), terminal: |_| true, ..Context::default() };
    let factory = || Flawed::new(Audit::new(config), Flaw::PastDeadline);
    let mut script = vec![Step::command(Instant::ORIGIN, &AuditCommand::Start)];
    script.extend(reader.script(8, 4, |_| AuditCommand::Start.to_string()));
    let mut peer = Peer::with_credentials(bytes);
    let mut asked = false;
    play(bytes, &factory, &script, &context, 60, |at, output| {
        asked |= matches!(output, Output::Transmit(_));
        peer.answer(at, output)
    });
    asked
}
