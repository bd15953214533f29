//! `portolan forecast`: whether two hosts can connect by hole punching, from their NAT cards. No packet is sent.

use crate::error::{CommandError, Failure};
use crate::exit::{self, Exit};
use crate::options::DocumentFormat;
use crate::output;
use crate::wrap;
use clap::Args;
use core::fmt::Write as _;
use core::time::Duration;
use portolan_nat::behavior::{Filtering, Mapping};
use portolan_punch::card::{Card, CardError, Ports};
use portolan_punch::forecast::{Budget, Conditions, Forecast, Strategy, Verdict, forecast};
use serde_json::{Value, json};

/// Arguments of `portolan forecast`.
#[derive(Args, Debug)]
#[command(after_long_help = help())]
pub(crate) struct ForecastArgs {
    /// The card of one host: the line that `portolan nat --card` prints there
    #[arg(value_name = "CARD_A", required_unless_present = "matrix")]
    own: Option<String>,
    /// The card of the other host
    #[arg(value_name = "CARD_B", required_unless_present = "matrix")]
    peer: Option<String>,
    /// Print the verdict for each pair of the nine kinds of NAT instead
    #[arg(long, conflicts_with_all = ["own", "peer"])]
    matrix: bool,
    /// Round-trip time between the hosts, in milliseconds
    #[arg(long, value_name = "MS", default_value = "50", allow_negative_numbers = true,
          value_parser = clap::value_parser!(u16).range(0..=10_000))]
    rtt: u16,
    /// New connections of other programs in a second behind a NAT with sequential ports
    #[arg(long, value_name = "N", default_value = "10", allow_negative_numbers = true,
          value_parser = clap::value_parser!(u16).range(0..=1_000))]
    cross_traffic: u16,
    /// The format of the result
    #[arg(long, value_enum, default_value = "human")]
    format: DocumentFormat,
}

/// Returns the help after the options.
fn help() -> String {
    format!(
        "\
{}

The forecast assumes that both hosts run a puncher such as `portolan_punch` at the same time.

Examples:
  portolan forecast nat1,4=nat,m=eim,f=apdf nat1,4=nat,m=apdm,f=apdf,a=seq+1
  portolan forecast --matrix
  portolan forecast \"$(cat their-card)\" \"$(portolan nat --card)\" --format json",
        exit::help("forecast")
    )
}

/// Why there is no forecast.
#[derive(Debug, thiserror::Error)]
#[error("the {which} card cannot be read: {why}")]
pub(crate) struct ForecastError {
    which: &'static str,
    why: CardError,
}

impl CommandError for ForecastError {}

/// Computes the forecast and prints it.
pub(crate) fn run(args: &ForecastArgs) -> Result<Exit, Failure> {
    let conditions = Conditions {
        rtt: Duration::from_millis(args.rtt.into()),
        cross_traffic: args.cross_traffic,
        ..Conditions::default()
    };
    let (Some(own), Some(peer)) = (&args.own, &args.peer) else {
        output::print(&matrix(args.format, &conditions))?;
        return Ok(Exit::Success);
    };
    let own: Card = own.trim().parse().map_err(|why| ForecastError { which: "first", why })?;
    let peer: Card = peer.trim().parse().map_err(|why| ForecastError { which: "second", why })?;
    let found = forecast(&own, &peer, &conditions);
    let text = match args.format {
        DocumentFormat::Human => wrap::to_terminal(&human(&found, &conditions.budget)),
        DocumentFormat::Json => document(&own, &peer, &found).to_string() + "\n",
    };
    output::print(&text)?;
    Ok(match found.verdict {
        Verdict::Works | Verdict::WorksWithGuessing => Exit::Success,
        Verdict::RelayOnly => Exit::Negative,
        Verdict::Unknown => Exit::Inconclusive,
    })
}

fn human(found: &Forecast, budget: &Budget) -> String {
    let mut page = String::new();
    let _ = write!(page, "{}", found.verdict);
    if let Some(probability) = found.probability.filter(|_| found.verdict != Verdict::RelayOnly) {
        // Rounded down: 99.96 % is not 100 %.
        let _ = write!(page, " ({:.1} %)", (probability * 1000.0).floor() / 10.0);
    }
    let _ = writeln!(page, ": {}.", found.reason);
    if matches!(found.verdict, Verdict::Works | Verdict::WorksWithGuessing) {
        let _ = writeln!(page, "\nStrategy: {}.", found.strategy);
        let _ = writeln!(page, "Expected time: {} ms after both hosts begin.", found.expected.as_millis());
        for (side, cost) in [("CARD_A", found.own), ("CARD_B", found.peer)] {
            let _ = writeln!(page, "Cost at {side}: {cost}.");
        }
        let Budget { mappings, sessions, rate } = budget;
        let _ = writeln!(page, "Budget of each host: {mappings} mappings, {sessions} sessions, {rate} packets/s.");
    }
    let _ = writeln!(page, "\n{}", advice(found));
    page
}

