use super::*;
use crate::report::{Simulation, sample};
use portolan_nat::profile::Report;

fn report_data(report: Report) -> ReportData {
    ReportData {
        report,
        servers: vec!["stun.example.org:3478".into(), "198.51.100.20:3478".into()],
        simulation: None,
        lifetime: None,
        story: vec!["0.000s request to 198.51.100.10:3478: mapping test [RFC 5780 §4.3]".to_owned()],
    }
}

/// Returns the text without colours.
fn without_colours(report_data: &ReportData, explain: bool) -> String {
    anstream::adapter::strip_str(&report(report_data, explain)).to_string()
}

#[test]
fn the_report_has_the_sentence_the_facts_and_the_confidence() {
    assert_eq!(without_colours(&report_data(sample::home()), false), include_str!("home.txt"));
}

#[test]
fn explain_adds_the_evidence_and_the_notes() {
    assert_eq!(without_colours(&report_data(sample::home()), true), include_str!("home-explained.txt"));
}

#[test]
fn each_family_has_its_sentence() {
    let mut both = sample::home();
    both.families.extend(sample::offline().families.pop());
    let text = without_colours(&report_data(both), false);
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("IPv4: Your router keeps one public port"), "{text}");
    assert_eq!(lines[1], "IPv6: offline: no socket could be opened (no route). This family cannot be used.");
    assert!(text.contains("\nIPv6\n    unavailable no socket: no route\n"), "{text}");
}

#[test]
fn a_blocked_and_a_simulated_network_are_named() {
    let text = without_colours(&report_data(sample::blocked()), true);
    assert!(
        text.contains("    UDP         blocked\n") && text.contains("- TCP to 198.51.100.10:443 connects\n"),
        "{text}"
    );
    let mut simulated = report_data(sample::home());
    for (is_right, sentence) in [
        (Some(true), "The result is correct.\n"),
        (Some(false), "The result is WRONG; unless the loss explains it, please report the seed.\n"),
        (None, "Some results are unknown; all others are correct.\n"),
    ] {
        simulated.simulation = Some(Simulation { description: "A small world.".to_owned(), is_right });
        let text = without_colours(&simulated, false);
        assert!(text.contains(&format!("\nA small world.\n{sentence}")), "{text}");
        assert!(text.ends_with("Measured in 853 ms of simulated time.\n"));
    }
}

#[test]
fn the_text_has_colours() {
    assert!(report(&report_data(sample::home()), false).contains("\u{1b}["));
}

#[test]
fn lifetimes_come_with_a_recommended_keepalive() {
    let mut data = report_data(sample::home());
    data.lifetime = Some(sample::lifetime());
    let text = without_colours(&data, false);
    let (_, section) = text.split_once("\nHow long mappings live").expect("the section exists");
    for line in [
        " (IPv4, measured with 198.51.100.10:3478)\n",
        "    answered    between 115 and 121 s\n",
        "    unanswered  between 25 and 31 s\n",
        "    in any case no limit within 185 s\n",
        "    outbound    refreshes\n",
        "    inbound     unknown (too many packets were lost)\n",
        "    keepalive   send something every 57 s\n",
    ] {
        assert!(section.contains(line), "{line:?} is not in {section}");
    }
}
