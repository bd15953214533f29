//! Checks an answer against its offer (RFC 3264 §6, RFC 9429 §5.8.3 and §5.11).
//!
//! Rules of this file: sections are compared in pairs, by index. For a refused section only the rules for refused
//! sections are checked. The transport of a bundle is that of its first section.

use super::bundle::Groups;
use super::codecs::{is_configured_alike, is_level_raised, of_static};
use super::flaw::{Finding, Flaw};
use super::report::Report;
use super::section::{self, Attributes, Format, Keys, MediaSection, Topic, unless_inactive};
use crate::attribute::{Direction, Extmap, RidDirection, RtcpFb, Setup, Streams};
use crate::error::TypedError;
use crate::line::Kind;
use crate::session::Session;
use crate::value::{MediaLine, Origin, Timing};
use crate::work::look;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;

/// Compares an answer with its offer; returns an empty list if the answer has no violation.
///
/// Both descriptions may be incomplete (candidates follow later) and may have unknown attributes. A finding is a
/// violated MUST that is visible in the two descriptions. A line of the answer that cannot be parsed is a finding too
/// (RFC 9429 §5.8), unless its section is refused.
#[must_use]
pub fn validate(offer: &Session<'_>, answer: &Session<'_>) -> Vec<Finding> {
    let mut report = Report::new(answer);
    let (theirs, ours) = (section::top(offer), section::top(answer));
    for fault in theirs.faults().filter(|fault| fault.is_essential) {
        report.add_error(fault.error, Flaw::Offer);
    }
    for fault in ours.faults() {
        report.add_error(fault.error, Flaw::Unreadable);
    }
    unreadable_heads(offer).for_each(|error| report.add_error(error, Flaw::Offer));
    unreadable_heads(answer).for_each(|error| report.add_error(error, Flaw::Unreadable));
    if theirs.essential_fault().or(ours.essential_fault()).is_some() {
        return report.into_findings();
    }
    // The errors are already reported.
    let (Ok(offered), Ok(answered)) = (section::read_all(offer, &theirs), section::read_all(answer, &ours)) else {
        return report.into_findings();
    };
    session(&mut report, offer, answer);
    report.add_if(ours.session_level.ice_lite && ours.session_level.ice_pacing, "ice-pacing", Flaw::PacingOfLite);
    let offered_bundles = Groups::read("BUNDLE", &theirs, &offered);
    let exchange = Exchange {
        offered_rtcp: bundle_rtcp(&offered_bundles, &offered),
        offered_bundles,
        answered_bundles: Groups::read("BUNDLE", &ours, &answered),
        offered: &offered,
        tops: [&theirs, &ours],
    };
    // Without the names of all sections a group cannot be compared.
    if answered.iter().all(|section| section.own.fault_of(Topic::Names).is_none()) {
        groups(&mut report, &ours, &answered);
        exchange.bundles(&mut report, &answered);
    }
    for (offered, answered) in offered.iter().zip(&answered) {
        report.begin(answer, answered);
        exchange.section(&mut report, offered, answered);
    }
    report.into_findings()
}

fn unreadable_heads(session: &Session<'_>) -> impl Iterator<Item = TypedError> {
    let heads = session.all_media().filter_map(|section| section.line(Kind::Media));
    heads.filter_map(|head| head.read::<MediaLine<'_>>().err())
}

/// Checks the lines before the first section.
fn session(report: &mut Report<'_>, offer: &Session<'_>, answer: &Session<'_>) {
    let (offered, answered) = (offer.media_count(), answer.media_count());
    if offered != answered {
        // The first section without a counterpart, or the last section.
        let section = answer.media(offered.min(answered.saturating_sub(1)));
        let line = section.map_or(1, |section| section.range().start + 1);
        report.add_at(line, 1, Flaw::MediaCount { offered, answered });
    }
    let times = |session: &Session<'_>| -> Vec<Timing> {
        session.top().lines_of(Kind::Time).filter_map(|line| line.read().ok()).collect()
    };
    let asked = times(offer);
    // An offer without `t=` has nothing to compare.
    report.add_if(!asked.is_empty() && asked != times(answer), "t=", Flaw::Time);
    let Some(origin) = answer.top().line(Kind::Origin) else { return };
    let is_same = offer.top().line(Kind::Origin).is_some_and(|offered| offered.value() == origin.value());
    report.add_if(is_same && offer != answer, "o=", Flaw::Origin);
    if let Ok(origin) = origin.read::<Origin<'_>>() {
        let fits = |digits: &str| digits.parse::<i64>().is_ok();
        report.add_if(!fits(origin.id) || !fits(origin.version), "o=", Flaw::OriginNumber);
    }
}

