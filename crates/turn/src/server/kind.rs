//! The kinds of messages of a client (RFC 8656 §12, RFC 7983 §7).
//!
//! Rules of this file: the first bytes decide, without an allocation. On a socket of the owner, the other machines of
//! that socket get the messages of kind [`Kind::Foreign`].

use portolan_stun::{Class, Message, is_stun};

/// The kind of a message of a client, by its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    ChannelData,
    Send,
    Binding,
    /// A request of TURN.
    Request,
    Foreign,
}

impl Kind {
    #[inline(always)]
    pub(super) fn of(payload: &[u8]) -> Self {
        match payload {
            [0x40..=0x4f, ..] => Self::ChannelData,
            [0x00, 0x16, ..] if is_stun(payload) => Self::Send,
            [0x00, 0x01, ..] if is_stun(payload) => Self::Binding,
            [0x00, 0x03 | 0x04 | 0x08..=0x0b, ..] if is_stun(payload) => Self::Request,
            _ => Self::Foreign,
        }
    }
}

/// Whether a STUN message is a request.
pub(super) fn is_request(payload: &[u8]) -> bool {
    Message::decode(payload).is_ok_and(|message| message.class() == Class::Request)
}
