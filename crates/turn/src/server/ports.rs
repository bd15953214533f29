//! The relay ports of one relay address.
//!
//! Rules of this file: a port is free or taken. Each port that is taken is a random one of the free ports, so a peer
//! cannot predict it (RFC 8656 §7.2 with RFC 6056). Three sets of numbers have the free even ports, the free odd ports,
//! and the free pairs of an even port and the next port. Each operation costs O(1), however few ports are free. The
//! memory is 12 bytes for each two ports of the range.

use alloc::vec::Vec;
use portolan_machine::Cx;

/// The free ports of one relay address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ports {
    first: u16,
    last: u16,
    /// The free even ports. The number of a port is half of it, minus the number of the first port.
    even: Numbers,
    odd: Numbers,
    /// The even ports that are free together with the next port.
    pairs: Numbers,
}

impl Ports {
    /// All ports from `first` to `last` are free.
    pub(super) fn new(first: u16, last: u16) -> Self {
        let numbers = if first > last { 0 } else { usize::from(last / 2 - first / 2) + 1 };
        let (even, odd, pairs) = (Numbers::new(numbers), Numbers::new(numbers), Numbers::new(numbers));
        let mut ports = Self { first, last, even, odd, pairs };
        if first <= last {
            (first..=last).for_each(|port| ports.release(port));
        }
        ports
    }

    /// The number of free ports.
    #[cfg(test)]
    pub(super) const fn free(&self) -> usize {
        self.even.len() + self.odd.len()
    }

    /// Takes a random free port.
    pub(super) fn take(&mut self, cx: &mut Cx<'_>) -> Option<u16> {
        let (even, odd) = (self.even.len(), self.odd.len());
        let at = random(cx, even + odd)?;
        let (number, odd) = match at.checked_sub(even) {
            None => (self.even.get(at)?, 0),
            Some(at) => (self.odd.get(at)?, 1),
        };
        self.remove(self.port(number, odd))
    }

    /// Takes a random free even port, for EVEN-PORT without R. The next port stays as it is.
    pub(super) fn take_even(&mut self, cx: &mut Cx<'_>) -> Option<u16> {
        let number = self.even.get(random(cx, self.even.len())?)?;
        self.remove(self.port(number, 0))
    }

    /// Takes a random free even port and the next port, for EVEN-PORT with R. Returns the even port; the caller
    /// releases both.
    pub(super) fn take_pair(&mut self, cx: &mut Cx<'_>) -> Option<u16> {
        let number = self.pairs.get(random(cx, self.pairs.len())?)?;
        let even = self.remove(self.port(number, 0))?;
        self.remove(even + 1)?;
        Some(even)
    }

    /// Takes this port; `None` if it is not free.
    fn remove(&mut self, port: u16) -> Option<u16> {
        let number = self.number(port);
        let taken = if port.is_multiple_of(2) { self.even.remove(number) } else { self.odd.remove(number) };
        self.pairs.remove(number);
        taken.then_some(port)
    }

    /// Releases a port. A port that is free or not in the range is ignored.
    pub(super) fn release(&mut self, port: u16) {
        if !(self.first..=self.last).contains(&port) {
            return;
        }
        let number = self.number(port);
        let other = if port.is_multiple_of(2) {
            self.even.insert(number);
            &self.odd
        } else {
            self.odd.insert(number);
            &self.even
        };
        if other.contains(number) {
            self.pairs.insert(number);
        }
    }

    const fn number(&self, port: u16) -> u16 {
        (port / 2).saturating_sub(self.first / 2)
    }

    const fn port(&self, number: u16, odd: u16) -> u16 {
        (self.first / 2 + number) * 2 + odd
    }
}

/// A random number below `len`; `None` if `len` is 0.
fn random(cx: &mut Cx<'_>, len: usize) -> Option<usize> {
    let len = u32::try_from(len).ok().filter(|&len| len > 0)?;
    usize::try_from(cx.random_below(len)).ok()
}

/// A set of small numbers with O(1) insertion, removal and random choice: a permutation of all numbers, of which the
/// first `len` are in the set. A removal swaps a member with the last one, as a step of the Fisher–Yates shuffle does.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Numbers {
    order: Vec<u16>,
    /// The index of each number in `order`.
    places: Vec<u16>,
    len: u16,
}

impl Numbers {
    /// An empty set for the numbers below `size`; `size` is at most 32,768.
    fn new(size: usize) -> Self {
        let order: Vec<u16> = (0..=u16::MAX).take(size).collect();
        Self { places: order.clone(), order, len: 0 }
    }

    const fn len(&self) -> usize {
        self.len as usize
    }

    /// The member at this index of the order, which is below `len`.
    fn get(&self, at: usize) -> Option<u16> {
        self.order.get(at).copied()
    }

    fn contains(&self, number: u16) -> bool {
        self.places.get(usize::from(number)).is_some_and(|&place| place < self.len)
    }

    fn insert(&mut self, number: u16) {
        if usize::from(number) < self.order.len() && !self.contains(number) {
            self.swap(number, self.len);
            self.len += 1;
        }
    }

    /// Removes a number. Returns whether it was in the set.
    fn remove(&mut self, number: u16) -> bool {
        let is_member = self.contains(number);
        if is_member {
            self.len -= 1;
            self.swap(number, self.len);
        }
        is_member
    }

    /// Moves a number to a place of the order, and the number there to its place.
    fn swap(&mut self, number: u16, place: u16) {
        let Some(&from) = self.places.get(usize::from(number)) else { return };
        let Some(&other) = self.order.get(usize::from(place)) else { return };
        self.order.swap(from.into(), place.into());
        self.places.swap(number.into(), other.into());
    }
}

#[cfg(test)]
mod tests;
