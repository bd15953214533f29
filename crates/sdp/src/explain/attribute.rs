//! The texts for attributes. The match is exhaustive: a new attribute needs a text.

use super::line::static_format;
use super::media;
use super::print::{Count, Hertz, Text, list};
use crate::attribute::{
    Attribute, Direction, Extmap, Fingerprint, Fmtp, Group, IceOptions, MaxMessageSize, Msid, MsidSemantic, Rid,
    RidDirection, Rtcp, RtcpFb, Rtpmap, Setup, Simulcast, Ssrc, SsrcGroup, Streams,
};
use crate::candidate::{Candidate, CandidateType, TcpType, Transport};
use core::fmt;

/// Returns the payload type that an attribute refers to.
pub(super) fn payload_type(attribute: &Attribute<'_>) -> Option<u8> {
    if let Attribute::Fmtp(fmtp) = attribute {
        fmtp.payload_type()
    } else if let Attribute::RtcpFb(feedback) = attribute {
        feedback.payload_type
    } else {
        None
    }
}

/// Writes the meaning of an attribute.
#[allow(clippy::too_many_lines, reason = "a table: one arm for each attribute")]
pub(super) fn words(attribute: &Attribute<'_>, codec: Option<Rtpmap<'_>>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    use Attribute as A;
    match attribute {
        A::Direction(direction) => f.write_str(match direction {
            Direction::SendRecv => "media goes both ways",
            Direction::SendOnly => "the writer sends, and does not receive",
            Direction::RecvOnly => "the writer receives, and does not send",
            Direction::Inactive => "no media goes either way",
        }),
        A::Candidate(candidate) => self::candidate(candidate, f),
        A::IceUfrag(ufrag) => write!(f, "the writer's user name in ICE checks is {}", ufrag.0),
        A::IcePwd(pwd) => write!(f, "the password of ICE checks, {}", Count(pwd.0.len(), "character")),
        A::IceOptions(options) => ice_options(options, f),
        A::IcePacing(pacing) => write!(f, "one ICE check every {} ms", pacing.0),
        A::RemoteCandidates(candidates) => {
            f.write_str("ICE has selected the peer's ")?;
            list(f, candidates.iter().map(Chosen))
        }
        A::Fingerprint(fingerprint) => self::fingerprint(fingerprint, f),
        A::Setup(setup) => f.write_str(match setup {
            Setup::Active => "the writer opens the connection; with DTLS it is the client",
            Setup::Passive => "the writer waits for the connection; with DTLS it is the server",
            Setup::ActPass => "the writer can open the connection or wait for it: the answer chooses",
            Setup::HoldConn => "no connection for now",
        }),
        A::TlsId(_) => f.write_str("the identifier of the DTLS association: a new value means a new association"),
        A::Group(group) => self::group(group, f),
        A::Mid(mid) => write!(f, "this section is called \"{mid}\""),
        A::Msid(msid) => self::msid(msid, f),
        A::MsidSemantic(semantic) => msid_semantic(semantic, f),
        A::Rtpmap(map) => self::rtpmap(map, f),
        A::Fmtp(fmtp) => self::fmtp(fmtp, codec, f),
        A::RtcpFb(feedback) => self::feedback(feedback, codec, f),
        A::Extmap(map) => self::extmap(map, f),
        A::Rtcp(rtcp) => self::rtcp(rtcp, f),
        A::Ssrc(ssrc) => self::ssrc(ssrc, f),
        A::SsrcGroup(group) => ssrc_group(group, f),
        A::Rid(rid) => self::rid(rid, f),
        A::Simulcast(simulcast) => self::simulcast(simulcast, f),
        A::SctpPort(port) => write!(f, "data channels use SCTP port {}", port.0),
        A::MaxMessageSize(size) => max_message_size(*size, f),
        A::Sctpmap(map) => {
            write!(f, "SCTP port {} is for {}, as drafts wrote it", map.port, map.application)?;
            map.streams.iter().try_for_each(|streams| write!(f, ", {}", Count(usize::from(*streams), "stream")))
        }
        A::Cat(category) => write!(f, "the session is of the category {}", Text(category.0)),
        A::Keywds(words) => write!(f, "search words for the session: {}", Text(words.as_bytes())),
        A::Tool(tool) => write!(f, "made by the program {}", Text(tool.as_bytes())),
        A::Type(kind) => f.write_str(media::conference(*kind)),
        A::Charset(charset) => write!(f, "texts are written in {}", charset.0),
        A::SdpLang(language) => write!(f, "texts are in the language {}", language.0),
        A::Lang(language) => write!(f, "the media is in the language {}", language.0),
        A::Orient(orientation) => f.write_str(media::orientation(*orientation)),
        A::PTime(time) => write!(f, "each packet should hold {} ms of media", time.0),
        A::MaxPTime(time) => write!(f, "no packet may hold more than {} ms of media", time.0),
        A::FrameRate(rate) => write!(f, "{} pictures a second at most", rate.0),
        A::Quality(quality) => write!(f, "the picture's quality is {} of 10", quality.0),
        A::Label(label) => write!(f, "other documents call this stream {}", label.0),
        A::Content(content) => media::content(content, f),
        A::ImageAttr(images) => media::images(images, f),
        A::Connection(connection) => f.write_str(media::connection(*connection)),
        A::Crypto(crypto) => media::crypto(crypto, f),
        A::RtcpXr(reports) => media::reports(reports, f),
        A::SourceFilter(filter) => media::sources(filter, f),
        A::Control(control) => media::control(control, f),
        A::Range(range) => media::range(range, f),
        A::TsRefClk(clock) => media::reference_clock(clock, f),
        A::MediaClk(clock) => media::media_clock(clock, f),
        A::Cryptex => f.write_str("SRTP encrypts header extensions too"),
        A::RtcpMux => f.write_str("RTP and RTCP share one port"),
        A::RtcpMuxOnly => f.write_str("RTP and RTCP must share one port"),
        A::RtcpRsize => f.write_str("RTCP packets may be shorter than compound ones"),
        A::ExtmapAllowMixed => f.write_str("header extensions of one and of two bytes may be mixed in a stream"),
        A::BundleOnly => f.write_str("this section is used in its bundle or not at all"),
        A::IceLite => f.write_str("the writer is a lite ICE agent: it answers checks and sends none"),
        A::IceMismatch => f.write_str("ICE is not used: something on the way changed the addresses of the offer"),
        A::EndOfCandidates => f.write_str("no more candidates follow"),
        A::Other { name, value: None } => write!(f, "the attribute {}, which has no explanation", Text(name)),
        A::Other { name, value: Some(value) } => {
            write!(f, "the attribute {}, which has no explanation, with the value \"{}\"", Text(name), Text(value))
        }
    }
}

