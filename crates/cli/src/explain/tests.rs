use super::*;
use portolan_stun::{Attribute, Class, Method, Writer};

fn message() -> Vec<u8> {
    let mut buffer = [0; 128];
    let mut writer = Writer::new(&mut buffer, Class::SuccessResponse, Method::BINDING, [7; 12].into()).unwrap();
    writer.add(&Attribute::XorMappedAddress("192.0.2.1:32853".parse().unwrap())).unwrap();
    writer.fingerprint().unwrap().finish().to_vec()
}

/// An IPv4 packet without checksums, which the code does not check.
fn ip(protocol: u8, inside: &[u8]) -> Vec<u8> {
    let length = u16::try_from(20 + inside.len()).unwrap().to_be_bytes();
    let mut packet = vec![0x45, 0, length[0], length[1], 0, 0, 0, 0, 64, protocol, 0, 0];
    packet.extend([192, 0, 2, 1, 198, 51, 100, 1]);
    packet.extend_from_slice(inside);
    packet
}

fn udp(from: u16, to: u16, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(8 + payload.len()).unwrap();
    let head: Vec<u8> = [from, to, length, 0].iter().flat_map(|word| word.to_be_bytes()).collect();
    ip(17, &[&head, payload].concat())
}

fn tcp(number: u32, payload: &[u8]) -> Vec<u8> {
    let mut head = [5000_u16.to_be_bytes(), 3478_u16.to_be_bytes()].concat();
    head.extend(number.to_be_bytes());
    head.extend([0, 0, 0, 0, 0x50, 0x10, 0xff, 0xff, 0, 0, 0, 0]);
    ip(6, &[&head, payload].concat())
}

fn ethernet(packet: &[u8]) -> Vec<u8> {
    [&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0], packet].concat()
}

/// A pcap with microseconds. The first packet is at 1,000,000,000.5 s, the others follow after one second each.
fn pcap(link: u32, packets: &[Vec<u8>]) -> Vec<u8> {
    let mut file = [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65_535, link].map(u32::to_le_bytes).concat();
    for (packet, seconds) in packets.iter().zip(1_000_000_000_u32..) {
        let length = u32::try_from(packet.len()).unwrap();
        file.extend([seconds, 500_000, length, length].map(u32::to_le_bytes).concat());
        file.extend_from_slice(packet);
    }
    file
}

