use super::*;
use crate::report::{Simulation, sample};
use portolan_nat::profile::Report;

fn telling(report: Report) -> Telling {
    Telling {
        report,
        servers: vec!["stun.example.org:3478".into(), "198.51.100.20:3478".into()],
        simulation: None,
        lifetime: None,
        story: vec!["0.000s asks 198.51.100.10:3478: where do you see me? [RFC 5780 §4.3]".to_owned()],
    }
}

/// What is seen where nobody sees colours.
fn plainly(telling: &Telling, explain: bool) -> String {
    anstream::adapter::strip_str(&report(telling, explain)).to_string()
}

#[test]
fn the_sentence_comes_first_then_the_facts_then_how_sure() {
    assert_eq!(plainly(&telling(sample::home()), false), include_str!("home.txt"));
}

#[test]
fn with_explain_the_evidence_and_the_story_follow() {
    assert_eq!(plainly(&telling(sample::home()), true), include_str!("home-explained.txt"));
}

#[test]
fn both_families_are_told_each_with_its_sentence() {
    let mut both = sample::home();
    both.families.extend(sample::offline().families.pop());
    let text = plainly(&telling(both), false);
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("IPv4: Your router keeps one public port"), "{text}");
    assert_eq!(lines[1], "IPv6: offline: there is no way out (no route). Nothing can be reached over it.");
    assert!(text.contains("\nIPv6\n    no way out  no socket: no route\n"), "{text}");
}

#[test]
fn blocked_and_simulated_networks_say_so() {
    let text = plainly(&telling(sample::blocked()), true);
    assert!(
        text.contains("    UDP         blocked\n") && text.contains("- TCP to 198.51.100.10:443 connects\n"),
        "{text}"
    );
    let mut simulated = telling(sample::home());
    for (is_right, told) in [
        (Some(true), "What was found is what was built.\n"),
        (Some(false), "What was found is NOT what was built; unless the loss explains it, please report this seed.\n"),
        (None, "Not everything could be found out; what was found is what was built.\n"),
    ] {
        simulated.simulation = Some(Simulation { scene: "A small world.".to_owned(), is_right });
        let text = plainly(&simulated, false);
        assert!(text.contains(&format!("\nA small world.\n{told}")), "{text}");
        assert!(text.ends_with("Found out in 853 ms of simulated time.\n"));
    }
}

#[test]
fn colours_are_there_for_those_who_see_them() {
    assert!(report(&telling(sample::home()), false).contains("\u{1b}["));
}

#[test]
fn lifetimes_are_told_with_what_to_do_about_them() {
    let mut told = telling(sample::home());
    told.lifetime = Some(sample::lifetime());
    let text = plainly(&told, false);
    let (_, told) = text.split_once("\nHow long mappings live").expect("a chapter of its own");
    for line in [
        " (IPv4, measured with 198.51.100.10:3478)\n",
        "    answered    between 115 and 121 s\n",
        "    unanswered  between 25 and 31 s\n",
        "    in any case no end met in 185 s\n",
        "    outbound    refreshes\n",
        "    inbound     unknown (too many packets were lost)\n",
        "    keepalive   send something every 57 s\n",
    ] {
        assert!(told.contains(line), "{line:?} is not in {told}");
    }
}
