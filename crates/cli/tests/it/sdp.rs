//! `portolan sdp …` needs no network.

use crate::binary::portolan;
use crate::process::Finished;
use crate::{WIDE, assert_refused, run_at_width, run_with_input, run_with_input_at_width};
use serde_json::Value;
use std::io::Write;
use std::path::PathBuf;
use std::process::Stdio;

/// An offer like that of a browser: audio, two video sections of which one is invalid, data.
const OFFER: &str = include_str!("sdp/offer.sdp");

/// `{"type":"offer","sdp":"v=0\\r\\n…"}` in base64: audio without encryption.
const BASE64: &str = "\
    eyJ0eXBlIjoib2ZmZXIiLCJzZHAiOiJ2PTBcclxubz0tIDEgMSBJTiBJUDQgMTkyLjAuMi4xXHJcbnM9LVxyXG50PT\
    AgMFxyXG5tPWF1ZGlvIDkgUlRQL0FWUCAwXHJcbmM9SU4gSVA0IDE5Mi4wLjIuMVxyXG4ifQ==\
";

fn run(arguments: &[&str]) -> Finished {
    run_at_width(arguments, WIDE)
}

/// Creates a folder for each test.
fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("portolan-sdp-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a new folder");
    folder
}

/// Returns exactly the bytes of standard output.
fn filtered(arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let mut command = portolan(arguments).expect("no server");
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut child = child.expect("the binary starts");
    child.stdin.take().expect("piped").write_all(input).expect("the process reads its input");
    let output = child.wait_with_output().expect("the process ends");
    assert_eq!(output.status.code(), Some(0));
    output.stdout
}

#[test]
fn explain_prints_the_meaning_of_each_line_and_marks_invalid_lines() {
    let finished = run_with_input(&["sdp", "explain"], OFFER.as_bytes());
    assert_eq!((finished.code, finished.stderr.as_str()), (Some(1), ""), "{finished:?}");
    assert_eq!(finished.stdout, include_str!("sdp/explained.txt"));
    let finished = run_with_input(&["sdp", "explain", "--format", "json", "-"], OFFER.as_bytes());
    let report: Value = serde_json::from_str(&finished.stdout).expect("JSON");
    let lines = report["lines"].as_array().expect("a list");
    assert_eq!((&report["schema"], lines.len()), (&"portolan.sdp.explain/1".into(), OFFER.lines().count()));
    let wrong: Vec<&Value> = lines.iter().filter(|line| line["wrong"] == true).collect();
    assert_eq!(wrong.len(), 1);
    assert_eq!((&wrong[0]["media"], &wrong[0]["column"]), (&1.into(), &12.into()));
    assert_eq!(run_with_input(&["sdp", "explain"], OFFER.replace(":nine", ":9").as_bytes()).code, Some(0));
}

