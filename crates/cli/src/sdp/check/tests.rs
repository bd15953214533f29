use super::*;

fn checked(text: &[u8], strict: bool) -> (String, Exit) {
    let found = Findings::of(text, strict);
    (human(&Source::of(Some("x.sdp".as_ref())), text, &found, 1_000), found.exit())
}

const HEAD: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\n";

#[test]
fn a_finding_has_its_place_line_caret_rule_and_hint() {
    let text = format!("{HEAD}m=audio 9 RTP/AVP 0\r\nb=AS:5x0\r\na=rtcp-mux:yes\r\na=mid:\r\n");
    let (out, exit) = checked(text.as_bytes(), false);
    assert_eq!(exit, Exit::Negative);
    for part in [
        "x.sdp:6:7: deviation: b= expected the end of the value, found 'x' (RFC 8866 §5.8)\n  |\n6 | b=AS:5x0\n  |       ^\n",
        "x.sdp:7:12: deviation: a= expected no value, found 'y' (RFC 5761 §5.1.3)\n  |\n7 | a=rtcp-mux:yes\n  |            ^\n  = hint: write the value as the section requires, for example a=rtcp-mux\n",
        "x.sdp: 3 deviations, 1 remark\n",
    ] {
        assert!(out.contains(part), "{out}");
    }
}

#[test]
fn clean_deviating_and_unreadable_descriptions_are_distinguished() {
    assert_eq!(checked(HEAD.as_bytes(), true), ("x.sdp: clean\n".to_owned(), Exit::Success));
    let (out, exit) = checked(HEAD.replace("\r\n", "\n").as_bytes(), true);
    assert!(out.ends_with("x.sdp: clean, 1 remark\n"), "{out}");
    assert_eq!(exit, Exit::Success);
    let (out, exit) = checked(b"hello\nworld\n", false);
    assert!(out.starts_with("x.sdp:1:1: error: this is no session description"), "{out}");
    assert_eq!(exit, Exit::CouldNotRun);
    assert_eq!(checked(b"", false).1, Exit::CouldNotRun);
}

#[test]
fn a_long_line_is_cut_around_the_place_and_its_control_characters_are_escaped() {
    let text = format!("{HEAD}c=IN IP4 192.0.2.1 {}\u{1b}[2Jé{}\r\n", "x".repeat(40), "y".repeat(1 << 20));
    let (out, _) = checked(text.as_bytes(), false);
    assert!(out.len() < 1000 && !out.contains('\u{1b}'), "{out}");
}

#[test]
fn findings_beyond_the_limit_are_counted() {
    let text = format!("{HEAD}{}", "a=rtcp-mux:1\r\n".repeat(3_000));
    let found = Findings::of(text.as_bytes(), false);
    // The value, the repetition and the level of each line count.
    assert_eq!((found.list.len(), found.hidden), (1_000, 2_000 + 2_999 + 3_000));
    // Remarks fill all the room, and a deviation comes after them.
    let text = format!("{HEAD}{}a=rtcp-mux:1\r\n", "m=audio 9 RTP/AVP 0\r\n".repeat(1_500));
    let found = Findings::of(text.as_bytes(), false);
    let deviations = found.count(|severity| severity == Severity::Deviation);
    assert_eq!((deviations, found.hidden, found.exit()), (0, 501, Exit::Negative));
    let text = format!("{HEAD}{}x=1\r\n", "m=audio 9 RTP/AVP 0\r\n".repeat(1_500));
    assert_eq!(Findings::of(text.as_bytes(), false).exit(), Exit::Negative);
    let text = format!("{HEAD}{}", "m=audio 9 RTP/AVP 0\r\n".repeat(1_500));
    assert_eq!(Findings::of(text.as_bytes(), false).exit(), Exit::Success);
}

#[test]
fn each_deviation_of_a_candidate_is_reported_at_its_place() {
    let text =
        format!("{HEAD}m=audio 9 RTP/AVP 0\r\nc=IN IP4 0.0.0.0\r\na=candidate:1 0 tcp 7 192.0.2.1 9 typ srflx\r\n");
    let (out, exit) = checked(text.as_bytes(), false);
    assert_eq!(exit, Exit::Negative);
    for part in [
        "x.sdp:7:15: deviation: a= expected a component, 1 to 256, found '0' (RFC 8839 §5.1)\n  |\n7 | a=candidate:1 0 tcp",
        "x.sdp:7:44: deviation: a= expected raddr and rport, found the end (RFC 8839 §5.1)\n",
        "x.sdp:7:44: deviation: a= expected tcptype, found the end (RFC 6544 §4.5)\n",
        "x.sdp:7:1: deviation: m-line 0: candidates without a=ice-ufrag and a=ice-pwd: a=candidate (RFC 8839 §5.4)\n",
        "x.sdp: 4 deviations\n",
    ] {
        assert!(out.contains(part), "{out}");
    }
}

