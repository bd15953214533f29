//! Tests of the replaced values, of the kept values, and of the relations between values.

use super::*;
use alloc::format;
use alloc::string::{String, ToString};

/// Scrubs lines after a head without secrets. Returns the scrubbed lines.
fn scrubbed(lines: &str) -> String {
    let head = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n";
    let text = format!("{head}{}", lines.replace('\n', "\r\n"));
    let scrubbed = scrub(&Session::read(text.as_bytes()).unwrap()).to_string();
    scrubbed.strip_prefix(head).unwrap().replace("\r\n", "\n")
}

#[test]
fn each_kind_of_address_has_its_own_range() {
    for (address, replacement) in [
        ("8.8.8.8", "198.51.100.1"),
        ("10.0.0.1", "192.0.2.1"),
        ("100.64.0.1", "192.0.2.1"),
        ("169.254.1.1", "192.0.2.1"),
        ("233.252.0.9/127/3", "233.252.0.1/127/3"),
        ("0.0.0.0", "0.0.0.0"),
        ("127.0.0.1", "127.0.0.1"),
        ("2a00::1", "2001:db8::1"),
        ("fd12::1", "2001:db8:fd00::1"),
        ("fe80::1%eth0", "2001:db8:fe80::1%1"),
        ("ff15::101/3", "ff05::db8:0:1/3"),
        ("::ffff:10.0.0.1", "::ffff:192.0.2.1"),
        ("::1", "::1"),
        ("media.big.company", "host-1.example"),
        ("6b16dae2-8a0b-42d1-9f6f-2f3b8b0d6f47.LOCAL", "host-1.local"),
        ("localhost", "localhost"),
        ("10.1.1.1.1.", "999.999.999.1"),
        ("{{name}}", "{{xaxa}}"),
    ] {
        let kind = if address.contains(':') { "IP6" } else { "IP4" };
        assert_eq!(scrubbed(&format!("c=IN {kind} {address}\n")), format!("c=IN {kind} {replacement}\n"));
    }
}

#[test]
fn many_addresses_have_different_replacements() {
    let mut aliases = Aliases::default();
    let mut seen = alloc::collections::BTreeSet::new();
    for number in 0..70_000_u32 {
        let ip = core::net::Ipv4Addr::from(0x0800_0000 + number);
        let mut out = Vec::new();
        aliases.address(ip.to_string().as_bytes(), &mut out);
        seen.insert(out);
    }
    assert_eq!(seen.len(), 508 + 65_536, "all later addresses share the last replacement");
}

#[test]
fn values_with_a_fixed_length_keep_the_length() {
    for (line, replacement) in [
        ("a=ice-ufrag:aB3+", "a=ice-ufrag:u001"),
        ("a=ice-pwd:abcdefghijklmnopqrstuv", "a=ice-pwd:pwd0000000000000000001"),
        (
            "a=fingerprint:sha-1 4A:ad:B9:B1:3F:82:18:3B:54:02:12:DF:3E:5D:49:6B:19:E5:7C:AB",
            "a=fingerprint:sha-1 aa:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:01",
        ),
        ("a=tls-id:abc3de65cddef001be82", "a=tls-id:id000000000000000001"),
        (
            "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:PS1uQCVeeCFCanVmcjkpPywjNWhcYD0mXXtxaVBR|2^20|1:32;inline:QUJDREVGRw== KDR=1 FEC_KEY=inline:QUJD x=secret",
            "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA0001|2^20|1:32;inline:AAAAA0002A== KDR=1 FEC_KEY=inline:0003 value-1",
        ),
        (
            "a=crypto:1  AES_CM_128_HMAC_SHA1_80\tmikey:c2VjcmV0 KDR=1",
            "a=crypto:1  AES_CM_128_HMAC_SHA1_80\tmikey:value-1 KDR=1",
        ),
        ("k=base64:QUJDREVG", "k=base64:AAAA0001"),
        ("k=clear:hunter2", "k=clear:value-1"),
        ("k=uri:https://keys.big.company/7", "k=uri:https://host.example/1"),
        ("k=prompt", "k=prompt"),
    ] {
        assert_eq!(scrubbed(&format!("{line}\n")), format!("{replacement}\n"));
    }
}

