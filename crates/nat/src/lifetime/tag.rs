//! The purpose of a request of this machine, with its text form: commands to the transactions have a text form.

use core::fmt;
use core::str::FromStr;

/// The purpose of a request, and its probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tag {
    pub(super) purpose: Purpose,
    pub(super) probe: u8,
}

/// The purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To make a mapping.
    Map,
    /// To get a response on the probe's socket.
    Check,
    /// To refresh the mapping.
    Touch,
    /// To get a response on the control.
    Prove,
}

const PURPOSES: [(Purpose, &str); 4] =
    [(Purpose::Map, "map"), (Purpose::Check, "check"), (Purpose::Touch, "touch"), (Purpose::Prove, "prove")];

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = PURPOSES.iter().find(|(purpose, _)| *purpose == self.purpose).map_or("", |(_, word)| word);
        write!(f, "{word}-{}", self.probe)
    }
}

impl FromStr for Tag {
    type Err = UnknownTag;

    fn from_str(text: &str) -> Result<Self, UnknownTag> {
        let (word, probe) = text.split_once('-').ok_or(UnknownTag)?;
        let purpose =
            PURPOSES.iter().find(|(_, known)| *known == word).map(|(purpose, _)| *purpose).ok_or(UnknownTag)?;
        Ok(Self { purpose, probe: probe.parse().map_err(|_| UnknownTag)? })
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
        for (purpose, _) in PURPOSES {
            let tag = Tag { purpose, probe: 87 };
            assert_eq!(tag.to_string().parse(), Ok(tag));
        }
        assert_eq!("check".parse::<Tag>(), Err(UnknownTag));
        assert_eq!("check-256".parse::<Tag>(), Err(UnknownTag));
    }
}
