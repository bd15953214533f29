//! The reason of a verdict, in one sentence.
//!
//! Rules of this file: the reason follows from the behaviour of the simulated NATs, which a real agent does not know.

use super::network;
use super::session::{Session, Side, Verdict};
use portolan_nat::behavior::{Filtering, Mapping, NatKind};
use portolan_sim::topology::Truth;

/// Returns the reason.
pub(super) fn of(session: &Session) -> String {
    let [left, right] = Side::BOTH.map(|side| network::topology(&session.plan, side).truth(true));
    let (Some(left), Some(right)) = (left, right) else { return "A peer has no network.".to_owned() };
    match session.verdict() {
        Verdict::Direct => direct(&left, &right),
        Verdict::Relayed => match (left.blocked, right.blocked) {
            (true, true) => "UDP is blocked on both sides: the relay is reached over TCP.".to_owned(),
            (true, false) => "UDP is blocked on the left: the relay is reached over TCP.".to_owned(),
            (false, true) => "UDP is blocked on the right: the relay is reached over TCP.".to_owned(),
            (false, false) => {
                format!("{}; the TURN server is reachable from both.", not_direct(session, &left, &right))
            }
        },
        Verdict::NotConnected => {
            let why = not_direct(session, &left, &right);
            if session.plan.has_relay {
                format!("{why}, and no relayed pair succeeded in time.")
            } else {
                format!("{why}, and there is no relay.")
            }
        }
    }
}

fn direct(left: &Truth, right: &Truth) -> String {
    let admits_all = |truth: &Truth| truth.filtering == Filtering::EndpointIndependent;
    let named = [(Side::Left, left), (Side::Right, right)];
    if let Some((side, truth)) = named.into_iter().find(|(_, truth)| admits_all(truth)) {
        let what = if truth.kind == NatKind::None {
            "has a public address without a filter"
        } else {
            "is reachable from every host"
        };
        return format!("{} {what}, so one check of the other peer is enough.", side.name());
    }
    "Each public port is the same for all destinations, so each peer's check lets the other's in (hole punching)."
        .to_owned()
}

/// The reason why there is no direct pair, without a full stop.
fn not_direct(session: &Session, left: &Truth, right: &Truth) -> String {
    let named = [(Side::Left, left), (Side::Right, right)];
    let per_destination = |truth: &Truth| truth.mapping != Mapping::EndpointIndependent;
    if left.blocked && right.blocked {
        return "Both networks let no UDP through".to_owned();
    }
    if let Some((side, _)) = named.iter().find(|(_, truth)| truth.blocked) {
        return format!("{}'s network lets no UDP through", side.name());
    }
    if per_destination(left) && per_destination(right) {
        return "Both NATs map per destination: neither peer can learn the port that the other will use".to_owned();
    }
    if let Some((side, _)) = named.iter().find(|(_, truth)| per_destination(truth)) {
        let other = side.other().name();
        let [filter_left, filter_right] = [left.filtering, right.filtering];
        let filter = match side {
            Side::Left => filter_right,
            Side::Right => filter_left,
        };
        if filter != Filtering::AddressAndPortDependent {
            return format!("{}'s NAT maps per destination, and a direct check passed too late", side.name());
        }
        return format!(
            "{}'s NAT maps per destination, and {other} lets in only the ports that {other} has contacted",
            side.name()
        );
    }
    if session.plan.loss > 0.0 {
        "Too many checks were lost".to_owned()
    } else {
        "No direct check succeeded".to_owned()
    }
}
