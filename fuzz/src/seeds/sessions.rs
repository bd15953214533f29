//! Seeds for the targets of session descriptions.

/// A line of each kind, and of each attribute that has its own grammar.
pub const LINES: &[&str] = &[
    "v=0",
    "o=- 4611731400430051336 2 IN IP4 127.0.0.1",
    "o=jdoe 3724394400 3724394405 IN IP6 2001:db8::1",
    "o=camera 1 1 IN IP4 cam.example",
    "s=-",
    "s= ",
    "s=Call to Jörg",
    "i=A seminar on session descriptions",
    "u=https://www.example.com/seminars/sdp.pdf",
    "e=j.doe@example.com (Jane Doe)",
    "p=+1 617 555-6011",
    "c=IN IP4 0.0.0.0",
    "c=IN IP4 233.252.0.1/127/3",
    "c=IN IP6 ff15::101/3",
    "c=IN IP6 2001:db8::2",
    "b=AS:64",
    "b=TIAS:128000",
    "b=X-YZ:128",
    "t=0 0",
    "t=3724394400 3724398000",
    "r=604800 3600 0 90000",
    "r=7d 1h 0 25h",
    "z=3730928400 -1h 3749680800 0",
    "k=prompt",
    "k=base64:c2VjcmV0",
    "m=audio 49170 RTP/AVP 0 8",
    "m=audio 9 UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110 126",
    "m=video 49170/2 RTP/AVP 31",
    "m=video 9 UDP/TLS/RTP/SAVPF 96 97",
    "m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
    "a=candidate:1467250027 1 udp 2122260223 192.0.2.34 46243 typ host generation 0 network-id 1",
    "a=candidate:2841136656 1 udp 1685987071 198.51.100.27 51472 typ srflx raddr 192.0.2.34 rport 51472",
    "a=candidate:4233069003 1 tcp 1518280447 2001:db8::5 9 typ host tcptype active",
    "a=candidate:1 2 UDP 2113937151 0b5d9a4e-7c2f.local 5000 typ relay raddr 0.0.0.0 rport 0 ufrag EsAw",
    "a=end-of-candidates",
    "a=ice-ufrag:EsAw",
    "a=ice-pwd:bP+XJMM09aR8AiX1jdukzR6Y",
    "a=ice-options:trickle ice2",
    "a=ice-lite",
    "a=ice-pacing:50",
    "a=remote-candidates:1 192.0.2.3 45664 2 192.0.2.3 45665",
    "a=fingerprint:sha-1 4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF:3E:5D:49:6B:19:E5:7C:AB",
    "a=setup:actpass",
    "a=setup:passive",
    "a=tls-id:89J2LRATQ3ULA24G9AHWVR31VJWSLB68",
    "a=group:BUNDLE 0 1 data",
    "a=mid:0",
    "a=msid:stream track",
    "a=msid:- track",
    "a=msid-semantic: WMS *",
    "a=rtcp:9 IN IP4 0.0.0.0",
    "a=rtcp:53020",
    "a=rtcp-mux",
    "a=rtcp-mux-only",
    "a=rtcp-rsize",
    "a=rtcp-fb:96 nack pli",
    "a=rtcp-fb:* ccm fir",
    "a=rtcp-fb:96 trr-int 100",
    "a=rtpmap:111 opus/48000/2",
    "a=rtpmap:96 VP8/90000",
    "a=fmtp:111 minptime=10;useinbandfec=1",
    "a=fmtp:97 apt=96",
    "a=fmtp:63 111/111",
    "a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level",
    "a=extmap:4096/sendonly urn:example:ext attribute one",
    "a=extmap-allow-mixed",
    "a=ssrc:1350000011 cname:uM3gIBC5fNsXBkqH",
    "a=ssrc:1350000011 msid:stream track",
    "a=ssrc-group:FID 1350000011 1350000012",
    "a=rid:hi send pt=96,97;max-width=1280;max-fps=30",
    "a=rid:lo recv",
    "a=simulcast:send hi;mid,~lo recv 1",
    "a=imageattr:97 send [x=800,y=640,sar=1.1,q=0.6] [x=480,y=320] recv [x=330,y=250]",
    "a=imageattr:* recv *",
    "a=sctp-port:5000",
    "a=max-message-size:262144",
    "a=sctpmap:5000 webrtc-datachannel 1024",
    "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj|2^20|1:32",
    "a=sendrecv",
    "a=inactive",
    "a=ptime:20",
    "a=maxptime:60",
    "a=framerate:29.97",
    "a=control:rtsp://cam.example/stream/track1",
    "a=range:npt=0-7.741",
    "a=range:clock=19961108T142300Z-19961108T143520Z",
    "a=range:smpte-25=10:07:00-10:07:33:05.01",
    "a=source-filter: incl IN IP4 233.252.0.2 192.0.2.10 192.0.2.11",
    "a=ts-refclk:ptp=IEEE1588-2008:39-A7-94-FF-FE-07-CB-D0:37",
    "a=ts-refclk:ntp=ntp.example",
    "a=mediaclk:direct=0",
    "a=mediaclk:direct=963214424 rate=48000/1001",
    "a=label:12",
    "a=content:slides,main",
    "a=bundle-only",
    "a=lang:de",
    "a=charset:ISO-8859-1",
    "a=type:broadcast",
    "a=orient:portrait",
    "a=quality:10",
    "a=cat:a.b",
    "a=keywds:nat traversal",
    "a=tool:portolan",
    "a=x-unknown:any bytes",
    "a=x-flag",
    "candidate:1467250027 1 udp 2122260223 192.0.2.34 46243 typ host generation 0",
    "2841136656 1 TCP 1685987071 2001:db8::1 9 typ srflx raddr :: rport 9 tcptype so",
    "x=unknown",
    "stray",
    "",
];

