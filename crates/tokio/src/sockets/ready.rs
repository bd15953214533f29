//! Who has rung: one waker per socket, one list for all.
//!
//! A driver is one future over many sockets. Each socket polls with a waker of its own, which puts the socket's name on
//! a list and wakes the driver; so a wake-up costs what has happened, not how many sockets are open. A name stands on
//! the list at most once: the list is no longer than the number of sockets.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::task::Wake;
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::Waker;
use portolan_machine::SocketId;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The names of the sockets that have rung, in order.
#[derive(Debug, Default)]
pub(crate) struct ReadyList {
    rung: Mutex<Rung>,
}

#[derive(Debug, Default)]
struct Rung {
    sockets: VecDeque<SocketId>,
    driver: Option<Waker>,
}

impl ReadyList {
    /// Whom to wake from now on.
    pub(crate) fn listen(&self, driver: &Waker) {
        let mut rung = self.lock();
        match &mut rung.driver {
            Some(known) => known.clone_from(driver),
            none @ None => *none = Some(driver.clone()),
        }
    }

    /// The socket that has waited longest.
    pub(crate) fn pop(&self) -> Option<SocketId> {
        self.lock().sockets.pop_front()
    }

    fn push(&self, socket: SocketId) {
        let mut rung = self.lock();
        rung.sockets.push_back(socket);
        let driver = rung.driver.clone();
        drop(rung);
        if let Some(driver) = driver {
            driver.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Rung> {
        // A poisoned lock means that some waker panicked; the list itself is whole.
        self.rung.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One socket's bell.
#[derive(Debug)]
pub(crate) struct Bell {
    socket: SocketId,
    rung: AtomicBool,
    list: Arc<ReadyList>,
}

impl Bell {
    pub(crate) fn new(socket: SocketId, list: &Arc<ReadyList>) -> Arc<Self> {
        Arc::new(Self { socket, rung: AtomicBool::new(false), list: Arc::clone(list) })
    }

    /// Puts the socket on the list, unless it stands there already.
    pub(crate) fn ring(&self) {
        if !self.rung.swap(true, Ordering::AcqRel) {
            self.list.push(self.socket);
        }
    }

    /// The socket has been taken from the list and is about to be looked at: it may ring again.
    pub(crate) fn answer(&self) {
        self.rung.store(false, Ordering::Release);
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.ring();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.ring();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bell_rings_once_until_it_is_answered() {
        let list = Arc::new(ReadyList::default());
        let (one, two) = (Bell::new(SocketId(1), &list), Bell::new(SocketId(2), &list));
        one.ring();
        two.ring();
        one.ring();
        assert_eq!(list.pop(), Some(SocketId(1)));
        one.ring();
        assert_eq!(list.pop(), Some(SocketId(2)), "an unanswered bell stays silent");
        assert_eq!(list.pop(), None);
        one.answer();
        one.ring();
        assert_eq!(list.pop(), Some(SocketId(1)));
    }
}
