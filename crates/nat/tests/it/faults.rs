//! Discovery with faulty servers: each result is correct, or unknown with a reason.
//!
//! Each fault is tested with the faulty server alone, first of two, first of three and second of three, and with five
//! kinds of NAT. When two other servers are correct, the result must be complete.

use crate::world::{PUBLIC, World, full};
use core::time::Duration;
use portolan_nat::behavior::{Filtering, Mapping};
use portolan_nat::profile::{FamilyReport, Flaw, Reachability, Unknown};
use portolan_nat::translator::TranslatorConfig;
use portolan_sim::Fault;
use portolan_sim::server::Bogus;

const EIM: Mapping = Mapping::EndpointIndependent;
const APDM: Mapping = Mapping::AddressAndPortDependent;
const EIF: Filtering = Filtering::EndpointIndependent;
const ADF: Filtering = Filtering::AddressDependent;
const APDF: Filtering = Filtering::AddressAndPortDependent;

/// The kinds of NAT between the client and the faulty server.
const KINDS: [(Mapping, Filtering); 5] = [(EIM, EIF), (EIM, ADF), (EIM, APDF), (APDM, EIF), (APDM, APDF)];

/// The position of the faulty server in the list of servers.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Position {
    Alone,
    FirstOfTwo,
    FirstOfThree,
    SecondOfThree,
}

fn world(fault: Fault, position: Position, (mapping, filtering): (Mapping, Filtering)) -> World {
    let mut world = World::behind(TranslatorConfig::new(mapping, filtering));
    match position {
        Position::Alone => world.servers.truncate(1),
        Position::FirstOfTwo => {}
        Position::FirstOfThree | Position::SecondOfThree => world.servers.push(full("three", 30)),
    }
    world.fault(usize::from(position == Position::SecondOfThree), fault)
}

/// Runs a discovery, checks that no value in the report is wrong, and returns the report.
fn measure(fault: Fault, position: Position, kind: (Mapping, Filtering)) -> FamilyReport {
    let report = world(fault, position, kind).report();
    assert!(report.elapsed < Duration::from_millis(2_600), "{position:?} {kind:?}: {:?}", report.elapsed);
    let family = report.families.into_iter().next().unwrap();
    let context = format!("{fault}, {position:?}, {kind:?}: {family:#?}");
    assert!(family.mapping.value().is_none_or(|found| *found == kind.0), "{context}");
    assert!(family.filtering.value().is_none_or(|found| *found == kind.1), "{context}");
    if matches!(position, Position::FirstOfThree | Position::SecondOfThree) {
        assert_eq!(family.mapping.value(), Some(&kind.0), "{context}");
        assert_eq!(family.filtering.value(), Some(&kind.1), "{context}");
        assert!(family.public.iter().all(|endpoint| endpoint.ip().to_string() == PUBLIC), "{context}");
    }
    family
}

/// Tests a fault at all positions and with all kinds of NAT. `alone` checks the report when the faulty server is alone.
fn at_each_position(fault: Fault, alone: impl Fn((Mapping, Filtering), &FamilyReport)) {
    for kind in KINDS {
        for position in [Position::FirstOfTwo, Position::FirstOfThree, Position::SecondOfThree] {
            measure(fault, position, kind);
        }
        alone(kind, &measure(fault, Position::Alone, kind));
    }
}

fn assert_filtering_unknown(why: Unknown) -> impl Fn((Mapping, Filtering), &FamilyReport) {
    move |kind, family| assert_eq!(family.filtering.reason(), Some(why), "{kind:?} {family:#?}")
}

fn assert_all_found(kind: (Mapping, Filtering), family: &FamilyReport) {
    assert_eq!((family.mapping.value(), family.filtering.value()), (Some(&kind.0), Some(&kind.1)), "{family:#?}");
}

fn has_flaw(family: &FamilyReport, flaw: Flaw) -> bool {
    family.servers.iter().any(|server| server.flaws.contains(&flaw))
}

#[test]
fn a_silent_server_is_reported() {
    at_each_position(Fault::Silent, |_, family| {
        // The server answers STUN over TCP. So it is there, and only UDP is blocked.
        assert_eq!(family.reach, Reachability::Blocked);
        assert_eq!(family.mapping.reason(), Some(Unknown::Blocked));
    });
}

