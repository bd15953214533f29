//! The configuration and the commands of a query.

use crate::{Credential, QueryError};
use alloc::string::String;
use alloc::sync::Arc;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::time::Duration;
use portolan_machine::hex::{read_hex, write_hex};
use portolan_machine::{Protocol, Script, ScriptError};

/// The configuration of a [`Query`](super::Query): the server, the protocol and the credential.
///
/// ```
/// use core::time::Duration;
/// use portolan_machine::Protocol;
/// use portolan_stun_agent::{Credential, QueryConfig};
///
/// let config = QueryConfig::new("192.0.2.1:5349".parse()?)
///     .protocol(Protocol::Tls)
///     .server_name("stun.example.org".into())
///     .timeout(Duration::from_secs(5))
///     .credential(Credential::long_term("ann", "secret"));
/// assert_eq!(config.to_string(), "192.0.2.1:5349 tls timeout=5000000000 name=stun.example.org credential=long-term");
/// # Ok::<(), core::net::AddrParseError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryConfig {
    pub(super) server: SocketAddr,
    pub(super) protocol: Protocol,
    pub(super) server_name: Option<Arc<str>>,
    pub(super) timeout: Duration,
    pub(super) credential: Option<Credential>,
    local: Option<SocketAddr>,
}

impl QueryConfig {
    /// The default timeout: 39.5 seconds, the end of the retransmissions over UDP and Ti of a stream (RFC 8489
    /// §6.2.1, §6.2.2).
    pub const TIMEOUT: Duration = Duration::from_millis(39_500);

    /// A query over UDP without a credential. The system selects the local address.
    #[must_use]
    pub const fn new(server: SocketAddr) -> Self {
        Self {
            server,
            protocol: Protocol::Udp,
            server_name: None,
            timeout: Self::TIMEOUT,
            credential: None,
            local: None,
        }
    }

    /// Returns the same query over this protocol: UDP, TCP or TLS.
    #[must_use]
    pub const fn protocol(mut self, protocol: Protocol) -> Self {
        self.protocol = protocol;
        self
    }

    /// Returns the same query with the name that the certificate of a TLS server must contain. Without a name the
    /// certificate must contain the address. Other protocols ignore the name.
    #[must_use]
    pub fn server_name(mut self, server_name: Arc<str>) -> Self {
        self.server_name = Some(server_name);
        self
    }

    /// Returns the same query with this timeout, which includes the time to connect.
    ///
    /// Over UDP the query ends after [`TIMEOUT`](Self::TIMEOUT) at the latest, for each transaction of its request.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Returns the same query with a credential (RFC 8489 §9). See
    /// [`Transactions::request_with`](crate::Transactions::request_with) for the meaning of a response without
    /// integrity.
    #[must_use]
    pub fn credential(mut self, credential: Credential) -> Self {
        self.credential = Some(credential);
        self
    }

    /// Returns the same query from this local address. With port 0 the system assigns the port.
    #[must_use]
    pub const fn from_local(mut self, local: SocketAddr) -> Self {
        self.local = Some(local);
        self
    }

