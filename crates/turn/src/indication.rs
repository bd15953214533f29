//! Send and Data indications: one datagram between client and server, with the address of its peer (RFC 8656 §11).
//!
//! Rules of this file: the functions are pure and allocate nothing. A head is at most 48 bytes long, so that it fits
//! into a [`Forward`](portolan_machine::Forward). The first attribute of a type counts, and unknown
//! comprehension-required attributes make an indication invalid (RFC 8489 §6.3.2).
//!
//! ```
//! use portolan_turn::{Indication, IndicationKind};
//!
//! let peer = "192.0.2.9:5000".parse()?;
//! let head = IndicationKind::Data.head([7; 12].into(), peer, 2).unwrap();
//! let bytes = [head.as_slice(), b"hi", &[0, 0]].concat();
//! let indication = Indication::decode(&bytes).unwrap();
//! assert_eq!((indication.kind, indication.peer, indication.data), (IndicationKind::Data, peer, &b"hi"[..]));
//! # Ok::<(), core::net::AddrParseError>(())
//! ```

use core::net::{IpAddr, SocketAddr};
use portolan_stun::{AttributeType, Class, HEADER_LEN, MAGIC_COOKIE, Message, Method, TransactionId};

/// The two indications of RFC 8656.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IndicationKind {
    /// From the client to the server, for the peer (RFC 8656 §11.1).
    Send,
    /// From the server to the client, from the peer (RFC 8656 §11.3).
    Data,
}

/// A decoded Send or Data indication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Indication<'a> {
    /// Which of the two it is.
    pub kind: IndicationKind,
    /// XOR-PEER-ADDRESS.
    pub peer: SocketAddr,
    /// DATA. It can be empty.
    pub data: &'a [u8],
    /// Whether it has DONT-FRAGMENT.
    pub dont_fragment: bool,
}

/// The bytes of an indication before its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    bytes: [u8; Self::LEN],
    len: usize,
}

impl Head {
    /// The longest head in bytes: the STUN header, XOR-PEER-ADDRESS with an IPv6 address, and the header of DATA.
    pub const LEN: usize = 48;

    /// The bytes.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

impl IndicationKind {
    /// Returns the bytes before `length` bytes of data: the header, XOR-PEER-ADDRESS and the header of DATA. The data
    /// follows, padded with zeros to a multiple of 4 bytes. `None` if the message would be too long.
    #[must_use]
    pub fn head(self, id: TransactionId, peer: SocketAddr, length: usize) -> Option<Head> {
        let address_len = if peer.is_ipv4() { 8 } else { 20 };
        let data_len = u16::try_from(length).ok()?;
        let message_len = u16::try_from(4 + address_len + 4 + length.next_multiple_of(4)).ok()?;
        let kind: u16 = match self {
            Self::Send => 0x0016,
            Self::Data => 0x0017,
        };
        let mut head = Head { bytes: [0; Head::LEN], len: 0 };
        head.push(&kind.to_be_bytes())?;
        head.push(&message_len.to_be_bytes())?;
        head.push(&MAGIC_COOKIE.to_be_bytes())?;
        head.push(id.as_bytes())?;
        head.push(&AttributeType::XOR_PEER_ADDRESS.number().to_be_bytes())?;
        head.push(&u16::try_from(address_len).ok()?.to_be_bytes())?;
        let [c0, c1, c2, c3] = MAGIC_COOKIE.to_be_bytes();
        let [p0, p1] = peer.port().to_be_bytes();
        head.push(&[0, if peer.is_ipv4() { 1 } else { 2 }, p0 ^ c0, p1 ^ c1])?;
        match peer.ip() {
            IpAddr::V4(ip) => head.push(&(u32::from(ip) ^ MAGIC_COOKIE).to_be_bytes())?,
            IpAddr::V6(ip) => {
                let [i0, i1, i2, i3, i4, i5, i6, i7, i8, i9, i10, i11] = *id.as_bytes();
                let mask = [c0, c1, c2, c3, i0, i1, i2, i3, i4, i5, i6, i7, i8, i9, i10, i11];
                head.push(&(u128::from(ip) ^ u128::from_be_bytes(mask)).to_be_bytes())?;
            }
        }
        head.push(&AttributeType::DATA.number().to_be_bytes())?;
        head.push(&data_len.to_be_bytes())?;
        Some(head)
    }
}

impl Head {
    fn push(&mut self, bytes: &[u8]) -> Option<()> {
        self.bytes.get_mut(self.len..self.len + bytes.len())?.copy_from_slice(bytes);
        self.len += bytes.len();
        Some(())
    }
}

impl<'a> Indication<'a> {
    /// Decodes a Send or Data indication; `None` if the message is another one, has no peer address or no data, or has
    /// unknown comprehension-required attributes.
    #[must_use]
    pub fn decode(bytes: &'a [u8]) -> Option<Self> {
        let message = Message::decode(bytes).ok()?.exempt();
        let kind = match (message.class(), message.method()) {
            (Class::Indication, Method::SEND) => IndicationKind::Send,
            (Class::Indication, Method::DATA) => IndicationKind::Data,
            _ => return None,
        };
        if message.has_fingerprint() && message.check_fingerprint().is_err() {
            return None;
        }
        let known = [AttributeType::XOR_PEER_ADDRESS, AttributeType::DATA, AttributeType::DONT_FRAGMENT];
        let mut unknown = message.fields().filter(|field| field.kind.is_comprehension_required());
        if unknown.any(|field| !known.contains(&field.kind) && !AttributeType::BASE.contains(&field.kind)) {
            return None;
        }
        Some(Self {
            kind,
            peer: message.xor_peer_address()?,
            data: message.data()?,
            dont_fragment: message.has(AttributeType::DONT_FRAGMENT),
        })
    }

