//! The oracle: the forecast equals simulated punching for each pair of the nine kinds of NAT.

use super::world::{World, card, kinds, name};
use core::time::Duration;
use portolan_punch::forecast::{Conditions, Verdict, forecast};
use portolan_punch::puncher::{Failure, PunchEvent};

#[test]
fn the_forecast_equals_the_result_for_81_of_81_pairs() {
    let (mut agree, mut works) = (0, 0);
    let mut asymmetric = Vec::new();
    for a in kinds() {
        for b in kinds() {
            let found = forecast(&card(&a), &card(&b), &Conditions::default());
            // Without guessing, a pair that needs a guess does not connect.
            let expected = found.verdict == Verdict::Works;
            let pair = format!("{} × {}", name(&a), name(&b));
            let run = World::new([a, b]).run(1, Duration::from_secs(12));
            assert_eq!(run.is_connected(), expected, "{pair}: {found}\n{run:#?}");
            if !expected {
                for side in [0, 1] {
                    let last = run.events.iter().rfind(|(at, _)| *at == side).map(|(_, event)| event);
                    let why = match last {
                        Some(PunchEvent::Failed { why, forecast }) if *forecast == found.reason => *why,
                        other => panic!("{pair}: {other:?}"),
                    };
                    assert!(matches!(why, Failure::NoAnswer | Failure::OneWay), "{pair}: {why}");
                }
            }
            if found.is_asymmetric {
                asymmetric.push(pair);
            }
            agree += 1;
            works += usize::from(expected);
        }
    }
    assert_eq!((agree, works), (81, 45), "42 pairs work as ICE does, and three more are asymmetric");
    assert_eq!(asymmetric, ["APDM/EIF × APDM/EIF", "APDM/EIF × APDM/ADF", "APDM/ADF × APDM/EIF"]);
}
