//! `portolan explain` needs no network.

use crate::binary::portolan;
use crate::process::{Finished, Process};
use crate::{TIMEOUT, WIDE, assert_refused, run_at_width, run_with_input, run_with_input_at_width};
use serde_json::Value;
use std::io::Write;

/// A Binding success response that maps 192.0.2.1:32853.
const MAPPED_RESPONSE: &str = "0101000c2112a4420102030405060708090a0b0c000200080001a147e112a643";
/// The same response with XOR-MAPPED-ADDRESS, as RFC 8489 requires.
const XOR_MAPPED_RESPONSE: &str = "0101000c2112a4420102030405060708090a0b0c002000080001a147e112a643";

/// A Binding request.
const REQUEST: &str = "000100002112a442a5fba2ff1f800afdfde0ac6c";

fn run(arguments: &[&str]) -> Finished {
    run_at_width(arguments, WIDE)
}

#[test]
fn a_message_is_explained_byte_by_byte() {
    let finished = run(&["explain", "--hex", XOR_MAPPED_RESPONSE]);
    assert_eq!((finished.code, finished.stderr.as_str()), (Some(0), ""), "{finished:?}");
    assert_eq!(finished.stdout, include_str!("explain/xored.txt"));
    assert_eq!(run_with_input(&["explain"], XOR_MAPPED_RESPONSE.as_bytes()).stdout, finished.stdout);
    assert_eq!(run_with_input(&["explain", "-"], MAPPED_RESPONSE.as_bytes()).code, Some(0));
}

#[test]
fn an_error_is_marked_and_sets_the_exit_code() {
    let truncated = XOR_MAPPED_RESPONSE.get(..60).expect("longer");
    let finished = run(&["explain", "--hex", truncated]);
    assert_eq!(finished.code, Some(1), "{finished:?}");
    assert!(finished.stdout.contains("! byte 30: the header announces 12 bytes after it, found 10"), "{finished:?}");
    assert!(finished.stdout.ends_with("1 message: something is wrong, see the marks \"!\".\n"), "{finished:?}");
}

#[test]
fn json_has_each_byte_once_and_marks_errors() {
    let finished = run(&["explain", "--format", "json", "--hex", XOR_MAPPED_RESPONSE, "0101"]);
    assert_eq!(finished.code, Some(1), "{finished:?}");
    let report: Value = serde_json::from_str(&finished.stdout).expect("JSON");
    assert_eq!((&report["schema"], &report["source"]), (&"portolan.explain/1".into(), &"hex".into()));
    let message = &report["messages"][0];
    assert_eq!((&message["kind"], &message["wrong"]), (&"stun".into(), &true.into()));
    let lines = message["lines"].as_array().expect("a list");
    let bytes: String = lines.iter().filter_map(|line| line["bytes"].as_str()).collect();
    assert_eq!(bytes, format!("{XOR_MAPPED_RESPONSE}0101"));
    assert!(lines.iter().any(|line| line["wrong"] == true));
}

/// Two Bindings on loopback over UDP and TCP, written by `tcpdump -i lo -w`, and converted by `editcap -F pcapng`.
const CAPTURES: [(&str, &[u8]); 2] =
    [("pcap", include_bytes!("explain/tcpdump.pcap")), ("pcapng", include_bytes!("explain/editcap.pcapng"))];

