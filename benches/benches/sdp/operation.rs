//! The operations of the table, with a check of each.

use crate::clock::ThreadTime;
use crate::codec::{Candidate, Codec, Digest, Ours, SdpTypes};
use crate::table::Goal;
use crate::texts::{SECTIONS, Text, Texts};
use core::hint::black_box;
use criterion::Bencher;

/// The input of all operations.
pub(crate) type Inputs = Texts;

/// One row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Parse,
    Read,
    Write,
    ParseLarge,
    Candidate,
}

impl Operation {
    pub(crate) const ALL: [Self; 5] = [Self::Parse, Self::Read, Self::Write, Self::ParseLarge, Self::Candidate];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Parse => "parse",
            Self::Read => "read",
            Self::Write => "write",
            Self::ParseLarge => "parse-large",
            Self::Candidate => "candidate",
        }
    }

    pub(crate) const fn goal(self) -> Goal {
        let (factor, allocations) = match self {
            Self::Parse => (0.18, 8.0),
            Self::Read => (0.25, 12.0),
            Self::Write => (0.15, 1.0),
            // There is no goal for allocations. The bound is above the growth of two lists, of lines and of sections.
            Self::ParseLarge => (0.15, 8.0),
            Self::Candidate => (0.5, 0.0),
        };
        Goal { factor, extra: 0.0, allocations }
    }

    /// Returns how many times one measured call does the work.
    pub(crate) const fn repeats(self) -> f64 {
        1.0
    }

    /// Whether the ratio may compare with this codec. All peers parse every line and report an invalid one.
    pub(crate) const fn counts<C: Codec>(self) -> bool {
        let _every = C::NAME;
        true
    }

    /// Measures the work.
    pub(crate) fn time<C: Codec>(self, bencher: &mut Bencher<'_, ThreadTime>, texts: &Texts) {
        let codec = C::new();
        match self {
            Self::Parse => bencher.iter(|| parsed(&codec, black_box(&texts.small))),
            Self::Read => bencher.iter(|| read(&codec, black_box(&texts.small))),
            Self::Write => {
                let session = edited(&codec, &texts.small).expect("proved before");
                bencher.iter(|| C::write(black_box(&session)));
            }
            Self::ParseLarge => bencher.iter(|| parsed(&codec, black_box(&texts.large))),
            Self::Candidate => {
                bencher.iter(|| codec.candidate(black_box(&texts.candidate), black_box(&texts.attribute)))
            }
        }
    }

    /// Returns the number of allocations of the work.
    pub(crate) fn allocations<C: Codec>(self, texts: &Texts) -> f64 {
        let codec = C::new();
        match self {
            Self::Parse => crate::allocations::of(|| _ = black_box(parsed(&codec, &texts.small))),
            Self::Read => crate::allocations::of(|| _ = black_box(read(&codec, &texts.small))),
            Self::Write => {
                let session = edited(&codec, &texts.small).expect("proved before");
                crate::allocations::of(|| drop(black_box(C::write(&session))))
            }
            Self::ParseLarge => crate::allocations::of(|| _ = black_box(parsed(&codec, &texts.large))),
            Self::Candidate => {
                crate::allocations::of(|| _ = black_box(codec.candidate(&texts.candidate, &texts.attribute)))
            }
        }
    }

    /// Whether the codec does the work correctly. A peer with a wrong result is reported and not timed.
    ///
    /// # Panics
    /// If the result of `portolan-sdp` is wrong.
    pub(crate) fn check<C: Codec>(self, texts: &Texts) -> bool {
        let codec = C::new();
        let fault = match self {
            Self::Parse if parsed(&codec, &with_invalid_port(&texts.small)).is_some() => {
                Some("accepts a port without digits")
            }
            Self::Parse => (parsed(&codec, &texts.small) != Some(3)).then_some("does not read it"),
            Self::ParseLarge => (parsed(&codec, &texts.large) != Some(SECTIONS)).then_some("does not read it"),
            Self::Read => match read(&codec, &texts.small) {
                Some(seen) if seen == expected_digest(texts) => None,
                Some(_) => Some("reads other values"),
                None => Some("has no types for it"),
            },
            Self::Write => (!is_written(&codec, texts)).then_some("writes other values"),
            Self::Candidate => match codec.candidate(&texts.candidate, &texts.attribute) {
                Some(seen) if seen == expected_candidate::<C>() => None,
                Some(_) => Some("reads other values"),
                None => Some("has no type for it"),
            },
        };
        if let Some(fault) = fault {
            assert_ne!(C::NAME, Ours::NAME, "{}: {fault}", self.name());
            println!("{}: {} {fault}", self.name(), C::NAME);
        }
        fault.is_none()
    }
}

/// Returns the digest of the small offer, on which two independent codecs agree.
fn expected_digest(texts: &Texts) -> Digest {
    let ours = read(&Ours::new(), &texts.small).expect("it is read");
    let theirs = read(&SdpTypes::new(), &texts.small).expect("it is read");
    assert_eq!(ours, theirs);
    ours
}

/// Whether the written text has the same content except for the edit. The order of the lines may differ.
fn is_written<C: Codec>(codec: &C, texts: &Texts) -> bool {
    let Some(session) = edited(codec, &texts.small) else { return false };
    let written = String::from_utf8(C::write(&session)).expect("the text is UTF-8");
    let expected = Digest { setups: expected_digest(texts).setups + 255, ..expected_digest(texts) };
    read(&Ours::new(), &written.into()) == Some(expected)
}

#[inline(always)]
fn parsed<C: Codec>(codec: &C, text: &Text) -> Option<usize> {
    codec.parse(text).map(|session| C::sections(&session))
}

#[inline(always)]
fn read<C: Codec>(codec: &C, text: &Text) -> Option<Digest> {
    codec.parse(text).and_then(|session| C::digest(&session))
}

fn edited<'a, C: Codec>(codec: &C, text: &'a Text) -> Option<C::Session<'a>> {
    let mut session = codec.parse(text)?;
    C::edit(&mut session)?;
    Some(session)
}

/// Returns the offer with letters instead of a port.
fn with_invalid_port(text: &Text) -> Text {
    text.text.replacen("m=audio 9 ", "m=audio nine ", 1).into()
}

fn expected_candidate<C: Codec>() -> Candidate {
    let (priority, port) = (1_685_987_071, 51_472);
    if C::WHOLE_CANDIDATE {
        let foundation = "2841136656".len();
        Candidate { foundation, component: 1, priority, port, related_port: port, extensions: 4 }
    } else {
        Candidate { priority, port, ..Candidate::default() }
    }
}
