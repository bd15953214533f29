use super::*;
use alloc::string::{String, ToString as _};
use alloc::{format, vec};
use portolan_nat::lifetime::LifetimeRange;
use proptest::prelude::*;
use proptest::sample::select;

fn any_ports() -> impl Strategy<Value = Ports> {
    prop_oneof![
        Just(Ports::Preserving),
        Just(Ports::Random),
        any::<i16>().prop_filter("0 is no step", |step| *step != 0).prop_map(Ports::Sequential),
        (1..=u16::MAX, any::<Option<u16>>()).prop_map(|(size, first)| Ports::Block { size, first }),
    ]
}

fn any_filtering() -> impl Strategy<Value = Filtering> {
    select(&Filtering::ALL[..])
}

fn any_card() -> impl Strategy<Value = Card> {
    let ipv4 = select(vec![Ipv4::Open, Ipv4::Firewall, Ipv4::Nat, Ipv4::Blocked, Ipv4::Absent]);
    let ipv6 = prop_oneof![Just(Ipv6::Absent), prop::option::of(any_filtering()).prop_map(Ipv6::Present),];
    let endpoint = (any::<core::net::IpAddr>(), any::<u16>()).prop_map(SocketAddr::from);
    let behavior = (
        prop::option::of(ipv4),
        prop::option::of(select(&Mapping::ALL[..])),
        prop::option::of(any_filtering()),
        prop::option::of(any_ports()),
        prop::option::of(select(vec![Pooling::Paired, Pooling::Arbitrary])),
        prop::option::of(select(vec![Hairpin::None, Hairpin::InternalSource, Hairpin::ExternalSource])),
    );
    let rest = (
        prop::collection::vec(endpoint, 0..=Card::MAX_ENDPOINTS),
        prop::option::of(any::<u32>().prop_map(|seconds| Duration::from_secs(seconds.into()))),
        prop::option::of(ipv6),
        prop::option::of(0_u16..=1000),
    );
    (behavior, rest).prop_map(
        |((ipv4, mapping, filtering, ports, pooling, hairpin), (public, lifetime, ipv6, p_wrong))| Card {
            ipv4,
            mapping,
            filtering,
            ports,
            public,
            pooling,
            hairpin,
            lifetime,
            ipv6,
            p_wrong,
        },
    )
}

proptest! {
    #[test]
    fn a_card_round_trips_through_its_text(card in any_card()) {
        let text = card.to_string();
        prop_assert!(text.len() <= Card::MAX_LENGTH && !text.contains([' ', '[', '*', '?', '\'', '"', '$', '&', ';']), "{text}");
        prop_assert_eq!(text.parse::<Card>(), Ok(card.clone()));
        prop_assert_eq!(format!(" {text}\n").parse(), Ok(card));
    }

    /// One text for one card: a text that parses is the text of its card, apart from the order of the fields.
    #[test]
    fn a_changed_text_is_refused_or_is_another_card(card in any_card(), at in any::<prop::sample::Index>(), by in " -~") {
        let text = card.to_string();
        let mut changed: Vec<char> = text.chars().collect();
        let index = at.index(changed.len());
        changed[index] = by.chars().next().unwrap();
        let changed: String = changed.into_iter().collect();
        match changed.parse::<Card>() {
            Ok(other) => prop_assert!(other != card || changed.trim() == text || text.to_lowercase().contains("@"), "{changed}"),
            Err(error) => prop_assert!(error.column >= 1 && error.column <= text.len() + 1),
        }
    }

    #[test]
    fn no_text_panics(text in any::<String>()) {
        let _ = text.parse::<Card>();
        let _ = format!("nat1,{text}").parse::<Card>();
    }
}

