//! Writes the text of an answer, in the order of RFC 9429 §5.3.1.
//!
//! Rules of this file: nothing is decided here. A byte that breaks a line is refused while the text is written. The
//! complete text is parsed again before it is returned.

use super::answer::{Accepted, AnswerError, MediaPlan, Plan, Planned, TransportPlan};
use super::capabilities::DataChannel;
use super::codecs::{Chosen, Parameters};
use super::section::is_feedback;
use crate::attribute::Attribute;
use crate::error::TypedError;
use crate::line::Kind;
use crate::reader::Reader;
use crate::session::{EditError, Session};
use crate::value::{Connection, Origin, Timing};
use crate::work::look;
use crate::writer::WRITTEN;
use alloc::borrow::Cow;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::fmt::{self, Write as _};

/// Writes an answer from the decisions.
pub(super) fn write(offer: &Session<'_>, plan: &Plan<'_, '_>) -> Text {
    let mut text = Text::default();
    head(&mut text, offer, plan);
    for section in &plan.sections {
        match &section.decision {
            Ok(accepted) => accept(&mut text, plan, section, accepted),
            Err(_) => reject(&mut text, section),
        }
    }
    text
}

/// The lines before the first media section.
fn head(text: &mut Text, offer: &Session<'_>, plan: &Plan<'_, '_>) {
    text.line('v', format_args!("0"));
    text.line('o', format_args!("{}", plan.capabilities.origin));
    text.line('s', format_args!("-"));
    // The time cannot be negotiated (RFC 3264 §6).
    let mut is_timed = false;
    for timing in offer.top().lines_of(Kind::Time).filter_map(|line| line.read::<Timing>().ok()) {
        text.line('t', format_args!("{timing}"));
        is_timed = true;
    }
    if !is_timed {
        text.line('t', format_args!("0 0"));
    }
    ice(text, plan);
    groups(text, plan);
}

/// Writes the ICE attributes of the session, if a section uses ICE.
fn ice(text: &mut Text, plan: &Plan<'_, '_>) {
    let uses_ice = |section: &Planned<'_, '_>| section.decision.as_ref().is_ok_and(|made| made.transport_plan.uses_ice);
    if !plan.sections.iter().any(uses_ice) {
        return;
    }
    let ice = plan.capabilities.ice;
    if ice.is_lite {
        text.line('a', format_args!("ice-lite"));
    }
    // Only options that the offer has (RFC 9429 §5.3.1).
    let is_offered = |option: &str| {
        // The session-level options are compared once, not for each section.
        let own = plan.sections.iter().filter_map(|section| section.offered.own.session_level.ice_options);
        let mut options = own.chain(plan.ice_options);
        options.any(|options| options.has(option))
    };
    let options: Vec<&str> = ice.options.iter().copied().filter(|option| is_offered(option)).collect();
    if !options.is_empty() {
        text.line('a', format_args!("ice-options:{}", List(&options)));
    }
    // A lite implementation sends no checks and has no pacing (RFC 8839 §4.3.2).
    if let Some(pacing) = ice.pacing.filter(|_| !ice.is_lite) {
        text.line('a', format_args!("ice-pacing:{pacing}"));
    }
}

/// Writes the remaining sections of the offered groups (RFC 9143 §7.3, RFC 9429 §5.3.1).
fn groups(text: &mut Text, plan: &Plan<'_, '_>) {
    for members in &plan.bundles.members {
        let mids: Vec<&str> = members.iter().filter_map(|member| plan.accepted(*member)?.mid).collect();
        if !mids.is_empty() {
            text.line('a', format_args!("group:BUNDLE {}", List(&mids)));
        }
    }
    for members in &plan.synchronised.members {
        // Sections without a stream stay in the offered group. The other sections must share a stream.
        let streams = |member: usize| match plan.accepted(member).map(|section| &section.decision) {
            Some(Ok(Accepted { media: Some(media), .. })) => media.media.streams,
            _ => &[],
        };
        let common = members.iter().find_map(|member| streams(*member).first());
        let belongs =
            |member: usize| streams(member).is_empty() || common.is_some_and(|id| streams(member).contains(id));
        let members = members.iter().copied().filter(|member| belongs(*member));
        let mids: Vec<&str> = members.filter_map(|member| plan.accepted(member)?.mid).collect();
        if mids.len() > 1 {
            text.line('a', format_args!("group:LS {}", List(&mids)));
        }
    }
}

impl<'s, 'a> Plan<'s, 'a> {
    fn accepted(&self, section: usize) -> Option<&Planned<'s, 'a>> {
        self.sections.get(section).filter(|section| section.decision.is_ok())
    }
}

