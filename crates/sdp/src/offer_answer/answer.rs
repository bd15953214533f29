//! Builds the answer to an offer (RFC 3264 §6, RFC 9429 §5.3): first all decisions, then the text.
//!
//! Rules of this file: decisions are pure and write no text. Each section is accepted, or refused with one reason. The
//! steps follow their dependencies: the lines of a section, its codecs, the bundles, the transports.

use super::bundle::{self, Groups, refuse};
use super::capabilities::{BundlePolicy, Capabilities, Demands, Media, MuxPolicy, Role, Transport};
use super::codecs::{self, Choice};
use super::explanation::{Decision, Explanation, Refusal, SectionOutcome};
use super::section::{self, Attributes, MediaSection, Repeat, unless_inactive};
use super::simulcast::{self, Versions};
use super::writing;
use crate::attribute::{Direction, Extmap, IceOptions, Setup};
use crate::error::{TypedError, ValueError};
use crate::session::{EditError, Session};
use crate::work::look;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

/// An answer with the reasons for its contents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The answer. Its media sections are those of the offer, in the same order.
    pub session: Session<'static>,
    /// One explanation for each media section.
    pub explanations: Vec<Explanation>,
}

/// Why no answer can be built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum AnswerError {
    /// The offer has an `m=` line, or a line that applies to all sections, that cannot be parsed.
    #[error("the offer: {0}")]
    Offer(TypedError),
    /// A text of the capabilities contains CR, LF or NUL, or the answer is too long.
    #[error("the capabilities: {0}")]
    Edit(EditError),
    /// A value of the capabilities does not match its grammar.
    #[error("the capabilities: {name}: {error}")]
    Capabilities {
        /// The name of the attribute, or `o=` or `c=`.
        name: &'static str,
        /// The error. Its offset counts from the start of the value.
        error: ValueError,
    },
}

/// Builds the answer to an offer.
///
/// Payload types, identifiers of header extensions and `mid`s are those of the offer. Unknown items are left out or
/// refused, never guessed. The same offer and capabilities give the same answer.
///
/// # Errors
/// * [`AnswerError::Offer`]: the offer has an `m=` line, or a line that applies to all sections, that cannot be parsed.
///   Any other error of an offer only refuses a section or leaves an item out.
/// * [`AnswerError::Edit`]: a text of the capabilities contains CR, LF or NUL, or the answer is too long.
/// * [`AnswerError::Capabilities`]: a value of the capabilities does not match its grammar.
pub fn answer(offer: &Session<'_>, capabilities: &Capabilities<'_>) -> Result<Answer, AnswerError> {
    let top = section::top(offer);
    if let Some(fault) = top.essential_fault() {
        return Err(AnswerError::Offer(fault));
    }
    let (text, explanations) = {
        let sections = section::read_all(offer, &top).map_err(AnswerError::Offer)?;
        let plan = Plan::new(&top, &sections, capabilities);
        let mut explanations: Vec<Explanation> = plan.sections.iter().map(Planned::explain).collect();
        if let Some(first) = explanations.first_mut() {
            // The lines of the session apply to all sections. They are reported once.
            unused_lines(&top, &mut first.notes);
        }
        (writing::write(offer, &plan), explanations)
    };
    // The decisions are dropped by now; only the text is needed.
    Ok(Answer { session: text.read()?, explanations })
}

/// The decisions for the whole answer.
#[derive(Debug)]
pub(super) struct Plan<'s, 'a> {
    pub(super) capabilities: &'a Capabilities<'a>,
    pub(super) sections: Vec<Planned<'s, 'a>>,
    pub(super) bundles: Groups,
    /// The lip synchronization groups (`LS`) of the offer.
    pub(super) synchronised: Groups,
    /// The ICE options that the offer has for the session.
    pub(super) ice_options: Option<IceOptions<'s>>,
}

/// The decisions for one section.
#[derive(Debug)]
pub(super) struct Planned<'s, 'a> {
    pub(super) offered: &'s MediaSection<'s>,
    /// The `mid`, unless an earlier section has the same one.
    pub(super) mid: Option<&'s str>,
    pub(super) decision: Result<Accepted<'s, 'a>, Refusal>,
}

/// An accepted section.
#[derive(Debug)]
pub(super) struct Accepted<'s, 'a> {
    /// `None` for data channels.
    pub(super) media: Option<Box<MediaPlan<'s, 'a>>>,
    pub(super) transport_plan: TransportPlan<'a>,
}

