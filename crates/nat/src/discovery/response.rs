//! The fields of a response that the discovery uses.

use crate::profile::Flaw;
use core::net::SocketAddr;
use portolan_stun::Message;

use super::address::{is_valid_mapped, normalized};

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
            xored: message.xor_mapped_address().map(normalized),
            plain: message.mapped_address().map(normalized),
            other: message.other_address().or_else(|| message.changed_address()),
            error: message.error_code().map(|error| error.code()),
        }
    }

    /// The mapped address that the server at `server` reports. The XOR form is preferred, because an ALG cannot find and
    /// rewrite it.
    ///
    /// # Errors
    /// [`Flaw::Garbage`] if a success response holds none; [`Flaw::MappedAddressInvalid`] if it is impossible.
    pub(super) fn mapped(&self, server: SocketAddr) -> Result<Option<SocketAddr>, Flaw> {
        match self.xored.or(self.plain) {
            _ if self.error.is_some() => Ok(None),
            None => Err(Flaw::Garbage),
            Some(mapped) if is_valid_mapped(server, mapped) => Ok(Some(mapped)),
            Some(_) => Err(Flaw::MappedAddressInvalid),
        }
    }
}
