//! The answer to an offer (RFC 3264 §6, RFC 8829 §5.3): decided first, then written.
//!
//! Rules of this file: deciding is pure and never writes; each section ends as accepted or refused with one reason. The
//! order is that of what depends on what: what a section says, its codecs, the bundles, the transports.

use super::bundle::{self, Groups, refuse};
use super::capabilities::{BundlePolicy, Capabilities, Demands, Media, MuxPolicy, Role, Transport};
use super::codecs::{self, Choice};
use super::explanation::{Decision, Explanation, Refusal, SectionOutcome};
use super::section::{self, Described, Gathered, unless_inactive};
use super::simulcast::{self, Versions};
use super::writing;
use crate::attribute::{Direction, Extmap, IceOptions, Setup};
use crate::error::TypedError;
use crate::session::{EditError, Session};
use crate::work::look;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

/// An answer, and why it is what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The description; its media sections are those of the offer, in their order.
    pub session: Session<'static>,
    /// One for each media section.
    pub explanations: Vec<Explanation>,
}

/// Why there is no answer at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum AnswerError {
    /// The offer cannot be answered section by section: an `m=` line, or a line that holds for all, cannot be read.
    #[error("the offer: {0}")]
    Offer(TypedError),
    /// A text of the capabilities would break its line.
    #[error("the capabilities: {0}")]
    Breaks(EditError),
    /// A value of the capabilities is none of its kind; the line is that of the answer.
    #[error("the capabilities: {0}")]
    Capabilities(TypedError),
}

/// Answers an offer.
///
/// The payload types, the numbers of header extensions and the `mid`s are the offer's; what is unknown is left out or
/// refused, never guessed. The same offer and capabilities give the same answer.
///
/// # Errors
/// An offer whose sections cannot be told, or capabilities that cannot be written. Whatever else is odd about an offer
/// refuses a section, or leaves something out.
pub fn answer(offer: &Session<'_>, capabilities: &Capabilities<'_>) -> Result<Answer, AnswerError> {
    let top = section::top(offer);
    if let Some(fault) = top.fault.as_deref() {
        return Err(AnswerError::Offer(*fault));
    }
    let (text, explanations) = {
        let sections = section::read_all(offer, &top).map_err(AnswerError::Offer)?;
        let plan = Plan::new(&top, &sections, capabilities);
        (writing::write(offer, &plan), plan.sections.iter().map(Planned::explain).collect())
    };
    // What was decided is gone by now: only what was written is needed.
    Ok(Answer { session: text.read()?, explanations })
}

/// What was decided.
#[derive(Debug)]
pub(super) struct Plan<'s, 'a> {
    pub(super) capabilities: &'a Capabilities<'a>,
    pub(super) sections: Vec<Planned<'s, 'a>>,
    pub(super) bundles: Groups,
    /// The lip-synchronised groups of the offer.
    pub(super) synchronised: Groups,
    /// The options of ICE that the offer has for all.
    pub(super) ice_options: Option<IceOptions<'s>>,
}

/// What was decided of one section.
#[derive(Debug)]
pub(super) struct Planned<'s, 'a> {
    pub(super) offered: &'s Described<'s>,
    /// Its name, unless that is another section's.
    pub(super) mid: Option<&'s str>,
    pub(super) decision: Result<Accepted<'s, 'a>, Refusal>,
}

/// A section that is taken.
#[derive(Debug)]
pub(super) struct Accepted<'s, 'a> {
    /// None for data channels.
    pub(super) media: Option<Box<MediaPlan<'s, 'a>>>,
    pub(super) carriage: Carriage<'a>,
}

/// What is sent and received.
#[derive(Debug)]
pub(super) struct MediaPlan<'s, 'a> {
    pub(super) media: &'a Media<'a>,
    pub(super) choice: Choice<'s, 'a>,
    pub(super) direction: Direction,
    pub(super) extensions: Vec<Extmap<'s>>,
    pub(super) versions: Versions<'s>,
}

/// How it is carried.
#[derive(Clone, Copy, Debug)]
pub(super) struct Carriage<'a> {
    pub(super) transport: &'a Transport<'a>,
    /// The section whose transport it is.
    pub(super) owner: usize,
    pub(super) uses_ice: bool,
    /// The role in DTLS; none without DTLS.
    pub(super) setup: Option<Setup>,
}

