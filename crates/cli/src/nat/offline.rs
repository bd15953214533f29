//! No network: how it shows, and what to say.

use crate::error::Complaint;
use core::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use portolan_nat::profile::{Reach, Report};
use std::net::UdpSocket;

/// Whether the system knows a way to the Internet. Asks its routing table; nothing is sent.
pub(crate) fn has_route() -> bool {
    // Documentation addresses (RFC 5737, RFC 3849): nobody's, and routed like everybody's.
    let four = (SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)), SocketAddr::from(([192, 0, 2, 1], 9)));
    let six: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
    let six = (SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)), SocketAddr::from((six, 9)));
    [four, six].into_iter().any(|(local, remote)| UdpSocket::bind(local).is_ok_and(|s| s.connect(remote).is_ok()))
}

/// What to say of a report that found no way out: each family's reason, and whom it asked.
pub(crate) fn complaint(report: &Report) -> Complaint {
    let mut reasons = Vec::new();
    for family in &report.families {
        if let Reach::Unavailable(why) = family.reach {
            let asked: Vec<String> = family.servers.iter().map(|server| server.address.to_string()).collect();
            let tried = if asked.is_empty() { String::new() } else { format!(" (tried {})", asked.join(", ")) };
            reasons.push(format!("{}: {why}{tried}", family.family));
        }
    }
    Complaint::Offline(reasons.join("; ").into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn it_says_what_was_tried_and_points_to_the_lab() {
        let mut report = sample::offline();
        report.families[0].servers = sample::home().families.remove(0).servers;
        assert_eq!(
            complaint(&report).to_string(),
            "offline: IPv4: every datagram was turned back: no route to the network (tried 198.51.100.10:3478, \
             198.51.100.20:3478); IPv6: no socket: no route; without a network, try: portolan lab nat --preset home \
             --explain"
        );
    }
}
