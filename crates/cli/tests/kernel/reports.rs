//! The reports of `portolan` behind each kind of NAT, compared with the table of kinds.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::time::Duration;
use std::ffi::OsStr;
use std::net::UdpSocket;
use std::thread;

use serde_json::Value;

use crate::Outcome;
use crate::binary::{portolan, portolan_with_servers};
use crate::kinds::{BLACK_HOLE, Classification, Family, Kind, Presence, named};
use crate::namespace::Namespace;
use crate::probe::PORTS;
use crate::process::{Finished, Process};
use crate::topology::Topology;

/// A network with its servers running.
pub(crate) struct TestNetwork {
    topology: Topology,
    kind: &'static Kind,
    /// The servers of the command line, in this order.
    servers: [SocketAddr; 2],
    _running: Vec<Process>,
}

impl TestNetwork {
    /// Creates the network, and starts a server with two addresses and a plain server on another host.
    pub(crate) fn of(kind: &'static Kind) -> Outcome<Self> {
        let topology = Topology::build(kind)?;
        let [first, second] = PORTS;
        let plan = topology.plan;
        let primary = SocketAddr::new(plan.primary, first);
        let alternate = SocketAddr::new(plan.alternate, second);
        let plain = SocketAddr::new(plan.second, first);
        let running = vec![
            serve(&topology.servers, &["--listen", &primary.to_string(), "--alternate", &alternate.to_string()], 4)?,
            serve(&topology.second, &["--listen", &plain.to_string()], 1)?,
        ];
        Ok(Self { topology, kind, servers: [primary, plain], _running: running })
    }

    /// Creates the network of a kind in the table.
    pub(crate) fn named(kind: &str) -> Outcome<Self> {
        Self::of(named(kind).ok_or("no such kind")?)
    }

    /// Starts `portolan nat` at the client, with both servers, a JSON report and these arguments.
    fn start(&self, more: &[&str]) -> Outcome<Process> {
        let [first, other] = self.servers.map(|server| server.to_string());
        let arguments = ["nat", "--server", &first, "--server", &other, "--format", "json"];
        start(&self.topology.client, &[&arguments, more].concat())
    }

    /// Runs `portolan nat` until it ends.
    fn run(&self, more: &[&str]) -> Outcome<Run> {
        Run::of(self.start(more)?.finish(TIMEOUT)?)
    }
}

/// One finished run with its report.
struct Run {
    finished: Finished,
    report: Value,
}

impl Run {
    fn of(finished: Finished) -> Outcome<Self> {
        match serde_json::from_str(&finished.stdout) {
            Ok(report) => Ok(Self { finished, report }),
            Err(why) => Err(format!("no report ({why}): {finished:?}").into()),
        }
    }

    /// Returns the part of the report at this path.
    fn at(&self, path: &str) -> &Value {
        self.report.pointer(path).unwrap_or(&Value::Null)
    }

    /// Returns the report of this family.
    fn family(&self, family: Family) -> Outcome<&Value> {
        let word = match family {
            Family::V4 => "ipv4",
            Family::V6 => "ipv6",
        };
        let families = self.at("/families").as_array().ok_or("the report has no families")?;
        let found = families.iter().find(|entry| entry.pointer("/family").is_some_and(|name| name == word));
        found.ok_or_else(|| format!("the report has no {word}: {}", self.report).into())
    }

    /// Checks a value of the report.
    fn expect(&self, family: Family, path: &str, expected: &Value) -> Outcome {
        let found = self.family(family)?.pointer(path).unwrap_or(&Value::Null);
        if found == expected { Ok(()) } else { Err(self.mismatch(path, &found.to_string(), &expected.to_string())) }
    }

    fn expect_code(&self, expected: i32) -> Outcome {
        if self.finished.code == Some(expected) {
            return Ok(());
        }
        Err(self.mismatch("exit code", &format!("{:?}", self.finished.code), &expected.to_string()))
    }

