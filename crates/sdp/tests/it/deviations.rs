//! Every form that is accepted against the grammar has a named deviation.

use crate::field;
use portolan_sdp::attribute::Deviation;
use portolan_sdp::line::Kind;
use portolan_sdp::{Session, candidate};

/// A line, its deviation, and the column of the deviation.
const ACCEPTED: [(&str, Deviation, usize); 24] = [
    ("a=rtpmap:96 VP8/90000 ", Deviation::TrailingSpace, 22),
    ("a=group:BUNDLE 0 ", Deviation::TrailingSpace, 17),
    ("a=ice-ufrag:ab-d", Deviation::IceCharacter, 15),
    ("a=ice-pwd:0123456789012345678901=", Deviation::IceCharacter, 33),
    ("a=ice-options:trickle google-ice", Deviation::IceCharacter, 29),
    ("a=fingerprint:sha-1 4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF:3E:5D:49:6B:19:E5:7C:ab", Deviation::LowerCaseDigest, 78),
    ("a=fmtp:111", Deviation::NoParameters, 11),
    ("a=fmtp:111 ", Deviation::NoParameters, 12),
    ("a=ssrc:7", Deviation::NoSourceAttribute, 9),
    ("a=rid:1 send max-fs=9; max-br=8", Deviation::RidSpace, 24),
    ("a=rid:1 send pt=96, 97", Deviation::RidSpace, 21),
    ("a=simulcast: send 1;2", Deviation::SimulcastSpace, 13),
    ("a=simulcast:recv rid=1;2", Deviation::SimulcastPrefix, 18),
    ("a=framerate:15.000000", Deviation::NumberForm, 16),
    ("a=ptime:020", Deviation::NumberForm, 9),
    ("a=maxptime:1.50", Deviation::NumberForm, 15),
    ("a=source-filter:incl IN IP4 * 192.0.2.1", Deviation::FilterSpace, 17),
    ("a=imageattr:97 send [x=480,y=320,sar=[20-40]]", Deviation::ImageNumber, 39),
    ("a=ts-refclk:ptp=IEEE1588-2008:39-A7-94-FF-FE-07-CB-D0:37", Deviation::DomainPrefix, 55),
    ("a=mediaclk:direct=0 rate=90000", Deviation::SingleRate, 31),
    ("a=range:npt=0-  7.741", Deviation::RangeSpace, 15),
    ("e=NONE", Deviation::NoEmailAddress, 3),
    ("a=candidate:1 0 udp 1 192.0.2.1 9 typ host", Deviation::Candidate(candidate::Deviation::ComponentZero), 15),
    ("a=candidate:1 1 tcp 1 192.0.2.1 9 typ host", Deviation::Candidate(candidate::Deviation::NoTcpType), 43),
];

/// The same forms as their grammars have them.
const CONFORMING: [&str; 18] = [
    "a=rtpmap:96 VP8/90000",
    "a=ice-ufrag:ab+/",
    "a=ice-options:trickle ice2",
    "a=fingerprint:sha-1 4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF:3E:5D:49:6B:19:E5:7C:AB",
    "a=fmtp:111 x",
    "a=ssrc:7 cname:x ",
    "a=rid:1 send pt=96,97;max-fs=9",
    "a=simulcast:send 1;2 recv 3",
    "a=framerate:15.01",
    "a=framerate:0.5",
    "a=ptime:20",
    "a=source-filter: incl IN IP4 * 192.0.2.1",
    "a=imageattr:97 send [x=[480:16:800],y=[320,640],par=[1.2-1.3],sar=[0.5,1.0],q=0.6]",
    "a=ts-refclk:ptp=IEEE1588-2008:39-A7-94-FF-FE-07-CB-D0:domain-nmbr=37",
    "a=ts-refclk:ptp=IEEE1588-2008:traceable",
    "a=mediaclk:direct=963214424 rate=90000/1",
    "a=range:npt=0-7.741",
    "e=j.doe@example.com",
];

fn deviations(line: &str) -> Vec<(Deviation, usize)> {
    let (before, after) = if line.starts_with("e=") { (line, "t=0 0") } else { ("t=0 0", line) };
    let text = format!("v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\n{before}\r\n{after}\r\n");
    let session = Session::read(text.as_bytes()).unwrap();
    let lines = session.lines().flat_map(|line| line.deviations());
    lines.map(|(deviation, error)| (deviation, error.column)).collect()
}

#[test]
fn each_accepted_form_outside_the_grammar_has_its_deviation_and_its_place() {
    for (line, deviation, column) in ACCEPTED {
        assert_eq!(deviations(line), [(deviation, column)], "{line}");
    }
    for line in CONFORMING {
        assert_eq!(deviations(line), [], "{line}");
    }
}

/// An accepted value that is written back in another form is either another spelling of its grammar, or deviates.
#[test]
fn no_value_of_the_corpus_is_normalized_without_a_deviation() {
    let mut untold = Vec::new();
    let mut count = 0;
    for (path, bytes) in field::descriptions() {
        let Ok(session) = Session::read(&bytes) else { continue };
        let is_browser = path.components().any(|part| part.as_os_str() == "browser");
        for line in session.lines().filter(|line| line.kind() == Kind::Attribute) {
            count += line.deviations().count();
            assert!(!is_browser || line.deviations().next().is_none(), "{}: {line}", path.display());
            let (Some(Ok(attribute)), Ok(text)) = (line.typed(), core::str::from_utf8(line.text())) else { continue };
            let written = format!("a={attribute}");
            let is_same = written == text || is_spelling(text, &written);
            if !is_same && line.deviations().next().is_none() {
                untold.push(format!("{}: {text} is written {written}", path.display()));
            }
        }
    }
    untold.sort();
    untold.dedup();
    println!("{count} deviations");
    assert!(untold.is_empty(), "{untold:#?}");
}

/// Letter case of hexadecimal digits and of addresses, the order of directions, and the spaces of drafts that no RFC
/// replaced.
fn is_spelling(text: &str, written: &str) -> bool {
    let sorted = |text: &str| {
        let mut words: Vec<String> = text.split(' ').map(str::to_string).collect();
        words.sort();
        words
    };
    let is_reordered = text.starts_with("a=imageattr:") && sorted(text) == sorted(written);
    is_reordered
        || text.eq_ignore_ascii_case(written)
        || text.starts_with("a=msid-semantic:")
        || text.starts_with("a=sctpmap:")
}
