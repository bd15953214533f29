//! The parts of a description, read once: the lines of the session and of each media section, and the bundles.

use crate::attribute::Attribute;
use crate::line::{Kind, Line};
use crate::media::Section;
use crate::session::Session;
use crate::value::MediaLine;
use crate::work::look;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::ops::Range;

/// All parts of a description.
pub(super) struct View<'s> {
    pub(super) top: Part<'s>,
    pub(super) sections: Vec<Part<'s>>,
    /// For each `mid` the index of the first section that has it.
    pub(super) named: BTreeMap<&'s str, usize>,
    /// For each section the index of its first `BUNDLE` group.
    bundles: Vec<Option<usize>>,
    /// For each `BUNDLE` group the section whose transport is used.
    owners: Vec<Option<usize>>,
}

/// The lines of the session, or of one media section.
pub(super) struct Part<'s> {
    pub(super) section: Section<'s>,
    pub(super) media: Option<usize>,
    pub(super) mid: Option<&'s str>,
    /// The `m=` line; `None` for the session, and for a line that cannot be parsed.
    pub(super) head: Option<Head<'s>>,
    pub(super) entries: Vec<Entry<'s>>,
}

/// An `m=` line.
#[derive(Clone, Copy)]
pub(super) struct Head<'s> {
    pub(super) line: Line<'s>,
    pub(super) value: MediaLine<'s>,
}

/// An `a=` line.
#[derive(Clone, Copy)]
pub(super) struct Entry<'s> {
    pub(super) line: Line<'s>,
    pub(super) name: &'s [u8],
    /// `None` if the value cannot be parsed.
    pub(super) attribute: Option<Attribute<'s>>,
}

impl<'s> View<'s> {
    pub(super) fn new(session: &'s Session<'s>) -> Self {
        let top = Part::new(session.top());
        let sections: Vec<Part<'s>> = session.all_media().map(Part::new).collect();
        let mut named = BTreeMap::new();
        for (index, section) in sections.iter().enumerate() {
            if let Some(mid) = section.mid {
                look(mid.len());
                named.entry(mid).or_insert(index);
            }
        }
        let mut view = Self { top, bundles: alloc::vec![None; sections.len()], sections, named, owners: Vec::new() };
        view.find_bundles();
        view
    }

    fn find_bundles(&mut self) {
        for entry in &self.top.entries {
            let Some(Attribute::Group(group)) = entry.attribute.filter(|found| is_bundle(found)) else { continue };
            let number = self.owners.len();
            let mut owner = None;
            for index in group.mids().inspect(|mid| look(mid.len())).filter_map(|mid| self.named.get(mid)) {
                let is_used = self.sections.get(*index).is_some_and(Part::is_used);
                if let Some(slot) = self.bundles.get_mut(*index).filter(|slot| slot.is_none() && is_used) {
                    *slot = Some(number);
                    owner = owner.or(Some(*index));
                }
            }
            self.owners.push(owner);
        }
    }

    /// Returns the session, then the media sections in order.
    pub(super) fn all(&self) -> impl Iterator<Item = &Part<'s>> {
        core::iter::once(&self.top).chain(&self.sections)
    }

    /// Returns the `BUNDLE` group of a section.
    pub(super) fn bundle(&self, part: &Part<'s>) -> Option<usize> {
        self.bundles.get(part.media?).copied().flatten()
    }

    /// Returns the section whose transport a section uses: the first one of its bundle, or the section itself.
    pub(super) fn owner<'v>(&'v self, part: &'v Part<'s>) -> &'v Part<'s> {
        let owner = self.bundle(part).and_then(|bundle| self.owners.get(bundle).copied().flatten());
        owner.and_then(|owner| self.sections.get(owner)).unwrap_or(part)
    }

    /// Returns whether an attribute applies to the transport of a section: from the section, the session or the bundle.
    pub(super) fn has(&self, part: &Part<'s>, name: &str) -> bool {
        part.has(name) || self.top.has(name) || self.owner(part).has(name)
    }
}

fn is_bundle(attribute: &Attribute<'_>) -> bool {
    matches!(attribute, Attribute::Group(group) if group.is_bundle())
}