#[test]
fn relations_between_values_are_kept() {
    assert_eq!(
        scrubbed(
            "a=candidate:842163049 1 udp 1677729535 1.2.3.4 5 typ srflx raddr 10.0.0.9 rport 6 generation 0 ufrag Zk3q network-id 1\n\
             a=candidate:842163049 1 tcp 1518280447 10.0.0.9 9 typ host tcptype active x-mine what\n\
             a=ice-ufrag:Zk3q\na=remote-candidates:1 10.0.0.9 7\na=rtcp:9 IN IP4 1.2.3.4\n\
             a=source-filter: incl IN IP4 232.3.4.5 1.2.3.4\n"
        ),
        "a=candidate:1 1 udp 1677729535 198.51.100.1 5 typ srflx raddr 192.0.2.1 rport 6 generation 0 ufrag u001 network-id 1\n\
         a=candidate:1 1 tcp 1518280447 192.0.2.1 9 typ host tcptype active host-1.example host-2.example\n\
         a=ice-ufrag:u001\na=remote-candidates:1 192.0.2.1 7\na=rtcp:9 IN IP4 198.51.100.1\n\
         a=source-filter: incl IN IP4 233.252.0.1 198.51.100.1\n"
    );
    assert_eq!(
        scrubbed(
            "a=msid-semantic: WMS abc *\na=msid:abc def\na=msid:- def\na=ssrc:7 msid:abc def\na=ssrc:7 mslabel:abc\na=ssrc:7 cname:me@home\na=ssrc:8 cname:me@home\n"
        ),
        "a=msid-semantic: WMS id-1 *\na=msid:id-1 id-2\na=msid:- id-2\na=ssrc:7 msid:id-1 id-2\na=ssrc:7 mslabel:id-1\na=ssrc:7 cname:cname-1\na=ssrc:8 cname:cname-1\n"
    );
}

#[test]
fn one_scrubber_is_consistent_over_descriptions() {
    let of = |address: &str| format!("v=0\r\no=- 1 1 IN IP4 {address}\r\ns=-\r\nt=0 0\r\n");
    let (offer, answer) = (of("9.9.9.9"), of("8.8.8.8"));
    let mut scrubber = Scrubber::new();
    for (text, replacement) in [(&offer, "198.51.100.1"), (&answer, "198.51.100.2"), (&offer, "198.51.100.1")] {
        assert_eq!(scrubber.scrub(&Session::read(text.as_bytes()).unwrap()).to_string(), of(replacement));
    }
    assert_eq!(format!("{scrubber:?}"), "Scrubber { replaced: 2 }");
}

#[test]
fn identities_of_clocks_and_tracks_are_replaced() {
    for (line, replacement) in [
        (
            "a=ts-refclk:ptp=IEEE1588-2008:39-A7-94-FF-FE-07-CB-D0:37",
            "a=ts-refclk:ptp=IEEE1588-2008:00-00-00-00-00-00-00-01:37",
        ),
        ("a=ts-refclk:ptp=IEEE1588-2008:traceable", "a=ts-refclk:ptp=IEEE1588-2008:traceable"),
        ("a=ts-refclk:localmac=7C-E9-D3-1B-9A-AF", "a=ts-refclk:localmac=00-00-00-00-00-01"),
        ("a=ts-refclk:ntp=9.9.9.9", "a=ts-refclk:ntp=198.51.100.1"),
        ("a=ts-refclk:ntp=clock.big.company:123", "a=ts-refclk:ntp=host-1.example:123"),
        ("a=mediaclk:direct=963214424 rate=1000/1001", "a=mediaclk:direct=963214424 rate=1000/1001"),
        ("a=mediaclk:id=MDA6NjA6MmI6MjA6MTI6MWY= sender", "a=mediaclk:id=AAAAAAAAAAAAAAAAAA0001A= sender"),
        ("a=control:*", "a=control:*"),
        ("a=control:trackID=1", "a=control:trackID=1"),
        ("a=control:rtsp://me:secret@9.9.9.9/cam/1", "a=control:rtsp://host.example/control-1"),
    ] {
        assert_eq!(scrubbed(&format!("{line}\n")), format!("{replacement}\n"));
    }
}

