//! Networks of namespaces: one public link, the servers on it, and a client behind the routers of its kind.
//!
//! ```text
//!   servers 203.0.113.10 .11      second 203.0.113.20
//!          |                             |
//!   =======+======= public link ========+=======          2001:db8:113::/64
//!          | wan 198.51.100.1 (.2)
//!      outer router
//!          | lan 100.64.1.1        (carrier side, only with two routers)
//!          | wan 100.64.1.2
//!      inner router
//!          | lan 192.168.1.1       (192.0.2.1 or 2001:db8:113:1::1 without translation; 100.64.1.1 if the client
//!          |                        is a direct customer of the carrier)
//!        client 192.168.1.2        (198.51.100.77 or 2001:db8:113::77 without a router)
//! ```

mod pair;

pub(crate) use pair::PairTopology;

use core::fmt::Write as _;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use crate::Outcome;
use crate::kinds::{Family, Kind};
use crate::lab::{run, tool};
use crate::namespace::{Namespace, next_number};
use crate::rules::{Mapping, Router, Site};

/// A network of a kind. Its namespaces are deleted when it is dropped.
pub(crate) struct Topology {
    /// The host with two addresses.
    pub(crate) servers: Namespace,
    /// A host with another address.
    pub(crate) second: Namespace,
    /// The host behind the routers.
    pub(crate) client: Namespace,
    /// The addresses of the client and the servers.
    pub(crate) plan: Plan,
    /// The routers, from the client outwards.
    _routers: Vec<Namespace>,
    /// The public link.
    _public: Namespace,
}

/// The addresses of a network.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// The first address of the server host.
    pub(crate) primary: IpAddr,
    /// The second address of the server host.
    pub(crate) alternate: IpAddr,
    /// The address of the second host.
    pub(crate) second: IpAddr,
    /// The address of the client.
    pub(crate) client: IpAddr,
    /// The addresses under which the servers may see the client.
    pub(crate) external: [IpAddr; 2],
}

impl Topology {
    /// Creates a network of this kind.
    pub(crate) fn build(kind: &'static Kind) -> Outcome<Self> {
        let layout = Layout::of(kind);
        let plan = layout.plan()?;
        let number = next_number();
        let public = Namespace::new(number, "public")?;
        let servers = Namespace::new(number, "servers")?;
        let second = Namespace::new(number, "second")?;
        let access = AccessNetwork::new(number, "", kind, layout)?;
        for host in [&public, &servers, &second].into_iter().chain(access.hosts()) {
            prepare(host, kind.family)?;
        }
        let mut batch = String::new();
        link(&mut batch, ("servers", &public), ("eth0", &servers));
        link(&mut batch, ("second", &public), ("eth0", &second));
        let outermost = access.link(&mut batch);
        link(&mut batch, ("wan", &public), outermost);
        run(tool("ip").args(["-batch", "-"]), &batch)?;

        public.ip(&bridge(&["servers", "second", "wan"]))?;
        let layout = &access.layout;
        for (host, list) in [(&servers, &[layout.primary, layout.alternate][..]), (&second, &[layout.second])] {
            let (addresses, route) = (addresses("eth0", list), default_route("eth0", kind.family, None));
            host.ip(&format!("{addresses}{route}{}", layout.return_route))?;
        }
        access.configure("")?;
        let others = [(&servers, layout.primary), (&servers, layout.alternate), (&second, layout.second)];
        access.wait_until_reachable(&others)?;
        access.load_rules()?;
        let AccessNetwork { client, routers, .. } = access;
        Ok(Self { servers, second, client, plan, _routers: routers, _public: public })
    }
}

/// A client and the routers of its kind, which end at the public link.
struct AccessNetwork {
    kind: &'static Kind,
    layout: Layout,
    client: Namespace,
    /// The routers, from the client outwards.
    routers: Vec<Namespace>,
}

impl AccessNetwork {
    /// Creates the namespaces. The suffix is a part of their names.
    fn new(number: u32, suffix: &str, kind: &'static Kind, layout: Layout) -> Outcome<Self> {
        let client = Namespace::new(number, &format!("client{suffix}"))?;
        let routers = (0..kind.routers.len()).map(|n| Namespace::new(number, &format!("router{suffix}{n}")));
        Ok(Self { kind, layout, client, routers: routers.collect::<Outcome<_>>()? })
    }

    /// All namespaces.
    fn hosts(&self) -> impl Iterator<Item = &Namespace> {
        core::iter::once(&self.client).chain(&self.routers)
    }

    /// Adds the commands that link the hosts in a row. Returns the device of the outermost host that is not linked.
    fn link(&self, batch: &mut String) -> (&'static str, &Namespace) {
        let mut inside = ("eth0", &self.client);
        for router in &self.routers {
            link(batch, ("lan", router), inside);
            inside = ("wan", router);
        }
        inside
    }

