//! Every note of this crate has a code of its own, and `docs/notes.md` lists it.

#[path = "../../../machine/tests/support/notes.rs"]
mod notes;

use super::{DropReason, Fall};
use notes::table;

#[test]
fn every_note_has_a_code_of_its_own_and_docs_notes_md_lists_it() {
    let samples = [
        Fall::Translator(DropReason::NoMapping),
        Fall::Translator(DropReason::Filtered),
        Fall::Translator(DropReason::TableFull),
        Fall::Translator(DropReason::NoFreePort),
        Fall::Translator(DropReason::NoExternalAddress),
        Fall::Translator(DropReason::NoHairpin),
        Fall::Translator(DropReason::FamilyMismatch),
        Fall::Blocked { tells: true },
    ];
    let gateway = table!(Fall, samples, [Fall::Translator(_), Fall::Blocked { .. }]);
    notes::assert_documented("sim", &[gateway]);
}
