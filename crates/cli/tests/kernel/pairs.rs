//! `portolan ice` on two hosts, each behind its NAT, with a TURN server between them.
//!
//! The class of a pair of NATs says which paths exist. Each trial prints the types of the selected pair and the time. Both
//! hosts have all servers, so a direct path must win against the relay.

use core::time::Duration;
use std::time::Instant;

use serde_json::{Value, json};

use crate::Outcome;
use crate::binary::portolan;
use crate::kinds::named;
use crate::namespace::Namespace;
use crate::process::Process;
use crate::reports::serve;
use crate::signalling::{Peer, signal};
use crate::topology::PairTopology;

/// The paths of a pair of NATs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// A direct path, for any order of packets.
    Direct,
    /// A direct path, if the second host sends first.
    Order,
    /// A direct path only if the first packets cross on their way, which needs more latency than these networks have.
    Crossing,
    /// A direct path only by many ports at once, which ICE does not do.
    Birthday,
    /// A direct path only if the next port is predicted, which ICE does not do.
    Prediction,
    /// The relay only.
    Relay,
    /// The relay only, which one side reaches over TCP.
    RelayOverTcp,
}

impl Class {
    /// Returns the name of the class in the list of trials.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Order => "order",
            Self::Crossing => "crossing",
            Self::Birthday => "birthday",
            Self::Prediction => "prediction",
            Self::Relay => "relay",
            Self::RelayOverTcp => "relay_tcp",
        }
    }
}

/// The pairs of trials.
pub(crate) const PAIRS: &[(Class, [&str; 2])] = &[
    (Class::Direct, ["open", "open"]),
    (Class::Direct, ["open", "apd_apd"]),
    (Class::Direct, ["open", "cgn_sym"]),
    (Class::Direct, ["fw", "fw"]),
    (Class::Direct, ["fw", "ei_apd"]),
    (Class::Direct, ["ei_ei", "ei_ei"]),
    (Class::Direct, ["ei_ei", "apd_apd"]),
    (Class::Direct, ["ei_ad", "apd_ad"]),
    (Class::Direct, ["ei_apd", "ei_apd"]),
    (Class::Direct, ["ei_apd", "ei_apd_r"]),
    (Class::Direct, ["ei_ei", "linuxopen"]),
    (Class::Direct, ["cgn_ei", "ei_apd"]),
    (Class::Direct, ["cgn_ei", "cgn_ei"]),
    (Class::Direct, ["apd_ei", "apd_ei"]),
    (Class::Direct, ["apd_ei", "apd_ad"]),
    (Class::Order, ["fw", "linuxopen"]),
    (Class::Order, ["ei_apd", "linuxopen"]),
    (Class::Crossing, ["linuxopen", "linuxopen"]),
    (Class::Order, ["cgn_ei", "linuxopen"]),
    (Class::Order, ["apd_ei", "ei_apd"]),
    (Class::Order, ["apd_ei", "apd_apd"]),
    (Class::Birthday, ["fw", "apd_apd"]),
    (Class::Birthday, ["ei_apd", "apd_apd"]),
    (Class::Birthday, ["cgn_ei", "cgn_sym"]),
    (Class::Prediction, ["ei_apd", "apd_seq"]),
    (Class::Prediction, ["apd_seq", "apd_seq"]),
    (Class::Relay, ["apd_apd", "apd_apd"]),
    (Class::Relay, ["ad_apd", "apd_ad"]),
    (Class::Relay, ["cgn_sym", "apd_seq"]),
    (Class::RelayOverTcp, ["udpblk", "open"]),
    (Class::RelayOverTcp, ["udpblk", "ei_apd"]),
    (Class::RelayOverTcp, ["udpblk", "apd_apd"]),
    (Class::RelayOverTcp, ["udpblk", "udpblk"]),
    (Class::RelayOverTcp, ["tcp443", "ei_apd"]),
];

/// Connects the two hosts, and checks the path against the class.
pub(crate) fn connects(class: Class, names: [&'static str; 2]) -> Outcome {
    let [first, second] = names.map(|name| named(name).ok_or("no such kind"));
    let network = Network::of(PairTopology::build([first?, second?])?)?;
    let name = format!("{} {} {}", class.name(), names[0], names[1]);
    match class {
        Class::Order => return by_order(&network, &name),
        Class::Direct | Class::Crossing => {
            let found = network.run(None, SETTLED)?;
            eprintln!("{name}: {found}");
            if class == Class::Direct && !found.is_direct() {
                return Err(format!("{name}: not direct: {found}").into());
            }
        }
        Class::Birthday | Class::Prediction | Class::Relay | Class::RelayOverTcp => {
            let found = network.run(None, Duration::ZERO)?;
            eprintln!("{name}: {found}");
            if !found.is_relayed() || found.connected > RELAYED_WITHIN {
                return Err(format!("{name}: not through the relay within {RELAYED_WITHIN:?}: {found}").into());
            }
        }
    }
    Ok(())
}

/// Of five runs in which the second host sends first, four must be direct. One run has the other order.
fn by_order(network: &Network, name: &str) -> Outcome {
    let mut direct = 0;
    for sender in [1, 1, 1, 1, 1, 0] {
        let found = network.run(Some(sender), SETTLED)?;
        eprintln!("{name}, host {sender} sends first: {found}");
        direct += u32::from(sender == 1 && found.is_direct());
    }
    eprintln!("{name}: direct in {direct} of 5 runs");
    if direct >= 4 { Ok(()) } else { Err(format!("{name}: direct in {direct} of 5 runs").into()) }
}

/// The time in which a direct path replaces a selected path through the relay.
const SETTLED: Duration = Duration::from_secs(2);

/// The delay of the answer if one host must send first: several checks fit in it.
const ANSWER_DELAY: Duration = Duration::from_millis(250);

/// The bound from the start message to a valid path through the relay.
const RELAYED_WITHIN: Duration = Duration::from_secs(1);
/// The bound of one run, on a busy machine too.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Two hosts and a running TURN server.
struct Network {
    topology: PairTopology,
    _server: Process,
}

/// The result of a run: the selected pair of each host, and the times from the start message.
struct Found {
    pairs: [Value; 2],
    connected: Duration,
    selected: Duration,
}

impl Found {
    fn types(&self) -> impl Iterator<Item = &str> {
        self.pairs.iter().flat_map(|pair| ["localType", "remoteType"].map(|side| pair[side].as_str().unwrap_or("none")))
    }

    fn is_relayed(&self) -> bool {
        self.pairs.iter().all(|pair| pair["localType"] == "relay" || pair["remoteType"] == "relay")
    }

    fn is_direct(&self) -> bool {
        self.types().all(|kind| matches!(kind, "host" | "srflx" | "prflx"))
    }
}

impl core::fmt::Display for Found {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let words: Vec<&str> = self.types().collect();
        let (connected, selected) = (self.connected.as_millis(), self.selected.as_millis());
        write!(f, "{}, connected in {connected} ms, selected in {selected} ms", words.join(" "))
    }
}