/// A pcapng section with one interface whose clock ticks 2^20 times a second.
fn pcapng(packets: &[Vec<u8>]) -> Vec<u8> {
    let mut file = vec![];
    let mut block = |kind: u32, body: &[u8]| {
        let length = u32::try_from(12 + body.len()).unwrap().to_le_bytes();
        file.extend([&kind.to_le_bytes(), &length, body, &length].concat());
    };
    block(0x0a0d_0d0a, &[0x4d, 0x3c, 0x2b, 0x1a, 1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
    block(1, &[1, 0, 0, 0, 0, 0, 0, 0, 9, 0, 1, 0, 0x80 | 20, 0, 0, 0, 0, 0, 0, 0]);
    for packet in packets {
        let length = u32::try_from(packet.len()).unwrap();
        let ticks = (1_000_000_000_u64 << 20) + (1 << 19);
        let (high, low) = (u32::try_from(ticks >> 32).unwrap(), u32::try_from(ticks & 0xffff_ffff).unwrap());
        let mut body = [0, high, low, length, length].map(u32::to_le_bytes).concat();
        body.extend_from_slice(packet);
        body.resize(body.len().next_multiple_of(4), 0);
        block(6, &body);
    }
    file
}

/// Finds the messages, also in a capture. A capture is read in parts of this many bytes.
fn find_in_parts(bytes: &[u8], length: usize) -> Result<Found, ExplainError> {
    if !capture::is_capture(bytes) {
        return super::find(bytes);
    }
    let (mut capture, mut finder, mut pending) = (Capture::default(), Finder::default(), vec![]);
    let mut torn = None;
    for part in bytes.chunks(length) {
        pending.extend_from_slice(part);
        match capture.read(&pending, |packet| finder.add_packet(&packet)) {
            Ok(read) => drop(pending.drain(..read)),
            Err(why) => {
                torn = Some(why);
                break;
            }
        }
    }
    let torn = torn.or(capture.end(&pending).err());
    match torn {
        Some(why) if finder.counts().0 == 0 => Err(ExplainError::Capture(why)),
        torn => found_in_packets("capture", finder).map(|found| Found { torn, ..found }),
    }
}

fn find(bytes: &[u8]) -> Result<Found, ExplainError> {
    let found = find_in_parts(bytes, bytes.len().max(1));
    if capture::is_capture(bytes) && bytes.len() < 200 {
        assert_eq!(format!("{:?}", find_in_parts(bytes, 1)), format!("{found:?}"), "one byte at a time");
    }
    found
}

fn found(bytes: &[u8]) -> Found {
    find(bytes).unwrap_or_else(|why| panic!("{why}"))
}

/// Formats the explanation, and returns whether a message is wrong.
fn human(found: &Found) -> (String, bool) {
    let mut human = Human::new(false, found.messages.len() > 1);
    let text: String = found.messages.iter().map(|message| human.message(message)).collect();
    (text + &human.end(found), found.messages.iter().any(report::is_wrong_message))
}

fn json(found: &Found) -> serde_json::Value {
    serde_json::from_str(&report::json(found, false)).unwrap()
}

fn bytes_of(found: &Found) -> Vec<Vec<u8>> {
    found.messages.iter().map(|message| message.bytes.clone()).collect()
}

#[test]
fn the_bytes_show_the_kind_of_input() {
    let message = message();
    let hex: String = message.iter().map(|byte| format!("{byte:02x} ")).collect();
    for (input, source) in [
        (message.clone(), "binary"),
        (hex.into_bytes(), "hex"),
        (b"AQEAFCESpEIHBwcHBwcHBwcHBwcAIAAIAAGhR+ESpkM=".to_vec(), "base64"),
        (pcap(1, &[ethernet(&udp(5000, 3478, &message))]), "capture"),
        (pcapng(&[ethernet(&udp(5000, 3478, &message))]), "capture"),
    ] {
        assert_eq!(found(&input).source, source);
    }
    assert!(matches!(find(b""), Err(ExplainError::Empty)));
    assert!(matches!(find(b"\n \n"), Err(ExplainError::Empty)));
    assert!(matches!(find(b"hello there!"), Err(ExplainError::Encoding { .. })));
}

#[test]
fn both_formats_have_the_same_time_and_addresses() {
    let packet = ethernet(&udp(5000, 3478, &message()));
    for file in [pcap(1, core::slice::from_ref(&packet)), pcapng(core::slice::from_ref(&packet))] {
        let found = found(&file);
        assert_eq!(bytes_of(&found), [message()]);
        let place = found.messages[0].place.unwrap();
        assert_eq!((place.packet, place.time), (1, Some(1_000_000_000_500_000_000)));
        assert_eq!(place.flow.from.to_string(), "192.0.2.1:5000");
        assert_eq!(place.flow.to.to_string(), "198.51.100.1:3478");
    }
}

#[test]
fn every_link_type_gives_the_same_message() {
    let ip = udp(5000, 4000, &message());
    let cooked = [&[0; 14], &[8, 0][..], &ip].concat();
    let cooked_two = [&[8, 0], &[0; 18][..], &ip].concat();
    let loopback = [&[2, 0, 0, 0], &ip[..]].concat();
    let tagged = [&ethernet(&[])[..12], &[0x81, 0, 0, 5, 8, 0], &ip].concat();
    for (link, packet) in [
        (1, ethernet(&ip)),
        (1, tagged),
        (101, ip.clone()),
        (228, ip.clone()),
        (113, cooked),
        (276, cooked_two),
        (0, loopback),
    ] {
        assert_eq!(bytes_of(&found(&pcap(link, &[packet]))), [message()], "link type {link}");
    }
    assert!(matches!(find(&pcap(147, &[ip])), Err(ExplainError::NoMessage { packets: 1, skipped: 1 })));
}

#[test]
fn a_stream_is_reassembled_and_continues_after_a_gap() {
    let message = message();
    let two = [&message[..], &message].concat();
    let segments = [tcp(100, &two[..10]), tcp(110, &two[10..50]), tcp(110, &two[10..50]), tcp(150, &two[50..])];
    let whole = pcap(101, &segments);
    assert_eq!(bytes_of(&found(&whole)), [message.clone(), message.clone()]);
    let gap = pcap(101, &[tcp(100, &two[..10]), tcp(900, &message)]);
    assert_eq!(bytes_of(&found(&gap)), core::slice::from_ref(&message));
    let counted = [&[0, 40], &message[..]].concat();
    assert_eq!(bytes_of(&found(&pcap(101, &[tcp(7, &counted)]))), [message]);
}

#[test]
fn channel_data_is_recognised_only_on_flows_with_stun() {
    let channel = [&[0x40, 1, 0, 2], &b"hi"[..]].concat();
    let known = pcap(101, &[udp(5000, 4000, &message()), udp(5000, 4000, &channel)]);
    assert_eq!(bytes_of(&found(&known)), [message(), channel.clone()]);
    let unknown = pcap(101, &[udp(5000, 4000, &channel)]);
    assert!(matches!(find(&unknown), Err(ExplainError::NoMessage { packets: 1, skipped: 0 })));
    assert_eq!(found(&pcap(101, &[udp(5000, 3478, &channel)])).messages.len(), 1);
}

/// More bytes than the padding follow the data, and the capture may end inside of the data.
#[test]
fn channel_data_in_a_capture_may_be_followed_by_any_bytes_or_be_cut_off() {
    let channel = [&[0x40, 1, 0, 2], &b"hi"[..]].concat();
    for (from, to, before) in [(5000, 3478, vec![]), (5000, 4000, vec![udp(5000, 4000, &message())])] {
        for (follow, wrong) in [(0, false), (2, false), (3, true), (4, true), (5, true), (600, true)] {
            let payload = [&channel[..], &vec![0xee; follow]].concat();
            let result = found(&pcap(101, &[&before[..], &[udp(from, to, &payload)]].concat()));
            assert_eq!(bytes_of(&result).last(), Some(&payload), "{to}, {follow}");
            assert_eq!(human(&result).1, wrong, "{to}, {follow}");
            let expected = "after the data: more bytes than the length field states";
            assert_eq!(human(&result).0.contains(expected), wrong, "{to}, {follow}");
        }
    }
    let mut file = pcap(101, &[udp(5000, 3478, &[&[0x40, 1, 0, 200], &[7; 200][..]].concat())[..60].to_vec()]);
    // The fourth word of the record: the length of the packet.
    file[24 + 12] = 232;
    let result = found(&file);
    assert_eq!((result.messages.len(), human(&result).1), (1, false));
    // QUIC and other protocols outside of the range of channel numbers.
    for payload in [&[0x50, 1, 0, 2, 1, 2][..], &[0x40, 1, 0, 9, 1], &[0x40]] {
        assert!(matches!(find(&pcap(101, &[udp(5000, 3478, payload)])), Err(ExplainError::NoMessage { .. })));
    }
}

#[test]
fn only_stun_and_channel_data_are_recognized() {
    let old = |length| [&[0, 1, 0, 4], &[9; 16][..], &vec![0; length]].concat();
    for (bytes, is_recognized) in [
        (message(), true),
        (message()[..7].to_vec(), true),
        (vec![0, 1], true),
        (old(4), true),
        (old(8), false),
        (vec![0; 100], false),
        (vec![0x40, 1, 0, 2, 1, 2], true),
        (vec![22, 254, 253, 0], false),
        (vec![0x80; 30], false),
        (vec![0x50], false),
        (b"\x89PNG\r\n".to_vec(), false),
    ] {
        assert_eq!(report::is_recognized(&Message::alone(&bytes)), is_recognized, "{bytes:02x?}");
    }
}

/// A message with a class and a transaction ID.
fn of_class(class: Class, id: u8, attributes: &[Attribute<'_>]) -> Vec<u8> {
    let mut buffer = [0; 128];
    let mut writer = Writer::new(&mut buffer, class, Method::BINDING, [id; 12].into()).unwrap();
    attributes.iter().for_each(|attribute| writer.add(attribute).unwrap());
    writer.finish().to_vec()
}

/// A packet from the other endpoint, port 3478.
fn back(from: [u8; 4], payload: &[u8]) -> Vec<u8> {
    let mut packet = udp(3478, 5000, payload);
    packet[12..16].copy_from_slice(&from);
    packet[16..20].copy_from_slice(&[192, 0, 2, 1]);
    packet
}

/// The packets of a capture follow each other after one second.
#[test]
fn the_summary_has_one_row_for_each_transaction() {
    let request = |id| udp(5000, 3478, &of_class(Class::Request, id, &[]));
    let mapped = Attribute::XorMappedAddress("192.0.2.7:5000".parse().unwrap());
    let refused = Attribute::ErrorCode(portolan_stun::ErrorCode::recommended(401).unwrap());
    let server = [198, 51, 100, 1];
    let inner = |class, id| {
        let inner = of_class(class, id, &[]);
        [&[0x40, 1, 0, u8::try_from(inner.len()).unwrap()], &inner[..]].concat()
    };
    let packets = [
        request(1),
        request(1),
        back(server, &of_class(Class::SuccessResponse, 1, &[mapped])),
        back(server, &of_class(Class::SuccessResponse, 1, &[mapped])),
        request(2),
        back(server, &of_class(Class::ErrorResponse, 2, &[refused])),
        request(3),
        request(3),
        request(3),
        request(4),
        back([198, 51, 100, 2], &of_class(Class::SuccessResponse, 4, &[mapped])),
        back(server, &of_class(Class::SuccessResponse, 5, &[])),
        udp(5000, 3478, &of_class(Class::Indication, 6, &[])),
        udp(5000, 3478, &inner(Class::Request, 1)),
        back(server, &inner(Class::SuccessResponse, 1)),
    ];
    let result = found(&pcap(101, &packets));
    let mut summary = Summary::default();
    result.messages.iter().for_each(|message| summary.add(message));
    let text = summary::human(&summary, 1_000);
    let rows: Vec<Vec<&str>> =
        text.lines().map(|row| row.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect()).collect();
    let (client, to) = ("udp 192.0.2.1:5000", "198.51.100.1:3478");
    let expected: &[&[&str]] = &[
        &["packet", "seconds", "client", "server", "request", "response", "RTT (ms)", "retransmissions", "error"],
        &["1", "0.000", client, to, "Binding", "192.0.2.7:5000", "1000.0–2000.0", "1"],
        &["5", "4.000", client, to, "Binding", "error", "1000.0", "0", "401 Unauthenticated"],
        &["7", "6.000", client, to, "Binding", "none", "2"],
        &["10", "9.000", client, to, "Binding", "192.0.2.7:5000", "1000.0", "0", "response from 198.51.100.2:3478"],
        &["12", "11.000", client, to, "Binding", "success", "0", "no request"],
        &["14", "13.000", client, "198.51.100.1:3478 channel 0x4001", "Binding", "success", "1000.0", "0"],
    ];
    assert_eq!(rows[..expected.len()], *expected, "{text}");
    let last = "6 transaction(s): 4 success, 1 error, 1 without a response; 3 retransmission(s). 1 indication(s), 2 \
                ChannelData message(s).";
    assert_eq!(text.lines().last(), Some(last));

    let json: serde_json::Value = serde_json::from_str(&summary::json(&summary, &result)).unwrap();
    assert_eq!((&json["schema"], &json["packets"]), (&"portolan.explain.summary/1".into(), &15.into()));
    let first = &json["transactions"][0];
    assert_eq!((&first["requests"], &first["retransmissions"], &first["responses"]), (&2.into(), &1.into(), &2.into()));
    assert_eq!(
        (&first["rtt_ms"], &first["rtt_most_ms"], &first["mapped"]),
        (&1000.0.into(), &2000.0.into(), &"192.0.2.7:5000".into())
    );
    assert_eq!(
        (&first["response"], &first["response_packet"], &first["client"]),
        (&"success".into(), &3.into(), &"192.0.2.1:5000".into())
    );
    let second = &json["transactions"][1];
    assert_eq!((&second["error_code"], &second["error_reason"]), (&401.into(), &"Unauthenticated".into()));
    assert!(json["transactions"][2].get("response").is_none() && second.get("rtt_most_ms").is_none());
    assert_eq!(json["transactions"][3]["response_from"], "198.51.100.2:3478");
    assert_eq!((&json["transactions"][5]["channel"], &json["channel_data"]), (&0x4001.into(), &2.into()));
}

/// Messages without packets have no addresses and no times. A malformed response is marked.
#[test]
fn the_summary_of_messages_without_packets_matches_transaction_ids() {
    let mut response = of_class(Class::SuccessResponse, 1, &[]);
    response.extend([0, 0x20, 0, 8]);
    let messages = [of_class(Class::Request, 1, &[]), response, of_class(Class::Request, 2, &[]), vec![22, 254, 253]];
    let mut summary = Summary::default();
    messages.iter().for_each(|bytes| summary.add(&Message::alone(bytes)));
    let rows: Vec<Vec<String>> = summary::human(&summary, 1_000)
        .lines()
        .map(|row| row.split_whitespace().map(str::to_owned).collect())
        .collect();
    assert_eq!(rows[1], ["Binding", "success", "0", "malformed"]);
    assert_eq!(rows[2], ["Binding", "none", "0"]);
}

#[test]
fn a_truncated_capture_gives_its_complete_packets() {
    let file = pcap(101, &[udp(5000, 3478, &message()), udp(5000, 3478, &message())]);
    let torn = found(&file[..file.len() - 1]);
    assert_eq!((torn.messages.len(), torn.torn.is_some()), (1, true));
    assert!(matches!(find(&file[..23]), Err(ExplainError::Capture(CaptureError::Header { at: 0 }))));
}

#[test]
fn truncation_by_the_capture_is_no_error_of_the_message() {
    let mut file = pcap(101, &[udp(5000, 3478, &message())[..60].to_vec()]);
    // The fourth word of the record: the length of the packet.
    file[24 + 12] = 68;
    let found = found(&file);
    assert_eq!(bytes_of(&found), [message()[..32].to_vec()]);
    let (text, wrong) = human(&found);
    assert!(!wrong && text.contains("32 bytes, cut off by the capture\n"), "{text}");
    // The same bytes as a whole packet are wrong.
    file[24 + 12] = 60;
    assert!(human(&self::found(&file)).1);
}

#[test]
fn a_check_through_a_relay_is_explained_inside_its_channel() {
    let channel = [&[0x40, 1, 0, 40], &message()[..]].concat();
    let found = found(&pcap(101, &[udp(5000, 3478, &channel)]));
    let (text, wrong) = human(&found);
    assert!(!wrong, "{text}");
    let result: Vec<&str> = text.lines().collect();
    assert_eq!(
        result[..5],
        [
            "Packet 1, 2001-09-09T01:46:40.500000Z, udp 192.0.2.1:5000 > 198.51.100.1:3478, 44 bytes",
            "   0  4001                                  channel number: 0x4001 (RFC 8656 §12)",
            "   2  0028                                  data length: 40 bytes after the head (RFC 8656 §12.4)",
            "   4  01010014 2112a442 07070707 07070707…  application data: 40 bytes, a STUN message (RFC 8656 §12.4)",
            "         0  0101                                  message type: Binding success response (RFC 8489 §5)",
        ]
    );
    assert!(text.ends_with("\n1 message in 1 packet: nothing is wrong.\n"), "{text}");
    let json: serde_json::Value = self::json(&found);
    let message = &json["messages"][0];
    assert_eq!((&message["kind"], &message["channel"]), (&"channel-data".into(), &0x4001.into()));
    assert_eq!((message["lines"].as_array().unwrap().len(), &message["inside"][0]["bytes"]), (3, &"0101".into()));
}

/// An error in ChannelData counts, and so does a truncated message in it.
#[test]
fn an_invalid_message_inside_a_channel_is_an_error() {
    let broken = [&[0x40, 1, 0, 36], &message()[..36]].concat();
    let short = [&[0x40, 1, 0, 200], &b"hi"[..]].concat();
    for bytes in [broken, short] {
        let found = Found { source: "binary", messages: vec![Message::alone(&bytes)], ..Found::default() };
        let json: serde_json::Value = self::json(&found);
        assert_eq!((human(&found).1, &json["messages"][0]["wrong"]), (true, &true.into()), "{json}");
        assert_eq!(json["messages"][0]["kind"], "channel-data");
    }
}

/// Bytes that are neither STUN nor ChannelData are named as such, and are no error.
#[test]
fn other_protocols_are_named() {
    let result = |bytes: &[&[u8]]| {
        let messages = bytes.iter().map(|bytes| Message::alone(bytes)).collect();
        human(&Found { source: "binary", messages, ..Found::default() })
    };
    let (text, wrong) = result(&[&[22, 254, 253]]);
    assert!(!wrong && text.contains("DTLS: identified by its first bytes"), "{text}");
    assert!(text.ends_with("\n1 message: neither STUN nor ChannelData.\n"), "{text}");
    let (text, wrong) = result(&[&[22, 254, 253], &message()]);
    assert!(!wrong && text.ends_with("\n2 messages: nothing is wrong; 1 neither STUN nor ChannelData.\n"), "{text}");
}

/// Every prefix, and every byte inverted, of both formats: no panic, no endless loop.
#[test]
fn no_bytes_panic() {
    let packets = [ethernet(&udp(5000, 3478, &message())), ethernet(&tcp(1, &message()))];
    for file in [
        pcap(1, &packets),
        pcapng(&packets),
        message(),
        ethernet(&udp(5000, 3478, &message())),
        b"0000: 00 01\n".to_vec(),
        b"IP a > b\n\t0x0000:  45\n".to_vec(),
    ] {
        for at in 0..file.len() {
            let _ = find(&file[..at]).map(|found| (human(&found), report::json(&found, true)));
            for bits in [0xff, 0x80, 1] {
                let mut bent = file.clone();
                bent[at] ^= bits;
                let _ = find(&bent).map(|found| (human(&found), report::json(&found, true)));
            }
        }
    }
}

/// Bytes are a packet only by their lengths: with one byte more or less they are explained as they are.
#[test]
fn bytes_are_a_packet_if_every_length_matches() {
    let packet = udp(5000, 3478, &message());
    for (whole, word) in
        [(packet.clone(), "ip"), (ethernet(&packet), "ethernet"), (ethernet(&tcp(1, &message())), "ethernet")]
    {
        let result = found(&whole);
        assert_eq!((bytes_of(&result), result.packets, result.skipped), (vec![message()], 1, 0));
        assert!(matches!(&result.messages[0].origin, Some(Origin::Frame(frame)) if frame.word() == word));
        let longer = [&whole[..], &[0]].concat();
        for other in [&longer, &whole[..whole.len() - 1]] {
            assert_eq!(bytes_of(&found(other)), [other.to_vec()], "{word}");
        }
        // Truncated bytes, whose lengths do not match any more.
        assert_eq!(Frame::of(&whole[..40]).map(|(frame, _)| frame), None);
    }
    let mut short = packet.clone();
    // The UDP length is one byte less than the IP length says.
    short[25] -= 1;
    assert_eq!(bytes_of(&found(&short)), [short]);
    let two = [ethernet(&packet), ethernet(&udp(4000, 3478, &message()))]
        .map(|frame| frame.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
    let result = found(two.join("\n\n").as_bytes());
    assert_eq!((result.source, result.packets, result.messages.len()), ("hex", 2, 2));
    let dns = udp(5000, 53, &[0; 12]);
    assert!(matches!(find(&dns), Err(ExplainError::NoMessage { packets: 1, skipped: 0 })));
}

/// A valid message whose transaction id and unknown attribute look like an Ethernet type and an IPv4 packet with
/// matching lengths.
#[test]
fn a_message_that_looks_like_a_frame_is_a_message() {
    let mut packet = udp(5000, 3478, &[7; 2]);
    // Flags, time to live and protocol: the attribute has type 0x8000 and length 17.
    (packet[6], packet[8]) = (0x80, 0);
    let mut disguised = vec![0, 1, 0, 24, 0x21, 0x12, 0xa4, 0x42, 9, 9, 9, 9, 8, 0];
    disguised.extend_from_slice(&packet);
    assert!(portolan_stun::Message::decode(&disguised).is_ok());
    let result = found(&disguised);
    assert_eq!((bytes_of(&result), result.packets), (vec![disguised.clone()], 0));
    // With another cookie the same bytes are a frame.
    disguised[4] = 0x20;
    assert!(matches!(find(&disguised), Err(ExplainError::NoMessage { packets: 1, .. })));
    // ChannelData that fills the bytes stays ChannelData.
    let data = ethernet(&packet);
    let length = u16::try_from(data.len() - 4).unwrap().to_be_bytes();
    let channel = [&[0x40, 1, length[0], length[1]], &data[4..]].concat();
    assert_eq!(bytes_of(&found(&channel)), [channel]);
}

const HEADING: &str = "12:00:00.000000 IP 192.0.2.1.5000 > 198.51.100.1.3478: UDP, length 40";

/// Formats bytes like tcpdump.
fn rows(bytes: &[u8]) -> String {
    let rows = bytes.chunks(16).enumerate().map(|(row, bytes)| {
        let words = bytes.chunks(2).map(|word| word.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
        format!("\t0x{:04x}:  {}\n", row * 16, words.collect::<Vec<_>>().join(" "))
    });
    rows.collect()
}

/// Short frames are padded to 60 bytes, and hardware addresses may begin like an IP header.
#[test]
fn a_frame_that_tcpdump_prints_is_no_ip_packet() {
    let channel = [&[0x40, 1, 0, 2], &b"hi"[..]].concat();
    let mut frame = [&[0x48, 0, 0, 0x30, 0, 0, 0, 0, 64, 17, 0, 0, 8, 0], &udp(5000, 3478, &channel)[..]].concat();
    frame.resize(60, 0);
    assert!(capture::inside(pcap_parser::Linktype::RAW, &frame).is_some_and(|packet| packet.transport.is_some()));
    assert_eq!(bytes_of(&found(format!("{HEADING}\n{}", rows(&frame)).as_bytes())), [channel]);
}

#[test]
fn truncation_by_tcpdump_is_no_error_of_the_message() {
    let packet = udp(5000, 3478, &message());
    for (bytes, is_cut) in [(&packet[..], false), (&packet[..60], true)] {
        let result = found(format!("{HEADING}\n{}", rows(bytes)).as_bytes());
        assert_eq!((result.source, bytes_of(&result)), ("tcpdump", vec![bytes[28..].to_vec()]));
        let (text, wrong) = human(&result);
        assert!(!wrong && text.contains("cut off by the capture") == is_cut, "{text}");
        assert!(text.contains(&format!("\n  tcpdump: {HEADING}\n")), "{text}");
    }
    // Packets without bytes count as skipped.
    let text =
        format!("12:00:00.000001 ARP, Request who-has 10.0.0.1 tell 10.0.0.2, length 28\n{HEADING}\n{}", rows(&packet));
    assert_eq!((found(text.as_bytes()).packets, found(text.as_bytes()).skipped), (2, 1));
}

#[test]
fn bytes_after_channel_data_are_explained() {
    let channel = [&[0x40, 1, 0, 2], &b"hi"[..]].concat();
    // Bytes up to a multiple of four are padding.
    for (follow, wrong) in [(0, false), (2, false), (3, true), (600, true)] {
        let bytes = [&channel[..], &vec![0xee; follow]].concat();
        let messages = vec![Message::alone(&bytes)];
        let found = Found { source: "binary", messages, ..Found::default() };
        let (text, is_wrong) = human(&found);
        assert_eq!(is_wrong, wrong, "{text}");
        assert_eq!(text.contains("after the data: more bytes than the length field states"), wrong, "{text}");
        // The JSON has each byte once, and marks the wrong line.
        let json = self::json(&found);
        assert_eq!(json["messages"][0]["wrong"], wrong);
        let lines = json["messages"][0]["lines"].as_array().unwrap();
        let all: String = lines.iter().filter_map(|line| line["bytes"].as_str()).collect();
        assert_eq!(all, bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
        let result: Vec<_> =
            lines.iter().filter(|line| line["wrong"] == true).map(|line| line["at"].as_u64()).collect();
        assert_eq!(result, if wrong { vec![Some(8)] } else { vec![] }, "{json}");
    }
}

/// Padding and check sequence of Ethernet are not part of the packet, and are named. Other bytes make it no frame.
#[test]
fn a_frame_may_have_padding_and_a_check_sequence_after_its_packet() {
    let bare = [0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9];
    let short = ethernet(&ip(17, &[&[19, 136, 13, 150, 0, 18, 0, 0][..], &[0x40, 1, 0, 6], b"abcdef"].concat()));
    let long = ethernet(&udp(5000, 3478, &message()));
    let filled = |mut frame: Vec<u8>, length| {
        frame.resize(length, 0xee);
        frame
    };
    // The check sequences were computed with zlib.
    let checked = |frame: Vec<u8>, check: [u8; 4]| [frame, check.to_vec()].concat();
    assert_eq!((short.len(), long.len()), (52, 82));
    for (frame, padding, check) in [
        (long.clone(), None, None),
        (filled(short.clone(), 60), Some(8), None),
        (checked(filled(short.clone(), 60), [0x61, 0xa3, 0xa6, 0x44]), Some(8), Some("right")),
        (checked(long.clone(), [0xcb, 0x00, 0xdb, 0xbf]), None, Some("right")),
        (checked(long.clone(), [1, 2, 3, 4]), None, Some("wrong")),
        (checked(filled(short.clone(), 60), [1, 2, 3, 4]), Some(8), Some("wrong")),
    ] {
        let result = found(&frame);
        assert_eq!((result.packets, result.messages.len()), (1, 1), "{padding:?}, {check:?}");
        let Some(Origin::Frame(frame)) = result.messages[0].origin else { panic!("no frame") };
        assert_eq!((frame.padding(), frame.check()), (padding, check));
        let json: serde_json::Value = self::json(&result);
        let message = &json["messages"][0];
        assert_eq!(message.get("frame_padding").and_then(serde_json::Value::as_u64), padding.map(|some| some as u64));
        assert_eq!(message.get("frame_check").and_then(serde_json::Value::as_str), check);
        let text = human(&result).0;
        assert_eq!(text.contains("; after the packet 8 bytes of padding"), padding.is_some(), "{text}");
        assert_eq!(text.contains("a frame check sequence that is right"), check == Some("right"), "{text}");
        assert_eq!(text.contains("four bytes that are not its frame check sequence"), check == Some("wrong"), "{text}");
    }
    for frame in [filled(short.clone(), 61), filled(short, 59), filled(long, 85)] {
        assert_eq!((bytes_of(&found(&frame)), found(&frame).packets), (vec![frame.clone()], 0));
    }
    // An IP packet without a link header has no trailer.
    let longer = [&udp(5000, 3478, &bare)[..], &[0; 4]].concat();
    assert_eq!(found(&longer).packets, 0);
}
