//! The checks of a response.
//!
//! Rules of this file: the functions are pure. The owner applies the result.

use super::pending::Pending;
use super::request::{AnswerFrom, AnswerOn, Seal};
use crate::Unusable;
use crate::credential::AuthOutcome;
use crate::note::Dropped;
use portolan_machine::{Datagram, Instant};
use portolan_stun::{Class, Message, TransactionId, is_stun};

/// The result of checking a response with a known id.
#[derive(Clone, Debug)]
pub(super) enum ResponseCheck {
    /// The sender and the content are valid; the outcome of the authentication.
    Authenticated(AuthOutcome),
    Elsewhere(Dropped),
    Unusable(Unusable),
    Drop(Dropped),
}

impl ResponseCheck {
    /// Whether a response on a stream can cause an output other than the end of its request. `repeats`: the request
    /// continues after a response.
    pub(super) const fn needs_space(&self, repeats: bool) -> bool {
        match self {
            Self::Elsewhere(_) | Self::Authenticated(AuthOutcome::Retry { .. }) => true,
            // On a stream a redirection is accepted as a response.
            Self::Authenticated(AuthOutcome::Accept(_) | AuthOutcome::Redirect(_, Ok(_))) => repeats,
            Self::Authenticated(
                AuthOutcome::Decline(_)
                | AuthOutcome::Redirect(_, Err(_))
                | AuthOutcome::Unverified(_)
                | AuthOutcome::Drop(_),
            )
            | Self::Unusable(_)
            | Self::Drop(_) => false,
        }
    }
}

/// Checks a response by RFC 8489 §6.3, §9, §6.3.3 and §6.3.4, in that order. The sender and the integrity are checked
/// before the content, so that no third party can end the request.
pub(super) fn check_response<T>(now: Instant, pending: &Pending<T>, datagram: Datagram<'_>) -> ResponseCheck {
    let Pending { transmission, accept, .. } = pending;
    let message = match Message::decode(datagram.payload) {
        Ok(message) => message,
        Err(error) => return ResponseCheck::Drop(Dropped::Undecodable(error)),
    };
    if message.method() != accept.method {
        return ResponseCheck::Drop(Dropped::Method(message.method()));
    }
    if (accept.seal == Seal::Fingerprint || message.has_fingerprint())
        && let Err(error) = message.check_fingerprint()
    {
        return ResponseCheck::Drop(Dropped::Undecodable(error));
    }
    let expected = match accept.from {
        AnswerFrom::SameAsDestination => transmission.remote,
        AnswerFrom::Exactly(from) => from,
        AnswerFrom::AnyReported => datagram.remote,
    };
    if datagram.remote != expected {
        return ResponseCheck::Elsewhere(Dropped::Elsewhere { asked: transmission.remote });
    }
    if accept.on == AnswerOn::SameSocket && datagram.socket != transmission.socket {
        return ResponseCheck::Elsewhere(Dropped::OtherSocket { asked: transmission.socket });
    }
    let outcome = match &pending.retry {
        Some(retry) => retry.attempt.check_response(now, &message),
        None => AuthOutcome::Accept(None),
    };
    if matches!(outcome, AuthOutcome::Unverified(_) | AuthOutcome::Drop(_)) {
        return ResponseCheck::Authenticated(outcome);
    }
    if let Some(kind) = message.unknown_comprehension_required().next() {
        return ResponseCheck::Unusable(Unusable::UnknownAttribute(kind));
    }
    if message.class() == Class::ErrorResponse && message.error_code().is_none() {
        return ResponseCheck::Unusable(Unusable::NoErrorCode);
    }
    ResponseCheck::Authenticated(outcome)
}

/// The transaction id, if the bytes have the header of a STUN response.
#[inline]
pub(super) fn response_id(bytes: &[u8]) -> Option<TransactionId> {
    /// Class bit 1, which is set in responses, is the lowest bit of the first byte (RFC 8489 §5, figure 3).
    const RESPONSE: u8 = 0x01;
    let (&[first, ..], rest) = bytes.split_first_chunk::<8>()?;
    if first & RESPONSE == 0 || !is_stun(bytes) {
        return None;
    }
    rest.first_chunk::<12>().map(|id| TransactionId::from(*id))
}
