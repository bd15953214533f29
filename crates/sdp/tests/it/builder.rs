//! Builders: a reader accepts what they build, and values that cannot be written are refused with their position.

use portolan_sdp::attribute::{Attribute, Direction, Mid};
use portolan_sdp::diagnostic::Rule;
use portolan_sdp::line::Kind;
use portolan_sdp::value::{Address, Bandwidth, Connection, MediaLine, Origin, Repeat, Timing, Zone};
use portolan_sdp::{BuildError, EditError, MediaBuilder, Reader, Session, SessionBuilder, Value};
use proptest::prelude::*;

const ORIGIN: Origin<'static> = Origin {
    username: b"-",
    id: "20518",
    version: "0",
    network: "IN",
    address_type: "IP4",
    address: Address::Ip4(core::net::Ipv4Addr::new(203, 0, 113, 1)),
};

fn audio() -> MediaBuilder {
    MediaBuilder::new(&MediaLine::parse(b"audio 54400 RTP/SAVPF 0 96").unwrap())
}

fn other<'v>(name: &'v str, value: &'v str) -> Attribute<'v> {
    Attribute::Other { name: name.as_bytes(), value: Some(value.as_bytes()) }
}

#[test]
fn the_builder_writes_lines_in_order_for_calls_in_any_order() {
    let session = SessionBuilder::new(&ORIGIN)
        .attribute(other("x-first", "1"))
        .time(&Timing { start: 0, stop: 0 })
        .repeat(&Repeat::parse(b"7d 1h 0 25h").unwrap())
        .zone(&Zone::parse(b"3730928400 -1h").unwrap())
        .time(&Timing { start: 3_724_394_400, stop: 3_724_398_000 })
        .bandwidth(&Bandwidth::parse(b"AS:128").unwrap())
        .phone("+1 617 555-6011")
        .email("j.doe@example.com")
        .media(audio().attribute(Direction::SendOnly).information("of the stage").attribute(Mid::parse(b"a").unwrap()))
        .uri("https://example.com/seminar")
        .connection(&Connection::parse(b"IN IP4 203.0.113.1").unwrap())
        .information("about nothing")
        .name("A seminar \u{2014} in UTF-8")
        .attribute(other("x-second", "2"))
        .build()
        .unwrap();
    let expected = "v=0|o=- 20518 0 IN IP4 203.0.113.1|s=A seminar \u{2014} in UTF-8|i=about nothing|\
                    u=https://example.com/seminar|e=j.doe@example.com|p=+1 617 555-6011|c=IN IP4 203.0.113.1|b=AS:128|\
                    t=0 0|r=7d 1h 0 25h|z=3730928400 -1h|t=3724394400 3724398000|a=x-first:1|a=x-second:2|\
                    m=audio 54400 RTP/SAVPF 0 96|i=of the stage|a=sendonly|a=mid:a|";
    assert_eq!(session.to_string(), expected.replace('|', "\r\n"));
    assert!(!session.is_edited());
    assert_eq!(session.media(0).unwrap().range(), 15..19);
}

#[test]
fn bytes_that_break_a_line_are_refused_with_their_position() {
    let builder = || SessionBuilder::new(&ORIGIN);
    let breaks = |line, column, byte| Err(BuildError::ForbiddenByte { line, column, byte });
    assert_eq!(builder().name("a\nb").build().map(drop), breaks(3, 4, b'\n'));
    assert_eq!(builder().attribute(other("x", "\0")).build().map(drop), breaks(5, 5, 0));
    assert_eq!(builder().attribute(other("x\r", "y")).build().map(drop), breaks(5, 4, b'\r'));
    let origin = Origin { username: b"two\r\nlines", ..ORIGIN };
    assert_eq!(SessionBuilder::new(&origin).build().map(drop), breaks(2, 6, b'\r'));
    let media = audio().attribute(other("x", "y")).information("\r");
    assert_eq!(builder().media(audio()).media(media).build().map(drop), breaks(7, 3, b'\r'));
    let head = MediaLine { media: "audio\r\na=x", ..MediaLine::parse(b"audio 9 RTP/AVP 0").unwrap() };
    assert_eq!(builder().media(MediaBuilder::new(&head)).build().map(drop), breaks(5, 8, b'\r'));
}

#[test]
fn a_value_is_written_unchanged_or_refused() {
    let refused = |builder: SessionBuilder| builder.build().unwrap_err();
    // Not UTF-8: `Display` writes other bytes.
    let origin = Origin { username: b"caf\xe9", ..ORIGIN };
    assert_eq!(refused(SessionBuilder::new(&origin)), BuildError::Mismatch { line: 2, kind: Kind::Origin });
    // A space in a token.
    let origin = Origin { id: "1 2", ..ORIGIN };
    let BuildError::Value(error) = refused(SessionBuilder::new(&origin)) else {
        panic!("the value matches its grammar")
    };
    assert_eq!((error.line, error.column), (2, 17), "{error}");
    let connection = Connection { ttl: Some(1), ..Connection::parse(b"IN IP4 203.0.113.1").unwrap() };
    let BuildError::Value(error) = refused(SessionBuilder::new(&ORIGIN).connection(&connection)) else {
        panic!("an address of one host has no time to live")
    };
    assert_eq!((error.line, error.column), (4, 21), "{error}");
    // A colon in a name.
    let builder = SessionBuilder::new(&ORIGIN).attribute(other("x:y", "z"));
    assert_eq!(refused(builder), BuildError::Mismatch { line: 5, kind: Kind::Attribute });
}