/// Checks the groups of the answer that do not depend on the offer.
fn groups(report: &mut Report<'_>, top: &Attributes<'_>, answered: &[MediaSection<'_>]) {
    let known: BTreeMap<&str, bool> =
        answered.iter().filter_map(|section| Some((section.own.mid?, section.head.port == 0))).collect();
    for group in &top.session_level.groups {
        let mids: BTreeSet<&str> = group.mids().inspect(|mid| look(mid.len() + 1)).collect();
        let (unknown, known_mids): (Vec<&str>, Vec<&str>) = mids.iter().partition(|mid| !known.contains_key(**mid));
        if !unknown.is_empty() {
            report.add_at(group.line, GROUP_COLUMN, Flaw::GroupUnknown { mids: unknown.join(" ") });
        }
        let is_refused = |mid: &&str| known.get(mid) == Some(&true);
        let refused: Vec<&str> = known_mids.into_iter().filter(|mid| group.is_bundle() && is_refused(mid)).collect();
        if !refused.is_empty() {
            report.add_at(group.line, GROUP_COLUMN, Flaw::BundleOfRefused { mids: refused.join(" ") });
        }
    }
}

/// The column of the value in `a=group:`.
const GROUP_COLUMN: usize = 9;

/// An offer and its answer.
struct Exchange<'x, 's> {
    offered: &'x [MediaSection<'s>],
    offered_bundles: Groups,
    answered_bundles: Groups,
    /// For each offered bundle whether one of its sections has `a=rtcp-mux`, and `a=rtcp-rsize`.
    offered_rtcp: Vec<(bool, bool)>,
    /// The lines of the offer before its sections, and those of the answer.
    tops: [&'x Attributes<'s>; 2],
}

