//! Descriptions: what this side writes for its data channel, and what it reads from the peer (RFC 8839, RFC 8841).
//!
//! Rules of this file: the session has one stream, the data channel section. All other sections of an offer are rejected
//! with port 0. The fingerprint is random: this command has no DTLS, so a browser connects with ICE and no further.

use super::offers::Mark;
use core::fmt::Write as _;
use portolan_ice::{Credentials, CredentialsError, RemoteDescription};
use portolan_sdp::attribute::Setup;
use portolan_sdp::candidate::CandidateAttribute;
use portolan_sdp::line::Kind;
use portolan_sdp::value::{MediaLine, Origin};
use portolan_sdp::{Reader, Section, Session, TypedError};

/// Why a description of the peer is refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DescriptionError {
    #[error("the description cannot be read: {0}")]
    Unreadable(Box<str>),
    #[error("the description has no data channel section (m=application … webrtc-datachannel)")]
    NoDataChannel,
    #[error("the data channel section has no ICE credentials (a=ice-ufrag and a=ice-pwd)")]
    NoCredentials,
    #[error("the description cannot be used: {0}")]
    Typed(#[from] TypedError),
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
}

/// A description of the peer.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) description: RemoteDescription,
    /// The candidates that cannot be read, with the reason.
    pub(super) unreadable: Vec<String>,
    pub(super) layout: Layout,
    pub(super) mark: Mark,
    /// The DTLS role of this side, if the peer has decided it.
    pub(super) dtls: Option<Dtls>,
}

/// The DTLS role of a side. It is kept through ICE restarts, because the fingerprints stay (RFC 8842 §5.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dtls {
    Client,
    Server,
}

impl Dtls {
    /// Returns the role of this side for the value of the peer.
    const fn opposite(setup: Setup) -> Option<Self> {
        match setup {
            Setup::Active => Some(Self::Server),
            Setup::Passive => Some(Self::Client),
            Setup::ActPass | Setup::HoldConn => None,
        }
    }

    const fn setup(self) -> Setup {
        match self {
            Self::Client => Setup::Active,
            Self::Server => Setup::Passive,
        }
    }
}

/// The sections of the last offer, which an answer must repeat in their order (RFC 3264 §6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    /// The sections: their first line, `mid`, and whether it is the data channel.
    sections: Vec<(String, Option<String>)>,
    /// The number of the data channel section.
    pub(super) index: u16,
}

impl Default for Layout {
    fn default() -> Self {
        Self { sections: vec![(DATA_CHANNEL.into(), Some("0".into()))], index: 0 }
    }
}

impl Layout {
    /// The `mid` of the data channel section.
    pub(super) fn mid(&self) -> &str {
        self.sections.get(usize::from(self.index)).and_then(|(_, mid)| mid.as_deref()).unwrap_or("0")
    }
}

/// Reads the description of the peer.
pub(super) fn read(sdp: &str) -> Result<Read, DescriptionError> {
    let reading = Reader::lenient().read(sdp.as_bytes());
    let session = reading.map_err(|why| DescriptionError::Unreadable(why.to_string().into()))?.session;
    let index = data_channel(&session).ok_or(DescriptionError::NoDataChannel)?;
    let section = session.media(index).ok_or(DescriptionError::NoDataChannel)?;
    let credentials = section.ice_credentials()?.ok_or(DescriptionError::NoCredentials)?;
    let mark = Mark { ufrag: credentials.ufrag.into(), origin: origin(&session) };
    let mut description = RemoteDescription::new(Credentials::new(credentials.ufrag, credentials.pwd)?);
    description.is_lite = session.top().has(b"ice-lite");
    description.has_ended = section.has(b"end-of-candidates") || session.top().has(b"end-of-candidates");
    let mut unreadable = Vec::new();
    for candidate in section.candidates() {
        match candidate {
            Ok(candidate) => description.candidates.push(candidate.to_owned()),
            Err(why) => unreadable.push(why.to_string()),
        }
    }
    let sections = session.all_media().map(|section| Ok((first_line(&section), section.mid()?.map(str::to_string))));
    let sections = sections.collect::<Result<_, TypedError>>()?;
    let layout = Layout { sections, index: u16::try_from(index).unwrap_or(0) };
    Ok(Read { description, unreadable, layout, mark, dtls: section.setup()?.and_then(Dtls::opposite) })
}

