//! A request: its message, its destination, its schedule, and the accepted responses.
//!
//! Rules of this file: a request is plain data until [`Transactions`](crate::Transactions) takes it; its attributes are
//! kept encoded, without the header, so that a run can be recorded as text and the message is written once.

use crate::credential::{self, Attempt};
use crate::hex::{read_hex, write_hex};
use crate::{RequestError, Schedule};
use bytes::Bytes;
use core::fmt;
use core::net::SocketAddr;
use core::str::FromStr;
use portolan_machine::{Script, ScriptError, SocketId};
use portolan_stun::{
    Attribute, AttributeType, ChangeRequest, Class, EncodeError, HEADER_LEN, Method, TransactionId, Writer,
};

/// A request to send: its message, its destination, its schedule, and the accepted responses.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Request<T> {
    /// The socket to send from; open, or handed in by the owner.
    pub socket: SocketId,
    /// Where to.
    pub remote: SocketAddr,
    /// The owner's name for it; comes back in every event.
    pub tag: T,
    /// What is asked.
    pub method: Method,
    /// The attributes as they go on the wire, without integrity and FINGERPRINT; XOR addresses as with transaction id 0.
    pub attributes: Bytes,
    /// When it is sent and given up.
    pub schedule: Schedule,
    /// The addresses whose response is accepted.
    pub from: AnswerFrom,
    /// The sockets that can receive the response.
    pub on: AnswerOn,
    /// IPv4 TTL or IPv6 hop limit of the sends; `None` leaves the system's.
    pub hop_limit: Option<u8>,
    /// What closes the message.
    pub seal: Seal,
}

/// The addresses whose response is accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum AnswerFrom {
    /// The address that the request went to (RFC 8489 §6.3.1.2).
    #[default]
    SameAsDestination,
    /// This address: what CHANGE-REQUEST asked for (RFC 5780 §6.1).
    Exactly(SocketAddr),
    /// Any address, if the id is right; the event has the address.
    AnyReported,
}

/// The sockets that can receive the response.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum AnswerOn {
    /// The one that the request left from.
    #[default]
    SameSocket,
    /// Any; the event has the socket. RESPONSE-PORT sends the response to another one (RFC 5780 §4.6).
    AnySocket,
}

/// What closes the message after its attributes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Seal {
    /// Nothing.
    #[default]
    None,
    /// FINGERPRINT, and answers must have it too (RFC 8489 §7).
    Fingerprint,
}

impl<T> Request<T> {
    /// The longest PADDING in bytes: RFC 5780 §7.6, less the headers and some room for other attributes.
    pub const PADDING_LIMIT: u16 = 65_400;

    /// A request without attributes, on the schedule of RFC 8489, with a response from its destination.
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

    /// A Binding request: it returns the external address of the socket.
    #[must_use]
    pub const fn binding(socket: SocketId, remote: SocketAddr, tag: T) -> Self {
        Self::new(Method::BINDING, socket, remote, tag)
    }

    /// Sent and given up by this schedule.
    #[must_use]
    pub const fn schedule(mut self, schedule: Schedule) -> Self {
        self.schedule = schedule;
        self
    }

    /// Answered by these.
    #[must_use]
    pub const fn from(mut self, from: AnswerFrom) -> Self {
        self.from = from;
        self
    }

    /// Answered on these.
    #[must_use]
    pub const fn on(mut self, on: AnswerOn) -> Self {
        self.on = on;
        self
    }

    /// Sent with this IPv4 TTL or IPv6 hop limit.
    #[must_use]
    pub const fn hop_limit(mut self, hop_limit: u8) -> Self {
        self.hop_limit = Some(hop_limit);
        self
    }

    /// Closed with FINGERPRINT, and its answers must be too (RFC 8489 §7).
    #[must_use]
    pub const fn fingerprint(mut self) -> Self {
        self.seal = Seal::Fingerprint;
        self
    }

    /// Adds CHANGE-REQUEST: answer from your other address or port (RFC 5780 §7.2).
    #[must_use]
    pub fn change(self, change: ChangeRequest) -> Self {
        self.appended(&Attribute::ChangeRequest(change))
    }

    /// Adds RESPONSE-PORT: answer to this port of my address (RFC 5780 §7.5). The answer may then come to any socket.
    #[must_use]
    pub fn response_port(self, port: u16) -> Self {
        self.appended(&Attribute::ResponsePort(port)).on(AnswerOn::AnySocket)
    }