fn candidate(candidate: &Candidate<&str>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let Candidate { component, transport, priority, address, port, related, tcp_type, .. } = candidate;
    match candidate.candidate_type {
        CandidateType::Host => f.write_str("an address of the host")?,
        CandidateType::ServerReflexive => f.write_str("the writer as a STUN server saw it")?,
        CandidateType::PeerReflexive => f.write_str("the writer as a peer saw it")?,
        CandidateType::Relayed => f.write_str("an address at a relay")?,
        CandidateType::Other(other) => write!(f, "a candidate of type {other}")?,
    }
    let transport = match transport {
        Transport::Udp => "UDP",
        Transport::Tcp => "TCP",
        Transport::Other(other) => other,
    };
    write!(f, ": {transport} {address} port {port}")?;
    match tcp_type {
        Some(TcpType::Active) => f.write_str(", which only opens connections")?,
        Some(TcpType::Passive) => f.write_str(", which waits for connections")?,
        Some(TcpType::SimultaneousOpen) => f.write_str(", where both sides open at once")?,
        None => {}
    }
    if address.is_mdns() {
        f.write_str(", a name that only its own network can resolve")?;
    }
    if let Some((base, port)) = related {
        let what = if candidate.candidate_type == CandidateType::Relayed { "mapped from" } else { "behind it" };
        if base.ip().is_none_or(|ip| !ip.is_unspecified()) {
            write!(f, ", {what} {base} port {port}")?;
        }
    }
    match component {
        1 => f.write_str(", for RTP or data")?,
        2 => f.write_str(", for RTCP")?,
        component => write!(f, ", component {component}")?,
    }
    write!(f, ", priority {priority}")
}

/// `192.0.2.1 port 9 for component 1`.
struct Chosen<'a>(crate::attribute::RemoteCandidate<'a>);

impl fmt::Display for Chosen<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let crate::attribute::RemoteCandidate { component, address, port } = &self.0;
        write!(f, "{address} port {port} for component {component}")
    }
}

fn ice_options(options: &IceOptions<'_>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str("the writer supports these ICE extensions: ")?;
    list(
        f,
        options.iter().map(|option| match option {
            "trickle" => "trickle (candidates may follow one by one)",
            "ice2" => "ice2 (RFC 8445 rather than RFC 5245)",
            "renomination" => "renomination (the chosen pair may change)",
            other => other,
        }),
    )
}

fn fingerprint(fingerprint: &Fingerprint<'_>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "the writer's certificate has this {} hash, ", fingerprint.hash)?;
    write!(f, "{}: a peer with another certificate is not the writer", Count(fingerprint.digest.len(), "byte"))
}

