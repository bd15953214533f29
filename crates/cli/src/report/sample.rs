//! Sample reports for tests.

use core::time::Duration;
use portolan_machine::{Refusal, Unreachability};
use portolan_nat::behavior::{Filtering, Mapping, NatKind, PortAllocation};
use portolan_nat::lifetime::{LifetimeRange, LifetimeReport, RefreshReport};
use portolan_nat::profile::{
    Conclusion, Details, Evidence, Family, FamilyReport, Flaw, Path, Question, Reachability, Report, ServerReport,
    Unavailable, Unknown,
};

/// A home router, measured with two servers, IPv4 only.
pub(crate) fn home() -> Report {
    let seen = |to: &str| Evidence::Seen { to: address(to), mapped: address("203.0.113.9:40000") };
    let mut family = nothing(Family::V4, Unknown::NotTested);
    family.reach = Reachability::Available;
    family.public = vec![address("203.0.113.9:40000")];
    family.local = Some(address("192.168.1.7:40000"));
    family.nat = Some(NatKind::Nat);
    family.mapping = Conclusion::value_with(
        Mapping::EndpointIndependent,
        0.0,
        vec![seen("198.51.100.10:3478"), seen("198.51.100.20:3478")],
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
    family.path = Path { rtt: Some(Duration::from_micros(48_250)), sent: 14, answered: 13 };
    family.servers = vec![
        ServerReport {
            server: 0,
            address: address("198.51.100.10:3478"),
            rtt: Some(Duration::from_micros(48_250)),
            other_address: Some(address("198.51.100.11:3479")),
            flaws: vec![],
        },
        ServerReport {
            server: 1,
            address: address("198.51.100.20:3478"),
            rtt: Some(Duration::from_millis(51)),
            other_address: None,
            flaws: vec![Flaw::NoOtherAddress, Flaw::Error(500)],
        },
    ];
    Report { families: vec![family], elapsed: Duration::from_millis(853) }
}

/// The mappings of a common home router.
pub(crate) fn lifetime() -> LifetimeReport {
    let range = |least, most: Option<u64>| LifetimeRange {
        at_least: Duration::from_secs(least),
        at_most: most.map(Duration::from_secs),
    };
    LifetimeReport {
        family: Family::V4,
        server: address("198.51.100.10:3478"),
        translated: Some(true),
        replied: Conclusion::value_with(
            range(115, Some(121)),
            0.000_1,
            vec![Evidence::Loss { sent: 80, answered: 79 }],
        ),
        unreplied: Conclusion::value_with(range(25, Some(31)), 0.000_1, vec![]),
        absolute: Conclusion::value_with(range(185, None), 0.0, vec![]),
        refresh: RefreshReport {
            outbound: Conclusion::value_with(true, 0.0, vec![]),
            inbound: Conclusion::unknown(Unknown::HighLoss, vec![]),
        },
        recommended_keepalive: Some(Duration::from_secs(57)),
        path: Path { rtt: Some(Duration::from_millis(48)), sent: 80, answered: 79 },
        elapsed: Duration::from_secs(195),
    }
}

/// A network that allows TCP but no UDP.
pub(crate) fn blocked() -> Report {
    let mut family = nothing(Family::V4, Unknown::Blocked);
    family.reach = Reachability::Blocked;
    family.local = Some(address("192.168.1.7:40000"));
    family.mapping.evidence = vec![Evidence::TcpConnected { to: address("198.51.100.10:443") }];
    Report { families: vec![family], elapsed: Duration::from_millis(1_350) }
}

/// No network in either family.
pub(crate) fn offline() -> Report {
    let mut v4 = nothing(Family::V4, Unknown::Offline);
    v4.reach = Reachability::Unavailable(Unavailable::Unreachable(Unreachability::Network));
    let mut v6 = nothing(Family::V6, Unknown::Offline);
    v6.reach = Reachability::Unavailable(Unavailable::Refused(Refusal::NoRoute));
    Report { families: vec![v4, v6], elapsed: Duration::from_millis(3) }
}

/// A family whose results are all unknown, for one reason.
pub(crate) fn nothing(family: Family, why: Unknown) -> FamilyReport {
    FamilyReport {
        family,
        reach: Reachability::Unknown,
        public: vec![],
        local: None,
        nat: None,
        mapping: Conclusion::unknown(why, vec![]),
        filtering: Conclusion::unknown(why, vec![]),
        details: Details {
            hairpin: Conclusion::unknown(why, vec![]),
            port_allocation: Conclusion::unknown(why, vec![]),
            port_preservation: Conclusion::unknown(why, vec![]),
            pooling: Conclusion::unknown(why, vec![]),
            alg: Conclusion::unknown(why, vec![]),
            multi_homed: Conclusion::unknown(why, vec![]),
            double_nat: Conclusion::unknown(why, vec![]),
        },
        path: Path::default(),
        servers: vec![],
    }
}

fn address(text: &str) -> core::net::SocketAddr {
    text.parse().unwrap()
}
