//! Reports for `serde`, with the names of `docs/json.md`. The feature `serde` adds it.
//!
//! Rules of this file: a value of an enum is the word or the text that its `Display` returns. A name that ends in `_ms`
//! has milliseconds.

use crate::turn::{Basis, TurnFinding, TurnOutcome, TurnReport};
use crate::{Amplification, Credentials, Finding, Outcome, Report};
use alloc::string::ToString;
use core::time::Duration;
use portolan_stun_agent::nonce::Features;
use serde::ser::{Serialize, SerializeStruct, Serializer};

impl Serialize for Finding {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let clause = self.check.clause();
        let why = match self.outcome {
            Outcome::Violated(what) => Some(what.to_string()),
            Outcome::Unknown(why) => Some(why.to_string()),
            Outcome::Honoured | Outcome::NotSupported => None,
        };
        let mut fields = serializer.serialize_struct("Finding", 6)?;
        fields.serialize_field("check", self.check.name())?;
        fields.serialize_field("rfc", &clause.rfc)?;
        fields.serialize_field("section", clause.section)?;
        fields.serialize_field("outcome", self.outcome.word())?;
        fields.serialize_field("why", &why)?;
        fields.serialize_field("meaning", self.check.meaning())?;
        fields.end()
    }
}

impl Serialize for Amplification {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Amplification", 5)?;
        fields.serialize_field("probe", &self.probe.to_string())?;
        fields.serialize_field("request_bytes", &self.request_bytes)?;
        fields.serialize_field("reply_bytes", &self.reply_bytes)?;
        fields.serialize_field("replies", &(f64::from(self.replies_per_ten) / 10.0))?;
        fields.serialize_field("factor", &two_decimals(self.reply_bytes, self.request_bytes))?;
        fields.end()
    }
}

impl Serialize for Credentials {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let anonymity = self.features.is_some_and(|bits| bits.contains(Features::USERNAME_ANONYMITY));
        let mut fields = serializer.serialize_struct("Credentials", 4)?;
        fields.serialize_field("realm", &self.realm)?;
        fields.serialize_field("nonce_cookie", &self.features.is_some())?;
        fields.serialize_field("password_algorithms", &self.algorithms)?;
        fields.serialize_field("username_anonymity", &anonymity)?;
        fields.end()
    }
}

impl Serialize for Report {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Report", 13)?;
        fields.serialize_field("server", &self.server)?;
        fields.serialize_field("answered", &self.is_answered())?;
        fields.serialize_field("local", &self.local)?;
        fields.serialize_field("mapped", &self.mapped)?;
        fields.serialize_field("rtt_ms", &self.control.rtt.map(milliseconds))?;
        fields.serialize_field("software", &self.software)?;
        fields.serialize_field("credentials", &self.credentials)?;
        fields.serialize_field("control", &self.control)?;
        fields.serialize_field("summary", &self.summary())?;
        fields.serialize_field("findings", &self.findings)?;
        fields.serialize_field("amplification", &self.amplification)?;
        fields.serialize_field("traffic", &self.traffic)?;
        fields.serialize_field("elapsed_ms", &milliseconds(self.elapsed))?;
        fields.end()
    }
}

impl Serialize for TurnFinding {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (clause, weakness) = match self.attack.basis() {
            Basis::Rfc(clause) => (Some(clause), None),
            Basis::Weakness(kind) => (None, Some(kind)),
        };
        let why = match self.outcome {
            TurnOutcome::NotHeld(breach) => Some(breach.to_string()),
            TurnOutcome::NotTestable(obstacle) => Some(obstacle.to_string()),
            TurnOutcome::Held => None,
        };
        let mut fields = serializer.serialize_struct("TurnFinding", 9)?;
        fields.serialize_field("attack", self.attack.name())?;
        fields.serialize_field("rfc", &clause.map(|clause| clause.rfc))?;
        fields.serialize_field("section", &clause.map(|clause| clause.section))?;
        fields.serialize_field("weakness", &weakness)?;
        fields.serialize_field("outcome", self.outcome.word())?;
        fields.serialize_field("why", &why)?;
        fields.serialize_field("meaning", self.attack.meaning())?;
        fields.serialize_field("tested", &self.tested)?;
        fields.serialize_field("untested", &self.untested)?;
        fields.end()
    }
}

impl Serialize for TurnReport {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("TurnReport", 9)?;
        fields.serialize_field("server", &self.server)?;
        fields.serialize_field("relayed", &self.relayed)?;
        fields.serialize_field("relayed_ipv6", &self.relayed_ipv6)?;
        fields.serialize_field("software", &self.software)?;
        fields.serialize_field("summary", &self.summary())?;
        fields.serialize_field("findings", &self.findings)?;
        fields.serialize_field("sent", &self.sent)?;
        fields.serialize_field("received", &self.received)?;
        fields.serialize_field("elapsed_ms", &milliseconds(self.elapsed))?;
        fields.end()
    }
}

/// Converts to milliseconds, rounded to the microsecond.
fn milliseconds(duration: Duration) -> f64 {
    duration.saturating_add(Duration::from_nanos(500)).as_micros() as f64 / 1e3
}

/// Returns the quotient, rounded to two decimals.
fn two_decimals(dividend: u32, divisor: u32) -> f64 {
    let divisor = u64::from(divisor.max(1));
    ((u64::from(dividend) * 200 + divisor) / (2 * divisor)) as f64 / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Check, ControlStats, Probe, Violation};

    #[test]
    fn a_finding_of_a_turn_audit_has_the_documented_names() {
        use crate::turn::{Breach, TurnAttack};
        let json = |attack, outcome| serde_json::to_string(&TurnFinding::new(attack, outcome)).unwrap();
        assert_eq!(
            json(TurnAttack::Padding, TurnOutcome::NotHeld(Breach::Padding(0xaa))),
            r#"{"attack":"padding","rfc":null,"section":null,"weakness":"disclosure of memory","outcome":"not-held","why":"a padding byte is 0xaa","meaning":"the padding of each response is zero","tested":1,"untested":0}"#
        );
        assert!(json(TurnAttack::OtherUser, TurnOutcome::Held).contains(r#""rfc":8656,"section":"5","weakness":null"#));
    }

    #[test]
    fn the_parts_of_a_report_have_the_documented_names() {
        let json = |finding| serde_json::to_string(&finding).unwrap();
        assert_eq!(
            json(Finding::new(Check::Tcp, Outcome::Violated(Violation::Error(500)))),
            r#"{"check":"tcp","rfc":8489,"section":"6.2.2","outcome":"violated","why":"answered with error 500","meaning":"a Binding request over TCP is answered"}"#
        );
        assert!(json(Finding::new(Check::Tcp, Outcome::NotSupported)).contains(r#""why":null"#));
        let kind = Amplification { probe: Probe::Control, request_bytes: 60, reply_bytes: 100, replies_per_ten: 15 };
        assert_eq!(
            serde_json::to_string(&kind).unwrap(),
            r#"{"probe":"control","request_bytes":60,"reply_bytes":100,"replies":1.5,"factor":1.67}"#
        );
        let control = ControlStats { sent: 11, lost: 1, rtt: Some(Duration::from_millis(5)) };
        assert_eq!(serde_json::to_string(&control).unwrap(), r#"{"sent":11,"lost":1}"#);
        assert_eq!((two_decimals(1, 0), two_decimals(u32::MAX, 1)), (1.0, f64::from(u32::MAX)));
    }
}