#[test]
fn a_description_in_a_wrapping_is_taken_out_of_it_and_standard_error_says_so() {
    let offer = OFFER.replace(":nine", ":9");
    let json = serde_json::json!({"type": "offer", "sdp": offer}).to_string();
    let utf16: Vec<u8> = format!("\u{feff}{offer}").encode_utf16().flat_map(u16::to_le_bytes).collect();
    let quoted: String = offer.lines().map(|line| format!("> {line}\n")).collect();
    let url: String = offer.bytes().map(|byte| format!("%{byte:02X}")).collect();
    for (input, step) in [
        (json.clone().into_bytes(), "took the description out of a string"),
        (utf16, "converted UTF-16 to UTF-8"),
        (url.clone().into_bytes(), "decoded percent-encoding (URL)"),
        (format!("type=offer&sdp={url}").into_bytes(), "decoded percent-encoding (URL)"),
        (quoted.into_bytes(), "removed the start of each line before the description"),
    ] {
        for command in ["explain", "check", "json", "scrub", "answer"] {
            let finished = run_with_input(&["sdp", command], &input);
            assert_eq!(finished.code, Some(0), "{command}: {finished:?}");
            let line = format!("portolan: <stdin>: {step}; line numbers count from the v= line\n");
            assert!(finished.stderr.starts_with(&line), "{command}: {finished:?}");
        }
    }
    let folder = folder("wrapped");
    let (wrapped, clean) = (folder.join("wrapped.json"), folder.join("clean.sdp"));
    std::fs::write(&wrapped, &json).and_then(|()| std::fs::write(&clean, &offer)).expect("new files");
    let (wrapped, clean) = (wrapped.display().to_string(), clean.display().to_string());
    assert_eq!(run(&["sdp", "diff", &wrapped, &clean]).code, Some(0));
    assert_eq!(run(&["sdp", "validate", &wrapped, &clean]).stderr.lines().count(), 1);
    std::fs::remove_dir_all(folder).expect("the folder exists");

    let other = offer.replace("v=0\r\no=- ", "v=0\r\no=- 9");
    let both = serde_json::json!([{"sdp": offer}, {"sdp": other}]).to_string();
    assert_refused(
        &run_with_input(&["sdp", "check"], both.as_bytes()),
        &["<stdin>: 2 different descriptions, at 1:10, 1:"],
    );
    let finished = run_with_input(&["sdp", "check"], BASE64.as_bytes());
    let line = "portolan: <stdin>: decoded base64; took the description out of a string; line numbers count from the v= line\n";
    assert_eq!((finished.code, finished.stderr.as_str()), (Some(0), line), "{finished:?}");
    assert_refused(
        &run_with_input(&["sdp", "check"], BASE64.replacen("OiJ", "O!J", 1).as_bytes()),
        &["<stdin>: 1:30: damaged base64: '!'"],
    );
    // The conversion from JSON reads portolan.sdp/1 and nothing else.
    assert_refused(&run_with_input(&["sdp", "json", "--to-sdp"], json.as_bytes()), &["is not JSON of portolan.sdp/1"]);
}

#[test]
fn check_prints_like_a_compiler_and_sets_the_exit_code() {
    let file = folder("check").join("offer.sdp");
    std::fs::write(&file, OFFER).expect("a new file");
    let name = file.display().to_string();
    let finished = run(&["sdp", "check", &name]);
    assert_eq!((finished.code, finished.stderr.as_str()), (Some(1), ""), "{finished:?}");
    let number = OFFER.lines().position(|line| line.contains(":nine")).expect("the line exists") + 1;
    let expected = format!(
        "{name}:{number}:12: deviation: a= expected milliseconds, more than 0, found 'n' (RFC 8866 §6.5)\n   |\n{number} | \
         a=maxptime:nine\n   |            ^\n   = hint: "
    );
    assert!(finished.stdout.starts_with(&expected), "{finished:?}");
    assert!(finished.stdout.ends_with(&format!("{name}: 1 deviation\n")), "{finished:?}");

    let finished = run(&["sdp", "check", "--format", "json", &name]);
    let report: Value = serde_json::from_str(&finished.stdout).expect("JSON");
    assert_eq!((finished.code, &report["readable"], &report["clean"]), (Some(1), &true.into(), &false.into()));
    let finding = &report["findings"][0];
    assert_eq!((&finding["line"], &finding["rule"]), (&number.into(), &"value".into()));
    let offset = usize::try_from(finding["offset"].as_u64().expect("a number")).expect("small");
    assert_eq!(OFFER.as_bytes()[offset], b'n');
    std::fs::remove_dir_all(folder("check")).expect("the folder exists");

    let clean = OFFER.replace(":nine", ":9");
    assert_eq!(run_with_input(&["sdp", "check"], clean.as_bytes()).stdout, "<stdin>: clean\n");
    let broken = clean.replace("s=-", "s=").replace("t=0 0\r\n", "");
    let finished = run_with_input(&["sdp", "check"], broken.as_bytes());
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert!(finished.stdout.ends_with("<stdin>: 2 deviations\n"), "{finished:?}");
    let warned = clean.replace("a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid\r\n", "");
    assert_ne!(warned, clean);
    for (strict, code) in [(&[][..], 0), (&["--strict"], 1)] {
        let finished = run_with_input(&[&["sdp", "check"], strict].concat(), warned.as_bytes());
        assert_eq!(finished.code, Some(code), "{finished:?}");
        assert!(finished.stdout.ends_with("<stdin>: 2 warnings\n"), "{finished:?}");
    }
    let finished = run_with_input(&["sdp", "check"], b"GET / HTTP/1.1\r\n\r\n");
    assert_eq!(finished.code, Some(2), "{finished:?}");
    assert!(finished.stdout.starts_with("<stdin>:1:1: error: this is no session description"), "{finished:?}");
}

