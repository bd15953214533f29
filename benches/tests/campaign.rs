//! A small campaign in every test run: seeds from 0 on, never chosen.

use portolan_benches::campaign::{Campaign, Kind, LOSSES, Row};

/// Seeds a cell: with twelve kinds and four losses some thousand networks.
const SEEDS: u64 = 100;

#[test]
fn no_verdict_is_wrong_and_few_are_missing() {
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
fn a_campaign_can_tell_right_from_wrong() {
    // The networks of one kind judged as another must all be wrong: otherwise the count above could not fail.
    let row = Campaign { seeds: 0..20, loss: 0.0 }.run_judged_as(Kind::ALL[2], Kind::ALL[0]);
    assert_eq!(row.wrong, 20);
}
