//! `portolan sdp answer`: the answer of an endpoint with these codecs, with the reasons.
//!
//! The answer goes to standard output, the reasons to standard error. Values that only an endpoint has are
//! placeholders, unless options give them: the command opens no socket and creates no certificate.

use super::check;
use super::input::{self, Input, Source};
use crate::error::{CommandError, Failure};
use crate::exit::{self, Exit};
use crate::output;
use clap::Args;
use core::net::SocketAddr;
use portolan_sdp::Session;
use portolan_sdp::attribute::{Direction, Fingerprint, IcePwd, IceUfrag};
use portolan_sdp::line::Kind;
use portolan_sdp::lint::lint;
use portolan_sdp::offer_answer::{
    AnswerError, Capabilities, Codec, DataChannel, Extension, Features, Media, SectionOutcome, Transport, answer,
};
use portolan_sdp::value::{Address, Connection, MediaLine, Origin};
use portolan_sdp::{Candidate, Value};

const FEEDBACK: &[&str] = &["goog-remb", "transport-cc", "ccm fir", "nack", "nack pli"];

/// The audio codecs, the preferred first.
const AUDIO: &[Codec<'static>] = &[
    Codec::new("opus", 48_000)
        .with_channels(2)
        .with_parameters("minptime=10;useinbandfec=1")
        .with_feedback(&["transport-cc"]),
    Codec::new("G722", 8_000),
    Codec::new("PCMU", 8_000),
    Codec::new("PCMA", 8_000),
    Codec::new("red", 48_000).with_channels(2),
    Codec::new("telephone-event", 48_000),
    Codec::new("telephone-event", 8_000),
];

/// The video codecs.
const VIDEO: &[Codec<'static>] = &[
    Codec::new("VP8", 90_000).with_feedback(FEEDBACK),
    Codec::new("VP9", 90_000).with_parameters("profile-id=0").with_feedback(FEEDBACK),
    Codec::new("H264", 90_000)
        .with_parameters("level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f")
        .with_feedback(FEEDBACK),
    Codec::new("AV1", 90_000).with_feedback(FEEDBACK),
    Codec::new("H265", 90_000).with_feedback(FEEDBACK),
    Codec::rtx(90_000),
];

/// The header extensions. They need no parameters.
const EXTENSIONS: &[Extension<'static>] = &[
    Extension::new("urn:ietf:params:rtp-hdrext:sdes:mid"),
    Extension::new("urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id"),
    Extension::new("urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id"),
    Extension::new("urn:ietf:params:rtp-hdrext:ssrc-audio-level"),
    Extension::new("http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"),
    Extension::new("http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"),
];

const FEATURES: Features =
    Features { reduced_size: true, mixed_extensions: true, receives_simulcast: true, sends_simulcast: false };

/// The name of a supported codec.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CodecName(&'static str);

impl core::str::FromStr for CodecName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = || AUDIO.iter().chain(VIDEO).map(|codec| codec.name);
        known().find(|name| name.eq_ignore_ascii_case(text)).map(Self).ok_or_else(|| {
            let mut names: Vec<&str> = known().collect();
            names.dedup();
            format!("the known codecs are {}", names.join(", "))
        })
    }
}

/// Parses the value of an attribute, so that an error names the option.
fn value<'a, T: Value<'a>>(text: &'a str) -> Result<String, String> {
    T::parse(text.as_bytes()).map(|_| text.to_owned()).map_err(|error| error.to_string())
}

