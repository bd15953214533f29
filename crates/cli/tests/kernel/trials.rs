//! The list of trials.

use std::env;

use libtest_mimic::{Completion, Failed, Trial};

use crate::Outcome;
use crate::kinds::{KINDS, Kind, named};
use crate::line;
use crate::pairs::{self, PAIRS};
use crate::piping;
use crate::probe::{self, Probe};
use crate::punching;
use crate::reports;
use crate::serving;
use crate::topology::Topology;

/// Every trial. Without the lab, each trial is ignored with the reason, or fails if the lab is required.
pub(crate) fn all(missing: Option<&str>) -> Vec<Trial> {
    let mut list = List { trials: vec![], missing };
    for kind in KINDS {
        list.add(format!("self_check::{}", kind.name), || self_check(kind));
    }
    list.add("self_check::short5_expires".to_owned(), || with_probe("short5", |probe| probe.check_lifetime()));
    list.add("self_check::line".to_owned(), line::check);
    for kind in KINDS {
        let three = if kind.loss() > 10 { reports::three_in_high_loss } else { reports::three_in_a_row };
        list.add(format!("nat::{}", kind.name), move || three(kind));
    }
    for kind in ["loss10", "loss10fc"] {
        list.add(format!("nat::twenty_clients_{kind}"), || reports::twenty_clients(kind));
    }
    for (kind, allocation) in [("ei_apd", "preserving"), ("ei_apd_r", "random"), ("apd_seq", "sequential")] {
        list.add(format!("nat::ports_{kind}"), || reports::ports(kind, allocation));
    }
    for (kind, hairpin) in [("ei_apd", "none"), ("ei_ei_hp", "external-source"), ("ei_apd_hp", "external-source")] {
        list.add(format!("nat::hairpin_{kind}"), || reports::hairpin(kind, hairpin));
    }
    list.add("nat::earlier_traffic".to_owned(), reports::earlier_traffic);
    list.add("nat::requirements".to_owned(), reports::requirements);
    list.add("nat::servers_of_the_environment".to_owned(), reports::servers_of_the_environment);
    list.add("nat::black_hole".to_owned(), reports::black_hole);
    list.add("nat::unknown_name".to_owned(), reports::unknown_name);
    list.add("nat::silent_resolver".to_owned(), reports::silent_resolver);
    list.add("nat::resolver_without_ipv6".to_owned(), reports::resolver_without_ipv6);
    list.add("nat::offline".to_owned(), || reports::offline(&["--server", "203.0.113.10"]));
    list.add("nat::offline_v6".to_owned(), || reports::offline(&["--server", "2001:db8:113::10"]));
    list.add("nat::offline_by_name".to_owned(), reports::offline_by_name);
    list.add("nat::no_server".to_owned(), reports::no_server);
    list.add("serve::ends".to_owned(), reports::server_ends);
    list.add("serve::wildcards".to_owned(), serving::wildcards);
    list.add("serve::alternates".to_owned(), serving::alternates);
    for (class, names) in PAIRS.iter().copied() {
        let [first, second] = names;
        list.add(format!("ice::{}_{first}_{second}", class.name()), move || pairs::connects(class, names));
    }
    // The pipe needs TLS.
    if cfg!(feature = "tls") {
        for (name, pair) in punching::pairs() {
            list.add(name, move || punching::connects(pair));
        }
        list.add("punch::prediction_after_a_wait".to_owned(), punching::connects_after_a_wait);
        list.add("punch::pipe".to_owned(), piping::file);
    }
    list.trials
}

struct List<'a> {
    trials: Vec<Trial>,
    missing: Option<&'a str>,
}

impl List<'_> {
    fn add(&mut self, name: String, trial: impl FnOnce() -> Outcome + Send + 'static) {
        let missing = self.missing.map(str::to_owned);
        self.trials.push(Trial::ignorable_test(name, move || match missing {
            None => trial().map(|()| Completion::Completed),
            Some(why) if is_required() => Err(Failed::from(format!("PORTOLAN_LAB=require, but {why}"))),
            Some(why) => Ok(Completion::ignored_with(why)),
        }));
    }
}

/// Whether the trials fail on a machine without the lab.
fn is_required() -> bool {
    env::var("PORTOLAN_LAB").is_ok_and(|value| value == "require")
}

/// Checks a network against the table, with sockets at both ends.
fn self_check(kind: &'static Kind) -> Outcome {
    let topology = Topology::build(kind)?;
    probe::check_family(kind, &topology)?;
    let probe = Probe::new(kind, &topology)?;
    let found = probe.measure()?;
    if found != kind.expected {
        return Err(format!("found {found:?}, expected {:?}", kind.expected).into());
    }
    probe.check_ports()?;
    probe.check_hairpin()?;
    probe.check_loss()
}

fn with_probe(kind: &str, check: impl FnOnce(&Probe<'_>) -> Outcome) -> Outcome {
    let kind = named(kind).ok_or("no such kind")?;
    let topology = Topology::build(kind)?;
    check(&Probe::new(kind, &topology)?)
}
