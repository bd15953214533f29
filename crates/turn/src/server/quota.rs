//! Quotas (stand-in).

use super::allocation::Owner;
use super::config::ServerLimits;
use crate::note::RequestRefusal;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use portolan_stun_agent::source::Source;

#[derive(Clone, Debug, Default)]
pub(super) struct Quotas {
    users: BTreeMap<Arc<str>, u32>,
    sources: BTreeMap<Source, u32>,
    total: u32,
}

impl Quotas {
    pub(super) fn take(&mut self, owner: &Owner, limits: &ServerLimits) -> Result<(), RequestRefusal> {
        if self.total >= limits.allocations {
            return Err(RequestRefusal::Full);
        }
        if self.users.get(&owner.account).is_some_and(|count| *count >= limits.allocations_per_user) {
            return Err(RequestRefusal::UserQuota);
        }
        if self.sources.get(&owner.source).is_some_and(|count| *count >= limits.allocations_per_source) {
            return Err(RequestRefusal::SourceQuota);
        }
        self.total += 1;
        *self.users.entry(owner.account.clone()).or_default() += 1;
        *self.sources.entry(owner.source).or_default() += 1;
        Ok(())
    }

    pub(super) fn release(&mut self, owner: &Owner) {
        self.total -= 1;
        if let Some(count) = self.users.get_mut(&owner.account) {
            *count -= 1;
            if *count == 0 {
                self.users.remove(&owner.account);
            }
        }
        if let Some(count) = self.sources.get_mut(&owner.source) {
            *count -= 1;
            if *count == 0 {
                self.sources.remove(&owner.source);
            }
        }
    }
}
