//! The configuration of a connection.

use alloc::vec::Vec;
use portolan_ice::{AgentConfig, GatherConfig};
use portolan_turn::ClientConfig;

/// The configuration of a [`Connection`](crate::Connection).
///
/// ```
/// use portolan_connect::ConnectConfig;
/// use portolan_ice::GatherConfig;
/// use portolan_stun_agent::Credential;
/// use portolan_turn::ClientConfig;
///
/// let server = "192.0.2.1:3478".parse()?;
/// let config = ConnectConfig::new()
///     .gather(GatherConfig::new().server(server))
///     .turn(ClientConfig::new(server, Credential::long_term("ann", "secret")));
/// assert_eq!(config.turn_servers().len(), 1);
/// # Ok::<(), core::net::AddrParseError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConnectConfig {
    pub(super) agent: AgentConfig,
    pub(super) gather: GatherConfig,
    pub(super) turn: Vec<ClientConfig>,
    pub(super) has_tcp: bool,
}

impl ConnectConfig {
    /// The largest number of TURN clients: the product of TURN servers and components.
    pub const RELAYS: usize = 64;

    /// One component, without servers.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the same configuration with this agent.
    #[must_use]
    pub fn agent(mut self, agent: AgentConfig) -> Self {
        self.agent = agent;
        self
    }

    /// Returns the same configuration with this gatherer. Its components are those of the agent.
    #[must_use]
    pub fn gather(mut self, gather: GatherConfig) -> Self {
        self.gather = gather;
        self
    }

    /// Returns the same configuration with one more TURN server. The relayed addresses of the first server have the
    /// highest preference.
    #[must_use]
    pub fn turn(mut self, client: ClientConfig) -> Self {
        self.turn.push(client);
        self
    }

    /// Returns the same configuration with TCP candidates beside the host candidates (RFC 6544): an active and a passive one
    /// for each address. Each address has one listener more.
    #[must_use]
    pub const fn tcp(mut self) -> Self {
        self.has_tcp = true;
        self
    }

    /// Returns the same configuration without host and server-reflexive candidates: all data is relayed.
    #[must_use]
    pub fn relay_only(mut self) -> Self {
        self.gather = self.gather.relay_only();
        self
    }

    /// The TURN servers.
    #[must_use]
    pub fn turn_servers(&self) -> &[ClientConfig] {
        &self.turn
    }
}
