//! Converts from and to the `Session` of the `sdp-types` crate (feature `sdp-types`).
//!
//! The `sdp-types` model holds the values of a description in the order of RFC 8866, as UTF-8 texts. It has no place
//! for unknown lines, line endings, or the order of lines of different kinds. The conversion drops line endings and
//! order. A line that the model cannot hold is an error that gives the line, so nothing else is lost silently.
//!
//! ```
//! use portolan_sdp::Session;
//!
//! let session = Session::read(b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\na=mid:0\r\n")?;
//! let model = sdp_types::Session::try_from(&session)?;
//! assert_eq!(model.medias[0].get_first_attribute_value("mid"), Some(Some("0")));
//! assert_eq!(Session::try_from(&model)?, session);
//!
//! let camera = Session::read(b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\ny=0100000001\r\n")?;
//! let refused = sdp_types::Session::try_from(&camera).unwrap_err();
//! assert_eq!(refused.to_string(), "line 5: the model has no place for y=");
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```

use crate::error::TypedError;
use crate::line::{Kind, Line, name_and_value};
use crate::media::Section;
use crate::session::{EditError, Session};
use crate::value::{Bandwidth, Connection, MediaLine, Origin, Repeat, Timing, TypedTime, Version, Zone};
use ::sdp_types as model;
use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// Why the model cannot hold a session. Lines and columns count from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum ConvertError {
    /// A value does not match its grammar.
    #[error(transparent)]
    Value(#[from] TypedError),
    /// A value is not UTF-8; the model requires UTF-8.
    #[error("line {line}, column {column}: the model's texts are UTF-8")]
    NotUtf8 {
        /// The line.
        line: usize,
        /// The first byte in it that is not UTF-8.
        column: usize,
    },
    /// A number is too large for the model.
    #[error("line {line}: a number is too large for the model")]
    TooLarge {
        /// The line.
        line: usize,
    },
    /// The model has no place for a line of this kind, for a second one, or for one at this position.
    #[error("line {line}: the model has no place for {kind}")]
    NoPlace {
        /// The line.
        line: usize,
        /// Its kind.
        kind: Kind,
    },
    /// The session has no `o=`; the model requires one.
    #[error("o= is missing, and the model must have it")]
    NoOrigin,
}

impl TryFrom<&Session<'_>> for model::Session {
    type Error = ConvertError;

    /// The empty name stands for a missing `s=`.
    fn try_from(session: &Session<'_>) -> Result<Self, ConvertError> {
        // The values are collected in a model that has no origin yet.
        let mut made = Self::new(model::Origin::with_ip_addr("", 0, core::net::Ipv4Addr::UNSPECIFIED), "");
        let mut seen = Seen::default();
        for line in session.top().lines() {
            seen.once(&line)?;
            match line.kind() {
                Kind::Version => drop(line.read::<Version>()?),
                Kind::Origin => made.origin = origin(&line)?,
                Kind::Name => made.session_name = text(&line)?,
                Kind::Information => made.session_description = Some(text(&line)?),
                Kind::Uri => made.uri = Some(text(&line)?),
                Kind::Email => made.emails.push(text(&line)?),
                Kind::Phone => made.phones.push(text(&line)?),
                Kind::Connection => made.connection = Some(connection(&line)?),
                Kind::Bandwidth => made.bandwidths.push(bandwidth(&line)?),
                Kind::Time => made.times.push(time(&line)?),
                Kind::Repeat => made.times.last_mut().ok_or(no_place(&line))?.repeats.push(repeat(&line)?),
                Kind::Zone => made.time_zones = zones(&line)?,
                Kind::Key => made.key = Some(key(&line)?),
                Kind::Attribute => made.attributes.push(attribute(&line)?),
                Kind::Media | Kind::Unknown(_) | Kind::Stray => return Err(no_place(&line)),
            }
        }
        if !seen.has(Kind::Origin) {
            return Err(ConvertError::NoOrigin);
        }
        made.medias = session.all_media().map(|section| media(&section)).collect::<Result<_, _>>()?;
        Ok(made)
    }
}

fn media(section: &Section<'_>) -> Result<model::Media, ConvertError> {
    let mut lines = section.lines();
    // The first line of a section is its `m=`.
    let Some(head) = lines.next() else { return Err(ConvertError::NoPlace { line: 0, kind: Kind::Media }) };
    let MediaLine { media, port, ports, protocol, format_list } = head.read()?;
    let num_ports = match ports {
        Some(ports) => Some(u16::try_from(ports).map_err(|_| too_large(&head))?),
        None => None,
    };
    let mut made = model::Media {
        media: media.to_owned(),
        port,
        num_ports,
        proto: protocol.to_owned(),
        fmt: format_list.to_owned(),
        media_title: None,
        connections: Vec::new(),
        bandwidths: Vec::new(),
        key: None,
        attributes: Vec::new(),
    };
    let mut seen = Seen::default();
    for line in lines {
        if line.kind() != Kind::Connection {
            seen.once(&line)?;
        }
        match line.kind() {
            Kind::Information => made.media_title = Some(text(&line)?),
            Kind::Connection => made.connections.push(connection(&line)?),
            Kind::Bandwidth => made.bandwidths.push(bandwidth(&line)?),
            Kind::Key => made.key = Some(key(&line)?),
            Kind::Attribute => made.attributes.push(attribute(&line)?),
            Kind::Version | Kind::Origin | Kind::Name | Kind::Uri | Kind::Email | Kind::Phone => {
                return Err(no_place(&line));
            }
            Kind::Time | Kind::Repeat | Kind::Zone | Kind::Media | Kind::Unknown(_) | Kind::Stray => {
                return Err(no_place(&line));
            }
        }
    }
    Ok(made)
}

/// The kinds already seen, of those that the model holds once.
#[derive(Default)]
struct Seen(Vec<Kind>);

impl Seen {
    fn once(&mut self, line: &Line<'_>) -> Result<(), ConvertError> {
        let kind = line.kind();
        if matches!(kind, Kind::Email | Kind::Phone | Kind::Bandwidth | Kind::Time | Kind::Repeat | Kind::Attribute) {
            return Ok(());
        }
        if self.has(kind) {
            return Err(no_place(line));
        }
        self.0.push(kind);
        Ok(())
    }

    fn has(&self, kind: Kind) -> bool {
        self.0.contains(&kind)
    }
}

const fn no_place(line: &Line<'_>) -> ConvertError {
    ConvertError::NoPlace { line: line.index() + 1, kind: line.kind() }
}

const fn too_large(line: &Line<'_>) -> ConvertError {
    ConvertError::TooLarge { line: line.index() + 1 }
}

fn text(line: &Line<'_>) -> Result<String, ConvertError> {
    part(line, line.value())
}

/// A part of a line: a part that runs to the end of the line, or one that is known to be UTF-8.
fn part(line: &Line<'_>, part: &[u8]) -> Result<String, ConvertError> {
    core::str::from_utf8(part)
        .map(ToOwned::to_owned)
        .map_err(|_| ConvertError::NotUtf8 { line: line.index() + 1, column: valid(line.text()) + 1 })
}

/// Returns the length of the valid UTF-8 prefix.
fn valid(text: &[u8]) -> usize {
    core::str::from_utf8(text).map_or_else(|error| error.valid_up_to(), str::len)
}

fn origin(line: &Line<'_>) -> Result<model::Origin, ConvertError> {
    let origin: Origin<'_> = line.read()?;
    let mut made = model::Origin::new(
        origin.id,
        origin.version.parse().map_err(|_| too_large(line))?,
        net_type(origin.network),
        model::AddrType::new(origin.address_type),
        last_word(line)?,
    );
    if origin.username != b"-" {
        made.set_username(part(line, origin.username)?);
    }
    Ok(made)
}

fn connection(line: &Line<'_>) -> Result<model::Connection, ConvertError> {
    let Connection { network, address_type, .. } = line.read()?;
    let (network, address_type) = (net_type(network), model::AddrType::new(address_type));
    Ok(model::Connection::new(network, address_type, last_word(line)?))
}

fn net_type(name: &str) -> model::NetType {
    // The model accepts any name.
    name.parse().unwrap_or(model::NetType::In)
}

/// An address in its written form.
fn last_word(line: &Line<'_>) -> Result<String, ConvertError> {
    part(line, line.value().rsplit(|byte| *byte == b' ').next().unwrap_or_default())
}

fn bandwidth(line: &Line<'_>) -> Result<model::Bandwidth, ConvertError> {
    let Bandwidth { kind, amount } = line.read()?;
    Ok(model::Bandwidth { bwtype: kind.to_string(), bandwidth: amount })
}

fn time(line: &Line<'_>) -> Result<model::Time, ConvertError> {
    let Timing { start, stop } = line.read()?;
    Ok(model::Time::new(start, stop))
}

fn repeat(line: &Line<'_>) -> Result<model::Repeat, ConvertError> {
    let repeat: Repeat<'_> = line.read()?;
    let mut made = model::Repeat::new(repeat.interval.seconds(), repeat.duration.seconds());
    made.offsets = repeat.offsets().map(TypedTime::seconds).collect();
    Ok(made)
}

fn zones(line: &Line<'_>) -> Result<Vec<model::TimeZone>, ConvertError> {
    let zone: Zone<'_> = line.read()?;
    Ok(zone.adjustments().map(|change| model::TimeZone::new(change.at, change.seconds())).collect())
}

fn key(line: &Line<'_>) -> Result<model::Key, ConvertError> {
    let (method, key) = name_and_value(line.value());
    let encryption_key = match key {
        Some(key) => Some(part(line, key)?),
        None => None,
    };
    Ok(model::Key { method: part(line, method)?, encryption_key })
}

fn attribute(line: &Line<'_>) -> Result<model::Attribute, ConvertError> {
    let (name, value) = name_and_value(line.value());
    let value = match value {
        Some(value) => Some(part(line, value)?),
        None => None,
    };
    Ok(model::Attribute { attribute: part(line, name)?, value })
}

impl TryFrom<&model::Session> for Session<'static> {
    type Error = EditError;

    /// Writes the lines in the order of RFC 8866, each ended by CR and LF; values are taken unchanged. A model without
    /// times gives a session without `t=`, which a strict reader refuses.
    ///
    /// # Errors
    /// [`EditError::ForbiddenByte`] if a value would break its line; [`EditError::TooLong`] if the session would become too
    /// large.
    fn try_from(model: &model::Session) -> Result<Self, EditError> {
        let mut lines = Lines::default();
        lines.add(b'v', "0");
        lines.origin(&model.origin);
        lines.add(b's', &model.session_name);
        lines.all(b'i', &model.session_description);
        lines.all(b'u', &model.uri);
        lines.all(b'e', &model.emails);
        lines.all(b'p', &model.phones);
        model.connection.iter().for_each(|connection| lines.connection(connection));
        model.bandwidths.iter().for_each(|bandwidth| lines.bandwidth(bandwidth));
        for (index, time) in model.times.iter().enumerate() {
            lines.add(b't', &format!("{} {}", time.start_time, time.stop_time));
            time.repeats.iter().for_each(|repeat| lines.repeat(repeat));
            // The model does not record which time the zones belong to.
            if index + 1 == model.times.len() && !model.time_zones.is_empty() {
                lines.zones(&model.time_zones);
            }
        }
        if model.times.is_empty() && !model.time_zones.is_empty() {
            lines.zones(&model.time_zones);
        }
        lines.rest(model.key.as_ref(), &model.attributes);
        for media in &model.medias {
            let model::Media { media: kind, port, num_ports, proto, fmt, .. } = media;
            let ports = num_ports.map(|ports| format!("/{ports}")).unwrap_or_default();
            lines.add(b'm', &format!("{kind} {port}{ports} {proto} {fmt}"));
            lines.all(b'i', &media.media_title);
            media.connections.iter().for_each(|connection| lines.connection(connection));
            media.bandwidths.iter().for_each(|bandwidth| lines.bandwidth(bandwidth));
            lines.rest(media.key.as_ref(), &media.attributes);
        }
        let mut session = Self::default();
        session.splice(0, lines.0.iter().map(|(letter, value)| (*letter, value.as_bytes())))?;
        Ok(session)
    }
}

#[derive(Default)]
struct Lines(Vec<(u8, String)>);

impl Lines {
    fn add(&mut self, letter: u8, value: &str) {
        self.0.push((letter, value.to_owned()));
    }

    fn all<'v>(&mut self, letter: u8, values: impl IntoIterator<Item = &'v String>) {
        values.into_iter().for_each(|value| self.add(letter, value));
    }

    fn origin(&mut self, origin: &model::Origin) {
        let model::Origin { username, sess_id, sess_version, nettype, addrtype, unicast_address } = origin;
        let username = username.as_deref().filter(|name| !name.is_empty()).unwrap_or("-");
        let (network, kind) = (nettype.as_str(), addrtype.as_str());
        self.add(b'o', &format!("{username} {sess_id} {sess_version} {network} {kind} {unicast_address}"));
    }

    fn connection(&mut self, connection: &model::Connection) {
        let (network, kind) = (connection.nettype.as_str(), connection.addrtype.as_str());
        self.add(b'c', &format!("{network} {kind} {}", connection.connection_address));
    }

    fn bandwidth(&mut self, bandwidth: &model::Bandwidth) {
        self.add(b'b', &format!("{}:{}", bandwidth.bwtype, bandwidth.bandwidth));
    }

    fn repeat(&mut self, repeat: &model::Repeat) {
        let offsets: String = repeat.offsets.iter().map(|offset| format!(" {offset}")).collect();
        self.add(b'r', &format!("{} {}{offsets}", repeat.repeat_interval, repeat.active_duration));
    }

    fn zones(&mut self, zones: &[model::TimeZone]) {
        let zones: Vec<String> = zones.iter().map(|zone| format!("{} {}", zone.adjustment_time, zone.offset)).collect();
        self.add(b'z', &zones.join(" "));
    }

    fn rest(&mut self, key: Option<&model::Key>, attributes: &[model::Attribute]) {
        if let Some(key) = key {
            match &key.encryption_key {
                Some(value) => self.add(b'k', &format!("{}:{value}", key.method)),
                None => self.add(b'k', &key.method),
            }
        }
        for attribute in attributes {
            match &attribute.value {
                Some(value) => self.add(b'a', &format!("{}:{value}", attribute.attribute)),
                None => self.add(b'a', &attribute.attribute),
            }
        }
    }
}
