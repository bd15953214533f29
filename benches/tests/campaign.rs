//! A small campaign with consecutive seeds.

use portolan_benches::campaign::{Campaign, Kind, LOSSES, Row};
use portolan_benches::situations::Situation;

/// The seeds of each kind at each loss: 4,800 networks in all.
const SEEDS: u64 = 100;

#[test]
fn no_result_is_wrong_and_few_are_unknown() {
    for loss in LOSSES {
        let mut all = Row::default();
        for kind in Kind::ALL {
            let row = Campaign { seeds: 0..SEEDS, loss }.run(kind);
            assert_eq!(row.wrong, 0, "{kind} at {loss}");
            all.add(&row);
        }
        assert_eq!(all.runs, 1_200);
        assert!(f64::from(all.unknown) <= 0.01 * f64::from(all.runs), "{} unknown at {loss}", all.unknown);
        let spread = 4.0 * (loss * (1.0 - loss) / all.packets as f64).sqrt();
        assert!((all.measured_loss() - loss).abs() <= spread, "{} instead of {loss}", all.measured_loss());
    }
}

#[test]
fn no_situation_gives_a_wrong_result_or_blames_without_proof() {
    for situation in Situation::all() {
        let row = situation.run(0..2);
        let expected = situation.expected_wrong(row.runs);
        assert_eq!(row.blames, 0, "{situation}: {row:?}");
        assert!(f64::from(row.wrong) <= expected + 4.0 * expected.sqrt(), "{situation}: {row:?}");
    }
}

#[test]
fn a_campaign_counts_wrong_results() {
    // All results of one kind are wrong for another kind. Otherwise the first test could not fail.
    let row = Campaign { seeds: 0..20, loss: 0.0 }.run_judged_as(Kind::ALL[2], Kind::ALL[0]);
    assert_eq!(row.wrong, 20);
}
