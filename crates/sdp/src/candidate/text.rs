//! Writes candidates, and converts their texts between `&str` and `String`.

use super::{Candidate, CandidateType, ConnectionAddress, TcpType, Transport};
use alloc::string::String;
use core::fmt;

impl<S: AsRef<str>> fmt::Display for Candidate<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { component, transport, priority, address, port, candidate_type, .. } = self;
        let foundation = self.foundation.as_ref();
        write!(f, "{foundation} {component} {transport} {priority} {address} {port} typ {candidate_type}")?;
        if let Some((address, port)) = &self.related {
            write!(f, " raddr {address} rport {port}")?;
        }
        if let Some(tcp_type) = self.tcp_type {
            write!(f, " tcptype {tcp_type}")?;
        }
        self.extensions.pairs().try_for_each(|(name, value)| match value {
            Some(value) => write!(f, " {name} {value}"),
            None => write!(f, " {name}"),
        })
    }
}

impl<S: AsRef<str>> fmt::Display for Transport<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
            Self::Other(name) => name.as_ref(),
        })
    }
}

impl<S: AsRef<str>> fmt::Display for CandidateType<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Host => "host",
            Self::ServerReflexive => "srflx",
            Self::PeerReflexive => "prflx",
            Self::Relayed => "relay",
            Self::Other(name) => name.as_ref(),
        })
    }
}

impl<S: AsRef<str>> fmt::Display for ConnectionAddress<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip4(address) => write!(f, "{address}"),
            Self::Ip6(address) => write!(f, "{address}"),
            Self::Name(text) | Self::Zoned(text) => f.write_str(text.as_ref()),
        }
    }
}

impl fmt::Display for TcpType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Active => "active",
            Self::Passive => "passive",
            Self::SimultaneousOpen => "so",
        })
    }
}

/// Returns the same part with another kind of text.
macro_rules! texts {
    ($($type:ident { $($plain:ident)* } { $($held:ident)* } { $($text:ident)* })*) => {$(
        impl<'a> $type<&'a str> {
            pub(super) fn map<S>(self, change: impl FnOnce(&'a str) -> S) -> $type<S> {
                match self {
                    $(Self::$plain => $type::$plain,)*
                    $(Self::$held(value) => $type::$held(value),)*
                    $(Self::$text(text) => $type::$text(change(text)),)*
                }
            }
        }

        impl $type<String> {
            pub(super) fn borrowed(&self) -> $type<&str> {
                match self {
                    $(Self::$plain => $type::$plain,)*
                    $(Self::$held(value) => $type::$held(*value),)*
                    $(Self::$text(text) => $type::$text(text),)*
                }
            }
        }
    )*};
}

texts! {
    Transport { Udp Tcp } {} { Other }
    CandidateType { Host ServerReflexive PeerReflexive Relayed } {} { Other }
    ConnectionAddress {} { Ip4 Ip6 } { Name Zoned }
}
