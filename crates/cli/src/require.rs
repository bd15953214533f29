//! `--require`: requirements that decide the exit code.
//!
//! A requirement is `KEY=VALUE`. Requirements are separated by commas, and all must be met in every family that has a
//! route. Alternative values are separated by `|`: `nat=none|nat,mapping=eim,filtering=eif|adf`. The keys are `nat`,
//! `mapping`, `filtering`, `type` and `vantage`. Without a `vantage`, the servers must be public, because a private
//! server shows nothing about the Internet.

use crate::vantage::Vantage;
use core::fmt;
use core::str::FromStr;
use portolan_nat::behavior::{ClassicType, Filtering, Mapping, NatKind};
use portolan_nat::profile::{Family, FamilyReport, Reachability, Report};

/// One `KEY=VALUE|VALUE…`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Requirement {
    /// The allowed kinds of NAT.
    Nat(Vec<NatKind>),
    /// The allowed mapping behaviours.
    Mapping(Vec<Mapping>),
    /// The allowed filtering behaviours.
    Filtering(Vec<Filtering>),
    /// The allowed classic types (RFC 3489).
    Type(Vec<ClassicType>),
    /// The allowed places of the servers. If the place is another one, all other requirements are unknown.
    Vantage(Vec<Vantage>),
}

/// All requirements.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Requirements(Vec<Requirement>);

/// Whether a requirement is met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Holding {
    /// The requirement is met.
    Satisfied,
    /// The result is unknown.
    Unknown,
    /// The requirement is not met.
    Unmet,
}

impl Requirements {
    /// Joins the requirements of several `--require`.
    pub(crate) fn together(all: &[Self]) -> Self {
        Self(all.iter().flat_map(|one| one.0.iter().cloned()).collect())
    }

    /// Returns the requirements that are not met or unknown, for each family that has a route.
    pub(crate) fn check(&self, report: &Report) -> Vec<Shortfall> {
        let open = report.families.iter().filter(|family| !matches!(family.reach, Reachability::Unavailable(_)));
        let mut short = Vec::new();
        if self.0.is_empty() {
            return short;
        }
        let public = Requirement::Vantage(vec![Vantage::Public]);
        let is_vantage = |requirement: &&Requirement| matches!(requirement, Requirement::Vantage(_));
        let vantage = self.0.iter().find(is_vantage).unwrap_or(&public);
        for family in open {
            let elsewhere = vantage.holds(family).0 != Holding::Satisfied;
            let all = self.0.iter().filter(|one| !elsewhere && !is_vantage(one)).chain([vantage]);
            for requirement in all {
                let (holding, is) = requirement.holds(family);
                if holding != Holding::Satisfied {
                    short.push(Shortfall { family: family.family, requirement: requirement.clone(), holding, is });
                }
            }
        }
        short
    }
}

/// A requirement that is not met, or of which that is unknown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shortfall {
    family: Family,
    requirement: Requirement,
    /// Unmet or unknown.
    pub(crate) holding: Holding,
    is: Box<str>,
}

impl fmt::Display for Shortfall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = if self.holding == Holding::Unmet { "not met" } else { "not known to be met" };
        write!(f, "{}: {} is {verb}: {}", self.family, self.requirement, self.is)
    }
}

impl Requirement {
    /// Returns whether a family meets the requirement, and the actual value there.
    fn holds(&self, report: &FamilyReport) -> (Holding, Box<str>) {
        // Where UDP is blocked, there is no mapping and no filtering: the requirement is not met, rather than unknown.
        let blocked = report.reach == Reachability::Blocked;
        match self {
            Self::Type(allowed) => {
                let is = report.classic_type();
                let known = (is != ClassicType::Unknown).then_some(is);
                judge(known.as_ref(), allowed, "unknown", false)
            }
            Self::Vantage(allowed) => match Vantage::of(report) {
                Some(place) if !allowed.contains(&place) => {
                    (Holding::Unknown, format!("the servers are {place}, so the other results do not count").into())
                }
                Some(_) | None => (Holding::Satisfied, "".into()),
            },
            Self::Nat(allowed) => judge(report.nat.as_ref(), allowed, "unknown", blocked),
            Self::Mapping(allowed) => {
                let why = report.mapping.reason().map_or("unknown", |why| why.as_str());
                judge(report.mapping.value(), allowed, why, blocked)
            }
            Self::Filtering(allowed) => {
                let why = report.filtering.reason().map_or("unknown", |why| why.as_str());
                judge(report.filtering.value(), allowed, why, blocked)
            }
        }
    }
}