#[test]
fn unknown_and_invalid_values_are_replaced() {
    for (line, replacement) in [
        ("a=x-account:4711", "a=x-account:value-1"),
        ("a=me@home", "a=xa@xxxa"),
        ("a=fingerprint:secret", "a=fingerprint:value-1"),
        ("y=secret", "y=value-1"),
        ("a stray line = secret", "value-1"),
        ("", ""),
        ("t=yesterday", "t=xaxxaxaax"),
        ("m=audio 9", "m=audio 9"),
        ("a=candidate:1 1 udp notanumber 10.0.0.1 70000", "a=candidate:1 1 udp xxxaxxxaax 192.0.2.1 70000"),
        ("a=fmtp:96 x=10.0.0.1;y", "a=fmtp:96 x=192.0.2.1;y"),
        ("a=ptime:20\u{1}secret", "a=ptime:20\u{1}xaaxax"),
    ] {
        assert_eq!(scrubbed(&format!("{line}\n")), format!("{replacement}\n"));
    }
}

#[test]
fn addresses_and_names_are_found_anywhere_in_a_list_of_parameters() {
    for (lines, replacement) in [
        ("a=fmtp:96 v=v10.0.0.1_2;udp:10.0.0.1:53", "a=fmtp:96 v=v192.0.2.1_2;udp:192.0.2.1:53"),
        ("a=fmtp:96 10.0.0.1-10.0.0.2.", "a=fmtp:96 192.0.2.1-192.0.2.2."),
        ("a=fmtp:96 from 2a02:4780::. to=[2a02:4780::1]:9", "a=fmtp:96 from 2001:db8::1. to=[2001:db8::2]:9"),
        ("a=mid:10.0.0.1\na=group:BUNDLE 10.0.0.1", "a=mid:192.0.2.1\na=group:BUNDLE 192.0.2.1"),
        ("a=msid-semantic:  10.0.0.1 a", "a=msid-semantic:  192.0.2.1 id-1"),
        ("a=ssrc:7 10.0.0.1", "a=ssrc:7 192.0.2.1"),
        (
            "a=candidate:1 1 Tcp 7 10.0.0.1 9 tYp Host tcpType SO",
            "a=candidate:1 1 Tcp 7 192.0.2.1 9 tYp Host tcpType SO",
        ),
        (
            "a=candidate:1 1 udp 7 10.0.0.1 9 typ srflx raddr ufrag rport 9 ufrag abcd",
            "a=candidate:1 1 udp 7 192.0.2.1 9 typ srflx raddr ufrag rport 9 ufrag u001",
        ),
        ("a=imageattr:97 send [x=8,y=6]\trecv [x=3,y=2]", "a=imageattr:97 send [x=8,y=6]\trecv [x=3,y=2]"),
        ("a=x-10.0.0.1:1", "a=x-192.0.2.1:value-1"),
        // The key is shorter than its number.
        ("a=mediaclk:id=255= sender", "a=mediaclk:id=AA0001A= sender"),
        ("a=mediaclk:id=25== sender", "a=mediaclk:id=A0001A== sender"),
        // A value occurs in a line before its definition, next to other text, and as a parameter name.
        ("a=fmtp:96 x=aB/c;aB/c=1;q:aB/c@z\na=ice-ufrag:aB/c", "a=fmtp:96 x=u001;aB/c=1;q:u001@z\na=ice-ufrag:u001"),
        // Only the word with a byte that is not ASCII is replaced, so that the value is still parsed in the same way.
        ("a=ssrc:7 msid:str\u{e4}m track", "a=ssrc:7 msid:id-1 id-2"),
        ("a=fmtp:96 x=\u{e4};y=1", "a=fmtp:96 x=value-1;y=1"),
        ("a=fmtp:96 \u{e4}=z:aB/c\na=ice-ufrag:aB/c", "a=fmtp:96 value-1=z:u001\na=ice-ufrag:u001"),
    ] {
        assert_eq!(scrubbed(&format!("{lines}\n")), format!("{replacement}\n"));
    }
}
