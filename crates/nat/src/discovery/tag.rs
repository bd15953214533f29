//! The names of the requests of a discovery, with their text form: `v4/map/0/primary`.

use crate::profile::Family;
use core::fmt;
use core::str::FromStr;

/// The family and the test of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tag {
    /// The family.
    pub family: Family,
    /// The test.
    pub test: Test,
}

impl Tag {
    /// Whether the request is sent from a filtering socket.
    #[must_use]
    pub const fn is_filtering(&self) -> bool {
        matches!(self.test, Test::Control { .. } | Test::ChangeBoth { .. } | Test::ChangePort { .. })
    }

    /// The request in plain words.
    #[must_use]
    pub const fn in_words(&self) -> &'static str {
        match self.test {
            Test::Map { target: Target::Primary, .. } => "mapping test",
            Test::Map { target: Target::OtherAddress, .. } => "mapping test with the other address",
            Test::Map { target: Target::OtherBoth, .. } => "mapping test with the other address and port",
            Test::Control { .. } => "control of the filtering test",
            Test::ChangeBoth { .. } => "filtering test, response from the other address and port",
            Test::ChangePort { .. } => "filtering test, response from the other port",
            Test::Proof { .. } => "CHANGE-REQUEST whose response no filter drops",
            Test::Again { .. } => "check whether UDP passes while TCP does",
            Test::Stream { .. } => "request over TCP",
            Test::Port { .. } => "port allocation test",
            Test::HairpinLearn => "mapped address of the hairpin socket",
            Test::HairpinOut => "hairpin test from the hairpin socket",
            Test::HairpinBack => "hairpin test from the mapping socket",
        }
    }
}

/// A test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Test {
    /// From the mapping socket: the mapped address.
    Map {
        /// The server's number.
        server: u8,
        /// Which of its addresses.
        target: Target,
    },
    /// From a filtering socket: a plain request.
    Control {
        /// The number of the filtering socket.
        attempt: u8,
    },
    /// From a filtering socket: a request for a response from the other address and port.
    ChangeBoth {
        /// The number of the filtering socket.
        attempt: u8,
    },
    /// From a filtering socket: a request for a response from the other port.
    ChangePort {
        /// The number of the filtering socket.
        attempt: u8,
    },
    /// From the mapping socket, which has sent to the other address: a request for a response from that address.
    Proof {
        /// The server's number.
        server: u8,
    },
    /// From the mapping socket, after TCP has reached the silent server: the mapped address.
    Again {
        /// The server's number.
        server: u8,
    },
    /// Over the TCP connection to a server that is silent over UDP.
    Stream {
        /// The server's number.
        server: u8,
    },
    /// From one of the sockets of the port allocation test.
    Port {
        /// The number of the socket.
        socket: u8,
    },
    /// From the hairpin socket: the mapped address.
    HairpinLearn,
    /// From the hairpin socket to the mapping socket's public endpoint.
    HairpinOut,
    /// From the mapping socket to the hairpin socket's public endpoint.
    HairpinBack,
}

impl Test {
    /// The number of the filtering attempt; `None` for other tests.
    pub(super) const fn attempt(self) -> Option<u8> {
        match self {
            Self::Control { attempt } | Self::ChangeBoth { attempt } | Self::ChangePort { attempt } => Some(attempt),
            Self::Map { .. }
            | Self::Proof { .. }
            | Self::Again { .. }
            | Self::Stream { .. }
            | Self::Port { .. }
            | Self::HairpinLearn
            | Self::HairpinOut
            | Self::HairpinBack => None,
        }
    }
}

/// One of a server's addresses (RFC 5780 §4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// The given address.
    Primary,
    /// The alternate address with the primary port.
    OtherAddress,
    /// The alternate address and port.
    OtherBoth,
}

impl Target {
    pub(super) const ALL: [Self; 3] = [Self::Primary, Self::OtherAddress, Self::OtherBoth];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::OtherAddress => "other-address",
            Self::OtherBoth => "other-both",
        }
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.family {
            Family::V4 => "v4/",
            Family::V6 => "v6/",
        })?;
        match self.test {
            Test::Map { server, target } => write!(f, "map/{server}/{}", target.as_str()),
            Test::Control { attempt } => write!(f, "control/{attempt}"),
            Test::ChangeBoth { attempt } => write!(f, "change-both/{attempt}"),
            Test::ChangePort { attempt } => write!(f, "change-port/{attempt}"),
            Test::Proof { server } => write!(f, "proof/{server}"),
            Test::Again { server } => write!(f, "again/{server}"),
            Test::Stream { server } => write!(f, "stream/{server}"),
            Test::Port { socket } => write!(f, "port/{socket}"),
            Test::HairpinLearn => f.write_str("hairpin-learn"),
            Test::HairpinOut => f.write_str("hairpin-out"),
            Test::HairpinBack => f.write_str("hairpin-back"),
        }
    }
}

/// A text that names no test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the name of a test: expected for example v4/map/0/primary or v6/control/0")]
pub struct TagParseError;

impl FromStr for Tag {
    type Err = TagParseError;

    fn from_str(text: &str) -> Result<Self, TagParseError> {
        let mut parts = text.split('/');
        let family = match parts.next() {
            Some("v4") => Family::V4,
            Some("v6") => Family::V6,
            Some(_) | None => return Err(TagParseError),
        };
        let word = parts.next().ok_or(TagParseError)?;
        let number = parts.next().map(|n| n.parse::<u8>().map_err(|_| TagParseError)).transpose()?;
        let target = parts.next();
        let test = match (word, number, target) {
            ("map", Some(server), Some(target)) => {
                let target = Target::ALL.into_iter().find(|t| t.as_str() == target).ok_or(TagParseError)?;
                Test::Map { server, target }
            }
            ("control", Some(attempt), None) => Test::Control { attempt },
            ("change-both", Some(attempt), None) => Test::ChangeBoth { attempt },
            ("change-port", Some(attempt), None) => Test::ChangePort { attempt },
            ("proof", Some(server), None) => Test::Proof { server },
            ("again", Some(server), None) => Test::Again { server },
            ("stream", Some(server), None) => Test::Stream { server },
            ("port", Some(socket), None) => Test::Port { socket },
            ("hairpin-learn", None, None) => Test::HairpinLearn,
            ("hairpin-out", None, None) => Test::HairpinOut,
            ("hairpin-back", None, None) => Test::HairpinBack,
            _ => return Err(TagParseError),
        };
        if parts.next().is_some() { Err(TagParseError) } else { Ok(Self { family, test }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn every_tag_round_trips_through_text() {
        let tests = [
            Test::Map { server: 3, target: Target::Primary },
            Test::Map { server: 0, target: Target::OtherAddress },
            Test::Map { server: 255, target: Target::OtherBoth },
            Test::Control { attempt: 1 },
            Test::ChangeBoth { attempt: 0 },
            Test::ChangePort { attempt: 0 },
            Test::Proof { server: 2 },
            Test::Again { server: 1 },
            Test::Stream { server: 0 },
            Test::Port { socket: 15 },
            Test::HairpinLearn,
            Test::HairpinOut,
            Test::HairpinBack,
        ];
        for test in tests {
            for family in [Family::V4, Family::V6] {
                let tag = Tag { family, test };
                assert_eq!(tag.to_string().parse(), Ok(tag));
            }
        }
        for text in ["", "v4", "v5/control/0", "v4/map/0", "v4/map/0/primary/x", "v4/control/256", "v4/hairpin-out/1"] {
            assert_eq!(text.parse::<Tag>(), Err(TagParseError), "{text}");
        }
    }
}
