//! `--metrics`: the counters over HTTP/1.1, as OpenMetrics text for Prometheus.
//!
//! Rules of this file: a client of this port cannot delay the relay. The number of connections is bounded, further ones
//! are closed at once. A connection ends after one response, or after 10 s. The length of a request is bounded. Without
//! an explicit address the port is on loopback, because the counters show who uses the server and how much.

use super::counters::{self, FAMILIES, Family, Kind, Snapshot};
use super::worker::Order;
use alloc::sync::Arc;
use core::convert::Infallible;
use core::net::SocketAddr;
use core::time::Duration;
use hyper::body::Incoming;
use hyper::header::CONTENT_TYPE;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _, MetricEncoder, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use std::io;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{sleep, timeout};

/// Why the metrics cannot be served.
#[derive(Debug, thiserror::Error)]
#[error("cannot serve metrics on {local}: {why}; choose another address with --metrics")]
pub(crate) struct MetricsError {
    local: SocketAddr,
    why: io::Error,
}

/// The maximum number of open connections.
const CONNECTIONS: usize = 8;

/// The time of one connection.
const PATIENCE: Duration = Duration::from_secs(10);

/// The largest request, in bytes.
const REQUEST: usize = 16 << 10;

/// The largest number of header lines of a request.
const HEADERS: usize = 64;

/// The pause after an `accept` that failed.
const PAUSE: Duration = Duration::from_millis(200);

/// The media type of the OpenMetrics text format.
const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Binds the address. A runtime must run.
pub(super) fn bind(local: SocketAddr) -> Result<TcpListener, MetricsError> {
    let bind = || {
        let socket = std::net::TcpListener::bind(local)?;
        socket.set_nonblocking(true)?;
        TcpListener::from_std(socket)
    };
    bind().map_err(|why| MetricsError { local, why })
}

/// Returns the address with the port that the system assigned.
pub(super) fn address(listener: &TcpListener) -> Option<SocketAddr> {
    listener.local_addr().ok()
}

/// Serves the counters of these workers, without an end.
pub(super) async fn serve(listener: TcpListener, workers: Arc<[mpsc::Sender<Order>]>) {
    let connections = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // For example without a free file descriptor. The loop must not use the whole processor.
            sleep(PAUSE).await;
            continue;
        };
        // Above the maximum the stream is closed at once.
        if let Ok(permit) = connections.clone().try_acquire_owned() {
            let workers = workers.clone();
            tokio::spawn(async move {
                connection(stream, workers).await;
                drop(permit);
            });
        }
    }
}

async fn connection(stream: TcpStream, workers: Arc<[mpsc::Sender<Order>]>) {
    let service = service_fn(move |request: Request<Incoming>| {
        let workers = workers.clone();
        async move { Ok::<_, Infallible>(respond(&request, &workers).await) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .keep_alive(false)
        .max_headers(HEADERS)
        .max_buf_size(REQUEST)
        .serve_connection(TokioIo::new(stream), service);
    // A faulty request ends its connection, and other connections are not affected.
    let _ = timeout(PATIENCE, served).await;
}

async fn respond(request: &Request<Incoming>, workers: &[mpsc::Sender<Order>]) -> Response<String> {
    if request.uri().path() != "/metrics" {
        return plain(StatusCode::NOT_FOUND, "the metrics are at /metrics\n");
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return plain(StatusCode::METHOD_NOT_ALLOWED, "the method is GET\n");
    }
    let text = counters::snapshots(workers).await.and_then(|snapshots| encode(snapshots).ok());
    match text {
        Some(text) => {
            let mut response = Response::new(text);
            response.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(MEDIA_TYPE));
            response
        }
        None => plain(StatusCode::SERVICE_UNAVAILABLE, "a worker does not answer\n"),
    }
}

fn plain(status: StatusCode, text: &str) -> Response<String> {
    let mut response = Response::new(text.to_owned());
    *response.status_mut() = status;
    response
}

/// Returns the counters of all workers as text.
fn encode(snapshots: Vec<Snapshot>) -> Result<String, core::fmt::Error> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Metrics(snapshots)));
    let mut text = String::new();
    text::encode(&mut text, &registry)?;
    Ok(text)
}

