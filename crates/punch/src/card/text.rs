//! The text of a card: `Display`, `FromStr`, and the error with its column.

use super::{Card, Ipv4, Ipv6, Ports};
use alloc::vec::Vec;
use core::fmt;
use core::net::{IpAddr, SocketAddr};
use core::str::FromStr;
use core::time::Duration;
use portolan_nat::behavior::{Filtering, Hairpin, Mapping, Pooling};

/// The version at the beginning of a text.
const VERSION: &str = "nat1";

/// The error for a text that is not a card.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[error("column {column}: expected {expected}; {remedy}")]
pub struct CardError {
    /// The column of the first character that is not as expected, counted from 1.
    pub column: usize,
    /// The expected text, in a few words.
    pub expected: &'static str,
    /// What the user can do.
    pub remedy: Remedy,
}

/// What a user can do about an unreadable card.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Remedy {
    /// Copy the text again.
    Copy,
    /// Use the same version of the program on both sides.
    Version,
    /// Remove the second copy of a field.
    RemoveField,
}

impl fmt::Display for Remedy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Copy => "copy the whole line that `portolan nat --card` printed",
            Self::Version => "use the same version of portolan on both sides",
            Self::RemoveField => "remove the second copy of the field",
        })
    }
}

impl fmt::Display for Card {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(VERSION)?;
        if let Some(ipv4) = self.ipv4 {
            write!(f, ",4={}", ipv4.as_str())?;
        }
        if let Some(mapping) = self.mapping {
            write!(f, ",m={}", mapping_word(mapping))?;
        }
        if let Some(filtering) = self.filtering {
            write!(f, ",f={}", filtering_word(filtering))?;
        }
        if let Some(ports) = self.ports {
            write!(f, ",a={ports}")?;
        }
        for (n, endpoint) in self.public.iter().take(Self::MAX_ENDPOINTS).enumerate() {
            write!(f, "{}{}@{}", if n == 0 { ",e=" } else { "+" }, endpoint.port(), endpoint.ip())?;
        }
        if let Some(pooling) = self.pooling {
            write!(f, ",o={pooling}")?;
        }
        if let Some(hairpin) = self.hairpin {
            write!(f, ",h={}", hairpin_word(hairpin))?;
        }
        if let Some(lifetime) = self.lifetime {
            write!(f, ",l={}", lifetime.as_secs())?;
        }
        match self.ipv6 {
            Some(Ipv6::Absent) => f.write_str(",6=absent")?,
            Some(Ipv6::Present(None)) => f.write_str(",6=present")?,
            Some(Ipv6::Present(Some(filtering))) => write!(f, ",6={}", filtering_word(filtering))?,
            None => {}
        }
        self.p_wrong.map_or(Ok(()), |p_wrong| write!(f, ",w={p_wrong}"))
    }
}

impl fmt::Display for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Preserving => f.write_str("keep"),
            Self::Sequential(step) => write!(f, "seq{step:+}"),
            Self::Random => f.write_str("random"),
            Self::Block { size, first: None } => write!(f, "block{size}"),
            Self::Block { size, first: Some(first) } => write!(f, "block{size}@{first}"),
        }
    }
}

impl Ipv4 {
    /// The word of the text: `firewall`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Firewall => "firewall",
            Self::Nat => "nat",
            Self::Blocked => "blocked",
            Self::Absent => "absent",
        }
    }
}

const fn mapping_word(mapping: Mapping) -> &'static str {
    match mapping {
        Mapping::EndpointIndependent => "eim",
        Mapping::AddressDependent => "adm",
        Mapping::AddressAndPortDependent => "apdm",
    }
}

const fn filtering_word(filtering: Filtering) -> &'static str {
    match filtering {
        Filtering::EndpointIndependent => "eif",
        Filtering::AddressDependent => "adf",
        Filtering::AddressAndPortDependent => "apdf",
    }
}

const fn hairpin_word(hairpin: Hairpin) -> &'static str {
    match hairpin {
        Hairpin::None => "none",
        Hairpin::InternalSource => "internal",
        Hairpin::ExternalSource => "external",
    }
}

impl FromStr for Card {
    type Err = CardError;

    /// Parses a text. White space around the text is ignored.
    ///
    /// # Errors
    /// [`CardError`], with the column of the first fault, when the text is not a card of version 1.
    fn from_str(text: &str) -> Result<Self, CardError> {
        let start = text.len() - text.trim_start().len();
        let fault = |at: usize, expected, remedy| CardError { column: column(text, at), expected, remedy };
        let body = text.trim();
        if body.len() > Self::MAX_LENGTH {
            return Err(fault(start, "at most 512 bytes", Remedy::Copy));
        }
        let (version, _) = body.split_once(',').unwrap_or((body, ""));
        if version != VERSION {
            let is_other = version.strip_prefix("nat").is_some_and(|number| number.parse::<u32>().is_ok());
            let remedy = if is_other { Remedy::Version } else { Remedy::Copy };
            return Err(fault(start, "a card that begins with nat1", remedy));
        }
        let (mut card, mut seen) = (Self::default(), Vec::new());
        let mut at = start + version.len() + 1;
        for field in body.split(',').skip(1) {
            let Some((name, value)) = field.split_once('=') else {
                return Err(fault(at, FIELDS, Remedy::Copy));
            };
            if seen.contains(&name) {
                return Err(fault(at, "each field once", Remedy::RemoveField));
            }
            seen.push(name);
            let value_at = at + name.len() + 1;
            card.set(name, value).map_err(|wrong| match wrong {
                Wrong::Field => fault(at, FIELDS, Remedy::Copy),
                Wrong::Value(expected) => fault(value_at, expected, Remedy::Copy),
            })?;
            at += field.len() + 1;
        }
        Ok(card)
    }
}

