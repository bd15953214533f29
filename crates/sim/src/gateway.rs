//! Gateways: what stands between an inside and an outside, for each family and for UDP and TCP.
//!
//! A gateway may translate, filter, block or merely route; each family has a [`Barrier`] of its own, because homes with
//! an IPv4 NAT and an IPv6 firewall are the rule. Carriers are gateways outside gateways.
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

/// What a gateway does to one family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Barrier {
    /// It routes and looks at nothing.
    Open,
    /// It translates or filters.
    Translator(TranslatorConfig),
    /// It lets nothing through of what is blocked, in either direction.
    Blocked {
        /// UDP is blocked.
        udp: bool,
        /// TCP is blocked.
        tcp: bool,
        /// It says so to senders inside (ICMP administratively prohibited).
        tells: bool,
    },
}

impl Barrier {
    /// UDP is silently swallowed, TCP gets through.
    pub const UDP_BLOCKED: Self = Self::Blocked { udp: true, tcp: false, tells: false };
    /// Everything is silently swallowed.
    pub const SILENT: Self = Self::Blocked { udp: true, tcp: true, tells: false };
}

impl From<TranslatorConfig> for Barrier {
    fn from(config: TranslatorConfig) -> Self {
        Self::Translator(config)
    }
}

/// A gateway, as plain data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gateway {
    /// How the story calls it.
    pub name: Box<str>,
    /// Its addresses on the outside.
    pub addresses: Vec<IpAddr>,
    /// What it does to IPv4.
    pub ipv4: Barrier,
    /// What it does to IPv6.
    pub ipv6: Barrier,
}

impl Gateway {
    /// A gateway that does the same to both families.
    #[must_use]
    pub fn new(name: &str, addresses: impl IntoIterator<Item = IpAddr>, barrier: impl Into<Barrier>) -> Self {
        let barrier = barrier.into();
        Self { name: name.into(), addresses: addresses.into_iter().collect(), ipv4: barrier, ipv6: barrier }
    }

    /// The same with another barrier for IPv6.
    #[must_use]
    pub fn ipv6(mut self, barrier: impl Into<Barrier>) -> Self {
        self.ipv6 = barrier.into();
        self
    }

    /// Whether hosts inside keep their addresses of this family on the outside.
    pub(crate) const fn is_transparent(&self, ipv4: bool) -> bool {
        !matches!(
            if ipv4 { &self.ipv4 } else { &self.ipv6 },
            Barrier::Translator(TranslatorConfig { translate: true, .. })
        )
    }
}

/// Why a gateway let a packet fall.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fall {
    Translator(DropReason),
    Blocked { tells: bool },
}

impl Fall {
    /// What the sender inside is told.
    pub(crate) const fn news(self) -> Option<Unreachability> {
        match self {
            Self::Blocked { tells: true } => Some(Unreachability::Prohibited),
            Self::Blocked { tells: false } | Self::Translator(_) => None,
        }
    }
}

impl fmt::Display for Fall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Translator(reason) => fmt::Display::fmt(reason, f),
            Self::Blocked { .. } => f.write_str("blocked"),
        }
    }
}

impl Explain for Fall {
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

/// Where a packet goes that came from inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Out {
        created: bool,
    },
    /// Back in, to another host or the same.
    Back,
}

/// A barrier at work.
#[derive(Clone, Debug)]
enum Device {
    Open,
    /// TCP has a table of its own: its ports are other ports.
    Translator {
        udp: Box<Translator>,
        tcp: Box<Translator>,
    },
    Blocked {
        udp: bool,
        tcp: bool,
        tells: bool,
    },
}

/// A gateway at work.
#[derive(Clone, Debug)]
pub(crate) struct GatewayState {
    pub(crate) config: Gateway,
    ipv4: Device,
    ipv6: Device,
    /// Its interface on the outside.
    pub(crate) interface: usize,
    /// The segment inside.
    pub(crate) inside: usize,
}

