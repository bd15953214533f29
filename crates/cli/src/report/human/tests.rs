use super::*;
use crate::report::{Comparison, Simulation, sample};
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
fn without_colours(report_data: &ReportData, explain: Option<ExplainLevel>) -> String {
    anstream::adapter::strip_str(&report(report_data, explain)).to_string()
}

#[test]
fn the_report_has_the_facts_the_confidence_and_the_sentence() {
    assert_eq!(without_colours(&report_data(sample::home()), None), include_str!("home.txt"));
}

#[test]
fn explain_adds_the_evidence_and_the_notes() {
    assert_eq!(
        without_colours(&report_data(sample::home()), Some(ExplainLevel::Packets)),
        include_str!("home-explained.txt")
    );
}

#[test]
fn each_family_has_its_sentence() {
    let mut both = sample::home();
    both.families.extend(sample::offline().families.pop());
    let text = without_colours(&report_data(both), None);
    let lines: Vec<&str> = text.lines().collect();
    let [.., four, six] = lines.as_slice() else { panic!("{text}") };
    assert!(four.starts_with("IPv4: Your router keeps one public port"), "{text}");
    assert_eq!(*six, "IPv6: offline: no socket could be opened (no route). This family cannot be used.");
    assert!(text.contains("\nIPv6\n    unavailable no socket: no route\n"), "{text}");
}

#[test]
fn a_blocked_and_a_simulated_network_are_named() {
    let text = without_colours(&report_data(sample::blocked()), Some(ExplainLevel::Packets));
    assert!(
        text.contains("    UDP         blocked\n") && text.contains("- TCP to 198.51.100.10:443 connects\n"),
        "{text}"
    );
    let mut simulated = report_data(sample::home());
    for (comparison, sentence) in [
        (Comparison::Right, "The result is correct.\n"),
        (Comparison::Wrong, "The result is WRONG; unless the loss explains it, please report the seed.\n"),
        (Comparison::Incomplete, "Some results are unknown; all others are correct.\n"),
        (Comparison::HiddenNat, "The second NAT cannot be seen from inside.\n"),
    ] {
        simulated.simulation = Some(Simulation { description: "A small network.".to_owned(), comparison });
        let text = without_colours(&simulated, None);
        assert!(text.starts_with("A small network.\n\nIPv4\n") && text.ends_with(sentence), "{text}");
        assert!(text.contains("\nMeasured in 853 ms of simulated time.\n"), "{text}");
    }
}

#[test]
fn the_sentence_is_last_at_each_level_of_explanation() {
    let data = report_data(sample::home());
    for explain in [None, Some(ExplainLevel::Steps), Some(ExplainLevel::Packets)] {
        let text = without_colours(&data, explain);
        let last = text.lines().last().unwrap();
        assert!(last.starts_with("Your router keeps one public port per socket and lets only"), "{text}");
        assert_eq!(text.contains("What happened\n"), explain == Some(ExplainLevel::Packets));
        assert_eq!(text.contains(" 1 Which address does a server see? [RFC"), explain == Some(ExplainLevel::Steps));
        assert_eq!(text.contains("Confidence and evidence"), explain.is_some());
    }
}

#[test]
fn a_server_that_is_not_public_has_a_vantage_and_no_classic_name() {
    for (address, vantage) in [("127.0.0.1:3478", "loopback"), ("10.0.0.1:3478", "private")] {
        let mut report = sample::home();
        report.families[0].servers.iter_mut().for_each(|server| server.address = address.parse().unwrap());
        for explain in [None, Some(ExplainLevel::Steps), Some(ExplainLevel::Packets)] {
            let text = without_colours(&report_data(report.clone()), explain);
            assert!(text.contains(&format!("    vantage     {vantage}, not the Internet\n")), "{text}");
            assert!(!text.contains("classic") && !text.contains("port-restricted"), "{text}");
        }
    }
}

#[test]
fn the_text_has_colours() {
    assert!(report(&report_data(sample::home()), None).contains("\u{1b}["));
}

#[test]
fn lifetimes_come_with_a_recommended_keepalive() {
    let mut data = report_data(sample::home());
    data.lifetime = Some(sample::lifetime());
    let text = without_colours(&data, None);
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
