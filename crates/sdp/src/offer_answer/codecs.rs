//! Finds the common formats of offer and capabilities (RFC 3264 §6.1, RFC 8829 §5.3.1), and their `a=fmtp` in the
//! answer.
//!
//! Rules of this file: a format is common if name, clock rate and channels are equal, and also the parameters that
//! configure the format. Parameters that only describe a receiver may differ. A format that serves others (`rtx`,
//! `red`, FEC, `CN`, `telephone-event`) is kept only together with a format that it serves. Payload types are those of
//! the offer.

use super::capabilities::{Codec, Media, Order};
use super::section::Format;
use crate::attribute::{Fmtp, Parameter};
use crate::line::Lossy;
use crate::work::look;
use alloc::vec::Vec;
use core::fmt;

/// A format of the answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chosen<'s, 'a> {
    pub(super) format: &'s Format<'s>,
    pub(super) codec: &'a Codec<'a>,
    /// The index of the codec in the answerer's list.
    rank: usize,
}

/// The reason why a format is not in the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum OmissionReason {
    /// It has no `a=rtpmap`, and its payload type is not a static one (RFC 3551 §6).
    #[error("it has no rtpmap, and its payload type is not static")]
    Unnamed,
    /// The capabilities have no codec with its name, clock rate and channels.
    #[error("the codec is not supported")]
    Unsupported,
    /// The capabilities have the codec, but not with this configuration.
    #[error("its configuration is not supported")]
    Configuration,
    /// The format that it repeats, protects or accompanies is not answered.
    #[error("no format that it serves is answered")]
    NoPrimaryFormat,
}

/// The common formats, and the others.
#[derive(Debug)]
pub(super) struct Choice<'s, 'a> {
    /// The formats of the answer, in its order.
    pub(super) chosen: Vec<Chosen<'s, 'a>>,
    pub(super) left_out: Vec<(u8, OmissionReason)>,
}

/// The purpose of a format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    Media,
    /// Redundancy in the same stream; the parameters may list the formats (RFC 2198).
    Red,
    /// Forward error correction.
    Fec,
    /// Comfort noise (RFC 3389) for formats with the same clock rate.
    Noise,
    /// DTMF (RFC 4733) for formats with the same clock rate.
    Event,
    /// Retransmission of the format that `apt` names (RFC 4588).
    Rtx,
}

impl Purpose {
    fn of(name: &str) -> Self {
        const PURPOSES: [(&str, Purpose); 8] = [
            ("rtx", Purpose::Rtx),
            ("red", Purpose::Red),
            ("ulpfec", Purpose::Fec),
            ("flexfec", Purpose::Fec),
            ("flexfec-03", Purpose::Fec),
            ("parityfec", Purpose::Fec),
            ("CN", Purpose::Noise),
            ("telephone-event", Purpose::Event),
        ];
        let found = PURPOSES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map_or(Self::Media, |(_, purpose)| *purpose)
    }
}

/// Finds the common formats.
pub(super) fn choose<'s, 'a>(formats: &'s [Format<'s>], media: &Media<'a>) -> Choice<'s, 'a> {
    let mut choice = Choice { chosen: Vec::new(), left_out: Vec::new() };
    let purposes: Vec<Purpose> = formats.iter().map(|format| Purpose::of(format.name)).collect();
    let offers_media = purposes.contains(&Purpose::Media);
    // Media formats come first: a format that serves others depends on them.
    let rounds: [&[Purpose]; 4] =
        [&[Purpose::Media], &[Purpose::Red, Purpose::Fec], &[Purpose::Noise, Purpose::Event], &[Purpose::Rtx]];
    for round in rounds {
        for (format, purpose) in formats.iter().zip(&purposes).filter(|(_, purpose)| round.contains(purpose)) {
            let serves = match purpose {
                Purpose::Media => true,
                Purpose::Red => serves_red(format, &choice.chosen),
                Purpose::Fec => choice.has_media(|_| true),
                Purpose::Noise => choice.has_media(|media| media.clock == format.clock),
                // An offer with `telephone-event` alone is valid (RFC 3264 §10.1).
                Purpose::Event => !offers_media || choice.has_media(|media| media.clock == format.clock),
                Purpose::Rtx => serves_rtx(format, &choice.chosen),
            };
            match find(format, media.codecs, *purpose) {
                Ok(_) if !serves => choice.left_out.push((format.payload, OmissionReason::NoPrimaryFormat)),
                Ok((rank, codec)) => choice.chosen.push(Chosen { format, codec, rank }),
                Err(why) => choice.left_out.push((format.payload, why)),
            }
        }
    }
    if !choice.has_media(|_| true) && (offers_media || !choice.has(Purpose::Event)) {
        choice.chosen.clear();
    }
    let place = |payload: u8| formats.iter().position(|format| format.payload == payload);
    choice.chosen.sort_by_key(|chosen| match media.order {
        Order::Offered => (0, place(chosen.format.payload)),
        Order::Own => (chosen.rank, place(chosen.format.payload)),
    });
    choice.left_out.sort_by_key(|(payload, _)| place(*payload));
    choice
}

