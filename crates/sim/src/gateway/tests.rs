//! Every note of this crate has a unique code, and `docs/notes.md` lists it.

mod notes;

use super::{DropCause, DropReason};
use notes::table;

#[test]
fn every_note_has_a_code_of_its_own_and_docs_notes_md_lists_it() {
    let samples = [
        DropCause::Translator(DropReason::NoMapping),
        DropCause::Translator(DropReason::Filtered),
        DropCause::Translator(DropReason::TableFull),
        DropCause::Translator(DropReason::NoFreePort),
        DropCause::Translator(DropReason::NoExternalAddress),
        DropCause::Translator(DropReason::NoHairpin),
        DropCause::Translator(DropReason::FamilyMismatch),
        DropCause::Blocked { sends_icmp: true },
    ];
    let gateway = table!(DropCause, samples, [DropCause::Translator(_), DropCause::Blocked { .. }]);
    notes::assert_documented("sim", &[gateway]);
}
