//! What a user can do about a failure: one sentence for each stage and error code.

use super::report::Stage;
use core::net::IpAddr;
use portolan_stun_agent::{ChallengeError, Unusable};
use portolan_turn::Outcome;

/// Returns the remedy for the outcome of a request. `peer` is the peer that the request named.
pub(super) fn advice(stage: Stage, outcome: &Outcome, peer: Option<IpAddr>) -> &'static str {
    match outcome {
        Outcome::Error { code, .. } => for_code(stage, *code, peer),
        Outcome::Unusable(Unusable::Challenge(ChallengeError::WrongCredentials)) => {
            "check the name and the password; a time-limited credential may have expired"
        }
        Outcome::Unusable(Unusable::Challenge(_)) => {
            "the challenge of the server cannot be used; update the server, or check the path for a proxy that changes STUN"
        }
        Outcome::TimedOut => "the server became silent; check it, and the path to it",
        Outcome::Unusable(_) | Outcome::Malformed => "the server does not conform to RFC 8656; check its software",
        Outcome::Unauthenticated => {
            "the server requires no credentials, so anybody can relay through it; turn its authentication on"
        }
        Outcome::Refused(_) | Outcome::Closed(_) => "check the address and the port, or use another transport",
        Outcome::NotFramed => "another protocol may listen on this port; check the port",
        Outcome::NotSent(_) => "the name or the password is too long for STUN; check both",
        Outcome::Blocked(_) | _ => "wait, and try again",
    }
}

fn for_code(stage: Stage, code: u16, peer: Option<IpAddr>) -> &'static str {
    match (code, stage) {
        (401, _) => "check the name and the password; a time-limited credential may have expired",
        (403, Stage::Allocate) => "the server does not let this user allocate; ask its operator",
        (403, _) if peer.is_some_and(is_special) => {
            "the server denies relaying to private addresses; name a public peer with --peer, or allow this one at the server"
        }
        (403, _) => {
            "the server denies relaying to this address; name another peer with --peer, or allow this one at the server"
        }
        (437, Stage::Allocate) => {
            "an earlier allocation of this address still exists; try again after its lifetime, at most an hour"
        }
        (437, _) => "the server lost the allocation; check whether it was restarted, or whether a NAT changes ports",
        (440, _) => "the server has no relay address of this family",
        (441, _) => "the allocation belongs to another user; try again",
        (442, _) => "the server does not relay UDP",
        (443, _) => {
            "the peer and the relayed address have different families; name a peer of the other family with --peer"
        }
        (486, _) => {
            "the user has all the allocations that the server grants; end some, or raise the limit of the server for a user"
        }
        (508, Stage::Allocate) => {
            "the server has no port or capacity left, or it drains before a restart; try later, or raise its limits"
        }
        (508, _) => "the allocation has as many peers as the server grants; raise that limit of the server",
        (420, _) => "the server does not know an attribute that RFC 8656 requires; update its software",
        (300, _) => "the server redirects to another server that cannot be used; name that server",
        (500..=599, _) => "the server has an internal error; see its log",
        _ => "the server refuses a valid request; see its log",
    }
}

/// Whether an address is not one of the public Internet.
fn is_special(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            let [a, b, ..] = ip.octets();
            let is_shared = a == 100 && b & 0xc0 == 64;
            ip.is_private() || ip.is_loopback() || ip.is_link_local() || ip.is_unspecified() || is_shared
        }
        IpAddr::V6(ip) => {
            let [first, ..] = ip.segments();
            ip.is_loopback() || ip.is_unspecified() || first & 0xfe00 == 0xfc00 || first & 0xffc0 == 0xfe80
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_code_has_a_remedy_that_names_the_cause() {
        let peer = |text: &str| text.parse().ok();
        for (stage, code, peer, word) in [
            (Stage::Allocate, 401, None, "password"),
            (Stage::Allocate, 403, None, "operator"),
            (Stage::Permission, 403, peer("192.168.1.7"), "private addresses"),
            (Stage::Permission, 403, peer("100.64.1.7"), "private addresses"),
            (Stage::Channel, 403, peer("fd00::7"), "private addresses"),
            (Stage::Permission, 403, peer("8.8.8.8"), "this address"),
            (Stage::Allocate, 437, None, "earlier allocation"),
            (Stage::Refresh, 437, None, "lost the allocation"),
            (Stage::Permission, 443, None, "families"),
            (Stage::Allocate, 486, None, "limit of the server for a user"),
            (Stage::Allocate, 508, None, "drains"),
            (Stage::Channel, 508, None, "peers"),
            (Stage::Allocate, 500, None, "internal error"),
            (Stage::Allocate, 499, None, "log"),
        ] {
            let text = for_code(stage, code, peer);
            assert!(text.contains(word), "{code}: {text}");
        }
        let wrong = Outcome::Unusable(Unusable::Challenge(ChallengeError::WrongCredentials));
        assert!(advice(Stage::Allocate, &wrong, None).contains("password"));
    }
}
