//! The nftables rules of each NAT, generated from plain data.
//!
//! Every rule set uses the connection tracking of the kernel with few additions. A zone per destination makes a mapping
//! depend on the destination. A map from external ports to inside endpoints lets other hosts in. Two rules hold for
//! all. First, unsolicited packets are dropped in `input` too: otherwise an early packet takes the tuple in the
//! connection table, and the response of the inside host leaves from another port. Second, random ports are outside the
//! range of host ports, without the `random` flag: with it the kernel would not give one source the same port twice.

use core::fmt::Write as _;

/// A router as plain data.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Router {
    /// The mapping of outgoing UDP.
    pub(crate) mapping: Mapping,
    /// The filtering of incoming UDP.
    pub(crate) filtering: Filtering,
    /// Whether an inside host reaches another by its external endpoint; only with [`Mapping::Preserving`].
    pub(crate) hairpin: bool,
    /// Whether the router accepts unsolicited packets itself, so that they enter its connection table.
    pub(crate) open_input: bool,
    /// The traffic that passes.
    pub(crate) policy: Policy,
    /// The loss in percent, in each direction.
    pub(crate) loss: u8,
    /// The lifetime of an idle mapping in seconds.
    pub(crate) lifetime: u16,
}

/// The mapping of outgoing UDP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mapping {
    /// No mapping: the router only filters.
    None,
    /// Endpoint-independent, preserving the inside port.
    Preserving,
    /// Endpoint-independent, any port.
    Random,
    /// Address-dependent, any port.
    PerAddress,
    /// Address-and-port-dependent, any port.
    PerEndpoint,
    /// Address-and-port-dependent, sequential ports.
    Counting,
    /// One external address for each inside host.
    OneToOne,
    /// Address-dependent, and the external address depends on the destination too.
    Pool,
}

/// The filtering of incoming UDP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Filtering {
    /// Any source.
    AnySource,
    /// Any port of a contacted address.
    Address,
    /// The contacted addresses and ports.
    AddressAndPort,
}

/// The traffic that a router lets pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Policy {
    /// Everything that mapping and filtering allow.
    All,
    /// No UDP.
    NoUdp,
    /// Only TCP to port 443.
    OnlyTcp443,
    /// Nothing, and no ICMP error either.
    Nothing,
}

/// The usual home router. Other kinds change some fields.
pub(crate) const HOME: Router = Router {
    mapping: Mapping::Preserving,
    filtering: Filtering::AddressAndPort,
    hairpin: false,
    open_input: false,
    policy: Policy::All,
    loss: 0,
    lifetime: 30,
};

/// The addresses in the rules of a router. Its devices are always `wan` and `lan`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Site<'a> {
    /// The external address.
    pub(crate) external: &'a str,
    /// A second external address, used by [`Mapping::Pool`] only.
    pub(crate) second: &'a str,
    /// The only inside host, used by [`Mapping::OneToOne`] only.
    pub(crate) inside: &'a str,
    /// Whether the addresses are IPv6.
    pub(crate) v6: bool,
}

impl Router {
    /// Returns the rules in the format of `nft -f`.
    pub(crate) fn rules(&self, site: &Site<'_>) -> String {
        let (table, address) = if site.v6 { ("ip6", "ip6") } else { ("ip", "ip") };
        let mut text = format!("table {table} lab {{\n");
        self.memory(&mut text, site);
        chain(&mut text, "input", "filter hook input priority filter", &self.input(site));
        chain(&mut text, "forw", "filter hook forward priority filter", &self.forward(address));
        chain(&mut text, "before", "filter hook prerouting priority raw", &self.before_tracking(site));
        if self.mapping == Mapping::None {
            chain(&mut text, "learn", "filter hook postrouting priority srcnat + 10", &self.learn_unmapped(address));
        } else {
            chain(&mut text, "pre", "nat hook prerouting priority dstnat", &self.inbound(site));
            chain(&mut text, "post", "nat hook postrouting priority srcnat", &self.outbound(site));
            chain(&mut text, "learn", "filter hook postrouting priority srcnat + 10", &self.learn());
        }
        text.push_str("}\n");
        text
    }

