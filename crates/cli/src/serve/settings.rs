//! The settings of a TURN server, checked and divided among its workers.
//!
//! Rules of this file: every setting is checked before a socket is opened. A limit that cannot be divided among the
//! requested workers is an error. Without --workers there are as many as cores, but not more than each limit allows.

use super::credentials::Credentials;
use super::users::UserError;
use super::{RateLimit, ServeArgs, share};
use crate::output;
use core::net::{IpAddr, SocketAddr};
use core::num::{NonZeroU32, NonZeroUsize};
use core::time::Duration;
use portolan_machine::{Protocol, SocketId};
use portolan_stun_agent::{Authenticator, Rate};
use portolan_tokio::DriverConfig;
use portolan_turn::{Bandwidth, PeerPolicy, Server, ServerConfig, ServerConfigError, ServerLimits, ServerSocket};
use std::thread;

/// The default range of relay ports (RFC 8656 §7.2).
const RELAY_PORTS: (u16, u16) = (49_152, 65_535);

/// The default time in which allocations go on after a stop signal. It is below the 90 s after which systemd kills.
const DRAIN: Duration = Duration::from_secs(60);

/// Why the settings of a TURN server are refused.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SettingsError {
    #[error("{0} has no effect without --turn; add --turn, or leave {0} out")]
    NeedsTurn(&'static str),
    #[error(
        "--turn and {0} cannot be combined: RFC 5780 needs one server on two addresses, and --turn shares addresses \
         among workers; run a second portolan serve on other ports"
    )]
    Alternate(&'static str),
    #[error("--turn needs --realm, for example your domain name: TURN has long-term credentials (RFC 8656 §5)")]
    NoRealm,
    #[error(transparent)]
    Users(#[from] UserError),
    #[error(
        "--turn needs --relay-address, because --listen names no single address: give an address of this host that \
         peers can reach"
    )]
    NoRelayAddress,
    #[error("--relay-address: {0}")]
    Server(#[from] ServerConfigError),
    #[error("--tls-listen needs {0} FILE, in PEM format")]
    NoCertificate(&'static str),
    #[error("{0} has no effect without --tls-listen; add --tls-listen 0.0.0.0, or leave {0} out")]
    NoTlsListen(&'static str),
    #[error("{name} {value} cannot be divided among {workers} workers; raise {name}, or lower --workers")]
    Divided { name: &'static str, value: u32, workers: u16 },
    #[error(
        "--relay-ports {first}-{last} has not two ports for each of {workers} workers; enlarge the range, or lower \
         --workers"
    )]
    Ports { first: u16, last: u16, workers: u16 },
    #[error(
        "--max-connections {0} needs --workers 1: the second stream of a TCP allocation (RFC 6062) can reach another \
         worker"
    )]
    Connections(u16),
    #[cfg(not(unix))]
    #[error("this system divides no addresses among workers; leave out --workers")]
    Workers,
}

/// The checked settings.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) workers: u16,
    pub(super) credentials: Credentials,
    pub(super) drain: Duration,
    /// The limit of allocations of all workers.
    pub(super) allocations: u32,
    /// The settings of each worker.
    pub(super) servers: Vec<ServerSettings>,
}

/// The settings of one worker.
#[derive(Clone, Debug)]
pub(super) struct ServerSettings {
    relays: Vec<(IpAddr, IpAddr)>,
    ports: (u16, u16),
    policy: PeerPolicy,
    rate: Option<Rate>,
    limits: ServerLimits,
    max_lifetime: Duration,
}

impl ServerSettings {
    /// Returns the settings of the driver. Its limits are above those of the server, which counts only streams without
    /// an allocation, and closes an idle one in favour of a new one.
    pub(super) fn driver(&self) -> DriverConfig {
        let ServerLimits { allocations, allocations_per_source, connections, .. } = self.limits;
        let streams = self.limits.streams.saturating_add(allocations);
        let of_source = self.limits.streams_per_source.saturating_add(allocations_per_source);
        super::driver_limits(super::count(streams), super::count(of_source.saturating_add(u32::from(connections))))
    }

    /// Returns the configuration of the server of a worker.
    pub(super) fn config(&self, authenticator: Authenticator) -> ServerConfig {
        let mut config = ServerConfig::new(authenticator)
            .ports(self.ports.0, self.ports.1)
            .policy(self.policy.clone())
            .rate(self.rate)
            .limits(self.limits)
            .lifetimes(ServerConfig::LIFETIME.min(self.max_lifetime), self.max_lifetime);
        for (local, public) in &self.relays {
            config = config.relay_behind_nat(*local, *public);
        }
        config
    }
}