/// Says what would change the result.
const fn advice(found: &Forecast) -> &'static str {
    match (found.verdict, found.strategy) {
        (Verdict::Works, _) => "Both hosts must send at about the same time; an introducer gives them the start.",
        (Verdict::WorksWithGuessing, Strategy::Predict { .. }) => {
            "Guessing must be allowed by the user. A port forward at one NAT, or IPv6 on both hosts, avoids it."
        }
        (Verdict::WorksWithGuessing, _) => {
            "Guessing must be allowed by the user: it can fill the table of a small router.\nA port forward at one NAT, or \
             IPv6 on both hosts, avoids it."
        }
        (Verdict::RelayOnly, _) => {
            "A relay (TURN), a port forward at one NAT, or IPv6 on both hosts would connect them."
        }
        (Verdict::Unknown, _) => {
            "Measure the missing properties: portolan nat --card --ports, with a server of RFC 5780."
        }
    }
}

fn document(own: &Card, peer: &Card, found: &Forecast) -> Value {
    json!({
        "schema": "portolan.forecast/1",
        "cards": [own, peer],
        "forecast": found,
        "text": found.reason.to_string(),
    })
}

/// The nine kinds of NAT, with random ports, as RFC 4787 names them.
fn kinds() -> impl Iterator<Item = (String, Card)> {
    let name = |mapping: Mapping, filtering: Filtering| {
        let mapping = match mapping {
            Mapping::EndpointIndependent => "eim",
            Mapping::AddressDependent => "adm",
            Mapping::AddressAndPortDependent => "apdm",
        };
        let filtering = match filtering {
            Filtering::EndpointIndependent => "eif",
            Filtering::AddressDependent => "adf",
            Filtering::AddressAndPortDependent => "apdf",
        };
        format!("{mapping}/{filtering}")
    };
    Mapping::ALL.into_iter().flat_map(move |mapping| {
        Filtering::ALL
            .into_iter()
            .map(move |filtering| (name(mapping, filtering), Card::nat(mapping, filtering, Ports::Random)))
    })
}

const fn word(found: &Forecast) -> &'static str {
    match (found.verdict, found.is_asymmetric) {
        (Verdict::Works, false) => "ok",
        (Verdict::Works, true) => "weak",
        (Verdict::WorksWithGuessing, _) => "guess",
        (Verdict::RelayOnly, _) => "relay",
        (Verdict::Unknown, _) => "?",
    }
}

fn matrix(format: DocumentFormat, conditions: &Conditions) -> String {
    if format == DocumentFormat::Json {
        let rows: Vec<Value> = kinds()
            .flat_map(|(a, own)| {
                kinds().map(move |(b, peer)| {
                    let found = forecast(&own, &peer, conditions);
                    let (verdict, reason) = (found.verdict.as_str(), found.reason.as_str());
                    let probability = found.probability;
                    json!({ "a": a, "b": b, "verdict": verdict, "asymmetric": found.is_asymmetric, "reason": reason,
                            "probability": probability })
                })
            })
            .collect();
        return json!({ "schema": "portolan.forecast.matrix/1", "pairs": rows }).to_string() + "\n";
    }
    let mut page = format!("{:>9}", "");
    for (name, _) in kinds() {
        let _ = write!(page, " {name:>9}");
    }
    page.push('\n');
    for (name, own) in kinds() {
        let _ = write!(page, "{name:>9}");
        for (_, peer) in kinds() {
            let _ = write!(page, " {:>9}", word(&forecast(&own, &peer, conditions)));
        }
        page.push('\n');
    }
    page.push_str(
        "\nok: connects. weak: connects over different endpoints in the two directions; ICE fails.\nguess: connects with \
         guessed ports. relay: no direct path. The words eim to apdf: RFC 4787.\n",
    );
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_matrix_has_the_81_pairs_and_names_the_weak_ones() {
        let page = matrix(DocumentFormat::Human, &Conditions::default());
        let count = |word: &str| page.lines().take(10).flat_map(str::split_whitespace).filter(|w| *w == word).count();
        assert_eq!((count("ok"), count("weak"), count("guess"), count("relay")), (42, 3, 12, 24), "{page}");
        assert!(page.lines().all(|line| line.chars().count() <= 100), "{page}");
        let document: Value = serde_json::from_str(&matrix(DocumentFormat::Json, &Conditions::default())).unwrap();
        assert_eq!(document["pairs"].as_array().unwrap().len(), 81);
    }
}
