//! The log of the events of a TURN server.
//!
//! Rules of this file: no credential is logged. A client chose its user name, so the name is escaped. Each byte of a
//! character that could end a line, change a terminal or be taken for an escape is written as `%` and two hexadecimal
//! digits.

use core::fmt;
use portolan_turn::ServerEvent;

/// Logs an event of a worker.
pub(super) fn record(worker: u16, event: &ServerEvent) {
    match event {
        ServerEvent::Allocated { client, relayed, lifetime, .. } => tracing::info!(
            target: "portolan",
            worker,
            user = %Escaped(&client.user),
            client = %client.address,
            relayed = %relayed,
            lifetime = lifetime.as_secs(),
            "allocated"
        ),
        ServerEvent::Freed { client, relayed, why, totals, .. } => tracing::info!(
            target: "portolan",
            worker,
            user = %Escaped(&client.user),
            client = %client.address,
            relayed = %relayed,
            why = %why,
            to_peers_datagrams = totals.to_peers.datagrams,
            to_peers_bytes = totals.to_peers.bytes,
            to_client_datagrams = totals.to_client.datagrams,
            to_client_bytes = totals.to_client.bytes,
            "freed"
        ),
        ServerEvent::Lost { protocol, local, why } => {
            tracing::error!(target: "portolan", worker, "no longer listening on {local} ({protocol}): {why}");
        }
        ServerEvent::Refused { protocol, local, why } => {
            tracing::error!(target: "portolan", worker, "cannot listen on {local} ({protocol}): {why}");
        }
        ServerEvent::Drained => tracing::info!(target: "portolan", worker, "drained: no allocation is left"),
        // The others concern sockets that the server opens itself, and the end that the caller ordered.
        ServerEvent::Listening { .. } | ServerEvent::Stopped | _ => {}
    }
}

/// A text of a peer, escaped for a log.
#[derive(Clone, Copy, Debug)]
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            if character.is_alphanumeric() || matches!(character, ':' | '.' | '-' | '_' | '@' | '+' | '/') {
                write!(f, "{character}")?;
                continue;
            }
            for byte in character.encode_utf8(&mut [0; 4]).bytes() {
                write!(f, "%{byte:02X}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_name_cannot_end_a_line_or_change_a_terminal() {
        for (name, escaped) in [
            ("alice", "alice"),
            ("1800000000:alice@example.org", "1800000000:alice@example.org"),
            ("Zoë", "Zoë"),
            ("a\nb\r", "a%0Ab%0D"),
            ("\u{1b}[31m", "%1B%5B31m"),
            ("100%", "100%25"),
            ("a b=\"c\"", "a%20b%3D%22c%22"),
            ("\u{202e}gpj", "%E2%80%AEgpj"),
            ("\u{85}\u{9b}", "%C2%85%C2%9B"),
            ("", ""),
        ] {
            assert_eq!(Escaped(name).to_string(), escaped, "{name:?}");
        }
    }
}
