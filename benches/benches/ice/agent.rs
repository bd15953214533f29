//! The interface of every compared agent, for a session in memory.
//!
//! An address of an agent has the port 5000 and its number. So an agent that names sockets by numbers finds them without
//! a search, as with real sockets.

mod ezk;
mod is;
mod ours;
mod rice;
mod rtc;

pub(crate) use ezk::Ezk;
pub(crate) use is::Is;
pub(crate) use ours::{Browserlike, Ours, OwnAgent};
pub(crate) use rice::Rice;
pub(crate) use rtc::Rtc;

use core::net::{Ipv4Addr, SocketAddr};
use core::time::Duration;

/// The first port of the addresses of an agent.
pub(crate) const PORT: u16 = 5_000;

/// A datagram.
#[derive(Debug)]
pub(crate) struct Packet<B> {
    pub(crate) from: SocketAddr,
    pub(crate) to: SocketAddr,
    pub(crate) bytes: B,
}

/// An agent with host candidates. Times are since the start of the session.
pub(crate) trait Agent: Sized {
    /// The name of its package.
    const NAME: &'static str;
    /// The type of the package.
    type Inner;
    /// What is signalled to the peer: credentials and candidates, as values of the package.
    type Description;
    /// The bytes of a datagram, as the agent returns them.
    type Bytes: AsRef<[u8]>;

    /// An agent that gathers from these addresses. `limit` is the largest number of pairs, if the package has one.
    fn new(addresses: &[SocketAddr], limit: usize, is_controlling: bool) -> Self;
    /// Returns what is signalled.
    fn description(&mut self) -> Self::Description;
    /// Sets the description of the peer.
    fn accept(&mut self, now: Duration, description: Self::Description);
    /// Returns the next datagram to send.
    fn poll(&mut self, now: Duration) -> Option<Packet<Self::Bytes>>;
    /// Handles a datagram.
    fn receive(&mut self, now: Duration, packet: Packet<Self::Bytes>);
    /// Returns the time of the next call of [`Agent::wake`].
    fn deadline(&mut self, now: Duration) -> Option<Duration>;
    /// Lets time pass.
    fn wake(&mut self, now: Duration);
    /// Returns the agent without the values of the bench.
    fn into_inner(self) -> Self::Inner;
    /// Returns the local and the remote address of the selected pair.
    fn selected(&self) -> Option<(SocketAddr, SocketAddr)>;
}

/// Returns the addresses of an agent. `network` differs between the agents.
pub(crate) fn addresses(network: u8, count: u8) -> Vec<SocketAddr> {
    let address = |number| SocketAddr::from((Ipv4Addr::new(10, network, number, 1), PORT + u16::from(number)));
    (0..count).map(address).collect()
}
