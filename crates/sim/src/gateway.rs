//! Gateways: NATs, firewalls and routers between an inside and an outside.
//!
//! A gateway translates, filters, blocks or only routes. Each family has its own [`Barrier`], because an IPv4 NAT with
//! an IPv6 firewall is the most common home network. A carrier's gateway is a gateway outside another gateway.
//!
//! ```
//! use portolan_nat::behavior::Filtering;
//! use portolan_nat::translator::TranslatorConfig;
//! use portolan_sim::gateway::{Barrier, Gateway};
//!
//! let home = Gateway::new("home", ["203.0.113.7".parse()?], TranslatorConfig::home())
//!     .ipv6(Barrier::Translator(TranslatorConfig::firewall(Filtering::AddressAndPortDependent)));
//! # let _ = home;
//! # Ok::<(), core::net::AddrParseError>(())
//! ```

use crate::packet::Packet;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use core::net::{IpAddr, SocketAddr};
use portolan_machine::{Clause, Explain, Instant, Unreachability};
use portolan_nat::translator::{DropReason, Translation, Translator, TranslatorConfig};

/// How a gateway handles one family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Barrier {
    /// The gateway routes, without a filter.
    Open,
    /// The gateway translates or filters.
    Translator(TranslatorConfig),
    /// The gateway drops all blocked packets, in both directions.
    Blocked {
        /// Whether UDP is blocked.
        udp: bool,
        /// Whether TCP is blocked.
        tcp: bool,
        /// Whether a sender inside gets an ICMP error (administratively prohibited).
        sends_icmp: bool,
    },
}

impl Barrier {
    /// UDP is dropped silently; TCP passes.
    pub const UDP_BLOCKED: Self = Self::Blocked { udp: true, tcp: false, sends_icmp: false };
    /// All packets are dropped silently.
    pub const SILENT: Self = Self::Blocked { udp: true, tcp: true, sends_icmp: false };
}

impl From<TranslatorConfig> for Barrier {
    fn from(config: TranslatorConfig) -> Self {
        Self::Translator(config)
    }
}

/// A gateway, as plain data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gateway {
    /// The name in the story.
    pub name: Box<str>,
    /// The addresses on the outside.
    pub addresses: Vec<IpAddr>,
    /// The barrier for IPv4.
    pub ipv4: Barrier,
    /// The barrier for IPv6.
    pub ipv6: Barrier,
}

impl Gateway {
    /// Creates a gateway with the same barrier for both families.
    #[must_use]
    pub fn new(name: &str, addresses: impl IntoIterator<Item = IpAddr>, barrier: impl Into<Barrier>) -> Self {
        let barrier = barrier.into();
        Self { name: name.into(), addresses: addresses.into_iter().collect(), ipv4: barrier, ipv6: barrier }
    }

    /// Returns the same gateway with another barrier for IPv6.
    #[must_use]
    pub fn ipv6(mut self, barrier: impl Into<Barrier>) -> Self {
        self.ipv6 = barrier.into();
        self
    }

    /// Whether inside hosts keep their addresses of this family on the outside.
    pub(crate) const fn is_transparent(&self, ipv4: bool) -> bool {
        !matches!(
            if ipv4 { &self.ipv4 } else { &self.ipv6 },
            Barrier::Translator(TranslatorConfig { translate: true, .. })
        )
    }
}

/// The reason why a gateway drops a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DropCause {
    Translator(DropReason),
    Blocked { sends_icmp: bool },
}

impl DropCause {
    /// The ICMP error for the sender inside.
    pub(crate) const fn icmp_error(self) -> Option<Unreachability> {
        match self {
            Self::Blocked { sends_icmp: true } => Some(Unreachability::Prohibited),
            Self::Blocked { sends_icmp: false } | Self::Translator(_) => None,
        }
    }
}

impl fmt::Display for DropCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Translator(reason) => fmt::Display::fmt(reason, f),
            Self::Blocked { .. } => f.write_str("blocked"),
        }
    }
}

impl Explain for DropCause {
    fn code(&self) -> &'static str {
        match self {
            Self::Translator(reason) => reason.code(),
            Self::Blocked { .. } => "dropped-blocked",
        }
    }

    fn rfc(&self) -> Option<Clause> {
        match self {
            Self::Translator(reason) => reason.rfc(),
            Self::Blocked { .. } => None,
        }
    }
}

/// The direction of a packet from inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Out {
        created: bool,
    },
    /// Hairpinning: back to a host inside, possibly the sender.
    Hairpin,
}

/// The state of a barrier during a run.
#[derive(Clone, Debug)]
enum Device {
    Open,
    /// TCP has its own table, because TCP ports are separate from UDP ports.
    Translator {
        udp: Box<Translator>,
        tcp: Box<Translator>,
    },
    Blocked {
        udp: bool,
        tcp: bool,
        sends_icmp: bool,
    },
}

/// The state of a gateway during a run.
#[derive(Clone, Debug)]
pub(crate) struct GatewayState {
    pub(crate) config: Gateway,
    ipv4: Device,
    ipv6: Device,
    /// The interface on the outside.
    pub(crate) interface: usize,
    /// The segment inside.
    pub(crate) inside: usize,
}

