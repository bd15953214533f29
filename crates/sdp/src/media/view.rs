//! The effective attributes of a media section: typed getters that know which attributes of the session apply to it.
//!
//! Rules of this file: a getter allocates nothing and reads the first attribute of its name. An attribute of the media
//! section has precedence over the one of the session. Only attributes that may be at both levels are inherited.
//! [`Section::first`] and [`Section::all`] read one level alone.

use super::Section;
use crate::attribute::{Attribute, Direction, Extmap, Fingerprint, Fmtp, Group, IcePwd, IceUfrag, Mid};
use crate::attribute::{RtcpFb, Rtpmap, Setup};
use crate::candidate::Candidate;
use crate::error::TypedError;
use crate::grammar::payload_type;
use crate::line::{Kind, Line};
use crate::offer_answer::of_static;
use crate::value::{AttributeValue, MediaLine};

/// The user name fragment and the password of ICE for one media section (RFC 8839 §5.4).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct IceCredentials<'s> {
    /// The user name fragment.
    pub ufrag: &'s str,
    /// The password. `Debug` does not show it.
    pub pwd: &'s str,
}

impl core::fmt::Debug for IceCredentials<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("IceCredentials").field("ufrag", &self.ufrag).finish_non_exhaustive()
    }
}

/// A payload type of an RTP section, with its encoding and parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PayloadFormat<'s> {
    /// The payload type, 0 to 127.
    pub payload_type: u8,
    /// The encoding: `a=rtpmap`, else the static assignment of RFC 3551 §6. `None` for a dynamic payload type without
    /// `a=rtpmap`.
    pub rtpmap: Option<Rtpmap<'s>>,
    /// The parameters, `a=fmtp`.
    pub fmtp: Option<Fmtp<'s>>,
}

impl<'s> Section<'s> {
    /// Returns the direction: of the section, else of the session, else `sendrecv` (RFC 8866 §6.7).
    ///
    /// # Errors
    /// [`TypedError`]: the attribute has a value.
    pub fn direction(&self) -> Result<Direction, TypedError> {
        let is_direction =
            |line: &Line<'s>| line.attribute().is_some_and(|(name, _)| Direction::from_name(name).is_some());
        let own = self.lines().find(is_direction);
        match own
            .or_else(|| self.session_level().lines().find(is_direction))
            .and_then(|line| line.typed())
            .transpose()?
        {
            Some(Attribute::Direction(direction)) => Ok(direction),
            _ => Ok(Direction::SendRecv),
        }
    }

    /// Returns the name of the section, `a=mid` (RFC 5888 §4).
    ///
    /// # Errors
    /// [`TypedError`]: the value is no token.
    pub fn mid(&self) -> Result<Option<&'s str>, TypedError> {
        Ok(self.first::<Mid<'s>>().transpose()?.map(|mid| mid.0))
    }

