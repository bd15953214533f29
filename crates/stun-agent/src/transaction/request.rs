//! Requests: the message, the destination, the schedule, and the accepted responses.
//!
//! Rules of this file: a request is plain data. Its attributes are stored encoded, without a header, so that a run
//! can be recorded as text and the message is encoded once.

use crate::credential::{self, Attempt};
use crate::{RequestError, Schedule};
use bytes::Bytes;
use core::fmt;
use core::net::SocketAddr;
use core::str::FromStr;
use portolan_machine::hex::{read_hex, write_hex};
use portolan_machine::{Script, ScriptError, SocketId};
use portolan_stun::{
    Attribute, AttributeType, ChangeRequest, Class, EncodeError, HEADER_LEN, Method, TransactionId, Writer,
};

/// A request to send: its message, its destination, its schedule, and the accepted responses.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Request<T> {
    /// The open socket to send from.
    pub socket: SocketId,
    /// The destination.
    pub remote: SocketAddr,
    /// The tag of the owner, which every event contains.
    pub tag: T,
    /// The method.
    pub method: Method,
    /// The attributes as on the wire, without integrity and FINGERPRINT. XOR addresses are encoded with transaction
    /// id 0.
    pub attributes: Bytes,
    /// The times of the sends and of the timeout.
    pub schedule: Schedule,
    /// The addresses from which a response is accepted.
    pub from: AnswerFrom,
    /// The sockets on which a response is accepted.
    pub on: AnswerOn,
    /// The IPv4 TTL or IPv6 hop limit; `None` is the default of the system.
    pub hop_limit: Option<u8>,
    /// The attribute at the end of the message.
    pub seal: Seal,
}

/// The addresses from which a response is accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum AnswerFrom {
    /// The destination of the request (RFC 8489 §6.3.1.2).
    #[default]
    SameAsDestination,
    /// This address, for a request with CHANGE-REQUEST (RFC 5780 §6.1).
    Exactly(SocketAddr),
    /// Any address. The event contains the address.
    AnyReported,
}

/// The sockets on which a response is accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum AnswerOn {
    /// The socket of the request.
    #[default]
    SameSocket,
    /// Any socket. The event contains the socket. With RESPONSE-PORT the response arrives on another socket (RFC 5780
    /// §4.6).
    AnySocket,
}

/// The attribute at the end of the message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Seal {
    /// Nothing.
    #[default]
    None,
    /// FINGERPRINT, which the response must have too (RFC 8489 §7).
    Fingerprint,
}

impl<T> Request<T> {
    /// The longest PADDING in bytes: the limit of RFC 5780 §7.6 without the headers and some space for other
    /// attributes.
    pub const PADDING_LIMIT: u16 = 65_400;

    /// A request without attributes, with the schedule of RFC 8489, that accepts a response from its destination.
    #[must_use]
    pub const fn new(method: Method, socket: SocketId, remote: SocketAddr, tag: T) -> Self {
        Self {
            socket,
            remote,
            tag,
            method,
            attributes: Bytes::new(),
            schedule: Schedule::rfc8489(),
            from: AnswerFrom::SameAsDestination,
            on: AnswerOn::SameSocket,
            hop_limit: None,
            seal: Seal::None,
        }
    }

    /// A Binding request. Its response contains the external address of the socket.
    #[must_use]
    pub const fn binding(socket: SocketId, remote: SocketAddr, tag: T) -> Self {
        Self::new(Method::BINDING, socket, remote, tag)
    }

    /// Sets the schedule.
    #[must_use]
    pub const fn schedule(mut self, schedule: Schedule) -> Self {
        self.schedule = schedule;
        self
    }

    /// Sets the addresses from which a response is accepted.
    #[must_use]
    pub const fn from(mut self, from: AnswerFrom) -> Self {
        self.from = from;
        self
    }

    /// Sets the sockets on which a response is accepted.
    #[must_use]
    pub const fn on(mut self, on: AnswerOn) -> Self {
        self.on = on;
        self
    }

    /// Sets the IPv4 TTL or IPv6 hop limit.
    #[must_use]
    pub const fn hop_limit(mut self, hop_limit: u8) -> Self {
        self.hop_limit = Some(hop_limit);
        self
    }

    /// Adds FINGERPRINT, which the response must have too (RFC 8489 §7).
    #[must_use]
    pub const fn fingerprint(mut self) -> Self {
        self.seal = Seal::Fingerprint;
        self
    }

    /// Adds CHANGE-REQUEST, which requests a response from the other address or port of the server (RFC 5780 §7.2).
    #[must_use]
    pub fn change(self, change: ChangeRequest) -> Self {
        self.appended(&Attribute::ChangeRequest(change))
    }

    /// Adds RESPONSE-PORT, which requests a response to this port (RFC 5780 §7.5). A response is then accepted on any
    /// socket.
    #[must_use]
    pub fn response_port(self, port: u16) -> Self {
        self.appended(&Attribute::ResponsePort(port)).on(AnswerOn::AnySocket)
    }

