//! The exit code of a NAT report, for `portolan nat` and `portolan lab nat`.

use crate::exit::Exit;
use crate::require::{Holding, Shortfall};
use portolan_nat::profile::{FamilyReport, Reachability, Report, Unknown};

/// Returns the exit code of a report with the requirements that are not met in it.
pub(crate) fn exit(report: &Report, short: &[Shortfall]) -> Exit {
    if report.is_offline() || has_no_usable_response(report) {
        return Exit::CouldNotRun;
    }
    match short.iter().map(|short| short.holding).max() {
        Some(Holding::Unmet) => Exit::Negative,
        Some(Holding::Unknown) => Exit::Inconclusive,
        Some(Holding::Satisfied) | None if report.families.iter().all(is_complete) => Exit::Success,
        Some(Holding::Satisfied) | None => Exit::Inconclusive,
    }
}

fn is_complete(family: &FamilyReport) -> bool {
    match family.reach {
        Reachability::Blocked | Reachability::Unavailable(_) => true,
        Reachability::Unknown => false,
        Reachability::Available => {
            family.mapping.value().is_some() && (family.filtering.value().is_some() || lacks_capable_server(family))
        }
    }
}

/// Whether servers responded, but without a usable response, in every family that has a route.
pub(crate) fn has_no_usable_response(report: &Report) -> bool {
    let useless = |family: &FamilyReport| family.mapping.reason() == Some(Unknown::ServerError);
    report.families.iter().any(useless)
        && report.families.iter().all(|family| match family.reach {
            Reachability::Unavailable(_) => true,
            Reachability::Unknown => useless(family),
            Reachability::Available | Reachability::Blocked => false,
        })
}

/// Whether filtering is unknown only because no given server can measure it.
pub(crate) fn lacks_capable_server(family: &FamilyReport) -> bool {
    family.reach == Reachability::Available && family.filtering.reason().is_some_and(|why| why.is_incapable_server())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;
    use crate::require::Requirements;
    use portolan_nat::profile::Conclusion;

    fn exit(report: &Report, require: &str) -> u8 {
        let short = if require.is_empty() { vec![] } else { require.parse::<Requirements>().unwrap().check(report) };
        super::exit(report, &short).code()
    }

    #[test]
    fn the_table_of_exit_codes() {
        let home = sample::home();
        let mut loss = sample::home();
        loss.families[0].filtering = Conclusion::unknown(Unknown::HighLoss, vec![]);
        let mut incapable = sample::home();
        incapable.families[0].filtering = Conclusion::unknown(Unknown::NoOtherAddress, vec![]);
        let mut single = sample::home();
        single.families[0].mapping = Conclusion::unknown(Unknown::SingleServer, vec![]);
        let mut silent = sample::home();
        silent.families[0].reach = Reachability::Unknown;
        let mut garbage = silent.clone();
        garbage.families[0].mapping = Conclusion::unknown(Unknown::ServerError, vec![]);
        let mut both = sample::home();
        both.families.extend(sample::offline().families.pop());

        for (report, require, code, why) in [
            (&home, "", 0, "all conclusions"),
            (&home, "mapping=eim", 0, "met"),
            (&home, "mapping=apdm", 1, "not met"),
            (&sample::blocked(), "", 0, "blocked is an answer"),
            (&sample::blocked(), "mapping=eim", 1, "nothing passes"),
            (&sample::offline(), "", 2, "no way out at all"),
            (&both, "", 0, "the family without a way out does not count"),
            (&loss, "", 3, "filtering could not be told"),
            (&loss, "filtering=apdf", 3, "unknown is not unmet"),
            (&loss, "filtering=apdf,mapping=adm", 1, "but what is unmet is unmet"),
            (&loss, "mapping=eim", 3, "met, but the rest is not told"),
            (&incapable, "", 0, "no server can tell"),
            (&incapable, "filtering=apdf", 3, "required, and unknown"),
            (&single, "", 3, "mapping could not be told"),
            (&silent, "", 3, "nothing could be told"),
            (&garbage, "", 2, "no server gave an answer that can be used"),
        ] {
            assert_eq!(exit(report, require), code, "{why}");
        }
    }
}
