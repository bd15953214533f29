//! Two clients, each behind the routers of its kind, and a server between them on the public link.
//!
//! The second client differs in its external addresses, and in all addresses of its home (the carrier side is the same,
//! because it is behind the outer router). A route to a client without translation exists at all public hosts.

use super::{AccessNetwork, Layout, addresses, bridge, default_route, link, prepare, run, tool, without_prefix};
use crate::Outcome;
use crate::kinds::{Family, Kind};
use crate::line::{self, DelayLine};
use crate::namespace::{Namespace, next_number};
use core::net::IpAddr;
use core::time::Duration;

/// A network of two clients. Its namespaces are deleted when it is dropped.
pub(crate) struct PairTopology {
    /// The host with the servers.
    pub(crate) servers: Namespace,
    /// The address of that host.
    pub(crate) server: IpAddr,
    access: [AccessNetwork; 2],
    /// The line of the second client.
    pub(crate) line: Option<DelayLine>,
    /// The public link.
    _public: Namespace,
}

impl PairTopology {
    /// Creates a network with a client of each kind. Both kinds are IPv4.
    pub(crate) fn build(kinds: [&'static Kind; 2]) -> Outcome<Self> {
        Self::with_delay(kinds, None)
    }

    /// Creates the same network with this delay between the public link and the second client, in each direction.
    pub(crate) fn with_delay(kinds: [&'static Kind; 2], delay: Option<Duration>) -> Outcome<Self> {
        let number = next_number();
        let [first, second] = kinds;
        let layouts = [Layout::of(first), Layout::of(second).at_second_client()];
        let routes = layouts.each_ref().map(|layout| layout.return_route);
        let server = layouts[0].primary;
        let [first_layout, second_layout] = layouts;
        let public = Namespace::new(number, "public")?;
        let servers = Namespace::new(number, "servers")?;
        let access = [
            AccessNetwork::new(number, "a", first, first_layout)?,
            AccessNetwork::new(number, "b", second, second_layout)?,
        ];
        let hosts = access.iter().flat_map(AccessNetwork::hosts);
        for host in [&public, &servers].into_iter().chain(hosts) {
            prepare(host, Family::V4)?;
        }
        let mut batch = String::new();
        link(&mut batch, ("servers", &public), ("eth0", &servers));
        let [near, far] = access.each_ref().map(|access| access.link(&mut batch));
        link(&mut batch, (DEVICES[0], &public), near);
        let line = match delay {
            Some(delay) => Some((line(number)?, delay)),
            None => None,
        };
        match &line {
            Some((line, _)) => line::link(&mut batch, line, (DEVICES[1], &public), far),
            None => link(&mut batch, (DEVICES[1], &public), far),
        }
        run(tool("ip").args(["-batch", "-"]), &batch)?;
        let line = line.map(|(line, delay)| DelayLine::start(line, delay)).transpose()?;
        public.ip(&bridge(&["servers", DEVICES[0], DEVICES[1]]))?;
        let (own, default) = (addresses("eth0", &[server]), default_route("eth0", Family::V4, None));
        servers.ip(&format!("{own}{default}{}", routes.concat()))?;
        for (access, route) in access.iter().zip(routes.iter().rev()) {
            access.configure(route)?;
        }
        for access in &access {
            access.wait_until_reachable(&[(&servers, server)])?;
        }
        for access in &access {
            access.load_rules()?;
        }
        Ok(Self { servers, server: without_prefix(server).parse()?, access, line, _public: public })
    }

    /// The outermost router of the second client.
    pub(crate) fn second_router(&self) -> Outcome<&Namespace> {
        let [_, second] = &self.access;
        Ok(second.routers.last().ok_or("no router")?)
    }

    /// The external address of the second client, and its own address.
    pub(crate) fn second_addresses(&self) -> (&'static str, &'static str) {
        let [_, second] = &self.access;
        let [external, _] = second.layout.external;
        (without_prefix(external), without_prefix(second.layout.client))
    }

    /// The hosts of the two clients.
    pub(crate) fn clients(&self) -> [&Namespace; 2] {
        self.access.each_ref().map(|access| &access.client)
    }
}

/// The devices of the public link towards the two clients.
const DEVICES: [&str; 2] = ["wan0", "wan1"];

/// Creates the namespace of a line.
fn line(number: u32) -> Outcome<Namespace> {
    let line = Namespace::new(number, "line")?;
    prepare(&line, Family::V4)?;
    Ok(line)
}

impl Layout {
    /// Returns the layout of the second client.
    fn at_second_client(self) -> Self {
        let (client, gateway, return_route) = match (self.gateway.is_empty(), self.return_route.is_empty()) {
            (true, _) => ("198.51.100.78/24", "", ""),
            (false, true) => ("192.168.2.2/24", "192.168.2.1/24", ""),
            (false, false) => ("198.18.2.2/24", "198.18.2.1/24", "route add 198.18.2.0/24 via 198.51.100.3\n"),
        };
        Self { client, gateway, return_route, external: ["198.51.100.3/24", "198.51.100.4/24"], ..self }
    }
}
