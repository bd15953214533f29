//! The commands of an agent, and their text.

use crate::agent::{Generation, RemoteDescription};
use crate::candidate::{CandidateKind, ComponentId, LocalCandidate, Transport};
use crate::credentials::Credentials;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::net::IpAddr;
use core::str::FromStr;
use portolan_machine::{Script, ScriptError, SocketId};
use portolan_sdp::candidate::{CandidateAttribute, TcpType};

/// A command to an [`Agent`](crate::Agent).
///
/// Its [`Script`] text is one line, and contains the password of a description. `Debug` does not print it.
///
/// ```
/// use portolan_ice::AgentCommand;
/// use portolan_machine::Script;
///
/// let text = "set-remote 0 8hhY asd88fgpdd777uzjYhagZg ended | 1 1 UDP 2130706431 192.0.2.1 5000 typ host";
/// assert_eq!(AgentCommand::read(text)?.to_text(), text);
/// # Ok::<(), portolan_machine::ScriptError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AgentCommand {
    /// Starts the session.
    Start {
        /// Whether the agent is controlling.
        controlling: bool,
    },
    /// Adds a local candidate.
    AddLocal(LocalCandidate),
    /// Removes the candidates of a socket.
    RemoveLocal(SocketId),
    /// All local candidates were added.
    EndLocal,
    /// Sets the description of the peer for a stream.
    SetRemote {
        /// The data stream.
        stream: u16,
        /// The description.
        description: Box<RemoteDescription>,
    },
    /// Adds a candidate of the peer.
    AddRemote {
        /// The data stream.
        stream: u16,
        /// The candidate.
        candidate: Box<CandidateAttribute>,
    },
    /// Sets the address of a name.
    Resolve {
        /// The name.
        name: String,
        /// The address, if there is one.
        address: Option<IpAddr>,
    },
    /// The peer has no more candidates for a stream.
    EndRemote {
        /// The data stream.
        stream: u16,
    },
    /// Restarts ICE.
    Restart,
    /// Closes the agent.
    Close,
}

impl Script for AgentCommand {
    fn write(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        match self {
            Self::Start { controlling: true } => out.write_str("start controlling"),
            Self::Start { controlling: false } => out.write_str("start controlled"),
            Self::AddLocal(candidate) => write_local(out, candidate),
            Self::RemoveLocal(socket) => write!(out, "remove-local {}", socket.0),
            Self::EndLocal => out.write_str("end-local"),
            Self::SetRemote { stream, description } => {
                let RemoteDescription { credentials, is_lite, has_ended, candidates, answers, generation } =
                    &**description;
                write!(out, "set-remote {stream} {} {}", credentials.ufrag(), credentials.password())?;
                out.write_str(if *is_lite { " lite" } else { "" })?;
                out.write_str(if *has_ended { " ended" } else { "" })?;
                if let Some(ufrag) = answers {
                    write!(out, " answers={ufrag}")?;
                }
                if let Some(Generation { number, seen }) = generation {
                    write!(out, " generation={number}/{seen}")?;
                }
                candidates.iter().try_for_each(|candidate| write!(out, " | {candidate}"))
            }
            Self::AddRemote { stream, candidate } => write!(out, "add-remote {stream} {candidate}"),
            Self::Resolve { name, address: Some(address) } => write!(out, "resolve {address} {name}"),
            Self::Resolve { name, address: None } => write!(out, "resolve none {name}"),
            Self::EndRemote { stream } => write!(out, "end-remote {stream}"),
            Self::Restart => out.write_str("restart"),
            Self::Close => out.write_str("close"),
        }
    }

    fn read(text: &str) -> Result<Self, ScriptError> {
        let (name, rest) = text.split_once(' ').unwrap_or((text, ""));
        match name {
            "start" if rest == "controlling" => Ok(Self::Start { controlling: true }),
            "start" if rest == "controlled" => Ok(Self::Start { controlling: false }),
            "add-local" => read_local(rest).map(Self::AddLocal),
            "remove-local" => Ok(Self::RemoveLocal(SocketId(number(rest)?))),
            "end-local" => Ok(Self::EndLocal),
            "set-remote" => read_description(rest),
            "add-remote" => {
                let (stream, candidate) = rest.split_once(' ').ok_or(CANDIDATE)?;
                Ok(Self::AddRemote { stream: number(stream)?, candidate: Box::new(read_candidate(candidate)?) })
            }
            "resolve" => {
                let (address, name) = rest.split_once(' ').ok_or(NAME)?;
                let address = if address == "none" { None } else { Some(address.parse().map_err(|_| NAME)?) };
                Ok(Self::Resolve { name: name.into(), address })
            }
            "end-remote" => Ok(Self::EndRemote { stream: number(rest)? }),
            "restart" => Ok(Self::Restart),
            "close" => Ok(Self::Close),
            _ => Err(ScriptError::new("a command of an agent: start, add-local, set-remote, add-remote, restart …")),
        }
    }
}

