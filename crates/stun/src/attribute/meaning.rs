//! `Display` of attribute values: a short description for logs.
//!
//! Rules of this file: the text is one line without control characters, for any bytes of a peer. Opaque bytes are
//! printed as hexadecimal digits, at most sixteen bytes of them.

use core::fmt;

use super::{AddressErrorCode, Attribute, ChangeRequest, Icmp, NetworkCost, PasswordAlgorithm};

/// Prints the value without the name of the attribute.
impl fmt::Display for Attribute<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use Attribute as A;
        match *self {
            A::MappedAddress(a)
            | A::XorMappedAddress(a)
            | A::AlternateServer(a)
            | A::XorPeerAddress(a)
            | A::XorRelayedAddress(a)
            | A::ResponseOrigin(a)
            | A::OtherAddress(a)
            | A::ResponseAddress(a)
            | A::SourceAddress(a)
            | A::ChangedAddress(a)
            | A::ReflectedFrom(a)
            | A::XorMappedAddressDraft(a) => write!(f, "{a}"),
            A::Username(text)
            | A::Realm(text)
            | A::Nonce(text)
            | A::Software(text)
            | A::AlternateDomain(text)
            | A::ThirdPartyAuthorization(text) => write!(f, "{text:?}"),
            A::Userhash(hash) => write!(f, "SHA-256 {}", Hex(hash)),
            A::MessageIntegrity(hmac) => write!(f, "HMAC-SHA1 {}", Hex(hmac)),
            A::MessageIntegritySha256(hmac) => write!(f, "HMAC-SHA256 {}", Hex(hmac)),
            A::Fingerprint(crc) => write!(f, "CRC-32 {crc:#010x}"),
            A::ErrorCode(error) => write!(f, "{error}"),
            A::AddressErrorCode(AddressErrorCode { family, error }) => write!(f, "{family}: {error}"),
            A::UnknownAttributes(list) => write_list(f, list.iter()),
            A::PasswordAlgorithms(list) => write_list(f, list.iter()),
            A::PasswordAlgorithm(algorithm) => write!(f, "{algorithm}"),
            A::Priority(n) => write!(f, "{n}"),
            A::UseCandidate => f.write_str("nominates this pair"),
            A::IceControlled(n) => write!(f, "controlled, tie-breaker {n:#018x}"),
            A::IceControlling(n) => write!(f, "controlling, tie-breaker {n:#018x}"),
            A::ChannelNumber(n) => write!(f, "{n:#06x}"),
            A::Lifetime(n) | A::CacheTimeout(n) => write!(f, "{n} s"),
            A::RequestedAddressFamily(family) | A::AdditionalAddressFamily(family) => write!(f, "{family}"),
            A::EvenPort(false) => f.write_str("an even port"),
            A::EvenPort(true) => f.write_str("an even port, and the next one reserved"),
            A::RequestedTransport(17) => f.write_str("UDP"),
            A::RequestedTransport(6) => f.write_str("TCP"),
            A::RequestedTransport(n) => write!(f, "IP protocol {n}"),
            A::DontFragment => f.write_str("do not fragment"),
            A::ReservationToken(token) => write!(f, "{}", Hex(&token)),
            A::Icmp(Icmp { kind, code, data }) => write!(f, "ICMP type {kind}, code {code}, data {data}"),
            A::ConnectionId(n) => write!(f, "{n:#010x}"),
            A::ChangeRequest(change) => write!(f, "{change}"),
            A::Padding(bytes) => write!(f, "{} bytes", bytes.len()),
            A::ResponsePort(port) => write!(f, "{port}"),
            A::Data(bytes) | A::MobilityTicket(bytes) | A::AccessToken(bytes) => write_bytes(f, bytes),
            A::TransactionTransmitCounter { req, resp } => write!(f, "request sent {req} times, response {resp}"),
            A::NetworkCost(NetworkCost { network, cost }) => write!(f, "network {network}, cost {cost}"),
            A::Nomination(n) => write!(f, "nomination {n}"),
            A::Unknown { value, .. } => write_bytes(f, value),
        }
    }
}

impl fmt::Display for ChangeRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match (self.ip, self.port) {
            (true, true) => "response from the other address and port",
            (true, false) => "response from the other address",
            (false, true) => "response from the other port",
            (false, false) => "response from the same address and port",
        })
    }
}

impl fmt::Display for PasswordAlgorithm<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.number {
            1 => f.write_str("MD5")?,
            2 => f.write_str("SHA-256")?,
            number => write!(f, "algorithm {number}")?,
        }
        if !self.parameters.is_empty() {
            write!(f, " with {}", Hex(self.parameters))?;
        }
        Ok(())
    }
}

fn write_list(f: &mut fmt::Formatter<'_>, items: impl Iterator<Item = impl fmt::Display>) -> fmt::Result {
    let mut count = 0;
    for item in items {
        write!(f, "{}{item}", if count == 0 { "" } else { ", " })?;
        count += 1;
    }
    if count == 0 { f.write_str("none") } else { Ok(()) }
}

fn write_bytes(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    match bytes.len() {
        0 => f.write_str("empty"),
        length => write!(f, "{length} bytes {}", Hex(bytes)),
    }
}

/// Prints the first sixteen bytes in hexadecimal digits, and an ellipsis if there are more.
struct Hex<'a>(&'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().take(16).try_for_each(|byte| write!(f, "{byte:02x}"))?;
        if self.0.len() > 16 { f.write_str("…") } else { Ok(()) }
    }
}