#[test]
fn json_round_trips_to_the_same_bytes() {
    for text in [OFFER.as_bytes(), b"v=0\ns=\xff\0\r\rstray\n\r\nm=x", b"v=0"] {
        let json = filtered(&["sdp", "json"], text);
        assert_eq!(filtered(&["sdp", "json", "--to-sdp"], &json), text, "{}", text.escape_ascii());
    }
    let json: Value = serde_json::from_slice(&filtered(&["sdp", "json"], OFFER.as_bytes())).expect("JSON");
    assert_eq!(json["media"][0]["lines"][2]["name"], "mid");
    let finished = run_with_input(&["sdp", "json", "--to-sdp"], OFFER.as_bytes());
    assert_refused(&finished, &["is not JSON of portolan.sdp/1", "line 1"]);
    let finished = run_with_input(&["sdp", "json"], b"nothing of the kind");
    assert_refused(&finished, &["<stdin>:1:1", "session description"]);
}

#[test]
fn diff_prints_changes_by_meaning() {
    let folder = folder("diff");
    let (was, is) = (folder.join("was.sdp"), folder.join("is.sdp"));
    let changed =
        OFFER.replace("a=sendrecv", "a=inactive").replace("SAVPF 96 97", "SAVPF 96").replace("1 IN IP4", "2 IN IP4");
    std::fs::write(&was, OFFER).expect("a new file");
    std::fs::write(&is, changed).expect("a new file");
    let (was, is) = (was.display().to_string(), is.display().to_string());
    let finished = run(&["sdp", "diff", &was, &is]);
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert_eq!(
        finished.stdout,
        "session: version 1 → 2\naudio (mid 0): direction sendrecv → inactive\nvideo (mid 1):\n  codec rtx (97) removed\n  \
         a=fmtp:97 apt=96 added\n  a=rtpmap:97 rtx/90000 added\n"
    );
    let report: Value =
        serde_json::from_str(&run(&["sdp", "diff", &was, &is, "--format", "json"]).stdout).expect("JSON");
    assert_eq!((&report["changes"][1]["what"], &report["changes"][1]["mid"]), (&"direction".into(), &"0".into()));
    let finished = run(&["sdp", "diff", &was, &was]);
    assert_eq!((finished.code, finished.stdout.as_str()), (Some(0), ""), "{finished:?}");
    assert_eq!(run_with_input(&["sdp", "diff", &was, "-"], OFFER.as_bytes()).code, Some(0));
    assert_refused(&run(&["sdp", "diff", "-", "-"]), &["only once"]);
    assert_refused(&run(&["sdp", "diff", &was, "/nowhere/to/be/found"]), &["cannot read /nowhere"]);
    std::fs::remove_dir_all(folder).expect("the folder exists");
}

#[test]
fn scrub_keeps_negotiated_values_and_removes_the_others() {
    let clean = OFFER.replace(":nine", ":9");
    let scrubbed = filtered(&["sdp", "scrub"], clean.as_bytes());
    let text = String::from_utf8(scrubbed.clone()).expect("UTF-8");
    for secret in ["10.44.55.66", "Zk3q", "kP8xT1", "19:E2:1C", "6f2c0d1e", "stream-of-jane"] {
        assert!(clean.contains(secret) && !text.contains(secret), "{secret}: {text}");
    }
    for kept in ["m=video 9 UDP/TLS/RTP/SAVPF 96 97", "a=rtpmap:96 VP8/90000", "raddr 192.0.2.1 rport 50000"] {
        assert!(text.contains(kept), "{kept}: {text}");
    }
    assert_eq!(run_with_input(&["sdp", "check"], &scrubbed).code, Some(0));
}