const NAME: ScriptError = ScriptError::new("an address or `none`, and a name");
const CANDIDATE: ScriptError = ScriptError::new("a stream and a candidate");
const LOCAL: ScriptError =
    ScriptError::new("component, kind, transport, socket, address, base, preference, server and related address");
const DESCRIPTION: ScriptError =
    ScriptError::new("a stream, credentials, `lite`, `ended`, `answers=`, `generation=`, and candidates after `|`");

fn number<T: FromStr>(text: &str) -> Result<T, ScriptError> {
    text.parse().map_err(|_| ScriptError::new("a number"))
}

fn read_candidate(text: &str) -> Result<CandidateAttribute, ScriptError> {
    text.parse().map_err(|_| CANDIDATE)
}

fn write_local(out: &mut dyn fmt::Write, candidate: &LocalCandidate) -> fmt::Result {
    let LocalCandidate { component, kind, transport, address, base, socket, preference, server, related } = candidate;
    let transport = match transport {
        Transport::Udp => "udp",
        Transport::Tcp(TcpType::Active) => "tcp-active",
        Transport::Tcp(TcpType::Passive) => "tcp-passive",
        Transport::Tcp(TcpType::SimultaneousOpen) => "tcp-so",
    };
    write!(out, "add-local {component} {kind} {transport} {} {address} {base} {preference}", socket.0)?;
    match server {
        Some(server) => write!(out, " {server}")?,
        None => out.write_str(" -")?,
    }
    match related {
        Some(related) => write!(out, " {related}"),
        None => out.write_str(" -"),
    }
}

fn read_local(text: &str) -> Result<LocalCandidate, ScriptError> {
    let words: Vec<&str> = text.split(' ').collect();
    let [component, kind, transport, socket, address, base, preference, server, related] = words.as_slice() else {
        return Err(LOCAL);
    };
    let (stream, component) = component.split_once('.').ok_or(LOCAL)?;
    let component = ComponentId::new(number(stream)?, number(component)?);
    let address = address.parse().map_err(|_| LOCAL)?;
    let mut candidate = LocalCandidate::host(component, SocketId(number(socket)?), address);
    candidate.kind = match *kind {
        "host" => CandidateKind::Host,
        "srflx" => CandidateKind::ServerReflexive,
        "prflx" => CandidateKind::PeerReflexive,
        "relay" => CandidateKind::Relayed,
        _ => return Err(LOCAL),
    };
    candidate.transport = match *transport {
        "udp" => Transport::Udp,
        "tcp-active" => Transport::Tcp(TcpType::Active),
        "tcp-passive" => Transport::Tcp(TcpType::Passive),
        "tcp-so" => Transport::Tcp(TcpType::SimultaneousOpen),
        _ => return Err(LOCAL),
    };
    candidate.base = base.parse().map_err(|_| LOCAL)?;
    candidate.preference = number(preference)?;
    candidate.server = if *server == "-" { None } else { Some(server.parse().map_err(|_| LOCAL)?) };
    candidate.related = if *related == "-" { None } else { Some(related.parse().map_err(|_| LOCAL)?) };
    Ok(candidate)
}

fn read_description(text: &str) -> Result<AgentCommand, ScriptError> {
    let mut parts = text.split(" | ");
    let mut words = parts.next().ok_or(DESCRIPTION)?.split(' ');
    let mut word = || words.next().ok_or(DESCRIPTION);
    let stream = number(word()?)?;
    let credentials = Credentials::new(word()?, word()?).map_err(|_| DESCRIPTION)?;
    let mut description = RemoteDescription::new(credentials);
    for flag in words {
        match flag {
            "lite" => description.is_lite = true,
            "ended" => description.has_ended = true,
            _ => match flag.split_once('=') {
                Some(("answers", ufrag)) => description.answers = Some(ufrag.into()),
                Some(("generation", text)) => {
                    let (own, seen) = text.split_once('/').ok_or(DESCRIPTION)?;
                    description.generation = Some(Generation { number: number(own)?, seen: number(seen)? });
                }
                _ => return Err(DESCRIPTION),
            },
        }
    }
    description.candidates = parts.map(read_candidate).collect::<Result<_, _>>()?;
    Ok(AgentCommand::SetRemote { stream, description: Box::new(description) })
}
