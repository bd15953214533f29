use super::*;
use clap::Parser;
use portolan_nat::profile::{Conclusion, Unknown};

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    args: LabNatArgs,
}

fn args(line: &str) -> LabNatArgs {
    Line::try_parse_from(["portolan"].into_iter().chain(line.split_whitespace())).unwrap().args
}

#[test]
fn loss_is_a_share_in_percent() {
    assert_eq!(percent("2.5"), Ok(2.5));
    assert!(percent("NaN").is_err());
}

fn verdict(line: &str) -> Option<bool> {
    let (data, _) = simulate(&args(line)).unwrap();
    data.simulation.unwrap().is_right
}

#[test]
fn the_result_for_each_preset_is_its_topology() {
    for preset in Preset::ALL {
        assert_eq!(verdict(&format!("--preset {preset}")), Some(true), "{preset}");
    }
}

#[test]
fn the_result_for_each_kind_of_nat_is_its_topology() {
    for mapping in Mapping::ALL {
        for filtering in Filtering::ALL {
            assert_eq!(verdict(&format!("--mapping {mapping} --filtering {filtering} --seed 3")), Some(true));
        }
    }
}

#[test]
fn a_wrong_result_and_a_missing_result_are_distinguished() {
    let strict = topology(&args("--mapping apdm"));
    let (data, _) = simulate(&args("--preset home")).unwrap();
    assert_eq!(is_correct(&strict, &data.report), Some(false));
    let mut doubtful = data.report;
    doubtful.families[0].filtering = Conclusion::unknown(Unknown::HighLoss, vec![]);
    assert_eq!(is_correct(&topology(&args("--preset home")), &doubtful), None);
    let (data, _) = simulate(&args("--preset blocked")).unwrap();
    assert_eq!(is_correct(&strict, &data.report), Some(false));
}

#[test]
fn a_seed_gives_the_same_run_again() {
    let line = "--mapping apdm --loss 20 --seed 11 --explain";
    let run = || simulate(&args(line)).unwrap().0;
    let (one, two) = (run(), run());
    assert_eq!(one.story, two.story);
    assert_eq!(json::report(&one), json::report(&two));
    assert!(one.story.iter().any(|line| line.contains("RFC 5780")), "the story cites its rules");
    assert_ne!(one.story, simulate(&args(&line.replace("11", "12"))).unwrap().0.story);
}