impl<'s> Part<'s> {
    fn new(section: Section<'s>) -> Self {
        let entry = |line: Line<'s>| {
            let (name, _) = line.attribute()?;
            look(line.text().len());
            Some(Entry { line, name, attribute: line.typed().and_then(Result::ok) })
        };
        let entries: Vec<Entry<'s>> = section.lines().filter_map(entry).collect();
        let head = section.line(Kind::Media).and_then(|line| Some(Head { line, value: line.read().ok()? }));
        let mid = entries.iter().find_map(|entry| match entry.attribute {
            Some(Attribute::Mid(mid)) if head.is_some() => Some(mid.0),
            _ => None,
        });
        Self { media: section.media_index(), section, mid, head, entries }
    }

    /// Returns whether there is an attribute with a name, even if its value cannot be parsed.
    pub(super) fn has(&self, name: &str) -> bool {
        look(self.entries.len());
        self.entries.iter().any(|entry| entry.name == name.as_bytes())
    }

    /// Returns the first attribute with a name.
    pub(super) fn first(&self, name: &str) -> Option<&Entry<'s>> {
        look(self.entries.len());
        self.entries.iter().find(|entry| entry.name == name.as_bytes())
    }

    /// Returns whether the value of an attribute with this name cannot be parsed.
    pub(super) fn has_unreadable(&self, name: &str) -> bool {
        look(self.entries.len());
        self.entries.iter().any(|entry| entry.name == name.as_bytes() && entry.attribute.is_none())
    }

    /// Returns whether media may flow: the port is not 0, or the section is `bundle-only` (RFC 9143 §6).
    pub(super) fn is_used(&self) -> bool {
        self.head.is_some_and(|head| head.value.port != 0) || self.has("bundle-only")
    }

    /// Returns the `m=` line of a section with RTP.
    pub(super) fn rtp(&self) -> Option<Head<'s>> {
        self.head.filter(|head| head.value.protocol.split('/').any(|part| part == "RTP"))
    }
}

impl Head<'_> {
    /// Returns where the protocol is in the line.
    pub(super) fn protocol(&self) -> Range<usize> {
        words(&self.line).nth(2).map_or(0..0, |(at, word)| at..at + word.len())
    }

    /// Returns whether the protocol includes DTLS. `TCP/TLS` is TLS without the D.
    pub(super) fn is_dtls(&self) -> bool {
        let protocol = self.value.protocol;
        protocol.split('/').any(|part| part == "DTLS") || protocol.starts_with("UDP/TLS")
    }

    /// Returns whether the section is SCTP over DTLS (RFC 8841 §4.2).
    pub(super) fn is_sctp(&self) -> bool {
        matches!(self.value.protocol, "UDP/DTLS/SCTP" | "TCP/DTLS/SCTP")
    }
}

impl<'s> Head<'s> {
    /// Returns the formats, each with its offset in the line.
    pub(super) fn formats(&self) -> impl Iterator<Item = (usize, &'s [u8])> + use<'s> {
        words(&self.line).skip(3)
    }
}

impl Entry<'_> {
    /// Returns where the name is in the line, with the `a=`.
    pub(super) fn name_mark(&self) -> Range<usize> {
        0..self.name.len() + 2
    }

    /// Returns where a word of the value is in the line, counted from 0; the name if there is no such word.
    pub(super) fn word_mark(&self, index: usize) -> Range<usize> {
        words(&self.line).nth(index).map_or(self.name_mark(), |(at, word)| at..at + word.len())
    }
}

/// Returns the words of a value that are separated by spaces, each with its offset in the line. The value begins after
/// the colon of an attribute, and after the `=` of another line.
pub(super) fn words<'s>(line: &Line<'s>) -> impl Iterator<Item = (usize, &'s [u8])> + use<'s> {
    let value = match line.attribute() {
        Some((_, value)) => value.unwrap_or_default(),
        None => line.value(),
    };
    pieces(value, line.text().len() - value.len(), |byte| byte == b' ')
}

/// Returns the non-empty pieces of a text between separators, each with its offset; `start` is the offset of the text.
pub(super) fn pieces(
    text: &[u8],
    start: usize,
    is_separator: impl Fn(u8) -> bool,
) -> impl Iterator<Item = (usize, &[u8])> {
    let mut at = start;
    text.split(move |byte| is_separator(*byte))
        .map(move |piece| {
            look(piece.len() + 1);
            let offset = at;
            at += piece.len() + 1;
            (offset, piece)
        })
        .filter(|(_, piece)| !piece.is_empty())
}
