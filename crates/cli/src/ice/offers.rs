//! The offers of this side, and the offer that an answer belongs to (RFC 3264 §5, RFC 8839 §4.4).
//!
//! Rules of this file: an answer belongs to the newest open offer, unless its content shows another one. The content shows
//! it in three ways. The message names the username fragment of the offer. The username fragment of the peer is one from
//! before a restart of this side: after a restart the peer must choose a new one (RFC 8839 §4.4.1.1.1). Or a description of
//! the same SDP session with a higher version arrived before (RFC 3264 §8).

/// The offers of this side, and the descriptions of the peer that were used.
#[derive(Clone, Debug, Default)]
pub(super) struct Offers {
    /// The last offers, the newest one at the end.
    made: Vec<Offer>,
    /// The description of the peer that is in use.
    current: Option<Mark>,
    /// The username fragments of the peer before restarts of this side.
    past: Vec<Box<str>>,
    /// The username fragment of the peer in its last offer.
    received: Option<Box<str>>,
}

/// An offer of this side.
#[derive(Clone, Debug)]
struct Offer {
    ufrag: Box<str>,
    is_open: bool,
}

/// What identifies a description of the peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    /// The username fragment of the peer.
    pub(super) ufrag: Box<str>,
    /// The number and the version of the SDP session in the `o=` line, if they are numbers of 64 bits.
    pub(super) origin: Option<(u64, u64)>,
}

/// What an answer is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Matched {
    /// The answer to the newest offer, which has this username fragment.
    Newest(Box<str>),
    /// An answer to an offer before a restart of this side.
    Late,
    /// No open offer is left for the answer.
    NoOffer,
}

impl Offers {
    /// The number of offers and of username fragments that are remembered.
    const LIMIT: usize = 16;

    /// Adds an offer that was made now.
    pub(super) fn add(&mut self, ufrag: &str) {
        self.made.retain(|offer| *offer.ufrag != *ufrag);
        self.made.push(Offer { ufrag: ufrag.into(), is_open: true });
        let excess = self.made.len().saturating_sub(Self::LIMIT);
        self.made.drain(..excess);
    }

    /// An offer of the peer has arrived.
    pub(super) fn receive(&mut self, ufrag: &str) {
        self.received = Some(ufrag.into());
    }

    /// The username fragment of the peer in its last offer.
    pub(super) fn received(&self) -> Option<&str> {
        self.received.as_deref()
    }

    /// Whether an offer of this side has no answer yet.
    pub(super) fn has_open(&self) -> bool {
        self.made.iter().any(|offer| offer.is_open)
    }

    /// This side has restarted: the description of the peer belongs to the session before.
    pub(super) fn restart(&mut self) {
        self.past.extend(self.current.take().map(|mark| mark.ufrag));
        let excess = self.past.len().saturating_sub(Self::LIMIT);
        self.past.drain(..excess);
    }

    /// A description of the peer is in use now.
    pub(super) fn use_description(&mut self, mark: Mark) {
        self.current = Some(mark);
    }

    /// Finds the offer of an answer, and closes the offer. `named` is the username fragment of the offer, if the message
    /// has one.
    pub(super) fn answer(&mut self, named: Option<&str>, mark: &Mark) -> Matched {
        if named.is_none() && self.is_older(mark) {
            let (_, earlier) = self.made.split_last_mut().unzip();
            if let Some(offer) = earlier.into_iter().flatten().find(|offer| offer.is_open) {
                offer.is_open = false;
            }
            return Matched::Late;
        }
        let is_newer = self.is_newer(mark);
        let is_it = |offer: &Offer| offer.is_open && named.is_none_or(|ufrag| *offer.ufrag == *ufrag);
        let Some(at) = self.made.iter().rposition(is_it) else { return Matched::NoOffer };
        if let Some(offer) = self.made.get_mut(at) {
            offer.is_open = false;
        }
        let newest = self.made.last().filter(|_| at + 1 == self.made.len() || named.is_none() && is_newer);
        // The answer that was taken for that of the newest offer belongs to an older one, if a newer answer follows.
        newest.map_or(Matched::Late, |offer| Matched::Newest(offer.ufrag.clone()))
    }

