//! `portolan serve --turn`: starts the workers, handles the signals and prints the counters.
//!
//! Rules of this file: the process serves with all workers or not at all. After the first stop signal the workers
//! drain; after the second one, or when the time is over, they stop. A faulty reload changes nothing.

use super::counters::{self, Snapshot};
use super::metrics;
use super::settings::{self, Settings, SettingsError};
use super::sockets::{self, OpenSockets};
use super::tls::{Certificate, TlsSettings};
use super::worker::{Order, Report, Reports, Worker, WorkerError, WorkerPlan};
use super::{ServeArgs, ServeError, protocol_name, settings_file, users};
use crate::error::Failure;
use crate::exit::Exit;
use crate::output;
use crate::signals::{StatusRequest, StatusSignal, StopSignal};
use core::net::SocketAddr;
use core::time::Duration;
use portolan_machine::Protocol;
use std::ffi::OsString;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

/// Serves until the process receives a signal. `words` is the command line, from which a reload begins again.
pub(super) async fn run(args: &ServeArgs, words: &[OsString]) -> Result<Exit, Failure> {
    let (mut stop, mut status) = (StopSignal::register()?, StatusSignal::register()?);
    let nonces = users::nonce_secret();
    let settings = Settings::check(args, nonces).map_err(ServeError::from)?;
    let tls = if args.turn.tls_listen.is_empty() { None } else { Some(tls_settings(args)?) };
    let descriptors = settings::raise_descriptors();
    let metrics = args.turn.metrics.map(metrics::bind).transpose().map_err(ServeError::from)?;
    let turn = &args.turn;
    let open = sockets::open(&args.listen, &turn.tls_listen, settings.workers, turn.socket_buffer)?;
    let listening = open.listening.clone();
    let mut workers = start(args, &settings, tls.as_ref(), open)?;
    workers.ready().await?;
    settings::report_descriptors(descriptors, settings.allocations);
    let orders = workers.workers.iter().map(|worker| worker.orders.clone()).collect();
    let metrics_at = metrics.as_ref().and_then(metrics::address);
    if let Some(listener) = metrics {
        tokio::spawn(metrics::serve(listener, orders));
    }
    announce(&settings, &listening, metrics_at)?;
    let mut end: Option<Instant> = None;
    let mut left = workers.workers.len();
    loop {
        tokio::select! {
            () = stop.received() => {
                if end.is_some() || settings.drain.is_zero() {
                    break;
                }
                announce_drain(&workers.snapshot().await, settings.drain);
                end = Some(Instant::now() + settings.drain);
                workers.order(|| Order::Drain).await;
            }
            request = status.received() => match request {
                StatusRequest::Hangup => reload(args, words, (nonces, tls.as_ref()), &workers).await,
                StatusRequest::User => print_counters(&workers.snapshot().await),
            },
            report = workers.reports.recv() => match report {
                Some((_, Report::Drained)) => {
                    left = left.saturating_sub(1);
                    if left == 0 {
                        break;
                    }
                }
                Some((worker, Report::Ended)) => return Err(ServeError::WorkerEnded(worker).into()),
                Some((_, Report::Failed(error))) => return Err(ServeError::from(error).into()),
                Some((_, Report::Ready | Report::Stopped(_))) | None => {}
            },
            () = until(end) => break,
        }
    }
    tracing::info!(target: "portolan", "received a stop signal, closing all sockets");
    print_counters(&workers.stop().await);
    Ok(Exit::Success)
}

/// Waits until this time; without a time forever.
async fn until(end: Option<Instant>) {
    match end {
        Some(end) => sleep_until(end).await,
        None => core::future::pending().await,
    }
}

fn certificate(args: &ServeArgs) -> Result<Certificate, ServeError> {
    let cert = args.turn.tls_cert.as_deref().ok_or(SettingsError::NoCertificate("--tls-cert"))?;
    let key = args.turn.tls_key.as_deref().ok_or(SettingsError::NoCertificate("--tls-key"))?;
    Ok(Certificate::read(cert, key)?)
}

