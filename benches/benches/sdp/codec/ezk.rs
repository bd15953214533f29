//! `ezk-sdp-types`: it parses all types at once, shares the input text, and writes lines in its own order.

use super::{Candidate, Codec, Digest};
use crate::texts::Text;
use bytesstr::BytesStr;
use ezk_sdp_types::{IceCandidate, RtcpFeedbackPt, SessionDescription, Setup};

pub(crate) struct Ezk;

impl Codec for Ezk {
    const NAME: &'static str = "ezk-sdp-types";
    type Session<'a> = SessionDescription;

    fn new() -> Self {
        Self
    }

    fn parse(&self, text: &Text) -> Option<SessionDescription> {
        SessionDescription::parse(&text.shared).ok()
    }

    fn sections(session: &SessionDescription) -> usize {
        session.media_descriptions.len()
    }

    fn digest(session: &SessionDescription) -> Option<Digest> {
        let mut digest = Digest::default();
        for group in &session.group {
            digest.mids += group.mids.iter().map(|mid| mid.len() as u64).sum::<u64>();
        }
        for media in &session.media_descriptions {
            digest.media +=
                1 + u64::from(media.media.port) + media.rtcp.as_ref().map_or(0, |rtcp| u64::from(rtcp.port));
            digest.candidates += media.ice_candidates.iter().map(|candidate| read(candidate).sum()).sum::<u64>();
            for map in &media.rtpmap {
                digest.formats += u64::from(map.payload) + u64::from(map.clock_rate);
            }
            digest.parameters += media.fmtp.iter().map(|fmtp| u64::from(fmtp.format)).sum::<u64>();
            for feedback in &media.rtcp_fb {
                digest.feedback += match feedback.pt {
                    RtcpFeedbackPt::Pt(payload) => u64::from(payload),
                    RtcpFeedbackPt::Any => 0,
                };
            }
            for map in &media.extmap {
                digest.extensions += u64::from(map.id) + map.extension_name.len() as u64;
            }
            digest.sources += media.ssrc.iter().map(|source| u64::from(source.ssrc)).sum::<u64>();
            // The crate has no type for `ssrc-group`.
            for group in media.attributes.iter().filter(|attribute| attribute.name == "ssrc-group") {
                let ids = group.value.as_ref()?.split(' ').skip(1);
                digest.sources += ids.filter_map(|id| id.parse::<u64>().ok()).sum::<u64>();
            }
            for fingerprint in &media.fingerprint {
                digest.fingerprints += fingerprint.fingerprint.iter().map(|byte| u64::from(*byte)).sum::<u64>();
            }
            digest.credentials += media.ice_ufrag.as_ref().map_or(0, |ufrag| ufrag.ufrag.len() as u64);
            digest.credentials += media.ice_pwd.as_ref().map_or(0, |pwd| pwd.pwd.len() as u64);
            digest.mids += media.mid.as_ref().map_or(0, |mid| mid.len() as u64);
            if let Some(msid) = &media.msid {
                digest.streams += (msid.id.len() + msid.appdata.as_ref().map_or(0, |track| track.len())) as u64;
            }
            digest.setups += match media.setup {
                Some(Setup::ActPass) => 1,
                Some(Setup::Active) => 256,
                _ => 0,
            };
            digest.flags += u64::from(media.rtcp_mux) + u64::from(media.rtcp_rsize);
        }
        Some(digest)
    }

    fn edit(session: &mut SessionDescription) -> Option<()> {
        session.media_descriptions.first_mut()?.setup = Some(Setup::Active);
        Some(())
    }

    fn write(session: &SessionDescription) -> Vec<u8> {
        session.to_string().into_bytes()
    }

    fn candidate(&self, value: &Text, _: &Text) -> Option<Candidate> {
        let shared: &BytesStr = &value.shared;
        IceCandidate::parse(shared.as_ref(), shared.as_str()).ok().map(|(_, candidate)| read(&candidate))
    }
}

fn read(candidate: &IceCandidate) -> Candidate {
    Candidate {
        foundation: candidate.foundation.len(),
        component: candidate.component.into(),
        priority: candidate.priority,
        port: candidate.port.into(),
        related_port: candidate.rel_port.unwrap_or_default().into(),
        extensions: candidate.unknown.len() as u64,
    }
}
