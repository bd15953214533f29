//! The purpose of a request of this machine, with its text form: commands to the transactions have a text form.

use core::fmt;
use core::str::FromStr;

/// The purpose of a request, and its probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tag {
    pub(super) ask: Ask,
    pub(super) probe: u8,
}

/// The purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    /// To make a mapping.
    Map,
    /// To get a response on the probe's socket.
    Check,
    /// To refresh the mapping.
    Touch,
    /// To get a response on the control.
    Prove,
}

const ASKS: [(Ask, &str); 4] = [(Ask::Map, "map"), (Ask::Check, "check"), (Ask::Touch, "touch"), (Ask::Prove, "prove")];

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = ASKS.iter().find(|(ask, _)| *ask == self.ask).map_or("", |(_, word)| word);
        write!(f, "{word}-{}", self.probe)
    }
}

impl FromStr for Tag {
    type Err = UnknownTag;

    fn from_str(text: &str) -> Result<Self, UnknownTag> {
        let (word, probe) = text.split_once('-').ok_or(UnknownTag)?;
        let ask = ASKS.iter().find(|(_, known)| *known == word).map(|(ask, _)| *ask).ok_or(UnknownTag)?;
        Ok(Self { ask, probe: probe.parse().map_err(|_| UnknownTag)? })
    }
}

/// A text that is no tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct UnknownTag;

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn each_tag_round_trips_through_text() {
        for (ask, _) in ASKS {
            let tag = Tag { ask, probe: 87 };
            assert_eq!(tag.to_string().parse(), Ok(tag));
        }
        assert_eq!("check".parse::<Tag>(), Err(UnknownTag));
        assert_eq!("check-256".parse::<Tag>(), Err(UnknownTag));
    }
}
