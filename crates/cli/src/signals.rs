//! Signals that stop the process: SIGINT and SIGTERM, or Ctrl-C on other platforms. Signals that request a status
//! report: SIGHUP and SIGUSR1.

use std::io;

/// The stop signal.
pub(crate) struct StopSignal {
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
}

impl StopSignal {
    /// Registers the handlers. A runtime must run.
    #[cfg(unix)]
    pub(crate) fn register() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    /// Registers nothing. A runtime must run.
    #[cfg(not(unix))]
    pub(crate) fn register() -> io::Result<Self> {
        Ok(Self {})
    }

    /// Waits for the signal. This method is cancellation safe.
    pub(crate) async fn received(&mut self) {
        #[cfg(unix)]
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
        #[cfg(not(unix))]
        if tokio::signal::ctrl_c().await.is_err() {
            core::future::pending::<()>().await;
        }
    }
}

/// The kind of a request for a status report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StatusRequest {
    /// SIGHUP.
    Hangup,
    /// SIGUSR1.
    User,
}

/// The signal that requests a status report. A process that registers it is not ended by SIGHUP or SIGUSR1. Other
/// platforms have no such signal.
pub(crate) struct StatusSignal {
    #[cfg(unix)]
    hangup: tokio::signal::unix::Signal,
    #[cfg(unix)]
    user: tokio::signal::unix::Signal,
}

impl StatusSignal {
    /// Registers the handlers. A runtime must run.
    #[cfg(unix)]
    pub(crate) fn register() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { hangup: signal(SignalKind::hangup())?, user: signal(SignalKind::user_defined1())? })
    }

    /// Registers nothing. A runtime must run.
    #[cfg(not(unix))]
    pub(crate) fn register() -> io::Result<Self> {
        Ok(Self {})
    }

    /// Waits for the signal, and returns which one it was. This method is cancellation safe.
    pub(crate) async fn received(&mut self) -> StatusRequest {
        #[cfg(unix)]
        tokio::select! {
            _ = self.hangup.recv() => StatusRequest::Hangup,
            _ = self.user.recv() => StatusRequest::User,
        }
        #[cfg(not(unix))]
        core::future::pending().await
    }
}
