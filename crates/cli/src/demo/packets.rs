//! Each packet of a session, for `--explain=packets`.
//!
//! Rules of this file: each datagram has a line where it is sent and a line where it ends. So the numbers of the last lines
//! are those of the simulator's ledger. The bytes of a stream have a line where they are written, and where they are read.

use super::session::Session;
use core::fmt::{self, Write};
use portolan_sim::{EntryKind, PacketFate, PacketRecord, StreamFate};

/// Returns the list.
pub(super) fn page(session: &Session) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write(&mut out, session);
    out
}

/// The counts of the lines, by fate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) sent: u64,
    pub(super) doubled: u64,
    pub(super) delivered: u64,
    pub(super) lost: u64,
    pub(super) dropped: u64,
    pub(super) stranded: u64,
}

impl Counts {
    const fn in_transit(self) -> u64 {
        (self.sent + self.doubled) - (self.delivered + self.lost + self.dropped + self.stranded)
    }
}

fn write(out: &mut String, session: &Session) -> fmt::Result {
    writeln!(out, "Each datagram of the simulated session: where it is sent, and where it ends.")?;
    let (mut counts, mut written, mut read) = (Counts::default(), 0, 0);
    for entry in &session.entries {
        let (at, actor) = (entry.at, &entry.actor);
        #[expect(clippy::wildcard_enum_match_arm, reason = "notes are not packets")]
        match &entry.what {
            EntryKind::Packet(packet) => {
                counts.add(&packet.fate);
                writeln!(out, "{at} {actor:<17} {}", Line(packet))?;
            }
            EntryKind::Stream(bytes) if bytes.fate == StreamFate::Written => {
                written += bytes.bytes.len();
                writeln!(out, "{at} {actor:<17} writes    {bytes}")?;
            }
            EntryKind::Stream(bytes) => {
                read += bytes.bytes.len();
                writeln!(out, "{at} {actor:<17} reads     {bytes}")?;
            }
            EntryKind::Mapping { internal, external } if internal != external => {
                writeln!(out, "{at} {actor:<17} maps      {internal} to {external}")?;
            }
            _ => {}
        }
    }
    let Counts { sent, doubled, delivered, lost, dropped, stranded } = counts;
    write!(out, "Sum: {sent} sent, {delivered} received, {dropped} dropped, {stranded} without a route or socket, ")?;
    writeln!(out, "{lost} lost, {doubled} doubled, {} in transit at the end.", counts.in_transit())?;
    if written > 0 {
        writeln!(out, "Streams of TCP: {written} bytes written, {read} read.")?;
    }
    Ok(())
}

impl Counts {
    fn add(&mut self, fate: &PacketFate) {
        #[expect(clippy::wildcard_enum_match_arm, reason = "the list of fates may grow")]
        match fate {
            PacketFate::Sent => self.sent += 1,
            PacketFate::Doubled => self.doubled += 1,
            PacketFate::Delivered | PacketFate::Served => self.delivered += 1,
            PacketFate::Lost => self.lost += 1,
            PacketFate::Dropped { .. } => self.dropped += 1,
            _ => self.stranded += 1,
        }
    }
}

struct Line<'a>(&'a PacketRecord);

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let packet = self.0;
        match &packet.fate {
            PacketFate::Sent => write!(f, "sends     {packet}"),
            PacketFate::Doubled => write!(f, "doubles   {packet}"),
            PacketFate::Delivered | PacketFate::Served => write!(f, "receives  {packet}"),
            PacketFate::Lost => write!(f, "loses     {packet}"),
            PacketFate::Dropped { why, clause, .. } => {
                write!(f, "drops     {packet}: {why}")?;
                clause.map_or(Ok(()), |clause| write!(f, " [{clause}]"))
            }
            PacketFate::Stranded(why) => write!(f, "strands   {packet}: {why}"),
            _ => write!(f, "strands   {packet}"),
        }
    }
}