fn tls_settings(args: &ServeArgs) -> Result<TlsSettings, ServeError> {
    TlsSettings::new(certificate(args)?).map_err(|why| ServeError::Tls(why.to_string().into()))
}

/// The workers of the process.
struct Workers {
    workers: Vec<Worker>,
    reports: mpsc::UnboundedReceiver<(u16, Report)>,
}

fn start(
    args: &ServeArgs,
    settings: &Settings,
    tls: Option<&TlsSettings>,
    open: OpenSockets,
) -> Result<Workers, Failure> {
    let (sender, reports) = mpsc::unbounded_channel();
    let mut workers = Workers { workers: Vec::new(), reports };
    for ((number, sockets), server) in (0..).zip(open.workers).zip(&settings.servers) {
        // The runtimes are made in this thread, one after the other: see `reserve_descriptors`.
        crate::reserve_descriptors().map_err(WorkerError::from).map_err(ServeError::from)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(WorkerError::from).map_err(ServeError::from)?;
        let mut driver = server.driver();
        if let Some(bytes) = args.turn.relay_buffer {
            driver = driver.with_socket_buffers(super::count(bytes));
        }
        if let Some(tls) = tls {
            driver = tls.add_to(driver);
        }
        let (credentials, settings) = (settings.credentials.clone(), server.clone());
        let plan = WorkerPlan { number, sockets, driver, credentials, settings };
        let worker = Worker::start(plan, runtime, Reports::new(number, sender.clone()));
        workers.workers.push(worker.map_err(WorkerError::from).map_err(ServeError::from)?);
    }
    Ok(workers)
}

impl Workers {
    /// Waits until all workers serve.
    async fn ready(&mut self) -> Result<(), ServeError> {
        for _ in 0..self.workers.len() {
            match self.reports.recv().await {
                Some((_, Report::Ready)) => {}
                Some((_, Report::Failed(error))) => return Err(error.into()),
                Some((worker, Report::Ended | Report::Drained | Report::Stopped(_))) => {
                    return Err(ServeError::WorkerEnded(worker));
                }
                None => return Err(ServeError::WorkerEnded(0)),
            }
        }
        Ok(())
    }

    async fn order(&self, order: impl Fn() -> Order) {
        for worker in &self.workers {
            // A worker without a receiver has ended, which its report says.
            let _ = worker.orders.send(order()).await;
        }
    }

    async fn snapshot(&self) -> Vec<Snapshot> {
        let orders: Vec<_> = self.workers.iter().map(|worker| worker.orders.clone()).collect();
        counters::snapshots(&orders).await.unwrap_or_default()
    }

    /// Stops the workers, and returns their last counters.
    async fn stop(mut self) -> Vec<Snapshot> {
        self.order(|| Order::Stop).await;
        let mut last = Vec::new();
        let mut left = self.workers.len();
        while left > 0 {
            match self.reports.recv().await {
                Some((_, Report::Stopped(snapshot))) => last.push(*snapshot),
                Some((_, Report::Ended)) => left -= 1,
                Some((_, Report::Ready | Report::Failed(_) | Report::Drained)) => {}
                None => break,
            }
        }
        for worker in self.workers {
            // The thread has sent its last report. A panic in it was printed by the thread.
            let _ = worker.thread.join();
        }
        last
    }
}

