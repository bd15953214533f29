//! Releasing allocations, and the end of the client (RFC 8656 §8.1).

use super::allocation::Phase;
use super::requests::Job;
use super::{Client, Stage, Timer, insert};
use crate::event::ClientEvent;
use crate::note::ClientNote;
use alloc::vec::Vec;
use portolan_machine::{Cx, Output, SocketOrder};
use portolan_stun::attribute::Attribute;

impl Client {
    pub(super) fn begin_close(&mut self, cx: &mut Cx<'_>) {
        self.stage = Stage::Closing;
        if let Some(timer) = self.plan.credential_timer.take() {
            self.timers.cancel(timer);
        }
        let timeout = self.config.as_ref().map(|config| config.times.close).unwrap_or_default();
        insert(&mut self.timers, cx.now() + timeout, Timer::Close);
        let phases: Vec<_> = self.allocations.iter().map(|allocation| (allocation.number, allocation.phase)).collect();
        for (number, phase) in phases {
            match phase {
                Phase::Opening => self.drop_allocation(cx, number),
                Phase::Active => self.release(cx, number),
                // A success response is followed by a release.
                Phase::Allocating | Phase::Releasing => {}
            }
        }
        self.end_close_when_done();
    }

    /// Ends the client at the end of the close timeout.
    pub(super) fn end_close(&mut self, cx: &mut Cx<'_>) {
        for allocation in &self.allocations {
            cx.note(|| ClientNote::NotReleased { server: allocation.server });
        }
        self.finish(ClientEvent::Closed);
    }

    pub(super) fn end_close_when_done(&mut self) {
        if self.stage == Stage::Closing && self.allocations.is_empty() {
            self.finish(ClientEvent::Closed);
        }
    }

    /// Sends a Refresh request with lifetime 0, the last request of the allocation.
    pub(super) fn release(&mut self, cx: &mut Cx<'_>, number: u32) {
        let timeout = self.config.as_ref().map(|config| config.times.close).unwrap_or_default();
        self.cancel_requests(cx, number);
        self.cancel_timers(number);
        let end = insert(&mut self.timers, cx.now() + timeout, Timer::End(number));
        let Some(allocation) = self.allocation_mut(number) else { return };
        (allocation.phase, allocation.clocks.end) = (Phase::Releasing, end);
        let server = allocation.server;
        cx.note(|| ClientNote::Releasing { server });
        if self.request(cx, number, Job::Release, &[Attribute::Lifetime(0)]).is_err() {
            cx.note(|| ClientNote::NotReleased { server });
            self.drop_allocation(cx, number);
        }
    }

    /// Drops an allocation that is released.
    pub(super) fn released(&mut self, number: u32) {
        self.cancel_timers(number);
        if let Some(socket) = self.allocation(number).and_then(|allocation| allocation.socket) {
            self.out.push(Output::Socket(SocketOrder::Close(socket)));
        }
        self.allocations.retain(|allocation| allocation.number != number);
        self.end_close_when_done();
    }

    /// Drops an allocation with its requests and timers, and closes its socket.
    pub(super) fn drop_allocation(&mut self, cx: &mut Cx<'_>, number: u32) {
        if let Some(socket) = self.allocation(number).and_then(|allocation| allocation.socket) {
            self.out.push(Output::Socket(SocketOrder::Close(socket)));
        }
        self.forget_allocation(cx, number);
    }

    /// Drops an allocation with its requests and timers. Its socket stays open.
    pub(super) fn forget_allocation(&mut self, cx: &mut Cx<'_>, number: u32) {
        self.cancel_requests(cx, number);
        self.cancel_timers(number);
        self.allocations.retain(|allocation| allocation.number != number);
    }

    pub(super) fn cancel_timers(&mut self, number: u32) {
        let Some(allocation) = self.allocations.iter_mut().find(|allocation| allocation.number == number) else {
            return;
        };
        let clocks = &mut allocation.clocks;
        let own = [clocks.end.take(), clocks.refresh.take(), clocks.keepalive.take()];
        for timer in own.into_iter().flatten().chain(allocation.peers.take_timers()) {
            self.timers.cancel(timer);
        }
    }
}
