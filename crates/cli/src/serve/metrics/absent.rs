//! `--metrics` in a build without the feature `metrics`.

use super::worker::Order;
use alloc::sync::Arc;
use core::convert::Infallible;
use core::net::SocketAddr;
use tokio::sync::mpsc;

/// Why the metrics cannot be served.
#[derive(Debug, thiserror::Error)]
#[error("this build of portolan has no metrics; leave out --metrics, or build with the feature `metrics`")]
pub(crate) struct MetricsError;

/// A listener, which this build never has.
pub(super) struct Listener(Infallible);

pub(super) fn bind(_: SocketAddr) -> Result<Listener, MetricsError> {
    Err(MetricsError)
}

pub(super) fn address(listener: &Listener) -> Option<SocketAddr> {
    match listener.0 {}
}

pub(super) async fn serve(listener: Listener, _: Arc<[mpsc::Sender<Order>]>) {
    match listener.0 {}
}
