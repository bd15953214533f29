//! The version of the protocol, and the origin of the description (RFC 8866 §5.1, §5.2).

use crate::error::{Citation, ValueError};
use crate::grammar::{ascii, space, visible, whole};
use crate::value::{Address, Value};
use core::fmt;

/// `v=`: the version of the protocol, which is 0, in any number of digits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Version;

impl<'a> Value<'a> for Version {
    const CLAUSE: Citation = Citation::new("RFC 8866", "5.1");

    fn parse(value: &'a [u8]) -> Result<Self, ValueError> {
        // The grammar allows any number of digits.
        whole(value, Self::CLAUSE, |input| ascii(input, |byte| byte == b'0', "version 0")).map(|_| Self)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("0")
    }
}

/// `o=`: the author, the session id and the version of the description.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Origin<'a> {
    /// The login name of the user, or `-`.
    pub username: &'a [u8],
    /// The session id: any number of digits.
    pub id: &'a str,
    /// The version of this description: any number of digits.
    pub version: &'a str,
    /// The network type, `IN` for the Internet.
    pub network: &'a str,
    /// The address type, `IP4` or `IP6`.
    pub address_type: &'a str,
    /// The address of the host that created the description.
    pub address: Address<'a>,
}

impl<'a> Value<'a> for Origin<'a> {
    const CLAUSE: Citation = Citation::new("RFC 8866", "5.2");

    fn parse(value: &'a [u8]) -> Result<Self, ValueError> {
        whole(value, Self::CLAUSE, |input| {
            let (rest, username) = visible(input, "a user name, or -")?;
            let (rest, ()) = space(rest)?;
            let (rest, id) = ascii(rest, |byte| byte.is_ascii_digit(), "a session id in digits")?;
            let (rest, ()) = space(rest)?;
            let (rest, version) = ascii(rest, |byte| byte.is_ascii_digit(), "a session version in digits")?;
            let (rest, ()) = space(rest)?;
            let (rest, (network, address_type, address)) = Address::with_types(rest)?;
            Ok((rest, Self { username, id, version, network, address_type, address }))
        })
    }
}

impl fmt::Display for Origin<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { username, id, version, network, address_type, address } = self;
        write!(f, "{} {id} {version} {network} {address_type} {address}", crate::line::Lossy(username))
    }
}
