//! One valid line of each kind, to show to a user whose line is invalid.
//!
//! Rules of this file: an example has values that real endpoints write, with addresses for documentation (RFC 5737, RFC
//! 3849) and made-up secrets. The tests check that each example is parsed strictly, and written back unchanged.
//!
//! ```
//! use portolan_sdp::{Reader, example};
//!
//! let reading = Reader::lenient().read(b"v=0\r\na=rtpmap:0 PCMU\r\n")?;
//! let line = reading.session.line(1).ok_or("two lines")?;
//! let refused = line.typed().ok_or("an attribute")?.unwrap_err();
//! assert_eq!(refused.to_string(), "line 2, column 16: expected / and a clock rate, found the end (RFC 8866 §6.6)");
//! assert_eq!(example::of(line.text()), Some("a=rtpmap:111 opus/48000/2"));
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```

use crate::line::{Kind, name_and_value};

/// Returns an example for the text of a line: chosen by the letter, and for an attribute by the name.
///
/// `None` if the kind or the name is not known.
#[must_use]
pub fn of(text: &[u8]) -> Option<&'static str> {
    match text {
        [b'a', b'=', text @ ..] => attribute(name_and_value(text).0),
        _ => kind(Kind::of(text)),
    }
}

/// Returns an example of a line by its kind; `None` for `a=`, which needs a name, and for stray lines.
#[must_use]
pub fn kind(kind: Kind) -> Option<&'static str> {
    let letter = kind.letter().filter(|letter| *letter != b'a')?;
    LINES.iter().copied().find(|line| line.as_bytes().first() == Some(&letter))
}

/// Returns an example of an attribute by its name; `None` if the name has no type.
#[must_use]
pub fn attribute(name: &[u8]) -> Option<&'static str> {
    let is_named = |line: &&str| line.as_bytes().get(2..).is_some_and(|text| name_and_value(text).0 == name);
    ATTRIBUTES.iter().copied().find(is_named)
}

/// RFC 8866 §5.
const LINES: [&str; 14] = [
    "v=0",
    "o=- 4962303333179871722 1 IN IP4 192.0.2.1",
    "s=-",
    "i=Sound of the main hall",
    "u=https://example.com/session",
    "e=alice@example.com (Alice)",
    "p=+1 617 555-6011",
    "c=IN IP4 192.0.2.1",
    "b=AS:512",
    "t=0 0",
    "r=7d 1h 0 25h",
    "z=2882844526 -1h 2898848070 0",
    "k=prompt",
    "m=audio 49170 RTP/AVP 0 8",
];

const ATTRIBUTES: [&str; 61] = [
    // WebRTC.
    "a=candidate:1 1 UDP 2130706431 192.0.2.1 49170 typ host",
    "a=ice-ufrag:8hhY",
    "a=ice-pwd:asd88fgpdd777uzjYhagZg",
    "a=ice-options:trickle ice2",
    "a=ice-pacing:50",
    "a=remote-candidates:1 192.0.2.3 45664",
    "a=fingerprint:sha-256 \
     19:E2:1C:3B:4B:9F:81:E6:B8:5C:F4:A5:A8:D8:73:04:BB:05:2F:70:9F:04:A9:0E:05:E9:26:33:E8:70:88:A2",
    "a=setup:actpass",
    "a=tls-id:91bbf309c0990a6bec11e38ba2933cee",
    "a=group:BUNDLE 0 1",
    "a=msid:stream track",
    "a=msid-semantic:WMS *",
    "a=rtpmap:111 opus/48000/2",
    "a=fmtp:111 minptime=10;useinbandfec=1",
    "a=rtcp-fb:96 nack pli",
    "a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid",
    "a=rtcp:9 IN IP4 0.0.0.0",
    "a=ssrc:314159 cname:user@example.com",
    "a=ssrc-group:FID 314159 271828",
    "a=rid:hi send pt=96;max-width=1280",
    "a=simulcast:send hi;lo recv mid",
    "a=sctp-port:5000",
    "a=max-message-size:262144",
    "a=sctpmap:5000 webrtc-datachannel 1024",
    "a=mid:0",
    "a=sendrecv",
    "a=sendonly",
    "a=recvonly",
    "a=inactive",
    "a=rtcp-mux",
    "a=rtcp-mux-only",
    "a=rtcp-rsize",
    "a=extmap-allow-mixed",
    "a=bundle-only",
    "a=ice-lite",
    "a=ice-mismatch",
    "a=end-of-candidates",
    "a=cryptex",
    // RFC 8866 §6.
    "a=cat:foo.bar",
    "a=keywds:networks meetings",
    "a=tool:portolan 0.1",
    "a=type:meeting",
    "a=charset:ISO-8859-1",
    "a=sdplang:fr",
    "a=lang:de",
    "a=orient:landscape",
    "a=ptime:20",
    "a=maxptime:120",
    "a=framerate:29.97",
    "a=quality:10",
    // Identification and transport of streams.
    "a=label:1",
    "a=content:slides,speaker",
    "a=imageattr:97 send [x=800,y=640,sar=1.1,q=0.6] recv [x=330,y=250]",
    "a=connection:new",
    "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj|2^20|1:32",
    "a=rtcp-xr:rcvr-rtt=all stat-summary=loss,dup",
    "a=source-filter: incl IN IP4 232.3.4.5 192.0.2.10",
    // RTSP and professional media.
    "a=control:trackID=1",
    "a=range:npt=0-7.741",
    "a=ts-refclk:ptp=IEEE1588-2008:39-A7-94-FF-FE-07-CB-D0:37",
    "a=mediaclk:direct=0",
];

#[cfg(test)]
mod tests {
    use super::{ATTRIBUTES, LINES, attribute, kind};
    use crate::attribute::Attribute;
    use crate::line::{Kind, name_and_value};
    use crate::reader::Reader;
    use alloc::format;
    use alloc::string::{String, ToString};

    #[test]
    fn every_typed_attribute_has_an_example_that_round_trips() {
        for name in Attribute::NAMES {
            let name = name.as_bytes();
            let line = attribute(name).unwrap_or_else(|| panic!("{}", name.escape_ascii()));
            let (read, value) = name_and_value(&line.as_bytes()[2..]);
            let typed = Attribute::parse(read, value).unwrap_or_else(|error| panic!("{line}: {error}"));
            assert!(!matches!(typed, Attribute::Other { .. }), "{line}");
            assert_eq!((read, format!("a={typed}")), (name, line.to_string()));
        }
        assert_eq!(ATTRIBUTES.len(), Attribute::NAMES.len(), "no example occurs twice");
    }

    #[test]
    fn the_examples_of_lines_are_a_description_without_deviations() {
        let text: String = LINES.iter().flat_map(|line| [line, "\r\n"]).collect();
        let read = Reader::strict().read(text.as_bytes()).map(|reading| reading.session.line_count());
        assert_eq!(read, Ok(LINES.len()));
        for line in LINES {
            assert_eq!(kind(Kind::of(line.as_bytes())), Some(line));
        }
        assert_eq!((kind(Kind::Attribute), kind(Kind::Stray), attribute(b"x")), (None, None, None));
    }
}