#[test]
fn what_lines_say_together_is_checked_and_a_warning_fails_only_with_strict() {
    let text = format!("{HEAD}m=audio 9 RTP/AVP 0\r\nc=IN IP4 0.0.0.0\r\na=mid:x\r\na=sendonly\r\na=recvonly\r\n");
    let (out, exit) = checked(text.as_bytes(), false);
    assert_eq!(
        out,
        "x.sdp:9:1: deviation: mid x: a second direction: a=recvonly (the other one: line 8) (RFC 8866 §6.7)\n  |\n9 | \
         a=recvonly\n  | ^^^^^^^^^^\n  = hint: keep one of sendrecv, sendonly, recvonly and inactive; readers use the first \
         one\n\nx.sdp: 1 deviation\n"
    );
    assert_eq!(exit, Exit::Negative);
    let found = Findings::of(text.as_bytes(), false);
    let report: serde_json::Value = serde_json::from_str(&json(&Source::of(None), &found)).expect("JSON");
    let finding = &report["findings"][0];
    assert_eq!(
        (&finding["rule"], &finding["mid"], &finding["length"]),
        (&"repeated-direction".into(), &"x".into(), &10.into())
    );
    let offset = usize::try_from(finding["offset"].as_u64().expect("a number")).expect("small");
    assert!(text.get(offset..).expect("in the text").starts_with("a=recvonly"));

    let warned = format!("{HEAD}m=audio 9 RTP/AVP 0 0\r\nc=IN IP4 0.0.0.0\r\n");
    let (out, exit) = checked(warned.as_bytes(), false);
    assert!(
        out.starts_with("x.sdp:5:21: warning: m-line 0: a format that m= lists twice: 0 (RFC 8866 §5.14)\n"),
        "{out}"
    );
    assert!(out.ends_with("x.sdp: 1 warning\n"), "{out}");
    assert_eq!((exit, checked(warned.as_bytes(), true).1), (Exit::Success, Exit::Negative));
    assert!(!Findings::of(warned.as_bytes(), false).is_clean());
    // A warning for which there is no room.
    let full = format!("{HEAD}{}m=audio 9 RTP/AVP 0 0\r\n", "m=audio 9 RTP/AVP 0\r\n".repeat(1_500));
    let exits = [false, true].map(|strict| Findings::of(full.as_bytes(), strict).exit());
    assert_eq!(exits, [Exit::Success, Exit::Negative]);
}

/// A camera wrote this `m=` and this `c=`.
#[test]
fn an_address_and_a_port_that_are_neither_are_both_found() {
    let text = b"v=0\r\no=- 1 1 IN IP4 192.0.2.5\r\ns=cam\r\nt=0 0\r\nm=video -1353744643 RTP/AVP 96\r\n\
                 c=IN IP4 '&\xb0\xff\r\na=rtpmap:96 H264/90000\r\n";
    let (out, exit) = checked(text, false);
    assert!(out.contains("x.sdp:5:9: deviation: m= expected a port"), "{out}");
    assert!(out.contains("x.sdp:6:10: deviation: c= expected an IPv4 address or a domain name"), "{out}");
    assert_eq!(exit, Exit::Negative);
}

/// If a collection of descriptions is beside the checkout: descriptions of real browsers are clean.
#[test]
fn descriptions_of_browsers_are_clean() {
    let Some(all) = std::env::var_os("PORTOLAN_CORPUS") else { return };
    let folder = std::path::Path::new(&all).join("browser");
    let mut looked_at = 0;
    for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.extension().is_none_or(|extension| extension != "sdp") {
            continue;
        }
        let text = std::fs::read(&path).expect("a file of the collection");
        let (out, exit) = checked(&text, false);
        assert_eq!(exit, Exit::Success, "{}: {out}", path.display());
        looked_at += 1;
    }
    assert!(looked_at > 0, "{} has none", folder.display());
}

/// Texts with long messages, hints, and lines of SDP with an error at the start, in the middle and at the end.
#[test]
fn findings_fit_the_width_and_carets_stay_below_the_error() {
    let long = "x".repeat(150);
    let text = format!(
        "{HEAD}m=audio 9 RTP/AVP 0\r\nb=AS:5x0\r\na=maxptime:nine {long}\r\na=rtpmap:0 PCMU/8000{long}\r\n\
         a=candidate:1 1 udp 2130706431 192.0.2.1 50000 typ host generation 0 network-cost\r\na=mid:\r\n"
    );
    let found = Findings::of(text.as_bytes(), false);
    let source = Source::of(Some("x.sdp".as_ref()));
    let marked = |out: &str| -> Vec<String> {
        let lines: Vec<&str> = out.lines().collect();
        let under = |pair: &[&str]| {
            let at = pair[1].find('^').filter(|_| pair[1].contains(" | "))?;
            pair[0].chars().nth(at).map(String::from).or(Some("end".to_owned()))
        };
        lines.windows(2).filter_map(under).collect()
    };
    let words = |out: &str| out.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let prose = |out: &str| words(&out.lines().filter(|line| !line.contains(" | ")).collect::<Vec<_>>().join("\n"));
    let wide = human(&source, text.as_bytes(), &found, 1_000);
    assert!(marked(&wide).len() >= 4, "{wide}");
    for width in [40, 80, 100] {
        let out = human(&source, text.as_bytes(), &found, width);
        assert_eq!(marked(&out), marked(&wide), "{width}:\n{out}");
        assert_eq!(prose(&out), prose(&wide), "{width}:\n{out}");
        let is_long = |line: &&str| line.chars().count() > width && line.split_whitespace().count() > 1;
        assert_eq!(out.lines().find(is_long), None, "{out}");
    }
}
