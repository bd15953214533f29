//! Quotas (stand-in).

use super::config::ServerLimits;
use crate::note::RequestRefusal;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use core::net::IpAddr;

#[derive(Clone, Debug, Default)]
pub(super) struct Quotas {
    users: BTreeMap<Arc<str>, u32>,
    sources: BTreeMap<IpAddr, u32>,
    total: u32,
}

impl Quotas {
    pub(super) fn take(
        &mut self,
        user: &Arc<str>,
        source: IpAddr,
        limits: &ServerLimits,
    ) -> Result<(), RequestRefusal> {
        if self.total >= limits.allocations {
            return Err(RequestRefusal::Full);
        }
        if self.users.get(user).is_some_and(|count| *count >= limits.allocations_per_user) {
            return Err(RequestRefusal::UserQuota);
        }
        if self.sources.get(&source).is_some_and(|count| *count >= limits.allocations_per_source) {
            return Err(RequestRefusal::SourceQuota);
        }
        self.total += 1;
        *self.users.entry(user.clone()).or_default() += 1;
        *self.sources.entry(source).or_default() += 1;
        Ok(())
    }

    pub(super) fn release(&mut self, user: &Arc<str>, source: IpAddr) {
        self.total -= 1;
        if let Some(count) = self.users.get_mut(user) {
            *count -= 1;
            if *count == 0 {
                self.users.remove(user);
            }
        }
        if let Some(count) = self.sources.get_mut(&source) {
            *count -= 1;
            if *count == 0 {
                self.sources.remove(&source);
            }
        }
    }
}
