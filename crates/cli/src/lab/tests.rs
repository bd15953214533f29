use super::*;
use crate::args::{Cli, Command as Subcommand, Lab};
use clap::{Parser, ValueEnum};

fn args(line: &str) -> LabNatArgs {
    match Cli::try_parse_from(["portolan", "lab", "nat"].into_iter().chain(line.split_whitespace())).unwrap().command {
        Subcommand::Lab(Lab::Nat(args)) => args,
        Subcommand::Nat(_) | Subcommand::Serve(_) => unreachable!("the subcommand is lab"),
    }
}

fn verdict(line: &str) -> Option<bool> {
    let (telling, _) = simulate(&args(line)).unwrap();
    telling.simulation.unwrap().is_right
}

#[test]
fn what_is_found_in_each_preset_is_what_was_built() {
    for preset in Preset::value_variants() {
        let name = preset.to_possible_value().unwrap();
        assert_eq!(verdict(&format!("--preset {}", name.get_name())), Some(true), "{preset:?}");
    }
}

#[test]
fn what_is_found_of_each_kind_is_what_was_built() {
    for mapping in Mapping::ALL {
        for filtering in Filtering::ALL {
            assert_eq!(verdict(&format!("--mapping {mapping} --filtering {filtering} --seed 3")), Some(true));
        }
    }
}

#[test]
fn a_wrong_or_missing_finding_is_told_apart() {
    let strict = World::of(&args("--mapping apdm"));
    let (telling, _) = simulate(&args("--preset home")).unwrap();
    let home = &telling.report.families[0];
    assert_eq!(strict.agrees(home), Some(false));
    let (telling, _) = simulate(&args("--loss 100")).unwrap();
    assert_eq!(World::of(&args("")).agrees(&telling.report.families[0]), None);
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