/// Writes a refused section: port 0, and at least one format (RFC 3264 §6).
fn reject(text: &mut Text, section: &Planned<'_, '_>) {
    let head = section.offered.head;
    text.line('m', format_args!("{} 0 {} {}", head.media, head.protocol, head.format_list));
    text.line('c', format_args!("IN IP4 0.0.0.0"));
    text.mid(section);
    if section.offered.is_rtp() {
        text.line('a', format_args!("inactive"));
    }
}

fn accept(text: &mut Text, plan: &Plan<'_, '_>, section: &Planned<'_, '_>, accepted: &Accepted<'_, '_>) {
    let (head, transport) = (section.offered.head, accepted.transport_plan.transport);
    match &accepted.media {
        None => {
            text.line('m', format_args!("{} {} {} {}", head.media, transport.port, head.protocol, head.format_list));
        }
        Some(media) => {
            let payloads: Vec<u8> = media.choice.chosen.iter().map(|chosen| chosen.format.payload).collect();
            text.line('m', format_args!("{} {} {} {}", head.media, transport.port, head.protocol, List(&payloads)));
        }
    }
    text.line('c', format_args!("{}", transport.address));
    text.mid(section);
    if let Some(media) = &accepted.media {
        text.line('a', format_args!("{}", media.direction));
    }
    let is_owner = accepted.transport_plan.owner == section.offered.index;
    if is_owner || plan.capabilities.repeats_transport {
        keys(text, plan, section, accepted);
    }
    match &accepted.media {
        None => data(text, plan.capabilities.data, section),
        Some(media) => formats(text, section, media),
    }
    if is_owner && accepted.transport_plan.uses_ice {
        for candidate in transport.candidates {
            text.line('a', format_args!("candidate:{candidate}"));
        }
        if transport.is_complete {
            text.line('a', format_args!("end-of-candidates"));
        }
    }
}

/// Writes the attributes that a transport has once (RFC 8859, categories IDENTICAL and TRANSPORT).
fn keys(text: &mut Text, plan: &Plan<'_, '_>, section: &Planned<'_, '_>, accepted: &Accepted<'_, '_>) {
    let transport_plan = accepted.transport_plan;
    let TransportPlan { transport, uses_ice, setup, .. } = transport_plan;
    if let Some(credentials) = transport.credentials.filter(|_| uses_ice) {
        text.line('a', format_args!("ice-ufrag:{}", credentials.fragment));
        text.line('a', format_args!("ice-pwd:{}", credentials.password));
    }
    if let (Some(dtls), Some(setup)) = (transport.dtls, setup) {
        for fingerprint in dtls.fingerprints {
            text.line('a', format_args!("fingerprint:{fingerprint}"));
        }
        text.line('a', format_args!("setup:{setup}"));
        if let Some(id) = dtls.tls_id.filter(|_| section.offered.own.keys.has_tls_id) {
            text.line('a', format_args!("tls-id:{id}"));
        }
    }
    let index = section.offered.index;
    let is_owner = transport_plan.owner == index;
    // In a bundle the first section has the attributes for all, even if it is a data section (RFC 9429 §5.3.1).
    let members = plan.bundles.of(index).filter(|_| is_owner).and_then(|group| plan.bundles.members.get(group));
    let others = members.into_iter().flatten().filter_map(|member| plan.accepted(*member));
    let mut all = others.map(|section| section.offered.own.flags).chain([section.offered.own.flags]);
    if all.any(|flags| flags.rtcp_mux) {
        text.line('a', format_args!("rtcp-mux"));
    } else if section.offered.is_rtp() && uses_ice && is_owner {
        // RTCP has its own transport, whose address is not known yet.
        text.line('a', format_args!("rtcp:9 IN IP4 0.0.0.0"));
    }
    let reduces = accepted.media.as_ref().is_some_and(|media| media.media.features.reduced_size);
    if section.offered.own.flags.rtcp_rsize && reduces {
        text.line('a', format_args!("rtcp-rsize"));
    }
}

/// Writes formats, their feedback, and the other RTP attributes.
fn formats(text: &mut Text, section: &Planned<'_, '_>, plan: &MediaPlan<'_, '_>) {
    let MediaPlan { media, choice, extensions, versions, .. } = plan;
    for chosen in &choice.chosen {
        format(text, section, chosen);
    }
    for extension in extensions {
        text.line('a', format_args!("extmap:{extension}"));
    }
    if section.offered.own.flags.mixed_extensions && media.features.mixed_extensions {
        text.line('a', format_args!("extmap-allow-mixed"));
    }
    if media.direction.sends() {
        for stream in media.streams {
            text.line('a', format_args!("msid:{stream}"));
        }
    }
    for rid in &versions.rids {
        text.line('a', format_args!("rid:{rid}"));
    }
    if !versions.is_empty() {
        text.line('a', format_args!("simulcast:{versions}"));
    }
    for attribute in media.attributes {
        text.line('a', format_args!("{attribute}"));
    }
}