#[test]
fn captures_of_other_programs_are_explained_from_a_file_and_from_a_pipe() {
    let folder = std::env::temp_dir().join(format!("portolan-captures-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a new folder");
    let mut explained = Vec::new();
    for (kind, capture) in CAPTURES {
        let file = folder.join(kind);
        std::fs::write(&file, capture).expect("a new file");
        let finished = run(&["explain", &file.display().to_string()]);
        assert_eq!((finished.code, finished.stderr.as_str()), (Some(0), ""), "{kind}: {finished:?}");
        for words in [
            "Packet 1, 2026-11-21T06:11:51.831907Z, udp 127.0.0.1:51752 > 127.0.0.1:39478, 20 bytes\n",
            "XOR-MAPPED-ADDRESS: 127.0.0.1:51752",
            "Packet 8, 2026-11-21T06:11:51.834001Z, tcp 127.0.0.1:39478 > 127.0.0.1:44526, 32 bytes\n",
            "\n4 messages in 12 packets: nothing is wrong.\n",
        ] {
            assert!(finished.stdout.contains(words), "{kind}: {words:?} is missing: {finished:?}");
        }
        assert_eq!(run_with_input(&["explain"], capture).stdout, finished.stdout, "{kind}");
        explained.push(finished.stdout);
        let json = run_with_input(&["explain", "--format", "json"], capture);
        let json: Value = serde_json::from_str(&json.stdout).expect("JSON");
        assert_eq!(json["messages"].as_array().map(Vec::len), Some(4), "{kind}: {json}");
    }
    std::fs::remove_dir_all(&folder).expect("the folder exists");
    assert_eq!(explained[0], explained[1], "the same packets give the same text");
}

/// The first capture, printed by `tcpdump -n -X`, and with link headers and more detail.
const PRINTED: [&str; 2] = [include_str!("explain/tcpdump-X.txt"), include_str!("explain/tcpdump-XX-e-v.txt")];

#[test]
fn printed_output_of_tcpdump_is_explained_like_the_capture_and_with_headings() {
    let capture = run_with_input(&["explain"], CAPTURES[0].1).stdout;
    for (text, heading) in PRINTED.into_iter().zip([
        "  tcpdump: 06:11:51.831907 IP 127.0.0.1.51752 > 127.0.0.1.39478: UDP, length 20\n",
        "length 48) 127.0.0.1.51752 > 127.0.0.1.39478: UDP, length 20\n",
    ]) {
        let finished = run_with_input(&["explain"], text.as_bytes());
        assert_eq!((finished.code, finished.stderr.as_str()), (Some(0), ""), "{finished:?}");
        assert!(finished.stdout.contains(heading), "{finished:?}");
        // The text has headings and no times. All other lines are equal.
        let rest: String = finished
            .stdout
            .lines()
            .filter(|line| !line.starts_with("  tcpdump: "))
            .map(|line| format!("{line}\n"))
            .collect();
        let without_times: String = capture
            .lines()
            .map(|line| match (line.starts_with("Packet"), line.split_once(", 2026-"), line.split_once("Z, ")) {
                (true, Some((front, _)), Some((_, back))) => format!("{front}, {back}\n"),
                _ => format!("{line}\n"),
            })
            .collect();
        assert_eq!(rest, without_times);
        let json = run_with_input(&["explain", "--format", "json"], text.as_bytes());
        let json: Value = serde_json::from_str(&json.stdout).expect("JSON");
        assert_eq!((&json["source"], &json["packets"], &json["skipped"]), (&"tcpdump".into(), &12.into(), &0.into()));
        let printed = json["messages"][0]["heading"].as_str().expect("a heading");
        assert!(heading.trim_end().ends_with(printed) || printed.ends_with(heading.trim_end()), "{printed}");
    }
}

#[test]
fn a_whole_frame_in_hexadecimal_is_decoded_as_a_packet_and_reported() {
    let ip = format!("450000300000400040113cbb7f0000017f000001ca289a36001cfe2f{REQUEST}");
    let ethernet = format!("0000000000000000000000000800{ip}");
    for (hex, word, sentence) in [
        (&ip, "ip", "\n  the bytes are a whole IP packet; its payload follows\n"),
        (&ethernet, "ethernet", "\n  the bytes are a whole Ethernet frame; its payload follows\n"),
    ] {
        let finished = run(&["explain", "--hex", hex]);
        assert_eq!((finished.code, finished.stderr.as_str()), (Some(0), ""), "{finished:?}");
        let heading = "Packet 1, udp 127.0.0.1:51752 > 127.0.0.1:39478, 20 bytes";
        assert!(finished.stdout.starts_with(&format!("{heading}{sentence}   0  0001")), "{finished:?}");
        let json = run(&["explain", "--format", "json", "--hex", hex]);
        let json: Value = serde_json::from_str(&json.stdout).expect("JSON");
        assert_eq!((&json["source"], &json["messages"][0]["frame"]), (&"hex".into(), &word.into()));
    }
}

/// The frame of a short packet as on the wire: padded to 60 bytes, with its check sequence.
#[test]
fn ethernet_padding_and_check_sequence_are_reported() {
    let response = "0101000c2112a4420102030405060708090a0b0c000100080001a147c0000201";
    let short = format!("4500002400004000401100007f0000017f0000010d960d9600100000{}", &response[..16]);
    let frame = format!("0000000000000000000000000800{short}{}", "00".repeat(60 - 14 - 36));
    let finished = run(&["explain", "--hex", &frame]);
    assert!(finished.stdout.contains("its payload follows; after the packet 10 bytes of padding\n"), "{finished:?}");
    let json = run(&["explain", "--format", "json", "--hex", &frame, "01020304"]);
    let json: Value = serde_json::from_str(&json.stdout).expect("JSON");
    let message = &json["messages"][0];
    assert_eq!((&message["frame_padding"], &message["frame_check"]), (&10.into(), &"wrong".into()), "{json}");
    assert_eq!(message["length"], 8, "neither is part of the message");
}

#[test]
fn a_missing_line_is_reported_with_its_position() {
    let truncated: String =
        PRINTED[0].lines().filter(|line| !line.contains("0x0010:")).map(|l| format!("{l}\n")).collect();
    assert_refused(
        &run_with_input(&["explain"], truncated.as_bytes()),
        &["line 3: expected the offset 0x0010, found 0x0020", "missing"],
    );
    let xxd = "00000000: 0001 0000 2112 a442\n00000010: dde0 ac6c\n";
    assert_refused(
        &run_with_input(&["explain"], xxd.as_bytes()),
        &["line 2: expected the offset 0x0008, found 0x0010"],
    );
    assert_refused(&run(&["explain", "--hex", xxd]), &["line 2: expected the offset 0x0008"]);
}

#[test]
fn another_protocol_is_named_and_nothing_recognized_is_an_exit_code() {
    let zeros = "00".repeat(40);
    for (hex, words) in
        [("16fefd0000", "DTLS: "), ("80000001", "RTP: "), ("ffff", "unknown: "), (&zeros, "magic cookie: ")]
    {
        for arguments in [&["explain"][..], &["explain", "--format", "json"], &["explain", "--summary"]] {
            let finished = run(&[arguments, &["--hex", hex]].concat());
            assert_eq!(finished.code, Some(2), "{finished:?}");
            assert!(finished.stderr.contains("neither STUN nor ChannelData was recognized"), "{finished:?}");
        }
        let finished = run(&["explain", "--hex", hex]);
        assert!(finished.stdout.contains(words), "{finished:?}");
    }
    // One message suffices.
    let finished = run(&["explain", "--hex", &format!("16fefd0000\n\n{REQUEST}")]);
    assert_eq!((finished.code, finished.stderr.as_str()), (Some(0), ""), "{finished:?}");
    let channel = run(&["explain", "--format", "json", "--hex", "40010006686561642e0a"]);
    let json: Value = serde_json::from_str(&channel.stdout).expect("JSON");
    let message = &json["messages"][0];
    assert_eq!((&message["kind"], &message["channel"]), (&"channel-data".into(), &0x4001.into()));
    assert_eq!((channel.code, message["lines"].as_array().map(Vec::len)), (Some(0), Some(3)), "{json}");
}

/// Compresses with gzip.
fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).expect("a vector grows");
    encoder.finish().expect("a vector grows")
}

