//! Attributes that may occur once in the session or in a media description.

use super::part::{Entry, Part};
use super::{Report, Rule};
use alloc::collections::BTreeMap;

/// Finds the second and later lines.
pub(super) fn check<'s>(part: &Part<'s>, report: &mut Report<'s>) {
    let mut first: BTreeMap<&str, usize> = BTreeMap::new();
    for entry in &part.entries {
        let Some((key, rule)) = once(entry) else { continue };
        let line = entry.line.index() + 1;
        match first.get(key) {
            None => drop(first.insert(key, line)),
            Some(other) => {
                report.add_beside(part, rule, entry.line, entry.name_mark(), Some(*other));
                if matches!(rule, Rule::RepeatedAttribute | Rule::RepeatedFlag) {
                    report.cite(entry.attribute.and_then(|attribute| attribute.clause()));
                }
            }
        }
    }
}

/// Returns the key of lines of which one is allowed, and the rule; `None` for a line that may be repeated.
fn once<'s>(entry: &Entry<'s>) -> Option<(&'s str, Rule)> {
    let name = core::str::from_utf8(entry.name).ok()?;
    Some(match name {
        "sendrecv" | "sendonly" | "recvonly" | "inactive" => ("", Rule::RepeatedDirection),
        "simulcast" => (name, Rule::RepeatedSimulcast),
        "mid" | "setup" | "connection" | "tls-id" | "ice-ufrag" | "ice-pwd" | "ice-pacing" | "ice-options"
        | "remote-candidates" | "rtcp" | "sctp-port" | "max-message-size" | "ptime" | "maxptime" | "framerate"
        | "quality" | "orient" | "type" | "charset" | "cat" | "keywds" | "tool" | "label" | "content" | "control"
        | "range" => (name, Rule::RepeatedAttribute),
        "rtcp-mux" | "rtcp-mux-only" | "rtcp-rsize" | "extmap-allow-mixed" | "bundle-only" | "ice-lite"
        | "ice-mismatch" | "end-of-candidates" | "cryptex" => (name, Rule::RepeatedFlag),
        _ => return None,
    })
}