#[test]
fn scrub_lists_the_lines_that_are_replaced_as_a_whole_and_keeps_the_findings() {
    let camera = b"v=0\r\no=- 1 1 IN IP4 192.0.2.5\r\ns=cam\r\nt=0 0\r\nm=video -1353744643 RTP/AVP 96\r\nc=IN IP4 '&\xb5\xff\r\n\
        a=rtpmap:96 H264/90000\r\na=setup:of jane\r\n";
    let finished = run_with_input(&["sdp", "scrub"], camera);
    assert_eq!(finished.code, Some(0), "{finished:?}");
    // The port and the address are scrubbed word by word.
    assert_eq!(finished.stderr, "portolan: <stdin>:8: the line cannot be read and is replaced as a whole\n");
    assert!(finished.stdout.contains("m=video -1353744643 RTP/AVP 96\r\n"), "{finished:?}");
    assert!(!finished.stdout.contains("host-") && !finished.stdout.contains("jane"), "{finished:?}");
    let places = |input: &[u8]| -> Vec<(Value, Value)> {
        let finished = run_with_input(&["sdp", "check", "--format", "json"], input);
        let report: Value = serde_json::from_str(&finished.stdout).expect("JSON");
        let findings = report["findings"].as_array().expect("a list");
        findings.iter().map(|finding| (finding["line"].clone(), finding["rfc"].clone())).collect()
    };
    let scrubbed = filtered(&["sdp", "scrub"], camera);
    assert_eq!(places(&scrubbed), places(camera));
    assert_eq!(places(camera).len(), 3, "the port, the address and the role");
}

#[test]
fn check_reports_each_form_that_is_accepted_against_its_grammar() {
    let clean = OFFER.replace(":nine", ":9");
    for (from, to, expected) in [
        ("a=mid:0", "a=mid:0\r\na=fmtp:111", "a= expected a space and parameters, found the end (RFC 8866 §6.15)"),
        ("a=mid:1", "a=mid:1\r\na=simulcast: send rid=1", "expected send or recv without a space before it"),
        ("t=0 0", "e=NONE\r\nt=0 0", "e= expected an address with @, found 'N' (RFC 8866 §5.6)"),
    ] {
        let finished = run_with_input(&["sdp", "check"], clean.replacen(from, to, 1).as_bytes());
        assert_eq!(finished.code, Some(1), "{finished:?}");
        assert!(finished.stdout.contains(expected), "{expected}: {finished:?}");
    }
    // RFC 8866 §9 allows any number of digits.
    assert_eq!(run_with_input(&["sdp", "check"], clean.replacen("v=0", "v=00", 1).as_bytes()).code, Some(0));
}

#[test]
fn an_invalid_option_of_answer_is_reported_as_that_option() {
    for (option, value, expected) in [
        ("--fingerprint", "foo", "expected a space, found the end (RFC 8122 §5)"),
        ("--fingerprint", "sha-256 AB:CD", "expected a fingerprint as long as its hash"),
        ("--ufrag", "abc", "expected 4 to 256 letters, digits, + or /"),
        ("--pwd", "short", "expected 22 to 256 letters, digits, + or /"),
        ("--candidate", "1 1 UDP", "RFC 8839 §5.1"),
        ("--candidate", "1 1 UDP 1 192.0.2.1 9 typ host\r\na=x", "RFC 8839 §5.1"),
        ("--plain", "192.0.2.1:0", "port 0 refuses a section"),
        ("--plain", "192.0.2.1", "such as 192.0.2.7:5004"),
    ] {
        // The options are checked before the offer is read.
        let finished = run(&["sdp", "answer", option, value, "/nowhere/offer.sdp"]);
        assert_refused(&finished, &[option, expected]);
        assert!(!finished.stderr.contains("offer.sdp"), "{finished:?}");
    }
}

