//! The plan of one run of `portolan nat`: the servers, the families, and the configuration of the discovery.

use super::args::NatArgs;
use super::error::NatError;
use super::offline;
use crate::options::Format;
use crate::require::Requirements;
use crate::servers::{self, Origin, ServerName};
use core::net::SocketAddr;
use core::time::Duration;
use portolan_nat::discovery::{DiscoveryConfig, StunServer};
use portolan_nat::profile::Family;

/// The servers, families and options of a run, from the command line.
#[derive(Debug)]
pub(crate) struct Plan<'a> {
    pub(super) args: &'a NatArgs,
    /// The servers to query.
    pub(crate) names: Vec<ServerName>,
    /// Where the list of servers comes from.
    pub(crate) origin: Origin,
    pub(super) families: Vec<Family>,
    /// The requirements of `--require`.
    pub(crate) requirements: Requirements,
}

impl<'a> Plan<'a> {
    pub(super) fn of(args: &'a NatArgs, variable: Option<&str>) -> Result<Self, NatError> {
        if args.watch.is_some() && args.output.format == Format::Json {
            return Err(NatError::WatchJson);
        }
        let (names, origin) = servers::choose(&args.server, variable)?;
        if names.is_empty() {
            return Err(if offline::has_route() { NatError::NoServers } else { NatError::Nothing });
        }
        Ok(Self { args, names, origin, families: families(args)?, requirements: Requirements::together(&args.require) })
    }

    pub(super) fn config(&self, servers: Vec<StunServer>, timeout: Duration) -> DiscoveryConfig {
        let mut config = DiscoveryConfig::new(servers);
        config.families.clone_from(&self.families);
        config.local.clone_from(&self.args.local);
        config.timeout = timeout;
        config.hairpin = self.args.hairpin;
        config.ports = self.args.ports;
        config
    }
}

/// Returns the families that the flags and the local addresses allow.
fn families(args: &NatArgs) -> Result<Vec<Family>, NatError> {
    let flag = match (args.ipv4, args.ipv6) {
        (true, _) => Some((Family::V4, "-4")),
        (false, true) => Some((Family::V6, "-6")),
        (false, false) => None,
    };
    let mut bound = Vec::new();
    for local in &args.local {
        let family = Family::of(&SocketAddr::new(*local, 0));
        if local.is_unspecified() || local.is_multicast() {
            return Err(NatError::LocalUnspecified(*local));
        }
        if let Some((_, flag)) = flag.filter(|(asked, _)| *asked != family) {
            return Err(NatError::LocalFamily { local: *local, flag });
        }
        if bound.contains(&family) {
            return Err(NatError::LocalTwice(*local));
        }
        bound.push(family);
    }
    bound.sort();
    Ok(match flag {
        Some((family, _)) => vec![family],
        None if bound.is_empty() => vec![Family::V4, Family::V6],
        None => bound,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nat::args::tests::args;

    fn refused(line: &str, variable: Option<&str>) -> String {
        Plan::of(&args(line), variable).unwrap_err().to_string()
    }

    #[test]
    fn flags_and_local_addresses_choose_the_families() {
        let of = |line: &str| families(&args(line)).unwrap();
        assert_eq!(of(""), [Family::V4, Family::V6]);
        assert_eq!(of("-4"), [Family::V4]);
        assert_eq!(of("-6"), [Family::V6]);
        assert_eq!(of("--local 2001:db8::7"), [Family::V6]);
        assert_eq!(of("--local 2001:db8::7 --local 192.0.2.7"), [Family::V4, Family::V6]);
        assert_eq!(of("-4 --local 192.0.2.7"), [Family::V4]);
    }

    #[test]
    fn invalid_combinations_are_refused_with_a_reason() {
        for (line, expected) in [
            ("-6 --local 192.0.2.7", "--local 192.0.2.7 is not of the family of -6"),
            (
                "--local 192.0.2.7 --local 192.0.2.8",
                "--local 192.0.2.8 is the second address of its family; name at most one IPv4 and one IPv6 address",
            ),
            ("--local 0.0.0.0", "--local 0.0.0.0 cannot be a source address; name an address of this host"),
            ("--watch --format json", "--watch reports changes line by line: use --format human or jsonl"),
        ] {
            assert_eq!(refused(line, Some("192.0.2.1")), expected);
        }
        assert!(refused("", Some("")).contains("PORTOLAN_SERVERS is set but empty"));
        assert!(refused("", Some("a:b")).starts_with("PORTOLAN_SERVERS, entry 1 (\"a:b\")"));
    }
}