impl Settings {
    /// Checks the arguments.
    ///
    /// # Errors
    /// [`SettingsError`], with the argument and the remedy.
    pub(super) fn check(args: &ServeArgs, nonces: [u8; 32]) -> Result<Self, SettingsError> {
        for (name, is_given) in
            [("--alternate", !args.alternate.is_empty()), ("--advertise", !args.advertise.is_empty())]
        {
            if is_given {
                return Err(SettingsError::Alternate(name));
            }
        }
        check_tls(args)?;
        let realm = args.realm.as_deref().ok_or(SettingsError::NoRealm)?;
        let credentials = Credentials::read(args, realm, nonces)?;
        let relays = relay_addresses(args)?;
        let workers = workers(args)?;
        let servers = divided(args, workers, &relays)?;
        let settings = Self {
            workers,
            credentials,
            drain: args.turn.drain.map_or(DRAIN, |seconds| Duration::from_secs(seconds.into())),
            allocations: limits(args).allocations,
            servers,
        };
        settings.check_server()?;
        Ok(settings)
    }

    /// Creates the server of the first worker on a socket that does not exist. So a faulty setting is found here, not
    /// in a thread.
    fn check_server(&self) -> Result<(), SettingsError> {
        let Some(first) = self.servers.first() else { return Ok(()) };
        let socket = ServerSocket::new(SocketId(0), Protocol::Udp, SocketAddr::from(([127, 0, 0, 1], 1)));
        Server::over(&first.config(self.credentials.authenticator(Duration::ZERO)?), &[socket])?;
        Ok(())
    }

    /// The relay addresses, as reported to clients.
    pub(super) fn relay_addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.servers.first().into_iter().flat_map(|server| server.relays.iter().map(|(_, public)| *public))
    }

    /// The whole range of relay ports.
    pub(super) fn relay_ports(&self) -> (u16, u16) {
        let first = self.servers.first().map_or(0, |server| server.ports.0);
        (first, self.servers.last().map_or(0, |server| server.ports.1))
    }
}

/// Returns the policy of the peers.
pub(super) fn policy(args: &ServeArgs) -> PeerPolicy {
    let policy = args.turn.allow_peer.iter().fold(PeerPolicy::new(), |policy, prefix| policy.allow(*prefix));
    args.turn.deny_peer.iter().fold(policy, |policy, prefix| policy.deny(*prefix))
}

fn check_tls(args: &ServeArgs) -> Result<(), SettingsError> {
    let given = [("--tls-cert", args.turn.tls_cert.is_some()), ("--tls-key", args.turn.tls_key.is_some())];
    let is_listening = !args.turn.tls_listen.is_empty();
    match given.into_iter().find(|(_, is_given)| *is_given != is_listening) {
        Some((name, true)) => Err(SettingsError::NoTlsListen(name)),
        Some((name, false)) => Err(SettingsError::NoCertificate(name)),
        None => Ok(()),
    }
}

/// Returns the relay addresses: the given ones, or the first address of each family that clients use.
fn relay_addresses(args: &ServeArgs) -> Result<Vec<(IpAddr, IpAddr)>, SettingsError> {
    if !args.turn.relay_address.is_empty() {
        return Ok(args.turn.relay_address.clone());
    }
    let mut relays: Vec<(IpAddr, IpAddr)> = Vec::new();
    for local in args.listen.iter().chain(&args.turn.tls_listen).map(SocketAddr::ip) {
        let is_new = !relays.iter().any(|(other, _)| other.is_ipv4() == local.is_ipv4());
        // A relayed address has no zone, so a link-local address cannot be one.
        let is_usable = !local.is_unspecified() && !matches!(local, IpAddr::V6(ip) if ip.is_unicast_link_local());
        if is_new && is_usable {
            relays.push((local, local));
        }
    }
    if relays.is_empty() { Err(SettingsError::NoRelayAddress) } else { Ok(relays) }
}

fn limits(args: &ServeArgs) -> ServerLimits {
    let mut limits = ServerLimits::default();
    let turn = &args.turn;
    limits.allocations = turn.max_allocations.unwrap_or(limits.allocations);
    limits.allocations_per_user = turn.max_allocations_per_user.unwrap_or(limits.allocations_per_user);
    limits.allocations_per_source = turn.max_allocations_per_source.unwrap_or(limits.allocations_per_source);
    limits.permissions = turn.max_permissions.unwrap_or(limits.permissions);
    limits.channels = turn.max_channels.unwrap_or(limits.channels);
    limits.connections = turn.max_connections.unwrap_or(limits.connections);
    (limits.streams, limits.streams_per_source) = (args.streams, args.streams_per_source);
    limits.bandwidth = turn.max_bandwidth.and_then(NonZeroU32::new).map(Bandwidth::per_second);
    limits
}