#[test]
fn answer_prints_the_answer_and_the_reasons() {
    let clean = OFFER.replace(":nine", ":9");
    let finished = run_with_input(&["sdp", "answer"], clean.as_bytes());
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert!(
        finished.stderr.contains("portolan: m-line 0 accepted: 1 of 1 formats, sendrecv (audio; RFC 3264"),
        "{finished:?}"
    );
    assert_eq!(run_with_input(&["sdp", "check"], finished.stdout.as_bytes()).stdout, "<stdin>: clean\n");
    for part in
        ["a=group:BUNDLE 0 1 2", "a=setup:active", "a=rtpmap:111 opus/48000/2", "a=ice-pwd:0000000000000000000000"]
    {
        assert!(finished.stdout.contains(part), "{part}: {finished:?}");
    }
    let finished = run_with_input(&["sdp", "answer", "--codec", "h264", "--no-data"], clean.as_bytes());
    assert_eq!(finished.code, Some(1), "everything is refused: {finished:?}");
    assert!(finished.stderr.contains("m-line 0 refused: no common codec (audio; RFC 3264 §6.1)"), "{finished:?}");
    assert_refused(&run(&["sdp", "answer", "--codec", "opus,mp3"]), &["the known codecs are opus, G722"]);
    let twice = clean.replace("a=sendrecv", "a=sendrecv\r\na=inactive");
    let finished = run_with_input(&["sdp", "answer"], twice.as_bytes());
    let line = clean.lines().position(|line| line == "a=sendrecv").expect("it has one") + 2;
    let chosen = format!(
        "portolan: <stdin>:{line}:1: deviation: mid 0: a second direction: a=inactive (the other one: line {}) (RFC 8866 \
         §6.7)\n",
        line - 1
    );
    assert!(finished.stderr.ends_with(&chosen), "a choice among repeated lines is printed: {finished:?}");
    assert!(finished.stdout.contains("a=sendrecv\r\n"), "{finished:?}");
    let plain = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\nm=audio 4002 RTP/AVP 8\r\n";
    let finished = run_with_input(&["sdp", "answer", "--plain", "198.51.100.7:5004"], plain.as_bytes());
    assert_eq!(finished.code, Some(0), "{finished:?}");
    assert!(finished.stdout.contains("m=audio 5004 RTP/AVP 0\r\n"), "{finished:?}");
    assert!(finished.stdout.contains("m=audio 5006 RTP/AVP 8\r\n"), "{finished:?}");
}

#[test]
fn an_answer_contains_the_given_values_of_placeholders() {
    let clean = OFFER.replace(":nine", ":9");
    let candidate = "1 1 UDP 2130706431 192.0.2.7 5004 typ host";
    let pwd = "bP+XJMM09aR8AiX1jdukzR6Y";
    let finished =
        run_with_input(&["sdp", "answer", "--ufrag", "EsAw", "--pwd", pwd, "--candidate", candidate], clean.as_bytes());
    assert_eq!(finished.code, Some(0), "{finished:?}");
    for part in ["a=ice-ufrag:EsAw", &format!("a=ice-pwd:{pwd}"), &format!("a=candidate:{candidate}")] {
        assert!(finished.stdout.contains(part), "{part}: {finished:?}");
    }
    assert_eq!(finished.stdout.matches("a=candidate:").count(), 1, "{finished:?}");
}

