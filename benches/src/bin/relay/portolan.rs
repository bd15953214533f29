//! The server of this project: `portolan_turn::Server` on the driver of `portolan_tokio`, on one thread.

use crate::Outcome;
use crate::server::{CREDENTIALS, SOCKET_BUFFER};
use core::net::SocketAddr;
use portolan_stun_agent::{Authenticator, Users};
use portolan_tokio::{Driver, DriverConfig};
use portolan_turn::{PeerPolicy, Server, ServerConfig, ServerEvent, ServerLimits};
use std::io::Write as _;

/// Serves until the process is ended.
pub(crate) fn serve(address: SocketAddr) -> Outcome<()> {
    let (user, realm, password) = CREDENTIALS;
    let mut users = Users::long_term(realm);
    users.add(user, password)?;
    // All clients have one address and one user.
    let mut limits = ServerLimits::default();
    limits.allocations_per_user = limits.allocations;
    limits.allocations_per_source = limits.allocations;
    let config = ServerConfig::new(Authenticator::long_term(realm, &[7; 32], users)?)
        .listen_udp(address)
        .relay(address.ip())
        .ports(10_000, 30_000)
        .policy(PeerPolicy::default().allow("127.0.0.0/8".parse()?))
        .rate(None)
        .limits(limits);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let settings = DriverConfig::default().with_socket_buffers(SOCKET_BUFFER).without_trace();
        let mut driver = Driver::with_config(Server::new(&config)?, settings)?;
        driver.with(|server, cx| server.start(cx))?;
        driver.run_until(|event| matches!(event, ServerEvent::Listening { .. }).then_some(())).await;
        writeln!(std::io::stdout(), "ready")?;
        loop {
            driver.next().await;
        }
    })
}