#[test]
fn a_server_that_ignores_change_request_is_reported() {
    at_each_position(Fault::IgnoresChangeRequest, |kind, family| {
        assert_filtering_unknown(Unknown::ChangeRequestIgnored)(kind, family);
        assert!(has_flaw(family, Flaw::ChangeRequestIgnored));
        assert_eq!(family.mapping.value(), Some(&kind.0), "the other address still shows the mapping");
    });
}

#[test]
fn a_server_that_refuses_change_request_is_reported() {
    at_each_position(Fault::RefusesChangeRequest, |kind, family| {
        assert_filtering_unknown(Unknown::ChangeRequestRefused)(kind, family);
        assert!(has_flaw(family, Flaw::ChangeRequestRefused(420)));
    });
}

#[test]
fn a_server_that_drops_change_request_is_reported() {
    at_each_position(Fault::DropsChangeRequest, |kind, family| {
        assert_filtering_unknown(Unknown::ChangeRequestUnanswered)(kind, family);
        assert!(has_flaw(family, Flaw::ChangeRequestUnanswered));
        assert_eq!(family.mapping.value(), Some(&kind.0), "the other address still shows the mapping");
    });
}

#[test]
fn a_server_that_changes_the_port_only_is_reported() {
    at_each_position(Fault::ChangesPortOnly, |kind, family| match kind {
        // The filter passes or drops the response from the other port. The source is never the requested address.
        (_, EIF | ADF) => assert_filtering_unknown(Unknown::AnswersFromElsewhere)(kind, family),
        (EIM, APDF) => assert_filtering_unknown(Unknown::ChangeRequestUnanswered)(kind, family),
        (_, APDF) => {}
    });
}

#[test]
fn a_server_without_an_other_address_is_reported() {
    at_each_position(Fault::NoOtherAddress, |kind, family| {
        assert_filtering_unknown(Unknown::NoOtherAddress)(kind, family);
        assert_eq!(family.mapping.reason(), Some(Unknown::SingleServer));
    });
}

#[test]
fn a_response_under_way_at_the_end_of_a_test_is_no_loss() {
    let ends_early = [
        Fault::NoOtherAddress,
        Fault::RefusesChangeRequest,
        Fault::OtherAddress(Bogus::Itself),
        Fault::OtherAddress(Bogus::SamePort),
    ];
    for fault in ends_early {
        at_each_position(fault, |_, family| {
            assert_eq!(family.path.answered, family.path.sent, "no packet is lost: {family:#?}");
        });
    }
}

#[test]
fn a_server_with_an_invalid_other_address_is_reported() {
    for bogus in [Bogus::Itself, Bogus::SameAddress, Bogus::SamePort, Bogus::OtherFamily, Bogus::Unspecified] {
        at_each_position(Fault::OtherAddress(bogus), assert_filtering_unknown(Unknown::OtherAddressInvalid));
    }
}

#[test]
fn a_server_with_an_unused_private_other_address_gives_no_filtering() {
    // The servers here have addresses of documentation ranges, which are special-purpose too. The client therefore
    // accepts the private other address, and then receives no response from it.
    at_each_position(Fault::OtherAddress(Bogus::Private), |_, family| {
        assert!(family.filtering.value().is_none(), "{family:#?}");
        assert_eq!(family.mapping.reason(), Some(Unknown::SingleServer));
    });
}

#[test]
fn a_server_whose_other_address_is_silent_is_reported() {
    at_each_position(Fault::DeadAlternate, |kind, family| {
        assert_filtering_unknown(Unknown::AlternateUnreachable)(kind, family);
        assert!(has_flaw(family, Flaw::OtherAddressSilent));
    });
}

#[test]
fn a_server_that_sends_the_same_mapped_address_to_all_clients_is_reported() {
    at_each_position(Fault::WrongMappedAddress("203.0.113.254:3478".parse().unwrap()), |_, family| {
        assert_eq!(family.mapping.reason(), Some(Unknown::ServerError), "{family:#?}");
        assert!(has_flaw(family, Flaw::SameForAll));
        assert!(family.public.is_empty(), "the address of a faulty server is not reported");
    });
}

#[test]
fn a_server_that_sends_a_random_mapped_address_is_reported() {
    at_each_position(Fault::ChangingMappedAddress, |_, family| {
        assert_eq!(family.mapping.reason(), Some(Unknown::ServerError), "{family:#?}");
        assert!(has_flaw(family, Flaw::Unstable));
        assert!(family.public.is_empty(), "the address of a faulty server is not reported");
    });
}

