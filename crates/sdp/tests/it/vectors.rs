//! Descriptions written by hand: valid descriptions, and descriptions with deviations and their positions.

use portolan_sdp::diagnostic::{Diagnostic, LimitKind, Rule};
use portolan_sdp::line::Kind;
use portolan_sdp::{Limits, Reader};

/// Descriptions without a deviation.
pub(crate) const VALID: &[&str] = &[
    "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\n",
    // Every kind of line, in the order of the RFC.
    "v=0\r\no=carol 28908764872 28908764873 IN IP6 2001:db8::1\r\ns=Sextant, p\u{e4}rt 2\r\ni=How to find where one is\r\n\
     u=https://example.com/sextant\r\ne=Carol <carol@example.com>\r\ne=dave@example.com\r\np=+1 617 555-6011\r\n\
     c=IN IP6 ff15::101/3\r\nb=CT:1024\r\nb=X-YZ:128\r\nt=3724394400 3724398000\r\nr=604800 3600 0 90000\r\nr=7d 1h 0 25h\r\n\
     z=3730928400 -1h 3749680800 0\r\nt=3724484400 3724488000\r\na=recvonly\r\na=tool:quadrant 1.2\r\n\
     m=audio 49170 RTP/AVP 0 8 97\r\ni=The talk\r\nc=IN IP4 233.252.0.1/127/3\r\nc=IN IP4 233.252.1.1/127\r\nb=AS:64\r\n\
     a=rtpmap:97 iLBC/8000\r\nm=video 51372/2 RTP/AVP 99\r\na=rtpmap:99 h263-1998/90000\r\n\
     m=application 0 TCP/TLS/BFCP *\r\n",
    // Line endings of LF alone, which a reader should accept (RFC 8866 §5).
    "v=0\no=- 1 1 IN IP4 ship.example.com\ns= \nt=0 0\nm=audio 9 UDP/TLS/RTP/SAVPF 111\nc=IN IP4 0.0.0.0\na=mid:0\na=rtcp-mux\n",
];

#[test]
fn valid_descriptions_are_read_strictly() {
    for text in VALID {
        let reading = Reader::strict().read(text.as_bytes()).unwrap();
        assert_eq!(reading.session.to_bytes(), text.as_bytes());
        assert_eq!(reading.session.to_string(), *text);
    }
}

const HEAD: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\n";

