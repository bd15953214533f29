//! `is`: of a description it reads the candidates only. It skips unknown extensions, and few fields have a public
//! getter.

use super::{Candidate, Codec, Digest};
use crate::texts::Text;

pub(crate) struct Is;

impl Codec for Is {
    const NAME: &'static str = "is";
    const WHOLE_CANDIDATE: bool = false;
    type Session<'a> = ();

    fn new() -> Self {
        Self
    }

    fn parse(&self, _: &Text) -> Option<()> {
        None
    }

    fn sections((): &()) -> usize {
        0
    }

    fn digest((): &()) -> Option<Digest> {
        None
    }

    fn edit((): &mut ()) -> Option<()> {
        None
    }

    fn write((): &()) -> Vec<u8> {
        Vec::new()
    }

    fn candidate(&self, _: &Text, attribute: &Text) -> Option<Candidate> {
        let candidate = is::Candidate::from_sdp_string(&attribute.text).ok()?;
        let (priority, port) = (candidate.prio().into(), candidate.addr().port().into());
        Some(Candidate { priority, port, ..Candidate::default() })
    }
}
