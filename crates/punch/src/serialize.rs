//! Cards and forecasts for `serde`. The feature `serde` adds it.
//!
//! Rules of this file: a value of an enum is the word that its `as_str` returns. Durations are numbers with their unit in
//! the name: `_ms` are milliseconds, `_s` are seconds. An unknown value is null.

use crate::card::{Card, Ipv4, Ipv6, Ports};
use crate::forecast::{Cost, Forecast, Reason, Side, Strategy, Verdict};
use alloc::string::ToString;
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
as_word!(Ipv4, Reason, Side, Verdict);

/// The word of the card's text: `seq+1`.
impl Serialize for Ports {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Always the two fields `present` and `filtering`.
impl Serialize for Ipv6 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (present, filtering) = match self {
            Self::Absent => (false, None),
            Self::Present(filtering) => (true, *filtering),
        };
        let mut fields = serializer.serialize_struct("Ipv6", 2)?;
        fields.serialize_field("present", &present)?;
        fields.serialize_field("filtering", &filtering)?;
        fields.end()
    }
}

/// The text of the card in the field `card`, and each of its fields.
impl Serialize for Card {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Card", 11)?;
        fields.serialize_field("card", &self.to_string())?;
        fields.serialize_field("ipv4", &self.ipv4)?;
        fields.serialize_field("mapping", &self.mapping)?;
        fields.serialize_field("filtering", &self.filtering)?;
        fields.serialize_field("port_allocation", &self.ports)?;
        fields.serialize_field("public", &self.public)?;
        fields.serialize_field("pooling", &self.pooling)?;
        fields.serialize_field("hairpin", &self.hairpin)?;
        fields.serialize_field("lifetime_s", &self.lifetime.map(|lifetime| lifetime.as_secs()))?;
        fields.serialize_field("ipv6", &self.ipv6)?;
        fields.serialize_field("p_wrong", &self.p_wrong.map(|thousandths| f64::from(thousandths) / 1000.0))?;
        fields.end()
    }
}

impl Serialize for Cost {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Cost", 3)?;
        fields.serialize_field("probes", &self.probes)?;
        fields.serialize_field("mappings", &self.mappings)?;
        fields.serialize_field("sessions", &self.sessions)?;
        fields.end()
    }
}

/// The field `name`; a guess has its parameters too.
impl Serialize for Strategy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Strategy", if self.is_guess() { 6 } else { 1 })?;
        fields.serialize_field("name", self.as_str())?;
        match self {
            Self::Predict { hard, step, window } => {
                fields.serialize_field("hard", hard)?;
                fields.serialize_field("step", step)?;
                fields.serialize_field("window", window)?;
            }
            Self::Birthday { hard, sockets, probes, first, last } => {
                fields.serialize_field("hard", hard)?;
                fields.serialize_field("sockets", sockets)?;
                fields.serialize_field("probes", probes)?;
                fields.serialize_field("first_port", first)?;
                fields.serialize_field("last_port", last)?;
            }
            Self::Ipv6 | Self::LocalNetwork | Self::Reversal | Self::Simultaneous | Self::AnswerSource => {}
        }
        fields.end()
    }
}

impl Serialize for Forecast {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Forecast", 8)?;
        fields.serialize_field("verdict", &self.verdict)?;
        fields.serialize_field("strategy", &self.strategy)?;
        fields.serialize_field("asymmetric", &self.is_asymmetric)?;
        fields.serialize_field("own", &self.own)?;
        fields.serialize_field("peer", &self.peer)?;
        fields.serialize_field("expected_ms", &u64::try_from(self.expected.as_millis()).unwrap_or(u64::MAX))?;
        fields.serialize_field("probability", &self.probability)?;
        fields.serialize_field("reason", &self.reason)?;
        fields.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forecast::{Conditions, forecast};

    #[test]
    fn a_card_has_its_text_and_every_field() {
        let card: Card =
            "nat1,4=nat,m=eim,f=apdf,a=block2048@34816,e=40000@198.51.100.7,l=30,6=adf,w=3".parse().unwrap();
        assert_eq!(
            serde_json::to_string(&card).unwrap(),
            "{\"card\":\"nat1,4=nat,m=eim,f=apdf,a=block2048@34816,e=40000@198.51.100.7,l=30,6=adf,w=3\",\
             \"ipv4\":\"nat\",\"mapping\":\"endpoint-independent\",\"filtering\":\"address-and-port-dependent\",\
             \"port_allocation\":\"block2048@34816\",\"public\":[\"198.51.100.7:40000\"],\"pooling\":null,\
             \"hairpin\":null,\"lifetime_s\":30,\"ipv6\":{\"present\":true,\"filtering\":\"address-dependent\"},\
             \"p_wrong\":0.003}"
        );
    }

    #[test]
    fn a_forecast_has_its_strategy_and_both_costs() {
        let (own, peer) =
            ("nat1,4=nat,m=eim,f=apdf".parse().unwrap(), "nat1,4=nat,m=apdm,f=apdf,a=seq+1".parse().unwrap());
        let conditions = Conditions { cross_traffic: 0, ..Conditions::default() };
        assert_eq!(
            serde_json::to_string(&forecast(&own, &peer, &conditions)).unwrap(),
            "{\"verdict\":\"works-with-guessing\",\
             \"strategy\":{\"name\":\"predict\",\"hard\":\"peer\",\"step\":1,\"window\":1},\"asymmetric\":false,\
             \"own\":{\"probes\":11,\"mappings\":1,\"sessions\":2},\"peer\":{\"probes\":10,\"mappings\":2,\"sessions\":2},\
             \"expected_ms\":110,\"probability\":1.0,\"reason\":\"port-predicted\"}"
        );
    }
}
