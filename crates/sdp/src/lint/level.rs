//! Attributes that are defined for the session only, or for media descriptions only.

use super::part::Part;
use super::{Report, Rule};

/// Finds attributes at the wrong level.
pub(super) fn check<'s>(part: &Part<'s>, report: &mut Report<'s>) {
    let wrong = if part.media.is_some() { SESSION_ONLY } else { MEDIA_ONLY };
    for entry in &part.entries {
        if wrong.iter().any(|name| name.as_bytes() == entry.name) {
            report.add(part, Rule::AttributeLevel, entry.line, entry.name_mark());
            report.cite(entry.attribute.and_then(|attribute| attribute.clause()));
        }
    }
}

/// RFC 8866 §6.1 to §6.3, §6.9, §6.10; RFC 5888 §5; RFC 8839 §5.3, §5.5.
const SESSION_ONLY: &[&str] = &["cat", "keywds", "tool", "type", "charset", "group", "ice-lite", "ice-pacing"];

/// RFC 8866 §6.4 to §6.6, §6.8, §6.13 to §6.15, and the sections that define the other attributes.
const MEDIA_ONLY: &[&str] = &[
    "ptime",
    "maxptime",
    "rtpmap",
    "orient",
    "framerate",
    "quality",
    "fmtp",
    "mid",
    "candidate",
    "remote-candidates",
    "ice-mismatch",
    "tls-id",
    "rtcp",
    "rtcp-fb",
    "rtcp-mux",
    "rtcp-mux-only",
    "bundle-only",
    "ssrc",
    "ssrc-group",
    "rid",
    "simulcast",
    "msid",
    "imageattr",
    "crypto",
    "label",
    "content",
    "sctp-port",
    "max-message-size",
];
