//! The methods Refresh, CreatePermission, ChannelBind and Binding, and the responses to all methods.
//!
//! Rules of this file: `request` decides, and the functions here apply the decision and send the response. A request
//! that is refused changes nothing but a counter.

use super::Server;
use super::allocation::{Client, ClientPath};
use super::reply::{Asked, Reply};
use super::request::{self, PeerRules};
use super::table::Slot;
use crate::event::FreedReason;
use crate::note::{RequestRefusal, ServerDropped, ServerNote};
use bytes::Bytes;
use core::time::Duration;
use portolan_machine::{Cx, Output};
use portolan_stun::{AddressFamily, Attribute, Message};
use portolan_stun_agent::authenticator::{Admitted, Rejection};
use portolan_stun_agent::{Authenticator, binding};

impl Server {
    pub(super) fn refresh(&mut self, cx: &mut Cx<'_>, slot: Slot, asked: &Asked, admitted: &Admitted<'_>) {
        let Some(allocation) = self.table.get_mut(slot) else { return };
        let client = allocation.client;
        let lifetimes = self.config.lifetimes.until(cx.now(), admitted.expires);
        let decided = request::refresh(&admitted.message, allocation, lifetimes);
        let refresh = match decided {
            Ok(refresh) => refresh,
            Err(why) => return self.refuse(cx, &client, asked, why),
        };
        let lifetime = refresh.lifetime.unwrap_or(Duration::ZERO);
        let seconds = u32::try_from(lifetime.as_secs()).unwrap_or(u32::MAX);
        let expires = cx.now() + lifetime;
        let families = [AddressFamily::Ipv4, AddressFamily::Ipv6];
        let families = families.into_iter().filter(|family| refresh.family.is_none_or(|only| only == *family));
        if refresh.lifetime.is_some() {
            for family in families {
                if let Some(relay) = allocation.relay_mut(family) {
                    relay.expires = expires.into();
                }
            }
            self.table.wake_at(slot, expires);
            return self.answer(cx, &client, asked, Reply::Success(&[Attribute::Lifetime(seconds)]));
        }
        self.answer(cx, &client, asked, Reply::Success(&[Attribute::Lifetime(0)]));
        match refresh.family {
            None => self.free(slot, FreedReason::Deleted),
            Some(family) => self.free_relay(slot, family, FreedReason::Deleted),
        }
    }

    pub(super) fn create_permission(
        &mut self,
        cx: &mut Cx<'_>,
        slot: Slot,
        admitted: &Admitted<'_>,
    ) -> Result<(), RequestRefusal> {
        let Some((allocation, rules)) = self.table.get(slot).zip(self.peer_rules()) else { return Ok(()) };
        let peers = request::create_permission(cx.now(), &admitted.message, allocation, rules)?;
        let hash = rules.hash;
        let Some(allocation) = self.table.get_mut(slot) else { return Ok(()) };
        let expires = peers.into_iter().map(|ip| allocation.peers.permit(hash, cx.now(), ip)).min();
        if let Some(expires) = expires {
            self.table.wake_at(slot, expires);
        }
        Ok(())
    }

    pub(super) fn channel_bind(
        &mut self,
        cx: &mut Cx<'_>,
        slot: Slot,
        admitted: &Admitted<'_>,
    ) -> Result<(), RequestRefusal> {
        let Some((allocation, rules)) = self.table.get(slot).zip(self.peer_rules()) else { return Ok(()) };
        let (number, peer) = request::channel_bind(cx.now(), &admitted.message, allocation, rules)?;
        let hash = rules.hash;
        let Some(allocation) = self.table.get_mut(slot) else { return Ok(()) };
        let expires = allocation.peers.permit(hash, cx.now(), peer.ip());
        allocation.peers.bind(hash, cx.now(), number, peer);
        self.table.wake_at(slot, expires);
        Ok(())
    }

    pub(super) fn peer_rules(&self) -> Option<PeerRules<'_>> {
        let (policy, own) = (&self.config.policy, self.listeners.own());
        self.table.hash().map(|hash| PeerRules { policy, own, limits: self.config.limits, hash })
    }

    /// Sends a response to an authenticated request.
    pub(super) fn answer(&mut self, cx: &mut Cx<'_>, client: &Client, asked: &Asked, reply: Reply<'_>) {
        let Ok(payload) = asked.write(reply, self.config.software.as_deref()) else {
            return self.drop_message(cx, client.remote, ServerDropped::Unwritable);
        };
        self.out.push(Output::Transmit(client.transmit(payload)));
        if matches!(reply, Reply::Success(_)) {
            self.stats.successes += 1;
            cx.note(|| ServerNote::Answered { client: client.remote, method: asked.method });
        }
    }

    /// Sends an error response to an authenticated request.
    pub(super) fn refuse(&mut self, cx: &mut Cx<'_>, client: &Client, asked: &Asked, why: RequestRefusal) {
        self.note_refusal(cx, client, asked, why);
        self.answer(cx, client, asked, Reply::Error(why.error_code()));
    }

    pub(super) fn note_refusal(&mut self, cx: &mut Cx<'_>, client: &Client, asked: &Asked, why: RequestRefusal) {
        self.stats.count_refusal(&why);
        cx.note(|| ServerNote::Refused { client: client.remote, method: asked.method, why });
    }

    /// Sends the rejection of a request because of its credentials.
    pub(super) fn reject(&mut self, cx: &mut Cx<'_>, client: &Client, request: &Message<'_>, why: Rejection) {
        if !self.has_reply_for(cx, client) {
            return;
        }
        let mut buffer = [0; Authenticator::REJECTION_LEN];
        let credentials = &self.config.credentials;
        let Ok(written) = credentials.write_rejection(&mut buffer, cx.now(), client.remote, request, why) else {
            return self.drop_message(cx, client.remote, ServerDropped::Unwritable);
        };
        self.out.push(Output::Transmit(client.transmit(Bytes::copy_from_slice(written))));
        self.stats.count_rejection(why);
        cx.note(|| ServerNote::Rejected { client: client.remote, why });
    }

    /// Answers a Binding request.
    pub(super) fn binding(&mut self, cx: &mut Cx<'_>, client: &Client, request: &Message<'_>) {
        if !self.has_reply_for(cx, client) {
            return;
        }
        let mut buffer = [0; binding::RESPONSE_LEN];
        let Ok(response) = binding::response(&mut buffer, &request.exempt(), client.remote, None) else {
            return self.drop_message(cx, client.remote, ServerDropped::Unwritable);
        };
        self.out.push(Output::Transmit(client.transmit(Bytes::copy_from_slice(response.bytes))));
        match response.code {
            None => self.stats.bindings += 1,
            Some(_) => self.stats.rejected.unknown_attribute += 1,
        }
        cx.note(|| ServerNote::Bound { client: client.remote, code: response.code });
    }

    /// Takes a reply without credentials from the rate of its source. If none is left, the request is dropped, or the
    /// stream of the client waits.
    pub(super) fn has_reply_for(&mut self, cx: &mut Cx<'_>, client: &Client) -> bool {
        let Some(limiter) = &mut self.limiter else { return true };
        let source = client.remote.ip().into();
        if limiter.admit(cx, source) {
            return true;
        }
        let until = limiter.exhausted_until(cx.now(), source);
        match (client.path, until) {
            (ClientPath::Stream, Some(until)) => {
                // The request is counted when it is read again.
                self.stats.requests -= 1;
                self.streams.hold(until);
            }
            (ClientPath::Stream | ClientPath::Udp(_), _) => {
                self.drop_message(cx, client.remote, ServerDropped::RateLimited);
            }
        }
        false
    }
}
