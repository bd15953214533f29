//! The figures of all rounds, and the tables.
//!
//! A ratio compares two figures of one round, which were measured directly one after another. The table has the median
//! of the rounds; the least and the greatest figure are in parentheses.

use crate::latency::Latency;
use crate::load::{Direction, Pattern, Traffic};
use crate::server::Kind;
use core::fmt;

/// The least, median and greatest figure of the rounds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spread {
    least: f64,
    pub(crate) median: f64,
    most: f64,
}

impl Spread {
    pub(crate) fn of(figures: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut figures: Vec<f64> = figures.into_iter().collect();
        figures.sort_by(f64::total_cmp);
        let median = *figures.get(figures.len() / 2)?;
        Some(Self { least: *figures.first()?, median, most: *figures.last()? })
    }
}

/// A spread as text, or a dash where nothing was measured. The precision is the number of decimal places.
struct Cell(Option<Spread>);

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (width, places) = (f.width().unwrap_or_default(), f.precision().unwrap_or(2));
        let text = match self.0 {
            Some(Spread { least, median, most }) => {
                format!("{median:.places$} ({least:.places$} to {most:.places$})")
            }
            None => "–".into(),
        };
        write!(f, "{text:<width$}")
    }
}

/// What was measured: the key of a series of figures.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Figure {
    /// Delivered datagrams for each second of processor time.
    Forwards(Traffic),
    /// System calls for each delivered datagram.
    SystemCalls(Traffic),
    /// The share of the time in which the server used its core.
    Load(Traffic),
    /// The number of lost datagrams.
    Lost(Traffic),
    /// The median latency in microseconds.
    Median(Direction),
    /// The 99th percentile of the latency in microseconds.
    P99(Direction),
    /// Resident memory in bytes for each allocation.
    Memory,
    /// Allocations for each second of processor time.
    Allocations,
}

/// All figures, one for each round. `None` is the path without a server.
#[derive(Debug, Default)]
pub(crate) struct Figures(Vec<(Option<Kind>, Figure, Vec<f64>)>);

impl Figures {
    pub(crate) fn add(&mut self, server: impl Into<Option<Kind>>, figure: Figure, value: f64) {
        let server = server.into();
        match self.0.iter_mut().find(|(kind, known, _)| *kind == server && *known == figure) {
            Some((_, _, values)) => values.push(value),
            None => self.0.push((server, figure, vec![value])),
        }
    }

    pub(crate) fn add_latency(
        &mut self,
        server: impl Into<Option<Kind>>,
        direction: Direction,
        latency: Option<Latency>,
    ) {
        let (server, Some(latency)) = (server.into(), latency) else { return };
        self.add(server, Figure::Median(direction), latency.median);
        self.add(server, Figure::P99(direction), latency.p99);
    }

    fn rounds(&self, server: Option<Kind>, figure: Figure) -> Vec<f64> {
        let found = self.0.iter().find(|(kind, known, _)| *kind == server && *known == figure);
        found.map(|(_, _, values)| values.clone()).unwrap_or_default()
    }

    pub(crate) fn spread(&self, server: impl Into<Option<Kind>>, figure: Figure) -> Option<Spread> {
        Spread::of(self.rounds(server.into(), figure))
    }

    /// The figures of both directions together, for the same number of datagrams each way.
    fn both(&self, server: Kind, pattern: Pattern, length: usize) -> Vec<f64> {
        let [to_peer, to_client] = Direction::ALL
            .map(|direction| self.rounds(Some(server), Figure::Forwards(Traffic { pattern, direction, length })));
        to_peer.iter().zip(&to_client).map(|(one, other)| 2.0 / (1.0 / one + 1.0 / other)).collect()
    }
}

fn ratio(one: &[f64], other: &[f64]) -> Cell {
    Cell(Spread::of(one.iter().zip(other).map(|(one, other)| one / other)))
}

