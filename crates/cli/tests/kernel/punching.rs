//! `portolan punch` on two hosts, each behind its NAT, with a rendezvous between them.
//!
//! The table has the class of each pair of NATs. A run counts if both hosts connect, and a text arrives whole in each
//! direction. Each trial prints the number of these runs, and the times from the first probe to the path.
//!
//! Without `PUNCH_RUNS=all` a few pairs have one run each, so that the trials take less than a minute. With it, every pair
//! of the table has its runs: five if it is [`Class::Direct`], otherwise ten.

use core::fmt::Write as _;
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::env;
use std::io::Write as _;
use std::net::UdpSocket;
use std::process::Stdio;
use std::thread;

use crate::Outcome;
use crate::binary::portolan;
use crate::kinds::{Classification, Dependence, Kind, Presence, named};
use crate::namespace::Namespace;
use crate::process::{Finished, Process};
use crate::reports::serve;
use crate::rules::Mapping;
use crate::topology::PairTopology;

/// The paths of a pair of NATs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// A path for any order of packets.
    Direct,
    /// A path only if the right host sends first.
    Order,
    /// A path only if the next port of a NAT is predicted.
    Prediction,
    /// A path only if the port is guessed with many sockets.
    Birthday,
}

impl Class {
    /// Returns the name of the class in the list of trials.
    const fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Order => "order",
            Self::Prediction => "prediction",
            Self::Birthday => "birthday",
        }
    }

    /// Returns the number of runs of the whole, and how many of them must connect.
    const fn runs(self) -> (u32, u32) {
        match self {
            Self::Direct => (5, 5),
            Self::Order | Self::Prediction | Self::Birthday => (10, 9),
        }
    }
}