/// The sums of the counters of all workers.
#[derive(Debug)]
struct Metrics(Vec<Snapshot>);

impl Collector for Metrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), core::fmt::Error> {
        let is_present = |family: &&Family| self.0.iter().all(|snapshot| snapshot.has(family.name));
        FAMILIES.iter().filter(is_present).try_for_each(|family| self.encode_family(&mut encoder, family))
    }
}

impl Metrics {
    fn encode_family(&self, encoder: &mut DescriptorEncoder<'_>, family: &Family) -> Result<(), core::fmt::Error> {
        let kind = match family.kind {
            Kind::Counter => MetricType::Counter,
            Kind::Gauge => MetricType::Gauge,
        };
        let mut metric = encoder.encode_descriptor(family.name, family.help, None, kind)?;
        for (value, counter) in family.samples {
            let sum = counters::sum(&self.0, counter);
            if family.label.is_empty() {
                return encode_value(family.kind, sum, metric);
            }
            let labels = [(family.label, *value)];
            encode_value(family.kind, sum, metric.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

fn encode_value(kind: Kind, value: u64, encoder: MetricEncoder<'_>) -> Result<(), core::fmt::Error> {
    match kind {
        Kind::Counter => ConstCounter::new(value).encode(encoder),
        Kind::Gauge => ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX)).encode(encoder),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use portolan_punch::rendezvous::ServerStats as RendezvousStats;

    /// The page of the metrics.
    const PAGE: &str = include_str!("../../../../docs/metrics.md");

    /// The rows of the page: name, type, label with its values, help.
    fn documented() -> Vec<String> {
        PAGE.lines().filter(|line| line.starts_with("| `portolan_")).map(ToOwned::to_owned).collect()
    }

    fn row(family: &Family) -> String {
        let suffix = if family.kind == Kind::Counter { "_total" } else { "" };
        let kind = if family.kind == Kind::Counter { "counter" } else { "gauge" };
        let values: Vec<_> = family.samples.iter().map(|(value, _)| format!("`{value}`")).collect();
        let label = match family.label {
            "" => "–".to_owned(),
            label => format!("`{label}`: {}", values.join(", ")),
        };
        format!("| `{}{suffix}` | {kind} | {label} | {} |", family.name, family.help)
    }

    #[test]
    fn the_page_has_each_metric_and_no_other() {
        let expected: Vec<_> = FAMILIES.iter().map(row).collect();
        assert_eq!(documented(), expected, "\n{}\n", expected.join("\n"));
    }

    #[test]
    fn the_text_has_each_sample_with_the_sum_of_all_workers() {
        let mut one = Snapshot::default();
        (one.server.allocations, one.server.freed, one.server.refused.quota) = (7, 3, 5);
        let text = encode(vec![one, one, Snapshot::default()]).unwrap();
        for line in [
            "# HELP portolan_turn_allocations Allocations that exist",
            "# TYPE portolan_turn_allocations gauge",
            "portolan_turn_workers 3",
            "portolan_turn_allocations 8",
            "portolan_turn_allocations_created_total 14",
            "portolan_turn_refused_total{code=\"486\"} 10",
            "# EOF",
        ] {
            assert!(text.lines().any(|other| other == line), "{line:?} is missing in\n{text}");
        }
        let samples = |text: &str| text.lines().filter(|line| !line.starts_with('#')).count();
        let expected = |other: &str| -> usize {
            let present = FAMILIES.iter().filter(|family| !family.name.starts_with(other));
            present.map(|family| family.samples.len()).sum()
        };
        assert_eq!(samples(&text), expected("portolan_rendezvous_"));
        let rendezvous = Snapshot { rendezvous: Some(RendezvousStats::default()), ..Snapshot::default() };
        let text = encode(vec![rendezvous]).unwrap();
        assert!(text.contains("portolan_rendezvous_refused_total{code=\"480\"} 0"), "{text}");
        assert_eq!(samples(&text), expected("portolan_turn_"));
    }
}