    fn expect_within(&self, limit: Duration) -> Outcome {
        let elapsed = self.at("/elapsed_ms").as_f64().ok_or("the report has no elapsed_ms")?;
        if elapsed <= limit.as_secs_f64() * 1000.0 {
            return Ok(());
        }
        Err(self.mismatch("elapsed_ms", &elapsed.to_string(), &format!("at most {limit:?}")))
    }

    fn mismatch(&self, what: &str, found: &str, expected: &str) -> libtest_mimic::Failed {
        let Finished { stderr, .. } = &self.finished;
        format!("{what} is {found}, not {expected}\nreport: {:#}\nstderr: {stderr}", self.report).into()
    }

    /// Checks the report against the network.
    fn check(&self, network: &TestNetwork) -> Outcome {
        self.check_within(network, MAX_DURATION)
    }

    /// Checks a run with more measurements, which may take longer.
    fn check_within(&self, network: &TestNetwork, limit: Duration) -> Outcome {
        let kind = network.kind;
        if self.at("/schema") != "portolan.nat/1" {
            return Err(self.mismatch("/schema", &self.at("/schema").to_string(), "portolan.nat/1"));
        }
        let other = match kind.family {
            Family::V4 => Family::V6,
            Family::V6 => Family::V4,
        };
        if self.family(other).is_ok() {
            self.expect(other, "/nat", &"unavailable".into())?;
        }
        self.expect_code(0)?;
        match kind.expected {
            Classification::Blocked => {
                self.expect(kind.family, "/type", &"blocked".into())?;
                self.expect(kind.family, "/mapping/value", &Value::Null)?;
                self.expect(kind.family, "/filtering/value", &Value::Null)?;
                self.expect_within(Duration::from_secs(3))
            }
            Classification::Behavior { presence, mapping, filtering, classic } => {
                self.expect(kind.family, "/nat", &presence.word().into())?;
                self.expect(kind.family, "/mapping/value", &mapping.word().into())?;
                self.expect(kind.family, "/filtering/value", &filtering.word().into())?;
                self.expect(kind.family, "/type", &classic.into())?;
                self.check_endpoints(network, presence)?;
                if kind.loss() == 0 { self.expect_within(limit) } else { Ok(()) }
            }
        }
    }

    /// Checks the endpoints of the client: the local one, the possible public ones, and whether the local one belongs
    /// to a carrier.
    fn check_endpoints(&self, network: &TestNetwork, presence: Presence) -> Outcome {
        let entry = self.family(network.kind.family)?;
        let plan = &network.topology.plan;
        let read = |value: &Value| value.as_str().and_then(|text| text.parse::<SocketAddr>().ok());
        let local = entry.pointer("/local").and_then(read);
        if local.is_none_or(|local| local.ip() != plan.client) {
            return Err(self.mismatch("/local", &format!("{local:?}"), &plan.client.to_string()));
        }
        let public: Vec<Option<SocketAddr>> =
            entry.pointer("/public").and_then(Value::as_array).into_iter().flatten().map(read).collect();
        let double = entry.pointer("/double_nat/value").is_some_and(|double| *double == true);
        if double != network.kind.carrier {
            return Err(self.mismatch("/double_nat/value", &double.to_string(), &network.kind.carrier.to_string()));
        }
        let right = |seen: &Option<SocketAddr>| match presence {
            Presence::Nothing | Presence::Firewall => *seen == local,
            Presence::Nat => seen.is_some_and(|seen| plan.external.contains(&seen.ip())),
        };
        if !public.is_empty() && public.iter().all(right) {
            return Ok(());
        }
        Err(self.mismatch("/public", &format!("{public:?}"), &format!("of {:?}", plan.external)))
    }