/// Prints the addresses on standard output, and the settings on standard error.
fn announce(
    settings: &Settings,
    listening: &[(Protocol, SocketAddr)],
    metrics: Option<SocketAddr>,
) -> Result<(), Failure> {
    let relays: Vec<_> = settings.relay_addresses().map(|ip| ip.to_string()).collect();
    let (first, last) = settings.relay_ports();
    output::print_diagnostic(format_args!(
        "relaying for {} on {}, ports {first} to {last}, with {}",
        settings.credentials,
        relays.join(" and "),
        output::count(settings.workers.into(), "worker"),
    ));
    if let Some(metrics) = metrics {
        output::print_diagnostic(format_args!("metrics at http://{metrics}/metrics"));
    }
    for (protocol, local) in listening {
        match protocol {
            // TCP listens on the same address.
            Protocol::Udp => output::print(&format!("listening on {local} (udp, tcp)\n"))?,
            Protocol::TlsListen => output::print(&format!("listening on {local} (tls)\n"))?,
            Protocol::Tcp | Protocol::Tls | Protocol::TcpListen => {
                tracing::info!(target: "portolan", "listening on {local} ({})", protocol_name(*protocol));
            }
        }
    }
    Ok(())
}

fn announce_drain(snapshots: &[Snapshot], drain: Duration) {
    let open = counters::sum(snapshots, Snapshot::open);
    output::print_diagnostic(format_args!(
        "draining: new allocations get 508, and {} may go on for {} s; a second signal ends them",
        output::count(usize::try_from(open).unwrap_or(usize::MAX), "allocation"),
        drain.as_secs()
    ));
}

/// Reads the credentials, the lists of peers and the certificate again. After an error the old ones stay.
async fn reload(
    args: &ServeArgs,
    words: &[OsString],
    (nonces, tls): ([u8; 32], Option<&TlsSettings>),
    workers: &Workers,
) {
    let read = || -> Result<_, ServeError> {
        let merged = args.config.as_deref().map(|file| settings_file::merge(file, words)).transpose()?;
        let args = merged.as_ref().unwrap_or(args);
        let realm = args.realm.as_deref().ok_or(SettingsError::NoRealm)?;
        let credentials = super::credentials::Credentials::read(args, realm, nonces)?;
        let certificate = tls.map(|tls| certificate(args).map(|certificate| (tls, certificate))).transpose()?;
        Ok(((credentials, settings::policy(args)), certificate))
    };
    match read() {
        Ok((new, certificate)) => {
            workers.order(|| Order::Reload(Box::new(new.clone()))).await;
            let also = if certificate.is_some() { ", and the certificate" } else { "" };
            if let Some((tls, certificate)) = certificate {
                tls.replace(certificate);
            }
            // A worker performs its orders in sequence. So each worker has the new settings when the line is printed.
            workers.snapshot().await;
            output::print_diagnostic(format_args!("reloaded: {}{also}", new.0));
        }
        Err(error) => output::print_diagnostic(format_args!("not reloaded, the old settings stay: {error}")),
    }
}

/// Prints the counters of all workers in one line.
fn print_counters(snapshots: &[Snapshot]) {
    let sum = |value: fn(&Snapshot) -> u64| counters::sum(snapshots, value);
    output::print_diagnostic(format_args!(
        "{} requests, {} Binding responses, {} rejected, {} refused; {} allocations, {} open; relayed: {} datagrams ({} \
         bytes) to peers, {} ({}) to clients; {} dropped; accepting: {} over the limit of their source, {} times \
         without a free file descriptor, {} times failed; sending: {} dropped at a full buffer",
        sum(|of| of.server.requests),
        sum(|of| of.server.bindings),
        sum(|of| of.server.rejected.total()),
        sum(|of| of.server.refused.total()),
        sum(|of| of.server.allocations),
        sum(Snapshot::open),
        sum(|of| of.server.relayed.to_peers.datagrams),
        sum(|of| of.server.relayed.to_peers.bytes),
        sum(|of| of.server.relayed.to_client.datagrams),
        sum(|of| of.server.relayed.to_client.bytes),
        sum(|of| of.server.dropped.total()),
        sum(|of| of.driver.too_many_streams),
        sum(|of| of.driver.no_descriptors),
        sum(|of| of.driver.accept_failed),
        sum(|of| of.driver.full),
    ));
}