fn group(group: &Group<'_>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match (group.semantics, group.mids().next()) {
        ("BUNDLE", None) => return f.write_str("no sections share one transport"),
        ("BUNDLE", _) => f.write_str("these sections share one transport: ")?,
        ("LS", _) => f.write_str("these sections are played in step: ")?,
        ("FID", _) => f.write_str("these sections carry one flow: ")?,
        (other, None) => return write!(f, "an empty group of kind {other}"),
        (other, _) => write!(f, "these sections belong together ({other}): ")?,
    }
    list(f, group.mids())
}

fn msid(msid: &Msid<'_>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match (msid.stream(), msid.track) {
        (Some(stream), Some(track)) => write!(f, "the track {track} of the stream {stream}"),
        (Some(stream), None) => write!(f, "a track of the stream {stream}"),
        (None, Some(track)) => write!(f, "the track {track}, which is in no stream"),
        (None, None) => f.write_str("a track that is in no stream"),
    }
}

fn msid_semantic(semantic: &MsidSemantic<'_>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match (semantic.id_list, semantic.semantic) {
        ("", _) => f.write_str("no media streams, as drafts wrote it"),
        ("*", _) => f.write_str("all msid are media streams, as drafts wrote it"),
        (_, kind) => {
            write!(f, "media streams ({kind}), as drafts wrote it: ")?;
            list(f, semantic.ids())
        }
    }
}

fn rtpmap(map: &Rtpmap<'_>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "payload type {} is {} at {}", map.payload_type, map.encoding, Hertz(map.clock_rate))?;
    match map.channels {
        Some(channels) => write!(f, ", {}", Count(channels as usize, "channel")),
        None => Ok(()),
    }
}

/// `payload type 111 (opus)`.
struct Payload<'a>(&'a str, Option<Rtpmap<'a>>);

impl fmt::Display for Payload<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(format, codec) = self;
        match codec.map(|codec| codec.encoding).or_else(|| static_format(format)) {
            Some(name) => write!(f, "payload type {format} ({name})"),
            None => write!(f, "format {format}"),
        }
    }
}

fn fmtp(fmtp: &Fmtp<'_>, codec: Option<Rtpmap<'_>>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let is = |name: &str| codec.is_some_and(|codec| codec.encoding.eq_ignore_ascii_case(name));
    let payload = Payload(fmtp.format, codec);
    if let (true, Some(apt)) = (is("rtx"), fmtp.parameter("apt")) {
        return write!(f, "{payload} sends packets of payload type {} again", Text(apt));
    }
    if is("telephone-event") {
        return write!(f, "{payload} carries the keys and tones {}", Text(fmtp.text));
    }
    if fmtp.text.is_empty() {
        return write!(f, "{payload} has no parameters");
    }
    write!(f, "{payload} with ")?;
    list(f, fmtp.parameters().map(|parameter| Setting(parameter.name, parameter.value)))
}

struct Setting<'a>(&'a [u8], Option<&'a [u8]>);

impl fmt::Display for Setting<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.1 {
            Some(value) => write!(f, "{} {}", Text(self.0), Text(value)),
            None => write!(f, "{}", Text(self.0)),
        }
    }
}

fn feedback(feedback: &RtcpFb<'_>, codec: Option<Rtpmap<'_>>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let what = match (feedback.kind, feedback.parameter) {
        ("nack", None) => "lost packets may be asked for again",
        ("nack", Some("pli")) => "the receiver may say that a picture is lost (PLI)",
        ("nack", Some("sli")) => "the receiver may say that part of a picture is lost (SLI)",
        ("nack", Some("rpsi")) => "the receiver may name a reference picture that it has (RPSI)",
        ("ccm", Some("fir")) => "the receiver may ask for a whole picture (FIR)",
        ("ccm", Some("tmmbr")) => "the receiver may ask for a lower bit rate (TMMBR)",
        ("goog-remb", None) => "the receiver tells the bandwidth that it estimates (REMB)",
        ("transport-cc", None) => "the receiver tells when each packet came (transport-wide congestion control)",
        _ => "",
    };
    match feedback.payload_type {
        Some(number) => match codec {
            Some(codec) => write!(f, "for payload type {number} ({}) ", codec.encoding)?,
            None => write!(f, "for payload type {number} ")?,
        },
        None => f.write_str("for all payload types ")?,
    }
    if !what.is_empty() {
        return f.write_str(what);
    }
    write!(f, "the receiver may send feedback {}", feedback.kind)?;
    feedback.parameter.iter().try_for_each(|parameter| write!(f, " {parameter}"))?;
    feedback.value.iter().try_for_each(|value| write!(f, " {}", Text(value)))
}