/// Parses an address with a port other than 0, which would refuse the section.
fn plain(text: &str) -> Result<SocketAddr, String> {
    match text.parse::<SocketAddr>() {
        Ok(address) if address.port() == 0 => Err("port 0 refuses a section; give a port from 1 to 65535".to_owned()),
        Ok(address) => Ok(address),
        Err(_) => Err("give an address and a port, such as 192.0.2.7:5004 or [2001:db8::7]:5004".to_owned()),
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[error("{file}: no answer: {why}")]
struct NoAnswer {
    file: Source,
    why: AnswerError,
}

impl CommandError for NoAnswer {}

/// Arguments of `portolan sdp answer`.
#[derive(Args, Debug)]
#[command(after_long_help = help())]
pub(crate) struct AnswerArgs {
    #[command(flatten)]
    pub(crate) input: Input,
    /// Accept only these codecs: opus, G722, PCMU, PCMA, red, telephone-event, VP8, VP9, H264, AV1, H265
    ///
    /// Retransmission (rtx) is accepted with video. H264 is answered with packetization-mode 1 in the constrained
    /// baseline profile, VP9 in profile 0.
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    pub(crate) codec: Vec<CodecName>,
    /// Reject data channels
    #[arg(long)]
    pub(crate) no_data: bool,
    /// Answer with a=recvonly
    #[arg(long)]
    pub(crate) receive_only: bool,
    /// Answer with plain RTP without ICE and DTLS, at this address and port, two ports further for each section
    #[arg(long, value_name = "ADDR:PORT", value_parser = plain, conflicts_with_all = ["ufrag", "pwd", "fingerprint", "candidate"])]
    pub(crate) plain: Option<SocketAddr>,
    /// The ICE user name fragment of the answer; the default is a placeholder that no agent may use
    #[arg(long, value_name = "UFRAG", value_parser = |text: &str| value::<IceUfrag<'_>>(text), default_value = "0000")]
    pub(crate) ufrag: String,
    /// The ICE password of the answer, at least 22 characters; the default is a placeholder
    #[arg(long, value_name = "PWD", value_parser = |text: &str| value::<IcePwd<'_>>(text), default_value = "0000000000000000000000")]
    pub(crate) pwd: String,
    /// The certificate fingerprint of the answer, as after `a=fingerprint:`; the default is a placeholder of zeros
    #[arg(long, value_name = "HASH", value_parser = |text: &str| value::<Fingerprint<'_>>(text), default_value = NO_FINGERPRINT, hide_default_value = true)]
    pub(crate) fingerprint: String,
    /// A candidate of the answer, as after `a=candidate:`; may be given several times
    #[arg(long, value_name = "CANDIDATE", value_parser = |text: &str| value::<Candidate<&str>>(text))]
    pub(crate) candidate: Vec<String>,
}

/// The placeholder of a fingerprint.
const NO_FINGERPRINT: &str =
    "sha-256 00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00:00";

/// Returns the help after the options.
fn help() -> String {
    format!(
        "\
The answer goes to standard output. The decision for each section goes to standard error, with the
reason. The answer is a template: user name fragment, password and fingerprint are placeholders, and
there is no candidate, unless --ufrag, --pwd, --fingerprint and --candidate give them. Candidates
belong to the first section, whose transport a bundle shares.
The rules are those of RFC 3264 and, without --plain, of WebRTC (RFC 9429). Rules that the offer
breaks (docs/sdp-rules.md) follow on standard error; of repeated lines the first one is used.

{}

Examples:
  portolan sdp answer offer.sdp
  portolan sdp answer --codec opus,VP8 --no-data offer.sdp > answer.sdp
  portolan sdp answer --plain 192.0.2.7:5004 invite.sdp | portolan sdp explain
  portolan sdp answer --ufrag EsAw --pwd bP+XJMM09aR8AiX1jdukzR6Y \\
    --candidate '1 1 UDP 2130706431 192.0.2.7 5004 typ host' offer.sdp",
        exit::help("sdp answer")
    )
}

pub(super) fn run(args: &AnswerArgs) -> Result<Exit, Failure> {
    let file = args.input.file();
    let bytes = input::bytes(file)?;
    let offer = input::session(file, &bytes)?;
    let chosen = |table: &[Codec<'static>]| -> Vec<Codec<'static>> {
        let is_chosen = |codec: &&Codec<'static>| {
            args.codec.is_empty() || codec.name == "rtx" || args.codec.iter().any(|name| name.0 == codec.name)
        };
        table.iter().filter(is_chosen).copied().collect()
    };
    let (audio, video) = (chosen(AUDIO), chosen(VIDEO));
    let direction = if args.receive_only { Direction::RecvOnly } else { Direction::SendRecv };
    let of = |kind, codecs| Media {
        extensions: EXTENSIONS,
        features: FEATURES,
        ..Media::new(kind, codecs).with_direction(direction)
    };
    let media = [of("audio", &audio), of("video", &video)];
    let fingerprints = [args.fingerprint.as_str()];
    let candidates: Vec<&str> = args.candidate.iter().map(String::as_str).collect();
    let transports = transports(args, offer.media_count(), &fingerprints, &candidates);
    let origin = Origin {
        username: b"-",
        id: "1",
        version: "1",
        network: "IN",
        address_type: "IP4",
        address: Address::Ip4(core::net::Ipv4Addr::UNSPECIFIED),
    };
    let capabilities = match args.plain {
        Some(_) => Capabilities::plain(origin, &media, &transports),
        None => Capabilities::webrtc(origin, &media, &transports),
    };
    let capabilities = if args.no_data { capabilities } else { capabilities.with_data(DataChannel::default()) };
    let answer = answer(&offer, &capabilities).map_err(|why| NoAnswer { file: Source::of(file), why })?;
    output::write(&answer.session.to_bytes())?;
    let mut taken = 0;
    for explanation in &answer.explanations {
        taken += usize::from(matches!(explanation.outcome, SectionOutcome::Accepted { .. }));
        let head = offer.media(explanation.media).and_then(|section| section.line(Kind::Media));
        let kind = head.and_then(|line| line.read::<MediaLine<'_>>().ok()).map_or("?", |head| head.media);
        output::print_wrapped_diagnostic(format_args!("{explanation} ({kind}; {})", explanation.outcome.clause()));
        for note in &explanation.notes {
            output::print_wrapped_diagnostic(format_args!("  {note} ({})", note.clause()));
        }
    }
    print_findings(&Source::of(file), &offer);
    Ok(if taken == 0 && offer.media_count() > 0 { Exit::Negative } else { Exit::Success })
}

/// Prints the rules that the offer breaks: of lines that contradict each other, the answer uses the first one.
fn print_findings(source: &Source, offer: &Session<'_>) {
    let findings = lint(offer);
    for finding in findings.iter().take(MOST_FINDINGS) {
        let (line, column, clause) = (finding.line, finding.column, finding.clause);
        let (severity, message) = (check::word(finding.severity()), finding.message());
        output::print_wrapped_diagnostic(format_args!("{source}:{line}:{column}: {severity}: {message} ({clause})"));
    }
    if let Some(more) = findings.len().checked_sub(MOST_FINDINGS + 1) {
        output::print_wrapped_diagnostic(format_args!("{source}: {} more; `portolan sdp check` lists them", more + 1));
    }
}

/// The number of findings about the offer that are printed.
const MOST_FINDINGS: usize = 20;

/// Returns one transport for each media section, as long as the ports suffice.
fn transports<'a>(
    args: &'a AnswerArgs,
    count: usize,
    fingerprints: &'a [&'a str],
    candidates: &'a [&'a str],
) -> Vec<Transport<'a>> {
    let each = |index: usize| match args.plain {
        Some(address) => {
            // RTCP uses the port after the port of RTP.
            let port = index.checked_mul(2).and_then(|more| u16::try_from(more).ok());
            Some(Transport::plain(connection(address), port.and_then(|more| address.port().checked_add(more))?))
        }
        None => {
            let candidates = if index == 0 { candidates } else { &[] };
            Some(Transport { candidates, ..Transport::trickled(&args.ufrag, &args.pwd, fingerprints) })
        }
    };
    (0..count).map_while(each).collect()
}

const fn connection(address: SocketAddr) -> Connection<'static> {
    let (address_type, address) = match address {
        SocketAddr::V4(v4) => ("IP4", Address::Ip4(*v4.ip())),
        SocketAddr::V6(v6) => ("IP6", Address::Ip6(*v6.ip())),
    };
    Connection { network: "IN", address_type, address, ttl: None, count: None }
}
