//! `--watch`: repeats the classification and prints changes.
//!
//! The first report is printed completely. Later reports are compared with the one before: NAT, public addresses,
//! mapping, filtering and classic type. Ports are not compared, because each run has new sockets. A run that fails is
//! printed, and the next run follows.

use super::classify::classify;
use super::plan::Plan;
use super::printer::Printer;
use crate::error::Failure;
use crate::exit::Exit;
use crate::options::Format;
use crate::report::{ReportData, json};
use crate::resolve::Resolver;
use crate::signals::StopSignal;
use core::net::IpAddr;
use core::time::Duration;
use portolan_nat::profile::{Conclusion, Finding, Report};
use tokio::time::{Instant, MissedTickBehavior, interval};

/// Repeats the classification at the interval until the process receives a signal.
pub(crate) async fn run(
    plan: &Plan<'_>,
    printer: &mut Printer,
    resolver: &mut Resolver,
    every: Duration,
) -> Result<Exit, Failure> {
    let mut stop = StopSignal::register()?;
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (began, mut last) = (Instant::now(), None);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = stop.received() => break,
        }
        let found = tokio::select! {
            found = classify(plan, printer, resolver) => found,
            () = stop.received() => break,
        };
        printer.clear_progress();
        match found {
            Ok(data) => print_changes(printer, &mut last, &data, began.elapsed())?,
            Err(failure) => printer.print_diagnostic(failure),
        }
    }
    printer.clear_progress();
    Ok(Exit::Success)
}

/// Prints the first report completely, and only the changes of each later report.
fn print_changes(
    printer: &mut Printer,
    last: &mut Option<Vec<Fact>>,
    data: &ReportData,
    since: Duration,
) -> Result<(), Failure> {
    let now = facts(&data.report);
    match last {
        None => {
            printer.report(data, false)?;
            printer.events = false;
        }
        Some(before) => {
            let changes = changes(before, &now);
            for change in &changes {
                let line = match printer.format {
                    Format::Human => change.line(since),
                    Format::Json | Format::Jsonl => json::change(change.family, change.what, &change.was, &change.is),
                };
                printer.print(line + "\n")?;
            }
            if !changes.is_empty() && printer.format == Format::Jsonl {
                printer.report(data, false)?;
            }
        }
    }
    *last = Some(now);
    Ok(())
}

/// One value that is compared, as text.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Fact {
    family: &'static str,
    what: &'static str,
    is: String,
}

/// A value that has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Change {
    family: &'static str,
    what: &'static str,
    was: String,
    is: String,
}

impl Change {
    fn line(&self, since: Duration) -> String {
        let seconds = since.as_secs();
        let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        let Self { family, what, was, is } = self;
        format!("+{hours}:{minutes:02}:{seconds:02} {family} {what}: {was} → {is}")
    }
}

fn facts(report: &Report) -> Vec<Fact> {
    let mut facts = Vec::new();
    for family in &report.families {
        let mut add = |what, is| facts.push(Fact { family: family.family.as_str(), what, is });
        let mut public: Vec<IpAddr> = family.public.iter().map(|endpoint| endpoint.ip()).collect();
        public.sort_unstable();
        public.dedup();
        let public: Vec<String> = public.iter().map(ToString::to_string).collect();
        add("nat", family.device().to_owned());
        add("public", if public.is_empty() { "none".to_owned() } else { public.join(" ") });
        add("mapping", word(&family.mapping));
        add("filtering", word(&family.filtering));
        add("type", family.classic_type().as_str().to_owned());
    }
    facts
}

fn word<T: ToString>(verdict: &Conclusion<T>) -> String {
    match &verdict.finding {
        Finding::Value { value, .. } => value.to_string(),
        Finding::Unknown(why) => format!("unknown ({})", why.as_str()),
    }
}

/// Returns the differences. A family that is missing in one report counts as unavailable there.
fn changes(before: &[Fact], now: &[Fact]) -> Vec<Change> {
    let find = |facts: &[Fact], one: &Fact| {
        let same = facts.iter().find(|fact| fact.family == one.family && fact.what == one.what);
        same.map_or_else(|| "unavailable".to_owned(), |fact| fact.is.clone())
    };
    let gone = before.iter().filter(|old| !now.iter().any(|new| (new.family, new.what) == (old.family, old.what)));
    now.iter()
        .map(|fact| (fact, find(before, fact), fact.is.clone()))
        .chain(gone.map(|fact| (fact, fact.is.clone(), "unavailable".to_owned())))
        .filter(|(_, was, is)| was != is)
        .map(|(fact, was, is)| Change { family: fact.family, what: fact.what, was, is })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;
    use portolan_nat::profile::Unknown;

    fn change_lines(before: &Report, now: &Report) -> Vec<String> {
        let changes = changes(&facts(before), &facts(now));
        changes.iter().map(|change| change.line(Duration::from_secs(3_725))).collect()
    }

    #[test]
    fn a_new_port_is_no_change_and_a_new_address_is_one() {
        let home = sample::home();
        let mut later = home.clone();
        later.families[0].public[0].set_port(40_001);
        assert!(change_lines(&home, &later).is_empty());
        later.families[0].public[0].set_ip([203, 0, 113, 77].into());
        assert_eq!(change_lines(&home, &later), ["+1:02:05 ipv4 public: 203.0.113.9 → 203.0.113.77"]);
    }

    #[test]
    fn changes_of_each_axis_and_of_the_loss_are_printed() {
        let home = sample::home();
        let mut doubtful = home.clone();
        doubtful.families[0].filtering = Conclusion::unknown(Unknown::HighLoss, vec![]);
        assert_eq!(
            change_lines(&home, &doubtful),
            [
                "+1:02:05 ipv4 filtering: address-and-port-dependent → unknown (high-loss)",
                "+1:02:05 ipv4 type: port-restricted → unknown",
            ]
        );
        let offline = change_lines(&home, &sample::offline());
        assert_eq!(offline[0], "+1:02:05 ipv4 nat: nat → unavailable");
        assert!(
            offline.iter().any(|line| line.contains("ipv6 mapping: unavailable → unknown (offline)")),
            "{offline:?}"
        );
        assert_eq!(change_lines(&sample::offline(), &home)[0], "+1:02:05 ipv4 nat: unavailable → nat");
    }
}
