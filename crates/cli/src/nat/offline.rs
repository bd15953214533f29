//! The errors for a host without a network and for servers without usable responses, each with a remedy.

use super::error::NatError;
use crate::outcome::has_no_usable_response;
use core::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use portolan_machine::Refusal;
use portolan_nat::profile::{Reachability, Report, Unavailable};
use std::net::UdpSocket;

/// Returns whether the routing table has a route to the Internet. Nothing is sent.
pub(crate) fn has_route() -> bool {
    // Documentation addresses (RFC 5737, RFC 3849) belong to no host, and have the default route.
    let four = (SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)), SocketAddr::from(([192, 0, 2, 1], 9)));
    let six: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
    let six = (SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)), SocketAddr::from((six, 9)));
    [four, six].into_iter().any(|(local, remote)| UdpSocket::bind(local).is_ok_and(|s| s.connect(remote).is_ok()))
}

/// Returns the error for a report without any result; `None` if the report has one.
pub(crate) fn error_of(report: &Report) -> Option<NatError> {
    let refused = |why| report.families.iter().any(|f| f.reach == Reachability::Unavailable(Unavailable::Refused(why)));
    if refused(Refusal::AddressNotAvailable) {
        // A wildcard address is always available, so the user has given one with `--local`.
        Some(NatError::LocalElsewhere)
    } else if report.is_offline() {
        Some(offline(report))
    } else if has_no_usable_response(report) {
        Some(useless(report))
    } else {
        None
    }
}

/// Lists each server with a response, and the flaw of its responses.
fn useless(report: &Report) -> NatError {
    let mut faults = Vec::new();
    for server in report.families.iter().flat_map(|family| &family.servers) {
        if let Some(flaw) = server.flaws.first() {
            faults.push(format!("{}: {flaw}", server.address));
        }
    }
    NatError::Useless(faults.join("; ").into())
}

/// Lists the reason of each family, and the servers that were tried.
fn offline(report: &Report) -> NatError {
    let mut reasons = Vec::new();
    for family in &report.families {
        if let Reachability::Unavailable(why) = family.reach {
            let asked: Vec<String> = family.servers.iter().map(|server| server.address.to_string()).collect();
            let tried = if asked.is_empty() { String::new() } else { format!(" (tried {})", asked.join(", ")) };
            reasons.push(format!("{}: {why}{tried}", family.family));
        }
    }
    NatError::Offline(reasons.join("; ").into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;
    use portolan_nat::profile::{Conclusion, Flaw, Unknown};

    #[test]
    fn the_error_lists_the_attempts_and_names_the_lab_command() {
        let mut report = sample::offline();
        report.families[0].servers = sample::home().families.remove(0).servers;
        assert_eq!(
            error_of(&report).unwrap().to_string(),
            "offline: IPv4: every datagram was returned: no route to the network (tried 198.51.100.10:3478, \
             198.51.100.20:3478); IPv6: no socket: no route; without a network, try: portolan lab nat"
        );
    }

    #[test]
    fn a_local_address_of_another_host_is_not_reported_as_a_missing_network() {
        let mut report = sample::offline();
        report.families[0].reach = Reachability::Unavailable(Unavailable::Refused(Refusal::AddressNotAvailable));
        assert!(matches!(error_of(&report), Some(NatError::LocalElsewhere)));
    }

    #[test]
    fn servers_with_invalid_responses_are_named() {
        let mut report = sample::home();
        assert!(error_of(&report).is_none());
        let family = &mut report.families[0];
        family.reach = Reachability::Unknown;
        family.mapping = Conclusion::unknown(Unknown::ServerError, vec![]);
        family.servers[0].flaws = vec![Flaw::Garbage];
        assert_eq!(
            error_of(&report).unwrap().to_string(),
            "no server sent a usable response (198.51.100.10:3478: its responses hold no mapped address; \
             198.51.100.20:3478: names no other address); name others with --server"
        );
    }
}