fn format(text: &mut Text, section: &Planned<'_, '_>, chosen: &Chosen<'_, '_>) {
    let (format, codec) = (chosen.format, chosen.codec);
    let payload = format.payload;
    match (format.channels, format.name) {
        (1, name) => text.line('a', format_args!("rtpmap:{payload} {name}/{}", format.clock)),
        (channels, name) => text.line('a', format_args!("rtpmap:{payload} {name}/{}/{channels}", format.clock)),
    }
    let mut written = BTreeSet::new();
    for feedback in codec.feedback {
        // Feedback offered for all formats (`*`) is written for each format.
        let for_all = section.offered.own.rtp.feedback.iter().filter(|offered| offered.payload_type.is_none());
        let is_offered =
            for_all.map(|offered| &**offered).chain(&format.feedback).any(|offered| is_feedback(offered, feedback));
        if is_offered && written.insert(feedback) {
            text.line('a', format_args!("rtcp-fb:{payload} {feedback}"));
        }
    }
    let before = text.out.len();
    text.line('a', format_args!("fmtp:{payload} {}", Parameters(*chosen)));
    if text.out.ends_with(b" \r\n") {
        // There are no parameters: the line is removed again.
        text.out.truncate(before);
    }
}

fn data(text: &mut Text, data: Option<DataChannel>, section: &Planned<'_, '_>) {
    let Some(data) = data else { return };
    match section.offered.own.data.sctpmap.filter(|_| section.offered.own.data.port.is_none()) {
        // In the old form the port is in the `m=` line and is that of the offer (RFC 9429 §5.3.1 requires equal
        // formats).
        Some(map) => text.line('a', format_args!("sctpmap:{map}")),
        None => {
            // Port 0 closes the association and is answered with 0 (RFC 8841 §10.3).
            let port = if section.offered.own.data.port == Some(0) { 0 } else { data.port };
            text.line('a', format_args!("sctp-port:{port}"));
        }
    }
    if let Some(size) = data.max_message_size {
        text.line('a', format_args!("max-message-size:{size}"));
    }
}

/// A description that is being written.
#[derive(Default)]
pub(super) struct Text {
    out: Vec<u8>,
    fault: Option<EditError>,
    /// The offset of the value of the current line.
    value: usize,
}

impl Text {
    fn line(&mut self, letter: char, value: fmt::Arguments<'_>) {
        self.out.extend(u8::try_from(letter).ok());
        self.out.push(b'=');
        self.value = self.out.len();
        // Writing to memory does not fail. An invalid value is recorded.
        let _ = self.write_fmt(value);
        self.out.extend_from_slice(b"\r\n");
    }

    /// Writes the `mid` of the offer, if the offer has one (RFC 5888 §9.1).
    fn mid(&mut self, section: &Planned<'_, '_>) {
        if let Some(mid) = section.mid {
            self.line('a', format_args!("mid:{mid}"));
        }
    }

    /// Parses the written text. A value that cannot be parsed comes from the capabilities.
    pub(super) fn read(self) -> Result<Session<'static>, AnswerError> {
        if let Some(fault) = self.fault {
            return Err(AnswerError::Edit(fault));
        }
        let reading = Reader::lenient().with_limits(WRITTEN).read(&self.out);
        // The text is too long for any session.
        let session = reading.map_err(|_| AnswerError::Edit(EditError::TooLong))?.session;
        for line in session.lines() {
            look(1);
            let kind = line.kind();
            let refused = |name| move |TypedError { error, .. }: TypedError| AnswerError::Capabilities { name, error };
            if kind == Kind::Origin {
                line.read::<Origin<'_>>().map_err(refused("o="))?;
            } else if kind == Kind::Connection {
                line.read::<Connection<'_>>().map_err(refused("c="))?;
            } else if let (Some(read), Some((name, _))) = (line.typed(), line.attribute()) {
                let known = Attribute::NAMES.iter().find(|known| known.as_bytes() == name);
                read.map_err(refused(known.copied().unwrap_or("an attribute")))?;
            }
        }
        let Session { lines, heads, .. } = session;
        Ok(Session::of(Cow::Owned(self.out), lines, heads))
    }
}

impl fmt::Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if let Some(at) = text.bytes().position(|byte| matches!(byte, 0 | b'\r' | b'\n')) {
            let byte = text.as_bytes().get(at).copied().unwrap_or_default();
            let at = self.out.len().saturating_sub(self.value) + at;
            self.fault.get_or_insert(EditError::ForbiddenByte { at, byte });
        }
        look(text.len());
        self.out.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

/// Writes items separated by spaces.
struct List<'a, T>(&'a [T]);

impl<T: fmt::Display> fmt::Display for List<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, item) in self.0.iter().enumerate() {
            write!(f, "{}{item}", if index > 0 { " " } else { "" })?;
        }
        Ok(())
    }
}
