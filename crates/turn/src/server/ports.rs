//! Relay ports (stand-in).

use alloc::vec::Vec;
use portolan_machine::Cx;

#[derive(Clone, Debug)]
pub(super) struct Ports {
    free: Vec<u16>,
}

impl Ports {
    pub(super) fn new(first: u16, last: u16) -> Self {
        Self { free: (first..=last).collect() }
    }

    pub(super) fn take(&mut self, cx: &mut Cx<'_>) -> Option<u16> {
        let len = u32::try_from(self.free.len()).ok()?;
        if len == 0 {
            return None;
        }
        let at = cx.random_below(len) as usize;
        Some(self.free.swap_remove(at))
    }

    pub(super) fn take_even(&mut self, cx: &mut Cx<'_>) -> Option<u16> {
        let start = cx.random_below(self.free.len() as u32) as usize;
        let at = (0..self.free.len())
            .map(|n| (start + n) % self.free.len())
            .find(|&at| self.free.get(at).is_some_and(|port| port % 2 == 0))?;
        Some(self.free.swap_remove(at))
    }

    pub(super) fn take_pair(&mut self, cx: &mut Cx<'_>) -> Option<u16> {
        let start = cx.random_below(self.free.len() as u32) as usize;
        let at = (0..self.free.len())
            .map(|n| (start + n) % self.free.len())
            .find(|&at| self.free.get(at).is_some_and(|port| port % 2 == 0 && self.free.contains(&(port + 1))))?;
        let port = self.free.swap_remove(at);
        self.free.retain(|other| *other != port + 1);
        Some(port)
    }

    pub(super) fn release(&mut self, port: u16) {
        self.free.push(port);
    }
}
