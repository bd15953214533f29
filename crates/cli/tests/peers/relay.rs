//! A TURN server of this project on loopback.

use crate::binary::portolan;
use crate::process::Process;
use crate::{Outcome, TIMEOUT};
use core::net::SocketAddr;
use serde_json::{Value, json};

/// A running server with one user. It ends on drop.
pub(crate) struct Relay {
    _process: Process,
    address: SocketAddr,
}

impl Relay {
    /// Starts `portolan serve --turn`. It relays to peers on loopback.
    pub(crate) fn start() -> Outcome<Self> {
        let mut why = "the server does not start".into();
        // The port of the system's choice for UDP can be in use for TCP, so the start is repeated.
        for _ in 0..10 {
            match Self::start_once() {
                Ok(relay) => return Ok(relay),
                Err(failed) => why = failed,
            }
        }
        Err(why)
    }

    fn start_once() -> Outcome<Self> {
        let user = format!("{USER}:{PASSWORD}");
        let fixed = ["serve", "--turn", "--realm", "example.org", "--listen", "127.0.0.1:0"];
        let others = ["--allow-peer", "127.0.0.0/8", "--user", &user, "--workers", "1"];
        let mut process = Process::start(portolan(&[&fixed[..], &others].concat())?)?;
        let line = process.wait_for("(udp, tcp)", TIMEOUT)?;
        let address = line.split_whitespace().nth(2).and_then(|word| word.parse().ok());
        let address = address.ok_or_else(|| format!("no address in {line:?}"))?;
        Ok(Self { _process: process, address })
    }

    /// Adds the server to a start message, which then allows relayed candidates only.
    pub(crate) fn only(&self, mut start: Value) -> Value {
        let url = format!("turn:{}?transport=udp", self.address);
        start["iceServers"] = json!([{"urls": url, "username": USER, "credential": PASSWORD}]);
        start["iceTransportPolicy"] = "relay".into();
        start
    }
}

const USER: &str = "ann";
const PASSWORD: &str = "secret";
