//! Compares relays over loopback in one run: Debian's coturn, `portolan_turn::Server` on the driver of this project,
//! and a bare forwarder without a protocol.
//!
//! `cargo run --release --manifest-path benches/Cargo.toml --bin relay` runs five rounds and prints ratios with their
//! spread. `docs/benchmarks.md` explains the method and has the figures. The options are those of [`Settings`].
//!
//! All servers run on core 0 and the load on core 1. Only the processor time of the servers counts, so other
//! processes on these cores change the figures little. A server that is faster than the load finds few datagrams at a
//! time. With `--one-core` the load runs on core 0 too, and each process runs until it waits or its time slice ends. A
//! server then finds all that the load has sent, as a server at its capacity does.

extern crate alloc;

mod bare;
mod client;
mod driver;
mod latency;
mod load;
mod portolan;
mod report;
mod server;
mod settings;
mod system_calls;

use client::Clients;
use core::time::Duration;
use load::{Direction, Pattern, Traffic};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::socket::{setsockopt, sockopt};
use report::{Figure, Figures};
use server::{Kind, Server};
use settings::Settings;
use std::io::Write as _;
use std::net::UdpSocket;
use std::process::ExitCode;

pub(crate) type Outcome<T> = Result<T, Box<dyn core::error::Error + Send + Sync>>;

/// The core of the servers.
const SERVER_CORE: usize = 0;
/// The core of the load.
const LOAD_CORE: usize = 1;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match arguments.as_slice() {
        ["serve", kind, address, peer] => serve(kind, address, peer),
        options => match Settings::parse(options) {
            Ok(settings) => compare(&settings),
            Err(why) => {
                let _closed = writeln!(std::io::stderr(), "relay: {why}\n{}", Settings::USAGE);
                return ExitCode::from(2);
            }
        },
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            let _closed = writeln!(std::io::stderr(), "relay: {why}");
            ExitCode::FAILURE
        }
    }
}

/// Runs one of the servers of this binary, until the process is ended.
fn serve(kind: &str, address: &str, peer: &str) -> Outcome<()> {
    server::end_with_parent()?;
    let (address, peer) = (address.parse()?, peer.parse()?);
    match kind {
        "portolan" => portolan::serve(address),
        "driver" => driver::serve(address, peer),
        "bare" => bare::serve(address, peer),
        unknown => Err(format!("no server {unknown}").into()),
    }
}

/// Runs all rounds and prints the tables.
fn compare(settings: &Settings) -> Outcome<()> {
    let mut out = std::io::stdout();
    if let Some(absent) = settings.kinds.iter().find(|kind| !kind.is_installed()) {
        writeln!(out, "{} is not installed; the comparison was skipped (apt-get install coturn)", absent.name())?;
        return Ok(());
    }
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, most, most)?;
    if settings.one_core {
        server::pin(0, SERVER_CORE)?;
        server::run_in_turns()?;
    } else {
        server::pin(0, LOAD_CORE)?;
    }
    let mut figures = Figures::default();
    for round in 0..settings.rounds {
        // Another server is the first of each round.
        let mut kinds = settings.kinds.clone();
        kinds.rotate_left(round % settings.kinds.len());
        traffic(settings, &kinds, round, &mut figures)?;
        for kind in kinds.into_iter().filter(|kind| kind.is_turn()) {
            allocations(settings, kind, &mut figures)?;
        }
        writeln!(std::io::stderr(), "round {} of {}", round + 1, settings.rounds)?;
    }
    writeln!(out, "{} rounds: median (least to most)", settings.rounds)?;
    report::print_forwards(&mut out, &figures, &settings.traffic)?;
    report::print_traffic(&mut out, &figures, &settings.traffic)?;
    if !settings.one_core {
        report::print_latency(&mut out, &figures)?;
    }
    report::print_allocations(&mut out, &figures)?;
    Ok(())
}

/// A server and its clients.
struct Relay {
    server: Server,
    clients: Clients,
    peer: UdpSocket,
}

