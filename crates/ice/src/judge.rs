//! The judgement of a received request (RFC 8445 §7.3, RFC 8489 §9.1.3).
//!
//! Rules of this file: the functions are pure. The owner applies a judgement. The order of the checks is that of RFC 8489:
//! FINGERPRINT, presence of the credentials, username, integrity, unknown attributes. The role follows (RFC 8445
//! §7.3.1.1).

use crate::message::KNOWN;
use crate::role::{Role, RoleDecision};
use portolan_stun::{Attribute, AttributeType, ErrorCode, Integrity, IntegrityKey, Message, Verified};

/// A key that a request can have: that of the current session, or one of the sessions before restarts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LocalKey<'a> {
    pub(crate) ufrag: &'a str,
    pub(crate) key: &'a IntegrityKey,
}

/// The content of an authenticated check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Check<'a> {
    pub(crate) priority: u32,
    pub(crate) use_candidate: bool,
    pub(crate) nomination: Option<u32>,
    pub(crate) peer: Option<Role>,
    /// The part of the username after the colon.
    pub(crate) remote_ufrag: &'a str,
}

#[derive(Debug)]
pub(crate) enum Judgement<'a> {
    /// No response: the message has no valid FINGERPRINT.
    Ignore,
    /// An error response, without integrity.
    Reject { code: u16 },
    /// An error response, with the integrity of the session.
    Refuse { request: Verified<'a>, code: u16 },
    /// A request of the current session.
    Accept { request: Verified<'a>, check: Check<'a>, role: RoleDecision },
    /// A request with the credentials before the restart: a response keeps the consent of the peer.
    Earlier { request: Verified<'a>, key: IntegrityKey },
}

/// Judges a Binding request.
pub(crate) fn judge<'a, 'k>(
    message: &Message<'a>,
    current: LocalKey<'k>,
    mut earlier: impl Iterator<Item = LocalKey<'k>>,
    role: Role,
) -> Judgement<'a> {
    if message.check_fingerprint().is_err() {
        return Judgement::Ignore;
    }
    let username = message.username().and_then(|name| name.as_str());
    let (Some(username), true) = (username, message.has(AttributeType::MESSAGE_INTEGRITY)) else {
        return Judgement::Reject { code: ErrorCode::BAD_REQUEST };
    };
    let Some((ufrag, remote_ufrag)) = username.split_once(':') else {
        return Judgement::Reject { code: ErrorCode::UNAUTHENTICATED };
    };
    let is_current = ufrag == current.ufrag;
    let Some(known) = (if is_current { Some(current) } else { earlier.find(|earlier| earlier.ufrag == ufrag) }) else {
        return Judgement::Reject { code: ErrorCode::UNAUTHENTICATED };
    };
    let Ok(request) = message.verify_with(known.key, Integrity::Sha1) else {
        return Judgement::Reject { code: ErrorCode::UNAUTHENTICATED };
    };
    if request.not_understood(KNOWN).next().is_some() {
        return Judgement::Refuse { request, code: ErrorCode::UNKNOWN_ATTRIBUTE };
    }
    if !is_current {
        return Judgement::Earlier { request, key: known.key.clone() };
    }
    let peer = peer_role(&request);
    let Some(priority) = request.priority() else {
        return Judgement::Refuse { request, code: ErrorCode::BAD_REQUEST };
    };
    let check = Check {
        priority,
        use_candidate: request.has(AttributeType::USE_CANDIDATE),
        nomination: nomination(&request),
        peer,
        remote_ufrag,
    };
    match role.decide(peer) {
        RoleDecision::Refuse => Judgement::Refuse { request, code: ErrorCode::ROLE_CONFLICT },
        decision @ (RoleDecision::NoConflict | RoleDecision::Switch) => {
            Judgement::Accept { request, check, role: decision }
        }
    }
}

fn peer_role(request: &Verified<'_>) -> Option<Role> {
    let controlling = request.ice_controlling().map(|tie_breaker| Role::Controlling { tie_breaker });
    controlling.or_else(|| request.ice_controlled().map(|tie_breaker| Role::Controlled { tie_breaker }))
}

fn nomination(request: &Verified<'_>) -> Option<u32> {
    match request.attribute(AttributeType::NOMINATION) {
        Some(Ok(Attribute::Nomination(number))) => Some(number),
        _ => None,
    }
}