/// Prints the table of the forwards, in thousands.
pub(crate) fn print_forwards(
    f: &mut impl std::io::Write,
    figures: &Figures,
    traffic: &[Traffic],
) -> std::io::Result<()> {
    let kinds = Kind::ALL;
    writeln!(f, "\nthousand forwards for each second of the server's processor time")?;
    writeln!(
        f,
        "{:<26}{:<18}{:<18}{:<18}{:<18}{:<22}portolan / bare",
        "", "coturn", "portolan", "driver", "bare", "portolan / coturn"
    )?;
    let mut row = |label: String, [coturn, portolan, driver, bare]: [Vec<f64>; 4]| {
        let cell = |values: &[f64]| Cell(Spread::of(values.iter().map(|value| value / 1e3)));
        writeln!(
            f,
            "{label:<26}{:<18.0}{:<18.0}{:<18.0}{:<18.0}{:<22}{}",
            cell(&coturn),
            cell(&portolan),
            cell(&driver),
            cell(&bare),
            ratio(&portolan, &coturn),
            ratio(&portolan, &bare)
        )
    };
    for traffic in traffic.iter().copied() {
        row(traffic.to_string(), kinds.map(|kind| figures.rounds(Some(kind), Figure::Forwards(traffic))))?;
        let Traffic { pattern, direction, length } = traffic;
        if direction == Direction::ToClient {
            row(
                format!("{pattern:<8}{length:>5} B  {:<9}", "both"),
                kinds.map(|kind| figures.both(kind, pattern, length)),
            )?;
        }
    }
    Ok(())
}

/// Prints the other figures of the traffic: system calls, use of the core, losses.
pub(crate) fn print_traffic(
    f: &mut impl std::io::Write,
    figures: &Figures,
    traffic: &[Traffic],
) -> std::io::Result<()> {
    let kinds = Kind::ALL;
    let rows = |figure: fn(Traffic) -> Figure| {
        traffic
            .iter()
            .copied()
            .map(move |traffic| (traffic, kinds.map(|kind| Cell(figures.spread(kind, figure(traffic))))))
    };
    for (title, rows) in [
        ("system calls for each forward", rows(Figure::SystemCalls)),
        ("share of the time in which the server used its core", rows(Figure::Load)),
        ("lost datagrams of a run", rows(Figure::Lost)),
    ] {
        writeln!(f, "\n{title}\n{:<26}{:<22}{:<22}{:<22}bare", "", "coturn", "portolan", "driver")?;
        for (traffic, [coturn, portolan, driver, bare]) in rows {
            writeln!(f, "{:<26}{coturn:<22}{portolan:<22}{driver:<22}{bare}", traffic.to_string())?;
        }
    }
    Ok(())
}

/// Prints the latencies. The added latency is the 99th percentile less the median without a server.
pub(crate) fn print_latency(f: &mut impl std::io::Write, figures: &Figures) -> std::io::Result<()> {
    writeln!(f, "\nlatency in microseconds\n{:<26}{:<26}{:<28}added p99", "", "median", "p99")?;
    let direct = figures.rounds(None, Figure::Median(Direction::ToPeer));
    for direction in Direction::ALL {
        for server in [None].into_iter().chain(Kind::ALL.map(Some)) {
            let p99 = figures.rounds(server, Figure::P99(direction));
            if p99.is_empty() {
                continue;
            }
            let added = Cell(Spread::of(p99.iter().zip(&direct).map(|(p99, direct)| p99 - direct)));
            writeln!(
                f,
                "{:<26}{:<26.1}{:<28.1}{added:.1}",
                format!("{direction:<10}{}", server.map_or("no server", Kind::name)),
                Cell(figures.spread(server, Figure::Median(direction))),
                Cell(figures.spread(server, Figure::P99(direction))),
            )?;
        }
    }
    Ok(())
}

/// Prints the memory and the rate of allocations.
pub(crate) fn print_allocations(f: &mut impl std::io::Write, figures: &Figures) -> std::io::Result<()> {
    writeln!(f, "\nallocations with challenge and credentials")?;
    for kind in [Kind::Coturn, Kind::Portolan] {
        writeln!(
            f,
            "{:<10}{:.0} for each second of processor time, {:.0} bytes resident each",
            kind.name(),
            Cell(figures.spread(kind, Figure::Allocations)),
            Cell(figures.spread(kind, Figure::Memory)),
        )?;
    }
    let [coturn, portolan] = [Kind::Coturn, Kind::Portolan].map(|kind| figures.rounds(Some(kind), Figure::Allocations));
    writeln!(f, "{:<10}{}", "ratio", ratio(&portolan, &coturn))
}
