//! Reads the lines of a description that negotiation needs: the attributes of each section, and those of the session
//! that apply to it.
//!
//! Rules of this file: one pass over the lines of each section. Each line that cannot be parsed is a fault. If an
//! attribute that may occur once is repeated, the first one is used, and each further one is recorded.

use super::codecs::{number, of_static};
use crate::attribute::{
    Attribute, Crypto, Direction, Extmap, Fmtp, Group, IceOptions, Rid, RtcpFb, Rtpmap, Sctpmap, Setup, Simulcast,
};
use crate::error::{Citation, TypedError, ValueError};
use crate::line::Kind;
use crate::media::Section;
use crate::session::Session;
use crate::value::{Address, Connection, MediaLine, Value};
use crate::work::look;
use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::rc::Rc;
use alloc::vec::Vec;

/// One media section, with the attributes that it inherits from the session.
#[derive(Debug)]
pub(super) struct MediaSection<'s> {
    pub(super) index: usize,
    pub(super) head: MediaLine<'s>,
    /// The line number of the `m=`, counted from 1.
    pub(super) line: usize,
    pub(super) direction: Direction,
    /// The RTP formats in order, each once.
    pub(super) formats: Vec<Format<'s>>,
    /// The header extensions. All sections share those of the session.
    pub(super) extensions: Rc<[At<Extmap<'s>>]>,
    /// The attributes of the section, with those of the session as default.
    pub(super) own: Attributes<'s>,
}

/// An RTP format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Format<'s> {
    pub(super) payload: u8,
    /// The encoding; empty if it is not known.
    pub(super) name: &'s str,
    pub(super) clock: u32,
    pub(super) channels: u32,
    /// The parameters; the text may be empty.
    pub(super) parameters: Fmtp<'s>,
    /// The RTCP feedback for this format alone.
    pub(super) feedback: Vec<RtcpFb<'s>>,
    /// Whether there is an `a=rtpmap`.
    pub(super) is_mapped: bool,
}

/// The attributes of one section that negotiation needs.
#[derive(Clone, Debug, Default)]
pub(super) struct Attributes<'s> {
    pub(super) connection: Option<Rc<Connection<'s>>>,
    pub(super) direction: Option<Direction>,
    pub(super) mid: Option<&'s str>,
    pub(super) keys: Keys<'s>,
    pub(super) flags: Flags,
    pub(super) rtp: Rare<Rtp<'s>>,
    pub(super) data: Rare<Data<'s>>,
    pub(super) session_level: Rare<SessionLevel<'s>>,
    /// Most sections have none.
    problems: Option<Box<Problems>>,
}

/// The lines that are not used.
#[derive(Clone, Debug, Default)]
struct Problems {
    /// The lines that cannot be parsed.
    faults: Vec<Fault>,
    /// The lines that repeat an attribute.
    repeats: Vec<Repeat>,
}

/// A line that cannot be parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) error: TypedError,
    pub(super) topic: Topic,
    /// Whether a section cannot be answered without the line.
    pub(super) is_essential: bool,
}

/// The attributes that one comparison of offer and answer reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Topic {
    /// The address and the direction.
    Connection,
    Names,
    Formats,
    Feedback,
    Extensions,
    Simulcast,
    Keys,
    Crypto,
    Multiplexing,
    Data,
    Other,
}

/// A line whose attribute an earlier line has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Repeat {
    /// The name of the attribute, or `c=`.
    pub(super) name: &'static str,
    /// The number of the line.
    pub(super) line: usize,
    /// The section that defines the attribute.
    pub(super) clause: Citation,
}

/// A value with its line, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct At<T> {
    pub(super) line: usize,
    value: T,
}

impl<T> core::ops::Deref for At<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

/// The attributes that protect the transport.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Keys<'s> {
    pub(super) fragment: Option<&'s str>,
    pub(super) password: Option<&'s str>,
    pub(super) has_fingerprint: bool,
    pub(super) setup: Option<Setup>,
    pub(super) has_tls_id: bool,
}

/// Attributes without a value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Flags {
    pub(super) rtcp_mux: bool,
    pub(super) rtcp_mux_only: bool,
    pub(super) rtcp_rsize: bool,
    pub(super) bundle_only: bool,
    pub(super) mixed_extensions: bool,
    pub(super) remote_candidates: bool,
}

