//! Checks that every note of this crate has a unique code, and that `docs/notes.md` lists it.

mod notes;
mod server;

use super::client::tests::samples as client_samples;
use super::{ClientDropped, ClientNote};
use notes::{Table, table};

#[test]
fn every_note_has_a_code_of_its_own_and_docs_notes_md_lists_it() {
    notes::assert_documented("turn", &[client(), server::server()]);
}

fn client() -> Table {
    use ClientDropped as D;
    use ClientNote as N;
    let samples = client_samples();
    table!(
        ClientNote,
        samples,
        [
            N::Opening { .. },
            N::Allocated { .. },
            N::AttemptFailed { .. },
            N::PeerFailed { .. },
            N::Repeated { .. },
            N::Refreshed { .. },
            N::RefreshFailed { .. },
            N::MappedChanged { .. },
            N::Lost { .. },
            N::Reclaimed { .. },
            N::Redirected { .. },
            N::Releasing { .. },
            N::NotReleased { .. },
            N::Dropped { why: D::NotServer, .. },
            N::Dropped { why: D::Channel(_), .. },
            N::Dropped { why: D::Peer(_), .. },
            N::Dropped { why: D::Unexpected, .. },
            N::Dropped { why: D::QueueFull, .. },
        ]
    )
}