/// What a section says by itself.
type Considered<'s, 'a> = Result<Option<Box<MediaPlan<'s, 'a>>>, Refusal>;

impl<'s, 'a> Plan<'s, 'a> {
    fn new(top: &Gathered<'s>, sections: &'s [Described<'s>], capabilities: &'a Capabilities<'a>) -> Self {
        let mut plans = Vec::with_capacity(sections.len());
        let mut refusals: Vec<Option<Refusal>> = Vec::with_capacity(sections.len());
        let (named, mut entries) = (bundle::names(sections), BTreeMap::new());
        let is_named =
            |section: &Described<'s>| section.own.mid.is_none_or(|mid| named.get(mid) == Some(&section.index));
        for section in sections {
            let nth = entries.entry(section.head.media).and_modify(|nth| *nth += 1).or_insert(0_usize);
            let (plan, refusal) = match consider(section, capabilities, *nth) {
                Err(refusal) => (None, Some(refusal)),
                Ok(_) if !is_named(section) => (None, Some(Refusal::MidTwice)),
                Ok(plan) => (plan, None),
            };
            plans.push(plan);
            refusals.push(refusal);
        }
        let bundles = match capabilities.bundle {
            BundlePolicy::Never => Groups::none(sections.len()),
            BundlePolicy::Balanced | BundlePolicy::MaxCompat | BundlePolicy::MaxBundle => {
                Groups::read("BUNDLE", top, sections)
            }
        };
        bundles.judge(capabilities.bundle, sections, &mut refusals);
        let carriages = carry(sections, capabilities, &bundles, &mut refusals);
        let synchronised = Groups::read("LS", top, sections);
        let sections = sections.iter().zip(plans).map(|(offered, media)| {
            let refusal = refusals.get(offered.index).copied().flatten();
            let carriage = carriages.get(offered.index).copied().flatten();
            let decision = match (refusal, carriage) {
                (Some(refusal), _) => Err(refusal),
                (None, Some(carriage)) => Ok(Accepted { media, carriage }),
                (None, None) => Err(Refusal::NoTransport),
            };
            Planned { offered, mid: offered.own.mid.filter(|_| is_named(offered)), decision }
        });
        let sections = sections.collect();
        Self { capabilities, sections, bundles, synchronised, ice_options: top.wide.ice_options }
    }
}

/// Judges a section without its neighbours.
fn consider<'s, 'a>(section: &'s Described<'s>, capabilities: &'a Capabilities<'a>, nth: usize) -> Considered<'s, 'a> {
    if section.is_removed() {
        return Err(Refusal::Removed);
    }
    if let Some(fault) = section.own.fault.as_deref() {
        return Err(Refusal::Unreadable(*fault));
    }
    if section.is_multicast() {
        return Err(Refusal::Multicast);
    }
    if section.is_data() {
        return consider_data(section, capabilities).map(|()| None);
    }
    look(capabilities.media.len());
    let mut entries = capabilities.media.iter().filter(|media| media.kind == section.head.media);
    let last = entries.clone().next_back().ok_or(Refusal::Kind)?;
    let media = entries.nth(nth).unwrap_or(last);
    if media.is_declined {
        return Err(Refusal::Declined);
    }
    if !is_known(section.head.protocol) {
        return Err(Refusal::Protocol);
    }
    let choice = codecs::choose(&section.formats, media);
    if choice.chosen.is_empty() {
        return Err(Refusal::NoCommonFormat);
    }
    // RFC 3264 §6.1: the offer seen from here, as far as the answerer goes along.
    let seen = section.direction.reversed();
    let direction =
        Direction::of(seen.sends() && media.direction.sends(), seen.receives() && media.direction.receives());
    let extensions = extensions(section, media, direction);
    let versions = simulcast::answer(&section.own.rtp, media.features, direction, &choice);
    Ok(Some(Box::new(MediaPlan { media, choice, direction, extensions, versions })))
}

/// RFC 8829 §5.1.2: what an offer may call SRTP with keys from DTLS, and what goes without.
fn is_known(protocol: &str) -> bool {
    matches!(
        protocol,
        "RTP/AVP"
            | "RTP/AVPF"
            | "RTP/SAVP"
            | "RTP/SAVPF"
            | "UDP/TLS/RTP/SAVP"
            | "UDP/TLS/RTP/SAVPF"
            | "TCP/DTLS/RTP/SAVP"
            | "TCP/DTLS/RTP/SAVPF"
    )
}

fn consider_data(section: &Described<'_>, capabilities: &Capabilities<'_>) -> Result<(), Refusal> {
    const CHANNELS: &str = "webrtc-datachannel";
    capabilities.data.ok_or(Refusal::Kind)?;
    let mut formats = section.head.formats();
    match (section.own.data.port, section.own.data.sctpmap) {
        (Some(_), _) if formats.any(|format| format == CHANNELS) => Ok(()),
        // The format was the port then, and the map said what it is for.
        (None, Some(map)) if map.application == CHANNELS => {
            let is_mapped = formats.any(|format| format.parse() == Ok(map.port));
            if is_mapped { Ok(()) } else { Err(Refusal::NoCommonFormat) }
        }
        (None, None) => Err(Refusal::NoSctpPort),
        _ => Err(Refusal::NoCommonFormat),
    }
}

/// The header extensions that both know, with the numbers of the offer (RFC 8285 §7).
fn extensions<'s>(section: &Described<'s>, media: &Media<'_>, direction: Direction) -> Vec<Extmap<'s>> {
    let mut answered: Vec<Extmap<'s>> = Vec::new();
    for offered in section.extensions.iter() {
        look(media.extensions.len() + answered.len() + 1);
        let known = media.extensions.iter().find(|known| {
            known.uri == offered.uri && known.attributes.as_bytes() == offered.attributes.unwrap_or_default()
        });
        // Two alternatives may have one number; beyond 255 there is no packet that could carry it.
        let is_free = offered.id < 256 && answered.iter().all(|other| other.id != offered.id);
        let Some(known) = known.filter(|_| is_free) else { continue };
        let seen = offered.direction.unwrap_or_default().reversed();
        // RFC 8285 §7: an extension goes no way that its stream does not, unless that goes none for now.
        let stream = unless_inactive(direction);
        let sends = seen.sends() && known.direction.sends() && stream.sends();
        let receives = seen.receives() && known.direction.receives() && stream.receives();
        let wanted = Direction::of(sends, receives);
        if wanted == Direction::Inactive {
            continue;
        }
        // Without a direction it goes the way of the stream.
        let direction = if wanted == stream { None } else { Some(wanted) };
        answered.push(Extmap { direction, ..*offered });
    }
    answered
}

/// Gives each section that is left its transport, or refuses it.
fn carry<'a>(
    sections: &[Described<'_>],
    capabilities: &'a Capabilities<'a>,
    bundles: &Groups,
    refusals: &mut [Option<Refusal>],
) -> Vec<Option<Carriage<'a>>> {
    let mut carriages: Vec<Option<Carriage<'a>>> = alloc::vec![None; sections.len()];
    let mut transports = capabilities.transports.iter();
    let is_refused = |refusals: &[Option<Refusal>], index: usize| refusals.get(index).is_some_and(Option::is_some);
    for section in sections.iter().filter(|section| bundles.owner(section.index) == section.index) {
        if is_refused(refusals, section.index) {
            continue;
        }
        let made = match transports.as_slice().first() {
            Some(transport) => carriage(section, capabilities, transport),
            None => Err(Refusal::NoTransport),
        };
        match (made, carriages.get_mut(section.index)) {
            (Ok(made), Some(slot)) => {
                *slot = Some(made);
                transports.next();
            }
            (Err(why), _) => refuse(refusals, section.index, why),
            (Ok(_), None) => {}
        }
    }
    bundles.spread(refusals);
    for section in sections.iter().filter(|section| !is_refused(refusals, section.index)).collect::<Vec<_>>() {
        let owner = bundles.owner(section.index);
        let carriage = carriages.get(owner).copied().flatten();
        if let (true, Some(slot)) = (owner != section.index, carriages.get_mut(section.index)) {
            *slot = carriage;
        }
        // RFC 9143 §9.3: RTCP is multiplexed in a bundle, and its first section says so for all (§7.1.3).
        let flags = section.own.flags;
        let says_owner = sections.get(owner).is_some_and(|owner| owner.own.flags.rtcp_mux);
        let is_muxed = flags.rtcp_mux || says_owner || (flags.bundle_only && owner != section.index);
        if section.is_rtp() && !is_muxed && (capabilities.rtcp_mux == MuxPolicy::Require || flags.rtcp_mux_only) {
            refuse(refusals, section.index, Refusal::NoRtcpMux);
        }
    }
    // The section that carried a bundle may just have gone.
    bundles.spread(refusals);
    carriages
}

