//! Checks an answer against its offer (RFC 3264 §6, RFC 9429 §5.8.3 and §5.11).
//!
//! Rules of this file: sections are compared in pairs, by index. For a refused section only the rules for refused
//! sections are checked. The transport of a bundle is that of its first section.

use super::bundle::Groups;
use super::codecs::{is_configured_alike, of_static};
use super::flaw::{Finding, Flaw};
use super::section::{self, Attributes, Format, Keys, MediaSection, unless_inactive};
use crate::attribute::{Direction, Extmap, Rid, RidDirection, RtcpFb, Setup, Streams};
use crate::line::Kind;
use crate::session::Session;
use crate::value::{Origin, Timing};
use crate::work::look;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

/// Compares an answer with its offer; returns an empty list if the answer has no violation.
///
/// Both descriptions may be incomplete (candidates follow later) and may have unknown attributes. A finding is a
/// violated MUST that is visible in the two descriptions.
#[must_use]
pub fn validate(offer: &Session<'_>, answer: &Session<'_>) -> Vec<Finding> {
    let mut report = Report { findings: Vec::new(), media: None, line: None };
    let (theirs, ours) = (section::top(offer), section::top(answer));
    let read = |session, top: &Attributes<'_>| match top.fault.as_deref() {
        Some(fault) => Err(*fault),
        None => Ok(session),
    };
    let pair = match (read(offer, &theirs), read(answer, &ours)) {
        (Err(fault), _) => Err(Flaw::Offer(fault)),
        (_, Err(fault)) => Err(Flaw::Unreadable(fault)),
        (Ok(offer), Ok(answer)) => section::read_all(offer, &theirs)
            .map_err(Flaw::Offer)
            .and_then(|offered| Ok((offered, section::read_all(answer, &ours).map_err(Flaw::Unreadable)?))),
    };
    match pair {
        Err(flaw) => report.add(flaw),
        Ok((offered, answered)) => {
            session(&mut report, offer, answer);
            session_level(&mut report, &ours, &answered);
            let offered_bundles = Groups::read("BUNDLE", &theirs, &offered);
            let exchange = Exchange {
                offered_rtcp: bundle_rtcp(&offered_bundles, &offered),
                offered_bundles,
                answered_bundles: Groups::read("BUNDLE", &ours, &answered),
                offered: &offered,
            };
            exchange.bundles(&mut report);
            for (offered, answered) in offered.iter().zip(&answered) {
                (report.media, report.line) = (Some(answered.index), Some(answered.line));
                exchange.section(&mut report, offered, answered);
            }
        }
    }
    report.findings
}

/// The findings so far, and the current section.
struct Report {
    findings: Vec<Finding>,
    media: Option<usize>,
    line: Option<usize>,
}

impl Report {
    fn add(&mut self, flaw: Flaw) {
        self.findings.push(Finding { media: self.media, line: self.line, flaw });
    }

    fn add_if(&mut self, is_flawed: bool, flaw: Flaw) {
        if is_flawed {
            self.add(flaw);
        }
    }
}

/// Checks the lines before the first section.
fn session(report: &mut Report, offer: &Session<'_>, answer: &Session<'_>) {
    let (offered, answered) = (offer.media_count(), answer.media_count());
    report.add_if(offered != answered, Flaw::MediaCount { offered, answered });
    let times = |session: &Session<'_>| -> Vec<Timing> {
        session.top().lines_of(Kind::Time).filter_map(|line| line.read().ok()).collect()
    };
    let asked = times(offer);
    // An offer without `t=` has nothing to compare.
    report.add_if(!asked.is_empty() && asked != times(answer), Flaw::Time);
    let Some(origin) = answer.top().line(Kind::Origin) else { return };
    let is_same = offer.top().line(Kind::Origin).is_some_and(|offered| offered.value() == origin.value());
    report.add_if(is_same && offer != answer, Flaw::Origin);
    if let Ok(origin) = origin.read::<Origin<'_>>() {
        let fits = |digits: &str| digits.parse::<i64>().is_ok();
        report.add_if(!fits(origin.id) || !fits(origin.version), Flaw::OriginNumber);
    }
}

/// Checks the session lines of the answer that do not depend on the offer.
fn session_level(report: &mut Report, top: &Attributes<'_>, answered: &[MediaSection<'_>]) {
    report.add_if(top.session_level.ice_lite && top.session_level.ice_pacing, Flaw::PacingOfLite);
    let known: BTreeSet<&str> = answered.iter().filter_map(|section| section.own.mid).collect();
    let mut mids = top.session_level.groups.iter().flat_map(|group| group.mids());
    report.add_if(mids.any(|mid| !known.contains(mid)), Flaw::GroupUnknown);
    let refused: BTreeSet<&str> =
        answered.iter().filter(|section| section.head.port == 0).filter_map(|section| section.own.mid).collect();
    let mut bundled = top.session_level.groups.iter().filter(|group| group.is_bundle()).flat_map(|group| group.mids());
    report.add_if(bundled.any(|mid| refused.contains(mid)), Flaw::BundleOfRefused);
}

