//! Servers that are not what they should be: the right answer, or a named unknown, and never a wrong one.
//!
//! Each fault is met by itself, as the first of two, as the first of three and as the second of three, in front of five
//! kinds of NAT. With two honest servers beside it the liar must cost nothing at all.

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

/// The kinds of NAT that faults are met behind.
const KINDS: [(Mapping, Filtering); 5] = [(EIM, EIF), (EIM, ADF), (EIM, APDF), (APDM, EIF), (APDM, APDF)];

/// Where the faulty server stands among how many.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Place {
    Alone,
    FirstOfTwo,
    FirstOfThree,
    SecondOfThree,
}

fn world(fault: Fault, place: Place, (mapping, filtering): (Mapping, Filtering)) -> World {
    let mut world = World::behind(TranslatorConfig::new(mapping, filtering));
    match place {
        Place::Alone => world.servers.truncate(1),
        Place::FirstOfTwo => {}
        Place::FirstOfThree | Place::SecondOfThree => world.servers.push(full("three", 30)),
    }
    world.fault(usize::from(place == Place::SecondOfThree), fault)
}

/// No value may be wrong; gives the report for more to be said of it.
fn measured(fault: Fault, place: Place, kind: (Mapping, Filtering)) -> FamilyReport {
    let report = world(fault, place, kind).report();
    assert!(report.elapsed < Duration::from_millis(2_500), "{place:?} {kind:?}: {:?}", report.elapsed);
    let family = report.families.into_iter().next().unwrap();
    let who = format!("{fault}, {place:?}, {kind:?}: {family:#?}");
    assert!(family.mapping.value().is_none_or(|found| *found == kind.0), "{who}");
    assert!(family.filtering.value().is_none_or(|found| *found == kind.1), "{who}");
    if matches!(place, Place::FirstOfThree | Place::SecondOfThree) {
        assert_eq!(family.mapping.value(), Some(&kind.0), "{who}");
        assert_eq!(family.filtering.value(), Some(&kind.1), "{who}");
        assert!(family.public.iter().all(|endpoint| endpoint.ip().to_string() == PUBLIC), "{who}");
    }
    family
}

/// The fault in all places and kinds; `alone` says what must be found of a faulty server that is alone.
fn everywhere(fault: Fault, alone: impl Fn((Mapping, Filtering), &FamilyReport)) {
    for kind in KINDS {
        for place in [Place::FirstOfTwo, Place::FirstOfThree, Place::SecondOfThree] {
            measured(fault, place, kind);
        }
        alone(kind, &measured(fault, Place::Alone, kind));
    }
}

fn filtering_unknown(why: Unknown) -> impl Fn((Mapping, Filtering), &FamilyReport) {
    move |kind, family| assert_eq!(family.filtering.reason(), Some(why), "{kind:?} {family:#?}")
}

fn everything_found(kind: (Mapping, Filtering), family: &FamilyReport) {
    assert_eq!((family.mapping.value(), family.filtering.value()), (Some(&kind.0), Some(&kind.1)), "{family:#?}");
}

fn has_flaw(family: &FamilyReport, flaw: Flaw) -> bool {
    family.servers.iter().any(|server| server.flaws.contains(&flaw))
}

#[test]
fn a_silent_server() {
    everywhere(Fault::Silent, |_, family| {
        // Its host refuses TCP, so packets get out and come back: that is what `blocked` means.
        assert_eq!(family.reach, Reachability::Blocked);
        assert_eq!(family.mapping.reason(), Some(Unknown::Blocked));
    });
}

#[test]
fn a_server_that_ignores_change_request() {
    everywhere(Fault::IgnoresChangeRequest, |kind, family| {
        filtering_unknown(Unknown::ChangeRequestIgnored)(kind, family);
        assert!(has_flaw(family, Flaw::ChangeRequestIgnored));
        assert_eq!(family.mapping.value(), Some(&kind.0), "its second address still shows the mapping");
    });
}

#[test]
fn a_server_that_refuses_change_request() {
    everywhere(Fault::RefusesChangeRequest, |kind, family| {
        filtering_unknown(Unknown::ChangeRequestRefused)(kind, family);
        assert!(has_flaw(family, Flaw::ChangeRequestRefused(420)));
    });
}

#[test]
fn a_server_that_never_answers_change_request() {
    everywhere(Fault::DropsChangeRequest, |kind, family| {
        filtering_unknown(Unknown::ChangeRequestUnanswered)(kind, family);
        assert!(has_flaw(family, Flaw::ChangeRequestUnanswered));
        assert_eq!(family.mapping.value(), Some(&kind.0), "its second address still shows the mapping");
    });
}

#[test]
fn a_server_that_changes_the_port_only() {
    everywhere(Fault::ChangesPortOnly, |kind, family| match kind {
        // What it sends from its other port comes through or not, but never from where it was asked to come.
        (_, EIF | ADF) => filtering_unknown(Unknown::AnswersFromElsewhere)(kind, family),
        (EIM, APDF) => filtering_unknown(Unknown::ChangeRequestUnanswered)(kind, family),
        (_, APDF) => {}
    });
}

