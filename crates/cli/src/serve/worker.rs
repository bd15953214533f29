//! A worker of a TURN server: one thread with one driver and one server machine.
//!
//! Rules of this file: workers share nothing but the table of users. A worker gets orders through a bounded channel and
//! sends reports. It reports its end also when it panics, so that the process does not go on with a part of its
//! sockets.

use super::counters::Snapshot;
use super::credentials::Credentials;
use super::event_log;
use super::limiter::LimitedLog;
use super::settings::ServerSettings;
use super::sockets::WorkerSockets;
use super::users::UserError;
use core::time::Duration;
use portolan_machine::{Cx, Datagram, Forward, Input, Instant, Machine, Output, Protocol, Verdict};
use portolan_tokio::{Driver, DriverConfig};
use portolan_turn::{PeerPolicy, Server, ServerCommand, ServerConfigError, ServerError, ServerEvent, ServerSocket};
use std::io;
use std::thread::{self, JoinHandle};
use std::time::SystemTime;
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, oneshot};

/// The settings of one worker.
pub(super) struct WorkerPlan {
    pub(super) number: u16,
    pub(super) sockets: WorkerSockets,
    pub(super) driver: DriverConfig,
    pub(super) credentials: Credentials,
    pub(super) settings: ServerSettings,
}

/// An order to a worker.
#[derive(Debug)]
pub(super) enum Order {
    /// Refuses new allocations.
    Drain,
    /// Replaces the credentials and the policy.
    Reload(Box<(Credentials, PeerPolicy)>),
    /// Asks for the counters.
    Snapshot(oneshot::Sender<Snapshot>),
    /// Frees all allocations and ends.
    Stop,
}

/// A report of a worker.
#[derive(Debug)]
pub(super) enum Report {
    /// The worker serves.
    Ready,
    /// The worker could not start.
    Failed(WorkerError),
    /// The last allocation has ended while the worker drains.
    Drained,
    /// The worker has stopped by order. These are its last counters.
    Stopped(Box<Snapshot>),
    /// The thread has ended.
    Ended,
}

