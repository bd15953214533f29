//! The lines of one message, as text and for JSON. `portolan-stun` explains them.
//!
//! A message in ChannelData, such as an ICE check through a relay, is explained below it.

use core::fmt::Write;
use portolan_stun::MAGIC_COOKIE;
use portolan_stun::explain::{Item, Line, Part, Remark, explain};
use serde::{Deserialize, Serialize};

/// Whether bytes begin like STUN: the first two bits and the magic cookie (RFC 8489 §5).
pub(crate) fn claims_stun(bytes: &[u8]) -> bool {
    matches!(bytes, [0..=0x3f, _, _, _, c0, c1, c2, c3, ..]
        if u32::from_be_bytes([*c0, *c1, *c2, *c3]) == MAGIC_COOKIE)
}

/// Whether a line breaks a rule: a decoder rejects it, or no sender may send it. Other remarks are no errors.
pub(crate) fn is_wrong(line: &Line<'_>) -> bool {
    line.remark
        .is_some_and(|remark| remark.is_wrong() || matches!(remark, Remark::AfterFingerprint | Remark::AfterData))
}

/// Returns the message in ChannelData, if its data begins like STUN.
pub(crate) fn inside<'a>(line: &Line<'a>) -> Option<&'a [u8]> {
    let Item::ApplicationData(data) = line.item else { return None };
    claims_stun(data).then_some(data)
}

/// Formats the lines of a message with `indent`, each with its fields if `is_deep`, and returns whether one of them is
/// wrong.
pub(crate) fn lines(bytes: &[u8], indent: &str, is_deep: bool) -> (String, bool) {
    let (mut text, mut wrong) = (String::new(), false);
    for line in explain(bytes) {
        wrong |= is_wrong(&line);
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{indent}{line}");
        for part in line.parts().filter(|_| is_deep) {
            let _ = writeln!(text, "{indent}{part}");
        }
        if let Some(inner_message) = inside(&line) {
            let (inner, is_wrong) = lines(inner_message, &format!("{indent}      "), is_deep);
            text.push_str(&inner);
            wrong |= is_wrong;
        }
    }
    (text, wrong)
}

/// A line of `portolan-stun`, with whether it is wrong.
#[derive(Serialize, Deserialize)]
pub(crate) struct JsonLine {
    at: usize,
    bytes: String,
    name: String,
    meaning: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    rfc: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remark: Option<String>,
    #[serde(default)]
    wrong: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    fields: Vec<JsonField>,
}

/// A field inside a line.
#[derive(Serialize, Deserialize)]
struct JsonField {
    at: usize,
    bytes: String,
    name: String,
    meaning: String,
}

impl From<Part<'_>> for JsonField {
    fn from(part: Part<'_>) -> Self {
        Self {
            at: part.at,
            bytes: part.bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
            name: part.name.to_owned(),
            meaning: part.meaning().to_string(),
        }
    }
}

/// Returns the lines of a message for JSON, each with its fields if `is_deep`.
pub(crate) fn json_lines(bytes: &[u8], is_deep: bool) -> Vec<JsonLine> {
    // The JSON of `portolan-stun` is valid: its tests prove that.
    let read = |line: Line<'_>| {
        let json: Option<JsonLine> = serde_json::from_str(&line.json().to_string()).ok();
        let fields = line.parts().filter(|_| is_deep).map(JsonField::from).collect();
        json.map(|json| JsonLine { wrong: is_wrong(&line), fields, ..json })
    };
    explain(bytes).filter_map(read).collect()
}