#[test]
fn a_server_that_names_no_other_address() {
    everywhere(Fault::NoOtherAddress, |kind, family| {
        filtering_unknown(Unknown::NoOtherAddress)(kind, family);
        assert_eq!(family.mapping.reason(), Some(Unknown::SingleServer));
    });
}

#[test]
fn a_server_that_names_an_other_address_that_cannot_be() {
    for bogus in [Bogus::Itself, Bogus::SameAddress, Bogus::SamePort, Bogus::OtherFamily, Bogus::Unspecified] {
        everywhere(Fault::OtherAddress(bogus), filtering_unknown(Unknown::OtherAddressInvalid));
    }
}

#[test]
fn a_server_that_names_a_private_address_where_nobody_is() {
    // The servers here stand in documentation ranges, which are special-purpose themselves, so the name is believed
    // until no server answers there.
    everywhere(Fault::OtherAddress(Bogus::Private), |_, family| {
        assert!(family.filtering.value().is_none(), "{family:#?}");
        assert_eq!(family.mapping.reason(), Some(Unknown::SingleServer));
    });
}

#[test]
fn a_server_whose_other_address_is_dead() {
    everywhere(Fault::DeadAlternate, |kind, family| {
        filtering_unknown(Unknown::AlternateUnreachable)(kind, family);
        assert!(has_flaw(family, Flaw::OtherAddressSilent));
    });
}

#[test]
fn a_server_that_tells_everybody_the_same_address() {
    everywhere(Fault::WrongMappedAddress("203.0.113.254:3478".parse().unwrap()), |_, family| {
        assert_eq!(family.mapping.reason(), Some(Unknown::ServerError), "{family:#?}");
        assert!(has_flaw(family, Flaw::SameForAll));
        assert!(family.public.is_empty(), "its word is not passed on");
    });
}

#[test]
fn a_server_that_tells_another_address_each_time() {
    everywhere(Fault::ChangingMappedAddress, |_, family| {
        assert_eq!(family.mapping.reason(), Some(Unknown::Rebinding), "{family:#?}");
        assert!(has_flaw(family, Flaw::Unstable));
        assert!(family.public.is_empty(), "its word is not passed on");
    });
}

#[test]
fn a_server_that_answers_once_more_later() {
    everywhere(Fault::LateDuplicates(Duration::from_millis(300)), everything_found);
}

#[test]
fn a_server_that_answers_twice() {
    everywhere(Fault::AnswersTwice, everything_found);
}

#[test]
fn a_server_that_answers_from_a_third_address() {
    everywhere(Fault::ThirdAddress("203.0.113.254:3478".parse().unwrap()), |(_, filtering), family| {
        assert!(family.public.is_empty());
        if filtering == EIF {
            assert!(has_flaw(family, Flaw::AnswersFromElsewhere), "{family:#?}");
        }
    });
}

#[test]
fn servers_whose_answers_cannot_be_read() {
    for fault in [Fault::Garbage, Fault::Truncated, Fault::WrongTransactionId, Fault::Echo] {
        everywhere(fault, |_, family| {
            assert_eq!(family.reach, Reachability::Unknown, "something came back: UDP is not blocked");
            assert_eq!(family.mapping.reason(), Some(Unknown::ServerError));
            assert!(has_flaw(family, Flaw::Garbage));
        });
    }
}

#[test]
fn servers_that_know_one_form_of_the_mapped_address_only() {
    for fault in [Fault::OnlyXorMapped, Fault::OnlyMapped] {
        everywhere(fault, |kind, family| {
            everything_found(kind, family);
            assert_eq!(family.details.alg.reason(), Some(Unknown::NoEvidence), "there is nothing to compare");
        });
    }
}

#[test]
fn a_server_that_does_not_say_where_the_client_is() {
    everywhere(Fault::NoMapped, |_, family| {
        assert_eq!(family.mapping.reason(), Some(Unknown::ServerError));
    });
}

#[test]
fn a_server_that_answers_with_errors() {
    for code in [300, 401, 500] {
        everywhere(Fault::Error(code), |_, family| {
            assert_eq!(family.mapping.reason(), Some(Unknown::ServerError));
            assert!(has_flaw(family, Flaw::Error(code)));
        });
    }
}

/// With 300 comes the address of another server; nothing is sent there.
#[test]
fn rfc5780_5_an_alternate_server_is_ignored() {
    for kind in KINDS {
        for place in [Place::Alone, Place::FirstOfTwo, Place::SecondOfThree] {
            let story = world(Fault::Error(300), place, kind).story();
            assert!(story.contains("ALTERNATE-SERVER 203.0.113.99:3478"), "{story}");
            assert!(!story.contains("→ 203.0.113.99"), "{story}");
        }
    }
}

#[test]
fn a_server_that_overhears_every_third_request() {
    everywhere(Fault::DropsEvery(3), everything_found);
}

#[test]
fn all_faults_together_are_no_worse() {
    for kind in KINDS {
        for (first, second) in Fault::EACH.into_iter().zip(Fault::EACH.into_iter().skip(1)) {
            let world = world(first, Place::FirstOfTwo, kind).fault(1, second);
            let family = world.family();
            assert!(family.filtering.value().is_none_or(|found| *found == kind.1), "{first} {second} {family:#?}");
        }
    }
}