    /// Whether the report has no wrong value, but an unknown one because of loss.
    fn is_unknown_for_loss(&self, network: &TestNetwork) -> Outcome<bool> {
        let Classification::Behavior { presence, mapping, filtering, .. } = network.kind.expected else {
            return Ok(false);
        };
        let entry = self.family(network.kind.family)?;
        let mut unknown = false;
        for (path, expected) in [("/mapping", mapping.word()), ("/filtering", filtering.word())] {
            let found = entry.pointer(path).unwrap_or(&Value::Null);
            let value = found.pointer("/value").unwrap_or(&Value::Null);
            let lossy = found.pointer("/unknown").is_some_and(|why| why == "high-loss");
            if *value != expected && !(value.is_null() && lossy) {
                return Err(self.mismatch(path, &found.to_string(), expected));
            }
            unknown |= lossy;
        }
        self.expect(network.kind.family, "/nat", &presence.word().into())?;
        Ok(unknown)
    }
}

/// Three runs in a row, all of them correct.
pub(crate) fn three_in_a_row(kind: &'static Kind) -> Outcome {
    let network = TestNetwork::of(kind)?;
    for number in 1..=3 {
        let run = network.run(&[])?;
        run.check(&network).map_err(|why| format!("run {number}: {}", why.message().unwrap_or_default()))?;
    }
    Ok(())
}

/// Three runs in a row with high loss, of which one may be inconclusive.
pub(crate) fn three_in_high_loss(kind: &'static Kind) -> Outcome {
    let network = TestNetwork::of(kind)?;
    let mut unknown = 0;
    for _ in 0..3 {
        let run = network.run(&[])?;
        if run.is_unknown_for_loss(&network)? {
            run.expect_code(3)?;
            unknown += 1;
        } else {
            run.check(&network)?;
        }
    }
    if unknown <= 1 { Ok(()) } else { Err(format!("{unknown} of 3 runs gave no result").into()) }
}

/// The firewall remembers packets of earlier runs to the server's other address. Three runs in a row are still correct:
/// no filtering socket has a port that a mapping socket may have had.
pub(crate) fn earlier_traffic() -> Outcome {
    let network = TestNetwork::named("v6fw")?;
    let plan = &network.topology.plan;
    let other = SocketAddr::new(plan.alternate, PORTS[1]);
    network.topology.client.inside(|| {
        for port in MAPPING_PORTS {
            UdpSocket::bind(SocketAddr::new(plan.client, port))?.send_to(b"earlier", other)?;
        }
        Ok(())
    })?;
    for number in 1..=3 {
        let run = network.run(&[])?;
        run.check(&network).map_err(|why| format!("run {number}: {}", why.message().unwrap_or_default()))?;
    }
    Ok(())
}

/// Twenty clients behind one lossy router, all of them correct. Five run at a time, because the server limits the rate
/// of responses to one address.
pub(crate) fn twenty_clients(kind: &str) -> Outcome {
    let network = TestNetwork::named(kind)?;
    for _ in 0..4 {
        let clients = (0..5).map(|_| network.start(&[])).collect::<Outcome<Vec<_>>>()?;
        for client in clients {
            Run::of(client.finish(TIMEOUT)?)?.check(&network)?;
        }
    }
    Ok(())
}

/// Checks the port allocation that `--ports` reports.
pub(crate) fn ports(kind: &str, expected: &str) -> Outcome {
    let network = TestNetwork::named(kind)?;
    let run = network.run(&["--ports"])?;
    run.check_within(&network, MAX_DURATION_WITH_OPTIONS)
        .and_then(|()| run.expect(network.kind.family, "/port_allocation/value", &expected.into()))
}

/// Checks the hairpinning that `--hairpin` reports.
pub(crate) fn hairpin(kind: &str, expected: &str) -> Outcome {
    let network = TestNetwork::named(kind)?;
    let run = network.run(&["--hairpin"])?;
    run.check_within(&network, MAX_DURATION_WITH_OPTIONS)
        .and_then(|()| run.expect(network.kind.family, "/hairpin/value", &expected.into()))
}

/// The exit code says whether a requirement is met.
pub(crate) fn requirements() -> Outcome {
    let network = TestNetwork::named("ei_apd")?;
    network.run(&["--require", "mapping=eim,filtering=apdf"])?.expect_code(0)?;
    network.run(&["--require", "mapping=eim,filtering=eif"])?.expect_code(1)
}