#[test]
fn validate_reports_differences_between_answer_and_offer() {
    let folder = folder("validate");
    let clean = OFFER.replace(":nine", ":9");
    let (offer, answer) = (folder.join("offer.sdp"), folder.join("answer.sdp"));
    let good = run_with_input(&["sdp", "answer"], clean.as_bytes()).stdout;
    std::fs::write(&offer, &clean).expect("a new file");
    let (offer, name) = (offer.display().to_string(), answer.display().to_string());
    let finished = run_with_input(&["sdp", "validate", &offer, "-"], good.as_bytes());
    assert_eq!(
        (finished.code, finished.stdout.as_str()),
        (Some(0), &*format!("<stdin>: answers {offer}\n")),
        "{finished:?}"
    );

    let wrong = good.replacen("m=audio", "m=video", 1);
    let line = wrong.lines().position(|line| line.starts_with("m=video")).expect("the line exists") + 1;
    let head = wrong.lines().nth(line - 1).expect("the line exists");
    std::fs::write(&answer, &wrong).expect("a new file");
    let finished = run(&["sdp", "validate", &offer, &name]);
    assert_eq!(finished.code, Some(1), "{finished:?}");
    let expected = format!(
        "{name}:{line}:1: deviation: m-line 0: the kind of media is not that of the offer (RFC 3264 §6.1)\n{margin} |\n{line} | \
         {head}\n{margin} | {}\n",
        "^".repeat(head.len()),
        margin = " ".repeat(line.to_string().len()),
    );
    assert!(finished.stdout.contains(&expected), "{expected}\n{}", finished.stdout);
    let finished = run(&["sdp", "validate", &offer, &name, "--format", "json"]);
    let report: Value = serde_json::from_str(&finished.stdout).expect("JSON");
    assert_eq!((finished.code, &report["valid"], &report["answer"]), (Some(1), &false.into(), &name.as_str().into()));
    let findings = report["findings"].as_array().expect("a list");
    let kind = findings.iter().find(|finding| finding["flaw"] == "kind").expect("the finding exists");
    assert_eq!((&kind["line"], &kind["media"], &kind["rfc"]), (&line.into(), &0.into(), &"RFC 3264 §6.1".into()));

    // A fault of the answer alone is shown once, at its line.
    let repeated = good.replacen("a=setup:active", "a=setup:active\r\na=setup:holdconn", 1);
    let dtls = good.replacen("a=sctp-port:5000\r\n", "", 1);
    for (text, expected) in [
        (repeated, "a second line of an attribute that has one value: a=setup"),
        (dtls, "SCTP over DTLS without a=sctp-port: UDP/DTLS/SCTP (RFC 8841 §5.1)\n"),
    ] {
        assert_ne!(text, good);
        let finished = run_with_input(&["sdp", "validate", &offer, "-"], text.as_bytes());
        assert_eq!(finished.code, Some(1), "{finished:?}");
        assert!(finished.stdout.contains(expected), "{finished:?}");
        assert!(finished.stdout.ends_with("<stdin>: 1 fault\n"), "{finished:?}");
    }

    // A line of either description that cannot be parsed is shown at its place.
    std::fs::write(&answer, good.replacen("a=setup:active", "a=setup:often", 1)).expect("a new file");
    let finished = run(&["sdp", "validate", &offer, &name]);
    assert_eq!(finished.code, Some(1), "{finished:?}");
    let line = good.lines().position(|line| line == "a=setup:active").expect("the line exists") + 1;
    assert!(finished.stdout.starts_with(&format!("{name}:{line}:9: deviation: ")), "{finished:?}");
    assert!(finished.stdout.ends_with(&format!("{name}: 1 fault\n")), "{finished:?}");
    let finished = run_with_input(&["sdp", "validate", &offer, "-"], b"GET / HTTP/1.1\r\n\r\n");
    assert_refused(&finished, &["<stdin>:1:1", "session description"]);
    assert_refused(&run(&["sdp", "validate", "-", "-"]), &["only once"]);
    std::fs::remove_dir_all(folder).expect("the folder exists");
}

#[test]
fn ten_million_bytes_are_parsed() {
    let folder = folder("long");
    let file = folder.join("long.sdp");
    let mut text = b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\n".to_vec();
    text.extend_from_slice(&b"m=audio 9 RTP/AVP 0\r\na=mid:\r\n".repeat(10_000_000 / 30));
    std::fs::write(&file, text).expect("a new file");
    let name = file.display().to_string();
    for (command, code) in [("explain", 1), ("check", 1), ("json", 0), ("scrub", 0)] {
        assert_eq!(run(&["sdp", command, &name]).code, Some(code), "{command}");
    }
    let deep = run_with_input(&["sdp", "json", "--to-sdp"], "[".repeat(10_000_000).as_bytes());
    assert_refused(&deep, &["not JSON"]);
    std::fs::remove_dir_all(folder).expect("the folder exists");
}