/// Returns the limits that are divided.
fn whole(args: &ServeArgs) -> Vec<(&'static str, u32)> {
    let limits = limits(args);
    let mut whole = vec![
        ("--max-allocations", limits.allocations),
        ("--max-allocations-per-user", limits.allocations_per_user),
        ("--max-allocations-per-source", limits.allocations_per_source),
        ("--streams", limits.streams),
        ("--streams-per-source", limits.streams_per_source),
    ];
    if let RateLimit::PerSecond(rate) = args.rate {
        whole.push(("--rate", rate));
    }
    whole
}

/// Returns the number of workers.
fn workers(args: &ServeArgs) -> Result<u16, SettingsError> {
    let connections = args.turn.max_connections.unwrap_or_default();
    if let Some(workers) = args.turn.workers {
        if workers > 1 && connections > 0 {
            return Err(SettingsError::Connections(connections));
        }
        #[cfg(not(unix))]
        if workers > 1 {
            return Err(SettingsError::Workers);
        }
        return Ok(workers);
    }
    let cores =
        if cfg!(unix) && connections == 0 { thread::available_parallelism().map_or(1, NonZeroUsize::get) } else { 1 };
    let (first, last) = args.turn.relay_ports.unwrap_or(RELAY_PORTS);
    let pairs = u32::from(last - first).div_ceil(2);
    let most = whole(args).into_iter().map(|(_, limit)| limit).chain([pairs]).min().unwrap_or(1);
    let workers = u32::try_from(cores).unwrap_or(u32::MAX).min(most).clamp(1, 256);
    Ok(u16::try_from(workers).unwrap_or(1))
}

/// Divides the limits and the ports.
fn divided(args: &ServeArgs, workers: u16, relays: &[(IpAddr, IpAddr)]) -> Result<Vec<ServerSettings>, SettingsError> {
    let of = |name, value| share::limit(value, workers).ok_or(SettingsError::Divided { name, value, workers });
    for (name, value) in whole(args) {
        of(name, value)?;
    }
    let mut limits = limits(args);
    limits.allocations = of("--max-allocations", limits.allocations)?;
    limits.allocations_per_user = of("--max-allocations-per-user", limits.allocations_per_user)?;
    limits.allocations_per_source = of("--max-allocations-per-source", limits.allocations_per_source)?;
    if workers > 1 {
        limits.connections = 0;
    }
    limits.streams = of("--streams", limits.streams)?;
    limits.streams_per_source = of("--streams-per-source", limits.streams_per_source)?;
    let rate = match args.rate {
        RateLimit::Off => None,
        RateLimit::PerSecond(rate) => NonZeroU32::new(of("--rate", rate)?).map(Rate::per_second),
    };
    let (first, last) = args.turn.relay_ports.unwrap_or(RELAY_PORTS);
    let ports = share::ports((first, last), workers).ok_or(SettingsError::Ports { first, last, workers })?;
    let server = ServerSettings {
        relays: relays.to_vec(),
        ports: (first, last),
        policy: policy(args),
        rate,
        limits,
        max_lifetime: args
            .turn
            .max_lifetime
            .map_or(ServerConfig::LIFETIME_MAX, |seconds| Duration::from_secs(seconds.into())),
    };
    Ok(ports.into_iter().map(|ports| ServerSettings { ports, ..server.clone() }).collect())
}

/// Raises the limit of open files as far as the system allows. Returns the limit, if the system has one.
pub(super) fn raise_descriptors() -> Option<u64> {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let maximum = getrlimit(Resource::Nofile).maximum;
        // The system can refuse; the old limit then stays.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
        getrlimit(Resource::Nofile).current
    }
    #[cfg(not(unix))]
    None
}