#[test]
fn every_kind_of_input_is_read_from_gzip() {
    let hex = XOR_MAPPED_RESPONSE.as_bytes().to_vec();
    let raw: Vec<u8> = XOR_MAPPED_RESPONSE
        .as_bytes()
        .chunks(2)
        .map(|digits| u8::from_str_radix(&String::from_utf8_lossy(digits), 16).expect("two digits"))
        .collect();
    for bytes in [hex, raw, PRINTED[0].as_bytes().to_vec(), CAPTURES[0].1.to_vec(), CAPTURES[1].1.to_vec()] {
        let (plain, packed) = (run_with_input(&["explain"], &bytes), run_with_input(&["explain"], &gzip(&bytes)));
        assert_eq!((packed.code, &packed.stdout, &packed.stderr), (Some(0), &plain.stdout, &plain.stderr));
    }
    // Two members are one stream (RFC 1952 §2.2).
    let (front, back) = CAPTURES[0].1.split_at(100);
    let members = [gzip(front), gzip(back)].concat();
    assert_eq!(run_with_input(&["explain"], &members).stdout, run_with_input(&["explain"], CAPTURES[0].1).stdout);
    // The packets before the end of a stream that was cut off are explained.
    let many: Vec<u8> = CAPTURES[0].1[..24].iter().chain(CAPTURES[0].1[24..].repeat(500).iter()).copied().collect();
    let packed = gzip(&many);
    let finished = run_with_input(&["explain"], &packed[..packed.len() / 2]);
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    assert!(finished.stderr.contains("the capture ends early: after byte") && finished.stdout.contains("Packet 1,"));
    let packed = gzip(REQUEST.as_bytes());
    assert_refused(&run_with_input(&["explain"], &packed[..packed.len() - 9]), &["gzip stream is cut off"]);
}