fn judge<T: PartialEq + fmt::Display>(is: Option<&T>, allowed: &[T], why: &str, blocked: bool) -> (Holding, Box<str>) {
    match is {
        Some(is) if allowed.contains(is) => (Holding::Satisfied, is.to_string().into()),
        Some(is) => (Holding::Unmet, format!("it is {is}").into()),
        None if blocked => (Holding::Unmet, "UDP is blocked".into()),
        None => (Holding::Unknown, format!("it is unknown ({why})").into()),
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fn list<T: fmt::Display>(f: &mut fmt::Formatter<'_>, key: &str, values: &[T]) -> fmt::Result {
            write!(f, "{key}=")?;
            for (place, value) in values.iter().enumerate() {
                write!(f, "{}{value}", if place == 0 { "" } else { "|" })?;
            }
            Ok(())
        }
        match self {
            Self::Nat(values) => list(f, "nat", values),
            Self::Mapping(values) => list(f, "mapping", values),
            Self::Filtering(values) => list(f, "filtering", values),
            Self::Type(values) => list(f, "type", values),
            Self::Vantage(values) => list(f, "vantage", values),
        }
    }
}

impl FromStr for Requirements {
    type Err = RequireError;

    fn from_str(text: &str) -> Result<Self, RequireError> {
        text.split(',').map(|part| part.trim().parse()).collect::<Result<_, _>>().map(Self)
    }
}

impl FromStr for Requirement {
    type Err = RequireError;

    fn from_str(part: &str) -> Result<Self, RequireError> {
        let shape = || RequireError::Shape { part: part.into() };
        let (key, values) = part.split_once('=').ok_or_else(shape)?;
        match key.trim() {
            "nat" => values_of(values, kind).map(Self::Nat),
            "mapping" => values_of(values, |text| text.parse().map_err(|_| MAPPING)).map(Self::Mapping),
            "filtering" => values_of(values, |text| text.parse().map_err(|_| FILTERING)).map(Self::Filtering),
            "type" => {
                values_of(values, |text| text.parse().ok().filter(|name| *name != ClassicType::Unknown).ok_or(TYPE))
                    .map(Self::Type)
            }
            "vantage" => values_of(values, |text| text.parse().map_err(|()| VANTAGE)).map(Self::Vantage),
            key => Err(RequireError::Key { key: key.into() }),
        }
    }
}

const MAPPING: &str = "mapping is eim, adm, apdm, or the long words such as endpoint-independent";
const FILTERING: &str = "filtering is eif, adf, apdf, or the long words such as endpoint-independent";
const TYPE: &str = "type is open, udp-firewall, full-cone, restricted, port-restricted, symmetric, other or blocked";
const VANTAGE: &str = "vantage is public, private or loopback";

fn kind(text: &str) -> Result<NatKind, &'static str> {
    [NatKind::None, NatKind::Firewall, NatKind::Nat]
        .into_iter()
        .find(|kind| kind.as_str() == text)
        .ok_or("nat is none, firewall or nat")
}

fn values_of<T>(text: &str, read: impl Fn(&str) -> Result<T, &'static str>) -> Result<Vec<T>, RequireError> {
    text.split('|')
        .map(str::trim)
        .map(|value| read(value).map_err(|allowed| RequireError::Value { value: value.into(), allowed }))
        .collect()
}

