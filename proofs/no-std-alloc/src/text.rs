//! Reads, edits, builds and writes a description with `sdp`.

use portolan_sdp::value::{MediaLine, Origin};
use portolan_sdp::{MediaBuilder, Reader, SessionBuilder, Value};

pub fn prove() -> bool {
    round_trip().is_some()
}

fn round_trip() -> Option<()> {
    let text = b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\na=mid:0\r\n";
    let mut session = Reader::strict().read(text).ok()?.session;
    let mid = session.media(0)?.attribute(b"mid")?.index();
    session.set_value(mid, b"mid:audio").ok()?;
    let origin = Origin::parse(b"- 1 1 IN IP4 192.0.2.1").ok()?;
    let audio = MediaBuilder::new(&MediaLine::parse(b"audio 9 RTP/AVP 0").ok()?);
    let built = SessionBuilder::new(&origin).media(audio.line(portolan_sdp::line::Kind::Attribute, "mid:audio"));
    (built.build().ok()?.to_bytes() == session.to_bytes()).then_some(())
}