impl<'s> Exchange<'_, 's> {
    /// A bundle of the answer must be a subset of an offered bundle (RFC 9143 §7.3).
    fn bundles(&self, report: &mut Report<'_>, answered: &[MediaSection<'_>]) {
        let [_, ours] = self.tops;
        let lines = ours.session_level.groups.iter().filter(|group| group.is_bundle());
        for (members, group) in self.answered_bundles.members.iter().zip(lines) {
            let Some(first) = members.first() else { continue };
            let bundle = self.offered_bundles.of(*first);
            let is_other = |member: &&usize| bundle.is_none() || self.offered_bundles.of(**member) != bundle;
            let others = members.iter().filter(is_other);
            let mids: Vec<&str> = others.filter_map(|member| answered.get(*member)?.own.mid).collect();
            if !mids.is_empty() {
                report.add_at(group.line, GROUP_COLUMN, Flaw::BundleNotOffered { mids: mids.join(" ") });
            }
        }
    }

    fn section(&self, report: &mut Report<'_>, offered: &MediaSection<'s>, answered: &MediaSection<'s>) {
        report.add_if(offered.head.media != answered.head.media, "m=", Flaw::Kind);
        report.add_if(offered.head.protocol != answered.head.protocol, "m=", Flaw::Protocol);
        let (theirs, ours) = (offered.own.mid, answered.own.mid);
        let is_refused = answered.head.port == 0;
        // A refused section need not have a `mid`, but must not have another one.
        let is_known = answered.own.fault_of(Topic::Names).is_none();
        report.add_if(is_known && theirs != ours && !(is_refused && ours.is_none()), "mid", Flaw::Mid);
        report.add_if(answered.own.flags.bundle_only, "bundle-only", Flaw::BundleOnlyAnswered);
        if is_refused {
            return;
        }
        for fault in answered.own.faults() {
            report.add_error(fault.error, Flaw::Unreadable);
        }
        if let Some(error) = offered.own.essential_fault() {
            return report.add_error(error, Flaw::Offer);
        }
        report.add_if(offered.is_removed(), "m=", Flaw::RemovedTaken);
        report.add_if(answered.own.flags.remote_candidates, "remote-candidates", Flaw::RemoteCandidates);
        let compares = |topic, report: &mut Report<'_>| self.compares(topic, report, offered, answered);
        if compares(Topic::Connection, report) {
            addresses(report, offered, answered);
        }
        if compares(Topic::Keys, report) {
            self.transport(report, offered, answered);
        }
        if compares(Topic::Formats, report) {
            self.formats(report, offered, answered);
        }
        let is_rtp = answered.is_rtp();
        if is_rtp && compares(Topic::Feedback, report) {
            feedback(report, offered, answered);
        }
        if is_rtp && compares(Topic::Multiplexing, report) {
            self.multiplexing(report, offered, answered);
        }
        if is_rtp && compares(Topic::Extensions, report) {
            extensions(report, offered, answered);
        }
        if is_rtp && compares(Topic::Simulcast, report) {
            simulcast(report, offered, answered);
        }
        if is_rtp && compares(Topic::Crypto, report) {
            self.crypto(report, offered, answered);
        }
        report.blame(None);
    }

    /// Returns whether the lines of a topic can be compared. Without a line of the answer they cannot. A line of the
    /// offer that cannot be parsed is reported instead of the findings that depend on it.
    fn compares(
        &self,
        topic: Topic,
        report: &mut Report<'_>,
        offered: &MediaSection<'s>,
        answered: &MediaSection<'s>,
    ) -> bool {
        let [theirs, ours] = self.tops;
        report.blame(offered.own.fault_of(topic).or_else(|| theirs.fault_of(topic)));
        answered.own.fault_of(topic).or_else(|| ours.fault_of(topic)).is_none()
    }

    /// Checks ICE and DTLS; in a bundle only those of the first section.
    fn transport(&self, report: &mut Report<'_>, offered: &MediaSection<'s>, answered: &MediaSection<'s>) {
        let is_owner = self.answered_bundles.owner(answered.index) == answered.index;
        let is_bundled = self.answered_bundles.of(answered.index).is_some();
        let must_bundle = offered.own.flags.bundle_only && offered.head.port == 0;
        report.add_if(must_bundle && !is_bundled, "m=", Flaw::BundleOnlyAlone);
        let (theirs, ours) = (self.offered_keys(offered), answered.own.keys);
        let is_dtls = answered.is_dtls() || (theirs.has_fingerprint && ours.has_fingerprint);
        match (theirs.setup, ours.setup) {
            (_, Some(Setup::ActPass)) => report.add("setup", Flaw::SetupOpen),
            (_, Some(Setup::HoldConn)) => report.add_if(is_dtls, "setup", Flaw::HoldConnection),
            (Some(Setup::HoldConn), Some(_)) => report.add_if(is_dtls, "setup", Flaw::OfferedHoldConnection),
            (Some(Setup::Active), Some(Setup::Active)) | (Some(Setup::Passive), Some(Setup::Passive)) => {
                report.add("setup", Flaw::SetupConflict);
            }
            (_, None) => report.add_if(is_dtls && is_owner, "m=", Flaw::NoSetup),
            (_, Some(_)) => {}
        }
        report.add_if(ours.has_tls_id && !theirs.has_tls_id, "tls-id", Flaw::TlsIdNotOffered);
        let has_half = ours.fragment.is_some() != ours.password.is_some();
        let half = if ours.fragment.is_some() { "ice-ufrag" } else { "ice-pwd" };
        report.add_if(has_half, half, Flaw::HalfIce);
        let is_offered = theirs.fragment.is_some() && theirs.password.is_some();
        report.add_if(ours.fragment.is_some() && !is_offered, "ice-ufrag", Flaw::IceNotOffered);
        // With DTLS the WebRTC rules apply. Otherwise an answerer may omit ICE (RFC 8839 §4.3.3).
        let is_missing = is_offered && ours.fragment.is_none() && !has_half;
        report.add_if(is_owner && answered.is_dtls() && is_missing, "m=", Flaw::NoIce);
        report.add_if(is_owner && answered.is_dtls() && !ours.has_fingerprint, "m=", Flaw::NoFingerprint);
    }

    /// Returns the offered attributes for the transport of a section; in a bundle those of its first section.
    fn offered_keys(&self, offered: &MediaSection<'s>) -> Keys<'s> {
        let is_bundled = self.answered_bundles.of(offered.index).is_some();
        let first = self.offered.get(self.offered_bundles.owner(offered.index)).filter(|_| is_bundled);
        first.unwrap_or(offered).own.keys
    }

    /// Checks the formats, and the port of data channels.
    fn formats(&self, report: &mut Report<'_>, offered: &MediaSection<'s>, answered: &MediaSection<'s>) {
        if answered.is_rtp() {
            return formats(report, offered, answered);
        }
        if answered.is_data() {
            report.add_if(offered.head.format_list != answered.head.format_list, "m=", Flaw::DataFormats);
            // A port that cannot be parsed is reported, and so is not missing.
            if answered.own.fault_of(Topic::Data).is_none() {
                let (theirs, ours) = (offered.own.data.port, answered.own.data.port);
                report.add_if(theirs.is_some() && ours.is_none(), "m=", Flaw::NoSctpPort);
                let is_open = theirs == Some(0) && ours.is_some_and(|port| port != 0);
                report.add_if(is_open, "sctp-port", Flaw::SctpPortNotZero);
            }
            return;
        }
        let known: BTreeSet<&str> = offered.head.formats().collect();
        report.add_if(!answered.head.formats().any(|format| known.contains(format)), "m=", Flaw::NoOfferedFormat);
    }

    /// Checks RTCP. In a bundle one section has the attributes for all.
    fn multiplexing(&self, report: &mut Report<'_>, offered: &MediaSection<'s>, answered: &MediaSection<'s>) {
        let (theirs, ours) = (offered.own.flags, answered.own.flags);
        let rtcp = self.offered_bundles.of(offered.index).and_then(|group| self.offered_rtcp.get(group));
        let (may_mux, may_reduce) = rtcp.copied().unwrap_or_default();
        report.add_if(ours.rtcp_mux && !theirs.rtcp_mux && !may_mux, "rtcp-mux", Flaw::MuxNotOffered);
        let is_new = ours.rtcp_rsize && !theirs.rtcp_rsize && !may_reduce;
        report.add_if(is_new, "rtcp-rsize", Flaw::ReducedSizeNotOffered);
        report.add_if(ours.rtcp_mux_only, "rtcp-mux-only", Flaw::MuxOnlyAnswered);
        let is_owner = self.answered_bundles.owner(answered.index) == answered.index;
        report.add_if(theirs.rtcp_mux_only && !ours.rtcp_mux && is_owner, "m=", Flaw::MuxMissing);
    }

    /// Checks the SRTP keys in the description (RFC 4568 §5.1).
    fn crypto(&self, report: &mut Report<'_>, offered: &MediaSection<'s>, answered: &MediaSection<'s>) {
        let (theirs, ours) = (&offered.own.rtp.crypto, &answered.own.rtp.crypto);
        let known: BTreeSet<(u32, &str)> = theirs.iter().map(|crypto| (crypto.tag, crypto.suite)).collect();
        for (index, crypto) in ours.iter().enumerate() {
            // The column of the value in `a=crypto:`.
            let column = 10;
            if !known.contains(&(crypto.tag, crypto.suite)) {
                report.add_at(crypto.line, column, Flaw::CryptoNotOffered { tag: crypto.tag });
            } else if index > 0 {
                report.add_at(crypto.line, column, Flaw::CryptoTwice);
            }
        }
        let is_owner = self.answered_bundles.owner(answered.index) == answered.index;
        let is_missing = is_owner && answered.is_secure() && !theirs.is_empty() && ours.is_empty();
        report.add_if(is_missing && !answered.own.keys.has_fingerprint, "m=", Flaw::NoCrypto);
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
fn addresses(report: &mut Report<'_>, offered: &MediaSection<'_>, answered: &MediaSection<'_>) {
    if offered.is_multicast() {
        // All participants of a multicast session see the same description (RFC 3264 §6.2).
        let known: BTreeSet<&str> = offered.head.formats().collect();
        let is_same = offered.own.connection == answered.own.connection
            && offered.head.port == answered.head.port
            && offered.direction == answered.direction
            && answered.head.formats().all(|format| known.contains(format));
        return report.add_if(!is_same, "m=", Flaw::MulticastChanged);
    }
    report.add_if(answered.is_multicast(), "c=", Flaw::MulticastAnswered);
    let (theirs, ours) = (offered.direction, answered.direction);
    let is_against = !answered.is_data() && !fits(theirs, ours);
    report.add_if(is_against, &ours.to_string(), Flaw::Direction { offered: theirs, answered: ours });
}

/// Returns whether each direction that one side uses is also used by the other side.
const fn fits(offered: Direction, answered: Direction) -> bool {
    (offered.receives() || !answered.sends()) && (offered.sends() || !answered.receives())
}

fn formats(report: &mut Report<'_>, offered: &MediaSection<'_>, answered: &MediaSection<'_>) {
    let known: BTreeMap<u8, &Format<'_>> = offered.formats.iter().map(|format| (format.payload, format)).collect();
    let has_offered = answered.formats.iter().any(|format| known.contains_key(&format.payload));
    report.add_if(!has_offered, "m=", Flaw::NoOfferedFormat);
    let payloads: BTreeSet<u8> = answered.formats.iter().map(|format| format.payload).collect();
    for format in &answered.formats {
        let payload = format.payload;
        let (rtpmap, fmtp) = (format!("rtpmap:{payload}"), format!("fmtp:{payload}"));
        report.add_if(!format.is_mapped && of_static(payload).is_none(), "m=", Flaw::NoRtpmap { payload });
        if let Some(theirs) = known.get(&payload).filter(|theirs| !theirs.name.is_empty() && !format.name.is_empty()) {
            let is_same = theirs.name.eq_ignore_ascii_case(format.name)
                && (theirs.clock, theirs.channels) == (format.clock, format.channels);
            report.add_if(!is_same, &rtpmap, Flaw::Remapped { payload });
            let place = if format.parameters.text.is_empty() { &rtpmap } else { &fmtp };
            let is_alike = is_configured_alike(format.name, &theirs.parameters, &format.parameters);
            report.add_if(is_same && !is_alike, place, Flaw::Configuration { payload });
            let is_raised = is_level_raised(format.name, &theirs.parameters, &format.parameters);
            report.add_if(is_same && is_alike && is_raised, place, Flaw::LevelRaised { payload });
        }
        if format.name.eq_ignore_ascii_case("rtx") {
            let repeats = format.primary().is_some_and(|primary| payloads.contains(&primary));
            let place = if format.parameters.text.is_empty() { &rtpmap } else { &fmtp };
            report.add_if(!repeats, place, Flaw::RetransmitsNothing { payload });
        }
    }
}

/// The answer may use the feedback that the offered section has. Formats that are new in the answer may have it too
/// (RFC 9429 §5.11).
fn feedback(report: &mut Report<'_>, offered: &MediaSection<'_>, answered: &MediaSection<'_>) {
    let known: BTreeSet<_> = offered.own.rtp.feedback.iter().map(|feedback| what(feedback)).collect();
    for feedback in &answered.own.rtp.feedback {
        look(1);
        if !known.contains(&what(feedback)) {
            report.add_at(feedback.line, 11, Flaw::FeedbackNotOffered { payload: feedback.payload_type });
        }
    }
}

/// Returns a feedback without its payload type.
const fn what<'s>(feedback: &RtcpFb<'s>) -> (&'s str, Option<&'s str>, Option<&'s [u8]>) {
    (feedback.kind, feedback.parameter, feedback.value)
}

fn extensions(report: &mut Report<'_>, offered: &MediaSection<'_>, answered: &MediaSection<'_>) {
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
        let mut add = |is_flawed, flaw| {
            if is_flawed {
                // The column of the value in `a=extmap:`.
                report.add_at(extension.line, 10, flaw);
            }
        };
        look(1);
        add(!seen.insert(id), Flaw::ExtensionTwice { id });
        let alike = by_name.get(&(extension.uri, extension.attributes.unwrap_or_default()));
        let same = alike.and_then(|alike| alike.iter().inspect(|_| look(1)).find(|theirs| theirs.id == id));
        let is_renumbered = match (alike, same) {
            (_, Some(_)) => false,
            // The answer must replace identifiers above 255.
            (Some(alike), None) => alike.iter().inspect(|_| look(1)).any(|theirs| theirs.id < 256),
            (None, None) => by_id.contains_key(&id),
        };
        add(is_renumbered, Flaw::ExtensionRenumbered { id });
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
            add(!fits(theirs, ours), Flaw::ExtensionDirection { id });
        }
    }
    let mixes = answered.own.flags.mixed_extensions && !offered.own.flags.mixed_extensions;
    report.add_if(mixes, "extmap-allow-mixed", Flaw::MixedNotOffered);
}