    /// The length of the message before the data, in bytes.
    #[must_use]
    pub const fn head_len(&self) -> usize {
        HEADER_LEN + if self.peer.is_ipv4() { 12 } else { 24 } + 4
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use portolan_stun::{Attribute, Writer};

    #[test]
    fn a_head_and_its_data_are_the_message_that_the_writer_encodes() {
        for peer in ["192.0.2.9:5000", "[2001:db8::7]:40000"] {
            let peer: SocketAddr = peer.parse().unwrap();
            for kind in [IndicationKind::Send, IndicationKind::Data] {
                for length in [0, 1, 2, 3, 4, 160, 1499] {
                    let data: Vec<u8> = (0..length).map(|n| u8::try_from(n % 251).unwrap()).collect();
                    let method = if kind == IndicationKind::Send { Method::SEND } else { Method::DATA };
                    let mut buffer = [0; 2000];
                    let mut writer = Writer::new(&mut buffer, Class::Indication, method, [9; 12].into()).unwrap();
                    writer.add(&Attribute::XorPeerAddress(peer)).unwrap();
                    writer.add(&Attribute::Data(&data)).unwrap();
                    let expected = writer.finish();
                    let mut bytes = kind.head([9; 12].into(), peer, data.len()).unwrap().as_slice().to_vec();
                    bytes.extend_from_slice(&data);
                    bytes.resize(bytes.len().next_multiple_of(4), 0);
                    assert_eq!(bytes, expected);
                    let decoded = Indication::decode(&bytes).unwrap();
                    assert_eq!(decoded, Indication { kind, peer, data: &data, dont_fragment: false });
                    assert_eq!(decoded.head_len(), bytes.len() - data.len().next_multiple_of(4));
                }
            }
        }
        assert_eq!(IndicationKind::Send.head([9; 12].into(), ([192, 0, 2, 9], 1).into(), 65_530), None);
    }

    #[test]
    fn an_indication_with_an_unknown_required_attribute_or_without_data_is_invalid() {
        let peer = ([192, 0, 2, 9], 5000).into();
        let encode = |attributes: &[Attribute<'_>]| {
            let mut buffer = [0; 200];
            let mut writer = Writer::new(&mut buffer, Class::Indication, Method::SEND, [9; 12].into()).unwrap();
            attributes.iter().for_each(|attribute| writer.add(attribute).unwrap());
            writer.finish().to_vec()
        };
        let unknown = Attribute::Unknown { kind: AttributeType::new(0x7fff), value: &[] };
        let optional = Attribute::Unknown { kind: AttributeType::new(0xffff), value: &[] };
        let (address, data) = (Attribute::XorPeerAddress(peer), Attribute::Data(b"x"));
        assert!(Indication::decode(&encode(&[address, data, optional])).is_some());
        assert!(Indication::decode(&encode(&[address, data, Attribute::DontFragment])).unwrap().dont_fragment);
        for invalid in [&[address, data, unknown][..], &[address], &[data], &[]] {
            assert_eq!(Indication::decode(&encode(invalid)), None);
        }
    }
}
