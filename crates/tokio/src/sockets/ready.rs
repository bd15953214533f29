//! The ready queue: one waker per socket feeds a FIFO of sockets to poll.
//!
//! A driver is one future over many sockets. Each socket is polled with its own waker. The waker appends the id of the
//! socket to the queue and wakes the driver. So the cost of a wake-up depends on the number of ready sockets, not on
//! the number of open sockets. An id is in the queue at most once, so the queue is not longer than the number of
//! sockets.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::task::Wake;
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::Waker;
use portolan_machine::SocketId;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The ids of the sockets that are ready, in order.
#[derive(Debug, Default)]
pub(crate) struct ReadyQueue {
    ready: Mutex<Ready>,
}

#[derive(Debug, Default)]
struct Ready {
    sockets: VecDeque<SocketId>,
    driver: Option<Waker>,
}

impl ReadyQueue {
    /// Sets the waker of the driver.
    pub(crate) fn set_driver(&self, driver: &Waker) {
        let mut ready = self.lock();
        match &mut ready.driver {
            Some(known) => known.clone_from(driver),
            none @ None => *none = Some(driver.clone()),
        }
    }

    /// Removes and returns the socket that has waited longest.
    pub(crate) fn pop(&self) -> Option<SocketId> {
        self.lock().sockets.pop_front()
    }

    fn push(&self, socket: SocketId) {
        let mut ready = self.lock();
        ready.sockets.push_back(socket);
        let driver = ready.driver.clone();
        drop(ready);
        if let Some(driver) = driver {
            driver.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Ready> {
        // A poisoned lock means that a waker panicked. The queue is still consistent.
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The waker of one socket.
#[derive(Debug)]
pub(crate) struct SocketWaker {
    socket: SocketId,
    queued: AtomicBool,
    queue: Arc<ReadyQueue>,
}

impl SocketWaker {
    pub(crate) fn new(socket: SocketId, queue: &Arc<ReadyQueue>) -> Arc<Self> {
        Arc::new(Self { socket, queued: AtomicBool::new(false), queue: Arc::clone(queue) })
    }

    /// Appends the socket to the queue, unless the queue contains the socket already.
    pub(crate) fn queue(&self) {
        if !self.queued.swap(true, Ordering::AcqRel) {
            self.queue.push(self.socket);
        }
    }

    /// Allows the socket to be queued again. Called after the socket was taken from the queue, before it is polled.
    pub(crate) fn rearm(&self) {
        // No wake-up is lost, because this is a swap (acquire) and not a store. The poll that follows sees the cause of
        // an earlier wake-up. A later wake-up finds `false` and queues the socket.
        self.queued.swap(false, Ordering::AcqRel);
    }
}

impl Wake for SocketWaker {
    fn wake(self: Arc<Self>) {
        self.queue();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.queue();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_queued_once_until_it_is_rearmed() {
        let queue = Arc::new(ReadyQueue::default());
        let (one, two) = (SocketWaker::new(SocketId(1), &queue), SocketWaker::new(SocketId(2), &queue));
        one.queue();
        two.queue();
        one.queue();
        assert_eq!(queue.pop(), Some(SocketId(1)));
        one.queue();
        assert_eq!(queue.pop(), Some(SocketId(2)), "not rearmed, not queued");
        assert_eq!(queue.pop(), None);
        one.rearm();
        one.queue();
        assert_eq!(queue.pop(), Some(SocketId(1)));
    }
}