/// The number and the version of the session in the `o=` line (RFC 8866 §5.2).
fn origin(session: &Session<'_>) -> Option<(u64, u64)> {
    let origin: Origin<'_> = session.top().line(Kind::Origin)?.read().ok()?;
    Some((origin.id.parse().ok()?, origin.version.parse().ok()?))
}

/// The number of the first data channel section that is not rejected.
fn data_channel(session: &Session<'_>) -> Option<usize> {
    session.all_media().position(|section| {
        let media: Option<Result<MediaLine<'_>, _>> = section.line(Kind::Media).map(|line| line.read());
        matches!(media, Some(Ok(media)) if media.port != 0 && media.formats().any(|format| format == "webrtc-datachannel"))
    })
}

fn first_line(section: &Section<'_>) -> String {
    section.line(Kind::Media).map(|line| String::from_utf8_lossy(line.value()).into_owned()).unwrap_or_default()
}

/// What a description of this side contains.
#[derive(Clone, Copy, Debug)]
pub(super) struct Own<'a> {
    pub(super) credentials: &'a Credentials,
    pub(super) candidates: &'a [CandidateAttribute],
    pub(super) has_ended: bool,
    /// The DTLS role of an answer. An offer has none (RFC 9429 §5.2.2).
    pub(super) dtls: Option<Dtls>,
    pub(super) layout: &'a Layout,
    /// The number of the session, and of its description (RFC 9429 §5.2.1).
    pub(super) session: u64,
    pub(super) version: u64,
    pub(super) fingerprint: [u8; 32],
}

/// Writes a description of this side.
pub(super) fn write(own: &Own<'_>) -> String {
    let Own { credentials, layout, session, version, .. } = *own;
    let mut sdp = format!("v=0\r\no=- {session} {version} IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n");
    // Writing to a `String` cannot fail.
    let _ = write!(sdp, "a=group:BUNDLE {}\r\na=ice-options:ice2 trickle\r\n", layout.mid());
    for (number, (media, mid)) in layout.sections.iter().enumerate() {
        if number == usize::from(layout.index) {
            let _ = write!(sdp, "m={DATA_CHANNEL}\r\nc=IN IP4 0.0.0.0\r\na=mid:{}\r\n", layout.mid());
            let (ufrag, password) = (credentials.ufrag(), credentials.password());
            let _ = write!(sdp, "a=ice-ufrag:{ufrag}\r\na=ice-pwd:{password}\r\n");
            let print: Vec<String> = own.fingerprint.iter().map(|byte| format!("{byte:02X}")).collect();
            let setup = own.dtls.map_or(Setup::ActPass, Dtls::setup);
            let _ = write!(sdp, "a=fingerprint:sha-256 {}\r\na=setup:{setup}\r\na=sctp-port:5000\r\n", print.join(":"));
            for candidate in own.candidates {
                let _ = write!(sdp, "a=candidate:{candidate}\r\n");
            }
            sdp.push_str(if own.has_ended { "a=end-of-candidates\r\n" } else { "" });
        } else {
            let _ = write!(sdp, "m={}\r\nc=IN IP4 0.0.0.0\r\na=inactive\r\n", rejected(media));
            if let Some(mid) = mid {
                let _ = write!(sdp, "a=mid:{mid}\r\n");
            }
        }
    }
    sdp
}

/// The first line of a section with port 0 (RFC 3264 §6).
fn rejected(media: &str) -> String {
    let mut words = media.splitn(3, ' ');
    let (kind, _, rest) = (words.next().unwrap_or("audio"), words.next(), words.next().unwrap_or("UDP 0"));
    format!("{kind} 0 {rest}")
}

const DATA_CHANNEL: &str = "application 9 UDP/DTLS/SCTP webrtc-datachannel";

