//! Bundles: which sections share a transport (RFC 9143, RFC 9429 §5.3.1), and which are refused because of the bundle
//! policy.
//!
//! Rules of this file: the first section of an offered group carries the transport of all. If it is refused, all are
//! refused. A `mid` without a section, or in an earlier group, is ignored.

use super::capabilities::BundlePolicy;
use super::explanation::Refusal;
use super::section::{Attributes, MediaSection};
use crate::work::look;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

/// The groups of one kind, as section indices.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Groups {
    /// The sections of each group, in the order of its `mid`s.
    pub(super) members: Vec<Vec<usize>>,
    /// For each section the index of its group.
    of: Vec<Option<usize>>,
}

impl Groups {
    /// Returns the groups with these semantics; removed sections are in no group.
    pub(super) fn read(semantics: &str, top: &Attributes<'_>, sections: &[MediaSection<'_>]) -> Self {
        let named = names(sections);
        let mut groups = Self { members: Vec::new(), of: alloc::vec![None; sections.len()] };
        for group in top.session_level.groups.iter().filter(|group| group.semantics == semantics) {
            let number = groups.members.len();
            let mut members = Vec::new();
            for index in group.mids().inspect(|mid| look(mid.len())).filter_map(|mid| named.get(mid)) {
                let is_used = sections.get(*index).is_some_and(|section| !section.is_removed());
                if let Some(of) = groups.of.get_mut(*index).filter(|of| of.is_none() && is_used) {
                    *of = Some(number);
                    members.push(*index);
                }
            }
            groups.members.push(members);
        }
        groups
    }

    /// Returns a value without groups.
    pub(super) fn none(sections: usize) -> Self {
        Self { members: Vec::new(), of: alloc::vec![None; sections] }
    }

    /// Returns the group of a section.
    pub(super) fn of(&self, section: usize) -> Option<usize> {
        self.of.get(section).copied().flatten()
    }

    /// Returns the section whose transport a section uses: the section itself if it is in no group.
    pub(super) fn owner(&self, section: usize) -> usize {
        let group = self.of(section).and_then(|group| self.members.get(group));
        group.and_then(|members| members.first()).copied().unwrap_or(section)
    }

    /// Refuses sections that the policy excludes, groups whose first section is refused, and `bundle-only` sections
    /// outside of a group.
    pub(super) fn apply_policy(
        &self,
        policy: BundlePolicy,
        sections: &[MediaSection<'_>],
        refusals: &mut [Option<Refusal>],
    ) {
        // RFC 9429 §5.3.1 names the first section. Here it is the first section that was not removed; otherwise a
        // session could not continue after its first section ended.
        let mut firsts: BTreeMap<&str, &MediaSection<'_>> = BTreeMap::new();
        for section in sections.iter().filter(|section| !section.is_removed()) {
            look(section.head.media.len() + 1);
            let kind = match policy {
                BundlePolicy::MaxCompat | BundlePolicy::Never => break,
                BundlePolicy::MustBundle => "",
                BundlePolicy::Balanced => section.head.media,
            };
            let first = firsts.entry(kind).or_insert(section).index;
            let is_with_it = self.of(first).is_some() && self.of(first) == self.of(section.index);
            if first != section.index && !is_with_it {
                refuse(refusals, section.index, Refusal::NotBundled);
            }
        }
        self.refuse_dependents(refusals);
        // Outside of a bundle the attribute is discarded (RFC 9143 §6). With port 0 the section is then a removed one.
        for section in sections.iter().filter(|section| section.own.flags.bundle_only) {
            if section.head.port == 0 && self.of(section.index).is_none() {
                refuse(refusals, section.index, Refusal::BundleOnly);
            }
        }
    }

    /// Refuses all sections that are bundled with a refused section (RFC 9429 §5.3.1).
    pub(super) fn refuse_dependents(&self, refusals: &mut [Option<Refusal>]) {
        for members in &self.members {
            look(members.len() + 1);
            let Some(first) = members.first() else { continue };
            if refusals.get(*first).is_some_and(Option::is_some) {
                members.iter().for_each(|member| refuse(refusals, *member, Refusal::BundleRefused { with: *first }));
            }
        }
    }
}

/// Maps each `mid` to its section: the first one of those not removed, or of all.
pub(super) fn names<'s>(sections: &[MediaSection<'s>]) -> BTreeMap<&'s str, usize> {
    let mut named = BTreeMap::new();
    for is_removed in [false, true] {
        for section in sections.iter().filter(|section| section.is_removed() == is_removed) {
            look(1);
            if let Some(mid) = section.own.mid {
                look(mid.len());
                named.entry(mid).or_insert(section.index);
            }
        }
    }
    named
}

/// Refuses a section, unless it is already refused.
pub(super) fn refuse(refusals: &mut [Option<Refusal>], section: usize, why: Refusal) {
    if let Some(refusal) = refusals.get_mut(section) {
        refusal.get_or_insert(why);
    }
}
