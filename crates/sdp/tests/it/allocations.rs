//! An allocator that counts what the thread asks of it.

use core::alloc::{GlobalAlloc, Layout};
use core::cell::Cell;
use std::alloc::System;
use std::thread_local;

/// What a piece of work asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Asked {
    /// How many allocations; a reallocation is one.
    pub(crate) times: usize,
    /// Bytes in all, those given back included.
    pub(crate) bytes: usize,
}

thread_local! {
    /// How many bytes are held, less those that were given back by this thread, and the most that were.
    static HELD: Cell<(isize, isize)> = const { Cell::new((0, 0)) };
    static ASKED: Cell<Asked> = const { Cell::new(Asked { times: 0, bytes: 0 }) };
}

/// Does some work and tells what it asked for.
pub(crate) fn count<T>(work: impl FnOnce() -> T) -> (T, Asked) {
    let before = ASKED.get();
    let done = work();
    let after = ASKED.get();
    (done, Asked { times: after.times - before.times, bytes: after.bytes - before.bytes })
}

/// Does some work and tells how many bytes more than before it held at once.
pub(crate) fn peak<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = HELD.get().0;
    HELD.set((before, before));
    let done = work();
    (done, usize::try_from(HELD.get().1 - before).unwrap_or_default())
}

fn held(more: isize) {
    _ = HELD.try_with(|held| {
        let (now, most) = held.get();
        held.set((now + more, most.max(now + more)));
    });
}

fn asked(bytes: usize) {
    // A thread that ends has no counter any more.
    _ = ASKED.try_with(|asked| {
        let Asked { times, bytes: before } = asked.get();
        asked.set(Asked { times: times + 1, bytes: before + bytes });
    });
}

struct Counter;

// SAFETY: everything is the system's allocator; a counter in a constant thread local allocates nothing.
unsafe impl GlobalAlloc for Counter {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        asked(layout.size());
        held(layout.size().cast_signed());
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        held(-layout.size().cast_signed());
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        asked(size);
        // For a while there may be both.
        held(size.cast_signed());
        held(-layout.size().cast_signed());
        // SAFETY: the caller's promise.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static COUNTER: Counter = Counter;