#[test]
fn a_late_duplicate_of_a_response_changes_nothing() {
    at_each_position(Fault::LateDuplicates(Duration::from_millis(300)), assert_all_found);
}

#[test]
fn a_duplicate_response_changes_nothing() {
    at_each_position(Fault::AnswersTwice, assert_all_found);
}

#[test]
fn a_server_that_responds_from_a_third_address_is_reported() {
    at_each_position(Fault::ThirdAddress("203.0.113.254:3478".parse().unwrap()), |(_, filtering), family| {
        assert!(family.public.is_empty());
        if filtering == EIF {
            assert!(has_flaw(family, Flaw::AnswersFromElsewhere), "{family:#?}");
        }
    });
}

#[test]
fn servers_with_invalid_responses_are_reported() {
    let faults = [Fault::Garbage, Fault::Truncated, Fault::WrongTransactionId, Fault::Echo, Fault::WrongFingerprint];
    for fault in faults {
        at_each_position(fault, |_, family| {
            assert_eq!(family.reach, Reachability::Unknown, "a datagram was received: UDP is not blocked");
            assert_eq!(family.mapping.reason(), Some(Unknown::ServerError));
            assert!(has_flaw(family, Flaw::Garbage));
        });
    }
}

#[test]
fn an_ipv4_address_in_the_form_of_an_ipv6_address_is_the_ipv4_address() {
    at_each_position(Fault::Ipv4MappedAddress, assert_all_found);
    for filtering in [EIF, ADF, APDF] {
        let open = World::behind(TranslatorConfig::firewall(filtering)).fault(0, Fault::Ipv4MappedAddress).family();
        assert_ne!(open.nat, Some(portolan_nat::behavior::NatKind::Nat), "{open:#?}");
    }
}

#[test]
fn an_impossible_mapped_address_is_a_flaw_of_the_server_and_is_not_reported() {
    for address in ["127.0.0.1:5000", "224.0.0.1:5000", "0.0.0.0:5000", "255.255.255.255:5000", "203.0.113.9:0"] {
        at_each_position(Fault::WrongMappedAddress(address.parse().unwrap()), |_, family| {
            assert_eq!(family.mapping.reason(), Some(Unknown::ServerError), "{family:#?}");
            assert!(has_flaw(family, Flaw::MappedAddressInvalid));
            assert!(family.public.is_empty());
        });
    }
}

#[test]
fn one_form_of_the_mapped_address_is_enough() {
    for fault in [Fault::OnlyXorMapped, Fault::OnlyMapped] {
        at_each_position(fault, |kind, family| {
            assert_all_found(kind, family);
            assert_eq!(family.details.alg.reason(), Some(Unknown::NoEvidence), "there is only one form of the address");
        });
    }
}

#[test]
fn a_server_without_a_mapped_address_is_reported() {
    at_each_position(Fault::NoMapped, |_, family| {
        assert_eq!(family.mapping.reason(), Some(Unknown::ServerError));
    });
}

#[test]
fn a_server_that_sends_error_responses_is_reported() {
    for code in [300, 401, 500] {
        at_each_position(Fault::Error(code), |_, family| {
            assert_eq!(family.mapping.reason(), Some(Unknown::ServerError));
            assert!(has_flaw(family, Flaw::Error(code)));
        });
    }
}

/// An error response 300 names another server. The client sends nothing to that server.
#[test]
fn rfc5780_5_an_alternate_server_is_ignored() {
    for kind in KINDS {
        for position in [Position::Alone, Position::FirstOfTwo, Position::SecondOfThree] {
            let story = world(Fault::Error(300), position, kind).story();
            assert!(story.contains("ALTERNATE-SERVER 203.0.113.99:3478"), "{story}");
            assert!(!story.contains("→ 203.0.113.99"), "{story}");
        }
    }
}

#[test]
fn a_server_that_drops_every_third_request_changes_nothing() {
    at_each_position(Fault::DropsEvery(3), assert_all_found);
}

#[test]
fn two_faulty_servers_give_no_wrong_filtering() {
    for kind in KINDS {
        for (first, second) in Fault::EACH.into_iter().zip(Fault::EACH.into_iter().skip(1)) {
            let world = world(first, Position::FirstOfTwo, kind).fault(1, second);
            let family = world.family();
            assert!(family.filtering.value().is_none_or(|found| *found == kind.1), "{first} {second} {family:#?}");
        }
    }
}
