//! An allocator that counts the allocations of a thread.

use core::alloc::{GlobalAlloc, Layout};
use core::cell::Cell;
use std::alloc::System;
use std::thread_local;

/// The memory that a piece of work requested.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Asked {
    /// The number of allocations; a reallocation counts as one.
    pub(crate) times: usize,
    /// The number of requested bytes, including those that were freed again.
    pub(crate) bytes: usize,
}

thread_local! {
    /// The number of bytes that this thread holds, and the maximum so far.
    static HELD: Cell<(isize, isize)> = const { Cell::new((0, 0)) };
    static ASKED: Cell<Asked> = const { Cell::new(Asked { times: 0, bytes: 0 }) };
}

/// Does some work and returns the memory that it requested.
pub(crate) fn count<T>(work: impl FnOnce() -> T) -> (T, Asked) {
    let before = ASKED.get();
    let done = work();
    let after = ASKED.get();
    (done, Asked { times: after.times - before.times, bytes: after.bytes - before.bytes })
}

/// Does some work and returns the maximum number of bytes that it held at the same time.
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
    // During the end of a thread its counters do not exist any more.
    _ = ASKED.try_with(|asked| {
        let Asked { times, bytes: before } = asked.get();
        asked.set(Asked { times: times + 1, bytes: before + bytes });
    });
}

struct Counter;

// SAFETY: all calls go to the system allocator; a thread local with a constant initializer allocates nothing.
unsafe impl GlobalAlloc for Counter {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        asked(layout.size());
        held(layout.size().cast_signed());
        // SAFETY: the caller keeps the contract of `GlobalAlloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        held(-layout.size().cast_signed());
        // SAFETY: the caller keeps the contract of `GlobalAlloc`.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        asked(size);
        // During a reallocation both blocks may exist.
        held(size.cast_signed());
        held(-layout.size().cast_signed());
        // SAFETY: the caller keeps the contract of `GlobalAlloc`.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static COUNTER: Counter = Counter;