/// An offer and its answer.
struct Exchange<'x, 's> {
    offered: &'x [MediaSection<'s>],
    offered_bundles: Groups,
    answered_bundles: Groups,
    /// For each offered bundle whether one of its sections has `a=rtcp-mux`, and `a=rtcp-rsize`.
    offered_rtcp: Vec<(bool, bool)>,
}

impl<'s> Exchange<'_, 's> {
    /// A bundle of the answer must be a subset of an offered bundle (RFC 9143 §7.3).
    fn bundles(&self, report: &mut Report) {
        for members in &self.answered_bundles.members {
            let mut offered = members.iter().map(|member| self.offered_bundles.of(*member));
            let first = offered.next().flatten();
            let is_part = first.is_some() && offered.all(|group| group == first);
            report.add_if(!members.is_empty() && !is_part, Flaw::BundleNotOffered);
        }
    }

    fn section(&self, report: &mut Report, offered: &MediaSection<'s>, answered: &MediaSection<'s>) {
        report.add_if(offered.head.media != answered.head.media, Flaw::Kind);
        report.add_if(offered.head.protocol != answered.head.protocol, Flaw::Protocol);
        let (theirs, ours) = (offered.own.mid, answered.own.mid);
        let is_refused = answered.head.port == 0;
        // A refused section need not have a `mid`, but must not have another one.
        report.add_if(theirs != ours && !(is_refused && ours.is_none()), Flaw::Mid);
        report.add_if(answered.own.flags.bundle_only, Flaw::BundleOnlyAnswered);
        if is_refused {
            return;
        }
        if let Some(fault) = answered.own.fault.as_deref() {
            return report.add(Flaw::Unreadable(*fault));
        }
        report.add_if(offered.is_removed(), Flaw::RemovedTaken);
        report.add_if(answered.own.flags.remote_candidates, Flaw::RemoteCandidates);
        addresses(report, offered, answered);
        self.transport(report, offered, answered);
        if answered.is_rtp() {
            formats(report, offered, answered);
            self.multiplexing(report, offered, answered);
            extensions(report, offered, answered);
            simulcast(report, offered, answered);
        } else if answered.is_data() {
            report.add_if(offered.head.format_list != answered.head.format_list, Flaw::DataFormats);
            report.add_if(offered.own.data.port.is_some() && answered.own.data.port.is_none(), Flaw::NoSctpPort);
        } else {
            let known: BTreeSet<&str> = offered.head.formats().collect();
            report.add_if(!answered.head.formats().any(|format| known.contains(format)), Flaw::NoOfferedFormat);
        }
    }

    /// Checks ICE and DTLS; in a bundle only those of the first section.
    fn transport(&self, report: &mut Report, offered: &MediaSection<'s>, answered: &MediaSection<'s>) {
        let is_owner = self.answered_bundles.owner(answered.index) == answered.index;
        let is_bundled = self.answered_bundles.of(answered.index).is_some();
        report.add_if(offered.own.flags.bundle_only && !is_bundled, Flaw::BundleOnlyAlone);
        let (theirs, ours) = (self.offered_keys(offered), answered.own.keys);
        let is_dtls = answered.is_dtls() || (theirs.has_fingerprint && ours.has_fingerprint);
        match (theirs.setup, ours.setup) {
            (_, Some(Setup::ActPass)) => report.add(Flaw::SetupOpen),
            (Some(Setup::Active), Some(Setup::Active)) | (Some(Setup::Passive), Some(Setup::Passive)) => {
                report.add(Flaw::SetupConflict);
            }
            (_, None) => report.add_if(is_dtls && is_owner, Flaw::NoSetup),
            (_, Some(_)) => {}
        }
        let has_half = ours.fragment.is_some() != ours.password.is_some();
        report.add_if(has_half, Flaw::HalfIce);
        let is_offered = theirs.fragment.is_some() && theirs.password.is_some();
        report.add_if(ours.fragment.is_some() && !is_offered, Flaw::IceNotOffered);
        // With DTLS the WebRTC rules apply. Otherwise an answerer may omit ICE (RFC 8839 §4.3.3).
        let is_missing = is_offered && ours.fragment.is_none() && !has_half;
        report.add_if(is_owner && answered.is_dtls() && is_missing, Flaw::NoIce);
        report.add_if(is_owner && answered.is_dtls() && !ours.has_fingerprint, Flaw::NoFingerprint);
    }

    /// Returns the offered attributes for the transport of a section; in a bundle those of its first section.
    fn offered_keys(&self, offered: &MediaSection<'s>) -> Keys<'s> {
        let is_bundled = self.answered_bundles.of(offered.index).is_some();
        let first = self.offered.get(self.offered_bundles.owner(offered.index)).filter(|_| is_bundled);
        first.unwrap_or(offered).own.keys
    }

    /// Checks RTCP. In a bundle one section has the attributes for all.
    fn multiplexing(&self, report: &mut Report, offered: &MediaSection<'s>, answered: &MediaSection<'s>) {
        let (theirs, ours) = (offered.own.flags, answered.own.flags);
        let rtcp = self.offered_bundles.of(offered.index).and_then(|group| self.offered_rtcp.get(group));
        let (may_mux, may_reduce) = rtcp.copied().unwrap_or_default();
        report.add_if(ours.rtcp_mux && !theirs.rtcp_mux && !may_mux, Flaw::MuxNotOffered);
        report.add_if(ours.rtcp_rsize && !theirs.rtcp_rsize && !may_reduce, Flaw::ReducedSizeNotOffered);
        report.add_if(ours.rtcp_mux_only, Flaw::MuxOnlyAnswered);
        let is_owner = self.answered_bundles.owner(answered.index) == answered.index;
        report.add_if(theirs.rtcp_mux_only && !ours.rtcp_mux && is_owner, Flaw::MuxMissing);
    }
}