/// Without `--server`, the servers of the environment variable are used.
pub(crate) fn servers_of_the_environment() -> Outcome {
    let network = TestNetwork::named("ei_ei")?;
    let [first, other] = network.servers;
    let client = network.topology.client.inside(|| {
        Ok(Process::start(portolan_with_servers(&format!("{first},{other}"), &["nat", "--format", "json"])?)?)
    })?;
    Run::of(client.finish(TIMEOUT)?)?.check(&network)
}

/// Without a network, the command says so, names the simulated network, and ends with code 2.
pub(crate) fn offline(arguments: &[&str]) -> Outcome {
    let nowhere = Namespace::alone("nowhere")?;
    let finished = start(&nowhere, &[&["nat"], arguments].concat())?.finish(TIMEOUT)?;
    check_output(&finished, 2, &["offline", "lab"])
}

/// The same with server names, as in the built-in list: the resolver cannot be reached either.
pub(crate) fn offline_by_name() -> Outcome {
    let nowhere = Namespace::alone("nowhere")?;
    let names = "stun.example.org,stun.example.net:19302";
    let process = nowhere.inside(|| Ok(Process::start(portolan_with_servers(names, &["nat"])?)?))?;
    check_output(&process.finish(TIMEOUT)?, 2, &["offline", "lab"])
}

/// With an empty list of servers, the message names --server if there is a network, and says offline otherwise.
pub(crate) fn no_server() -> Outcome {
    let nowhere = Namespace::alone("nowhere")?;
    let somewhere = Topology::build(named("ei_apd").ok_or("no such kind")?)?;
    for (host, word) in [(&nowhere, "offline"), (&somewhere.client, "--server")] {
        let finished = start(host, &["nat"])?.finish(TIMEOUT)?;
        check_output(&finished, 2, &[word, "lab"])?;
        check_one_line(&finished)?;
    }
    Ok(())
}

/// A router that drops everything makes a host offline: nothing shows a route.
pub(crate) fn black_hole() -> Outcome {
    let topology = Topology::build(&BLACK_HOLE)?;
    let server = SocketAddr::new(topology.plan.primary, PORTS[0]).to_string();
    let finished = start(&topology.client, &["nat", "--server", &server])?.finish(TIMEOUT)?;
    check_output(&finished, 2, &["offline", "lab"])
}

/// A name that does not exist ends in one line with the name.
pub(crate) fn unknown_name() -> Outcome {
    let topology = Topology::build(named("ei_apd").ok_or("no such kind")?)?;
    let finished = start(&topology.client, &["nat", "--server", "stun.example.org"])?.finish(TIMEOUT)?;
    check_output(&finished, 2, &["stun.example.org"])?;
    check_one_line(&finished)
}

/// A resolver that never responds does not delay the command beyond its timeout.
pub(crate) fn silent_resolver() -> Outcome {
    let topology = Topology::build(named("ei_apd").ok_or("no such kind")?)?;
    let _resolver = topology.client.bind("127.0.0.1:53".parse()?)?;
    let arguments = ["nat", "--timeout", "1", "--server", "stun.example.org"];
    let finished = start(&topology.client, &arguments)?.finish(TIMEOUT)?;
    let bounds = Duration::from_millis(300)..Duration::from_millis(1500);
    if !bounds.contains(&finished.took) {
        return Err(format!("the command did not query the resolver, or waited too long: {finished:?}").into());
    }
    check_output(&finished, 2, &["stun.example.org"])?;
    check_one_line(&finished)
}

/// A DNS server that drops AAAA queries delays the command by about a second, and one line names the family.
pub(crate) fn resolver_without_ipv6() -> Outcome {
    let network = TestNetwork::named("ei_apd")?;
    let resolver = network.topology.client.bind("127.0.0.1:53".parse()?)?;
    let IpAddr::V4(address) = network.topology.plan.primary else { return Err("no IPv4 network".into()) };
    // The thread ends with the lab.
    thread::spawn(move || {
        let mut query = [0; 512];
        while let Ok((length, from)) = resolver.recv_from(&mut query) {
            if let Some(response) = query.get(..length).and_then(|query| dns_response(query, address)) {
                let _ = resolver.send_to(&response, from);
            }
        }
    });
    let client = start(&network.topology.client, &["nat", "--server", "stun.example.org", "--format", "json"])?;
    let run = Run::of(client.finish(TIMEOUT)?)?;
    run.check(&network)?;
    if run.finished.took > Duration::from_millis(3_500) || !run.finished.stderr.contains("without IPv6") {
        return Err(format!("the lookup of IPv6 took too long, or has no line: {:?}", run.finished).into());
    }
    Ok(())
}

