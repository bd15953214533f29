//! Which sections share a transport (RFC 9143, RFC 8829 §5.3.1), and which are refused for it.
//!
//! Rules of this file: the first section of an offered group carries the transport of all; where it goes, all go. A name
//! that no section has, or that stands in a group before, counts for nothing.

use super::capabilities::BundlePolicy;
use super::explanation::Refusal;
use super::section::{Described, Gathered};
use crate::work::look;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

/// The groups of one kind, as numbers of sections.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Groups {
    /// Each in the order of its names.
    pub(super) members: Vec<Vec<usize>>,
    /// For each section the group that it is in.
    of: Vec<Option<usize>>,
}

impl Groups {
    /// The groups with these semantics; sections that were removed are in none.
    pub(super) fn read(semantics: &str, top: &Gathered<'_>, sections: &[Described<'_>]) -> Self {
        let named = names(sections);
        let mut groups = Self { members: Vec::new(), of: alloc::vec![None; sections.len()] };
        for group in top.wide.groups.iter().filter(|group| group.semantics == semantics) {
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

    /// No groups.
    pub(super) fn none(sections: usize) -> Self {
        Self { members: Vec::new(), of: alloc::vec![None; sections] }
    }

    /// The group of a section.
    pub(super) fn of(&self, section: usize) -> Option<usize> {
        self.of.get(section).copied().flatten()
    }

    /// The section whose transport a section uses; its own where it is in no group.
    pub(super) fn owner(&self, section: usize) -> usize {
        let group = self.of(section).and_then(|group| self.members.get(group));
        group.and_then(|members| members.first()).copied().unwrap_or(section)
    }

    /// Refuses what the policy does not take, groups whose first section is refused, and what is offered in a bundle only
    /// but is in none.
    pub(super) fn judge(&self, policy: BundlePolicy, sections: &[Described<'_>], refusals: &mut [Option<Refusal>]) {
        // RFC 8829 §5.3.1 counts the first section; here it is the first that was not removed, or a session could never go
        // on once that one ended.
        let mut firsts: BTreeMap<&str, &Described<'_>> = BTreeMap::new();
        for section in sections.iter().filter(|section| !section.is_removed()) {
            look(section.head.media.len() + 1);
            let kind = match policy {
                BundlePolicy::MaxCompat | BundlePolicy::Never => break,
                BundlePolicy::MaxBundle => "",
                BundlePolicy::Balanced => section.head.media,
            };
            let first = firsts.entry(kind).or_insert(section).index;
            let is_with_it = self.of(first).is_some() && self.of(first) == self.of(section.index);
            if first != section.index && !is_with_it {
                refuse(refusals, section.index, Refusal::NotBundled);
            }
        }
        self.spread(refusals);
        for section in sections.iter().filter(|section| section.own.flags.bundle_only) {
            if self.of(section.index).is_none() {
                refuse(refusals, section.index, Refusal::BundleOnly);
            }
        }
    }

    /// RFC 8829 §5.3.1: what is bundled with a section that is refused is refused with it.
    pub(super) fn spread(&self, refusals: &mut [Option<Refusal>]) {
        for members in &self.members {
            look(members.len() + 1);
            let Some(first) = members.first() else { continue };
            if refusals.get(*first).is_some_and(Option::is_some) {
                members.iter().for_each(|member| refuse(refusals, *member, Refusal::BundleRefused { with: *first }));
            }
        }
    }
}

/// Which section has a name: the first of those that were not removed, or of all.
pub(super) fn names<'s>(sections: &[Described<'s>]) -> BTreeMap<&'s str, usize> {
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

/// Refuses a section, unless it is refused already.
pub(super) fn refuse(refusals: &mut [Option<Refusal>], section: usize, why: Refusal) {
    if let Some(refusal) = refusals.get_mut(section) {
        refusal.get_or_insert(why);
    }
}
