//! `sdp-types`: owned lines, and typed values that are parsed on demand.

use super::{Candidate, Codec, Digest};
use crate::texts::Text;
use core::str::FromStr;
use sdp_types::{
    Attribute, ExtMap, Fingerprint, Fmtp, Group, IcePwd, IceUfrag, Mid, Msid, Rtcp, RtcpFb, RtcpFbPt, RtpMap, Session,
    Setup, Ssrc, SsrcGroup,
};

pub(crate) struct SdpTypes;

impl Codec for SdpTypes {
    const NAME: &'static str = "sdp-types";
    type Session<'a> = Session;

    fn new() -> Self {
        Self
    }

    fn parse(&self, text: &Text) -> Option<Session> {
        Session::parse(text.text.as_bytes()).ok()
    }

    fn sections(session: &Session) -> usize {
        session.medias.len()
    }

    fn digest(session: &Session) -> Option<Digest> {
        let mut digest = Digest::default();
        for attribute in &session.attributes {
            add(&mut digest, attribute)?;
        }
        for media in &session.medias {
            digest.media += 1 + u64::from(media.port);
            for attribute in &media.attributes {
                add(&mut digest, attribute)?;
            }
        }
        Some(digest)
    }

    fn edit(session: &mut Session) -> Option<()> {
        let attributes = &mut session.medias.first_mut()?.attributes;
        attributes.iter_mut().find(|attribute| attribute.attribute == "setup")?.value = Some("active".to_owned());
        Some(())
    }

    fn write(session: &Session) -> Vec<u8> {
        let mut out = Vec::new();
        session.write(&mut out).expect("writing to a vector cannot fail");
        out
    }

    fn candidate(&self, value: &Text, _: &Text) -> Option<Candidate> {
        read(value.text.parse().ok()?)
    }
}

fn read(candidate: sdp_types::Candidate) -> Option<Candidate> {
    Some(Candidate {
        foundation: candidate.foundation.len(),
        component: candidate.component_id.into(),
        priority: candidate.priority,
        port: candidate.port.into(),
        related_port: candidate.rel_port.unwrap_or_default().into(),
        extensions: candidate.extensions.len() as u64,
    })
}

/// Adds one attribute; returns `None` if the codec refuses an attribute that it has a type for.
fn add(digest: &mut Digest, attribute: &Attribute) -> Option<()> {
    let value = attribute.value.as_deref().unwrap_or_default();
    match attribute.attribute.as_str() {
        "candidate" => digest.candidates += read(value.parse().ok()?)?.sum(),
        "rtpmap" => {
            let map: RtpMap = value.parse().ok()?;
            digest.formats += u64::from(map.payload_type) + u64::from(map.clock_rate);
        }
        "fmtp" => digest.parameters += u64::from(Fmtp::from_str(value).ok()?.fmt),
        "rtcp-fb" => {
            digest.feedback += match RtcpFb::from_str(value).ok()?.pt {
                RtcpFbPt::Fmt(payload) => u64::from(payload),
                _ => 0,
            };
        }
        "extmap" => {
            let map: ExtMap = value.parse().ok()?;
            digest.extensions += u64::from(map.id) + map.uri.len() as u64;
        }
        "ssrc" => digest.sources += u64::from(Ssrc::from_str(value).ok()?.ssrc_id),
        "ssrc-group" => {
            let group: SsrcGroup = value.parse().ok()?;
            digest.sources += group.ssrc_ids.iter().map(|id| u64::from(*id)).sum::<u64>();
        }
        "fingerprint" => {
            let fingerprint: Fingerprint = value.parse().ok()?;
            digest.fingerprints += fingerprint.fingerprint.iter().map(|byte| u64::from(*byte)).sum::<u64>();
        }
        "ice-ufrag" => digest.credentials += IceUfrag::from_str(value).ok()?.0.len() as u64,
        "ice-pwd" => digest.credentials += IcePwd::from_str(value).ok()?.0.len() as u64,
        "mid" => digest.mids += Mid::from_str(value).ok()?.0.len() as u64,
        "group" => {
            let group: Group = value.parse().ok()?;
            digest.mids += group.mid_tags.iter().map(|mid| mid.len() as u64).sum::<u64>();
        }
        "msid" => {
            let msid: Msid = value.parse().ok()?;
            digest.streams += (msid.id.len() + msid.appdata.map_or(0, |track| track.len())) as u64;
        }
        "setup" => {
            digest.setups += match Setup::from_str(value).ok()? {
                Setup::ActPass => 1,
                Setup::Active => 256,
                _ => 0,
            };
        }
        "rtcp" => digest.media += u64::from(Rtcp::from_str(value).ok()?.port),
        "rtcp-mux" | "rtcp-rsize" => digest.flags += 1,
        _ => {}
    }
    Some(())
}