impl Network {
    fn of(topology: PairTopology) -> Outcome<Self> {
        let listen = PORTS.map(|port| format!("{}:{port}", topology.server));
        let user = format!("{USER}:{PASSWORD}");
        let mut arguments = vec!["--turn", "--realm", "example.org", "--user", &user, "--workers", "1"];
        listen.iter().for_each(|address| arguments.extend(["--listen", address]));
        // The addresses of these networks are reserved for documentation and tests.
        for peers in ["203.0.113.0/24", "198.51.100.0/24", "192.0.2.0/24", "198.18.2.0/24"] {
            arguments.extend(["--allow-peer", peers]);
        }
        let server = serve(&topology.servers, &arguments, PORTS.len())?;
        Ok(Self { topology, _server: server })
    }

    /// Connects the hosts until both have selected a direct pair, or a pair through the relay for some time. Then sends a
    /// text each way.
    ///
    /// Usually the first host offers. If a host must send first, it answers, and its answer is held back for a while.
    fn run(&self, first_sender: Option<usize>, patience: Duration) -> Outcome<Found> {
        let [first, second] = self.topology.clients();
        let mut peers = [peer(first)?, peer(second)?];
        let started = Instant::now();
        for (place, peer) in peers.iter_mut().enumerate() {
            let is_offerer = first_sender.map_or(place == 0, |sender| place != sender);
            let role = if is_offerer { "offer" } else { "answer" };
            peer.tell(&json!({"type": "start", "role": role, "iceServers": self.servers()}))?;
            peer.is_held = first_sender.is_some() && is_offerer;
        }
        if let Some(sender) = first_sender {
            let mut checking = None;
            signal(&mut peers, TIMEOUT, |peers| {
                if peers.get(sender).is_some_and(|peer| peer.is("checking")) {
                    checking.get_or_insert_with(Instant::now);
                }
                checking.is_some_and(|since: Instant| since.elapsed() > ANSWER_DELAY)
            })?;
            peers.iter_mut().for_each(|peer| peer.is_held = false);
        }
        let (mut connected, mut completed, mut found) = (None, None, None);
        let wait = |peers: &[Peer; 2]| {
            let now = started.elapsed();
            if peers.iter().all(|peer| peer.is("connected") || peer.is("completed")) {
                connected.get_or_insert(now);
            }
            if !peers.iter().all(|peer| peer.is("completed")) {
                return false;
            }
            let first = *completed.get_or_insert(now);
            let pairs =
                peers.each_ref().map(|peer| peer.last_state().map(|state| state["pair"].clone()).unwrap_or_default());
            let current = Found { pairs, connected: connected.unwrap_or(now), selected: now };
            let is_settled = current.is_relayed() && now - first >= patience;
            let is_done = current.is_direct() || is_settled;
            found = is_done.then_some(current);
            is_done
        };
        signal(&mut peers, TIMEOUT, wait)?;
        for peer in &mut peers {
            peer.tell(&json!({"type": "send", "data": "over this path"}))?;
        }
        signal(&mut peers, TIMEOUT, |peers| peers.iter().all(|peer| peer.has(|message| message["type"] == "message")))?;
        for peer in peers {
            peer.end(TIMEOUT * 3)?;
        }
        found.ok_or_else(|| "no result".into())
    }

    /// The servers of a start message: STUN, and TURN over UDP and over TCP.
    fn servers(&self) -> Value {
        let server = self.topology.server;
        let [port, open_port] = PORTS;
        let turn = |port: u16, transport: &str| json!({"urls": format!("turn:{server}:{port}?transport={transport}"), "username": USER, "credential": PASSWORD});
        json!([{"urls": format!("stun:{server}:{port}")}, turn(port, "udp"), turn(open_port, "tcp")])
    }
}

/// Starts the command on a host.
fn peer(host: &Namespace) -> Outcome<Peer> {
    host.inside(|| Ok(Peer::start(portolan(&["ice", "--format", "json"])?)?))
}

/// The ports of the server. Strict firewalls let TCP pass to the second.
const PORTS: [u16; 2] = [3478, 443];
const USER: &str = "ann";
const PASSWORD: &str = "secret";
