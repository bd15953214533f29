//! Hostile texts. The tests count allocations and do not measure time.

use crate::allocations::{Allocated, count};
use portolan_sdp::diagnostic::{LimitKind, Rule};
use portolan_sdp::line::Kind;
use portolan_sdp::{Limits, Reader, Session};

const NO_LIMITS: Limits =
    Limits { bytes: usize::MAX, lines: usize::MAX, attributes: usize::MAX, media: usize::MAX, diagnostics: 100 };

/// Returns the texts that are the most expensive to read, of about `size` bytes each.
fn shapes(size: usize) -> Vec<(&'static str, Vec<u8>)> {
    let one_line = |byte: u8| [b"a=x:", vec![byte; size].as_slice(), b"\r\n"].concat();
    vec![
        ("a=", b"a=\r\n".repeat(size / 4)),
        ("a= with LF alone", b"a=\n".repeat(size / 3)),
        ("media sections", b"m=audio 9 RTP/AVP 0\r\n".repeat(size / 21)),
        ("media sections without a value", b"m=\n".repeat(size / 3)),
        ("one line", one_line(b'x')),
        ("one line of NUL", one_line(0)),
        ("one line that is not UTF-8", one_line(0xff)),
        ("one line of colons", one_line(b':')),
        ("blank lines", [b"v=0\r\n", b"\n".repeat(size).as_slice()].concat()),
        ("blank lines of CR", [b"v=0\r\n", b"\r".repeat(size).as_slice()].concat()),
        ("unknown lines", [b"v=0\r\n", b"y=\n".repeat(size / 3).as_slice()].concat()),
        ("formats", [b"m=audio 9 RTP/AVP", b" 0".repeat(size / 2).as_slice(), b"\r\n"].concat()),
        ("digits", [b"o=- ", b"9".repeat(size).as_slice(), b" 1 IN IP4 192.0.2.1\r\n"].concat()),
        ("times", b"t=0 0\r\n".repeat(size / 7)),
    ]
}

/// The memory is at most a multiple of the text. The number of allocations grows like that of a vector that doubles. The
/// unit tests of the reader count how often each byte is read.
#[test]
fn memory_is_linear_and_diagnostics_are_bounded() {
    const SIZE: usize = 1 << 20;
    for ((name, small), (_, large)) in shapes(SIZE / 16).iter().zip(&shapes(SIZE)) {
        let (small, few) = count(|| Reader::lenient().with_limits(NO_LIMITS).read(small).map(drop));
        let (read, many) = count(|| Reader::lenient().with_limits(NO_LIMITS).read(large));
        assert!(small.is_ok());
        let reading = read.unwrap();
        assert_eq!(reading.session.to_bytes(), *large, "{name}");
        assert!(reading.diagnostics.len() <= 100, "{name}");
        // 12 bytes per line and 4 per section, doubled by the growth of the vectors. A line has at least one byte.
        assert!(many.bytes <= 40 * large.len() + 20_000, "{name}: {many:?}");
        assert!(many.bytes <= 17 * few.bytes.max(20_000), "{name}: {few:?} for a sixteenth of the text, {many:?}");
        assert!(many.times <= few.times + 16, "{name}: {few:?}, {many:?}");
    }
}

/// The default limits refuse texts of lines that are shorter than those of a description. The memory is at most a small
/// multiple of the text.
#[test]
fn the_default_limits_bound_memory() {
    const SIZE: usize = (1 << 20) - 64;
    for (name, text) in shapes(SIZE) {
        let (read, allocated) = count(|| Reader::lenient().read(&text));
        match (name, read) {
            (
                "one line"
                | "one line of NUL"
                | "one line that is not UTF-8"
                | "one line of colons"
                | "formats"
                | "digits",
                read,
            ) => {
                assert_eq!(read.unwrap().session.line_count(), 1, "{name}");
            }
            (_, Ok(reading)) => panic!("{name}: {} lines were accepted", reading.session.line_count()),
            (_, Err(refused)) => assert!(matches!(refused.rule, Rule::Limit { .. }), "{name}: {refused}"),
        }
        // 12 bytes for each line and 4 for each section, doubled by the growth of the vectors, and the diagnostics.
        let most = 2 * (12 * SIZE / 8 + 4 * SIZE / 64) + 2 * 100 * 200;
        assert!(allocated.bytes <= most, "{name}: {allocated:?}");
    }
    let (refused, allocated) = count(|| Reader::lenient().read(&vec![b'x'; (1 << 20) + 1]).unwrap_err().rule);
    assert_eq!(refused, Rule::Limit { kind: LimitKind::Bytes, most: 1 << 20 });
    assert_eq!(allocated.times, 1, "the text itself");
}

/// Offers of browsers, with many and with short sections, fill the default limit on bytes: no other limit is reached
/// before.
#[test]
fn a_legitimate_offer_of_almost_one_mebibyte_is_read_with_the_default_limits() {
    const TOP: &str = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n";
    let rejected = "m=video 0 UDP/TLS/RTP/SAVPF 0\r\nc=IN IP4 0.0.0.0\r\na=inactive\r\na=mid:0\r\n";
    let browser = crate::vectors::VALID[1];
    let section = &browser[browser.find("m=").unwrap()..];
    let candidates = "a=candidate:1 1 udp 1 192.0.2.1 9 typ host\r\n";
    let short = "a=ice-lite\r\n";
    let audio = "m=audio 9 RTP/AVP 0\r\nc=IN IP4 192.0.2.1\r\n";
    for (name, head, part) in [
        ("rejected sections", TOP.to_owned(), rejected),
        ("sections of a browser", TOP.to_owned(), section),
        ("candidates", format!("{TOP}{audio}"), candidates),
        ("short attributes", format!("{TOP}{audio}"), short),
    ] {
        let count = ((1 << 20) - head.len()) / part.len();
        let text = format!("{head}{}", part.repeat(count));
        let reading = Reader::lenient().read(text.as_bytes()).unwrap_or_else(|why| panic!("{name}: {why}"));
        assert!(reading.session.line_count() > 20_000, "{name}: {}", reading.session.line_count());
    }
}

/// The one allocation of writing has the exact size.
#[test]
fn iterating_allocates_nothing_and_writing_allocates_once() {
    let text = [b"v=0\r\n", b"m=audio 9 RTP/AVP 0\r\na=mid:0\r\na=rtcp-mux\r\n".repeat(10_000).as_slice()].concat();
    let mut session = Reader::lenient().with_limits(NO_LIMITS).read(&text).unwrap().session;
    assert_eq!(session.media_count(), 10_000);
    let (found, allocated) = count(|| {
        let sections = session.all_media().filter(|media| media.has(b"rtcp-mux")).count();
        (sections, session.lines().filter(|line| line.kind() == Kind::Attribute).count())
    });
    assert_eq!((found, allocated), ((10_000, 20_000), Allocated::default()));
    session.set_value(2, b"mid:audio").unwrap();
    let (written, allocated) = count(|| session.to_bytes());
    assert_eq!(allocated, Allocated { times: 1, bytes: written.len() });
    assert_eq!(written.len(), text.len() + 4);
}

#[test]
fn a_description_of_ordinary_size_needs_few_allocations() {
    let text = crate::vectors::VALID[1].as_bytes();
    let (session, allocated) = count(|| Session::read(text).unwrap());
    assert!(session.media_count() == 3 && allocated.times <= 3, "{allocated:?}");
}
