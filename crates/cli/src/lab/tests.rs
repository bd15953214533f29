use super::*;
use clap::Parser;
use portolan_nat::profile::{Conclusion, Unknown};

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    args: LabNatArgs,
}

pub(super) fn args(line: &str) -> LabNatArgs {
    Line::try_parse_from(["portolan"].into_iter().chain(line.split_whitespace())).unwrap().args
}

#[test]
fn loss_is_a_share_in_percent() {
    assert_eq!(percent("2.5"), Ok(2.5));
    assert!(percent("NaN").is_err());
}

fn comparison(line: &str) -> Comparison {
    let (data, _) = simulate(&args(line)).unwrap();
    data.simulation.unwrap().comparison
}

#[test]
fn the_result_for_each_preset_is_its_topology_unless_a_nat_is_hidden() {
    for preset in Preset::ALL {
        let expected = if preset == Preset::Cgnat { Comparison::HiddenNat } else { Comparison::Right };
        assert_eq!(comparison(&format!("--preset {preset}")), expected, "{preset}");
    }
    for preset in [Preset::Home, Preset::Firewall, Preset::Open] {
        assert_eq!(comparison(&format!("--preset {preset} -4 -6")), Comparison::Right, "{preset}");
    }
}

#[test]
fn the_result_for_each_kind_of_nat_is_its_topology() {
    for mapping in Mapping::ALL {
        for filtering in Filtering::ALL {
            assert_eq!(comparison(&format!("--mapping {mapping} --filtering {filtering} --seed 3")), Comparison::Right);
        }
    }
}

#[test]
fn a_wrong_result_and_a_missing_result_are_distinguished() {
    let strict = topology(&args("--mapping apdm"));
    let home = topology(&args("--preset home"));
    let report = simulate(&args("--preset home")).unwrap().0.report;
    assert_eq!(compare(&strict, &report), Comparison::Wrong);
    let mut incomplete = report.clone();
    incomplete.families[0].filtering = Conclusion::unknown(Unknown::HighLoss, vec![]);
    assert_eq!(compare(&home, &incomplete), Comparison::Incomplete);
    let blocked = simulate(&args("--preset blocked")).unwrap().0.report;
    assert_eq!(compare(&strict, &blocked), Comparison::Wrong);
}

#[test]
fn a_second_nat_counts_as_found_only_if_the_report_names_it() {
    let chain = |nats: usize| Topology::chain(vec![Barrier::from(TranslatorConfig::home()); nats]);
    let mut report = simulate(&args("--preset home")).unwrap().0.report;
    for (nats, found, expected) in [
        (1, None, Comparison::Right),
        (1, Some(false), Comparison::Right),
        (1, Some(true), Comparison::Wrong),
        (2, None, Comparison::HiddenNat),
        (2, Some(false), Comparison::Wrong),
        (2, Some(true), Comparison::Right),
        (3, None, Comparison::HiddenNat),
    ] {
        report.families[0].details.double_nat = match found {
            Some(two) => Conclusion::value_with(two, 0.0, vec![]),
            None => Conclusion::unknown(Unknown::NoEvidence, vec![]),
        };
        assert_eq!(compare(&chain(nats), &report), expected, "{nats} {found:?}");
    }
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
