//! The nftables rules of each NAT, written from plain data.
//!
//! Every rule set here is the kernel's own connection tracking with little added: a zone per destination makes a
//! mapping depend on it, a map from external ports to inside endpoints lets strangers in. Two rules hold for all:
//! what comes unasked is dropped in `input` too (else an early packet takes the tuple in the connection table, and the
//! answer of the inside host leaves from another port), and random ports lie outside the range that hosts choose
//! from, with no `random` flag (with it the kernel would not give one source the same port twice).

use core::fmt::Write as _;

/// A router as plain data.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Router {
    /// How outgoing UDP is mapped.
    pub(crate) mapping: Mapping,
    /// Whom incoming UDP is taken from.
    pub(crate) filtering: Filtering,
    /// Whether an inside host reaches another by its external endpoint; only with [`Mapping::Preserving`].
    pub(crate) hairpin: bool,
    /// Whether the router itself takes unasked packets, so that they enter its connection table.
    pub(crate) open_input: bool,
    /// What passes at all.
    pub(crate) passing: Passing,
    /// How many packets of a hundred are lost, in each direction.
    pub(crate) loss: u8,
    /// Seconds for which an idle mapping is kept.
    pub(crate) lifetime: u16,
}

/// How outgoing UDP is mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mapping {
    /// Not at all: the router only filters.
    None,
    /// Endpoint-independent, the inside port kept.
    Preserving,
    /// Endpoint-independent, any port.
    Random,
    /// Address-dependent, any port.
    PerAddress,
    /// Address-and-port-dependent, any port.
    PerEndpoint,
    /// Address-and-port-dependent, ports counted up.
    Counting,
    /// One external address belongs to one inside host.
    OneToOne,
    /// Address-dependent, and the external address depends on the destination too.
    Pool,
}

/// Whom incoming UDP is taken from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Filtering {
    /// Anyone.
    Anyone,
    /// Any port of an address that was sent to.
    Address,
    /// The addresses and ports that were sent to.
    AddressAndPort,
}

/// What a router lets pass at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Passing {
    /// Everything that mapping and filtering allow.
    All,
    /// No UDP.
    NoUdp,
    /// Only TCP to port 443.
    OnlyTcp443,
    /// Nothing, and no word about it.
    Nothing,
}

/// The usual home router; other kinds say how they differ.
pub(crate) const HOME: Router = Router {
    mapping: Mapping::Preserving,
    filtering: Filtering::AddressAndPort,
    hairpin: false,
    open_input: false,
    passing: Passing::All,
    loss: 0,
    lifetime: 30,
};

/// The addresses that a router's rules name. Its devices are always `wan` and `lan`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Site<'a> {
    /// The external address.
    pub(crate) external: &'a str,
    /// A second external address, used by [`Mapping::Pool`] only.
    pub(crate) second: &'a str,
    /// The one inside host, named by [`Mapping::OneToOne`] only.
    pub(crate) inside: &'a str,
    /// Whether the addresses are of IPv6.
    pub(crate) v6: bool,
}

impl Router {
    /// The rules, as `nft -f` reads them.
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

    /// Sets and maps that the rules fill as packets leave.
    fn memory(&self, text: &mut String, site: &Site<'_>) {
        let kept = format!("flags dynamic,timeout; timeout {}s; size 65535;", self.lifetime);
        let address = if site.v6 { "ipv6_addr" } else { "ipv4_addr" };
        let unmapped = self.mapping == Mapping::None;
        if self.reachable_from_outside() || self.hairpin {
            // External port -> the inside endpoint it belongs to.
            let _ = writeln!(text, "  map fc {{ type inet_service : {address} . inet_service; {kept} }}");
        }
        if self.filtering == Filtering::Address {
            // Who may send to a port: those whom it has sent to.
            let inside = if unmapped { format!("{address} . ") } else { String::new() };
            let _ = writeln!(text, "  set perm {{ type {inside}inet_service . {address}; {kept} }}");
        }
        if self.hairpin && self.filtering == Filtering::AddressAndPort {
            // Which inside ports have sent to which external port.
            let _ = writeln!(text, "  set hp {{ type inet_service . inet_service; {kept} }}");
        }
    }

