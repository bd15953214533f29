//! Replaces `tls.rs` when the feature `tls` is off: the same types, without values.
//!
//! The rest of the driver is the same with and without the feature. Orders for TLS are refused as unsupported, because
//! there is neither a TLS client nor a TLS server.

use crate::sockets::stream::Transport;
use alloc::boxed::Box;
use alloc::sync::Arc;
use core::net::SocketAddr;
use portolan_machine::{Refusal, TlsFailure};
use tokio::net::TcpStream;

/// No TLS settings.
#[derive(Clone, Debug, Default)]
pub(crate) struct TlsConfig {}

impl TlsConfig {
    /// Returns no client.
    pub(crate) const fn client(&mut self) -> Option<TlsClient> {
        None
    }

    /// Returns no server.
    pub(crate) const fn server(&self) -> Option<TlsServer> {
        None
    }
}

/// Has no values.
#[derive(Clone, Debug)]
pub(crate) enum TlsClient {}

impl TlsClient {
    pub(crate) async fn connect(
        self,
        _: TcpStream,
        _: Option<Arc<str>>,
        _: SocketAddr,
    ) -> Result<Box<dyn Transport>, Refusal> {
        match self {}
    }
}

/// Has no values.
#[derive(Clone, Debug)]
pub(crate) enum TlsServer {}

impl TlsServer {
    pub(crate) async fn accept(self, _: TcpStream) -> Result<Box<dyn Transport>, TlsFailure> {
        match self {}
    }
}