    /// Returns the ICE credentials: each of the section, else of the session (RFC 8839 §5.4). `None` unless there are
    /// both.
    ///
    /// In a bundle only [`Section::transport`] may have them.
    ///
    /// # Errors
    /// [`TypedError`]: a value has a wrong length or a character that ICE does not allow.
    pub fn ice_credentials(&self) -> Result<Option<IceCredentials<'s>>, TypedError> {
        let ufrag = self.inherited::<IceUfrag<'s>>()?;
        let pwd = self.inherited::<IcePwd<'s>>()?;
        Ok(ufrag.zip(pwd).map(|(ufrag, pwd)| IceCredentials { ufrag: ufrag.0, pwd: pwd.0 }))
    }

    /// Returns the hashes of the certificate: all of the section, or, if it has none, all of the session (RFC 8122 §5).
    ///
    /// In a bundle only [`Section::transport`] may have them. An item is an error if its value does not match the
    /// grammar.
    pub fn fingerprints(&self) -> impl Iterator<Item = Result<Fingerprint<'s>, TypedError>> + use<'s> {
        self.level_of::<Fingerprint<'s>>().all()
    }

    /// Returns the role in opening the connection: of the section, else of the session (RFC 4145 §4, RFC 8842 §5).
    ///
    /// In a bundle only [`Section::transport`] may have it.
    ///
    /// # Errors
    /// [`TypedError`]: the value is no role.
    pub fn setup(&self) -> Result<Option<Setup>, TypedError> {
        self.inherited()
    }

    /// Returns the payload types of the `m=` line of an RTP section, in order of preference and each once (RFC 3264 §5.1).
    ///
    /// There is no item for another protocol, or for a format that is no payload type. An item is an error if the
    /// `a=rtpmap` or `a=fmtp` of this payload type does not match its grammar.
    ///
    /// # Errors
    /// [`TypedError`]: the `m=` line does not match its grammar.
    pub fn codecs(&self) -> Result<impl Iterator<Item = Result<PayloadFormat<'s>, TypedError>> + use<'s>, TypedError> {
        let head = self.line(Kind::Media).map(|line| line.read::<MediaLine<'s>>()).transpose()?;
        let head = head.filter(|head| head.protocol.split('/').any(|part| part == "RTP"));
        let formats = head.map_or("", |head| head.format_list);
        let section = self.clone();
        // One bit for each payload type that was returned: at most 128 walks over the section.
        let mut returned = 0_u128;
        let payload_types = formats.split(' ').filter_map(move |format| {
            let payload_type = first_word(format.as_bytes())?;
            let bit = 1 << payload_type;
            let is_new = returned & bit == 0;
            returned |= bit;
            is_new.then_some(payload_type)
        });
        Ok(payload_types.map(move |payload_type| section.payload_format(payload_type)))
    }

    /// Returns the RTCP feedback for a payload type, also that for all (`*`) payload types (RFC 4585 §4.2).
    ///
    /// An item is an error if its value does not match the grammar.
    pub fn feedback(&self, payload_type: u8) -> impl Iterator<Item = Result<RtcpFb<'s>, TypedError>> + use<'s> {
        self.all::<RtcpFb<'s>>()
            .filter(move |item| item.as_ref().map_or(true, |feedback| feedback.applies_to(payload_type)))
    }

    /// Returns the candidates (RFC 8839 §5.1). The session has none.
    ///
    /// In a bundle only [`Section::transport`] may have them. An item is an error if its value does not match the
    /// grammar.
    pub fn candidates(&self) -> impl Iterator<Item = Result<Candidate<&'s str>, TypedError>> + use<'s> {
        self.all()
    }

    /// Returns the RTP header extensions: all of the section, or, if it has none, all of the session (RFC 8285 §6).
    ///
    /// An item is an error if its value does not match the grammar.
    pub fn extensions(&self) -> impl Iterator<Item = Result<Extmap<'s>, TypedError>> + use<'s> {
        self.level_of::<Extmap<'s>>().all()
    }

    /// Returns the BUNDLE group of the session that names this section (RFC 9143 §5); `None` outside a bundle.
    ///
    /// # Errors
    /// [`TypedError`]: the `a=mid` of the section, or an `a=group` up to the one of this section, does not match its
    /// grammar.
    pub fn bundle(&self) -> Result<Option<Group<'s>>, TypedError> {
        let Some(own) = self.mid()? else { return Ok(None) };
        for group in self.session_level().all::<Group<'s>>() {
            let group = group?;
            if group.is_bundle() && group.mids().any(|mid| mid == own) {
                return Ok(Some(group));
            }
        }
        Ok(None)
    }

    /// Returns the tagged section of the bundle, whose ICE, DTLS and `rtcp-mux` attributes apply to this section (RFC
    /// 9143 §7.1.3). Outside a bundle, or if no section has the first name of the group, returns the section itself.
    ///
    /// In the first offer of a bundle each section has attributes of its own too, which apply if the answer refuses the
    /// bundle.
    ///
    /// # Errors
    /// [`TypedError`]: an `a=mid`, or an `a=group` up to the one of this section, does not match its grammar.
    pub fn transport(&self) -> Result<Self, TypedError> {
        let tag = self.bundle()?.and_then(|group| group.mids().next());
        let Some(tag) = tag else { return Ok(self.clone()) };
        for section in self.session().all_media() {
            if section.mid()? == Some(tag) {
                return Ok(section);
            }
        }
        Ok(self.clone())
    }

    /// Returns whether RTP and RTCP share one port (RFC 5761 §5.1.1). The attribute is at the media level only.
    ///
    /// In a bundle only [`Section::transport`] may have it.
    ///
    /// # Errors
    /// [`TypedError`]: the attribute has a value.
    pub fn rtcp_mux(&self) -> Result<bool, TypedError> {
        Ok(self.attribute(b"rtcp-mux").and_then(|line| line.typed()).transpose()?.is_some())
    }

    /// The lines before the first media section.
    fn session_level(&self) -> Self {
        self.session().top()
    }

    /// The level whose attributes of this type apply: the section if it has any, else the session.
    fn level_of<T: AttributeValue<'s>>(&self) -> Self {
        if self.has(T::NAME.as_bytes()) { self.clone() } else { self.session_level() }
    }

    fn inherited<T: AttributeValue<'s>>(&self) -> Result<Option<T>, TypedError> {
        self.level_of::<T>().first().transpose()
    }

    /// The first `a=rtpmap` and the first `a=fmtp` of a payload type, in one walk over the section.
    fn payload_format(&self, payload_type: u8) -> Result<PayloadFormat<'s>, TypedError> {
        let (mut rtpmap, mut fmtp) = (None, None);
        let is_of = |value: &[u8]| first_word(value) == Some(payload_type);
        for line in self.lines() {
            match line.attribute() {
                Some((b"rtpmap", Some(value))) if rtpmap.is_none() && is_of(value) => {
                    rtpmap = Some(line.read_from(value)?)
                }
                Some((b"fmtp", Some(value))) if fmtp.is_none() && is_of(value) => fmtp = Some(line.read_from(value)?),
                _ => {}
            }
        }
        let assigned = || {
            let (encoding, clock_rate, channels) = of_static(payload_type)?;
            Some(Rtpmap { payload_type, encoding, clock_rate, channels: Some(channels).filter(|count| *count > 1) })
        };
        Ok(PayloadFormat { payload_type, rtpmap: rtpmap.or_else(assigned), fmtp })
    }
}

/// Parses the text up to the first space as a payload type.
fn first_word(text: &[u8]) -> Option<u8> {
    let (rest, payload_type) = payload_type(text).ok()?;
    matches!(rest, [] | [b' ', ..]).then_some(payload_type)
}
