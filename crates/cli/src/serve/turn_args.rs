//! The arguments of `portolan serve` that concern TURN.
//!
//! Rules of this file: an argument without a value is `None` or empty, so that `--turn` can be demanded for it. The
//! defaults are in [`super::turn`], and the help names them.

use super::address;
use crate::secret::Secret;
use clap::Args;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use portolan_turn::Cidr;
use std::path::PathBuf;

/// Arguments of `portolan serve` that concern TURN.
#[derive(Args, Debug, Default)]
#[command(next_help_heading = "Options for TURN")]
pub(crate) struct TurnArgs {
    /// Relay for the users (RFC 8656); needs --realm, and --users, --user or --auth-secret-file
    #[arg(long)]
    pub(crate) turn: bool,
    /// A secret for time-limited credentials; may be given several times (other programs can see it)
    ///
    /// A user name is TIME or TIME:ID, with the Unix time of its end. Its password is the base64 of HMAC-SHA1 of the
    /// name with the secret. To replace a secret, give the new one and the old one until its last credential has ended.
    #[arg(long, value_name = "SECRET", value_parser = Secret::parse)]
    pub(crate) auth_secret: Vec<Secret>,
    /// A file of such secrets, one per line; # begins a comment; keep it private (chmod 600)
    #[arg(long, value_name = "FILE")]
    pub(crate) auth_secret_file: Vec<PathBuf>,
    /// An address of this host for relay sockets, one of each family; =PUBLIC is reported to clients behind a 1:1 NAT
    ///
    /// The default is the address of the first --listen of each family, unless it stands for all addresses.
    #[arg(long, value_name = "ADDR[=PUBLIC]", value_parser = relay_address)]
    pub(crate) relay_address: Vec<(IpAddr, IpAddr)>,
    /// The ports of relay sockets; the default is 49152-65535
    #[arg(long, value_name = "MIN-MAX", value_parser = port_range)]
    pub(crate) relay_ports: Option<(u16, u16)>,
    /// Relay to these peers although their addresses are private or reserved; may be given several times
    ///
    /// The longest prefix of --allow-peer and --deny-peer decides; at equal lengths the peer is denied.
    #[arg(long, value_name = "CIDR")]
    pub(crate) allow_peer: Vec<Cidr>,
    /// Do not relay to these peers; may be given several times
    #[arg(long, value_name = "CIDR")]
    pub(crate) deny_peer: Vec<Cidr>,
    /// Maximum number of allocations; the default is 100000
    #[arg(long, value_name = "N", allow_negative_numbers = true,
          value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub(crate) max_allocations: Option<u32>,
    /// Maximum number of allocations of one user; the default is 64
    #[arg(long, value_name = "N", allow_negative_numbers = true,
          value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub(crate) max_allocations_per_user: Option<u32>,
    /// Maximum number of allocations of one source (an IPv4 address, an IPv6 /64); the default is 256
    #[arg(long, value_name = "N", allow_negative_numbers = true,
          value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub(crate) max_allocations_per_source: Option<u32>,
    /// Maximum number of permissions of one allocation; the default is 256
    #[arg(long, value_name = "N", allow_negative_numbers = true,
          value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) max_permissions: Option<u16>,
    /// Maximum number of channels of one allocation; the default is 256
    #[arg(long, value_name = "N", allow_negative_numbers = true,
          value_parser = clap::value_parser!(u16).range(1..=4096))]
    pub(crate) max_channels: Option<u16>,
    /// Maximum number of connections of one TCP allocation (RFC 6062); 0 refuses TCP allocations
    ///
    /// The default is 64 with one worker. With several workers TCP allocations are refused.
    #[arg(long, value_name = "N", allow_negative_numbers = true,
          value_parser = clap::value_parser!(u16).range(0..=4096))]
    pub(crate) max_connections: Option<u16>,
    /// Maximum bandwidth of one allocation in bytes per second, both directions together; the default is no limit
    #[arg(long, value_name = "N", allow_negative_numbers = true,
          value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_bandwidth: Option<u32>,
    /// Maximum lifetime of an allocation without a refresh, in seconds; the default is 3600
    #[arg(long, value_name = "S", allow_negative_numbers = true,
          value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub(crate) max_lifetime: Option<u32>,
    /// The addresses to listen on for TLS; the default port is 5349; may be given several times
    #[arg(long, value_name = "ADDR[:PORT]", value_parser = address::parse_tls)]
    pub(crate) tls_listen: Vec<SocketAddr>,
    /// The certificate chain for TLS in PEM format, the certificate of the server first
    #[arg(long, value_name = "FILE")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// The private key for TLS in PEM format; keep it private (chmod 600)
    #[arg(long, value_name = "FILE")]
    pub(crate) tls_key: Option<PathBuf>,
    /// Number of threads, each with its own sockets; the default is one for each core
    ///
    /// The limits and the relay ports are divided by this number. docs/serve.md has the consequences.
    #[arg(long, value_name = "N", allow_negative_numbers = true,
          value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) workers: Option<u16>,
    /// Size of the kernel's buffers of each listening UDP socket, in bytes; the default is the system's
    #[arg(long, value_name = "N", allow_negative_numbers = true,
          value_parser = clap::value_parser!(u32).range(4_096..=1_073_741_824))]
    pub(crate) socket_buffer: Option<u32>,
    /// Size of the kernel's buffers of each relay socket, in bytes; the default is the system's
    #[arg(long, value_name = "N", allow_negative_numbers = true,
          value_parser = clap::value_parser!(u32).range(4_096..=1_073_741_824))]
    pub(crate) relay_buffer: Option<u32>,
    /// Serve metrics over HTTP at /metrics, for Prometheus; on 127.0.0.1 unless an address is given
    #[arg(long, value_name = "[ADDR:]PORT", value_parser = metrics_address)]
    pub(crate) metrics: Option<SocketAddr>,
    /// Seconds in which existing allocations go on after SIGTERM or SIGINT; the default is 60
    #[arg(long, value_name = "S", allow_negative_numbers = true,
          value_parser = clap::value_parser!(u32).range(0..=86_400))]
    pub(crate) drain: Option<u32>,
}

