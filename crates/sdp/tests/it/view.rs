//! The effective attributes of media sections: each getter with the attribute in the section, in the session, in
//! neither, and with an invalid value.

use crate::allocations::{Allocated, count};
use crate::field::descriptions;
use portolan_sdp::attribute::{Direction, Setup};
use portolan_sdp::{Section, Session, TypedError};

const PWD: &str = "asd88fgpdd777uzjYhagZg";

/// A session with these lines before and these lines in its one media section.
fn text(session: &str, media: &str) -> String {
    format!(
        "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\n{}m=audio 9 UDP/TLS/RTP/SAVPF 111 0 96 111 x 128\r\n{}",
        lines(session),
        lines(media)
    )
}

fn lines(attributes: &str) -> String {
    attributes.split('|').filter(|line| !line.is_empty()).map(|line| format!("a={line}\r\n")).collect()
}

/// Calls a function with the media section of such a session.
fn ask<T>(session: &str, media: &str, read: impl FnOnce(&Section<'_>) -> T) -> T {
    let text = text(session, media);
    let session = Session::read(text.as_bytes()).unwrap();
    read(&session.media(0).unwrap())
}

/// The line and the column of an error.
fn place<T>(result: Result<T, TypedError>) -> Option<(usize, usize)> {
    result.err().map(|error| (error.line, error.column))
}

#[test]
fn a_section_takes_its_own_attribute_before_that_of_the_session() {
    for (session, media, expected) in [
        ("", "", Direction::SendRecv),
        ("inactive", "", Direction::Inactive),
        ("inactive", "recvonly", Direction::RecvOnly),
        ("", "sendonly|recvonly", Direction::SendOnly),
    ] {
        assert_eq!(ask(session, media, |section| section.direction()), Ok(expected), "{session:?} {media:?}");
    }
    for (session, media, expected) in [
        ("", "", None),
        ("setup:active", "", Some(Setup::Active)),
        ("setup:active", "setup:passive", Some(Setup::Passive)),
    ] {
        assert_eq!(ask(session, media, |section| section.setup()), Ok(expected), "{session:?} {media:?}");
    }
    let sha = |digits: &str| format!("fingerprint:sha-256 {}", [digits; 32].join(":"));
    for (session, media, expected) in [
        (String::new(), String::new(), vec![]),
        (sha("AA"), String::new(), vec![0xaa]),
        (sha("AA"), [sha("BB"), sha("CC")].join("|"), vec![0xbb, 0xcc]),
    ] {
        let first = |section: &Section<'_>| {
            section.fingerprints().map(|found| found.unwrap().digest.bytes().next().unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(ask(&session, &media, first), expected);
    }
    for (session, media, expected) in [
        ("", "", vec![]),
        ("extmap:1 urn:a", "", vec![1]),
        ("extmap:1 urn:a", "extmap:2 urn:b|extmap:3 urn:c", vec![2, 3]),
    ] {
        let ids = |section: &Section<'_>| section.extensions().map(|found| found.unwrap().id).collect::<Vec<_>>();
        assert_eq!(ask(session, media, ids), expected, "{session:?} {media:?}");
    }
}

#[test]
fn ice_credentials_are_inherited_one_by_one_and_shown_only_as_a_pair() {
    let (ufrag, other, pwd) = ("ice-ufrag:8hhY", "ice-ufrag:9uB6", format!("ice-pwd:{PWD}"));
    for (session, media, expected) in [
        (String::new(), String::new(), None),
        (String::new(), format!("{ufrag}|{pwd}"), Some("8hhY")),
        (format!("{ufrag}|{pwd}"), String::new(), Some("8hhY")),
        (format!("{ufrag}|{pwd}"), other.to_owned(), Some("9uB6")),
        (pwd.clone(), String::new(), None),
        (String::new(), ufrag.to_owned(), None),
    ] {
        let found = |section: &Section<'_>| {
            section.ice_credentials().unwrap().map(|found| {
                assert_eq!(found.pwd, PWD);
                assert!(!format!("{found:?}").contains(PWD));
                found.ufrag.to_owned()
            })
        };
        assert_eq!(ask(&session, &media, found).as_deref(), expected, "{session:?} {media:?}");
    }
}

#[test]
fn attributes_of_the_media_level_alone_are_not_inherited() {
    let candidate = "candidate:1 1 UDP 2130706431 192.0.2.1 49170 typ host";
    for (session, media, expected) in [("", "", false), ("rtcp-mux", "", false), ("", "rtcp-mux", true)] {
        assert_eq!(ask(session, media, |section| section.rtcp_mux()), Ok(expected));
    }
    assert_eq!(ask(candidate, "", |section| section.candidates().count()), 0);
    let port = ask("", candidate, |section| section.candidates().next().unwrap().unwrap().port);
    assert_eq!(port, 49170);
    assert!(!ask("mid:a", "", |section| section.mid().unwrap().is_some()));
    assert!(ask("mid:a", "mid:b", |section| section.mid().unwrap() == Some("b")));
}

#[test]
fn an_invalid_value_is_an_error_with_its_line_and_never_a_default() {
    assert_eq!(ask("", "sendrecv:x", |section| place(section.direction())), Some((6, 12)));
    assert_eq!(ask("inactive:", "", |section| section.direction()), Ok(Direction::Inactive));
    assert_eq!(ask("setup:both", "", |section| place(section.setup())), Some((5, 9)));
    // An invalid value of the section is not replaced by the valid one of the session.
    assert_eq!(ask("setup:active", "setup:both", |section| place(section.setup())), Some((7, 9)));
    assert_eq!(ask("", "mid:a b", |section| place(section.mid())), Some((6, 8)));
    assert_eq!(ask("", "ice-ufrag:é", |section| place(section.ice_credentials())), Some((6, 13)));
    assert_eq!(ask("", "rtcp-mux:x", |section| place(section.rtcp_mux())), Some((6, 12)));
    let error = |section: &Section<'_>| place(section.fingerprints().next().unwrap());
    assert_eq!(ask("", "fingerprint:sha-256 AA:", error), Some((6, 26)));
    assert_eq!(ask("", "extmap:0 urn:a", |section| place(section.extensions().next().unwrap())), Some((6, 10)));
    assert_eq!(ask("", "candidate:1", |section| place(section.candidates().next().unwrap())).map(|at| at.0), Some(6));
    let bundle = |section: &Section<'_>| place(section.bundle());
    assert_eq!(ask("group:BUNDLE  a", "mid:a", bundle), Some((5, 16)));
    assert_eq!(ask("group:BUNDLE  a", "", bundle), None, "a section without a name is in no bundle");
}

#[test]
fn each_payload_type_of_the_media_line_is_a_codec_once_and_in_order() {
    let media = "rtpmap:111 opus/48000/2|fmtp:111 minptime=10|rtpmap:111 G722/8000|rtcp-fb:111 nack|rtcp-fb:* ccm fir|\
        rtcp-fb:0 nack|rtpmap:0x|fmtp:0";
    ask("", media, |section| {
        let codecs: Vec<_> = section.codecs().unwrap().collect::<Result<_, _>>().unwrap();
        let names: Vec<_> = codecs
            .iter()
            .map(|codec| (codec.payload_type, codec.rtpmap.map(|map| (map.encoding, map.clock_rate, map.channels))))
            .collect();
        // 111 is repeated, `x` and 128 are no payload types, 96 is dynamic without a map.
        let expected = [(111, Some(("opus", 48000, Some(2)))), (0, Some(("PCMU", 8000, None))), (96, None)];
        assert_eq!(names, expected);
        assert_eq!(codecs[0].fmtp.unwrap().parameter("minptime"), Some(&b"10"[..]));
        let kinds = |payload_type| section.feedback(payload_type).map(|found| found.unwrap().kind).collect::<Vec<_>>();
        assert_eq!((kinds(111), kinds(0), kinds(96)), (vec!["nack", "ccm"], vec!["ccm", "nack"], vec!["ccm"]));
    });
    // A faulty line is an error of its own payload type alone.
    ask("", "rtpmap:111 opus|rtpmap:96 VP8/90000", |section| {
        let codecs: Vec<_> = section.codecs().unwrap().map(|codec| codec.map(|codec| codec.payload_type)).collect();
        assert_eq!((codecs[0].map_err(|error| error.line), codecs[1], codecs[2]), (Err(6), Ok(0), Ok(96)));
    });
}

#[test]
fn a_section_without_rtp_has_no_codecs() {
    for protocol in ["UDP/DTLS/SCTP", "udptl", "TCP"] {
        let text = format!("v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\nm=application 9 {protocol} 0\r\n");
        let session = Session::read(text.as_bytes()).unwrap();
        assert_eq!(session.media(0).unwrap().codecs().unwrap().count(), 0, "{protocol}");
        assert_eq!(session.top().codecs().unwrap().count(), 0);
    }
    let session = Session::read(b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\nm=audio x RTP/AVP 0\r\n").unwrap();
    assert_eq!(place(session.media(0).unwrap().codecs()), Some((5, 9)));
}

#[test]
fn the_transport_of_a_bundled_section_is_the_tagged_section() {
    let text = format!(
        "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\na=group:LS a b\r\na=group:BUNDLE b a missing\r\na=group:BUNDLE x c\r\n\
         m=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:a\r\n\
         m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:b\r\na=ice-ufrag:8hhY\r\na=ice-pwd:{PWD}\r\n\
         m=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:c\r\n\
         m=audio 9 UDP/TLS/RTP/SAVPF 0\r\n\
         m=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:d\r\n"
    );
    let session = Session::read(text.as_bytes()).unwrap();
    let transports: Vec<_> =
        session.all_media().map(|section| section.transport().unwrap().media_index().unwrap()).collect();
    // No section is named `x`; so the third has its own transport.
    assert_eq!(transports, [1, 1, 2, 3, 4]);
    let audio = session.media(0).unwrap();
    assert_eq!(audio.bundle().unwrap().unwrap().mids().collect::<Vec<_>>(), ["b", "a", "missing"]);
    assert_eq!(audio.ice_credentials(), Ok(None));
    assert_eq!(audio.transport().unwrap().ice_credentials().unwrap().unwrap().ufrag, "8hhY");
    assert!(session.media(4).unwrap().bundle().unwrap().is_none());
}

#[test]
fn the_getters_allocate_nothing_and_end_on_every_description_of_the_corpus() {
    for (file, text) in descriptions() {
        let Ok(session) = Session::read(&text) else { continue };
        for section in session.all_media().chain([session.top()]) {
            let ((), allocated) = count(|| {
                let _ = (section.direction(), section.mid(), section.setup(), section.rtcp_mux(), section.bundle());
                let _ = (section.ice_credentials(), section.transport());
                let _ = (section.fingerprints().count(), section.candidates().count(), section.extensions().count());
                if let Ok(codecs) = section.codecs() {
                    assert!(
                        codecs.filter_map(Result::ok).all(|codec| section.feedback(codec.payload_type).count() < 1000)
                    );
                }
            });
            assert_eq!(allocated, Allocated::default(), "{}", file.display());
        }
    }
}
