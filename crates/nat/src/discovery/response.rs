//! The fields of a response that the discovery uses.

use core::net::SocketAddr;
use portolan_stun::Message;

/// The fields of one response.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ResponseFields {
    /// XOR-MAPPED-ADDRESS.
    pub(super) xored: Option<SocketAddr>,
    /// MAPPED-ADDRESS.
    pub(super) plain: Option<SocketAddr>,
    /// OTHER-ADDRESS, or CHANGED-ADDRESS of RFC 3489.
    pub(super) other: Option<SocketAddr>,
    /// The code of an error response.
    pub(super) error: Option<u16>,
}

impl ResponseFields {
    /// Reads a message that the transactions have accepted as a response.
    pub(super) fn of(bytes: &[u8]) -> Self {
        let Ok(message) = Message::decode(bytes) else { return Self::default() };
        Self {
            xored: message.xor_mapped_address(),
            plain: message.mapped_address(),
            other: message.other_address().or_else(|| message.changed_address()),
            error: message.error_code().map(|error| error.code()),
        }
    }

    /// The mapped address. The XOR form is preferred, because an ALG cannot find and rewrite it.
    pub(super) fn mapped(&self) -> Option<SocketAddr> {
        self.xored.or(self.plain)
    }
}