/// RTP attributes.
#[derive(Clone, Debug, Default)]
pub(super) struct Rtp<'s> {
    maps: Vec<At<Rtpmap<'s>>>,
    parameters: Vec<At<Fmtp<'s>>>,
    pub(super) feedback: Vec<At<RtcpFb<'s>>>,
    extensions: Vec<At<Extmap<'s>>>,
    pub(super) rids: Vec<At<Rid<'s>>>,
    pub(super) simulcasts: Vec<At<Simulcast<'s>>>,
    pub(super) crypto: Vec<At<Crypto<'s>>>,
}

impl<'s> Rtp<'s> {
    /// Returns the simulcast streams. Of several `a=simulcast` lines none counts (RFC 8853 §5.3.2).
    pub(super) fn simulcast(&self) -> Option<Simulcast<'s>> {
        if let [one] = self.simulcasts.as_slice() { Some(**one) } else { None }
    }
}

/// Data channel attributes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Data<'s> {
    pub(super) port: Option<u16>,
    /// `a=sctpmap`, the predecessor of `a=sctp-port`.
    pub(super) sctpmap: Option<Sctpmap<'s>>,
}

/// The attributes of the whole session.
#[derive(Clone, Debug, Default)]
pub(super) struct SessionLevel<'s> {
    pub(super) groups: Vec<At<Group<'s>>>,
    pub(super) ice_options: Option<IceOptions<'s>>,
    pub(super) ice_lite: bool,
    pub(super) ice_pacing: bool,
}

/// Attributes that most sections of a large description do not have. Memory is allocated only when one is present.
#[derive(Clone, Debug)]
pub(super) struct Rare<T>(Option<Box<T>>);

impl<T> Default for Rare<T> {
    fn default() -> Self {
        Self(None)
    }
}

macro_rules! rare {
    ($($type:ident { $($field:ident: $value:expr),* })*) => {$(
        impl<'s> core::ops::Deref for Rare<$type<'s>> {
            type Target = $type<'s>;

            fn deref(&self) -> &$type<'s> {
                static EMPTY: $type<'static> = $type { $($field: $value),* };
                self.0.as_deref().unwrap_or(&EMPTY)
            }
        }

        impl core::ops::DerefMut for Rare<$type<'_>> {
            fn deref_mut(&mut self) -> &mut Self::Target {
                self.0.get_or_insert_default()
            }
        }
    )*};
}

rare! {
    Rtp {
        maps: Vec::new(), parameters: Vec::new(), feedback: Vec::new(), extensions: Vec::new(), rids: Vec::new(),
        simulcasts: Vec::new(), crypto: Vec::new()
    }
    Data { port: None, sctpmap: None }
    SessionLevel { groups: Vec::new(), ice_options: None, ice_lite: false, ice_pacing: false }
}

/// The attributes before the first media section.
pub(super) fn top<'s>(session: &'s Session<'s>) -> Attributes<'s> {
    Attributes::of(&session.top())
}

/// Reads all media sections of a session.
///
/// # Errors
/// [`TypedError`]: an `m=` line cannot be parsed.
pub(super) fn read_all<'s>(
    session: &'s Session<'s>,
    top: &Attributes<'s>,
) -> Result<Vec<MediaSection<'s>>, TypedError> {
    let shared: Rc<[At<Extmap<'s>>]> = top.rtp.extensions.as_slice().into();
    // Allocated at once: growing the list would need the memory twice for a while.
    let mut sections = Vec::with_capacity(session.media_count());
    for (index, section) in session.all_media().enumerate() {
        sections.push(MediaSection::read(index, &section, top, &shared)?);
    }
    Ok(sections)
}

impl<'s> MediaSection<'s> {
    fn read(
        index: usize,
        section: &Section<'s>,
        top: &Attributes<'s>,
        shared: &Rc<[At<Extmap<'s>>]>,
    ) -> Result<Self, TypedError> {
        // A media section always begins with its `m=`.
        let line = section.range().start + 1;
        let head: MediaLine<'s> = match section.line(Kind::Media) {
            Some(line) => line.read()?,
            None => {
                return Err(TypedError { line, column: 1, error: ValueError::new(&[], 0, "m=", MediaLine::CLAUSE) });
            }
        };
        let mut own = Attributes::of(section);
        let formats = if is_rtp(&head) { own.formats(&head) } else { Vec::new() };
        // The default direction is both ways (RFC 3264 §6.1).
        let direction = own.direction.or(top.direction).unwrap_or_default();
        own.inherit(top);
        // Extensions are at the session level or at the media level, never at both (RFC 8285 §7).
        let extensions =
            if own.rtp.extensions.is_empty() { shared.clone() } else { own.rtp.extensions.as_slice().into() };
        Ok(Self { index, head, line, direction, formats, extensions, own })
    }