    /// The address to bind.
    pub(super) fn local(&self) -> SocketAddr {
        let any: IpAddr = match self.server {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        self.local.unwrap_or(SocketAddr::new(any, 0))
    }

    pub(super) fn check(&self) -> Result<(), QueryError> {
        if self.server.ip().is_unspecified() || self.server.port() == 0 {
            return Err(QueryError::Destination);
        }
        if self.protocol.is_listener() {
            return Err(QueryError::Protocol);
        }
        if self.local().is_ipv4() != self.server.is_ipv4() {
            return Err(QueryError::LocalFamily);
        }
        Ok(())
    }

    /// Writes the text without the name and the credential.
    fn write_head(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        write!(out, "{} {} timeout={}", self.server, self.protocol, self.timeout.as_nanos())?;
        match self.local {
            Some(local) => write!(out, " local={local}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for QueryConfig {
    /// Prints `192.0.2.1:3478 udp timeout=39500000000`, then the optional `local=`, `name=` and `credential=`. Of a
    /// credential only the mechanism is printed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_head(f)?;
        if let Some(name) = &self.server_name {
            write!(f, " name={name}")?;
        }
        match &self.credential {
            Some(credential) => write!(f, " credential={credential}"),
            None => Ok(()),
        }
    }
}

impl Script for QueryConfig {
    /// Writes the text of `Display`, with the name in hexadecimal and the whole credential. The text is secret.
    fn write(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        self.write_head(out)?;
        if let Some(name) = &self.server_name {
            out.write_str(" name=")?;
            write_hex(out, name.as_bytes())?;
        }
        match &self.credential {
            Some(credential) => {
                out.write_str(" credential=")?;
                credential.write(out)
            }
            None => Ok(()),
        }
    }

    fn read(text: &str) -> Result<Self, ScriptError> {
        const TIMEOUT: ScriptError = ScriptError::new("a number of nanoseconds");
        const NAME: ScriptError = ScriptError::new("a server name in hexadecimal");
        let mut words = text.split(' ');
        let server = words.next().and_then(|word| word.parse().ok()).ok_or(ScriptError::new("a server's address"))?;
        let mut config = Self::new(server);
        config.protocol = words.next().and_then(protocol).ok_or(ScriptError::new("`udp`, `tcp` or `tls`"))?;
        for word in words {
            match word.split_once('=') {
                Some(("timeout", nanos)) => {
                    let nanos: u128 = nanos.parse().map_err(|_| TIMEOUT)?;
                    let secs = u64::try_from(nanos / 1_000_000_000).map_err(|_| TIMEOUT)?;
                    config.timeout = Duration::new(secs, u32::try_from(nanos % 1_000_000_000).map_err(|_| TIMEOUT)?);
                }
                Some(("local", local)) => {
                    config.local = Some(local.parse().map_err(|_| ScriptError::new("a local address"))?);
                }
                Some(("name", name)) => {
                    config.server_name = Some(String::from_utf8(read_hex(name)?).map_err(|_| NAME)?.into());
                }
                Some(("credential", credential)) => config.credential = Some(Credential::read(credential)?),
                _ => return Err(ScriptError::new("`timeout=`, `local=`, `name=` or `credential=` with its value")),
            }
        }
        Ok(config)
    }
}

/// The protocol of this name.
fn protocol(name: &str) -> Option<Protocol> {
    Some(match name {
        "udp" => Protocol::Udp,
        "tcp" => Protocol::Tcp,
        "tcp-listen" => Protocol::TcpListen,
        "tls" => Protocol::Tls,
        "tls-listen" => Protocol::TlsListen,
        _ => return None,
    })
}

/// A command to a [`Query`](super::Query).
///
/// Its [`Script`] text is one line, and contains the secrets of a credential. `Display` and `Debug` print only the
/// mechanism.
///
/// ```
/// use portolan_machine::Script;
/// use portolan_stun_agent::{Credential, QueryCommand, QueryConfig};
///
/// let config = QueryConfig::new("192.0.2.1:3478".parse()?).credential(Credential::short_term("ann", "secret"));
/// let start = QueryCommand::Start(config);
/// assert_eq!(start.to_string(), "start 192.0.2.1:3478 udp timeout=39500000000 credential=short-term");
/// let text = start.to_text();
/// assert_eq!(text, "start 192.0.2.1:3478 udp timeout=39500000000 credential=short-term:616e6e:736563726574");
/// assert_eq!(QueryCommand::read(&text), Ok(start));
/// # Ok::<(), core::net::AddrParseError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QueryCommand {
    /// Orders the socket, and makes the request when the socket is open.
    Start(QueryConfig),
    /// Ends the query.
    Cancel,
}

impl fmt::Display for QueryCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start(config) => write!(f, "start {config}"),
            Self::Cancel => f.write_str("cancel"),
        }
    }
}

impl Script for QueryCommand {
    fn write(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        match self {
            Self::Start(config) => {
                out.write_str("start ")?;
                config.write(out)
            }
            Self::Cancel => out.write_str("cancel"),
        }
    }

    fn read(text: &str) -> Result<Self, ScriptError> {
        match text.split_once(' ') {
            Some(("start", config)) => QueryConfig::read(config).map(Self::Start),
            None if text == "cancel" => Ok(Self::Cancel),
            _ => Err(ScriptError::new("`start` with a server, or `cancel`")),
        }
    }
}