impl Choice<'_, '_> {
    /// Returns whether a payload type is answered.
    pub(super) fn has_payload(&self, payload: u8) -> bool {
        look(self.chosen.len() + 1);
        self.chosen.iter().any(|chosen| chosen.format.payload == payload)
    }

    fn has(&self, purpose: Purpose) -> bool {
        self.chosen.iter().any(|chosen| Purpose::of(chosen.format.name) == purpose)
    }

    fn has_media(&self, accepts: impl Fn(&Format<'_>) -> bool) -> bool {
        look(self.chosen.len() + 1);
        self.chosen.iter().any(|chosen| Purpose::of(chosen.format.name) == Purpose::Media && accepts(chosen.format))
    }
}

/// Returns the first codec of the answerer that equals the format.
fn find<'a>(
    format: &Format<'_>,
    codecs: &'a [Codec<'a>],
    purpose: Purpose,
) -> Result<(usize, &'a Codec<'a>), OmissionReason> {
    if format.name.is_empty() {
        return Err(OmissionReason::Unnamed);
    }
    let mut why = OmissionReason::Unsupported;
    for (rank, codec) in codecs.iter().enumerate() {
        look(1);
        let is_named = codec.name.eq_ignore_ascii_case(format.name)
            && codec.clock == format.clock
            && codec.channels.max(1) == format.channels;
        if !is_named {
            continue;
        }
        // The parameters of `rtx` and `red` name the formats that they serve.
        if purpose != Purpose::Media || is_configured_alike(format.name, &format.parameters, &fmtp(codec.parameters)) {
            return Ok((rank, codec));
        }
        why = OmissionReason::Configuration;
    }
    Err(why)
}

/// `111/111`: all listed formats must be answered. Without a list `red` serves any format.
fn serves_red(format: &Format<'_>, chosen: &[Chosen<'_, '_>]) -> bool {
    let list = format.parameters.text.trim_ascii();
    if !list.iter().all(|byte| byte.is_ascii_digit() || *byte == b'/') || list.is_empty() {
        return !chosen.is_empty();
    }
    let is_answered = |payload: &[u8]| {
        look(chosen.len() + payload.len() + 1);
        let payload = number(payload);
        chosen.iter().any(|chosen| Some(chosen.format.payload) == payload)
    };
    list.split(|byte| *byte == b'/').all(is_answered)
}

fn serves_rtx(format: &Format<'_>, chosen: &[Chosen<'_, '_>]) -> bool {
    let primary = format.primary();
    primary.is_some_and(|primary| {
        chosen.iter().any(|chosen| {
            chosen.format.payload == primary
                && chosen.format.clock == format.clock
                && Purpose::of(chosen.format.name) != Purpose::Rtx
        })
    })
}

/// A payload type in digits.
pub(super) fn number(digits: &[u8]) -> Option<u8> {
    core::str::from_utf8(digits).ok()?.parse().ok()
}

