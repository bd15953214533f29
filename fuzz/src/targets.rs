//! The targets. Each module has the name of its target.
//!
//! Each `run` panics on a finding. It returns whether the input was accepted: whether the input is a message, a
//! frame, a URI, a description, or a script that causes an output of the machine.

mod aftermath;
pub mod audit;
mod credentials;
pub mod discovery;
pub mod explain;
pub mod ice_agent;
pub mod ice_pair;
pub mod lifetime;
mod peer;
mod position;
pub mod punch;
pub mod rendezvous;
pub mod responder;
pub mod sdp_answer;
pub mod sdp_candidate;
pub mod sdp_differential;
pub mod sdp_people;
pub mod sdp_read;
pub mod sdp_typed;
pub mod stun_decode;
pub mod stun_differential;
pub mod stun_framing;
pub mod stun_uri;
pub mod stun_write;
pub mod transactions;
pub mod translator;
pub mod turn_audit;
pub mod turn_client;
pub mod turn_server;

/// A target: its name and its function.
pub type Target = (&'static str, fn(&[u8]) -> bool);

/// Every target.
pub const ALL: [Target; 25] = [
    ("stun_decode", stun_decode::run),
    ("stun_write", stun_write::run),
    ("stun_framing", stun_framing::run),
    ("explain", explain::run),
    ("stun_uri", stun_uri::run),
    ("stun_differential", stun_differential::run),
    ("sdp_read", sdp_read::run),
    ("sdp_typed", sdp_typed::run),
    ("sdp_answer", sdp_answer::run),
    ("sdp_differential", sdp_differential::run),
    ("sdp_candidate", sdp_candidate::run),
    ("sdp_people", sdp_people::run),
    ("transactions", transactions::run),
    ("responder", responder::run),
    ("audit", audit::run),
    ("discovery", discovery::run),
    ("lifetime", lifetime::run),
    ("translator", translator::run),
    ("turn_server", turn_server::run),
    ("turn_client", turn_client::run),
    ("turn_audit", turn_audit::run),
    ("rendezvous", rendezvous::run),
    ("punch", punch::run),
    ("ice_agent", ice_agent::run),
    ("ice_pair", ice_pair::run),
];