impl Relay {
    fn start(kind: Kind, flows: usize) -> Outcome<Self> {
        let peer = UdpSocket::bind("127.0.0.1:0")?;
        peer.set_nonblocking(true)?;
        setsockopt(&peer, sockopt::RcvBuf, &server::SOCKET_BUFFER)?;
        let server = Server::start(kind, SERVER_CORE, peer.local_addr()?)?;
        let mut clients = Clients::connect(&server, flows)?;
        clients.allocate()?;
        clients.bind_channels(peer.local_addr()?)?;
        Ok(Self { server, clients, peer })
    }
}

/// One round of all kinds of traffic: all servers run, and each gets every kind of traffic in turn.
fn traffic(settings: &Settings, kinds: &[Kind], round: usize, figures: &mut Figures) -> Outcome<()> {
    let relays = kinds.iter().map(|kind| Relay::start(*kind, settings.flows)).collect::<Outcome<Vec<_>>>()?;
    for traffic in settings.traffic.iter().copied() {
        for Relay { server, clients, peer } in &relays {
            let delivered = load::run(server, clients, peer, traffic, settings.time)?;
            figures.add(server.kind, Figure::Forwards(traffic), delivered.per_second());
            figures.add(server.kind, Figure::Load(traffic), delivered.load());
            figures.add(server.kind, Figure::Lost(traffic), delivered.lost as f64);
        }
    }
    if !settings.one_core {
        latencies(settings, &relays, figures)?;
    }
    if round == 0 {
        system_calls(settings, &relays, figures)?;
    }
    Ok(())
}

/// The latency of each server at half of the load that coturn can carry in one second of processor time.
fn latencies(settings: &Settings, relays: &[Relay], figures: &mut Figures) -> Outcome<()> {
    let slowest = Direction::ALL.into_iter().filter_map(|direction| {
        let traffic = Traffic { pattern: Pattern::Single, direction, length: 160 };
        let measured = [Kind::Coturn, Kind::Portolan].map(|kind| figures.spread(kind, Figure::Forwards(traffic)));
        measured.into_iter().flatten().next().map(|spread| spread.median)
    });
    // A server that got no processor time has relayed nothing.
    let rate = slowest.reduce(f64::min).filter(|rate| *rate >= 2.0).unwrap_or(100_000.0) / 2.0;
    let interval = Duration::from_secs_f64(1.0 / rate);
    for direction in Direction::ALL {
        if let Some(Relay { peer, .. }) = relays.first()
            && direction == Direction::ToPeer
        {
            figures.add_latency(None, direction, latency::direct(peer, interval, settings.time)?);
        }
        for Relay { server, clients, peer } in relays {
            let latency = latency::through(clients, peer, direction, interval, settings.time)?;
            figures.add_latency(server.kind, direction, latency);
        }
    }
    Ok(())
}

/// The system calls for each forward. The runs are separate, because counting makes system calls slower.
fn system_calls(settings: &Settings, relays: &[Relay], figures: &mut Figures) -> Outcome<()> {
    let Some(tool) = settings.tool else {
        writeln!(std::io::stdout(), "system calls were not counted: neither perf nor strace was used")?;
        return Ok(());
    };
    writeln!(std::io::stdout(), "system calls counted by {}", tool.name())?;
    for traffic in settings.traffic.iter().copied() {
        for Relay { server, clients, peer } in relays {
            // The warm-up of a run is a tenth of its time, and its system calls are counted too.
            let run = || load::run(server, clients, peer, traffic, settings.time);
            let (delivered, calls) = tool.count(server.pid()?, run)?;
            figures.add(server.kind, Figure::SystemCalls(traffic), calls as f64 / delivered.in_all as f64);
        }
    }
    Ok(())
}

/// The memory and the processor time of many allocations.
fn allocations(settings: &Settings, kind: Kind, figures: &mut Figures) -> Outcome<()> {
    // The first allocation is made before the measurement: it may fill caches.
    let Relay { server, peer, clients: _first } = Relay::start(kind, 1)?;
    let mut clients = Clients::connect(&server, settings.allocations)?;
    let (memory, time) = (server.resident()?, server.processor_time()?);
    clients.allocate()?;
    let spent = server.processor_time()? - time;
    clients.bind_channels(peer.local_addr()?)?;
    let grown = server.resident()?.saturating_sub(memory);
    let count = settings.allocations as f64;
    figures.add(kind, Figure::Allocations, count / spent.as_secs_f64());
    figures.add(kind, Figure::Memory, grown as f64 / count);
    Ok(())
}