/// The parameters that distinguish two configurations of a codec, with their default values. They must be equal in
/// offer and answer (RFC 3264 §6.1).
const CONFIGURATIONS: [(&str, &[(&str, &str)]); 8] = [
    // RFC 6184 §8.1, §8.2.2: only the profile is compared here; the level is handled separately.
    ("H264", &[("packetization-mode", "0"), (PROFILE_LEVEL, "42000a")]),
    // RFC 7798 §7.1.
    ("H265", &[("profile-space", "0"), ("profile-id", "1"), ("tier-flag", "0"), ("tx-mode", "SRST")]),
    // RFC 9628.
    ("VP9", &[("profile-id", "0")]),
    // RTP payload format for AV1, §7.2.
    ("AV1", &[("profile", "0")]),
    // RFC 4867 §8.1, §8.2.
    ("AMR", AMR),
    ("AMR-WB", AMR),
    // RFC 5577 §4.1.1: a decoder cannot find the frames without it.
    ("G7221", &[("bitrate", "")]),
    // Multistream Opus, as browsers define it.
    ("multiopus", &[("channel_mapping", ""), ("num_streams", ""), ("coupled_streams", "")]),
];
const AMR: &[(&str, &str)] = &[("octet-align", "0"), ("crc", "0"), ("robust-sorting", "0"), ("interleaving", "")];
const PROFILE_LEVEL: &str = "profile-level-id";

fn configuration(name: &str) -> &'static [(&'static str, &'static str)] {
    CONFIGURATIONS.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map_or(&[], |(_, set)| set)
}

/// Returns whether two sets of parameters configure a codec in the same way.
pub(super) fn is_configured_alike(name: &str, one: &Fmtp<'_>, other: &Fmtp<'_>) -> bool {
    configuration(name).iter().all(|(parameter_name, usual)| {
        let one = one.parameter(parameter_name).unwrap_or(usual.as_bytes());
        let other = other.parameter(parameter_name).unwrap_or(usual.as_bytes());
        if *parameter_name == PROFILE_LEVEL {
            // Two values that cannot be parsed are compared as text.
            match (ProfileLevel::parse(one), ProfileLevel::parse(other)) {
                (Some(one), Some(other)) => one.profile() == other.profile(),
                _ => one.eq_ignore_ascii_case(other),
            }
        } else {
            one.eq_ignore_ascii_case(other)
        }
    })
}

/// The H.264 `profile-level-id` (RFC 6184 §8.1): three bytes in hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ProfileLevel {
    idc: u8,
    /// The constraint flags.
    iop: u8,
    level: u8,
}

/// Returns the profile, for which several encodings exist (RFC 6184, table 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Profile {
    ConstrainedBaseline,
    Baseline,
    Main,
    Extended,
    /// A profile with a single encoding.
    Exactly(u8, u8),
}

impl ProfileLevel {
    fn parse(text: &[u8]) -> Option<Self> {
        let text = core::str::from_utf8(text).ok().filter(|text| text.len() == 6)?;
        let [_, idc, iop, level] = u32::from_str_radix(text, 16).ok()?.to_be_bytes();
        Some(Self { idc, iop, level })
    }

    const fn profile(self) -> Profile {
        match (self.idc, self.iop) {
            (0x42, iop) if iop & 0x4f == 0x40 => Profile::ConstrainedBaseline,
            (0x4d, iop) if iop & 0x8f == 0x80 => Profile::ConstrainedBaseline,
            (0x58, iop) if iop & 0xcf == 0xc0 => Profile::ConstrainedBaseline,
            (0x42, iop) if iop & 0x4f == 0 => Profile::Baseline,
            (0x58, iop) if iop & 0xcf == 0x80 => Profile::Baseline,
            (0x4d, iop) if iop & 0xaf == 0 => Profile::Main,
            (0x58, iop) if iop & 0xcf == 0 => Profile::Extended,
            (idc, iop) => Profile::Exactly(idc, iop),
        }
    }

    /// Returns a number that grows with the level. Level 1b is between 1 and 1.1, and has two encodings.
    const fn level(self) -> u16 {
        let is_1b = self.level == 9 || (self.level == 11 && self.iop & 0x10 != 0 && self.idc <= 0x58);
        if is_1b { 21 } else { self.level as u16 * 2 }
    }
}

/// Returns the `a=fmtp` of the answer, without the payload type; empty if there are no parameters.
pub(super) struct Parameters<'s, 'a>(pub(super) Chosen<'s, 'a>);