/// A pair of networks.
#[derive(Clone, Copy)]
pub(crate) struct Pair {
    class: Class,
    kinds: [&'static Kind; 2],
    runs: u32,
    least: u32,
    /// The delay between the two networks, if they need one.
    delay: Option<Duration>,
}

/// The kinds of the table.
const NAMES: [&str; 14] = [
    "open",
    "fw",
    "ei_ei",
    "ei_ad",
    "ei_apd",
    "ei_apd_r",
    "linuxopen",
    "ad_apd",
    "apd_ei",
    "apd_ad",
    "apd_apd",
    "apd_seq",
    "cgn_ei",
    "cgn_sym",
];

/// The classes of all pairs, in the order of [`NAMES`]: direct, order, prediction, birthday. Other pairs need a relay. `X` is
/// a pair of the class [`Class::Order`] whose first packets must cross on their way, so it has the delays [`CROSSING`].
const TABLE: [&str; 14] = [
    "DDDDDDDDDDDDDD",
    "DDDDDDOBOBBPDB",
    "DDDDDDDDDDDDDD",
    "DDDDDDDDDDDDDD",
    "DDDDDDOBOBBPDB",
    "DDDDDDOBOBBPDB",
    "DODDOOXBOBBPOB",
    "DBDDBBBRORRRBR",
    "DODDOOOODDOOOO",
    "DBDDBBBRDRRRBR",
    "DBDDBBBRORRRBR",
    "DPDDPPPRORRRPR",
    "DDDDDDOBOBBPDB",
    "DBDDBBBRORRRBR",
];

/// The pairs that have one run without `PUNCH_RUNS=all`.
const FEW: [[&str; 2]; 10] = [
    ["open", "apd_apd"],
    ["fw", "ei_apd"],
    ["ei_ad", "apd_ad"],
    ["cgn_ei", "cgn_ei"],
    ["apd_ei", "apd_ei"],
    ["ei_apd", "linuxopen"],
    ["linuxopen", "linuxopen"],
    ["ei_apd", "apd_ei"],
    ["ei_apd", "apd_seq"],
    ["ei_apd", "apd_apd"],
];

/// Whether each pair of the table has all its runs.
pub(crate) fn is_whole() -> bool {
    env::var_os("PUNCH_RUNS").is_some()
}

/// Returns the pairs of the trials, with their names.
pub(crate) fn pairs() -> Vec<(String, Pair)> {
    let (is_whole, mut found) = (is_whole(), vec![]);
    for (row, (first, classes)) in NAMES.iter().zip(TABLE).enumerate() {
        for (other, letter) in NAMES.iter().zip(classes.chars()).skip(row) {
            let class = match letter {
                'D' => Class::Direct,
                'O' | 'X' => Class::Order,
                'P' => Class::Prediction,
                'B' => Class::Birthday,
                _ => continue,
            };
            let delays = if letter == 'X' { CROSSING } else { &[("", None)] };
            let (Some(one), Some(two)) = (named(first), named(other)) else { continue };
            let (runs, least) = if is_whole { class.runs() } else { (1, 1) };
            if is_whole || FEW.contains(&[*first, *other]) {
                for (suffix, delay) in delays.iter().copied() {
                    let name = format!("punch::{}_{first}_{other}{suffix}", class.name());
                    found.push((name, Pair { class, kinds: [one, two], runs, least, delay }));
                }
            }
        }
    }
    found
}

/// Connects the two hosts in each run, and counts.
pub(crate) fn connects(pair: Pair) -> Outcome {
    let topology = PairTopology::with_delay(pair.kinds, pair.delay)?;
    let mut name = format!("{} {} {}", pair.class.name(), pair.kinds[0].name, pair.kinds[1].name);
    if let Some(delay) = pair.delay {
        let _ = write!(name, ", {delay:?} apart");
    }
    let server = format!("{}:3478", topology.server);
    let _server = serve(&topology.servers, &["--listen", &server, "--rendezvous", "--rendezvous-secret", SECRET], 1)?;
    let (mut connected, mut times, mut failures) = (0, vec![], String::new());
    for run in 0..pair.runs {
        if run > 0 && pair.class != Class::Direct {
            thread::sleep(ICMP_INTERVAL);
        }
        match attempt(&topology, pair, &server, run, Duration::ZERO)? {
            Ok(millis) => {
                connected += 1;
                times.push(millis);
            }
            Err(why) => {
                let _ = write!(failures, "\nrun {run}: {why}");
            }
        }
    }
    times.sort_unstable();
    let middle = times.get(times.len() / 2).copied().unwrap_or_default();
    let slowest = times.last().copied().unwrap_or_default();
    eprintln!("{name}: {connected} of {} runs, median {middle} ms, slowest {slowest} ms{failures}", pair.runs);
    if connected >= pair.least { Ok(()) } else { Err(format!("{name}: {connected} of {}", pair.runs).into()) }
}

/// A host has waited behind a NAT with sequential ports, and other programs have used more ports than any prediction
/// covers. All the same the next port is predicted: the path is open before a random guess begins.
pub(crate) fn connects_after_a_wait() -> Outcome {
    let (Some(easy), Some(counting)) = (named("ei_apd"), named("apd_seq")) else { return Err("no such kind".into()) };
    let topology = PairTopology::build([counting, easy])?;
    let server = format!("{}:3478", topology.server);
    let _server = serve(&topology.servers, &["--listen", &server, "--rendezvous", "--rendezvous-secret", SECRET], 1)?;
    let (runs, least) = (if is_whole() { 10 } else { 1 }, 1);
    let pair = Pair { class: Class::Prediction, kinds: [counting, easy], runs, least, delay: None };
    let (stop, mut times) = (AtomicBool::new(false), vec![]);
    let [left, _] = topology.clients();
    thread::scope(|scope| {
        let flows = scope.spawn(|| left.inside(|| cross_traffic(&server, &stop)));
        let found = (0..pair.runs).try_for_each(|run| {
            match attempt(&topology, pair, &server, run, WAIT)? {
                Ok(millis) => times.push(millis),
                Err(why) => eprintln!("run {run}: {why}"),
            }
            Ok::<(), libtest_mimic::Failed>(())
        });
        stop.store(true, Ordering::Relaxed);
        found.and(flows.join().unwrap_or_else(|_| Err("the cross traffic panicked".into())))
    })?;
    let predicted = times.iter().filter(|millis| **millis < 1000).count();
    eprintln!(
        "prediction after a wait of {WAIT:?} with cross traffic: {predicted} of {} runs, {times:?} ms",
        pair.runs
    );
    let least = usize::try_from(pair.runs)?.saturating_sub(usize::from(is_whole()));
    if predicted >= least { Ok(()) } else { Err(format!("{predicted} of {} runs, {times:?} ms", pair.runs).into()) }
}

/// The wait for the other host: with [`FLOWS`] flows in a second the NAT assigns more ports than the largest window.
const WAIT: Duration = Duration::from_secs(6);
const FLOWS: u64 = 10;

/// Sends one packet from a new socket for each flow.
fn cross_traffic(to: &str, stop: &AtomicBool) -> Outcome {
    while !stop.load(Ordering::Relaxed) {
        UdpSocket::bind("0.0.0.0:0")?.send_to(b"flow", to)?;
        thread::sleep(Duration::from_millis(1000 / FLOWS));
    }
    Ok(())
}

/// One run: the time to the path in milliseconds, or why the run does not count. The second host starts after a wait.
fn attempt(
    topology: &PairTopology,
    pair: Pair,
    server: &str,
    run: u32,
    wait: Duration,
) -> Outcome<Result<u64, String>> {
    let room = format!("room {run}");
    let texts = ["from the first host\n", "from the second host\n"];
    let mut sides = Vec::new();
    for ((host, kind), text) in topology.clients().into_iter().zip(pair.kinds).zip(texts) {
        let card = card(kind);
        let mut arguments = vec!["punch", "--rendezvous", server, "--room", &room, "--secret", SECRET, "--card", &card];
        if matches!(pair.class, Class::Prediction | Class::Birthday) {
            arguments.push("--guess");
        }
        sides.push(start(host, &arguments, text)?);
        if sides.len() == 1 {
            thread::sleep(wait);
        }
    }
    let mut finished: Vec<Finished> = Vec::new();
    for side in sides {
        finished.push(side.finish(TIMEOUT)?);
    }
    let mut slowest = 0;
    for (side, text) in finished.iter().zip(texts.iter().rev()) {
        let millis =
            side.stderr.lines().find_map(|line| line.split_once(" after ")?.1.strip_suffix(" ms")?.parse().ok());
        match millis {
            Some(millis) if side.code == Some(0) && side.stdout == *text => {
                if env::var_os("PUNCH_TRACE").is_some() {
                    eprintln!("{}", side.stderr);
                }
                slowest = slowest.max(millis);
            }
            Some(_) | None => return Ok(Err(format!("{finished:?}"))),
        }
    }
    Ok(Ok(slowest))
}

/// Starts the command on a host with this input.
fn start(host: &Namespace, arguments: &[&str], text: &str) -> Outcome<Process> {
    let mut process = host.inside(|| {
        let mut command = portolan(arguments)?;
        command.stdin(Stdio::piped());
        Ok(Process::start(command)?)
    })?;
    process.take_input().ok_or("no pipe")?.write_all(text.as_bytes())?;
    Ok(process)
}

/// Returns the NAT card of a kind.
pub(crate) fn card(kind: &Kind) -> String {
    let Classification::Behavior { presence, mapping, filtering, .. } = kind.expected else {
        return "nat1,4=blocked".to_owned();
    };
    let word = |dependence, suffix| match dependence {
        Dependence::EndpointIndependent => format!("ei{suffix}"),
        Dependence::AddressDependent => format!("ad{suffix}"),
        Dependence::AddressAndPortDependent => format!("apd{suffix}"),
    };
    let presence = match presence {
        Presence::Nothing => return "nat1,4=open".to_owned(),
        Presence::Firewall => "firewall",
        Presence::Nat => "nat",
    };
    let ports = match kind.outermost().map(|router| router.mapping) {
        Some(Mapping::Preserving) => ",a=keep",
        Some(Mapping::Counting) => ",a=seq+1",
        Some(Mapping::Random | Mapping::PerAddress | Mapping::PerEndpoint | Mapping::Pool) => ",a=random",
        Some(Mapping::None | Mapping::OneToOne) | None => "",
    };
    format!("nat1,4={presence},m={},f={}{ports}", word(mapping, "m"), word(filtering, "f"))
}

/// Linux sends a host one ICMP error in a second. The guess of the run before has used it up, and the command needs one.
const ICMP_INTERVAL: Duration = Duration::from_millis(1500);
/// The delays of packets that must cross on their way, each with the end of the trial's name. They are longer than the time
/// between the starts of both hosts on a busy machine. With the second one, the second host is so far from the rendezvous
/// that it has no time to test the router of the first.
const CROSSING: &[(&str, Option<Duration>)] =
    &[("", Some(Duration::from_millis(50))), ("_far", Some(Duration::from_millis(100)))];
/// The secret of the rendezvous.
pub(crate) const SECRET: &str = "correct-horse-battery-staple";
/// The bound of one run: a prediction and a random guess, on a busy machine.
const TIMEOUT: Duration = Duration::from_secs(90);