#[test]
fn a_builder_refuses_lines_that_a_strict_reader_refuses() {
    let refused = |builder: SessionBuilder| {
        let error = builder.build().unwrap_err();
        let BuildError::Refused(diagnostic) = error else { panic!("{error}") };
        (diagnostic.line, diagnostic.rule)
    };
    let builder = || SessionBuilder::new(&ORIGIN);
    assert_eq!(refused(builder().name("")), (3, Rule::Empty(Kind::Name)));
    assert_eq!(refused(builder().name("a").name("b")), (4, Rule::Repeated(Kind::Name)));
    assert_eq!(refused(builder().line(Kind::Unknown(b'y'), "1")), (5, Rule::UnknownKind(Kind::Unknown(b'y'))));
    assert_eq!(refused(builder().media(audio().line(Kind::Time, "0 0"))), (6, Rule::NotInMedia(Kind::Time)));
    let rule = Rule::OutOfOrder { kind: Kind::Repeat, after: Kind::Name };
    assert_eq!(refused(builder().line(Kind::Repeat, "7d 1h 0").time(&Timing::default())), (4, rule));
    let stray = builder().line(Kind::Stray, "x").build();
    assert_eq!(stray.unwrap_err(), BuildError::Kind { line: 5, kind: Kind::Stray });
    let head = builder().line(Kind::Unknown(b'm'), "audio 9 RTP/AVP 0").build();
    assert!(matches!(head, Err(BuildError::Kind { kind: Kind::Media, .. })), "{head:?}");
}

#[test]
fn media_sections_and_attributes_are_inserted_into_a_session() {
    let text = b"v=0\no=- 1 1 IN IP4 192.0.2.1\ns=\nt=0 0\nm=video 9 RTP/AVP 31\na=last";
    let mut session = Session::read(text).unwrap();
    session.insert_media(0, audio().attribute(Direction::RecvOnly)).unwrap();
    session.insert_media(2, audio().attribute(Attribute::RtcpMux)).unwrap();
    let expected = "v=0|o=- 1 1 IN IP4 192.0.2.1|s=|t=0 0|m=audio 54400 RTP/SAVPF 0 96|a=recvonly|\
                    m=video 9 RTP/AVP 31|a=last|m=audio 54400 RTP/SAVPF 0 96|a=rtcp-mux|";
    assert_eq!(session.to_string(), expected.replace('|', "\n"));
    assert_eq!(session.media_count(), 3);

    session.set_attribute(5, Direction::Inactive).unwrap();
    session.insert_attribute(5, Mid::parse(b"0").unwrap()).unwrap();
    assert!(session.to_string().contains("96\na=mid:0\na=inactive\nm=video"), "{session}");

    let before = session.to_bytes();
    let no_media = EditError::NoMedia { index: 9, sections: 3 };
    assert_eq!(session.insert_media(9, audio()), Err(BuildError::Edit(no_media)));
    assert_eq!(session.set_attribute(0, Direction::Inactive), Err(BuildError::Kind { line: 1, kind: Kind::Version }));
    let broken = BuildError::ForbiddenByte { line: 6, column: 5, byte: b'\n' };
    assert_eq!(session.insert_attribute(5, other("x", "\n")), Err(broken));
    let connection = Connection { address_type: "IP 4", ..Connection::parse(b"IN IP4 203.0.113.1").unwrap() };
    let inserted = session.insert_media(0, audio().connection(&connection));
    assert!(matches!(inserted, Err(BuildError::Value(error)) if error.line == 2), "{inserted:?}");
    assert_eq!(session.to_bytes(), before, "a refused edit changes nothing");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// The builder refuses the input, or the description contains all of the input and a strict reader accepts it.
    #[test]
    fn a_built_description_has_the_given_values(
        name in ".{0,8}",
        lines in prop::collection::vec((prop::sample::select(&b"eibapucktrzxm"[..]), prop::collection::vec(any::<u8>(), 0..8)), 0..4),
        media in prop::collection::vec(("[a-z]{1,5}", any::<u16>(), "[ -~]{0,6}"), 0..3),
    ) {
        let mut builder = SessionBuilder::new(&ORIGIN).name(&name);
        for (letter, value) in &lines {
            builder = builder.line(Kind::of(&[*letter, b'=']), value);
        }
        for (kind, port, attribute) in &media {
            let head = MediaLine { media: kind, port: *port, ..MediaLine::parse(b"audio 9 RTP/AVP 0").unwrap() };
            builder = builder.media(MediaBuilder::new(&head).attribute(other("x", attribute)));
        }
        let Ok(session) = builder.build() else { return Ok(()) };
        let bytes = session.to_bytes();
        let strict = Reader::strict().read(&bytes);
        prop_assert!(strict.is_ok(), "{:?}", strict);
        prop_assert_eq!(strict.unwrap().session.line_count(), 4 + lines.len() + 2 * media.len() - usize::from(lines.iter().any(|line| line.0 == b't')));
        let values: Vec<&[u8]> = session.lines().map(|line| line.value()).collect();
        for (_, value) in &lines {
            prop_assert!(values.contains(&value.as_slice()));
        }
        prop_assert!(values.contains(&name.as_bytes()));
    }
}