impl Parameters<'_, '_> {
    /// RFC 6184 §8.2.2: the level is the answerer's own if both allow asymmetric levels; otherwise it is the lower of
    /// both.
    fn profile_level<'x>(offered: &Fmtp<'x>, own: &Fmtp<'x>) -> &'x [u8] {
        let theirs = offered.parameter(PROFILE_LEVEL).unwrap_or_default();
        let ours = own.parameter(PROFILE_LEVEL).unwrap_or_default();
        let allows = |fmtp: &Fmtp<'_>| fmtp.parameter("level-asymmetry-allowed") == Some(b"1");
        match (ProfileLevel::parse(theirs), ProfileLevel::parse(ours)) {
            (Some(a), Some(b)) if (allows(offered) && allows(own)) || b.level() < a.level() => ours,
            _ => theirs,
        }
    }
}

impl fmt::Display for Parameters<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Chosen { format, codec, .. } = self.0;
        let (offered, own) = (&format.parameters, &fmtp(codec.parameters));
        match Purpose::of(format.name) {
            Purpose::Red => return write!(f, "{}", Lossy(offered.text)),
            Purpose::Rtx => {
                write!(f, "apt={}", Lossy(offered.parameter("apt").unwrap_or_default()))?;
                return own.parameters().try_for_each(|parameter| write!(f, ";{}", Pair(parameter)));
            }
            Purpose::Media | Purpose::Fec | Purpose::Noise | Purpose::Event => {}
        }
        let set = configuration(format.name);
        let configures = |name: &[u8]| set.iter().any(|(known, _)| known.as_bytes().eq_ignore_ascii_case(name));
        // The parameter may be repeated, and computing the level reads all parameters: the level is computed once.
        let mut level = None;
        let mut separator = "";
        for mut parameter in offered.parameters().filter(|parameter| configures(parameter.name)) {
            if parameter.name.eq_ignore_ascii_case(PROFILE_LEVEL.as_bytes()) {
                parameter.value = Some(*level.get_or_insert_with(|| Self::profile_level(offered, own)));
            }
            write!(f, "{separator}{}", Pair(parameter))?;
            separator = ";";
        }
        for parameter in own.parameters().filter(|parameter| !configures(parameter.name)) {
            write!(f, "{separator}{}", Pair(parameter))?;
            separator = ";";
        }
        Ok(())
    }
}

struct Pair<'a>(Parameter<'a>);

impl fmt::Display for Pair<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Lossy(self.0.name))?;
        self.0.value.iter().try_for_each(|value| write!(f, "={}", Lossy(value)))
    }
}

/// Parameters without their payload type.
fn fmtp(text: &str) -> Fmtp<'_> {
    Fmtp { format: "", text: text.as_bytes() }
}

impl Format<'_> {
    /// Returns the payload type that a retransmission format repeats.
    pub(super) fn primary(&self) -> Option<u8> {
        self.parameters.parameter("apt").and_then(number)
    }
}

/// Returns name, clock rate and channels of a static payload type without `a=rtpmap` (RFC 3551 §6).
pub(crate) const fn of_static(payload: u8) -> Option<(&'static str, u32, u32)> {
    Some(match payload {
        0 => ("PCMU", 8000, 1),
        3 => ("GSM", 8000, 1),
        4 => ("G723", 8000, 1),
        5 => ("DVI4", 8000, 1),
        6 => ("DVI4", 16_000, 1),
        7 => ("LPC", 8000, 1),
        8 => ("PCMA", 8000, 1),
        9 => ("G722", 8000, 1),
        10 => ("L16", 44_100, 2),
        11 => ("L16", 44_100, 1),
        12 => ("QCELP", 8000, 1),
        13 => ("CN", 8000, 1),
        14 => ("MPA", 90_000, 1),
        15 => ("G728", 8000, 1),
        16 => ("DVI4", 11_025, 1),
        17 => ("DVI4", 22_050, 1),
        18 => ("G729", 8000, 1),
        25 => ("CelB", 90_000, 1),
        26 => ("JPEG", 90_000, 1),
        28 => ("nv", 90_000, 1),
        31 => ("H261", 90_000, 1),
        32 => ("MPV", 90_000, 1),
        33 => ("MP2T", 90_000, 1),
        34 => ("H263", 90_000, 1),
        _ => return None,
    })
}