/// The line, the column, and a part of the message.
type Expected = (usize, usize, &'static str);

/// Texts with their diagnostics.
const DEVIATIONS: &[(&str, &[Expected])] = &[
    ("v=0\r\ns=-\r\nt=0 0\r\n", &[(4, 1, "o= is missing (RFC 8866 §5.2)")]),
    (
        "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\nm=audio 9 RTP/AVP 0\r\nc=IN IP4 192.0.2.1\r\n",
        &[(3, 1, "s= is missing"), (3, 1, "t= is missing")],
    ),
    ("o=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\n", &[(1, 1, "the first line is not v=")]),
    ("\r\nv=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\n", &[(1, 1, "the line is empty")]),
    (
        "v=0\r\nH\n-\nt=0 0",
        &[
            (2, 1, "the line does not begin with a letter and \"=\""),
            (2, 2, "the line ends with LF alone"),
            (3, 1, "the line does not"),
            (4, 6, "the last line does not end"),
            (5, 1, "o= is missing"),
            (5, 1, "s= is missing"),
        ],
    ),
    (
        "H|s= \r\rt=0 0\r\n",
        &[(4, 1, "s= occurs a second time"), (4, 4, "the line ends with CR alone"), (5, 1, "the line is empty")],
    ),
    ("H|t=0 0\r\na=x:\0y\r\n", &[(5, 5, "the line holds a NUL byte")]),
    (
        "H|t=0 0\r\na=x:\r\na=\r\na= x\r\na=x y\r\n",
        &[
            (5, 5, "a= expected the value of the attribute, found the end"),
            (6, 3, "a= expected the name of an attribute, found the end"),
            (7, 3, "a= expected the name of an attribute, found a space"),
            (8, 4, "a= expected a colon or the end of the name, found a space"),
        ],
    ),
    (
        "H|c=IN IP4 192.0.2.1\r\nt=0 0\r\nb=AS:1\r\nz=3730928400 -1h\r\n",
        &[(6, 1, "b= is out of order after t= (RFC 8866 §9)"), (7, 1, "z= is out of order after t=")],
    ),
    ("H|t=0 0\r\ny=1\r\n =2\r\n", &[(5, 1, "y= is no line of a session description"), (6, 1, "0x20= is no line")]),
    (
        "H|t=0 0\r\nm=audio 9 RTP/AVP 0\r\na=x\r\nc=IN IP4 192.0.2.1\r\nu=x\r\n",
        &[(7, 1, "c= is out of order after a="), (8, 1, "u= is not allowed in a media description")],
    ),
    (
        "H|t=0 0\r\nm=audio 9 RTP/AVP 0\r\nc=IN IP4 192.0.2.1\r\ne=a@example.org\r\np=+1 1\r\n",
        &[
            (7, 1, "e= is not allowed in a media description (RFC 8866 §9)"),
            (8, 1, "p= is not allowed in a media description"),
        ],
    ),
    ("H|c=IN IP4 192.0.2.1\r\nc=IN IP4 192.0.2.2\r\nt=0 0\r\n", &[(5, 1, "c= occurs a second time (RFC 8866 §5.7)")]),
    (
        "H|t=0 0\r\nm=audio 9 RTP/AVP 0\r\na=x:\r\nm=audio 9 RTP/AVP 0\r\nc=IN IP4 192.0.2.1\r\n",
        &[(5, 1, "there is no c= for this media description (RFC 8866 §5.7)"), (6, 5, "a= expected the value")],
    ),
    (
        "v=1\r\no= \r\ns=\r\nt=0\r\nm=audio 65536 RTP/AVP 0\r\nc=IN IP4 192.0.2.256\r\nb=AS:-1\r\n",
        &[
            (1, 3, "v= expected version 0, found '1' (RFC 8866 §5.1)"),
            (2, 3, "o= expected a user name, or -, found a space"),
            (3, 3, "s= is empty"),
            (4, 4, "t= expected a space, found the end"),
            (5, 9, "m= expected a port, 0 to 65535, found '6'"),
            (6, 10, "c= expected an IPv4 address or a domain name, found '1'"),
            (7, 6, "b= expected a bandwidth in digits, at most 2^64 - 1, found '-'"),
        ],
    ),
];

/// Returns the offset of a line, counted from 1. Past the last line, returns the length of the text.
pub(crate) fn start_of(text: &[u8], line: usize) -> usize {
    let (mut at, mut line) = (0, line);
    while line > 1 && at < text.len() {
        at += match text[at..] {
            [b'\r', b'\n', ..] => {
                line -= 1;
                2
            }
            [b'\r' | b'\n', ..] => {
                line -= 1;
                1
            }
            _ => 1,
        };
    }
    at
}

/// Asserts that line and column match the span.
pub(crate) fn assert_position(text: &[u8], diagnostic: &Diagnostic) {
    assert_eq!(start_of(text, diagnostic.line) + diagnostic.column - 1, diagnostic.span.start, "{diagnostic}");
    assert!(
        diagnostic.span.start <= diagnostic.span.end && diagnostic.span.end <= text.len(),
        "{diagnostic}: {:?}",
        diagnostic.span
    );
}

#[test]
fn each_deviation_has_its_position_and_its_rule() {
    for (text, expected) in DEVIATIONS {
        let text = text.replace("H|", HEAD);
        let reading = Reader::lenient().read(text.as_bytes()).unwrap();
        let found: Vec<(usize, usize, String)> = reading
            .diagnostics
            .iter()
            .map(|diagnostic| (diagnostic.line, diagnostic.column, diagnostic.rule.to_string()))
            .collect();
        assert_eq!(found.len(), expected.len(), "{text:?}: {found:#?}");
        for (diagnostic, (line, column, part)) in reading.diagnostics.iter().zip(*expected) {
            let message = diagnostic.to_string();
            assert!(message.contains(part), "{text:?}: {message}");
            assert_eq!((diagnostic.line, diagnostic.column), (*line, *column), "{text:?}: {message}");
            assert_position(text.as_bytes(), diagnostic);
            assert!(!diagnostic.rule.hint().is_empty() && !diagnostic.rule.name().contains(' '));
        }
    }
}

#[test]
fn a_limit_is_exceeded_by_one() {
    let text = format!("{HEAD}t=0 0\r\na=x\r\na=x\r\nm=audio 9 RTP/AVP 0\r\na=x\r\na=x\r\nm=video 9 RTP/AVP 0\r\n");
    let exact = Limits { bytes: text.len(), lines: 10, attributes: 2, media: 2, diagnostics: 0 };
    let read = |limits| Reader::lenient().with_limits(limits).read(text.as_bytes());
    let reading = read(exact).unwrap();
    assert_eq!((reading.diagnostics.len(), reading.unreported), (0, 2), "neither section has c=");
    let exceeds = |limits, line, kind, most| {
        let refused = read(limits).unwrap_err();
        assert_eq!((refused.line, refused.rule), (line, Rule::Limit { kind, most }), "{refused}");
        assert_position(text.as_bytes(), &refused);
        assert!(!refused.span.is_empty());
    };
    exceeds(Limits { bytes: text.len() - 1, ..exact }, 1, LimitKind::Bytes, text.len() - 1);
    exceeds(Limits { lines: 9, ..exact }, 10, LimitKind::Lines, 9);
    exceeds(Limits { attributes: 1, ..exact }, 6, LimitKind::Attributes, 1);
    exceeds(Limits { media: 1, ..exact }, 10, LimitKind::Media, 1);
}

#[test]
fn a_text_that_is_not_a_description_is_refused() {
    for text in ["", "\r\n\r\n", "GET / HTTP/1.1\r\nHost: example.com\r\n", "{\"v\": 0}", "x=1\r\n"] {
        let refused = Reader::lenient().read(text.as_bytes()).unwrap_err();
        assert_eq!(refused.rule, Rule::NotADescription);
        assert_position(text.as_bytes(), &refused);
    }
    assert_eq!(Reader::strict().read(b"").unwrap_err().rule, Rule::NotADescription);
}

#[test]
fn a_fragment_needs_no_session_lines() {
    // RFC 8840 has fragments of this form.
    let text = b"a=ice-ufrag:8hhY\r\nm=audio 9 RTP/AVP 0\r\na=mid:1\r\na=end-of-candidates\r\n";
    let reading = Reader::strict().read_fragment(text).unwrap();
    assert_eq!((reading.session.media_count(), reading.diagnostics.len()), (1, 0));
    let refused = Reader::strict().read_fragment(b"a=mid:1\r\nb=AS:1\r\n").unwrap_err();
    assert_eq!(refused.rule, Rule::OutOfOrder { kind: Kind::Bandwidth, after: Kind::Attribute });
}
