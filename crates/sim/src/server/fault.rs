//! Faults of servers.
//!
//! Each fault was observed on public servers and has misled clients. Most faults change the correct response; a few
//! change its encoded bytes.
//!
//! ```
//! use portolan_sim::server::Fault;
//!
//! assert_eq!(Fault::IgnoresChangeRequest.to_string(), "ignores CHANGE-REQUEST and answers from the same address");
//! ```

use super::{Answer, Body, Server};
use crate::entropy::SeededRng;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::time::Duration;
use portolan_stun::{AttributeType, ErrorCode, Message};

/// The fault of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// No fault.
    None,
    /// The server never answers UDP.
    Silent,
    /// The server ignores CHANGE-REQUEST and answers from the address that received the request.
    IgnoresChangeRequest,
    /// The server gives an alternate address, but refuses CHANGE-REQUEST with 420.
    RefusesChangeRequest,
    /// The server gives an alternate address, but never answers a CHANGE-REQUEST.
    DropsChangeRequest,
    /// On a CHANGE-REQUEST the server changes the port, and never the address.
    ChangesPortOnly,
    /// The server follows RFC 5780 but never sends OTHER-ADDRESS.
    NoOtherAddress,
    /// The server sends an invalid OTHER-ADDRESS.
    OtherAddress(Bogus),
    /// The alternate address of the server neither receives nor sends.
    DeadAlternate,
    /// The server reports a wrong mapped address, always the same one.
    WrongMappedAddress(SocketAddr),
    /// The server reports a wrong mapped address, each time another one.
    ChangingMappedAddress,
    /// The server repeats each response after this time.
    LateDuplicates(Duration),
    /// The server sends each response twice.
    AnswersTwice,
    /// The server answers from an address that is neither its primary nor its alternate address.
    ThirdAddress(SocketAddr),
    /// The server answers with random bytes of the right length.
    Garbage,
    /// The responses are truncated to half their length.
    Truncated,
    /// The responses have a wrong transaction id.
    WrongTransactionId,
    /// The server sends each request back unchanged.
    Echo,
    /// The responses have XOR-MAPPED-ADDRESS only.
    OnlyXorMapped,
    /// The responses have MAPPED-ADDRESS only, as in RFC 3489.
    OnlyMapped,
    /// The success responses have no mapped address.
    NoMapped,
    /// The responses have a mapped IPv4 address in the form of an IPv6 address (RFC 4291 §2.5.5.2).
    Ipv4MappedAddress,
    /// The responses have a wrong FINGERPRINT.
    WrongFingerprint,
    /// The server answers each request with this error code, 300 to 699. With 300 (RFC 8489 §10) the response has an
    /// ALTERNATE-SERVER, 203.0.113.99:3478 or `[2001:db8::99]:3478`.
    Error(u16),
    /// The server ignores every n-th request.
    DropsEvery(u32),
}

/// An invalid OTHER-ADDRESS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Bogus {
    /// The address and port that received the request.
    Itself,
    /// The same address, another port.
    SameAddress,
    /// Another address, the same port.
    SamePort,
    /// A private address (RFC 1918, RFC 4193).
    Private,
    /// An address of the other family.
    OtherFamily,
    /// The unspecified address.
    Unspecified,
}

impl Fault {
    /// One fault of each kind, for exhaustive tests.
    pub const EACH: [Self; 30] = [
        Self::None,
        Self::Silent,
        Self::IgnoresChangeRequest,
        Self::RefusesChangeRequest,
        Self::DropsChangeRequest,
        Self::ChangesPortOnly,
        Self::NoOtherAddress,
        Self::OtherAddress(Bogus::Itself),
        Self::OtherAddress(Bogus::SameAddress),
        Self::OtherAddress(Bogus::SamePort),
        Self::OtherAddress(Bogus::Private),
        Self::OtherAddress(Bogus::OtherFamily),
        Self::OtherAddress(Bogus::Unspecified),
        Self::DeadAlternate,
        Self::WrongMappedAddress(ELSEWHERE),
        Self::ChangingMappedAddress,
        Self::LateDuplicates(Duration::from_millis(300)),
        Self::AnswersTwice,
        Self::ThirdAddress(ELSEWHERE),
        Self::Garbage,
        Self::Truncated,
        Self::WrongTransactionId,
        Self::Echo,
        Self::OnlyXorMapped,
        Self::OnlyMapped,
        Self::NoMapped,
        Self::Ipv4MappedAddress,
        Self::WrongFingerprint,
        Self::Error(ErrorCode::SERVER_ERROR),
        Self::DropsEvery(3),
    ];
}