impl TurnArgs {
    /// Returns the first argument that has no effect without `--turn`. A rendezvous has metrics too.
    pub(super) fn given(&self, is_rendezvous: bool) -> Option<&'static str> {
        let given = [
            ("--auth-secret", !self.auth_secret.is_empty()),
            ("--auth-secret-file", !self.auth_secret_file.is_empty()),
            ("--relay-address", !self.relay_address.is_empty()),
            ("--relay-ports", self.relay_ports.is_some()),
            ("--allow-peer", !self.allow_peer.is_empty()),
            ("--deny-peer", !self.deny_peer.is_empty()),
            ("--max-allocations", self.max_allocations.is_some()),
            ("--max-allocations-per-user", self.max_allocations_per_user.is_some()),
            ("--max-allocations-per-source", self.max_allocations_per_source.is_some()),
            ("--max-permissions", self.max_permissions.is_some()),
            ("--max-channels", self.max_channels.is_some()),
            ("--max-connections", self.max_connections.is_some()),
            ("--max-bandwidth", self.max_bandwidth.is_some()),
            ("--max-lifetime", self.max_lifetime.is_some()),
            ("--tls-listen", !self.tls_listen.is_empty()),
            ("--tls-cert", self.tls_cert.is_some()),
            ("--tls-key", self.tls_key.is_some()),
            ("--workers", self.workers.is_some_and(|workers| workers != 1)),
            ("--socket-buffer", self.socket_buffer.is_some()),
            ("--relay-buffer", self.relay_buffer.is_some()),
            ("--metrics", self.metrics.is_some() && !is_rendezvous),
            ("--drain", self.drain.is_some()),
        ];
        given.into_iter().find(|(_, is_given)| *is_given).map(|(name, _)| name)
    }
}

fn relay_address(text: &str) -> Result<(IpAddr, IpAddr), &'static str> {
    const SHAPE: &str = "an IP address without a port, or LOCAL=PUBLIC, such as 10.0.0.5=203.0.113.10";
    let (local, public) = text.split_once('=').unwrap_or((text, text));
    Ok((local.parse().map_err(|_| SHAPE)?, public.parse().map_err(|_| SHAPE)?))
}

fn port_range(text: &str) -> Result<(u16, u16), &'static str> {
    const SHAPE: &str = "two ports from 1 to 65535: MIN-MAX, such as 49152-65535";
    let (first, last) = text.split_once('-').ok_or(SHAPE)?;
    let port = |text: &str| text.parse().ok().filter(|port: &u16| *port != 0).ok_or(SHAPE);
    let (first, last) = (port(first)?, port(last)?);
    if first > last {
        return Err("the range is empty: the first port must not be above the last one");
    }
    Ok((first, last))
}

fn metrics_address(text: &str) -> Result<SocketAddr, &'static str> {
    let loopback = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let parsed = text.parse().map(loopback).or_else(|_| text.parse::<SocketAddr>());
    parsed.map_err(|_| "a port, or an IP address of this host with a port: 9100 or 127.0.0.1:9100 or [::1]:9100")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_of_ports_is_two_ports_in_order() {
        assert_eq!(port_range("49152-65535"), Ok((49_152, 65_535)));
        assert_eq!(port_range("5000-5000"), Ok((5_000, 5_000)));
        assert!(port_range("60000-50000").unwrap_err().contains("empty"));
        for text in ["", "-", "1", "0-5", "1-65536", "1-2-3", " 1-2", "a-b"] {
            assert!(port_range(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn metrics_are_on_loopback_unless_an_address_is_given() {
        assert_eq!(metrics_address("9100").unwrap().to_string(), "127.0.0.1:9100");
        assert_eq!(metrics_address("[::1]:9100").unwrap().to_string(), "[::1]:9100");
        assert_eq!(metrics_address("0.0.0.0:9100").unwrap().to_string(), "0.0.0.0:9100");
        for text in ["", ":9100", "localhost:9100", "65536", "127.0.0.1"] {
            assert!(metrics_address(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_relay_address_has_a_public_address_of_its_own_or_is_public_itself() {
        let (local, public) = ("10.0.0.5".parse().unwrap(), "203.0.113.10".parse().unwrap());
        assert_eq!(relay_address("10.0.0.5=203.0.113.10"), Ok((local, public)));
        assert_eq!(relay_address("203.0.113.10"), Ok((public, public)));
        for text in ["", "=", "10.0.0.5=", "10.0.0.5:3478", "a=b"] {
            assert!(relay_address(text).is_err(), "{text:?}");
        }
    }
}