#[test]
fn reports_fit_the_width_and_lines_with_carets_are_cut_instead_of_broken() {
    let folder = folder("width");
    let bad = OFFER
        .replace("a=sendrecv", "a=sendrecv\r\na=inactive")
        .replace("typ srflx raddr 10.44.55.66 rport 50000 generation 0", "typ srflx raddr 10.44.55.66 rport fifty");
    let good = run_with_input(&["sdp", "answer"], OFFER.as_bytes()).stdout;
    let wrong = good.replacen("m=audio", "m=video", 1).replacen("a=setup:active", "a=setup:often", 1);
    let files = [("offer.sdp", OFFER), ("bad.sdp", &bad), ("wrong.sdp", &wrong)].map(|(name, text)| {
        std::fs::write(folder.join(name), text).expect("a new file");
        folder.join(name).display().to_string()
    });
    let [offer, bad, wrong] = files.each_ref().map(String::as_str);
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    // A line of SDP in `sdp explain`: its number is in the first four columns.
    let is_line = |line: &str, is_explained: bool| {
        is_explained && line.starts_with(' ') && line.chars().take(4).any(|c| c.is_ascii_digit())
    };
    // The words of a report without quoted lines of SDP and carets.
    let prose = |text: &str, is_explained: bool| -> Vec<String> {
        let is_quoted = |line: &str| {
            line.contains(" | ") || line.ends_with(" |") || line.trim() == "^" || is_line(line, is_explained)
        };
        text.lines().filter(|line| !is_quoted(line)).flat_map(words).collect()
    };
    let marked = |text: &str| -> Vec<Option<char>> {
        let lines: Vec<&str> = text.lines().collect();
        let carets = lines.windows(2).filter(|pair| pair[1].trim_start_matches([' ', '|']).starts_with('^'));
        carets.map(|pair| pair[0].chars().nth(pair[1].chars().position(|c| c == '^').expect("a caret"))).collect()
    };
    for (arguments, carets) in [
        (&["sdp", "check", bad][..], 3),
        (&["sdp", "explain", bad], 2),
        (&["sdp", "validate", offer, wrong], 2),
        (&["sdp", "diff", offer, wrong], 0),
        (&["sdp", "answer", bad], 0),
    ] {
        let (wide, is_explained) = (run_at_width(arguments, WIDE), arguments[1] == "explain");
        let report =
            |finished: &Finished| if arguments[1] == "answer" { &finished.stderr } else { &finished.stdout }.clone();
        assert!(marked(&report(&wide)).len() >= carets, "{}", report(&wide));
        // Without a terminal each message is one line, for `grep`.
        assert_eq!(prose(&report(&crate::run(arguments)), false), prose(&report(&wide), false), "{arguments:?}");
        assert_eq!(report(&crate::run(arguments)).lines().count(), report(&wide).lines().count(), "{arguments:?}");
        for columns in [40, 80, 100] {
            let finished = run_at_width(arguments, columns);
            let text = report(&finished);
            assert_eq!(finished.code, wide.code, "{arguments:?}");
            assert_eq!(
                (prose(&text, is_explained), marked(&text)),
                (prose(&report(&wide), is_explained), marked(&report(&wide))),
                "{columns}:\n{text}"
            );
            // A word may be longer than the terminal, and a line of `sdp explain` without a caret stays as it is.
            let longest_word = |line: &str| line.split_whitespace().map(str::len).max().unwrap_or_default();
            let fits = |line: &str| {
                line.chars().count() <= columns || longest_word(line) + 8 > columns || is_line(line, is_explained)
            };
            assert_eq!(text.lines().find(|line| !fits(line)), None, "{arguments:?} {columns}:\n{text}");
            if arguments[1] == "answer" {
                assert_eq!(finished.stdout, wide.stdout, "the answer is not wrapped");
                continue;
            }
            let json = |columns| run_at_width(&[arguments, &["--format", "json"]].concat(), columns).stdout;
            assert_eq!(json(columns), json(WIDE), "{arguments:?}");
        }
    }
    let input = run_with_input_at_width(&["sdp", "check"], OFFER.as_bytes(), 40).stdout;
    let expected = "<stdin>:40:12: deviation: a= expected\n  milliseconds, more than 0, found 'n'\n  (RFC 8866 §6.5)\n   |\n\
        40 | a=maxptime:nine\n   |            ^\n   = hint: write the value as the\n     section requires, for example\n     a=maxptime:120\n";
    assert!(input.starts_with(expected), "{input}");
    std::fs::remove_dir_all(folder).expect("the folder exists");
}