/// How a section goes over a transport of its own.
fn carriage<'a>(
    section: &Described<'_>,
    capabilities: &Capabilities<'_>,
    transport: &'a Transport<'a>,
) -> Result<Carriage<'a>, Refusal> {
    let keys = section.own.keys;
    let is_demanded = capabilities.demands == Demands::Webrtc;
    let offers_ice = keys.fragment.is_some() && keys.password.is_some();
    let uses_ice = offers_ice && transport.credentials.is_some();
    if is_demanded && !uses_ice {
        return Err(if offers_ice { Refusal::TransportWithoutIce } else { Refusal::NoIce });
    }
    // Profiles with an S encrypt; without a fingerprint there is no key here to do it with.
    let must_encrypt = is_demanded || section.is_dtls() || section.head.protocol.contains("SAVP");
    let uses_dtls = keys.has_fingerprint && transport.dtls.is_some();
    if must_encrypt && !uses_dtls {
        return Err(if keys.has_fingerprint { Refusal::TransportWithoutDtls } else { Refusal::NoFingerprint });
    }
    let setup = match (transport.dtls.filter(|_| uses_dtls), keys.setup) {
        (None, _) => None,
        (Some(_), Some(Setup::HoldConn)) => return Err(Refusal::HoldConnection),
        (Some(dtls), Some(Setup::ActPass)) => Some(match dtls.role {
            Role::Active => Setup::Active,
            Role::Passive => Setup::Passive,
        }),
        (Some(_), Some(Setup::Passive)) => Some(Setup::Active),
        // RFC 4145 §4: an offer that says nothing is active.
        (Some(_), Some(Setup::Active) | None) => Some(Setup::Passive),
    };
    Ok(Carriage { transport, owner: section.index, uses_ice, setup })
}