/// An address of TEST-NET-3 that no preset topology uses.
const ELSEWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(203, 0, 113, 254)), 3478);

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("correct"),
            Self::Silent => f.write_str("never answers"),
            Self::IgnoresChangeRequest => f.write_str("ignores CHANGE-REQUEST and answers from the same address"),
            Self::RefusesChangeRequest => f.write_str("names another address but refuses CHANGE-REQUEST"),
            Self::DropsChangeRequest => f.write_str("names another address but never answers CHANGE-REQUEST"),
            Self::ChangesPortOnly => f.write_str("changes the port when asked, never the address"),
            Self::NoOtherAddress => f.write_str("never names its other address"),
            Self::OtherAddress(Bogus::Itself) => f.write_str("names itself as its other address"),
            Self::OtherAddress(Bogus::SameAddress) => f.write_str("names its own address with another port"),
            Self::OtherAddress(Bogus::SamePort) => f.write_str("names another address with the same port"),
            Self::OtherAddress(Bogus::Private) => f.write_str("names a private address as its other address"),
            Self::OtherAddress(Bogus::OtherFamily) => f.write_str("names an address of the other family"),
            Self::OtherAddress(Bogus::Unspecified) => f.write_str("names the unspecified address"),
            Self::DeadAlternate => f.write_str("its alternate address never answers"),
            Self::WrongMappedAddress(address) => write!(f, "reports every client as {address}"),
            Self::ChangingMappedAddress => f.write_str("reports another wrong address each time"),
            Self::LateDuplicates(after) => write!(f, "repeats each answer after {} ms", after.as_millis()),
            Self::AnswersTwice => f.write_str("answers each request twice"),
            Self::ThirdAddress(address) => write!(f, "answers from {address}"),
            Self::Garbage => f.write_str("answers with random bytes"),
            Self::Truncated => f.write_str("truncates its answers"),
            Self::WrongTransactionId => f.write_str("answers with a wrong transaction id"),
            Self::Echo => f.write_str("sends each request back"),
            Self::OnlyXorMapped => f.write_str("knows XOR-MAPPED-ADDRESS only"),
            Self::OnlyMapped => f.write_str("knows MAPPED-ADDRESS only"),
            Self::NoMapped => f.write_str("answers without a mapped address"),
            Self::Ipv4MappedAddress => f.write_str("reports IPv4 addresses as IPv6 addresses"),
            Self::WrongFingerprint => f.write_str("computes FINGERPRINT wrongly"),
            Self::Error(code) => write!(f, "answers each request with {code}"),
            Self::DropsEvery(n) => write!(f, "ignores every request number {n}"),
        }
    }
}

/// Applies a fault to the correct response; `None`: no response.
#[expect(clippy::wildcard_enum_match_arm, reason = "each stage handles its own faults and ignores the others")]
pub(super) fn change(
    fault: Fault,
    server: &Server,
    mut answer: Answer,
    request: &Message<'_>,
    rng: &mut SeededRng,
    requests: u32,
) -> Option<Answer> {
    let received_at = |answer: &Answer| match &answer.body {
        // The fault may have changed `from`. The opposite of OTHER-ADDRESS is the address that received the request.
        Body::Success { other: Some(other), .. } => server.opposite(*other).unwrap_or(server.primary),
        Body::Success { .. } | Body::Error { .. } => answer.from,
    };
    match fault {
        Fault::Silent => return None,
        Fault::DropsChangeRequest if request.has(AttributeType::CHANGE_REQUEST) => return None,
        Fault::DropsEvery(n) if n == 0 || requests.is_multiple_of(n) => return None,
        Fault::DeadAlternate => {
            let is_primary = |address: SocketAddr| address.ip() == server.primary.ip();
            if !is_primary(answer.from) || !is_primary(received_at(&answer)) {
                return None;
            }
        }
        Fault::IgnoresChangeRequest => answer.from = received_at(&answer),
        Fault::ChangesPortOnly => answer.from.set_ip(received_at(&answer).ip()),
        Fault::RefusesChangeRequest if request.has(AttributeType::CHANGE_REQUEST) => {
            let other = server.opposite(received_at(&answer));
            answer.from = received_at(&answer);
            let unknown = alloc::vec![AttributeType::CHANGE_REQUEST];
            answer.body = Body::Error { code: ErrorCode::UNKNOWN_ATTRIBUTE, unknown, other };
        }
        Fault::Error(code) => answer.body = Body::Error { code, unknown: alloc::vec::Vec::new(), other: None },
        Fault::ThirdAddress(address) => answer.from = address,
        _ => {}
    }
    let here = received_at(&answer);
    if let Body::Success { xor_mapped, mapped, other, .. } = &mut answer.body {
        match fault {
            Fault::NoOtherAddress => *other = None,
            Fault::OtherAddress(bogus) => *other = Some(bogus.instead_of(*other, here)),
            Fault::WrongMappedAddress(address) => (*xor_mapped, *mapped) = (Some(address), mapped.and(Some(address))),
            Fault::ChangingMappedAddress => {
                let wrong = random_address(rng, answer.to.is_ipv4());
                (*xor_mapped, *mapped) = (Some(wrong), mapped.and(Some(wrong)));
            }
            Fault::OnlyXorMapped => *mapped = None,
            Fault::OnlyMapped => (*xor_mapped, *mapped) = (None, *xor_mapped),
            Fault::NoMapped => (*xor_mapped, *mapped) = (None, None),
            Fault::Ipv4MappedAddress => {
                for address in [xor_mapped, mapped].into_iter().flatten() {
                    if let IpAddr::V4(ip) = address.ip() {
                        *address = SocketAddr::new(ip.to_ipv6_mapped().into(), address.port());
                    }
                }
            }
            _ => {}
        }
    }
    Some(answer)
}