/// Returns the DNS response with one address to a query for IPv4 addresses; `None` for another query.
fn dns_response(query: &[u8], address: Ipv4Addr) -> Option<Vec<u8>> {
    let (id, rest) = query.split_at_checked(2)?;
    let question = rest.get(10..)?;
    let name = question.iter().position(|byte| *byte == 0)? + 1;
    let question = question.get(..name + 4).filter(|question| question.ends_with(&[0, 1, 0, 1]))?;
    // One question, one answer: the name of the question, type A, class IN, a lifetime of 60 s, four bytes.
    let header = [0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0];
    let answer = [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4];
    Some([id, &header, question, &answer, &address.octets()].concat())
}

/// The server stops cleanly on a signal, and prints its counters.
pub(crate) fn server_ends() -> Outcome {
    let host = Namespace::alone("server")?;
    host.ip("link set lo up\n")?;
    let server = serve(&host, &["--listen", "127.0.0.1:3478", "--alternate", "127.0.0.2:3479"], 4)?;
    let client = start(&host, &["nat", "--server", "127.0.0.1:3478", "--format", "json"])?;
    let run = Run::of(client.finish(TIMEOUT)?)?;
    run.expect(Family::V4, "/type", &"open".into())?;
    server.terminate()?;
    let finished = server.finish(TIMEOUT)?;
    check_output(&finished, 0, &[])?;
    let counters = finished.stderr.chars().any(|letter| matches!(letter, '1'..='9'));
    if counters { Ok(()) } else { Err(format!("no counters at the end: {finished:?}").into()) }
}

/// Starts `portolan serve` and waits until it listens on this number of addresses.
pub(crate) fn serve(host: &Namespace, arguments: &[&str], sockets: usize) -> Outcome<Process> {
    let mut server = start(host, &[&["serve"], arguments].concat())?;
    for _ in 0..sockets {
        server.wait_for("listening", TIMEOUT)?;
    }
    Ok(server)
}

/// Starts the binary on a host.
pub(crate) fn start<A: AsRef<OsStr> + Sync>(host: &Namespace, arguments: &[A]) -> Outcome<Process> {
    host.inside(|| Ok(Process::start(portolan(arguments)?)?))
}

/// Checks the exit code, and that these words are on one of the outputs.
fn check_output(finished: &Finished, code: i32, words: &[&str]) -> Outcome {
    let output = format!("{}{}", finished.stdout, finished.stderr).to_lowercase();
    match words.iter().find(|word| !output.contains(*word)) {
        None if finished.code == Some(code) => Ok(()),
        None => Err(format!("the exit code is not {code}: {finished:?}").into()),
        Some(word) => Err(format!("\"{word}\" is missing: {finished:?}").into()),
    }
}

/// Checks that standard error has one line, and no panic.
fn check_one_line(finished: &Finished) -> Outcome {
    if finished.stderr.lines().count() == 1 && !finished.stderr.contains("panicked") {
        return Ok(());
    }
    Err(format!("not one clear line: {finished:?}").into())
}

/// The ports of mapping sockets.
const MAPPING_PORTS: core::ops::RangeInclusive<u16> = 49_152..=57_343;
/// The upper bound of any run.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(15);
/// The upper bound of a classification without loss: the last of seven transmissions, its timeout, and a busy machine.
const MAX_DURATION: Duration = Duration::from_millis(1500);
/// The upper bound of a run with optional measurements.
const MAX_DURATION_WITH_OPTIONS: Duration = Duration::from_millis(2500);