/// Why a text is not a requirement.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RequireError {
    #[error("{part:?} is not KEY=VALUE; keys are nat, mapping, filtering, type and vantage")]
    Shape { part: Box<str> },
    #[error("{key:?} is not a key; keys are nat, mapping, filtering, type and vantage")]
    Key { key: Box<str> },
    #[error("{value:?} is not a value: {allowed}")]
    Value { value: Box<str>, allowed: &'static str },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;
    use portolan_nat::profile::{Conclusion, Unknown};

    fn read(text: &str) -> Requirements {
        text.parse().unwrap()
    }

    fn outcome(text: &str, report: &Report) -> Vec<String> {
        read(text).check(report).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn only_unmet_requirements_are_printed() {
        let home = sample::home();
        assert!(outcome("nat=nat, mapping=eim,filtering=adf|apdf,type=port-restricted", &home).is_empty());
        assert_eq!(
            outcome("mapping=eim,filtering=eif|adf,type=open", &home),
            [
                "IPv4: filtering=endpoint-independent|address-dependent is not met: it is address-and-port-dependent",
                "IPv4: type=open is not met: it is port-restricted",
            ]
        );
    }

    #[test]
    fn an_unknown_result_is_not_unmet_and_blocked_is_unmet() {
        let mut report = sample::home();
        report.families[0].filtering = Conclusion::unknown(Unknown::HighLoss, vec![]);
        let short = read("filtering=apdf").check(&report);
        assert_eq!(short[0].holding, Holding::Unknown);
        assert_eq!(
            short[0].to_string(),
            "IPv4: filtering=address-and-port-dependent is not known to be met: it is unknown (high-loss)"
        );
        let blocked = sample::blocked();
        assert!(outcome("type=blocked", &blocked).is_empty());
        for text in ["type=open", "mapping=eim", "nat=none|nat|firewall"] {
            assert_eq!(read(text).check(&blocked)[0].holding, Holding::Unmet, "{text}");
        }
    }

    #[test]
    fn a_server_that_is_not_public_leaves_every_requirement_unknown_unless_the_user_allows_it() {
        for (address, place) in [("127.0.0.1:1", "loopback"), ("10.0.0.1:1", "private"), ("100.64.0.1:1", "private")] {
            for base in [sample::home(), sample::blocked()] {
                let mut report = base;
                report.families[0].servers = sample::home().families.remove(0).servers;
                for server in &mut report.families[0].servers {
                    server.address = address.parse().unwrap();
                }
                for text in ["mapping=eim", "mapping=apdm,type=open", "nat=none", "vantage=public,mapping=eim"] {
                    let short = read(text).check(&report);
                    assert_eq!(short.len(), 1, "{text}");
                    assert_eq!(short[0].holding, Holding::Unknown, "{text}");
                    assert_eq!(
                        short[0].to_string(),
                        format!(
                            "IPv4: vantage=public is not known to be met: the servers are {place}, so the other \
                             results do not count"
                        )
                    );
                }
                let allowed = read(&format!("type=open,vantage=public|{place}")).check(&report);
                assert_eq!(allowed[0].holding, Holding::Unmet);
                assert!(Requirements::default().check(&report).is_empty());
            }
        }
        assert!(outcome("vantage=public,mapping=eim", &sample::home()).is_empty());
        assert_eq!(read("vantage=loopback").check(&sample::home())[0].holding, Holding::Unknown);
    }

    #[test]
    fn an_unreachable_family_has_no_requirements() {
        assert!(outcome("mapping=adm", &sample::offline()).is_empty());
    }

    #[test]
    fn an_invalid_requirement_is_refused_at_its_invalid_part() {
        for (text, error) in [
            ("", "\"\" is not KEY=VALUE; keys are nat, mapping, filtering, type and vantage"),
            ("mapping=eim,", "\"\" is not KEY=VALUE; keys are nat, mapping, filtering, type and vantage"),
            ("mapping", "\"mapping\" is not KEY=VALUE; keys are nat, mapping, filtering, type and vantage"),
            ("cone=full", "\"cone\" is not a key; keys are nat, mapping, filtering, type and vantage"),
            ("nat=yes", "\"yes\" is not a value: nat is none, firewall or nat"),
            (
                "filtering=eif|eim",
                "\"eim\" is not a value: filtering is eif, adf, apdf, or the long words such as endpoint-independent",
            ),
            ("type=unknown", &format!("\"unknown\" is not a value: {TYPE}")),
        ] {
            assert_eq!(text.parse::<Requirements>().unwrap_err().to_string(), error, "{text}");
        }
    }

    #[test]
    fn requirements_round_trip_through_text() {
        for text in ["nat=none|firewall", "mapping=address-dependent", "type=open|full-cone", "vantage=public|private"]
        {
            let requirement: Requirement = text.parse().unwrap();
            assert_eq!(requirement.to_string(), text);
        }
    }
}
