//! Who tells what was found out: in the format asked for, with nobody's address where that is asked for.

use super::args::NatArgs;
use super::error::NatError;
use super::plan::Plan;
use crate::error::Failure;
use crate::options::Format;
use crate::outcome::lacks_capable_server;
use crate::output;
use crate::progress::Progress;
use crate::redact::Redactor;
use crate::report::{Telling, human, json};
use crate::require::Shortfall;
use crate::servers::Origin;
use core::fmt::Display;
use portolan_nat::event::DiscoveryEvent;
use portolan_nat::lifetime;
use portolan_nat::profile::Report;

/// Tells events, the report, and what is to be said beside it.
#[derive(Debug)]
pub(crate) struct Printer {
    /// In which format.
    pub(crate) format: Format,
    explain: bool,
    redactor: Option<Redactor>,
    progress: Progress,
    /// Whether events are told as they come; later runs of `--watch` only tell what changed.
    pub(crate) events: bool,
}

impl Printer {
    /// A printer as the command line wants it.
    pub(crate) fn new(args: &NatArgs, plan: &Plan<'_>) -> Self {
        let names: Vec<String> = match plan.origin {
            Origin::User => plan.names.iter().map(ToString::to_string).collect(),
            Origin::BuiltIn => Vec::new(),
        };
        Self {
            format: args.output.format,
            explain: args.output.explain,
            redactor: args.redact.then(|| Redactor::hiding(names.iter().map(String::as_str))),
            progress: Progress::new(args.output.format),
            events: true,
        }
    }

    /// A run begins.
    pub(crate) fn begin(&mut self, plan: &Plan<'_>) {
        if self.events {
            self.progress.replace(&format!("asking {} servers", plan.names.len()));
        }
    }

    /// Something is known.
    pub(crate) fn event(&mut self, event: &DiscoveryEvent) -> Result<(), Failure> {
        if !self.events {
            return Ok(());
        }
        match self.format {
            Format::Human => {
                let text = self.hide(event.to_string());
                self.progress.add(&text);
            }
            Format::Jsonl => {
                if let Some(line) = json::event(event) {
                    self.print(line + "\n")?;
                }
            }
            Format::Json => {}
        }
        Ok(())
    }

    /// Something is known of how long mappings live.
    pub(crate) fn lifetime(&mut self, event: &lifetime::LifetimeEvent) -> Result<(), Failure> {
        match self.format {
            Format::Human => {
                let text = self.hide(event.to_string());
                self.progress.replace(&text);
            }
            Format::Jsonl => {
                if let Some(line) = json::lifetime_event(event) {
                    self.print(line + "\n")?;
                }
            }
            Format::Json => {}
        }
        Ok(())
    }

    /// The report. People hear nothing of one that is as good as none: the complaint says it all.
    pub(crate) fn report(&mut self, telling: &Telling, in_vain: bool) -> Result<(), Failure> {
        match self.format {
            Format::Human if in_vain => Ok(()),
            Format::Human => self.print(human::report(telling, self.explain)),
            Format::Json => self.print(json::report(telling) + "\n"),
            Format::Jsonl => self.print(json::last(telling) + "\n"),
        }
    }

    /// What is to be said beside a report: why filtering is missing, what is required and not the case.
    pub(crate) fn remarks(&mut self, report: &Report, short: &[Shortfall]) {
        for family in report.families.iter().filter(|family| lacks_capable_server(family)) {
            let why = family.filtering.reason().map_or("", |why| why.as_str());
            self.complain(format_args!(
                "{}: filtering cannot be told by the servers given ({why}); name one with a second address (RFC 5780)",
                family.family
            ));
        }
        for short in short {
            self.complain(short);
        }
    }

    /// Text on standard output.
    pub(crate) fn print(&mut self, text: String) -> Result<(), Failure> {
        self.progress.clear();
        Ok(output::print(&self.hide(text))?)
    }

    /// A line on standard error.
    pub(crate) fn complain(&mut self, line: impl Display) {
        self.progress.clear();
        let line = self.hide(line.to_string());
        output::complain(line);
    }

    /// Returns the failure, without addresses and names where the command line asks for that.
    pub(crate) fn redacted(&mut self, error: NatError) -> Failure {
        Failure::from(error).map_message(|message| self.hide(message.to_owned()))
    }

    /// The progress line goes.
    pub(crate) fn quiet(&mut self) {
        self.progress.clear();
    }

    fn hide(&mut self, text: String) -> String {
        match &mut self.redactor {
            Some(redactor) => redactor.text(&text),
            None => text,
        }
    }
}
