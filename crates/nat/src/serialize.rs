//! Reports for `serde`, with the names of `docs/json.md`. The feature `serde` adds it.
//!
//! Rules of this file: a value of an enum is the word that its `as_str` or `Display` returns. Durations are numbers with
//! their unit in the name: `_ms` are milliseconds, `_s` are seconds. A report has no server names: `server` is the place
//! of the server in the given list.

use crate::behavior::{ClassicType, Filtering, Hairpin, Mapping, NatKind, Pooling, PortAllocation};
use crate::lifetime::{LifetimeRange, LifetimeReport};
use crate::profile::{
    Conclusion, Evidence, Family, FamilyReport, Finding, Flaw, Path, Reachability, Report, ServerReport, Unknown,
};
use alloc::string::ToString;
use core::fmt;
use core::time::Duration;
use serde::ser::{Serialize, SerializeStruct, Serializer};

macro_rules! as_word {
    ($($word:ty),*) => { $(
        impl Serialize for $word {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }
    )* };
}
as_word!(ClassicType, Family, Filtering, Hairpin, Mapping, NatKind, Pooling, Unknown);

impl Serialize for PortAllocation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A sentence, whose wording may change.
impl Serialize for Evidence {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The code: `change-request-refused-420`.
impl Serialize for Flaw {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&Code(*self))
    }
}

struct Code(Flaw);

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Flaw::Silent => "silent",
            Flaw::NoOtherAddress => "no-other-address",
            Flaw::OtherAddressInvalid => "other-address-invalid",
            Flaw::OtherAddressSilent => "other-address-silent",
            Flaw::ChangeRequestIgnored => "change-request-ignored",
            Flaw::ChangeRequestRefused(code) => return write!(f, "change-request-refused-{code}"),
            Flaw::ChangeRequestUnanswered => "change-request-unanswered",
            Flaw::AnswersFromElsewhere => "answers-from-elsewhere",
            Flaw::Unstable => "unstable",
            Flaw::Contradicted => "contradicted",
            Flaw::Error(code) => return write!(f, "error-{code}"),
            Flaw::Garbage => "garbage",
            Flaw::SameForAll => "same-for-all",
            Flaw::MappedAddressInvalid => "mapped-address-invalid",
        })
    }
}

/// Always the four fields `value`, `unknown`, `p_wrong` and `evidence`; one of the first two is null.
impl<T: Serialize> Serialize for Conclusion<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Conclusion", 4)?;
        let (value, unknown, p_wrong) = match &self.finding {
            Finding::Value { value, p_wrong } => (Some(value), None, Some(two_digits(*p_wrong))),
            Finding::Unknown(why) => (None, Some(why), None),
        };
        fields.serialize_field("value", &value)?;
        fields.serialize_field("unknown", &unknown)?;
        fields.serialize_field("p_wrong", &p_wrong)?;
        fields.serialize_field("evidence", &self.evidence)?;
        fields.end()
    }
}

/// The packets that a server must answer. The round-trip time is a field of the whole report.
impl Serialize for Path {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Path", 2)?;
        fields.serialize_field("sent", &self.sent)?;
        fields.serialize_field("answered", &self.answered)?;
        fields.end()
    }
}

impl Serialize for ServerReport {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("ServerReport", 5)?;
        fields.serialize_field("server", &self.server)?;
        fields.serialize_field("address", &self.address)?;
        fields.serialize_field("rtt_ms", &self.rtt.map(milliseconds))?;
        fields.serialize_field("other_address", &self.other_address)?;
        fields.serialize_field("flaws", &self.flaws)?;
        fields.end()
    }
}

impl Serialize for FamilyReport {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let unavailable = match self.reach {
            Reachability::Unavailable(why) => Some(why.to_string()),
            Reachability::Available | Reachability::Blocked | Reachability::Unknown => None,
        };
        let mut fields = serializer.serialize_struct("FamilyReport", 18)?;
        fields.serialize_field("family", &self.family)?;
        fields.serialize_field("nat", self.device())?;
        fields.serialize_field("public", &self.public)?;
        fields.serialize_field("local", &self.local)?;
        fields.serialize_field("mapping", &self.mapping)?;
        fields.serialize_field("filtering", &self.filtering)?;
        fields.serialize_field("type", &self.classic_type())?;
        fields.serialize_field("hairpin", &self.details.hairpin)?;
        fields.serialize_field("port_allocation", &self.details.port_allocation)?;
        fields.serialize_field("port_preservation", &self.details.port_preservation)?;
        fields.serialize_field("pooling", &self.details.pooling)?;
        fields.serialize_field("alg", &self.details.alg)?;
        fields.serialize_field("multi_homed", &self.details.multi_homed)?;
        fields.serialize_field("double_nat", &self.details.double_nat)?;
        fields.serialize_field("unavailable", &unavailable)?;
        fields.serialize_field("rtt_ms", &self.path.rtt.map(milliseconds))?;
        fields.serialize_field("loss", &self.path)?;
        fields.serialize_field("servers", &self.servers)?;
        fields.end()
    }
}