/// The simulcast streams that are sent and received.
#[derive(Debug)]
pub(super) struct MediaPlan<'s, 'a> {
    pub(super) media: &'a Media<'a>,
    pub(super) choice: Choice<'s, 'a>,
    pub(super) direction: Direction,
    pub(super) extensions: Vec<Extmap<'s>>,
    pub(super) versions: Versions<'s>,
}

/// The transport of a section.
#[derive(Clone, Copy, Debug)]
pub(super) struct TransportPlan<'a> {
    pub(super) transport: &'a Transport<'a>,
    /// The section whose transport is used.
    pub(super) owner: usize,
    pub(super) uses_ice: bool,
    /// The DTLS role; `None` without DTLS.
    pub(super) setup: Option<Setup>,
}

/// A section as decided from its own lines.
type SectionDecision<'s, 'a> = Result<Option<Box<MediaPlan<'s, 'a>>>, Refusal>;

impl<'s, 'a> Plan<'s, 'a> {
    fn new(top: &Attributes<'s>, sections: &'s [MediaSection<'s>], capabilities: &'a Capabilities<'a>) -> Self {
        let mut plans = Vec::with_capacity(sections.len());
        let mut refusals: Vec<Option<Refusal>> = Vec::with_capacity(sections.len());
        let (named, mut entries) = (bundle::names(sections), BTreeMap::new());
        let is_named =
            |section: &MediaSection<'s>| section.own.mid.is_none_or(|mid| named.get(mid) == Some(&section.index));
        for section in sections {
            let nth = entries.entry(section.head.media).and_modify(|nth| *nth += 1).or_insert(0_usize);
            let (plan, refusal) = match decide(section, capabilities, *nth) {
                Err(refusal) => (None, Some(refusal)),
                Ok(_) if !is_named(section) => (None, Some(Refusal::MidTwice)),
                Ok(plan) => (plan, None),
            };
            plans.push(plan);
            refusals.push(refusal);
        }
        let bundles = match capabilities.bundle {
            BundlePolicy::Never => Groups::none(sections.len()),
            BundlePolicy::Balanced | BundlePolicy::MaxCompat | BundlePolicy::MustBundle => {
                Groups::read("BUNDLE", top, sections)
            }
        };
        bundles.apply_policy(capabilities.bundle, sections, &mut refusals);
        let transport_plans = assign_transports(sections, capabilities, &bundles, &mut refusals);
        let synchronised = Groups::read("LS", top, sections);
        let sections = sections.iter().zip(plans).map(|(offered, media)| {
            let refusal = refusals.get(offered.index).copied().flatten();
            let transport_plan = transport_plans.get(offered.index).copied().flatten();
            let decision = match (refusal, transport_plan) {
                (Some(refusal), _) => Err(refusal),
                (None, Some(transport_plan)) => Ok(Accepted { media, transport_plan }),
                (None, None) => Err(Refusal::NoTransport),
            };
            Planned { offered, mid: offered.own.mid.filter(|_| is_named(offered)), decision }
        });
        let sections = sections.collect();
        Self { capabilities, sections, bundles, synchronised, ice_options: top.session_level.ice_options }
    }
}

/// Decides on a section independent of the other sections.
fn decide<'s, 'a>(
    section: &'s MediaSection<'s>,
    capabilities: &'a Capabilities<'a>,
    nth: usize,
) -> SectionDecision<'s, 'a> {
    if section.is_removed() {
        return Err(Refusal::Removed);
    }
    if let Some(fault) = section.own.essential_fault() {
        return Err(Refusal::Unreadable(fault));
    }
    if section.is_multicast() {
        return Err(Refusal::Multicast);
    }
    if section.is_data() {
        return decide_data(section, capabilities).map(|()| None);
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
    // The direction of the offer from the view of the answerer, restricted to the answerer's own direction (RFC 3264
    // §6.1).
    let seen = section.direction.reversed();
    let direction =
        Direction::of(seen.sends() && media.direction.sends(), seen.receives() && media.direction.receives());
    let extensions = extensions(section, media, direction);
    let versions = simulcast::answer(&section.own.rtp, media.features, direction, &choice);
    Ok(Some(Box::new(MediaPlan { media, choice, direction, extensions, versions })))
}

/// The protocols of an offer for DTLS-SRTP (RFC 9429 §5.1.2), and those without DTLS.
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

fn decide_data(section: &MediaSection<'_>, capabilities: &Capabilities<'_>) -> Result<(), Refusal> {
    const CHANNELS: &str = "webrtc-datachannel";
    capabilities.data.ok_or(Refusal::Kind)?;
    let mut formats = section.head.formats();
    match (section.own.data.port, section.own.data.sctpmap) {
        (Some(_), _) if formats.any(|format| format == CHANNELS) => Ok(()),
        // In old offers the format is the port, and `a=sctpmap` gives its use.
        (None, Some(map)) if map.application == CHANNELS => {
            let is_mapped = formats.any(|format| format.parse() == Ok(map.port));
            if is_mapped { Ok(()) } else { Err(Refusal::NoCommonFormat) }
        }
        (None, None) => Err(Refusal::NoSctpPort),
        _ => Err(Refusal::NoCommonFormat),
    }
}

/// Returns the header extensions that both endpoints support, with the identifiers of the offer (RFC 8285 §7).
fn extensions<'s>(section: &MediaSection<'s>, media: &Media<'_>, direction: Direction) -> Vec<Extmap<'s>> {
    let mut answered: Vec<Extmap<'s>> = Vec::new();
    for offered in section.extensions.iter() {
        look(media.extensions.len() + answered.len() + 1);
        let known = media.extensions.iter().find(|known| {
            known.uri == offered.uri && known.attributes.as_bytes() == offered.attributes.unwrap_or_default()
        });
        // Two alternatives may share an identifier. Packets cannot carry identifiers above 255.
        let is_free = offered.id < 256 && answered.iter().all(|other| other.id != offered.id);
        let Some(known) = known.filter(|_| is_free) else { continue };
        let seen = offered.direction.unwrap_or_default().reversed();
        // An extension has no direction that its stream does not have, unless the stream is inactive (RFC 8285 §7).
        let stream = unless_inactive(direction);
        let sends = seen.sends() && known.direction.sends() && stream.sends();
        let receives = seen.receives() && known.direction.receives() && stream.receives();
        let wanted = Direction::of(sends, receives);
        if wanted == Direction::Inactive {
            continue;
        }
        // Without a direction the extension has that of the stream.
        let direction = if wanted == stream { None } else { Some(wanted) };
        answered.push(Extmap { direction, ..**offered });
    }
    answered
}

/// Assigns a transport to each section that is not refused, or refuses the section.
fn assign_transports<'a>(
    sections: &[MediaSection<'_>],
    capabilities: &'a Capabilities<'a>,
    bundles: &Groups,
    refusals: &mut [Option<Refusal>],
) -> Vec<Option<TransportPlan<'a>>> {
    let mut transport_plans: Vec<Option<TransportPlan<'a>>> = alloc::vec![None; sections.len()];
    let mut transports = capabilities.transports.iter();
    let is_refused = |refusals: &[Option<Refusal>], index: usize| refusals.get(index).is_some_and(Option::is_some);
    for section in sections.iter().filter(|section| bundles.owner(section.index) == section.index) {
        if is_refused(refusals, section.index) {
            continue;
        }
        let made = match transports.as_slice().first() {
            Some(transport) => transport_plan(section, capabilities, transport),
            None => Err(Refusal::NoTransport),
        };
        match (made, transport_plans.get_mut(section.index)) {
            (Ok(made), Some(slot)) => {
                *slot = Some(made);
                transports.next();
            }
            (Err(why), _) => refuse(refusals, section.index, why),
            (Ok(_), None) => {}
        }
    }
    bundles.refuse_dependents(refusals);
    for section in sections.iter().filter(|section| !is_refused(refusals, section.index)).collect::<Vec<_>>() {
        let owner = bundles.owner(section.index);
        let transport_plan = transport_plans.get(owner).copied().flatten();
        if let (true, Some(slot)) = (owner != section.index, transport_plans.get_mut(section.index)) {
            *slot = transport_plan;
        }
        // In a bundle RTCP is multiplexed (RFC 9143 §9.3). The first section has the attribute for all of them
        // (§7.1.3).
        let flags = section.own.flags;
        let is_owner_muxed = sections.get(owner).is_some_and(|owner| owner.own.flags.rtcp_mux);
        let is_muxed = flags.rtcp_mux || is_owner_muxed || (flags.bundle_only && owner != section.index);
        if section.is_rtp() && !is_muxed && (capabilities.rtcp_mux == MuxPolicy::Require || flags.rtcp_mux_only) {
            refuse(refusals, section.index, Refusal::NoRtcpMux);
        }
    }
    // The section that carries the bundle may have been refused just now.
    bundles.refuse_dependents(refusals);
    transport_plans
}

/// Decides how a section uses its own transport.
fn transport_plan<'a>(
    section: &MediaSection<'_>,
    capabilities: &Capabilities<'_>,
    transport: &'a Transport<'a>,
) -> Result<TransportPlan<'a>, Refusal> {
    let keys = section.own.keys;
    let is_demanded = capabilities.demands == Demands::Webrtc;
    // Profiles with an S are encrypted. Without a fingerprint there is no DTLS key.
    let must_encrypt = is_demanded || section.is_dtls() || section.is_secure();
    if must_encrypt && !keys.has_fingerprint && !section.own.rtp.crypto.is_empty() {
        return Err(Refusal::Crypto);
    }
    let offers_ice = keys.fragment.is_some() && keys.password.is_some();
    let uses_ice = offers_ice && transport.credentials.is_some();
    if is_demanded && !uses_ice {
        return Err(if offers_ice { Refusal::TransportWithoutIce } else { Refusal::NoIce });
    }
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
        // Without `a=setup` the offerer is active (RFC 4145 §4.1).
        (Some(_), Some(Setup::Active) | None) => Some(Setup::Passive),
    };
    Ok(TransportPlan { transport, owner: section.index, uses_ice, setup })
}

