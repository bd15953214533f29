//! Foundation groups: the pairs of one foundation in all checklists (RFC 8445 §6.1.2.6).
//!
//! Rules of this file: the foundation of a pair is the combination of the foundations of its candidates. A sorted index
//! finds the group of a known foundation in O(log n).

use alloc::vec::Vec;
use core::cmp::Reverse;

/// The place of a pair in the column of its foundation: the first checklist, then the lowest component, then the highest
/// priority.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Column(u16, u16, Reverse<u64>);

impl Column {
    pub(super) const fn new(list: u16, component: u16, priority: u64) -> Self {
        Self(list, component, Reverse(priority))
    }

    const LAST: Self = Self(u16::MAX, u16::MAX, Reverse(0));
}

#[derive(Clone, Copy, Debug)]
struct Group {
    /// The pairs that are Waiting or In-Progress.
    active: u16,
    has_succeeded: bool,
    /// The first pair of the column.
    top: Column,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Groups {
    all: Vec<Group>,
    /// The groups by their foundations.
    index: Vec<((u16, u64), u16)>,
}

impl Groups {
    /// The group of these foundations, with a new pair in its column.
    pub(super) fn join(&mut self, foundations: (u16, u64), column: Column) -> u16 {
        let group = match self.index.binary_search_by_key(&foundations, |(known, _)| *known) {
            Ok(at) => self.index.get(at).map_or(0, |(_, group)| *group),
            Err(at) => {
                let group = self.all.len() as u16;
                self.index.insert(at, (foundations, group));
                self.all.push(Group { active: 0, has_succeeded: false, top: Column::LAST });
                group
            }
        };
        self.raise_top(group, column);
        group
    }

    pub(super) fn raise_top(&mut self, group: u16, column: Column) {
        if let Some(group) = self.all.get_mut(usize::from(group)) {
            group.top = group.top.min(column);
        }
    }

    pub(super) fn reset_tops(&mut self) {
        self.all.iter_mut().for_each(|group| group.top = Column::LAST);
    }

    pub(super) fn is_top(&self, group: u16, column: Column) -> bool {
        self.all.get(usize::from(group)).is_some_and(|group| group.top == column)
    }

    pub(super) fn is_active(&self, group: u16) -> bool {
        self.all.get(usize::from(group)).is_some_and(|group| group.active > 0)
    }

    pub(super) fn has_succeeded(&self, group: u16) -> bool {
        self.all.get(usize::from(group)).is_some_and(|group| group.has_succeeded)
    }

    pub(super) fn add_active(&mut self, group: u16, change: i16) {
        if let Some(group) = self.all.get_mut(usize::from(group)) {
            group.active = group.active.saturating_add_signed(change);
        }
    }

    pub(super) fn set_succeeded(&mut self, group: u16) {
        if let Some(group) = self.all.get_mut(usize::from(group)) {
            group.has_succeeded = true;
        }
    }
}