    /// Adds PADDING of `length` bytes, which causes IP fragmentation (RFC 5780 §7.6).
    ///
    /// The length is limited to [`PADDING_LIMIT`](Self::PADDING_LIMIT), so that the IP datagram is below 64 kB.
    #[must_use]
    pub fn padding(self, length: u16) -> Self {
        let zeros = alloc::vec![0; usize::from(length.min(Self::PADDING_LIMIT))];
        self.appended(&Attribute::Padding(&zeros))
    }

    /// Adds any attribute.
    ///
    /// # Errors
    /// The same as for [`Writer::add`], without [`EncodeError::BufferTooShort`].
    pub fn attribute(mut self, attribute: &Attribute<'_>) -> Result<Self, EncodeError> {
        self.append(attribute)?;
        Ok(self)
    }

    /// Adds an attribute that the writer always accepts.
    fn appended(mut self, attribute: &Attribute<'_>) -> Self {
        let appended = self.append(attribute);
        debug_assert_eq!(appended, Ok(()));
        self
    }

    fn append(&mut self, attribute: &Attribute<'_>) -> Result<(), EncodeError> {
        let (mut small, mut large) = ([0; 64], alloc::vec![]);
        let message = match encode_attribute(&mut small, attribute) {
            Err(EncodeError::BufferTooShort { needed, .. }) => {
                large.resize(needed, 0);
                encode_attribute(&mut large, attribute)?
            }
            message => message?,
        };
        let added = message.get(HEADER_LEN..).unwrap_or_default();
        self.attributes = if self.attributes.is_empty() {
            Bytes::copy_from_slice(added)
        } else {
            [&self.attributes, added].concat().into()
        };
        Ok(())
    }

    /// The data that its message is encoded from.
    pub(super) fn template(&self) -> RequestTemplate {
        RequestTemplate { method: self.method, attributes: self.attributes.clone(), seal: self.seal }
    }
}

/// A message without its transaction id and its authentication.
#[derive(Clone, Debug)]
pub(super) struct RequestTemplate {
    method: Method,
    attributes: Bytes,
    seal: Seal,
}

impl RequestTemplate {
    /// The types of its attributes, up to the first truncated attribute.
    pub(super) fn kinds(&self) -> impl Iterator<Item = AttributeType> + '_ {
        let mut rest = self.attributes.as_ref();
        core::iter::from_fn(move || {
            let (kind, _, after) = split_attribute(rest)?;
            rest = after;
            Some(kind)
        })
    }

    /// Encodes the message, once for all its sends.
    pub(super) fn encode(&self, id: TransactionId, attempt: Option<&Attempt>) -> Result<Bytes, RequestError> {
        const FINGERPRINT_LEN: usize = 8;
        let needed = HEADER_LEN + self.attributes.len() + attempt.map_or(0, Attempt::reserved_len) + FINGERPRINT_LEN;
        let mut small = [0; 128];
        let mut large;
        let buffer = if needed <= small.len() {
            small.as_mut_slice()
        } else {
            large = alloc::vec![0; needed];
            large.as_mut_slice()
        };
        let mut writer = Writer::new(buffer, Class::Request, self.method, id)?;
        let mut rest = self.attributes.as_ref();
        while !rest.is_empty() {
            let at = self.attributes.len() - rest.len();
            let (kind, value, after) = split_attribute(rest).ok_or(RequestError::Attributes { at })?;
            let masked = xor_with_id(kind, value, id);
            writer.add(&Attribute::Unknown { kind, value: masked.as_ref().map_or(value, <[u8; 20]>::as_slice) })?;
            rest = after;
        }
        let fingerprint = self.seal == Seal::Fingerprint;
        let message = match attempt {
            Some(attempt) => attempt.finish(writer, fingerprint)?,
            None => credential::finish(writer, fingerprint)?,
        };
        Ok(Bytes::copy_from_slice(message))
    }
}

/// XORs the transaction id into the value of an IPv6 XOR address attribute (RFC 8489 §14.2). The value was encoded
/// with id 0, because the id did not exist. `None`: the value does not depend on the id.
fn xor_with_id(kind: AttributeType, value: &[u8], id: TransactionId) -> Option<[u8; 20]> {
    let is_xor_address = matches!(
        kind,
        AttributeType::XOR_MAPPED_ADDRESS | AttributeType::XOR_PEER_ADDRESS | AttributeType::XOR_RELAYED_ADDRESS
    );
    let mut value: [u8; 20] = value.try_into().ok().filter(|_| is_xor_address)?;
    value.iter_mut().skip(8).zip(id.as_bytes()).for_each(|(byte, id)| *byte ^= id);
    Some(value)
}