impl Planned<'_, '_> {
    fn explain(&self) -> Explanation {
        let index = self.offered.index;
        let (outcome, notes) = match &self.decision {
            Err(refusal) => (SectionOutcome::Refused(*refusal), Vec::new()),
            Ok(accepted) => {
                let (formats, of, direction) = match &accepted.media {
                    None => (1, 1, None),
                    Some(media) => (media.choice.chosen.len(), self.offered.formats.len(), Some(media.direction)),
                };
                (SectionOutcome::Accepted { formats, of, direction }, self.notes(accepted))
            }
        };
        Explanation { media: index, outcome, notes }
    }

    fn notes(&self, accepted: &Accepted<'_, '_>) -> Vec<Decision> {
        let mut notes = Vec::new();
        if accepted.carriage.owner != self.offered.index {
            notes.push(Decision::BundledWith { media: accepted.carriage.owner });
        }
        let Some(media) = &accepted.media else { return notes };
        let MediaPlan { choice, direction, extensions, versions, .. } = &**media;
        let (offered, answered) = (self.offered.direction, *direction);
        if offered.reversed() != answered {
            notes.push(Decision::Narrowed { offered, answered });
        }
        notes.extend(
            choice.left_out.iter().map(|(payload, why)| Decision::FormatLeftOut { payload: *payload, why: *why }),
        );
        let is_answered = |offered: &&Extmap<'_>| {
            look(extensions.len() + 1);
            extensions.iter().any(|known| known.uri == offered.uri)
        };
        // What the session offers to all is not told of each.
        let own = if self.offered.own.has_extensions() { &*self.offered.extensions } else { &[] };
        let left_out = own.iter().filter(|offered| !is_answered(offered));
        notes.extend(left_out.map(|offered| Decision::ExtensionLeftOut { id: offered.id }));
        if self.offered.own.rtp.simulcast.is_some() && versions.is_empty() {
            notes.push(Decision::SimulcastLeftOut);
        }
        notes
    }
}