/// Why a worker could not start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WorkerError {
    #[error(transparent)]
    Config(#[from] ServerConfigError),
    #[error(transparent)]
    Users(#[from] UserError),
    #[error("cannot start: {0}; raise the limit of open files (ulimit -n)")]
    System(#[from] io::Error),
}

/// A running worker.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) orders: mpsc::Sender<Order>,
    pub(super) thread: JoinHandle<()>,
}

/// The number of orders that can wait.
const ORDERS: usize = 64;

impl Worker {
    /// Starts the thread of a worker.
    pub(super) fn start(plan: WorkerPlan, runtime: Runtime, reports: Reports) -> io::Result<Self> {
        let (sender, orders) = mpsc::channel(ORDERS);
        let name = format!("turn-{}", plan.number);
        let thread = thread::Builder::new().name(name).spawn(move || {
            // Is dropped last: the report of the end is the last report.
            let reports = ReportsEnd(reports);
            if let Err(error) = runtime.block_on(run(plan, orders, &reports.0)) {
                reports.0.send(Report::Failed(error));
            }
            runtime.shutdown_background();
        })?;
        Ok(Self { orders: sender, thread })
    }
}

/// The channel for the reports of one worker.
#[derive(Clone, Debug)]
pub(super) struct Reports {
    number: u16,
    sender: mpsc::UnboundedSender<(u16, Report)>,
}

impl Reports {
    pub(super) const fn new(number: u16, sender: mpsc::UnboundedSender<(u16, Report)>) -> Self {
        Self { number, sender }
    }

    /// Sends a report. A worker sends at most five, so the channel needs no bound.
    fn send(&self, report: Report) {
        // Without a receiver the process is about to end.
        let _ = self.sender.send((self.number, report));
    }
}

/// Reports the end of the thread when it is dropped, also by a panic.
struct ReportsEnd(Reports);

impl Drop for ReportsEnd {
    fn drop(&mut self) {
        self.0.send(Report::Ended);
    }
}

async fn run(plan: WorkerPlan, mut orders: mpsc::Receiver<Order>, reports: &Reports) -> Result<(), WorkerError> {
    let (number, log) = (plan.number, LimitedLog::default());
    let (mut driver, origin) = start(plan, log.clone())?;
    reports.send(Report::Ready);
    loop {
        tokio::select! {
            event = driver.next() => {
                event_log::record(number, &event);
                if event == ServerEvent::Drained {
                    reports.send(Report::Drained);
                }
            }
            () = log.window_ended() => log.print_ended(driver.now()),
            order = orders.recv() => match order {
                Some(Order::Drain) => {
                    // Only a server that has ended refuses the command.
                    let _ = driver.command(ServerCommand::Drain);
                }
                Some(Order::Reload(new)) => reload(&mut driver, origin, *new),
                // The asker can have given up.
                Some(Order::Snapshot(reply)) => drop(reply.send(snapshot(&driver))),
                Some(Order::Stop) | None => break,
            }
        }
    }
    let _ = driver.command(ServerCommand::Stop);
    driver
        .run_until(|event| {
            event_log::record(number, &event);
            (event == ServerEvent::Stopped).then_some(())
        })
        .await;
    let (last, now) = (snapshot(&driver), driver.now());
    driver.shutdown().await;
    log.print_rest(now);
    reports.send(Report::Stopped(Box::new(last)));
    Ok(())
}

/// Creates the driver and the server on its sockets. Returns the Unix time of the origin of the driver's clock too.
fn start(plan: WorkerPlan, log: LimitedLog) -> Result<(Driver<Deferred>, Duration), WorkerError> {
    let mut driver = Driver::with_config(Deferred(None), plan.driver.with_trace(log))?;
    let unix = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let origin = unix.saturating_sub(driver.now() - Instant::ORIGIN);
    let mut sockets = Vec::new();
    for socket in plan.sockets.udp {
        let (id, local) = driver.adopt_udp(socket)?;
        sockets.push(ServerSocket::new(id, Protocol::Udp, local));
    }
    for (protocol, socket) in plan.sockets.streams {
        let (id, local) = driver.adopt_listener(socket, protocol)?;
        sockets.push(ServerSocket::new(id, protocol, local));
    }
    let config = plan.settings.config(plan.credentials.authenticator(origin)?);
    let server = Server::over(&config, &sockets)?;
    driver.with(|machine, _| machine.0 = Some(server));
    Ok((driver, origin))
}

fn reload(driver: &mut Driver<Deferred>, origin: Duration, (credentials, policy): (Credentials, PeerPolicy)) {
    // The credentials were checked before they were sent.
    let Ok(authenticator) = credentials.authenticator(origin) else { return };
    driver.with(|machine, _| {
        if let Some(server) = &mut machine.0 {
            server.set_credentials(authenticator);
            server.set_policy(policy);
        }
    });
}

fn snapshot(driver: &Driver<Deferred>) -> Snapshot {
    let server = driver.machine().0.as_ref().map(Server::stats).unwrap_or_default();
    Snapshot { server, driver: driver.counters(), rendezvous: None }
}

/// A server that is created after its driver, because the driver gives the ids of adopted sockets.
#[derive(Debug)]
struct Deferred(Option<Server>);

impl Machine for Deferred {
    type Command = ServerCommand;
    type Error = ServerError;
    type Event = ServerEvent;

    fn command(&mut self, cx: &mut Cx<'_>, command: ServerCommand) -> Result<(), ServerError> {
        self.0.as_mut().map_or(Err(ServerError::NotServing), |server| server.command(cx, command))
    }

    fn handle(&mut self, cx: &mut Cx<'_>, input: Input<'_>) -> Verdict {
        self.0.as_mut().map_or(Verdict::NotMine, |server| server.handle(cx, input))
    }

    fn stream(&mut self, cx: &mut Cx<'_>, chunk: Datagram<'_>) -> Option<usize> {
        self.0.as_mut()?.stream(cx, chunk)
    }

    fn forward<'a>(&mut self, cx: &mut Cx<'_>, datagram: Datagram<'a>) -> Option<Forward<'a>> {
        self.0.as_mut()?.forward(cx, datagram)
    }

    fn poll(&mut self) -> Output<ServerEvent> {
        self.0.as_mut().map_or(Output::Wait(None), Machine::poll)
    }
}