impl GatewayState {
    pub(crate) fn new(config: Gateway, interface: usize, inside: usize, seed: u64) -> Self {
        let device = |barrier: Barrier, ipv4: bool| match barrier {
            Barrier::Open => Device::Open,
            Barrier::Blocked { udp, tcp, sends_icmp } => Device::Blocked { udp, tcp, sends_icmp },
            Barrier::Translator(translator) => {
                let own: Vec<IpAddr> = config.addresses.iter().copied().filter(|ip| ip.is_ipv4() == ipv4).collect();
                let [udp, tcp] = [0, 1].map(|stream| Box::new(Translator::new(translator, &own, seed ^ stream)));
                Device::Translator { udp, tcp }
            }
        };
        let (ipv4, ipv6) = (device(config.ipv4, true), device(config.ipv6, false));
        Self { config, ipv4, ipv6, interface, inside }
    }

    pub(crate) fn reset(&mut self, seed: u64) {
        for device in [&mut self.ipv4, &mut self.ipv6] {
            if let Device::Translator { udp, tcp } = device {
                udp.reset(seed);
                tcp.reset(seed ^ 1);
            }
        }
    }

    /// Removes all mappings.
    pub(crate) fn flush(&mut self) {
        for device in [&mut self.ipv4, &mut self.ipv6] {
            if let Device::Translator { udp, tcp } = device {
                udp.flush();
                tcp.flush();
            }
        }
    }

    const fn device(&mut self, ipv4: bool) -> &mut Device {
        if ipv4 { &mut self.ipv4 } else { &mut self.ipv6 }
    }

    /// The translator of a family; `None` without translation or filter.
    pub(crate) fn translator(&self, ipv4: bool) -> Option<&Translator> {
        match if ipv4 { &self.ipv4 } else { &self.ipv6 } {
            Device::Translator { udp, .. } => Some(udp),
            Device::Open | Device::Blocked { .. } => None,
        }
    }

    /// Handles a datagram from inside and rewrites its addresses.
    pub(crate) fn outbound(&mut self, now: Instant, packet: &mut Packet) -> Result<Way, DropCause> {
        match self.device(packet.destination.is_ipv4()) {
            Device::Open | Device::Blocked { udp: false, .. } => Ok(Way::Out { created: false }),
            Device::Blocked { sends_icmp, .. } => Err(DropCause::Blocked { sends_icmp: *sends_icmp }),
            Device::Translator { udp, .. } => {
                let internal = packet.source.ip();
                let translation =
                    udp.outbound(now, packet.source, packet.destination).map_err(DropCause::Translator)?;
                let (Translation::Out { source, .. } | Translation::Hairpin { source, .. }) = translation;
                packet.source = source;
                if udp.config().alg {
                    udp.rewrite(packet.bytes_mut(), internal, source.ip());
                }
                match translation {
                    Translation::Out { created, .. } => Ok(Way::Out { created }),
                    Translation::Hairpin { destination, .. } => {
                        packet.destination = destination;
                        Ok(Way::Hairpin)
                    }
                }
            }
        }
    }

    /// Handles a datagram from outside and rewrites its destination.
    pub(crate) fn inbound(&mut self, now: Instant, packet: &mut Packet) -> Result<(), DropCause> {
        match self.device(packet.destination.is_ipv4()) {
            Device::Open | Device::Blocked { udp: false, .. } => Ok(()),
            Device::Blocked { .. } => Err(DropCause::Blocked { sends_icmp: false }),
            Device::Translator { udp, .. } => {
                let external = packet.destination.ip();
                packet.destination =
                    udp.inbound(now, packet.source, packet.destination).map_err(DropCause::Translator)?;
                if udp.config().alg {
                    let internal = packet.destination.ip();
                    udp.rewrite(packet.bytes_mut(), external, internal);
                }
                Ok(())
            }
        }
    }

    /// The source address of an outgoing TCP connection on the outside.
    pub(crate) fn connect(
        &mut self,
        now: Instant,
        source: SocketAddr,
        to: SocketAddr,
    ) -> Result<SocketAddr, DropCause> {
        match self.device(to.is_ipv4()) {
            Device::Open | Device::Blocked { tcp: false, .. } => Ok(source),
            Device::Blocked { sends_icmp, .. } => Err(DropCause::Blocked { sends_icmp: *sends_icmp }),
            Device::Translator { tcp, .. } => match tcp.outbound(now, source, to).map_err(DropCause::Translator)? {
                Translation::Out { source, .. } => Ok(source),
                Translation::Hairpin { .. } => Err(DropCause::Translator(DropReason::NoHairpin)),
            },
        }
    }

    /// The inside destination of a TCP connection from outside.
    pub(crate) fn accept(&mut self, now: Instant, source: SocketAddr, to: SocketAddr) -> Result<SocketAddr, DropCause> {
        match self.device(to.is_ipv4()) {
            Device::Open | Device::Blocked { tcp: false, .. } => Ok(to),
            Device::Blocked { .. } => Err(DropCause::Blocked { sends_icmp: false }),
            Device::Translator { tcp, .. } => tcp.inbound(now, source, to).map_err(DropCause::Translator),
        }
    }
}

#[cfg(test)]
mod tests;