fn simulcast(report: &mut Report<'_>, offered: &MediaSection<'_>, answered: &MediaSection<'_>) {
    let (theirs, ours) = (&offered.own.rtp, &answered.own.rtp);
    let known: BTreeMap<&str, RidDirection> = theirs.rids.iter().map(|rid| (rid.id, rid.direction)).collect();
    for rid in &ours.rids {
        if known.get(rid.id).is_none_or(|direction| *direction == rid.direction) {
            // The column of the value in `a=rid:`.
            report.add_at(rid.line, 7, Flaw::RidNotReversed);
        }
    }
    for second in ours.simulcasts.iter().skip(1) {
        // The column of the value in `a=simulcast:`.
        report.add_at(second.line, 13, Flaw::SimulcastTwice);
    }
    let Some(simulcast) = ours.simulcast() else { return };
    let (send, recv) = theirs.simulcast().map_or((None, None), |theirs| (theirs.send, theirs.recv));
    let is_offered = is_part(simulcast.send, recv) && is_part(simulcast.recv, send);
    report.add_if(!is_offered, "simulcast", Flaw::SimulcastNotOffered);
    let described: BTreeSet<(&str, bool)> =
        ours.rids.iter().map(|rid| (rid.id, rid.direction == RidDirection::Send)).collect();
    let is_described = |streams, sends| names(streams).all(|name| described.contains(&(name, sends)));
    let are_described = is_described(simulcast.send, true) && is_described(simulcast.recv, false);
    report.add_if(!are_described, "simulcast", Flaw::SimulcastWithoutRid);
}

/// Returns whether all encodings of an answer are among those of the offer.
fn is_part(answered: Option<Streams<'_>>, offered: Option<Streams<'_>>) -> bool {
    let offered: BTreeSet<&str> = names(offered).collect();
    names(answered).all(|name| offered.contains(name))
}

fn names(streams: Option<Streams<'_>>) -> impl Iterator<Item = &str> {
    streams.into_iter().flat_map(|streams| streams.iter()).flat_map(|alternatives| alternatives.iter()).map(|id| id.rid)
}