#[test]
fn a_capture_from_a_pipe_is_explained_while_packets_arrive() {
    let capture = CAPTURES[0].1;
    // The header and the first record: 24 bytes, 16 bytes, and the frame.
    let first =
        24 + 16 + usize::try_from(u32::from_le_bytes(capture[32..36].try_into().expect("four"))).expect("small");
    for is_ended_by_signal in [false, true] {
        let (reader, mut writer) = std::io::pipe().expect("a pipe");
        let mut command = portolan(&["explain", "-"]).expect("no server");
        command.stdin(reader);
        let mut process = Process::start(command).expect("the binary starts");
        writer.write_all(&capture[..first + 7]).expect("the process reads its input");
        process.wait_for("Packet 1, ", TIMEOUT).expect("the first packet is printed before the second one arrives");
        process.wait_for("transaction ID", TIMEOUT).expect("the whole message is printed");
        if is_ended_by_signal {
            process.terminate().expect("the process runs");
        }
        writer.write_all(&capture[first + 7..]).expect("the process reads its input");
        drop(writer);
        let finished = process.finish(TIMEOUT).expect("the process ends");
        assert_eq!((finished.code, finished.stderr.as_str()), (Some(0), ""), "{finished:?}");
        assert!(finished.stdout.ends_with("\n4 messages in 12 packets: nothing is wrong.\n"), "{finished:?}");
    }
}

#[test]
fn the_summary_and_the_fields_of_a_real_capture_are_printed() {
    for (kind, capture) in CAPTURES {
        let finished = run_with_input(&["explain", "--summary"], capture);
        assert_eq!((finished.code, finished.stderr.as_str()), (Some(0), ""), "{kind}: {finished:?}");
        let text = finished.stdout;
        assert!(text.contains("udp 127.0.0.1:51752  127.0.0.1:39478  Binding  127.0.0.1:51752"), "{text}");
        assert!(text.contains("tcp 127.0.0.1:44526  127.0.0.1:39478  Binding  127.0.0.1:44526"), "{text}");
        assert!(
            text.contains("2 transaction(s): 2 success, 0 error, 0 without a response; 0 retransmission(s)."),
            "{text}"
        );
    }
    let finished = run(&["explain", "--deep", "--hex", XOR_MAPPED_RESPONSE]);
    let field = "  26  a147                                    X-Port: 0xa147 XOR 0x2112 = 32853\n";
    assert!(finished.stdout.contains(field), "{finished:?}");
    let json = run(&["explain", "--deep", "--format", "json", "--hex", XOR_MAPPED_RESPONSE]);
    let json: Value = serde_json::from_str(&json.stdout).expect("JSON");
    let field = &json["messages"][0]["lines"][4]["fields"][5];
    assert_eq!((&field["at"], &field["name"]), (&28.into(), &"X-Address".into()), "{json}");
    assert_eq!(field["meaning"], "0xe112a643 XOR 0x2112a442 = 192.0.2.1");
    assert!(run(&["explain", "--deep", "--summary", "--hex", REQUEST]).stderr.contains("cannot be used with"));
}

