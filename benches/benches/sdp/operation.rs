//! The operations of the table: what is timed, and the proof that it was done.

use crate::clock::ThreadTime;
use crate::codec::{Candidate, Codec, Digest, Ours};
use crate::table::Goal;
use crate::texts::{SECTIONS, Text, Texts};
use core::hint::black_box;
use criterion::Bencher;

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
            // How many is not asked; the lines and the sections are two lists.
            Self::ParseLarge => (0.15, 8.0),
            Self::Candidate => (0.5, 0.0),
        };
        Goal { factor, extra: 0.0, allocations }
    }

    /// How many times the work is done in what is timed as one.
    pub(crate) const fn repeats(self) -> f64 {
        1.0
    }

    /// All peers read every line, and say when one is wrong.
    pub(crate) const fn counts<C: Codec>(self) -> bool {
        let _every = C::NAME;
        true
    }

    /// Does the work over and over.
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
            Self::Candidate => bencher.iter(|| codec.candidate(black_box(&texts.candidate), black_box(&texts.attribute))),
        }
    }

    /// How often the work allocates.
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
            Self::Candidate => crate::allocations::of(|| _ = black_box(codec.candidate(&texts.candidate, &texts.attribute))),
        }
    }

    /// Whether the codec offers the operation; that it does it right is a must.
    pub(crate) fn prove<C: Codec>(self, texts: &Texts) -> bool {
        let codec = C::new();
        let name = C::NAME;
        match self {
            Self::Parse => {
                assert_eq!(parsed(&codec, &texts.small), Some(3), "{name}");
                assert_eq!(parsed(&codec, &broken(&texts.small)), None, "{name} takes a port that is no number");
                true
            }
            Self::ParseLarge => {
                assert_eq!(parsed(&codec, &texts.large), Some(SECTIONS), "{name}");
                true
            }
            Self::Read => read(&codec, &texts.small).is_some_and(|seen| {
                assert_eq!(Some(seen), read(&Ours::new(), &texts.small), "{name} reads something else");
                true
            }),
            Self::Write => {
                let written = C::write(&edited(&codec, &texts.small).expect("the first section has a setup"));
                let written = Text::from(String::from_utf8(written).expect("as what was read"));
                // Whoever puts the lines in another order writes the same values, and no shorter text.
                let other = if C::digest(&codec.parse(&written).expect(name)).is_some() { name } else { Ours::NAME };
                let seen = if other == name { read(&codec, &written) } else { read(&Ours::new(), &written) };
                let mut expected = read(&codec, &texts.small).or_else(|| read(&Ours::new(), &texts.small)).expect(name);
                expected.setups += 255;
                assert_eq!(seen, Some(expected), "{name} writes something else");
                true
            }
            Self::Candidate => codec.candidate(&texts.candidate, &texts.attribute).is_some_and(|seen| {
                assert_eq!(seen, expected_candidate(), "{name}");
                true
            }),
        }
    }
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

/// The offer with a letter in a port.
fn broken(text: &Text) -> Text {
    text.text.replacen("m=audio 9 ", "m=audio 9x ", 1).into()
}

fn expected_candidate() -> Candidate {
    let foundation = "2841136656".len();
    Candidate {
        foundation,
        component: 1,
        priority: 1_685_987_071,
        port: 51_472,
        related_port: 51_472,
        extensions: 4,
    }
}
