//! The STUN and TURN servers of a session: `RTCIceServer` objects, resolved.

use super::message::IceServer;
use crate::resolve::resolve;
use crate::servers::{Host, ServerName, ServerNameError};
use crate::trust::TrustError;
use crate::turn::target::{TurnTarget, TurnTargetError};
use alloc::sync::Arc;
use core::net::SocketAddr;
use core::time::Duration;
use portolan_machine::Protocol;
use portolan_nat::profile::Family;
use portolan_stun_agent::Credential;
use portolan_turn::ClientConfig;

/// Why the servers cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServerError {
    #[error("{url}: {why}")]
    Stun { url: Box<str>, why: ServerNameError },
    #[error("{url}: {why}")]
    Turn { url: Box<str>, why: TurnTargetError },
    #[error("{0}: a TURN server needs a username and a credential")]
    NoCredential(Box<str>),
    #[error("{0}")]
    Unresolved(Box<str>),
    #[error(transparent)]
    Trust(#[from] TrustError),
}

/// The servers with their addresses.
#[derive(Debug, Default)]
pub(super) struct Servers {
    pub(super) stun: Vec<SocketAddr>,
    pub(super) turn: Vec<ClientConfig>,
    pub(super) needs_tls: bool,
}

/// Resolves the servers.
pub(super) async fn resolve_servers(servers: &[IceServer], bound: Duration) -> Result<Servers, ServerError> {
    let mut found = Servers::default();
    for server in servers {
        for url in server.urls.all() {
            if url.starts_with("turn") {
                let client = turn(url, server, bound).await?;
                found.needs_tls |= url.starts_with("turns");
                found.turn.push(client);
            } else {
                let name: ServerName =
                    url.parse().map_err(|why| ServerError::Stun { url: url.as_str().into(), why })?;
                found.stun.extend(addresses(&name, bound).await?);
            }
        }
    }
    Ok(found)
}

async fn turn(url: &str, server: &IceServer, bound: Duration) -> Result<ClientConfig, ServerError> {
    let target: TurnTarget = url.parse().map_err(|why| ServerError::Turn { url: url.into(), why })?;
    let (Some(name), Some(password)) = (&server.username, &server.credential) else {
        return Err(ServerError::NoCredential(url.into()));
    };
    let protocol = target.protocol.unwrap_or(Protocol::Udp);
    let host = if protocol == Protocol::Tls { &target.secure } else { &target.plain };
    let found = addresses(host, bound).await?;
    let Some((first, others)) = found.split_first() else {
        return Err(ServerError::Unresolved(format!("{url} has no address").into()));
    };
    // A relayed address of each family, for peers of each family. A server without IPv6 gives the IPv4 address alone.
    let mut config = ClientConfig::new(*first, Credential::long_term(name, password)).protocol(protocol).dual();
    for other in others.iter().take(ClientConfig::SERVERS - 1) {
        config = config.or_server(*other);
    }
    Ok(match &host.host {
        Host::Name(name) => config.server_name(Arc::from(&**name)),
        Host::Address(_) => config,
    })
}

async fn addresses(name: &ServerName, bound: Duration) -> Result<Vec<SocketAddr>, ServerError> {
    let resolved = resolve(name, &[Family::V4, Family::V6], bound).await;
    let found = resolved.servers.first().map(|server| server.addresses.to_vec()).unwrap_or_default();
    if found.is_empty() {
        let why = resolved.unresolved.first().map(ToString::to_string);
        return Err(ServerError::Unresolved(why.unwrap_or_else(|| format!("{name} has no address")).into()));
    }
    Ok(found)
}