    fn positions(&self) -> impl Iterator<Item = RouterPosition> {
        (0..self.routers.len()).map(|n| self.layout.router(n, n + 1 == self.routers.len()))
    }

    /// Configures the client and the routers. The host on the public link gets these routes too.
    fn configure(&self, routes: &str) -> Outcome {
        let (layout, family) = (&self.layout, self.kind.family);
        let client =
            format!("{}{}", addresses("eth0", &[layout.client]), default_route("eth0", family, layout.gateway()));
        self.client.ip(&client)?;
        for (router, place) in self.routers.iter().zip(self.positions()) {
            configure_router(router, &place)?;
        }
        self.routers.last().unwrap_or(&self.client).ip(routes)
    }

    /// Waits until each link has carried a packet, because a new link loses packets for a while. Must run before the rules
    /// are loaded.
    fn wait_until_reachable(&self, others: &[(&Namespace, &str)]) -> Outcome {
        let mut inside = (&self.client, self.layout.client);
        for (router, place) in self.routers.iter().zip(self.positions()) {
            wait_until_reachable(inside, (router, place.lan))?;
            let [external, _] = place.wan;
            inside = (router, external);
        }
        others.iter().try_for_each(|other| wait_until_reachable(inside, *other))
    }

    fn load_rules(&self) -> Outcome {
        for ((router, place), rules) in self.routers.iter().zip(self.positions()).zip(self.kind.routers) {
            load_rules(router, rules, &place)?;
        }
        Ok(())
    }
}

/// Adds the command that links two devices of two hosts.
fn link(batch: &mut String, one: (&str, &Namespace), other: (&str, &Namespace)) {
    let ((device, host), (other_device, other_host)) = (one, other);
    let _ = writeln!(
        batch,
        "link add name {device} netns {} type veth peer name {other_device} netns {}",
        host.name(),
        other_host.name()
    );
}

/// Returns the `ip` commands that make the public link of these devices.
fn bridge(devices: &[&str]) -> String {
    let mut lines = "link add name link0 type bridge forward_delay 0 mcast_snooping 0\nlink set link0 up\n".to_owned();
    for device in devices {
        let _ = writeln!(lines, "link set {device} master link0 up");
    }
    lines
}

/// Sets the variables of the kernel. It must run before any device exists, because a variable decides whether IPv6
/// addresses are ready at once.
fn prepare(host: &Namespace, family: Family) -> Outcome {
    match family {
        Family::V4 => host.set(&[("ipv6/conf/default/disable_ipv6", "1"), ("ipv6/conf/all/disable_ipv6", "1")]),
        // Addresses are usable at once, and no router is solicited.
        Family::V6 => {
            host.set(&[("ipv6/conf/default/accept_dad", "0"), ("ipv6/conf/default/router_solicitations", "0")])
        }
    }?;
    host.ip("link set lo up\n")
}

/// Assigns addresses to a router and enables forwarding.
fn configure_router(router: &Namespace, place: &RouterPosition) -> Outcome {
    router.set(&[("ipv4/ip_forward", "1"), ("ipv6/conf/all/forwarding", "1")])?;
    let (wan, lan) = (addresses("wan", &place.wan), addresses("lan", &[place.lan]));
    router.ip(&format!("{wan}{lan}{}", default_route("wan", place.family, place.next)))
}

/// Loads the rules of a router.
fn load_rules(host: &Namespace, router: &Router, place: &RouterPosition) -> Outcome {
    let site = Site {
        external: without_prefix(place.wan[0]),
        second: without_prefix(place.wan[1]),
        inside: without_prefix(place.inside),
        v6: place.family == Family::V6,
    };
    host.nft(&router.rules(&site))?;
    // These variables exist once the rules have loaded connection tracking.
    let lifetime = router.lifetime.to_string();
    host.set(&[
        ("netfilter/nf_conntrack_udp_timeout", &lifetime),
        ("netfilter/nf_conntrack_udp_timeout_stream", &lifetime),
    ])
}

/// Waits until two hosts on one link reach each other.
fn wait_until_reachable(one: (&Namespace, &str), other: (&Namespace, &str)) -> Outcome {
    let bind = |(host, address): (&Namespace, &str)| host.bind(SocketAddr::new(without_prefix(address).parse()?, 0));
    let (here, there) = (bind(one)?, bind(other)?);
    for (from, to) in [(&here, &there), (&there, &here)] {
        to.set_read_timeout(Some(Duration::from_millis(10)))?;
        let mut received = false;
        for _ in 0..500 {
            from.send_to(b"ready?", to.local_addr()?)?;
            received = to.recv_from(&mut [0; 8]).is_ok();
            if received {
                break;
            }
        }
        if !received {
            return Err(format!("{} and {} do not reach each other", one.1, other.1).into());
        }
    }
    Ok(())
}