    /// Whether someone not yet sent to may get through to a mapping.
    fn reachable_from_outside(&self) -> bool {
        let translated = !matches!(self.mapping, Mapping::None | Mapping::OneToOne);
        translated && self.filtering != Filtering::AddressAndPort
    }

    /// What the router takes for itself.
    fn input(&self, site: &Site<'_>) -> Vec<String> {
        let mut rules = vec![];
        if site.v6 {
            // Without neighbor discovery there is no link (RFC 4861).
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

    /// What the router passes on.
    fn forward(&self, address: &str) -> Vec<String> {
        let mut rules = vec![];
        if self.loss > 0 {
            rules.push(format!("numgen random mod 100 < {} drop", self.loss));
        }
        match self.passing {
            Passing::All => {}
            Passing::Nothing => rules.push("drop".to_owned()),
            Passing::NoUdp => rules.push("meta l4proto udp drop".to_owned()),
            Passing::OnlyTcp443 => {
                rules.push("iifname \"lan\" tcp dport != 443 drop".to_owned());
                rules.push("meta l4proto != tcp drop".to_owned());
            }
        }
        rules.push("iifname \"lan\" accept".to_owned());
        rules.push("ct state established,related accept".to_owned());
        if self.mapping != Mapping::None {
            rules.push("ct status dnat accept".to_owned());
        } else if self.filtering == Filtering::Anyone {
            rules.push("accept".to_owned());
        } else if self.filtering == Filtering::Address {
            rules.push(format!("meta l4proto udp {address} daddr . udp dport . {address} saddr @perm accept"));
        }
        rules.push("iifname \"wan\" drop".to_owned());
        rules
    }

    /// What must be decided before connection tracking sees a packet.
    fn before_tracking(&self, site: &Site<'_>) -> Vec<String> {
        let mut rules = vec![];
        // A zone for each destination, in the original direction only: within a zone a source keeps its port, between
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

    /// The way in: where a packet to an external endpoint goes.
    fn inbound(&self, site: &Site<'_>) -> Vec<String> {
        const TO_OWNER: &str = "dnat ip addr . port to udp dport map @fc";
        let mut rules = vec![];
        match self.filtering {
            _ if self.mapping == Mapping::OneToOne => {
                rules.push(format!("iifname \"wan\" dnat to {}", site.inside));
            }
            Filtering::Anyone => rules.push(format!("iifname \"wan\" meta l4proto udp {TO_OWNER}")),
            Filtering::Address => {
                rules.push(format!("iifname \"wan\" meta l4proto udp udp dport . ip saddr @perm {TO_OWNER}"));
            }
            Filtering::AddressAndPort => {}
        }
        if self.hairpin {
            let allowed = match self.filtering {
                Filtering::AddressAndPort => "udp dport . udp sport @hp",
                Filtering::Anyone | Filtering::Address => "",
            };
            rules.push(format!("iifname \"lan\" ip daddr {} meta l4proto udp {allowed} {TO_OWNER}", site.external));
        }
        rules
    }

    /// The way out: which external endpoint a packet gets.
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

    /// What is remembered of a packet that leaves, once its external endpoint is known.
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

    /// The same for a router that translates nothing.
    fn learn_unmapped(&self, address: &str) -> Vec<String> {
        if self.filtering != Filtering::Address {
            return vec![];
        }
        vec![format!(
            "oifname \"wan\" meta l4proto udp update @perm {{ {address} saddr . udp sport . {address} daddr }}"
        )]
    }
}

/// Ports given at random: none that a Linux host would choose for itself (32768 to 60999).
const RANDOM_PORTS: &str = "10000-29999";
/// The first port of [`Mapping::Counting`], and how many there are before it begins again.
const FIRST_COUNTED: u16 = 20_000;
const COUNTED: u16 = 1_000;

/// One chain, unless it has no rules.
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
