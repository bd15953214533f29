//! Each note of this crate has a unique code, which `docs/notes.md` lists.

mod notes;

use super::*;
use core::net::{Ipv4Addr, SocketAddrV4};
use notes::table;

const HERE: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 1), 3478));

#[test]
fn every_note_has_a_code_of_its_own_and_docs_notes_md_lists_it() {
    use AuditNote as N;
    let samples = [
        N::Asking { probe: Probe::Control, to: HERE },
        N::Heard { probe: Some(Probe::Control), from: HERE, length: 20 },
        N::Heard { probe: None, from: HERE, length: 20 },
        N::Attacking { attack: TurnAttack::Padding, to: HERE },
    ];
    let patterns = table!(
        AuditNote,
        samples,
        [N::Asking { .. }, N::Heard { probe: Some(_), .. }, N::Heard { probe: None, .. }, N::Attacking { .. }]
    );
    notes::assert_documented("audit", &[patterns]);
}