    /// Adds PADDING of `length` bytes, to make fragments (RFC 5780 §7.6).
    ///
    /// Cut at [`PADDING_LIMIT`](Self::PADDING_LIMIT), so that the IP datagram stays below 64 kB.
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

    /// Adds an attribute that no writer refuses.
    fn appended(mut self, attribute: &Attribute<'_>) -> Self {
        let appended = self.append(attribute);
        debug_assert_eq!(appended, Ok(()));
        self
    }

    fn append(&mut self, attribute: &Attribute<'_>) -> Result<(), EncodeError> {
        let (mut small, mut large) = ([0; 64], alloc::vec![]);
        let message = match template(&mut small, attribute) {
            Err(EncodeError::BufferTooShort { needed, .. }) => {
                large.resize(needed, 0);
                template(&mut large, attribute)?
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

    /// What its message is written from.
    pub(super) fn blank(&self) -> Blank {
        Blank { method: self.method, attributes: self.attributes.clone(), seal: self.seal }
    }
}

/// All of a message but its id and what proves it.
#[derive(Clone, Debug)]
pub(super) struct Blank {
    method: Method,
    attributes: Bytes,
    seal: Seal,
}

impl Blank {
    /// The types of its attributes, up to the first that is cut short.
    pub(super) fn kinds(&self) -> impl Iterator<Item = AttributeType> + '_ {
        let mut rest = self.attributes.as_ref();
        core::iter::from_fn(move || {
            let (kind, _, after) = split_attribute(rest)?;
            rest = after;
            Some(kind)
        })
    }

    /// Writes the message, once for all its sends.
    pub(super) fn encode(&self, id: TransactionId, attempt: Option<&Attempt>) -> Result<Bytes, RequestError> {
        const SEAL: usize = 8;
        let needed = HEADER_LEN + self.attributes.len() + attempt.map_or(0, Attempt::room) + SEAL;
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
            let completed = complete_xor_address(kind, value, id);
            writer.add(&Attribute::Unknown { kind, value: completed.as_ref().map_or(value, <[u8; 20]>::as_slice) })?;
            rest = after;
        }
        let fingerprint = self.seal == Seal::Fingerprint;
        let message = match attempt {
            Some(attempt) => attempt.close(writer, fingerprint)?,
            None => credential::end(writer, fingerprint)?,
        };
        Ok(Bytes::copy_from_slice(message))
    }
}

/// Returns the value of an IPv6 XOR address attribute for this transaction id; `None` for other values.
///
/// The address is XORed with the transaction id (RFC 8489 §14.2), which is not known before the request is made.
/// [`template`] writes the value with id 0, so that only the XOR with the id is missing.
fn complete_xor_address(kind: AttributeType, value: &[u8], id: TransactionId) -> Option<[u8; 20]> {
    let is_xor_address = matches!(
        kind,
        AttributeType::XOR_MAPPED_ADDRESS | AttributeType::XOR_PEER_ADDRESS | AttributeType::XOR_RELAYED_ADDRESS
    );
    let mut value: [u8; 20] = value.try_into().ok().filter(|_| is_xor_address)?;
    value.iter_mut().skip(8).zip(id.as_bytes()).for_each(|(byte, id)| *byte ^= id);
    Some(value)
}

/// A message that is only written for its attribute, with transaction id 0.
fn template<'b>(buffer: &'b mut [u8], attribute: &Attribute<'_>) -> Result<&'b [u8], EncodeError> {
    let mut writer = Writer::new(buffer, Class::Request, Method::BINDING, TransactionId::default())?;
    writer.add(attribute)?;
    Ok(writer.finish())
}

/// The first attribute and what follows its padding (RFC 8489 §14).
fn split_attribute(bytes: &[u8]) -> Option<(AttributeType, &[u8], &[u8])> {
    let (&[k0, k1, l0, l1], rest) = bytes.split_first_chunk::<4>()?;
    let length = usize::from(u16::from_be_bytes([l0, l1]));
    let value = rest.get(..length)?;
    Some((AttributeType::new(u16::from_be_bytes([k0, k1])), value, rest.get(length.next_multiple_of(4)..)?))
}

impl<T: fmt::Display> fmt::Display for Request<T> {
    /// `s1 192.0.2.1:3478 binding schedule=… from=… on=… hop-limit=… seal=… attributes=… tag=…`; what is usual is left
    /// out, and the tag is last because its text may hold anything.
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
    /// Returns the same request with what one word of its text says.
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
