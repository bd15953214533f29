//! `webrtc-sdp`: it parses all types at once, and owns its values.

use super::{Candidate, Codec, Digest};
use crate::texts::Text;
use webrtc_sdp::attribute_type::{SdpAttribute, SdpAttributeCandidate, SdpAttributePayloadType, SdpAttributeSetup};
use webrtc_sdp::{SdpSession, parse_sdp};

pub(crate) struct WebRtc;

impl Codec for WebRtc {
    const NAME: &'static str = "webrtc-sdp";
    type Session<'a> = SdpSession;

    fn new() -> Self {
        Self
    }

    fn parse(&self, text: &Text) -> Option<SdpSession> {
        parse_sdp(&text.text, false).ok()
    }

    fn sections(session: &SdpSession) -> usize {
        session.media.len()
    }

    fn digest(session: &SdpSession) -> Option<Digest> {
        let mut digest = Digest::default();
        for attribute in &session.attribute {
            add(&mut digest, attribute);
        }
        for media in &session.media {
            digest.media += 1 + u64::from(media.get_port());
            for attribute in media.get_attributes() {
                add(&mut digest, attribute);
            }
        }
        Some(digest)
    }

    fn edit(session: &mut SdpSession) -> Option<()> {
        session.media.first_mut()?.set_attribute(SdpAttribute::Setup(SdpAttributeSetup::Active)).ok()
    }

    fn write(session: &SdpSession) -> Vec<u8> {
        session.to_string().into_bytes()
    }

    fn candidate(&self, _: &Text, attribute: &Text) -> Option<Candidate> {
        match attribute.text.parse().ok()? {
            SdpAttribute::Candidate(candidate) => Some(read(&candidate)),
            _ => None,
        }
    }
}

fn read(candidate: &SdpAttributeCandidate) -> Candidate {
    let named = [
        candidate.tcp_type.is_some(),
        candidate.generation.is_some(),
        candidate.ufrag.is_some(),
        candidate.networkcost.is_some(),
    ];
    Candidate {
        foundation: candidate.foundation.len(),
        component: candidate.component.into(),
        priority: candidate.priority,
        port: candidate.port.into(),
        related_port: candidate.rport.unwrap_or_default().into(),
        extensions: (named.into_iter().filter(|is_set| *is_set).count() + candidate.unknown_extensions.len()) as u64,
    }
}

fn add(digest: &mut Digest, attribute: &SdpAttribute) {
    match attribute {
        SdpAttribute::Candidate(candidate) => digest.candidates += read(candidate).sum(),
        SdpAttribute::Rtpmap(map) => digest.formats += u64::from(map.payload_type) + u64::from(map.frequency),
        SdpAttribute::Fmtp(fmtp) => digest.parameters += u64::from(fmtp.payload_type),
        SdpAttribute::Rtcpfb(feedback) => {
            digest.feedback += match feedback.payload_type {
                SdpAttributePayloadType::PayloadType(payload) => u64::from(payload),
                SdpAttributePayloadType::Wildcard => 0,
            };
        }
        SdpAttribute::Extmap(map) => digest.extensions += u64::from(map.id) + map.url.len() as u64,
        SdpAttribute::Ssrc(source) => digest.sources += u64::from(source.id),
        SdpAttribute::SsrcGroup(_, sources) => {
            digest.sources += sources.iter().map(|source| u64::from(source.id)).sum::<u64>();
        }
        SdpAttribute::Fingerprint(fingerprint) => {
            digest.fingerprints += fingerprint.fingerprint.iter().map(|byte| u64::from(*byte)).sum::<u64>();
        }
        SdpAttribute::IceUfrag(text) | SdpAttribute::IcePwd(text) => digest.credentials += text.len() as u64,
        SdpAttribute::Mid(mid) => digest.mids += mid.len() as u64,
        SdpAttribute::Group(group) => digest.mids += group.tags.iter().map(|mid| mid.len() as u64).sum::<u64>(),
        SdpAttribute::Msid(msid) => {
            digest.streams += (msid.id.len() + msid.appdata.as_ref().map_or(0, String::len)) as u64;
        }
        SdpAttribute::Setup(setup) => {
            digest.setups += match setup {
                SdpAttributeSetup::Actpass => 1,
                SdpAttributeSetup::Active => 256,
                _ => 0,
            };
        }
        SdpAttribute::Rtcp(rtcp) => digest.media += u64::from(rtcp.port),
        SdpAttribute::RtcpMux | SdpAttribute::RtcpRsize => digest.flags += 1,
        _ => {}
    }
}