    pub(super) fn is_rtp(&self) -> bool {
        is_rtp(&self.head)
    }

    /// Returns whether the section is for data channels over SCTP (RFC 8841, RFC 9429 §5.1.2).
    pub(super) fn is_data(&self) -> bool {
        let is_sctp = matches!(self.head.protocol, "UDP/DTLS/SCTP" | "TCP/DTLS/SCTP" | "DTLS/SCTP");
        is_sctp && self.head.media == "application"
    }

    /// Returns whether the protocol includes DTLS.
    pub(super) fn is_dtls(&self) -> bool {
        self.head.protocol.split('/').any(|part| matches!(part, "TLS" | "DTLS"))
    }

    /// Returns whether the profile of RTP is secure.
    pub(super) fn is_secure(&self) -> bool {
        self.head.protocol.split('/').any(|part| part.starts_with("SAVP"))
    }

    /// Returns whether the port is 0 (RFC 3264 §8.2). An offered `bundle-only` section also has port 0 (RFC 9143 §6),
    /// but is not removed.
    pub(super) fn is_removed(&self) -> bool {
        self.head.port == 0 && !self.own.flags.bundle_only
    }

    pub(super) fn is_multicast(&self) -> bool {
        match self.own.connection.as_ref().map(|connection| connection.address) {
            Some(Address::Ip4(address)) => address.is_multicast(),
            Some(Address::Ip6(address)) => address.is_multicast(),
            Some(Address::Name(_) | Address::Other(_)) | None => false,
        }
    }
}

fn is_rtp(head: &MediaLine<'_>) -> bool {
    head.protocol.split('/').any(|part| part == "RTP")
}

impl<'s> Attributes<'s> {
    fn of(section: &Section<'s>) -> Self {
        let mut attributes = Self::default();
        for line in section.lines() {
            look(line.text().len() + 2);
            let number = line.index() + 1;
            if line.kind() == Kind::Connection {
                match line.read() {
                    Ok(connection) if attributes.connection.is_none() => {
                        attributes.connection = Some(Rc::new(connection));
                    }
                    Ok(_) => attributes.repeat("c=", number, Connection::CLAUSE),
                    Err(error) => attributes.fault(error, Topic::Connection, true),
                }
            }
            match (line.typed(), line.attribute()) {
                (Some(Ok(attribute)), _) => attributes.record(attribute, number),
                (Some(Err(error)), Some((name, _))) => attributes.fault(error, Topic::of(name), is_essential(name)),
                (Some(Err(_)) | None, _) => {}
            }
        }
        attributes
    }

    fn fault(&mut self, error: TypedError, topic: Topic, is_essential: bool) {
        self.problems.get_or_insert_default().faults.push(Fault { error, topic, is_essential });
    }

    fn repeat(&mut self, name: &'static str, line: usize, clause: Citation) {
        self.problems.get_or_insert_default().repeats.push(Repeat { name, line, clause });
    }

    /// Returns the lines that cannot be parsed.
    pub(super) fn faults(&self) -> impl Iterator<Item = &Fault> {
        self.problems.iter().flat_map(|problems| &problems.faults)
    }

    /// Returns the first line without which a section cannot be answered.
    pub(super) fn essential_fault(&self) -> Option<TypedError> {
        self.faults().find(|fault| fault.is_essential).map(|fault| fault.error)
    }

