//! The decisions of a session, for `--explain`: the notes of the two agents and the drops of the NATs, each with its
//! clause.
//!
//! Rules of this file: each kind of note is printed once, where it occurs first. A note without a clause is no rule of an
//! RFC and is not printed. Notes about single STUN transactions (RFC 8489) and about datagrams that need a permission
//! (RFC 8656 §9) are not printed either: `--explain=packets` has the packets.

use super::session::{Session, Side};
use clap::builder::styling::Style;
use core::fmt::{self, Write};
use portolan_machine::Clause;
use portolan_sim::{EntryKind, PacketFate};

const STRONG: Style = Style::new().bold();

/// A decision with its clause.
struct Decision {
    at: String,
    actor: String,
    text: String,
}

/// Writes the decisions in order.
pub(super) fn write(out: &mut String, session: &Session) -> fmt::Result {
    writeln!(out, "{STRONG}Decisions{STRONG:#}: the first of each kind, with the rule that it follows")?;
    for Decision { at, actor, text } in of(session) {
        writeln!(out, "  {at}  {actor}: {text}")?;
    }
    Ok(())
}

fn of(session: &Session) -> Vec<Decision> {
    let mut codes = Vec::new();
    let mut decisions = Vec::new();
    for entry in &session.entries {
        #[expect(clippy::wildcard_enum_match_arm, reason = "the other entries have no clause")]
        let (code, what, clause) = match &entry.what {
            EntryKind::Note(note) if is_peer(&entry.actor) => (note.code, note.text.to_string(), note.clause),
            EntryKind::Packet(packet) => match &packet.fate {
                PacketFate::Dropped { code, why, clause } => {
                    let (from, to) = (packet.source, packet.destination);
                    (*code, format!("drops {from} → {to}: {why}"), *clause)
                }
                _ => continue,
            },
            _ => continue,
        };
        if let Some(clause) = clause
            && !is_detail(clause)
            && !codes.contains(&code)
        {
            codes.push(code);
            let text = format!("{what} [{clause}]");
            decisions.push(Decision { at: entry.at.to_string(), actor: entry.actor.to_string(), text });
        }
    }
    decisions
}

/// Whether a note with this clause is about one packet.
fn is_detail(clause: Clause) -> bool {
    clause.rfc == 8489 || clause.rfc == 8656 && clause.section == "9"
}

fn is_peer(actor: &str) -> bool {
    Side::BOTH.iter().any(|side| side.name() == actor)
}
