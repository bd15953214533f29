//! Tables that map the system's errors to [`Refusal`], [`Unreachability`] and [`Closure`].
//!
//! Most errors are mapped by their [`ErrorKind`]. A few errors have no stable kind. They are mapped by their number,
//! which differs between systems.

use portolan_machine::{Closure, Refusal, Unreachability};
use std::io::{Error, ErrorKind};

const REFUSALS: &[(ErrorKind, Refusal)] = &[
    (ErrorKind::AddrInUse, Refusal::AddressInUse),
    (ErrorKind::AddrNotAvailable, Refusal::AddressNotAvailable),
    (ErrorKind::PermissionDenied, Refusal::PermissionDenied),
    (ErrorKind::NetworkUnreachable, Refusal::NoRoute),
    (ErrorKind::HostUnreachable, Refusal::NoRoute),
    (ErrorKind::NetworkDown, Refusal::NoRoute),
    (ErrorKind::ConnectionRefused, Refusal::ConnectionRefused),
    (ErrorKind::ConnectionReset, Refusal::ConnectionRefused),
    (ErrorKind::TimedOut, Refusal::TimedOut),
    (ErrorKind::Unsupported, Refusal::FamilyNotSupported),
    (ErrorKind::OutOfMemory, Refusal::TooManySockets),
];

const UNREACHABILITIES: &[(ErrorKind, Unreachability)] = &[
    (ErrorKind::NetworkUnreachable, Unreachability::Network),
    (ErrorKind::NetworkDown, Unreachability::Network),
    (ErrorKind::AddrNotAvailable, Unreachability::Network),
    (ErrorKind::HostUnreachable, Unreachability::Host),
    (ErrorKind::ConnectionRefused, Unreachability::Port),
    (ErrorKind::ConnectionReset, Unreachability::Port),
    (ErrorKind::PermissionDenied, Unreachability::Prohibited),
];

const CLOSURES: &[(ErrorKind, Closure)] = &[
    (ErrorKind::ConnectionReset, Closure::Reset),
    (ErrorKind::ConnectionAborted, Closure::Reset),
    (ErrorKind::BrokenPipe, Closure::Reset),
    (ErrorKind::TimedOut, Closure::TimedOut),
    (ErrorKind::HostUnreachable, Closure::TimedOut),
    (ErrorKind::NetworkUnreachable, Closure::TimedOut),
    // rustls returns `InvalidData` for a forged record, and `UnexpectedEof` for a stream that ends without
    // close_notify.
    (ErrorKind::InvalidData, Closure::Tls),
    (ErrorKind::UnexpectedEof, Closure::Tls),
];

/// Error numbers without a stable kind.
#[cfg(any(target_os = "linux", target_os = "android"))]
mod number {
    pub(super) const TOO_MANY: &[i32] = &[23, 24, 105]; // ENFILE, EMFILE, ENOBUFS
    pub(super) const NO_FAMILY: &[i32] = &[97]; // EAFNOSUPPORT
    pub(super) const HOST_DOWN: &[i32] = &[112]; // EHOSTDOWN: ICMP host unknown
    pub(super) const FULL: &[i32] = &[105]; // ENOBUFS
}

/// Error numbers without a stable kind.
#[cfg(any(target_vendor = "apple", target_os = "freebsd", target_os = "openbsd", target_os = "netbsd"))]
mod number {
    pub(super) const TOO_MANY: &[i32] = &[23, 24, 55];
    pub(super) const NO_FAMILY: &[i32] = &[47];
    pub(super) const HOST_DOWN: &[i32] = &[64];
    pub(super) const FULL: &[i32] = &[55];
}

/// Error numbers without a stable kind.
#[cfg(not(any(
    target_os = "linux",
    target_os = "android",
    target_vendor = "apple",
    target_os = "freebsd",
    target_os = "openbsd",
    target_os = "netbsd"
)))]
mod number {
    pub(super) const TOO_MANY: &[i32] = &[10_024, 10_055]; // WSAEMFILE, WSAENOBUFS
    pub(super) const NO_FAMILY: &[i32] = &[10_047]; // WSAEAFNOSUPPORT
    pub(super) const HOST_DOWN: &[i32] = &[10_064];
    pub(super) const FULL: &[i32] = &[10_055];
}

/// The reason for which a socket could not be opened.
pub(crate) fn refusal(error: &Error) -> Refusal {
    if has_number(error, number::TOO_MANY) {
        Refusal::TooManySockets
    } else if has_number(error, number::NO_FAMILY) {
        Refusal::FamilyNotSupported
    } else {
        find(REFUSALS, error).unwrap_or(Refusal::Unspecified)
    }
}

/// The reason for which a datagram was not sent or did not arrive.
pub(crate) fn unreachability(error: &Error) -> Unreachability {
    if quinn_udp::is_msg_size_err(error) {
        Unreachability::TooLarge
    } else if has_number(error, number::HOST_DOWN) {
        Unreachability::Host
    } else {
        find(UNREACHABILITIES, error).unwrap_or(Unreachability::Unspecified)
    }
}

/// The reason for which a stream ended.
pub(crate) fn closure(error: &Error) -> Closure {
    find(CLOSURES, error).unwrap_or(Closure::Unspecified)
}

/// Whether a send failed because the send buffer is full. The datagram is then lost.
pub(crate) fn is_full(error: &Error) -> bool {
    error.kind() == ErrorKind::WouldBlock || has_number(error, number::FULL)
}

fn find<T: Copy>(table: &[(ErrorKind, T)], error: &Error) -> Option<T> {
    table.iter().find(|(kind, _)| *kind == error.kind()).map(|(_, reason)| *reason)
}

fn has_number(error: &Error, numbers: &[i32]) -> bool {
    error.raw_os_error().is_some_and(|number| numbers.contains(&number))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    fn linux(number: i32) -> Error {
        Error::from_raw_os_error(number)
    }

    #[test]
    fn linux_numbers_become_refusals() {
        let table = [
            (98, Refusal::AddressInUse),
            (99, Refusal::AddressNotAvailable),
            (13, Refusal::PermissionDenied),
            (1, Refusal::PermissionDenied),
            (101, Refusal::NoRoute),
            (113, Refusal::NoRoute),
            (111, Refusal::ConnectionRefused),
            (110, Refusal::TimedOut),
            (97, Refusal::FamilyNotSupported),
            (24, Refusal::TooManySockets),
            (12, Refusal::TooManySockets),
            (71, Refusal::Unspecified),
        ];
        for (number, expected) in table {
            assert_eq!(refusal(&linux(number)), expected, "errno {number}");
        }
    }

    #[test]
    fn linux_numbers_become_unreachabilities() {
        let table = [
            (101, Unreachability::Network),
            (113, Unreachability::Host),
            (112, Unreachability::Host),
            (111, Unreachability::Port),
            (90, Unreachability::TooLarge),
            (1, Unreachability::Prohibited),
            (13, Unreachability::Prohibited),
            (71, Unreachability::Unspecified),
        ];
        for (number, expected) in table {
            assert_eq!(unreachability(&linux(number)), expected, "errno {number}");
        }
        assert!(is_full(&linux(11)) && is_full(&linux(105)) && !is_full(&linux(101)));
    }

    #[test]
    fn linux_numbers_become_closures() {
        for (number, expected) in [(104, Closure::Reset), (32, Closure::Reset), (110, Closure::TimedOut)] {
            assert_eq!(closure(&linux(number)), expected, "errno {number}");
        }
        assert_eq!(closure(&Error::from(ErrorKind::InvalidData)), Closure::Tls);
        assert_eq!(closure(&linux(5)), Closure::Unspecified);
    }
}