    /// Returns the first line of a topic that cannot be parsed.
    pub(super) fn fault_of(&self, topic: Topic) -> Option<TypedError> {
        self.faults().find(|fault| fault.topic == topic).map(|fault| fault.error)
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "the attributes that negotiation does not read")]
    fn record(&mut self, attribute: Attribute<'s>, line: usize) {
        let name = match attribute {
            Attribute::Direction(direction) => set_first(&mut self.direction, direction, "direction"),
            Attribute::Mid(mid) => set_first(&mut self.mid, mid.0, "mid"),
            Attribute::IceUfrag(fragment) => set_first(&mut self.keys.fragment, fragment.0, "ice-ufrag"),
            Attribute::IcePwd(password) => set_first(&mut self.keys.password, password.0, "ice-pwd"),
            Attribute::Setup(setup) => set_first(&mut self.keys.setup, setup, "setup"),
            Attribute::SctpPort(port) => set_first(&mut self.data.port, port.0, "sctp-port"),
            Attribute::Sctpmap(map) => set_first(&mut self.data.sctpmap, map, "sctpmap"),
            Attribute::IceOptions(options) => set_first(&mut self.session_level.ice_options, options, "ice-options"),
            _ => {
                self.record_other(attribute, line);
                None
            }
        };
        if let (Some(name), Some(clause)) = (name, attribute.clause()) {
            self.repeat(name, line, clause);
        }
    }

    /// Records an attribute that may be repeated, or that has no value.
    #[expect(clippy::wildcard_enum_match_arm, reason = "the attributes that negotiation does not read")]
    fn record_other(&mut self, attribute: Attribute<'s>, line: usize) {
        match attribute {
            Attribute::Fingerprint(_) => self.keys.has_fingerprint = true,
            Attribute::TlsId(_) => self.keys.has_tls_id = true,
            Attribute::RtcpMux => self.flags.rtcp_mux = true,
            Attribute::RtcpMuxOnly => self.flags.rtcp_mux_only = true,
            Attribute::RtcpRsize => self.flags.rtcp_rsize = true,
            Attribute::BundleOnly => self.flags.bundle_only = true,
            Attribute::ExtmapAllowMixed => self.flags.mixed_extensions = true,
            Attribute::RemoteCandidates(_) => self.flags.remote_candidates = true,
            Attribute::Rtpmap(value) => self.rtp.maps.push(At { line, value }),
            Attribute::Fmtp(value) => self.rtp.parameters.push(At { line, value }),
            Attribute::RtcpFb(value) => self.rtp.feedback.push(At { line, value }),
            Attribute::Extmap(value) if self.rtp.extensions.len() < MOST_EXTENSIONS => {
                self.rtp.extensions.push(At { line, value });
            }
            Attribute::Rid(value) => self.rtp.rids.push(At { line, value }),
            Attribute::Simulcast(value) => self.rtp.simulcasts.push(At { line, value }),
            Attribute::Crypto(value) => self.rtp.crypto.push(At { line, value }),
            Attribute::Group(value) => self.session_level.groups.push(At { line, value }),
            Attribute::IceLite => self.session_level.ice_lite = true,
            Attribute::IcePacing(_) => self.session_level.ice_pacing = true,
            _ => {}
        }
    }

    /// Calls `report` for each line that repeats an attribute.
    pub(super) fn each_repeat(&self, mut report: impl FnMut(Repeat)) {
        self.problems.iter().flat_map(|problems| &problems.repeats).copied().for_each(&mut report);
        let mut seen = BTreeSet::new();
        let maps = self.rtp.maps.iter().map(|map| (map.line, "rtpmap", Some(map.payload_type), "", Rtpmap::CLAUSE));
        let parameters = self.rtp.parameters.iter();
        let parameters = parameters.map(|fmtp| (fmtp.line, "fmtp", fmtp.payload_type(), "", Fmtp::CLAUSE));
        let rids = self.rtp.rids.iter().map(|rid| (rid.line, "rid", None, rid.id, REPEATED_RID));
        let simulcasts = self.rtp.simulcasts.iter();
        let simulcasts = simulcasts.map(|simulcast| (simulcast.line, "simulcast", None, "", REPEATED_SIMULCAST));
        for (line, name, payload, id, clause) in maps.chain(parameters).chain(rids).chain(simulcasts) {
            look(id.len() + 1);
            // A format that is not a payload type belongs to no codec.
            let is_keyed = payload.is_some() || name != "fmtp";
            if is_keyed && !seen.insert((name, payload, id)) {
                report(Repeat { name, line, clause });
            }
        }
    }

    /// Returns whether the attributes mention header extensions.
    pub(super) fn has_extensions(&self) -> bool {
        !self.rtp.extensions.is_empty()
    }

    /// Takes the attributes of the session that the section does not have.
    fn inherit(&mut self, top: &Self) {
        if self.connection.is_none() {
            self.connection.clone_from(&top.connection);
        }
        let Keys { fragment, password, has_fingerprint, setup, has_tls_id } = &mut self.keys;
        *fragment = fragment.or(top.keys.fragment);
        *password = password.or(top.keys.password);
        *has_fingerprint |= top.keys.has_fingerprint;
        *setup = setup.or(top.keys.setup);
        *has_tls_id |= top.keys.has_tls_id;
        self.flags.mixed_extensions |= top.flags.mixed_extensions;
    }

    /// Returns the formats of an `m=` line, each payload type once.
    fn formats(&self, head: &MediaLine<'s>) -> Vec<Format<'s>> {
        // The capacity is at most the number of payload types and at most the number of formats.
        let mut formats: Vec<Format<'s>> = Vec::with_capacity(head.formats().take(128).count());
        // For each of the 128 payload types the index of its format.
        let mut places = [None; 128];
        for (payload, text) in head.formats().filter_map(|format| Some((number(format.as_bytes())?, format))) {
            let Some(place) = places.get_mut(usize::from(payload)).filter(|place| place.is_none()) else { continue };
            *place = Some(formats.len());
            let (name, clock, channels) = of_static(payload).unwrap_or(("", 0, 1));
            let parameters = Fmtp { format: text, text: &[] };
            formats.push(Format { payload, name, clock, channels, parameters, feedback: Vec::new(), is_mapped: false });
        }
        let place = |payload: u8| places.get(usize::from(payload)).copied().flatten();
        for map in &self.rtp.maps {
            let Some(format) = place(map.payload_type).and_then(|place| formats.get_mut(place)) else { continue };
            if !format.is_mapped {
                (format.name, format.clock) = (map.encoding, map.clock_rate);
                (format.channels, format.is_mapped) = (map.channels.unwrap_or(1), true);
            }
        }
        for parameters in &self.rtp.parameters {
            let place = parameters.payload_type().and_then(place);
            let Some(format) = place.and_then(|place| formats.get_mut(place)) else { continue };
            if format.parameters.text.is_empty() {
                format.parameters = **parameters;
            }
        }
        look(self.rtp.maps.len() + self.rtp.parameters.len() + self.rtp.feedback.len());
        for feedback in &self.rtp.feedback {
            let place = feedback.payload_type.and_then(place);
            if let Some(format) = place.and_then(|place| formats.get_mut(place)) {
                format.feedback.push(**feedback);
            }
        }
        formats
    }
}