impl GatewayState {
    pub(crate) fn new(config: Gateway, interface: usize, inside: usize, seed: u64) -> Self {
        let device = |barrier: Barrier, ipv4: bool| match barrier {
            Barrier::Open => Device::Open,
            Barrier::Blocked { udp, tcp, tells } => Device::Blocked { udp, tcp, tells },
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

    const fn device(&mut self, ipv4: bool) -> &mut Device {
        if ipv4 { &mut self.ipv4 } else { &mut self.ipv6 }
    }

    /// The translator of a family, where there is one.
    pub(crate) fn translator(&self, ipv4: bool) -> Option<&Translator> {
        match if ipv4 { &self.ipv4 } else { &self.ipv6 } {
            Device::Translator { udp, .. } => Some(udp),
            Device::Open | Device::Blocked { .. } => None,
        }
    }

    /// Takes a datagram from inside and writes its new addresses into it.
    pub(crate) fn outbound(&mut self, now: Instant, packet: &mut Packet) -> Result<Way, Fall> {
        match self.device(packet.destination.is_ipv4()) {
            Device::Open | Device::Blocked { udp: false, .. } => Ok(Way::Out { created: false }),
            Device::Blocked { tells, .. } => Err(Fall::Blocked { tells: *tells }),
            Device::Translator { udp, .. } => {
                let internal = packet.source.ip();
                let passage = udp.outbound(now, packet.source, packet.destination).map_err(Fall::Translator)?;
                let (Translation::Out { source, .. } | Translation::Hairpin { source, .. }) = passage;
                packet.source = source;
                if udp.config().alg {
                    udp.rewrite(packet.bytes_mut(), internal, source.ip());
                }
                match passage {
                    Translation::Out { created, .. } => Ok(Way::Out { created }),
                    Translation::Hairpin { destination, .. } => {
                        packet.destination = destination;
                        Ok(Way::Back)
                    }
                }
            }
        }
    }

    /// Takes a datagram from outside and writes its new destination into it.
    pub(crate) fn inbound(&mut self, now: Instant, packet: &mut Packet) -> Result<(), Fall> {
        match self.device(packet.destination.is_ipv4()) {
            Device::Open | Device::Blocked { udp: false, .. } => Ok(()),
            Device::Blocked { .. } => Err(Fall::Blocked { tells: false }),
            Device::Translator { udp, .. } => {
                let external = packet.destination.ip();
                packet.destination = udp.inbound(now, packet.source, packet.destination).map_err(Fall::Translator)?;
                if udp.config().alg {
                    let internal = packet.destination.ip();
                    udp.rewrite(packet.bytes_mut(), external, internal);
                }
                Ok(())
            }
        }
    }

    /// The source that a TCP connection from inside shows outside.
    pub(crate) fn connect(&mut self, now: Instant, source: SocketAddr, to: SocketAddr) -> Result<SocketAddr, Fall> {
        match self.device(to.is_ipv4()) {
            Device::Open | Device::Blocked { tcp: false, .. } => Ok(source),
            Device::Blocked { tells, .. } => Err(Fall::Blocked { tells: *tells }),
            Device::Translator { tcp, .. } => match tcp.outbound(now, source, to).map_err(Fall::Translator)? {
                Translation::Out { source, .. } => Ok(source),
                Translation::Hairpin { .. } => Err(Fall::Translator(DropReason::NoHairpin)),
            },
        }
    }

    /// Whom a TCP connection from outside is for.
    pub(crate) fn accept(&mut self, now: Instant, source: SocketAddr, to: SocketAddr) -> Result<SocketAddr, Fall> {
        match self.device(to.is_ipv4()) {
            Device::Open | Device::Blocked { tcp: false, .. } => Ok(to),
            Device::Blocked { .. } => Err(Fall::Blocked { tells: false }),
            Device::Translator { tcp, .. } => tcp.inbound(now, source, to).map_err(Fall::Translator),
        }
    }
}

#[cfg(test)]
mod tests;
