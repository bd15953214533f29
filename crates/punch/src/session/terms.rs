//! The terms of a host: its budget, and whether it allows to guess ports.
//!
//! Both hosts compute the plan from the same two cards, so they need the same budget. Each host sends its terms behind its
//! card, and both hosts use [`Terms::agreed`]: the smaller number of each limit, and guesses only if both hosts allow
//! them.
//!
//! ```text
//! nat1,4=nat,m=eim,f=apdf;512/2048/100/guess
//! CARD ; MAPPINGS / SESSIONS / RATE [ / guess ]
//! ```
//!
//! A text without terms is that of another program. The own terms hold then.

use crate::card::Card;
use crate::forecast::Budget;
use alloc::format;
use alloc::string::String;

/// The terms of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Terms {
    pub(super) budget: Budget,
    pub(super) may_guess: bool,
}

impl Terms {
    /// The terms that both hosts compute from their own terms and those of the other host.
    pub(super) fn agreed(self, peer: Self) -> Self {
        let (one, other) = (self.budget, peer.budget);
        Self {
            budget: Budget {
                mappings: one.mappings.min(other.mappings),
                sessions: one.sessions.min(other.sessions),
                rate: one.rate.min(other.rate),
            },
            may_guess: self.may_guess && peer.may_guess,
        }
    }

    /// The text that the session sends in the place of the card.
    pub(super) fn write(self, card: &Card) -> String {
        let Budget { mappings, sessions, rate } = self.budget;
        format!("{card};{mappings}/{sessions}/{rate}{}", if self.may_guess { "/guess" } else { "" })
    }

    /// Reads a text of the peer: its card, and its terms if it has some. `None`: the text cannot be read.
    pub(super) fn read(text: &str) -> Option<(Card, Option<Self>)> {
        let Some((card, terms)) = text.split_once(';') else {
            return Some((text.parse().ok()?, None));
        };
        let mut parts = terms.split('/');
        let mut number = || parts.next()?.parse::<u16>().ok().filter(|number| *number != 0);
        let budget = Budget { mappings: number()?, sessions: number()?, rate: number()? };
        let may_guess = match parts.next() {
            None => false,
            Some("guess") => true,
            Some(_) => return None,
        };
        let terms = Self { budget, may_guess };
        parts.next().is_none().then_some((card.parse().ok()?, Some(terms)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rendezvous::CARD_LEN;
    use alloc::string::ToString;

    const TEXT: &str = "nat1,4=nat,m=eim;512/2048/100/guess";

    #[test]
    fn terms_round_trip_behind_the_card_and_a_card_alone_has_none() {
        let (card, terms) = Terms::read(TEXT).unwrap();
        assert_eq!(terms, Some(Terms { budget: Budget::default(), may_guess: true }));
        assert_eq!(terms.unwrap().write(&card), TEXT);
        assert_eq!(Terms::read("nat1,4=nat,m=eim"), Some((card, None)));
    }

    #[test]
    fn a_text_with_a_fault_is_refused() {
        for text in [
            "nat1;",
            "nat1;1/2",
            "nat1;0/2/3",
            "nat1;1/2/65536",
            "nat1;1/2/3/yes",
            "nat1;1/2/3/guess/",
            "nat1;1/2/-3",
            "nat2;1/2/3",
            "nat1;1/2/3;",
        ] {
            assert_eq!(Terms::read(text), None, "{text}");
        }
    }

    #[test]
    fn both_hosts_agree_on_the_smaller_limits() {
        let terms =
            |mappings, sessions, rate, may_guess| Terms { budget: Budget { mappings, sessions, rate }, may_guess };
        let (one, other) = (terms(10, 200, 30, true), terms(20, 100, 30, false));
        assert_eq!(one.agreed(other), terms(10, 100, 30, false));
        assert_eq!(one.agreed(other), other.agreed(one));
    }

    #[test]
    fn the_longest_card_leaves_room_for_the_terms() {
        let endpoint = "+65535@2001:db8:1111:1111:1111:1111:1111:1111".repeat(6);
        let card = format!(
            "nat1,4=firewall,m=apdm,f=apdf,a=block65535@65535,e={},o=arbitrary,h=external,l=4294967295,6=present,w=1000",
            &endpoint[1..]
        );
        let card: Card = card.parse().unwrap();
        let budget = Budget { mappings: u16::MAX, sessions: u16::MAX, rate: u16::MAX };
        let text = Terms { budget, may_guess: true }.write(&card);
        assert!(text.len() <= CARD_LEN && text.starts_with(&card.to_string()), "{} bytes", text.len());
    }
}