/// Applies a fault to the encoded bytes; `None`: nothing is sent.
#[expect(clippy::wildcard_enum_match_arm, reason = "each stage handles its own faults and ignores the others")]
pub(super) fn corrupt<'b>(
    fault: Fault,
    bytes: &'b mut [u8],
    request: &'b [u8],
    rng: &mut SeededRng,
) -> Option<&'b [u8]> {
    match fault {
        Fault::Garbage => portolan_machine::Entropy::fill(rng, bytes),
        Fault::Truncated => return bytes.get(..bytes.len() / 2),
        Fault::Echo => return Some(request),
        Fault::WrongTransactionId => {
            // RFC 8489 §5: the transaction id is the last twelve bytes of the header.
            if let Some(id) = bytes.get_mut(8..20) {
                id.iter_mut().for_each(|byte| *byte = !*byte);
            }
        }
        _ => {}
    }
    Some(bytes)
}

/// Appends a wrong FINGERPRINT to the message in the first `length` bytes (RFC 8489 §14.7). Returns the new length.
pub(super) fn append_wrong_fingerprint(buffer: &mut [u8], length: usize) -> Option<usize> {
    const FINGERPRINT: [u8; 8] = [0x80, 0x28, 0, 4, 0, 0, 0, 0];
    buffer.get_mut(length..)?.first_chunk_mut().map(|end| *end = FINGERPRINT)?;
    let end = length + FINGERPRINT.len();
    let body = u16::try_from(end.checked_sub(portolan_stun::HEADER_LEN)?).ok()?;
    buffer.get_mut(2..4)?.copy_from_slice(&body.to_be_bytes());
    Some(end)
}

impl Bogus {
    /// The address to send instead of `other`, for a request received at `here`.
    const fn instead_of(self, other: Option<SocketAddr>, here: SocketAddr) -> SocketAddr {
        let (ip, port) = match other {
            Some(other) => (other.ip(), other.port()),
            None => (here.ip(), here.port()),
        };
        let ip = match (self, here.ip()) {
            (Self::Itself | Self::SameAddress, here) => here,
            (Self::SamePort, _) => ip,
            (Self::Private, IpAddr::V4(_)) | (Self::OtherFamily, IpAddr::V6(_)) => {
                IpAddr::V4(Ipv4Addr::new(172, 16, 0, 53))
            }
            (Self::Private, IpAddr::V6(_)) => IpAddr::V6(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 0x53)),
            (Self::OtherFamily, IpAddr::V4(_)) => IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2)),
            (Self::Unspecified, IpAddr::V4(_)) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            (Self::Unspecified, IpAddr::V6(_)) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        };
        let port = match self {
            Self::Itself | Self::SamePort => here.port(),
            Self::SameAddress | Self::Private | Self::OtherFamily | Self::Unspecified => port,
        };
        SocketAddr::new(ip, port)
    }
}

/// Returns a random address and port of a family.
fn random_address(rng: &mut SeededRng, ipv4: bool) -> SocketAddr {
    let port = rng.below(64_000) as u16 + 1024;
    let random = rng.next_u64();
    let ip = if ipv4 {
        // 198.18.0.0/15 is reserved for benchmarks (RFC 2544) and unused on the Internet.
        IpAddr::V4(Ipv4Addr::from_bits(0xc612_0000 | (random as u32 & 0x1_ffff)))
    } else {
        IpAddr::V6(Ipv6Addr::from_bits((0x2001_0db8 << 96) | u128::from(random)))
    };
    SocketAddr::new(ip, port)
}