#[cfg(test)]
mod tests {
    use super::*;

    fn own<'a>(credentials: &'a Credentials, layout: &'a Layout, dtls: Option<Dtls>) -> Own<'a> {
        Own {
            credentials,
            candidates: &[],
            has_ended: true,
            dtls,
            layout,
            session: 7,
            version: 1,
            fingerprint: [0xab; 32],
        }
    }

    #[test]
    fn a_strict_reader_accepts_an_offer_and_reads_the_same() {
        let credentials = Credentials::new("8hhYabcd", "asd88fgpdd777uzjYhagZg").unwrap();
        let layout = Layout::default();
        let mut offer = own(&credentials, &layout, None);
        let candidates = ["1 1 UDP 2130706431 192.0.2.1 5000 typ host".parse().unwrap()];
        offer.candidates = &candidates;
        let text = write(&offer);
        assert!(Reader::strict().read(text.as_bytes()).is_ok(), "{text}");
        let read = read(&text).unwrap();
        assert_eq!(
            read.description,
            RemoteDescription::new(credentials.clone()).with_candidates(candidates.to_vec()).ended()
        );
        assert_eq!((read.layout.mid(), read.unreadable.len()), ("0", 0));
    }

    /// Other sections are rejected, in their order, and only the data channel is in the BUNDLE.
    #[test]
    fn an_answer_has_the_sections_of_the_offer_and_rejects_all_but_the_data_channel() {
        let offer = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE a d\r\n\
            m=audio 9 UDP/TLS/RTP/SAVPF 111 0\r\nc=IN IP4 0.0.0.0\r\na=mid:a\r\na=ice-ufrag:8hhY\r\n\
            a=ice-pwd:asd88fgpdd777uzjYhagZg\r\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\n\
            a=mid:d\r\na=ice-ufrag:8hhY\r\na=ice-pwd:asd88fgpdd777uzjYhagZg\r\na=candidate:nonsense\r\n";
        let read = read(offer).unwrap();
        assert_eq!((read.layout.index, read.layout.mid(), read.unreadable.len()), (1, "d", 1));
        let credentials = Credentials::new("8hhYabcd", "asd88fgpdd777uzjYhagZg").unwrap();
        let answer = write(&own(&credentials, &read.layout, Some(Dtls::Client)));
        assert!(answer.contains("a=group:BUNDLE d\r\n"), "{answer}");
        assert!(answer.contains("m=audio 0 UDP/TLS/RTP/SAVPF 111 0\r\n"), "{answer}");
        assert!(answer.contains("a=setup:active\r\n"), "{answer}");
        assert!(Reader::strict().read(answer.as_bytes()).is_ok(), "{answer}");
    }

    /// RFC 4145 §4.1: an offer of this side is `actpass`, and an answer is the opposite of `active` or `passive`.
    #[test]
    fn the_dtls_role_of_this_side_is_the_opposite_of_the_role_of_the_peer() {
        let credentials = Credentials::new("8hhYabcd", "asd88fgpdd777uzjYhagZg").unwrap();
        let layout = Layout::default();
        let cases = [
            (None, "actpass", None),
            (Some(Dtls::Client), "active", Some(Dtls::Server)),
            (Some(Dtls::Server), "passive", Some(Dtls::Client)),
        ];
        for (written, setup, read_as) in cases {
            let text = write(&own(&credentials, &layout, written));
            assert!(text.contains(&format!("a=setup:{setup}\r\n")), "{text}");
            assert_eq!(read(&text).unwrap().dtls, read_as, "{text}");
        }
    }

    #[test]
    fn a_description_that_cannot_be_used_is_refused_with_the_reason() {
        let head = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n";
        for (text, why) in [
            ("hello".to_string(), "cannot be read"),
            (head.to_string(), "no data channel section"),
            (format!("{head}m={DATA_CHANNEL}\r\nc=IN IP4 0.0.0.0\r\n"), "no ICE credentials"),
        ] {
            let found = read(&text).unwrap_err().to_string();
            assert!(found.contains(why), "{found}");
        }
    }
}