impl Planned<'_, '_> {
    fn explain(&self) -> Explanation {
        let index = self.offered.index;
        let (outcome, mut notes) = match &self.decision {
            Err(refusal) => (SectionOutcome::Refused(*refusal), Vec::new()),
            Ok(accepted) => {
                let (formats, of, direction) = match &accepted.media {
                    None => (1, 1, None),
                    Some(media) => (media.choice.chosen.len(), self.offered.formats.len(), Some(media.direction)),
                };
                (SectionOutcome::Accepted { formats, of, direction }, self.notes(accepted))
            }
        };
        let is_unreadable = matches!(outcome, SectionOutcome::Refused(Refusal::Unreadable(_) | Refusal::Removed));
        if !is_unreadable {
            unused_lines(&self.offered.own, &mut notes);
        }
        Explanation { media: index, outcome, notes }
    }

    fn notes(&self, accepted: &Accepted<'_, '_>) -> Vec<Decision> {
        let mut notes = Vec::new();
        if accepted.transport_plan.owner != self.offered.index {
            notes.push(Decision::BundledWith { media: accepted.transport_plan.owner });
        }
        let Some(media) = &accepted.media else {
            if self.offered.own.data.port == Some(0) {
                notes.push(Decision::AssociationClosed);
            }
            return notes;
        };
        let MediaPlan { choice, direction, extensions, versions, .. } = &**media;
        let (offered, answered) = (self.offered.direction, *direction);
        if offered.reversed() != answered {
            notes.push(Decision::Narrowed { offered, answered });
        }
        notes.extend(
            choice.left_out.iter().map(|(payload, why)| Decision::FormatOmitted { payload: *payload, why: *why }),
        );
        let is_answered = |offered: &Extmap<'_>| {
            look(extensions.len() + 1);
            extensions.iter().any(|known| known.uri == offered.uri)
        };
        // Session-level extensions of the offer are not reported for each section.
        let own = if self.offered.own.has_extensions() { &*self.offered.extensions } else { &[] };
        let left_out = own.iter().filter(|offered| !is_answered(offered));
        notes.extend(left_out.map(|offered| Decision::ExtensionOmitted { id: offered.id }));
        if !self.offered.own.rtp.simulcasts.is_empty() && versions.is_empty() {
            notes.push(Decision::SimulcastOmitted);
        }
        notes
    }
}

/// Reports the lines that are ignored: those that cannot be parsed, and those that repeat an attribute.
fn unused_lines(attributes: &Attributes<'_>, notes: &mut Vec<Decision>) {
    notes.extend(attributes.faults().map(|fault| Decision::LineUnreadable(fault.error)));
    attributes.each_repeat(|Repeat { name, line, clause }| notes.push(Decision::LineRepeated { name, line, clause }));
}
