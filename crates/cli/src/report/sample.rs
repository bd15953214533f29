//! Sample reports for tests.

use core::time::Duration;
use portolan_machine::{Refusal, Unreachability};
use portolan_nat::behavior::{Filtering, Mapping, NatKind, PortAllocation};
use portolan_nat::lifetime::{LifetimeRange, LifetimeReport};
use portolan_nat::profile::{
    Conclusion, Evidence, Family, FamilyReport, Flaw, Question, Reachability, Report, ServerReport, Unavailable,
    Unknown,
};

/// A home router, measured with two servers, IPv4 only.
pub(crate) fn home() -> Report {
    let seen = |to: &str| Evidence::Seen { to: address(to), mapped: address("203.0.113.9:40000") };
    let mut family = FamilyReport::new(Family::V4, Unknown::NotTested);
    family.reach = Reachability::Available;
    family.public = vec![address("203.0.113.9:40000")];
    family.local = Some(address("192.168.1.7:40000"));
    family.nat = Some(NatKind::Nat);
    family.mapping = Conclusion::value_with(
        Mapping::EndpointIndependent,
        0.0,
        vec![seen("198.51.100.10:3478"), seen("198.51.100.20:3478"), Evidence::PreservedPort { destinations: 2 }],
    );
    family.filtering = Conclusion::value_with(
        Filtering::AddressAndPortDependent,
        0.000_042_1,
        vec![
            Evidence::Silence { question: Question::ChangeBoth, sends: 7 },
            Evidence::Silence { question: Question::ChangePort, sends: 7 },
            Evidence::Loss { sent: 14, answered: 13 },
        ],
    );
    family.details.port_preservation = Conclusion::value_with(
        true,
        0.0,
        vec![Evidence::Mapped { local: 40000, external: address("203.0.113.9:40000") }],
    );
    family.details.port_allocation = Conclusion::value_with(PortAllocation::Preserving, 0.001, vec![]);
    (family.path.rtt, family.path.sent, family.path.answered) = (Some(Duration::from_micros(48_250)), 14, 13);
    let mut capable = ServerReport::new(0, address("198.51.100.10:3478"));
    capable.rtt = Some(Duration::from_micros(48_250));
    capable.other_address = Some(address("198.51.100.11:3479"));
    let mut plain = ServerReport::new(1, address("198.51.100.20:3478"));
    plain.rtt = Some(Duration::from_millis(51));
    plain.flaws = vec![Flaw::NoOtherAddress, Flaw::Error(500)];
    family.servers = vec![capable, plain];
    Report::new(vec![family], Duration::from_millis(853))
}

/// The mappings of a common home router.
pub(crate) fn lifetime() -> LifetimeReport {
    let range = |least, most: Option<u64>| LifetimeRange {
        at_least: Duration::from_secs(least),
        at_most: most.map(Duration::from_secs),
    };
    let mut report = LifetimeReport::new(Family::V4, address("198.51.100.10:3478"), Unknown::HighLoss);
    report.translated = Some(true);
    report.replied =
        Conclusion::value_with(range(115, Some(121)), 0.000_1, vec![Evidence::Loss { sent: 80, answered: 79 }]);
    report.unreplied = Conclusion::value_with(range(25, Some(31)), 0.000_1, vec![]);
    report.absolute = Conclusion::value_with(range(185, None), 0.0, vec![]);
    report.refresh.outbound = Conclusion::value_with(true, 0.0, vec![]);
    report.recommended_keepalive = Some(Duration::from_secs(57));
    (report.path.rtt, report.path.sent, report.path.answered) = (Some(Duration::from_millis(48)), 80, 79);
    report.elapsed = Duration::from_secs(195);
    report
}

/// A network that allows TCP but no UDP.
pub(crate) fn blocked() -> Report {
    let mut family = FamilyReport::new(Family::V4, Unknown::Blocked);
    family.reach = Reachability::Blocked;
    family.local = Some(address("192.168.1.7:40000"));
    family.mapping.evidence = vec![Evidence::TcpConnected { to: address("198.51.100.10:443") }];
    Report::new(vec![family], Duration::from_millis(1_350))
}

/// No network in either family.
pub(crate) fn offline() -> Report {
    let mut v4 = FamilyReport::new(Family::V4, Unknown::Offline);
    v4.reach = Reachability::Unavailable(Unavailable::Unreachable(Unreachability::Network));
    let mut v6 = FamilyReport::new(Family::V6, Unknown::Offline);
    v6.reach = Reachability::Unavailable(Unavailable::Refused(Refusal::NoRoute));
    Report::new(vec![v4, v6], Duration::from_millis(3))
}

fn address(text: &str) -> core::net::SocketAddr {
    text.parse().unwrap()
}
