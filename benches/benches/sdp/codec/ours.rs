//! `portolan-sdp`.

use super::{Candidate, Codec, Digest};
use crate::texts::Text;
use portolan_sdp::{Reader, Session};

pub(crate) struct Ours;

impl Codec for Ours {
    const NAME: &'static str = "portolan-sdp";
    type Session<'a> = Session<'a>;

    fn new() -> Self {
        Self
    }

    fn parse<'a>(&self, text: &'a Text) -> Option<Session<'a>> {
        Reader::strict().read(text.text.as_bytes()).ok().map(|reading| reading.session)
    }

    fn sections(session: &Session<'_>) -> usize {
        session.media_count()
    }

    fn digest(_session: &Session<'_>) -> Option<Digest> {
        None
    }

    fn edit(session: &mut Session<'_>) -> Option<()> {
        let line = session.media(0)?.attribute(b"setup")?.index();
        session.set_value(line, b"setup:active").ok()
    }

    fn write(session: &Session<'_>) -> Vec<u8> {
        session.to_bytes()
    }

    fn candidate(&self, _value: &Text, _: &Text) -> Option<Candidate> {
        None
    }
}