    /// Whether the description is from before the one in use, or from before a restart of this side.
    fn is_older(&self, mark: &Mark) -> bool {
        let is_past = self.past.contains(&mark.ufrag);
        is_past || self.versions(mark).is_some_and(|(new, used)| new < used)
    }

    /// Whether the description is of the same SDP session as the one in use, with a higher version.
    fn is_newer(&self, mark: &Mark) -> bool {
        self.versions(mark).is_some_and(|(new, used)| new > used)
    }

    /// The versions of a description and of the one in use, if both are of one SDP session.
    fn versions(&self, mark: &Mark) -> Option<(u64, u64)> {
        let ((session, new), (known, used)) = mark.origin.zip(self.current.as_ref()?.origin)?;
        (session == known).then_some((new, used))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(ufrag: &str, version: u64) -> Mark {
        Mark { ufrag: ufrag.into(), origin: Some((7, version)) }
    }

    fn newest(ufrag: &str) -> Matched {
        Matched::Newest(ufrag.into())
    }

    /// Two offers without an answer between them.
    fn two_open() -> Offers {
        let mut offers = Offers::default();
        offers.add("a1");
        offers.restart();
        offers.add("a2");
        offers
    }

    #[test]
    fn an_answer_belongs_to_the_newest_open_offer_also_after_an_answered_one() {
        let mut offers = Offers::default();
        assert_eq!(offers.answer(None, &mark("b1", 1)), Matched::NoOffer);
        offers.add("a1");
        assert_eq!(offers.answer(None, &mark("b1", 1)), newest("a1"));
        offers.use_description(mark("b1", 1));
        assert_eq!(offers.answer(None, &mark("b1", 1)), Matched::NoOffer, "the offer is answered");
        offers.restart();
        offers.add("a2");
        assert_eq!(offers.answer(None, &mark("b2", 2)), newest("a2"));
        assert_eq!(two_open().answer(None, &mark("b2", 2)), newest("a2"));
    }

    #[test]
    fn an_answer_that_names_an_older_offer_is_late() {
        let mut offers = two_open();
        assert_eq!(offers.answer(Some("a1"), &mark("b1", 1)), Matched::Late);
        assert_eq!(offers.answer(Some("a1"), &mark("b1", 1)), Matched::NoOffer, "it was answered");
        assert_eq!(offers.answer(Some("other"), &mark("b2", 2)), Matched::NoOffer);
        assert_eq!(offers.answer(Some("a2"), &mark("b2", 2)), newest("a2"));
        // The other order.
        let mut offers = two_open();
        assert_eq!(offers.answer(Some("a2"), &mark("b2", 2)), newest("a2"));
        offers.use_description(mark("b2", 2));
        assert_eq!(offers.answer(Some("a1"), &mark("b1", 1)), Matched::Late);
    }

    #[test]
    fn an_answer_with_credentials_from_before_the_restart_is_late() {
        let mut offers = Offers::default();
        offers.add("a1");
        offers.use_description(mark("b1", 1));
        offers.restart();
        offers.add("a2");
        // The answer to the first offer, after an offer of the peer with the same credentials; and the same once more.
        assert_eq!(offers.answer(None, &mark("b1", 1)), Matched::Late);
        assert_eq!(offers.answer(None, &mark("b1", 1)), Matched::Late);
        assert_eq!(offers.answer(None, &mark("b2", 2)), newest("a2"));
    }

    #[test]
    fn the_versions_of_two_answers_tell_their_order() {
        let mut offers = two_open();
        // The first answer is that of the first offer, which only the second answer shows.
        assert_eq!(offers.answer(None, &mark("b1", 1)), newest("a2"));
        offers.use_description(mark("b1", 1));
        assert_eq!(offers.answer(None, &mark("b2", 2)), newest("a2"));
        let mut offers = two_open();
        assert_eq!(offers.answer(None, &mark("b2", 2)), newest("a2"));
        offers.use_description(mark("b2", 2));
        assert_eq!(offers.answer(None, &mark("b1", 1)), Matched::Late);
    }

    #[test]
    fn the_memory_is_bounded() {
        let mut offers = Offers::default();
        for nth in 0..100 {
            offers.add(&format!("a{nth}"));
            offers.use_description(mark(&format!("b{nth}"), nth));
            offers.restart();
        }
        assert_eq!((offers.made.len(), offers.past.len()), (Offers::LIMIT, Offers::LIMIT));
    }
}