/// The addresses of a network in the format of `ip`, with the prefix length.
struct Layout {
    family: Family,
    primary: &'static str,
    alternate: &'static str,
    second: &'static str,
    client: &'static str,
    /// The address of the first router on the side of the client; empty without a router.
    gateway: &'static str,
    external: [&'static str; 2],
    /// The route of the servers to a client that is not on their link and not translated.
    return_route: &'static str,
}

/// The position of a router.
struct RouterPosition {
    wan: [&'static str; 2],
    lan: &'static str,
    /// The next router outwards.
    next: Option<&'static str>,
    /// The host on the inside.
    inside: &'static str,
    family: Family,
}

impl Layout {
    fn of(kind: &Kind) -> Self {
        let v4 = Self {
            family: Family::V4,
            primary: "203.0.113.10/24",
            alternate: "203.0.113.11/24",
            second: "203.0.113.20/24",
            client: "192.168.1.2/24",
            gateway: "192.168.1.1/24",
            external: ["198.51.100.1/24", "198.51.100.2/24"],
            return_route: "",
        };
        let v6 = Self {
            family: Family::V6,
            primary: "2001:db8:113::10/64",
            alternate: "2001:db8:113::11/64",
            second: "2001:db8:113::20/64",
            client: "2001:db8:113:1::2/64",
            gateway: "2001:db8:113:1::1/64",
            external: ["2001:db8:113::1/64", "2001:db8:113::2/64"],
            return_route: "route add 2001:db8:113:1::/64 via 2001:db8:113::1\n",
        };
        let translated = kind.outermost().is_some_and(|router| router.mapping != Mapping::None);
        match (kind.family, kind.routers.is_empty(), translated) {
            (Family::V4, true, _) => Self { client: "198.51.100.77/24", gateway: "", ..v4 },
            (Family::V4, false, true) if kind.carrier => {
                Self { client: "100.64.1.2/24", gateway: "100.64.1.1/24", ..v4 }
            }
            (Family::V4, false, true) => v4,
            (Family::V4, false, false) => Self {
                client: "192.0.2.2/24",
                gateway: "192.0.2.1/24",
                return_route: "route add 192.0.2.0/24 via 198.51.100.1\n",
                ..v4
            },
            (Family::V6, true, _) => Self { client: "2001:db8:113::77/64", gateway: "", return_route: "", ..v6 },
            (Family::V6, false, _) => v6,
        }
    }

    fn router(&self, place: usize, outermost: bool) -> RouterPosition {
        let (wan, next) = if outermost {
            (self.external, None)
        } else {
            (["100.64.1.2/24", "100.64.1.3/24"], Some(without_prefix(CARRIER_SIDE)))
        };
        let (lan, inside) = if place == 0 { (self.gateway, self.client) } else { (CARRIER_SIDE, "100.64.1.2/24") };
        RouterPosition { wan, lan, next, inside, family: self.family }
    }

    fn gateway(&self) -> Option<&'static str> {
        if self.gateway.is_empty() { None } else { Some(without_prefix(self.gateway)) }
    }

    fn plan(&self) -> Outcome<Plan> {
        let [first, other] = self.external;
        Ok(Plan {
            primary: without_prefix(self.primary).parse()?,
            alternate: without_prefix(self.alternate).parse()?,
            second: without_prefix(self.second).parse()?,
            client: without_prefix(self.client).parse()?,
            external: [without_prefix(first).parse()?, without_prefix(other).parse()?],
        })
    }
}

/// The address of the outer router on the side of its customers.
const CARRIER_SIDE: &str = "100.64.1.1/24";

/// Returns the `ip` commands that assign an address to a device and enable the device.
fn addresses(device: &str, list: &[&str]) -> String {
    let mut lines = String::new();
    for address in list {
        let ready = if address.contains(':') { " nodad" } else { "" };
        let _ = writeln!(lines, "address add {address} dev {device}{ready}");
    }
    let _ = writeln!(lines, "link set {device} up");
    lines
}

/// Returns the `ip` command of the default route: by a gateway, or directly on the link.
fn default_route(device: &str, family: Family, gateway: Option<&str>) -> String {
    let everywhere = match family {
        Family::V4 => "0.0.0.0/0",
        Family::V6 => "::/0",
    };
    match gateway {
        Some(gateway) => format!("route add {everywhere} via {gateway}\n"),
        None => format!("route add {everywhere} dev {device}\n"),
    }
}

/// Returns an address without the prefix length.
fn without_prefix(address: &str) -> &str {
    address.split_once('/').map_or(address, |(address, _)| address)
}
