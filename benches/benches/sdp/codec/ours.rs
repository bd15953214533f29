//! `portolan-sdp`: borrowed lines, and typed values that are parsed on demand.

use super::{Candidate, Codec, Digest};
use crate::texts::Text;
use portolan_sdp::attribute::Setup;
use portolan_sdp::line::Kind;
use portolan_sdp::value::MediaLine;
use portolan_sdp::{Attribute, Reader, Session, Value as _, candidate};

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

    fn digest(session: &Session<'_>) -> Option<Digest> {
        let mut digest = Digest::default();
        for line in session.lines() {
            match line.kind() {
                Kind::Media => digest.media += 1 + u64::from(line.read::<MediaLine<'_>>().ok()?.port),
                // Not moved: an attribute is as large as its largest variant.
                Kind::Attribute => match &line.typed() {
                    Some(Ok(attribute)) => add(&mut digest, attribute),
                    Some(Err(_)) | None => return None,
                },
                _ => {}
            }
        }
        Some(digest)
    }

    fn edit(session: &mut Session<'_>) -> Option<()> {
        let line = session.media(0)?.attribute(b"setup")?.index();
        session.set_value(line, b"setup:active").ok()
    }

    fn write(session: &Session<'_>) -> Vec<u8> {
        session.to_bytes()
    }

    fn candidate(&self, value: &Text, _: &Text) -> Option<Candidate> {
        candidate::Candidate::parse(value.text.as_bytes()).ok().map(|candidate| read(&candidate))
    }
}

#[inline(always)]
fn read(candidate: &candidate::Candidate<&str>) -> Candidate {
    Candidate {
        foundation: candidate.foundation.len(),
        component: candidate.component.into(),
        priority: candidate.priority.into(),
        port: candidate.port.into(),
        related_port: candidate.related.map_or(0, |(_, port)| port.into()),
        extensions: u64::from(candidate.tcp_type.is_some()) + candidate.extensions.iter().count() as u64,
    }
}

#[inline(always)]
fn add(digest: &mut Digest, attribute: &Attribute<'_>) {
    match attribute {
        Attribute::Candidate(candidate) => digest.candidates += read(candidate).sum(),
        Attribute::Rtpmap(map) => digest.formats += u64::from(map.payload_type) + u64::from(map.clock_rate),
        Attribute::Fmtp(fmtp) => digest.parameters += fmtp.payload_type().map_or(0, u64::from),
        Attribute::RtcpFb(feedback) => digest.feedback += feedback.payload_type.map_or(0, u64::from),
        Attribute::Extmap(map) => digest.extensions += u64::from(map.id) + map.uri.len() as u64,
        Attribute::Ssrc(source) => digest.sources += u64::from(source.id),
        Attribute::SsrcGroup(group) => digest.sources += group.ids().map(u64::from).sum::<u64>(),
        Attribute::Fingerprint(fingerprint) => {
            digest.fingerprints += fingerprint.digest.bytes().map(u64::from).sum::<u64>();
        }
        Attribute::IceUfrag(text) => digest.credentials += text.0.len() as u64,
        Attribute::IcePwd(text) => digest.credentials += text.0.len() as u64,
        Attribute::Mid(mid) => digest.mids += mid.0.len() as u64,
        Attribute::Group(group) => digest.mids += group.mids().map(|mid| mid.len() as u64).sum::<u64>(),
        Attribute::Msid(msid) => digest.streams += (msid.id.len() + msid.track.map_or(0, str::len)) as u64,
        Attribute::Setup(setup) => {
            digest.setups += match setup {
                Setup::ActPass => 1,
                Setup::Active => 256,
                _ => 0,
            };
        }
        Attribute::Rtcp(rtcp) => digest.media += u64::from(rtcp.port),
        Attribute::RtcpMux | Attribute::RtcpRsize => digest.flags += 1,
        _ => {}
    }
}