const REPEATED_RID: Citation = Citation::new("RFC 8851", "6.2.2");
const REPEATED_SIMULCAST: Citation = Citation::new("RFC 8853", "5.3.2");

/// The number of identifiers of header extensions (RFC 8285 §7): 1 to 255, and 4096 to 4351. Further ones are ignored.
const MOST_EXTENSIONS: usize = 511;

/// Sets a value that is not set yet; returns the name of the attribute if it is already set.
fn set_first<T>(slot: &mut Option<T>, value: T, name: &'static str) -> Option<&'static str> {
    if slot.is_some() {
        return Some(name);
    }
    *slot = Some(value);
    None
}

impl Topic {
    fn of(name: &[u8]) -> Self {
        match name {
            b"sendrecv" | b"sendonly" | b"recvonly" | b"inactive" => Self::Connection,
            b"mid" | b"group" | b"bundle-only" => Self::Names,
            b"rtpmap" | b"fmtp" => Self::Formats,
            b"rtcp-fb" => Self::Feedback,
            b"extmap" | b"extmap-allow-mixed" => Self::Extensions,
            b"rid" | b"simulcast" => Self::Simulcast,
            b"setup" | b"fingerprint" | b"ice-ufrag" | b"ice-pwd" => Self::Keys,
            b"crypto" => Self::Crypto,
            b"rtcp-mux" | b"rtcp-mux-only" | b"rtcp-rsize" => Self::Multiplexing,
            b"sctp-port" | b"sctpmap" => Self::Data,
            _ => Self::Other,
        }
    }
}

/// Returns whether negotiation needs an attribute, so that a parse error is a fault.
fn is_essential(name: &[u8]) -> bool {
    const NAMES: [&[u8]; 10] = [
        b"mid",
        b"group",
        b"rtpmap",
        b"setup",
        b"fingerprint",
        b"ice-ufrag",
        b"ice-pwd",
        b"rtcp-mux",
        b"bundle-only",
        b"sctp-port",
    ];
    NAMES.contains(&name)
}

/// Returns whether a feedback equals the one in `text`: `nack pli`.
pub(super) fn is_feedback(feedback: &RtcpFb<'_>, text: &str) -> bool {
    look(1);
    let mut words = text.splitn(3, ' ');
    words.next() == Some(feedback.kind)
        && words.next() == feedback.parameter
        && words.next().map(str::as_bytes) == feedback.value
}

/// Returns the default direction of header extensions: that of their stream, or both ways for an inactive stream (RFC
/// 8285 §7).
pub(super) fn unless_inactive(direction: Direction) -> Direction {
    if direction == Direction::Inactive { Direction::SendRecv } else { direction }
}
