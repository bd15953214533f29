//! Prints events and reports in the chosen format, with `--redact` without addresses.

use super::args::NatArgs;
use super::error::NatError;
use super::plan::Plan;
use crate::error::Failure;
use crate::options::{ExplainLevel, Format};
use crate::outcome::lacks_capable_server;
use crate::output;
use crate::progress::Progress;
use crate::redact::Redactor;
use crate::report::{ReportData, human, json};
use crate::require::Shortfall;
use crate::servers::Origin;
use crate::wrap;
use core::fmt::Display;
use portolan_nat::event::DiscoveryEvent;
use portolan_nat::lifetime;
use portolan_nat::profile::Report;
use portolan_punch::card::Card;
use serde_json::json;

/// Prints events, the report, and the lines on standard error.
#[derive(Debug)]
pub(crate) struct Printer {
    /// The format.
    pub(crate) format: Format,
    explain: Option<ExplainLevel>,
    card: bool,
    redactor: Option<Redactor>,
    progress: Progress,
    /// Whether events are printed as they occur. Later runs of `--watch` print only changes.
    pub(crate) events: bool,
}

impl Printer {
    /// Returns a printer with the format and the redaction of the command line.
    pub(crate) fn new(args: &NatArgs, plan: &Plan<'_>) -> Self {
        let names: Vec<String> = match plan.origin {
            Origin::User => plan.names.iter().map(ToString::to_string).collect(),
            Origin::BuiltIn => Vec::new(),
        };
        Self {
            format: args.output.format,
            explain: args.output.explain,
            card: args.card,
            redactor: args.redact.then(|| Redactor::hiding(names.iter().map(String::as_str))),
            progress: Progress::new(args.output.format),
            events: true,
        }
    }

    /// Starts the progress line of a run.
    pub(crate) fn begin(&mut self, plan: &Plan<'_>) {
        if self.events {
            self.progress.replace(&format!("querying {}", output::count(plan.names.len(), "server")));
        }
    }

    /// Prints an event of the discovery.
    pub(crate) fn event(&mut self, event: &DiscoveryEvent) -> Result<(), Failure> {
        if !self.events {
            return Ok(());
        }
        match self.format {
            Format::Human => {
                let text = self.redact(event.to_string());
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

    /// Prints an event of the lifetime measurement.
    pub(crate) fn lifetime(&mut self, event: &lifetime::LifetimeEvent) -> Result<(), Failure> {
        match self.format {
            Format::Human => {
                let text = self.redact(event.to_string());
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

    /// Prints the report. The text format omits a report without a result, because the error holds the same
    /// information.
    pub(crate) fn report(&mut self, data: &ReportData, has_failed: bool) -> Result<(), Failure> {
        match self.format {
            Format::Human if has_failed => Ok(()),
            Format::Human | Format::Json if self.card => {
                let card = data.lifetime.iter().fold(Card::from(&data.report), |card, found| card.with_lifetime(found));
                let is_text = self.format == Format::Human;
                self.print(if is_text { format!("{card}\n") } else { format!("{}\n", json!(card)) })
            }
            Format::Human => {
                self.progress.clear();
                let text = self.redact(human::report(data, self.explain));
                Ok(output::print(&wrap::to_terminal(&text))?)
            }
            Format::Json => self.print(json::report(data) + "\n"),
            Format::Jsonl => self.print(json::last(data) + "\n"),
        }
    }

    /// Prints the remarks about a report: why filtering is unknown, and which requirements are not met.
    pub(crate) fn remarks(&mut self, report: &Report, short: &[Shortfall]) {
        for family in report.families.iter().filter(|family| lacks_capable_server(family)) {
            let why = family.filtering.reason().map_or("", |why| why.as_str());
            self.print_diagnostic(format_args!(
                "{}: the given servers cannot measure filtering ({why}); name one with a second address (RFC 5780)",
                family.family
            ));
        }
        for short in short {
            self.print_diagnostic(short);
        }
    }

    /// Prints text on standard output.
    pub(crate) fn print(&mut self, text: String) -> Result<(), Failure> {
        self.progress.clear();
        Ok(output::print(&self.redact(text))?)
    }

    /// Prints a line on standard error.
    pub(crate) fn print_diagnostic(&mut self, line: impl Display) {
        self.progress.clear();
        let line = self.redact(line.to_string());
        output::print_diagnostic(line);
    }

    /// Returns the failure, with `--redact` without addresses and names.
    pub(crate) fn redacted(&mut self, error: NatError) -> Failure {
        Failure::from(error).map_message(|message| self.redact(message.to_owned()))
    }

    /// Removes the progress line.
    pub(crate) fn clear_progress(&mut self) {
        self.progress.clear();
    }

    fn redact(&mut self, text: String) -> String {
        match &mut self.redactor {
            Some(redactor) => redactor.text(&text),
            None => text,
        }
    }
}