impl Serialize for Report {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Report", 2)?;
        fields.serialize_field("families", &self.families)?;
        fields.serialize_field("elapsed_ms", &whole_milliseconds(self.elapsed))?;
        fields.end()
    }
}

impl Serialize for LifetimeRange {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("LifetimeRange", 2)?;
        fields.serialize_field("at_least_s", &seconds(self.at_least))?;
        fields.serialize_field("at_most_s", &self.at_most.map(seconds))?;
        fields.end()
    }
}

impl Serialize for LifetimeReport {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("LifetimeReport", 11)?;
        fields.serialize_field("family", &self.family)?;
        fields.serialize_field("server", &self.server)?;
        fields.serialize_field("translated", &self.translated)?;
        fields.serialize_field("replied", &self.replied)?;
        fields.serialize_field("unreplied", &self.unreplied)?;
        fields.serialize_field("absolute", &self.absolute)?;
        fields.serialize_field("refresh_outbound", &self.refresh.outbound)?;
        fields.serialize_field("refresh_inbound", &self.refresh.inbound)?;
        fields.serialize_field("keepalive_s", &self.recommended_keepalive.map(seconds))?;
        fields.serialize_field("loss", &self.path)?;
        fields.serialize_field("elapsed_ms", &whole_milliseconds(self.elapsed))?;
        fields.end()
    }
}

/// Rounds to two significant digits: a probability based on a few packets has no more.
fn two_digits(p_wrong: f64) -> f64 {
    if p_wrong <= 0.0 || !p_wrong.is_finite() {
        return 0.0;
    }
    // The conversion through text gives exactly 0.000042, not a neighbouring number.
    alloc::format!("{p_wrong:.1e}").parse().unwrap_or(p_wrong)
}

fn whole_milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Converts to milliseconds, rounded to the microsecond.
fn milliseconds(duration: Duration) -> f64 {
    duration.saturating_add(Duration::from_nanos(500)).as_micros() as f64 / 1e3
}

/// Converts to seconds, rounded to the millisecond.
fn seconds(duration: Duration) -> f64 {
    duration.saturating_add(Duration::from_micros(500)).as_millis() as f64 / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;
    use alloc::vec::Vec;

    fn json(value: &impl Serialize) -> String {
        serde_json::to_string(value).unwrap()
    }

    #[test]
    fn a_value_is_its_word_and_a_conclusion_has_four_fields() {
        assert_eq!(json(&Mapping::AddressDependent), "\"address-dependent\"");
        assert_eq!(json(&PortAllocation::Sequential { step: 2 }), "\"sequential(2)\"");
        assert_eq!(json(&Flaw::ChangeRequestRefused(420)), "\"change-request-refused-420\"");
        let value = Conclusion::value_with(true, 0.012_345, Vec::new());
        assert_eq!(json(&value), r#"{"value":true,"unknown":null,"p_wrong":0.012,"evidence":[]}"#);
        let unknown: Conclusion<bool> = Conclusion::unknown(Unknown::HighLoss, Vec::new());
        assert_eq!(json(&unknown), r#"{"value":null,"unknown":"high-loss","p_wrong":null,"evidence":[]}"#);
    }

    #[test]
    fn numbers_are_rounded_and_never_invalid() {
        for (p_wrong, expected) in [(0.000_042_1, 0.000_042), (f64::NAN, 0.0), (-1.0, 0.0), (1.0, 1.0)] {
            assert_eq!(two_digits(p_wrong).to_bits(), f64::to_bits(expected), "{p_wrong}");
        }
        let short = Duration::from_nanos(48_250_499);
        assert_eq!((json(&milliseconds(short)), json(&seconds(short))), ("48.25".into(), "0.048".into()));
        assert!(milliseconds(Duration::MAX) > 1e18 && whole_milliseconds(Duration::MAX) == u64::MAX);
        let open = LifetimeRange { at_least: Duration::from_millis(115_500), at_most: None };
        assert_eq!(json(&open), r#"{"at_least_s":115.5,"at_most_s":null}"#);
    }
}