/// Returns the RTCP attributes of each bundle, combined over its sections.
fn bundle_rtcp(bundles: &Groups, sections: &[MediaSection<'_>]) -> Vec<(bool, bool)> {
    let flags = |members: &Vec<usize>| {
        let flags = members.iter().filter_map(|member| sections.get(*member)).map(|section| section.own.flags);
        flags.fold((false, false), |(mux, rsize), flags| (mux || flags.rtcp_mux, rsize || flags.rtcp_rsize))
    };
    bundles.members.iter().map(flags).collect()
}

/// Checks the address and the direction of the media.
fn addresses(report: &mut Report, offered: &MediaSection<'_>, answered: &MediaSection<'_>) {
    if offered.is_multicast() {
        // All participants of a multicast session see the same description (RFC 3264 §6.2).
        let known: BTreeSet<&str> = offered.head.formats().collect();
        let is_same = offered.own.connection == answered.own.connection
            && offered.head.port == answered.head.port
            && offered.direction == answered.direction
            && answered.head.formats().all(|format| known.contains(format));
        return report.add_if(!is_same, Flaw::MulticastChanged);
    }
    report.add_if(answered.is_multicast(), Flaw::MulticastAnswered);
    let (theirs, ours) = (offered.direction, answered.direction);
    report.add_if(!answered.is_data() && !fits(theirs, ours), Flaw::Direction { offered: theirs, answered: ours });
}

/// Returns whether each direction that one side uses is also used by the other side.
const fn fits(offered: Direction, answered: Direction) -> bool {
    (offered.receives() || !answered.sends()) && (offered.sends() || !answered.receives())
}

fn formats(report: &mut Report, offered: &MediaSection<'_>, answered: &MediaSection<'_>) {
    let known: BTreeMap<u8, &Format<'_>> = offered.formats.iter().map(|format| (format.payload, format)).collect();
    report.add_if(!answered.formats.iter().any(|format| known.contains_key(&format.payload)), Flaw::NoOfferedFormat);
    let payloads: BTreeSet<u8> = answered.formats.iter().map(|format| format.payload).collect();
    for format in &answered.formats {
        let payload = format.payload;
        report.add_if(!format.is_mapped && of_static(payload).is_none(), Flaw::NoRtpmap { payload });
        if let Some(theirs) = known.get(&payload).filter(|theirs| !theirs.name.is_empty() && !format.name.is_empty()) {
            let is_same = theirs.name.eq_ignore_ascii_case(format.name)
                && (theirs.clock, theirs.channels) == (format.clock, format.channels);
            report.add_if(!is_same, Flaw::Remapped { payload });
            let is_alike = is_configured_alike(format.name, &theirs.parameters, &format.parameters);
            report.add_if(is_same && !is_alike, Flaw::Configuration { payload });
        }
        if format.name.eq_ignore_ascii_case("rtx") {
            let repeats = format.primary().is_some_and(|primary| payloads.contains(&primary));
            report.add_if(!repeats, Flaw::RetransmitsNothing { payload });
        }
    }
    feedback(report, offered, answered);
}

/// The answer may use the feedback that the offered section has. Formats that are new in the answer may have it too
/// (RFC 9429 §5.11).
fn feedback(report: &mut Report, offered: &MediaSection<'_>, answered: &MediaSection<'_>) {
    let known: BTreeSet<_> = offered.own.rtp.feedback.iter().map(what).collect();
    for feedback in &answered.own.rtp.feedback {
        look(1);
        report.add_if(!known.contains(&what(feedback)), Flaw::FeedbackNotOffered { payload: feedback.payload_type });
    }
}

/// Returns a feedback without its payload type.
const fn what<'s>(feedback: &RtcpFb<'s>) -> (&'s str, Option<&'s str>, Option<&'s [u8]>) {
    (feedback.kind, feedback.parameter, feedback.value)
}