/// Encodes a message with one attribute and transaction id 0. Only its attribute is used.
fn encode_attribute<'b>(buffer: &'b mut [u8], attribute: &Attribute<'_>) -> Result<&'b [u8], EncodeError> {
    let mut writer = Writer::new(buffer, Class::Request, Method::BINDING, TransactionId::default())?;
    writer.add(attribute)?;
    Ok(writer.finish())
}

/// Returns the type and value of the first attribute, and the bytes after its padding (RFC 8489 §14).
fn split_attribute(bytes: &[u8]) -> Option<(AttributeType, &[u8], &[u8])> {
    let (&[k0, k1, l0, l1], rest) = bytes.split_first_chunk::<4>()?;
    let length = usize::from(u16::from_be_bytes([l0, l1]));
    let value = rest.get(..length)?;
    Some((AttributeType::new(u16::from_be_bytes([k0, k1])), value, rest.get(length.next_multiple_of(4)..)?))
}

impl<T: fmt::Display> fmt::Display for Request<T> {
    /// `s1 192.0.2.1:3478 binding schedule=… from=… on=… hop-limit=… seal=… attributes=… tag=…`. Default values are
    /// omitted. The tag is last, because its text can contain spaces.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ", self.socket, self.remote)?;
        write_method(f, self.method)?;
        if self.schedule != Schedule::rfc8489() {
            write!(f, " schedule={}", self.schedule)?;
        }
        match self.from {
            AnswerFrom::SameAsDestination => {}
            AnswerFrom::Exactly(from) => write!(f, " from={from}")?,
            AnswerFrom::AnyReported => f.write_str(" from=any")?,
        }
        if self.on == AnswerOn::AnySocket {
            f.write_str(" on=any")?;
        }
        if let Some(hop_limit) = self.hop_limit {
            write!(f, " hop-limit={hop_limit}")?;
        }
        if self.seal == Seal::Fingerprint {
            f.write_str(" seal=fingerprint")?;
        }
        if !self.attributes.is_empty() {
            f.write_str(" attributes=")?;
            write_hex(f, &self.attributes)?;
        }
        write!(f, " tag={}", self.tag)
    }
}

impl<T: fmt::Display + FromStr> Script for Request<T> {
    /// Writes the same text as `Display`.
    fn write(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        write!(out, "{self}")
    }

    fn read(text: &str) -> Result<Self, ScriptError> {
        const TAG: ScriptError = ScriptError::new("`tag=` and a tag at the end of a request");
        let (head, tag) = text.split_once(" tag=").ok_or(TAG)?;
        let tag = tag.parse().map_err(|_| TAG)?;
        let mut words = head.split(' ');
        let socket = socket(words.next().unwrap_or_default())?;
        let remote = words.next().and_then(|word| word.parse().ok()).ok_or(ADDRESS)?;
        let method = method(words.next().unwrap_or_default())?;
        words.try_fold(Self::new(method, socket, remote, tag), Self::with_word)
    }
}

const ADDRESS: ScriptError = ScriptError::new("an address like `192.0.2.1:3478` or `[2001:db8::1]:3478`");

impl<T> Request<T> {
    /// Returns the request with the value of one word of its text.
    fn with_word(mut self, word: &str) -> Result<Self, ScriptError> {
        const WORD: ScriptError =
            ScriptError::new("`schedule=`, `from=`, `on=`, `hop-limit=`, `seal=` or `attributes=` with its value");
        match word.split_once('=').ok_or(WORD)? {
            ("schedule", schedule) => {
                self.schedule =
                    schedule.parse().map_err(|_| ScriptError::new("a schedule like `at:0ms,90ms/tail:500ms`"))?;
            }
            ("from", "any") => self.from = AnswerFrom::AnyReported,
            ("from", from) => self.from = AnswerFrom::Exactly(from.parse().map_err(|_| ADDRESS)?),
            ("on", "any") => self.on = AnswerOn::AnySocket,
            ("hop-limit", limit) => self.hop_limit = Some(limit.parse().map_err(|_| WORD)?),
            ("seal", "fingerprint") => self.seal = Seal::Fingerprint,
            ("attributes", hex) => self.attributes = read_hex(hex)?.into(),
            _ => return Err(WORD),
        }
        Ok(self)
    }
}

fn socket(word: &str) -> Result<SocketId, ScriptError> {
    let number = word.strip_prefix('s').and_then(|number| number.parse().ok());
    number.map(SocketId).ok_or(ScriptError::new("a socket like `s1`"))
}

fn write_method(f: &mut fmt::Formatter<'_>, method: Method) -> fmt::Result {
    if method == Method::BINDING { f.write_str("binding") } else { write!(f, "{:#x}", method.number()) }
}

fn method(word: &str) -> Result<Method, ScriptError> {
    if word == "binding" {
        return Ok(Method::BINDING);
    }
    let number = word.strip_prefix("0x").and_then(|hex| u16::from_str_radix(hex, 16).ok());
    number.and_then(Method::new).ok_or(ScriptError::new("a method: `binding`, or a number from 0x0 to 0xfff"))
}