    /// Sets and maps that the rules fill when packets leave.
    fn memory(&self, text: &mut String, site: &Site<'_>) {
        let kept = format!("flags dynamic,timeout; timeout {}s; size 65535;", self.lifetime);
        let address = if site.v6 { "ipv6_addr" } else { "ipv4_addr" };
        let unmapped = self.mapping == Mapping::None;
        if self.reachable_from_outside() || self.hairpin {
            // External port -> the inside endpoint that uses it.
            let _ = writeln!(text, "  map fc {{ type inet_service : {address} . inet_service; {kept} }}");
        }
        if self.filtering == Filtering::Address {
            // The remote endpoints that may send to a port: those that were contacted from it.
            let inside = if unmapped { format!("{address} . ") } else { String::new() };
            let _ = writeln!(text, "  set perm {{ type {inside}inet_service . {address}; {kept} }}");
        }
        if self.hairpin && self.filtering == Filtering::AddressAndPort {
            // The inside ports that have sent from each external port.
            let _ = writeln!(text, "  set hp {{ type inet_service . inet_service; {kept} }}");
        }
    }

    /// Whether an endpoint that was not contacted may reach a mapping.
    fn reachable_from_outside(&self) -> bool {
        let translated = !matches!(self.mapping, Mapping::None | Mapping::OneToOne);
        translated && self.filtering != Filtering::AddressAndPort
    }

    /// The packets that the router accepts for itself.
    fn input(&self, site: &Site<'_>) -> Vec<String> {
        let mut rules = vec![];
        if site.v6 {
            // Without neighbor discovery the link does not work (RFC 4861).
            rules.push("icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept".to_owned());
        }
        if self.hairpin {
            rules.push(format!("iifname \"lan\" ip daddr {} meta l4proto udp drop", site.external));
        }
        if !self.open_input {
            rules.push("iifname \"wan\" ct state established,related accept".to_owned());
            rules.push("iifname \"wan\" drop".to_owned());
        }
        rules
    }

    /// The packets that the router forwards.
    fn forward(&self, address: &str) -> Vec<String> {
        let mut rules = vec![];
        if self.loss > 0 {
            rules.push(format!("numgen random mod 100 < {} drop", self.loss));
        }
        match self.policy {
            Policy::All => {}
            Policy::Nothing => rules.push("drop".to_owned()),
            Policy::NoUdp => rules.push("meta l4proto udp drop".to_owned()),
            Policy::OnlyTcp443 => {
                rules.push("iifname \"lan\" tcp dport != 443 drop".to_owned());
                rules.push("meta l4proto != tcp drop".to_owned());
            }
        }
        rules.push("iifname \"lan\" accept".to_owned());
        rules.push("ct state established,related accept".to_owned());
        if self.mapping != Mapping::None {
            rules.push("ct status dnat accept".to_owned());
        } else if self.filtering == Filtering::AnySource {
            rules.push("accept".to_owned());
        } else if self.filtering == Filtering::Address {
            rules.push(format!("meta l4proto udp {address} daddr . udp dport . {address} saddr @perm accept"));
        }
        rules.push("iifname \"wan\" drop".to_owned());
        rules
    }

    /// The rules before connection tracking.
    fn before_tracking(&self, site: &Site<'_>) -> Vec<String> {
        let mut rules = vec![];
        // A zone for each destination, in the original direction only. Within a zone a source keeps its port, between
        // zones it does not.
        let zone = match self.mapping {
            Mapping::PerAddress | Mapping::Pool => Some("ip daddr"),
            Mapping::PerEndpoint | Mapping::Counting => Some("ip daddr . udp dport"),
            Mapping::None | Mapping::Preserving | Mapping::Random | Mapping::OneToOne => None,
        };
        if let Some(key) = zone {
            rules.push(format!(
                "iifname \"lan\" meta l4proto udp ct original zone set jhash {key} mod 65000 seed 0x1 offset 1"
            ));
        }
        if self.hairpin && self.filtering == Filtering::AddressAndPort {
            rules.push(format!(
                "iifname \"lan\" ip daddr {} meta l4proto udp update @hp {{ udp sport . udp dport }}",
                site.external
            ));
        }
        rules
    }