/// The expected text where a field begins.
const FIELDS: &str = "one of the fields 4=, m=, f=, a=, e=, o=, h=, l=, 6=, w=";

/// The column of a byte, counted from 1 in characters.
fn column(text: &str, at: usize) -> usize {
    1 + text.char_indices().take_while(|(index, _)| *index < at).count()
}

/// Why a field was refused.
enum Wrong {
    Field,
    Value(&'static str),
}

impl Card {
    fn set(&mut self, name: &str, value: &str) -> Result<(), Wrong> {
        match name {
            "4" => self.ipv4 = Some(ipv4(value).ok_or(Wrong::Value("open, firewall, nat, blocked or absent"))?),
            "m" => self.mapping = Some(mapping(value).ok_or(Wrong::Value("eim, adm or apdm"))?),
            "f" => self.filtering = Some(filtering(value).ok_or(Wrong::Value("eif, adf or apdf"))?),
            "a" => self.ports = Some(ports(value).ok_or(Wrong::Value(PORTS))?),
            "e" => self.public = endpoints(value).ok_or(Wrong::Value(ENDPOINTS))?,
            "o" => self.pooling = Some(pooling(value).ok_or(Wrong::Value("paired or arbitrary"))?),
            "h" => self.hairpin = Some(hairpin(value).ok_or(Wrong::Value("none, internal or external"))?),
            "l" => {
                let seconds = number::<u32>(value).ok_or(Wrong::Value("a number of seconds"))?;
                self.lifetime = Some(Duration::from_secs(seconds.into()));
            }
            "6" => self.ipv6 = Some(ipv6(value).ok_or(Wrong::Value("absent, present, eif, adf or apdf"))?),
            "w" => {
                let share = number::<u16>(value).filter(|share| *share <= 1000);
                self.p_wrong = Some(share.ok_or(Wrong::Value("a number from 0 to 1000"))?);
            }
            _ => return Err(Wrong::Field),
        }
        Ok(())
    }
}

const PORTS: &str = "keep, seq+STEP, seq-STEP, random, blockSIZE or blockSIZE@FIRST";
const ENDPOINTS: &str = "one to six endpoints PORT@ADDRESS, with + between two";

fn ipv4(value: &str) -> Option<Ipv4> {
    let all = [Ipv4::Open, Ipv4::Firewall, Ipv4::Nat, Ipv4::Blocked, Ipv4::Absent];
    all.into_iter().find(|ipv4| ipv4.as_str() == value)
}

fn mapping(value: &str) -> Option<Mapping> {
    Mapping::ALL.into_iter().find(|mapping| mapping_word(*mapping) == value)
}

fn filtering(value: &str) -> Option<Filtering> {
    Filtering::ALL.into_iter().find(|filtering| filtering_word(*filtering) == value)
}

fn ports(value: &str) -> Option<Ports> {
    if let Some(step) = value.strip_prefix("seq") {
        let signed = step.starts_with(['+', '-']) && !step.get(1..)?.starts_with(['+', '-', '0']);
        return step.parse().ok().filter(|step| *step != 0 && signed).map(Ports::Sequential);
    }
    if let Some(block) = value.strip_prefix("block") {
        let (size, first) = match block.split_once('@') {
            Some((size, first)) => (size, Some(number(first)?)),
            None => (block, None),
        };
        return number(size).filter(|size| *size != 0).map(|size| Ports::Block { size, first });
    }
    [Ports::Preserving, Ports::Random].into_iter().zip(["keep", "random"]).find(|(_, word)| *word == value).map(|p| p.0)
}

fn endpoints(value: &str) -> Option<Vec<SocketAddr>> {
    let one = |text: &str| {
        let (port, ip) = text.split_once('@')?;
        Some(SocketAddr::new(ip.parse::<IpAddr>().ok()?, number(port)?))
    };
    let all: Vec<SocketAddr> = value.split('+').map(one).collect::<Option<_>>()?;
    (all.len() <= Card::MAX_ENDPOINTS).then_some(all)
}

fn pooling(value: &str) -> Option<Pooling> {
    [Pooling::Paired, Pooling::Arbitrary].into_iter().find(|pooling| pooling.as_str() == value)
}

fn hairpin(value: &str) -> Option<Hairpin> {
    let all = [Hairpin::None, Hairpin::InternalSource, Hairpin::ExternalSource];
    all.into_iter().find(|hairpin| hairpin_word(*hairpin) == value)
}

fn ipv6(value: &str) -> Option<Ipv6> {
    match value {
        "absent" => Some(Ipv6::Absent),
        "present" => Some(Ipv6::Present(None)),
        _ => filtering(value).map(|filtering| Ipv6::Present(Some(filtering))),
    }
}

/// A number in its only form: no sign and no leading zero.
fn number<N: FromStr>(text: &str) -> Option<N> {
    let plain = text == "0" || (!text.starts_with(['0', '+', '-']));
    plain.then(|| text.parse().ok()).flatten()
}
