//! `rtc-sdp`: owned lines; `extmap` is the only typed attribute.

use super::{Candidate, Codec, Digest};
use crate::texts::Text;
use rtc_sdp::SessionDescription;
use std::io::Cursor;

pub(crate) struct Rtc;

impl Codec for Rtc {
    const NAME: &'static str = "rtc-sdp";
    type Session<'a> = SessionDescription;

    fn new() -> Self {
        Self
    }

    fn parse(&self, text: &Text) -> Option<SessionDescription> {
        SessionDescription::unmarshal(&mut Cursor::new(text.text.as_bytes())).ok()
    }

    fn sections(session: &SessionDescription) -> usize {
        session.media_descriptions.len()
    }

    fn digest(_: &SessionDescription) -> Option<Digest> {
        None
    }

    fn edit(session: &mut SessionDescription) -> Option<()> {
        let attributes = &mut session.media_descriptions.first_mut()?.attributes;
        attributes.iter_mut().find(|attribute| attribute.key == "setup")?.value = Some("active".to_owned());
        Some(())
    }

    fn write(session: &SessionDescription) -> Vec<u8> {
        session.marshal().into_bytes()
    }

    fn candidate(&self, _: &Text, _: &Text) -> Option<Candidate> {
        None
    }
}