#[test]
fn an_error_names_the_column_the_expectation_and_a_remedy() {
    let cases = [
        ("", "column 1: expected a card that begins with nat1; copy the whole line"),
        ("nat2,m=eim", "column 1: expected a card that begins with nat1; use the same version"),
        ("nat1,m=eim,f=cone", "column 14: expected eif, adf or apdf; copy"),
        ("  nat1,m=EIM", "column 10: expected eim, adm or apdm; copy"),
        ("nat1,", "column 6: expected one of the fields"),
        ("nat1,x=1", "column 6: expected one of the fields"),
        ("nat1,m=eim,m=eim", "column 12: expected each field once; remove the second copy"),
        ("nat1,a=seq+0", "column 8: expected keep, seq+STEP"),
        ("nat1,a=seq1", "column 8: expected keep, seq+STEP"),
        ("nat1,a=block0", "column 8: expected keep, seq+STEP"),
        ("nat1,e=1@1.2.3", "column 8: expected one to six endpoints"),
        ("nat1,l=05", "column 8: expected a number of seconds"),
        ("nat1,w=1001", "column 8: expected a number from 0 to 1000"),
        ("nat1,4=ü", "column 8: expected open, firewall, nat"),
    ];
    for (text, expected) in cases {
        let error = text.parse::<Card>().unwrap_err().to_string();
        assert!(error.starts_with(expected), "{text}: {error}");
    }
    let long = format!("nat1,{}", "m=eim,".repeat(100));
    assert_eq!(long.parse::<Card>().unwrap_err().expected, "at most 512 bytes");
}

fn mapped(port: u16) -> Evidence {
    Evidence::Mapped { local: 5000, external: SocketAddr::from(([198, 51, 100, 7], port)) }
}

fn ipv4_report() -> FamilyReport {
    let mut report = FamilyReport::new(Family::V4, Unknown::NotTested);
    (report.reach, report.nat) = (Reachability::Available, Some(NatKind::Nat));
    report
}

#[test]
fn a_report_becomes_a_card() {
    let mut v4 = ipv4_report();
    v4.public.push("198.51.100.7:40000".parse().unwrap());
    v4.mapping = Conclusion::value_with(Mapping::AddressDependent, 0.0001, Vec::new());
    v4.filtering = Conclusion::value_with(Filtering::AddressDependent, 0.002, Vec::new());
    let seen = [34_900, 36_000, 35_000, 34_817, 36_863].map(mapped).to_vec();
    v4.details.port_allocation = Conclusion::value_with(PortAllocation::Block { size: 2048 }, 0.0001, seen);
    let mut v6 = FamilyReport::new(Family::V6, Unknown::NotTested);
    (v6.reach, v6.nat) = (Reachability::Available, Some(NatKind::Firewall));
    v6.filtering = Conclusion::value_with(Filtering::AddressAndPortDependent, 0.0, Vec::new());
    let report = Report::new(vec![v4, v6], Duration::from_secs(1));
    assert_eq!(
        Card::from(&report).to_string(),
        "nat1,4=nat,m=adm,f=adf,a=block2048@34816,e=40000@198.51.100.7,6=apdf,w=3"
    );
}

#[test]
fn what_a_report_does_not_know_is_unknown_and_a_dependent_mapping_is_the_strictest() {
    let mut v4 = ipv4_report();
    v4.mapping = Conclusion::unknown(Unknown::Dependent, Vec::new());
    let card = Card::from(&Report::new(vec![v4], Duration::ZERO));
    assert_eq!(card.to_string(), "nat1,4=nat,m=apdm");
    assert_eq!(Card::from(&Report::new(Vec::new(), Duration::ZERO)).to_string(), "nat1");
    let blocked = |reach| {
        let mut report = FamilyReport::new(Family::V4, Unknown::Blocked);
        report.reach = reach;
        Card::from(&Report::new(vec![report], Duration::ZERO)).ipv4
    };
    assert_eq!(blocked(Reachability::Blocked), Some(Ipv4::Blocked));
    let away = Reachability::Unavailable(portolan_nat::profile::Unavailable::Silent);
    assert_eq!(blocked(away), Some(Ipv4::Absent));
}

#[test]
fn samples_in_two_blocks_give_no_position() {
    let seen = [34_815, 34_816].map(mapped).to_vec();
    let found = Conclusion::value_with(PortAllocation::Block { size: 2048 }, 0.0, seen);
    assert_eq!(known_ports(PortAllocation::Block { size: 2048 }, &found), Ports::Block { size: 2048, first: None });
}

#[test]
fn the_lifetime_is_the_shortest_one_in_whole_seconds() {
    let server = "192.0.2.1:3478".parse().unwrap();
    let mut report = LifetimeReport::new(Family::V4, server, Unknown::NotTested);
    assert_eq!(Card::open().with_lifetime(&report).lifetime, None);
    let range = |millis| LifetimeRange { at_least: Duration::from_millis(millis), at_most: None };
    report.replied = Conclusion::value_with(range(118_700), 0.0, Vec::new());
    report.unreplied = Conclusion::value_with(range(28_900), 0.0, Vec::new());
    assert_eq!(Card::open().with_lifetime(&report).lifetime, Some(Duration::from_secs(28)));
}