fn extmap(map: &Extmap<'_>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let what = match map.uri {
        "urn:ietf:params:rtp-hdrext:ssrc-audio-level" => "how loud the audio is",
        "urn:ietf:params:rtp-hdrext:csrc-audio-level" => "how loud each mixed source is",
        "urn:ietf:params:rtp-hdrext:toffset" => "when the packet should have been sent",
        "urn:ietf:params:rtp-hdrext:sdes:mid" => "which section the packet belongs to",
        "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id" => "which encoding the packet belongs to (rid)",
        "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id" => "which encoding the packet repairs (rid)",
        "urn:3gpp:video-orientation" => "which way the picture is turned",
        "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time" => "when the packet was sent",
        "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay" => "how long to wait before it is shown",
        "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01" => {
            "the packet's number in the whole transport"
        }
        _ => "",
    };
    write!(f, "header extension {}", map.id)?;
    match map.direction {
        Some(Direction::SendOnly) => f.write_str(", only sent,")?,
        Some(Direction::RecvOnly) => f.write_str(", only received,")?,
        Some(Direction::Inactive) => f.write_str(", not used for now,")?,
        Some(Direction::SendRecv) | None => {}
    }
    if what.is_empty() {
        write!(f, " is {}", map.uri)?
    } else {
        write!(f, " says {what}")?
    }
    map.attributes.iter().try_for_each(|attributes| write!(f, ", with {}", Text(attributes)))
}

fn rtcp(rtcp: &Rtcp<'_>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match rtcp.port {
        9 => f.write_str("RTCP goes where ICE finds a way")?,
        port => write!(f, "RTCP goes to port {port}")?,
    }
    match rtcp.address {
        Some(address) if rtcp.port != 9 => write!(f, " of {}", address.address),
        Some(_) | None => Ok(()),
    }
}

fn ssrc(ssrc: &Ssrc<'_>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "the source {}", ssrc.id)?;
    match (ssrc.name, ssrc.value) {
        (None, _) => f.write_str(" is sent"),
        (Some("cname"), Some(name)) => write!(f, " calls itself {} in RTCP", Text(name)),
        (Some("msid"), Some(msid)) => write!(f, " is the stream and track {}", Text(msid)),
        (Some("mslabel"), Some(label)) => write!(f, " is in the stream {}", Text(label)),
        (Some("label"), Some(label)) => write!(f, " is the track {}", Text(label)),
        (Some(name), Some(value)) => write!(f, " has {name} {}", Text(value)),
        (Some(name), None) => write!(f, " has {name}"),
    }
}

fn ssrc_group(group: &SsrcGroup<'_>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str(match group.semantics {
        "FID" => "a source and its retransmissions: ",
        "SIM" => "sources of one picture in several sizes: ",
        "FEC" | "FEC-FR" => "a source and what repairs it: ",
        _ => "sources that belong together: ",
    })?;
    list(f, group.ids())
}

fn rid(rid: &Rid<'_>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let way = match rid.direction {
        RidDirection::Send => "is sent",
        RidDirection::Recv => "would be received",
    };
    write!(f, "the encoding \"{}\" {way}", rid.id)?;
    if rid.payload_types().next().is_some() {
        f.write_str(", in payload types ")?;
        list(f, rid.payload_types())?;
    }
    if rid.restrictions().next().is_some() {
        f.write_str(", with ")?;
        list(f, rid.restrictions().map(|(name, value)| Limit(name, value)))?;
    }
    Ok(())
}

struct Limit<'a>(&'a str, Option<&'a str>);

impl fmt::Display for Limit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)?;
        self.1.iter().try_for_each(|value| write!(f, " {value}"))
    }
}

fn simulcast(simulcast: &Simulcast<'_>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let streams = |streams: &Streams<'_>, f: &mut fmt::Formatter<'_>| {
        write!(f, "{}: ", Count(streams.iter().count(), "encoding"))?;
        list(f, streams.iter().map(Choice))
    };
    if let Some(send) = &simulcast.send {
        f.write_str("sends at once ")?;
        streams(send, f)?;
    }
    if simulcast.send.is_some() && simulcast.recv.is_some() {
        f.write_str("; ")?;
    }
    if let Some(recv) = &simulcast.recv {
        f.write_str("would receive at once ")?;
        streams(recv, f)?;
    }
    Ok(())
}

/// `low (paused) or mid`.
struct Choice<'a>(crate::attribute::Alternatives<'a>);

impl fmt::Display for Choice<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, one) in self.0.iter().enumerate() {
            let or = if index == 0 { "" } else { " or " };
            write!(f, "{or}{}{}", one.rid, if one.is_paused { " (paused)" } else { "" })?;
        }
        Ok(())
    }
}

fn max_message_size(size: MaxMessageSize, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match size.limit() {
        Some(bytes) => write!(f, "the writer takes messages of at most {bytes} bytes"),
        None => f.write_str("the writer takes messages of any length"),
    }
}