/// A description for each line of [`LINES`], and descriptions with six attributes each.
pub(super) fn all() -> Vec<Vec<u8>> {
    let head = "v=0\r\no=- 4611731400430051336 2 IN IP4 127.0.0.1\r\ns=-\r\n";
    let media = "t=0 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111 96\r\nc=IN IP4 0.0.0.0\r\n";
    let alone = LINES.iter().map(|line| match line.as_bytes() {
        [b'a', ..] => format!("{head}{media}{line}\r\n"),
        [b'm', ..] => format!("{head}t=0 0\r\n{line}\r\nc=IN IP4 0.0.0.0\r\n"),
        [b't', ..] => format!("{head}{line}\r\n"),
        [b'r', ..] => format!("{head}t=3724394400 3724398000\r\n{line}\r\n"),
        [b'z', ..] => format!("{head}t=3724394400 3724398000\r\nr=604800 3600 0\r\n{line}\r\n"),
        [b'v' | b'o' | b's', ..] => format!("{head}t=0 0\r\n"),
        [b'k', ..] => format!("{head}t=0 0\r\n{line}\r\n"),
        _ => format!("{head}{line}\r\nt=0 0\r\n"),
    });
    let mut all: Vec<Vec<u8>> = alone.map(String::into_bytes).collect();
    let attributes: Vec<&str> = LINES.iter().copied().filter(|line| line.starts_with("a=")).collect();
    for lines in attributes.chunks(6) {
        all.push(format!("{head}{media}{}\r\n", lines.join("\r\n")).into_bytes());
        all.push(format!("{head}{media}{}", lines.join("\n")).into_bytes());
    }
    all
}

/// Candidates outside a description.
pub(super) fn candidates() -> Vec<Vec<u8>> {
    const MORE: [&str; 9] = [
        "1 1 tcp 1518149375 2001:db8::7 9 typ host tcptype active generation 0",
        "2 1 TCP 1015021823 192.0.2.9 50002 typ relay raddr 2001:db8::9 rport 9 tcptype passive",
        "842163049 1 udp 1677729535 198.51.100.7 40000 typ srflx raddr 0.0.0.0 rport 0 ufrag EsAw network-cost 999",
        "3 2 UDP 659136 fe80::1%eth0 3478 typ prflx raddr fe80::2%1 rport 3478",
        "a+/9 256 ssltcp 1 host.example 443 typ host lone",
        " 0 UDP 0 192.0.2.1 0 typ x-new",
        "1 1 UDP 4294967295 ::ffff:192.0.2.1 65535 typ srflx",
        "1 1 udp 1 192.0.2.300 9 typ host",
        "1 1 udp 1 192.0.2.3 9 typ host raddr 192.0.2.400 rport 9 a  b c",
    ];
    let known = LINES.iter().copied().filter(|line| line.contains(" typ "));
    known.chain(MORE).map(|line| line.as_bytes().to_vec()).collect()
}

/// Returns the candidate lines of a description.
pub(super) fn candidates_of(whole: &[u8]) -> Vec<Vec<u8>> {
    let lines = whole.split(|byte| matches!(byte, b'\r' | b'\n')).filter(|line| line.starts_with(b"a=candidate:"));
    lines.map(<[u8]>::to_vec).collect()
}

/// The maximum length of a seed in bytes. Short inputs allow more executions.
const MOST: usize = 512;

/// Splits a real description into short ones: the session part with one media section each, and at most two
/// attributes of each name.
pub(super) fn parts(whole: &[u8]) -> Vec<Vec<u8>> {
    let lines: Vec<&[u8]> = whole.split_inclusive(|byte| *byte == b'\n').collect();
    let starts: Vec<usize> = (0..lines.len()).filter(|at| lines[*at].starts_with(b"m=")).collect();
    let head = first_lines(&lines[..starts.first().copied().unwrap_or(lines.len())], MOST);
    let section = |(nth, start): (usize, &usize)| {
        let end = starts.get(nth + 1).copied().unwrap_or(lines.len());
        let rest = MOST.saturating_sub(head.len());
        [&head[..], &first_lines(&lines[*start..end], rest)].concat()
    };
    let parts: Vec<Vec<u8>> = starts.iter().enumerate().map(section).collect();
    if parts.is_empty() { vec![head.clone()] } else { parts }
}

/// Returns the lines that fit into `room` bytes, with at most two attributes of each name.
fn first_lines(lines: &[&[u8]], room: usize) -> Vec<u8> {
    let (mut kept, mut names) = (Vec::new(), Vec::new());
    for line in lines {
        let name = line.split(|byte| matches!(byte, b':' | b' ' | b'\r' | b'\n')).next().unwrap_or_default();
        let is_many = line.starts_with(b"a=") && names.iter().filter(|known| **known == name).count() >= 2;
        if !is_many && kept.len() + line.len() <= room {
            names.push(name);
            kept.extend_from_slice(line);
        }
    }
    kept
}