    /// The inbound rules: the destination of a packet to an external endpoint.
    fn inbound(&self, site: &Site<'_>) -> Vec<String> {
        const TO_OWNER: &str = "dnat ip addr . port to udp dport map @fc";
        let mut rules = vec![];
        match self.filtering {
            _ if self.mapping == Mapping::OneToOne => {
                rules.push(format!("iifname \"wan\" dnat to {}", site.inside));
            }
            Filtering::AnySource => rules.push(format!("iifname \"wan\" meta l4proto udp {TO_OWNER}")),
            Filtering::Address => {
                rules.push(format!("iifname \"wan\" meta l4proto udp udp dport . ip saddr @perm {TO_OWNER}"));
            }
            Filtering::AddressAndPort => {}
        }
        if self.hairpin {
            let allowed = match self.filtering {
                Filtering::AddressAndPort => "udp dport . udp sport @hp",
                Filtering::AnySource | Filtering::Address => "",
            };
            rules.push(format!("iifname \"lan\" ip daddr {} meta l4proto udp {allowed} {TO_OWNER}", site.external));
        }
        rules
    }

    /// The outbound rules: the external endpoint of a packet.
    fn outbound(&self, site: &Site<'_>) -> Vec<String> {
        let external = site.external;
        let mut rules = vec![];
        if self.hairpin {
            // RFC 4787 REQ-9 a: the inside host sees the external endpoint as the source.
            rules.push(format!("iifname \"lan\" oifname \"lan\" meta l4proto udp ct status dnat snat to {external}"));
        }
        match self.mapping {
            Mapping::None | Mapping::Preserving => {}
            Mapping::Random | Mapping::PerAddress | Mapping::PerEndpoint => {
                rules.push(format!("oifname \"wan\" meta l4proto udp snat to {external}:{RANDOM_PORTS}"));
            }
            Mapping::Counting => {
                let ports: Vec<String> = (0..COUNTED).map(|n| format!("{n}:{}", FIRST_COUNTED + n)).collect();
                rules.push(format!(
                    "oifname \"wan\" meta l4proto udp snat to {external} : numgen inc mod {COUNTED} map {{ {} }}",
                    ports.join(", ")
                ));
            }
            Mapping::OneToOne => rules.push(format!("oifname \"wan\" snat to {external}")),
            Mapping::Pool => {
                rules.push(format!(
                    "oifname \"wan\" meta l4proto udp ip daddr & 0.0.0.1 == 0.0.0.1 snat to {}:{RANDOM_PORTS}",
                    site.second
                ));
                rules.push(format!("oifname \"wan\" meta l4proto udp snat to {external}:{RANDOM_PORTS}"));
            }
        }
        if self.mapping != Mapping::OneToOne {
            rules.push("oifname \"wan\" masquerade".to_owned());
        }
        rules
    }

    /// The state to store for a packet that leaves, once its external endpoint is known.
    fn learn(&self) -> Vec<String> {
        let mut rules = vec![];
        if self.reachable_from_outside() || self.hairpin {
            rules.push(
                "oifname \"wan\" meta l4proto udp ct direction original update @fc \
                 { udp sport : ct original ip saddr . ct original proto-src }"
                    .to_owned(),
            );
        }
        if self.filtering == Filtering::Address {
            rules.push("oifname \"wan\" meta l4proto udp update @perm { udp sport . ip daddr }".to_owned());
        }
        rules
    }

    /// The same for a router without translation.
    fn learn_unmapped(&self, address: &str) -> Vec<String> {
        if self.filtering != Filtering::Address {
            return vec![];
        }
        vec![format!(
            "oifname \"wan\" meta l4proto udp update @perm {{ {address} saddr . udp sport . {address} daddr }}"
        )]
    }
}

/// The range of random ports. A Linux host never chooses from it (32768 to 60999).
const RANDOM_PORTS: &str = "10000-29999";
/// The first port of [`Mapping::Counting`], and the number of ports before it starts again.
const FIRST_COUNTED: u16 = 20_000;
const COUNTED: u16 = 1_000;

/// Returns a chain, or nothing if it has no rules.
fn chain(text: &mut String, name: &str, hook: &str, rules: &[String]) {
    if rules.is_empty() {
        return;
    }
    let _ = writeln!(text, "  chain {name} {{\n    type {hook};");
    for rule in rules {
        let _ = writeln!(text, "    {rule}");
    }
    text.push_str("  }\n");
}