fn extensions(report: &mut Report, offered: &MediaSection<'_>, answered: &MediaSection<'_>) {
    let (theirs, ours) = (&*offered.extensions, &*answered.extensions);
    let mut by_name: BTreeMap<(&str, &[u8]), Vec<&Extmap<'_>>> = BTreeMap::new();
    let mut by_id: BTreeMap<u16, Vec<&Extmap<'_>>> = BTreeMap::new();
    for extension in theirs {
        look(extension.uri.len() + 1);
        by_name.entry((extension.uri, extension.attributes.unwrap_or_default())).or_default().push(extension);
        by_id.entry(extension.id).or_default().push(extension);
    }
    let mut seen = BTreeSet::new();
    for extension in ours {
        let id = extension.id;
        look(1);
        report.add_if(!seen.insert(id), Flaw::ExtensionTwice { id });
        let alike = by_name.get(&(extension.uri, extension.attributes.unwrap_or_default()));
        let same = alike.and_then(|alike| alike.iter().inspect(|_| look(1)).find(|theirs| theirs.id == id));
        let is_renumbered = match (alike, same) {
            (_, Some(_)) => false,
            // The answer must replace identifiers above 255.
            (Some(alike), None) => alike.iter().inspect(|_| look(1)).any(|theirs| theirs.id < 256),
            (None, None) => by_id.contains_key(&id),
        };
        report.add_if(is_renumbered, Flaw::ExtensionRenumbered { id });
        // Without a direction an extension has that of its stream. If the stream is inactive, or its direction is
        // invalid, nothing is checked.
        let stream = answered.direction;
        if extension.direction.is_none() && (stream == Direction::Inactive || !fits(offered.direction, stream)) {
            continue;
        }
        let ours = extension.direction.unwrap_or(stream);
        let theirs = same.or_else(|| alike.and_then(|alike| alike.first())).map(|theirs| theirs.direction);
        if let Some(theirs) = theirs {
            let theirs = theirs.unwrap_or(unless_inactive(offered.direction));
            report.add_if(!fits(theirs, ours), Flaw::ExtensionDirection { id });
        }
    }
    let mixes = answered.own.flags.mixed_extensions && !offered.own.flags.mixed_extensions;
    report.add_if(mixes, Flaw::MixedNotOffered);
}

fn simulcast(report: &mut Report, offered: &MediaSection<'_>, answered: &MediaSection<'_>) {
    let (theirs, ours) = (&offered.own.rtp, &answered.own.rtp);
    let known: BTreeMap<&str, &Rid<'_>> = theirs.rids.iter().map(|rid| (rid.id, rid)).collect();
    let is_reversed = |rid: &Rid<'_>| known.get(rid.id).is_some_and(|known| known.direction != rid.direction);
    report.add_if(!ours.rids.iter().all(is_reversed), Flaw::RidNotReversed);
    let Some(simulcast) = ours.simulcast else { return };
    let (send, recv) = theirs.simulcast.map_or((None, None), |theirs| (theirs.send, theirs.recv));
    let is_offered = is_part(simulcast.send, recv) && is_part(simulcast.recv, send);
    report.add_if(!is_offered, Flaw::SimulcastNotOffered);
    let described: BTreeSet<(&str, bool)> =
        ours.rids.iter().map(|rid| (rid.id, rid.direction == RidDirection::Send)).collect();
    let is_described = |streams, sends| names(streams).all(|name| described.contains(&(name, sends)));
    report
        .add_if(!is_described(simulcast.send, true) || !is_described(simulcast.recv, false), Flaw::SimulcastWithoutRid);
}

/// Returns whether all encodings of an answer are among those of the offer.
fn is_part(answered: Option<Streams<'_>>, offered: Option<Streams<'_>>) -> bool {
    let offered: BTreeSet<&str> = names(offered).collect();
    names(answered).all(|name| offered.contains(name))
}

fn names(streams: Option<Streams<'_>>) -> impl Iterator<Item = &str> {
    streams.into_iter().flat_map(|streams| streams.iter()).flat_map(|alternatives| alternatives.iter()).map(|id| id.rid)
}
