//! Why `portolan punch` ends without success: the reason, the remedy, the outcome for programs, and the exit code.

#[cfg(feature = "tls")]
use super::pipe;
use crate::error::{CommandError, Failure};
use crate::exit::Exit;
use crate::output::OutputError;
use crate::secret::SecretError;
use portolan_punch::forecast::{Reason, Verdict};
use portolan_punch::puncher::{Failure as PunchFailure, Plan};
use portolan_punch::rendezvous::EndReason;
use portolan_punch::session::SessionEnd;
use std::io;
use std::path::PathBuf;

/// Why the command ends without success. Each text is a reason and, after the first semicolon, a remedy.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PunchError {
    #[error("{0}")]
    Unresolved(Box<str>),
    #[error("{0}")]
    Measure(Failure),
    #[error(
        "this host has no route to the rendezvous ({0}); use a rendezvous whose address has an address family of this host"
    )]
    NoRoute(Box<str>),
    #[error(transparent)]
    Secret(SecretError),
    #[error("{0}; give a file with the secret in its first line")]
    UnreadableSecret(SecretError),
    #[error("{} has no secret; write it into the first line", .0.display())]
    NoSecret(PathBuf),
    #[error("--secret is empty; give the secret of the rendezvous, better with --secret-file")]
    EmptySecret,
    #[error("the addresses of this host cannot be read: {0}; give them with --address")]
    Interfaces(io::Error),
    #[error("cannot start: {0}; raise the limit of open files (ulimit -n)")]
    Start(io::Error),
    #[error(transparent)]
    Output(#[from] OutputError),
    #[error("{0}")]
    Ended(SessionEnd),
    #[error("no socket: {0}; check that this host has a network, and that UDP is allowed")]
    NoSocket(portolan_machine::Refusal),
    #[error("not connected: {why} (forecast: {verdict}, {reason}); {remedy}")]
    NotConnected { why: PunchFailure, verdict: Verdict, reason: Reason, remedy: &'static str },
    #[cfg(feature = "tls")]
    #[error("the socket of the path is gone; run the command again on both hosts")]
    SocketGone,
    #[cfg(feature = "tls")]
    #[error(transparent)]
    Pipe(#[from] pipe::PipeError),
    #[cfg(not(feature = "tls"))]
    #[error(
        "this portolan was built without TLS, which the pipe needs; use --datagrams, or build it with the feature tls"
    )]
    WithoutTls,
}

impl PunchError {
    /// The end of a session. `plan` is the plan of the last attempt.
    pub(super) fn ended(end: SessionEnd, plan: Option<&Plan>) -> Self {
        match end {
            SessionEnd::NotConnected { why, forecast: reason } => {
                let verdict = plan.map_or(Verdict::Unknown, |plan| plan.forecast.verdict);
                let may_guess = plan.is_some_and(|plan| plan.may_guess);
                Self::NotConnected { why, verdict, reason, remedy: remedy(why, verdict, reason, may_guess) }
            }
            SessionEnd::NoSocket(why) => Self::NoSocket(why),
            end @ (SessionEnd::Released
            | SessionEnd::Rendezvous(_)
            | SessionEnd::Config(_)
            | SessionEnd::Closed
            | _) => Self::Ended(end),
        }
    }

    /// The outcome for programs.
    pub(super) const fn outcome(&self) -> &'static str {
        match self {
            Self::Ended(SessionEnd::Rendezvous(EndReason::NoPeer)) => "no-peer",
            Self::NotConnected { why: PunchFailure::PathLost, .. } => "lost",
            Self::NotConnected { why: PunchFailure::NoAddress, .. } => "could-not-run",
            Self::NotConnected { verdict: Verdict::RelayOnly, .. } => "impossible",
            Self::NotConnected { .. } => "failed",
            #[cfg(feature = "tls")]
            Self::Pipe(pipe::PipeError::NoHandshake | pipe::PipeError::Lost(_)) => "lost",
            #[cfg(feature = "tls")]
            Self::Pipe(_) | Self::SocketGone => "could-not-run",
            #[cfg(not(feature = "tls"))]
            Self::WithoutTls => "could-not-run",
            Self::Unresolved(_)
            | Self::Measure(_)
            | Self::NoRoute(_)
            | Self::Secret(_)
            | Self::UnreadableSecret(_)
            | Self::NoSecret(_)
            | Self::EmptySecret
            | Self::Interfaces(_)
            | Self::Start(_)
            | Self::Output(_)
            | Self::Ended(_)
            | Self::NoSocket(_) => "could-not-run",
        }
    }
}

impl CommandError for PunchError {
    fn exit(&self) -> Exit {
        match self.outcome() {
            "no-peer" => Exit::Inconclusive,
            "lost" | "impossible" | "failed" => Exit::Negative,
            _ => Exit::CouldNotRun,
        }
    }
}

impl From<SecretError> for PunchError {
    fn from(why: SecretError) -> Self {
        match why {
            SecretError::Unreadable { .. } => Self::UnreadableSecret(why),
            SecretError::Exposed { .. } | SecretError::TooLong(_) => Self::Secret(why),
        }
    }
}

/// What the user can do after an attempt without a path.
const fn remedy(why: PunchFailure, verdict: Verdict, reason: Reason, may_guess: bool) -> &'static str {
    match (why, verdict, reason) {
        (PunchFailure::PathLost, ..) => "run the command again on both hosts",
        (PunchFailure::NoAddress, ..) => {
            "the two hosts have no address family in common: use IPv4 on both hosts or IPv6 on both hosts, or a relay (portolan \
             ice with a TURN server that has both)"
        }
        (_, Verdict::WorksWithGuessing, _) if !may_guess => {
            "allow to guess ports with --guess on both hosts, use a relay (portolan ice with a TURN server), or forward a \
             port at one NAT"
        }
        (_, _, Reason::BudgetTooSmall) => {
            "raise --budget on both hosts, or use a relay (portolan ice with a TURN server)"
        }
        (_, Verdict::Unknown, _) => {
            "measure the NATs with --measure on both hosts, use a relay (portolan ice with a TURN server), or forward a port \
             at one NAT"
        }
        (PunchFailure::NoAnswer, Verdict::Works, _) => {
            "check that both hosts have the same --peer-secret-file and that no firewall blocks UDP, or use a relay (portolan \
             ice with a TURN server)"
        }
        _ => "use a relay (portolan ice with a TURN server), forward a port at one NAT, or use IPv6 on both hosts",
    }
}