/// Reports a limit of open files that is below the number of allocations.
pub(super) fn report_descriptors(limit: Option<u64>, allocations: u32) {
    if let Some(limit) = limit.filter(|limit| *limit < u64::from(allocations)) {
        output::print_diagnostic(format_args!(
            "the limit of open files ({limit}) is below --max-allocations {allocations}: an allocation needs one, and \
             gets 508 without; raise the limit (ulimit -Hn), or lower --max-allocations"
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Cli, Command};
    use clap::Parser as _;

    fn args(line: &str) -> ServeArgs {
        let words = ["portolan", "serve", "--turn"].into_iter().chain(line.split_whitespace());
        let Command::Serve(args) = Cli::try_parse_from(words).unwrap().command else { panic!("serve") };
        *args
    }

    fn check(line: &str) -> Result<Settings, String> {
        Settings::check(&args(line), [7; 32]).map_err(|error| error.to_string())
    }

    const BASE: &str = "--listen 127.0.0.1 --realm r --user a:b";

    #[test]
    fn each_faulty_setting_has_its_argument_and_its_remedy() {
        for (line, words) in [
            ("--listen 127.0.0.1 --realm r", &["open relay", "--users"][..]),
            ("--listen 127.0.0.1 --user a:b", &["--realm", "domain name"]),
            ("--realm r --user a:b", &["--relay-address", "peers can reach"]),
            ("--listen 0.0.0.0 --realm r --user a:b", &["--relay-address"]),
            ("--listen 127.0.0.1 --realm r --user a:b --alternate 127.0.0.2:3479", &["--alternate", "second portolan"]),
            ("--listen 127.0.0.1 --realm r --user a:b --advertise 127.0.0.1=192.0.2.1", &["--advertise"]),
            ("--listen 127.0.0.1 --realm r --user a:b --tls-cert x", &["--tls-cert", "--tls-listen"]),
            ("--listen 127.0.0.1 --realm r --user a:b --tls-listen 127.0.0.1", &["--tls-cert FILE"]),
            ("--listen 127.0.0.1 --realm r --user a:b --tls-listen 127.0.0.1 --tls-cert x", &["--tls-key FILE"]),
            ("--listen 127.0.0.1 --realm r --user a:b --relay-address 224.0.0.1", &["224.0.0.1"]),
            (
                "--listen 127.0.0.1 --realm r --user a:b --relay-address 10.0.0.1 --relay-address 10.0.0.2",
                &["10.0.0.2", "second"],
            ),
            (
                "--listen 127.0.0.1 --realm r --user a:b --workers 3 --max-allocations 2",
                &["--max-allocations 2", "3 workers"],
            ),
            (
                "--listen 127.0.0.1 --realm r --user a:b --workers 3 --max-connections 1",
                &["--max-connections 1", "--workers 1"],
            ),
            ("--listen 127.0.0.1 --realm r --user a:b --workers 3 --rate 2", &["--rate 2", "3 workers"]),
            (
                "--listen 127.0.0.1 --realm r --user a:b --workers 3 --relay-ports 50000-50003",
                &["50000-50003", "3 workers"],
            ),
        ] {
            let error = check(line).unwrap_err();
            assert_eq!(error.lines().count(), 1, "{error:?}");
            for word in words {
                assert!(error.contains(word), "{line}: {word:?} is missing: {error}");
            }
        }
    }

    #[test]
    fn an_option_of_turn_needs_turn() {
        for line in ["--workers 2", "--relay-ports 1-2", "--allow-peer 10.0.0.0/8", "--metrics 9100", "--drain 0"] {
            let words = ["portolan", "serve"].into_iter().chain(line.split_whitespace());
            let Command::Serve(args) = Cli::try_parse_from(words).unwrap().command else { panic!("serve") };
            assert_eq!(args.turn.given(false), line.split(' ').next());
        }
        assert_eq!(args("--workers 1").turn.given(false), None, "without --turn there is one worker");
    }

    #[test]
    fn limits_are_divided_and_the_default_number_of_workers_respects_them() {
        let settings = check(&format!("{BASE} --workers 4 --max-allocations 10 --max-allocations-per-user 9")).unwrap();
        assert_eq!((settings.workers, settings.servers.len(), settings.allocations), (4, 4, 10));
        for server in &settings.servers {
            assert_eq!((server.limits.allocations, server.limits.allocations_per_user), (2, 2));
        }
        assert_eq!(settings.relay_ports(), RELAY_PORTS);
        for line in [
            "--max-allocations 1",
            "--max-allocations-per-user 1",
            "--relay-ports 5000-5001",
            "--relay-ports 5000-5000",
            "--rate 1",
            "--max-connections 9",
        ] {
            assert_eq!(check(&format!("{BASE} {line}")).unwrap().workers, 1, "{line}");
        }
    }

    #[test]
    fn the_relay_address_is_the_first_address_of_each_family_to_listen_on() {
        let line = "--listen 0.0.0.0 --listen 127.0.0.2 --listen 127.0.0.3 --listen [::1] --realm r --user a:b";
        let relays: Vec<_> = check(line).unwrap().relay_addresses().map(|ip| ip.to_string()).collect();
        assert_eq!(relays, ["127.0.0.2", "::1"]);
    }
}
