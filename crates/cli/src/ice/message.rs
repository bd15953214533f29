//! The signalling messages: one JSON object a line (docs/ice.md).
//!
//! Rules of this file: the names are those of the W3C API, so that a page can pass its objects on unchanged. Unknown types
//! and unknown fields are ignored. Every output is one line.

use portolan_ice::{AgentState, Path};
use serde::{Deserialize, Serialize};

/// A message to the command.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub(super) enum Incoming {
    Start(Start),
    Offer {
        sdp: String,
    },
    Answer {
        sdp: String,
        /// The username fragment of the offer that the answer belongs to.
        #[serde(default)]
        answers: Option<String>,
    },
    Candidate {
        candidate: String,
        #[serde(rename = "sdpMid")]
        mid: Option<String>,
        #[serde(rename = "sdpMLineIndex")]
        index: Option<u16>,
    },
    EndOfCandidates,
    /// Restarts ICE from this side.
    Restart,
    Send {
        data: String,
    },
    Stop,
    #[serde(other)]
    Unknown,
}

/// The start of a session.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Start {
    pub(super) role: Role,
    #[serde(rename = "iceServers", default)]
    pub(super) servers: Vec<IceServer>,
    #[serde(rename = "iceTransportPolicy", default)]
    pub(super) policy: TransportPolicy,
    #[serde(default = "yes")]
    pub(super) trickle: bool,
}

const fn yes() -> bool {
    true
}

/// Whether this side makes the offer. The offerer is controlling (RFC 8445 §6.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Role {
    Offer,
    Answer,
}

/// `RTCIceTransportPolicy`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum TransportPolicy {
    #[default]
    All,
    Relay,
}

/// `RTCIceServer`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(super) struct IceServer {
    pub(super) urls: Urls,
    #[serde(default)]
    pub(super) username: Option<String>,
    #[serde(default)]
    pub(super) credential: Option<String>,
}

/// One URL, or a list.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub(super) enum Urls {
    One(String),
    Many(Vec<String>),
}

impl Urls {
    pub(super) fn all(&self) -> &[String] {
        match self {
            Self::One(url) => core::slice::from_ref(url),
            Self::Many(urls) => urls,
        }
    }
}

/// A message of the command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub(super) enum Outgoing {
    Offer {
        sdp: String,
    },
    Answer {
        sdp: String,
        /// The username fragment of the offer that the answer belongs to.
        #[serde(skip_serializing_if = "Option::is_none")]
        answers: Option<String>,
    },
    Candidate {
        candidate: String,
        #[serde(rename = "sdpMid")]
        mid: String,
        #[serde(rename = "sdpMLineIndex")]
        index: u16,
    },
    EndOfCandidates,
    State {
        ice: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        pair: Option<PairText>,
    },
    Message {
        data: String,
    },
    Error {
        message: String,
    },
    Log {
        message: String,
    },
}

/// The selected pair, or before the selection a valid one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PairText {
    pub(super) local: String,
    pub(super) remote: String,
    pub(super) local_type: &'static str,
    pub(super) remote_type: &'static str,
    /// `tcp`, or none for UDP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) protocol: Option<&'static str>,
}

impl PairText {
    pub(super) fn new(path: &Path, is_tcp: bool) -> Self {
        Self {
            local: path.local.to_string(),
            remote: path.remote.to_string(),
            local_type: path.local_kind.name(),
            remote_type: path.remote_kind.name(),
            protocol: is_tcp.then_some("tcp"),
        }
    }
}

impl Outgoing {
    /// The state with its path, and whether the path is a stream of TCP.
    pub(super) fn state(state: AgentState, path: Option<(Path, bool)>) -> Self {
        Self::State { ice: state.name(), pair: path.map(|(path, is_tcp)| PairText::new(&path, is_tcp)) }
    }

    pub(super) fn error(why: impl core::fmt::Display) -> Self {
        Self::Error { message: why.to_string() }
    }

    pub(super) fn log(what: impl core::fmt::Display) -> Self {
        Self::Log { message: what.to_string() }
    }

    pub(super) fn json(&self) -> String {
        // The types have no maps with keys that are not strings, so that this cannot fail.
        serde_json::to_string(self).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_objects_of_a_page_are_read_and_unknown_types_are_ignored() {
        let start = r#"{"type":"start","role":"offer","iceServers":[{"urls":["stun:192.0.2.1"]},
            {"urls":"turn:192.0.2.1","username":"ann","credential":"secret"}],"iceTransportPolicy":"relay","extra":1}"#;
        let Incoming::Start(start) = serde_json::from_str(start).unwrap() else { panic!("not a start") };
        assert_eq!(
            (start.role, start.policy, start.trickle, start.servers.len()),
            (Role::Offer, TransportPolicy::Relay, true, 2)
        );
        assert_eq!(start.servers[1].urls.all(), ["turn:192.0.2.1"]);
        let candidate = r#"{"type":"candidate","candidate":"candidate:1 1 udp 1 192.0.2.1 9 typ host","sdpMid":"0","sdpMLineIndex":0,"usernameFragment":"abcd"}"#;
        assert!(matches!(serde_json::from_str(candidate).unwrap(), Incoming::Candidate { index: Some(0), .. }));
        assert_eq!(serde_json::from_str::<Incoming>(r#"{"type":"pranswer","sdp":"x"}"#).unwrap(), Incoming::Unknown);
        assert!(serde_json::from_str::<Incoming>(r#"{"sdp":"x"}"#).is_err());
    }

    #[test]
    fn each_output_is_one_line() {
        let outputs = [
            (Outgoing::Offer { sdp: "v=0\r\n".into() }, r#"{"type":"offer","sdp":"v=0\r\n"}"#),
            (Outgoing::EndOfCandidates, r#"{"type":"end-of-candidates"}"#),
            (Outgoing::state(AgentState::Checking, None), r#"{"type":"state","ice":"checking"}"#),
            (Outgoing::error("line 1"), r#"{"type":"error","message":"line 1"}"#),
        ];
        for (output, text) in outputs {
            assert_eq!(output.json(), text);
        }
    }
}