/// A pseudo terminal as standard input.
#[test]
#[cfg(target_os = "linux")]
fn a_line_says_that_the_command_waits_at_a_terminal() {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    for arguments in [&["explain"][..], &["sdp", "check"]] {
        let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
        grantpt(&controller).and_then(|()| unlockpt(&controller)).expect("the terminal is usable");
        let name = ptsname(&controller, Vec::new()).expect("the terminal has a name");
        let terminal = std::fs::File::options().read(true).write(true).open(name.to_str().expect("ASCII"));
        let mut command = portolan(arguments).expect("no server");
        command.stdin(terminal.expect("the terminal can be opened"));
        let mut process = Process::start(command).expect("the binary starts");
        process.wait_for("on the terminal; end the input with Ctrl-D", TIMEOUT).expect("the line is printed");
        // Ctrl-D on an empty line is the end of the input.
        rustix::io::write(&controller, &[4]).expect("the terminal is open");
        assert_eq!(process.finish(TIMEOUT).expect("the process ends").code, Some(2));
    }
}

#[test]
fn input_that_cannot_be_parsed_gives_one_line_with_the_position() {
    assert_refused(&run(&["explain", "/nowhere/at/all"]), &["/nowhere/at/all", "name a file"]);
    assert_refused(&run(&["explain", "--hex", "00 0g"]), &["line 1, column 5", "'g'"]);
    assert_refused(&run(&["explain"]), &["the input is empty"]);
    let truncated = PRINTED[0].replace("0x0010:  7f00", "0x0010:  7g00");
    assert_refused(&run_with_input(&["explain"], truncated.as_bytes()), &["line 3, column 12", "'g'"]);
    assert_refused(&run_with_input(&["explain"], b"what is this?\n"), &["line 1, column 1", "base64"]);
    assert_refused(&run_with_input(&["explain"], &[0xd4, 0xc3, 0xb2, 0xa1, 0]), &["byte 0", "header of a capture"]);
}

#[test]
fn explanations_fit_the_width_and_no_row_of_the_summary_is_broken() {
    let narrow = |arguments: &[&str], columns| run_with_input_at_width(arguments, CAPTURES[0].1, columns).stdout;
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let wide = narrow(&["explain"], WIDE);
    let table = narrow(&["explain", "--summary"], WIDE);
    let rows = table.lines().take_while(|line| !line.is_empty()).collect::<Vec<_>>();
    assert!(rows.len() == 3 && rows[0].len() > 80, "{table}");
    for columns in [40, 80, 100] {
        let text = narrow(&["explain"], columns);
        assert_eq!(words(&text), words(&wide), "{columns}");
        assert!(text.lines().all(|line| line.chars().count() <= columns), "{columns}:\n{text}");
        let text = narrow(&["explain", "--summary"], columns);
        assert!(text.starts_with(&rows.join("\n")), "{columns}:\n{text}");
        let counts = text.lines().skip(rows.len());
        assert!(counts.clone().all(|line| line.chars().count() <= columns), "{columns}:\n{text}");
        assert_eq!(words(&text), words(&table), "{columns}");
        for format in [&["explain", "--format", "json"][..], &["explain", "--summary", "--format", "json"]] {
            assert_eq!(narrow(format, columns), narrow(format, WIDE), "{columns}");
        }
    }
}
