//! An allocator that counts the allocations of a thread.

use core::alloc::{GlobalAlloc, Layout};
use core::cell::Cell;
use std::alloc::System;
use std::thread_local;

/// The memory that a function allocated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Allocated {
    /// The number of allocations; a reallocation counts as one.
    pub(crate) times: usize,
    /// The number of requested bytes, including those that were freed again.
    pub(crate) bytes: usize,
}

thread_local! {
    /// The number of bytes that this thread holds, and the maximum so far.
    static HELD: Cell<(isize, isize)> = const { Cell::new((0, 0)) };
    static ALLOCATED: Cell<Allocated> = const { Cell::new(Allocated { times: 0, bytes: 0 }) };
}

/// Calls a function and returns the memory that the function allocated.
pub(crate) fn count<T>(work: impl FnOnce() -> T) -> (T, Allocated) {
    let before = ALLOCATED.get();
    let result = work();
    let after = ALLOCATED.get();
    (result, Allocated { times: after.times - before.times, bytes: after.bytes - before.bytes })
}

/// Calls a function and returns the maximum number of bytes that the function held at the same time.
pub(crate) fn peak<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = HELD.get().0;
    HELD.set((before, before));
    let result = work();
    (result, usize::try_from(HELD.get().1 - before).unwrap_or_default())
}

fn record_held(change: isize) {
    _ = HELD.try_with(|held| {
        let (now, most) = held.get();
        held.set((now + change, most.max(now + change)));
    });
}

fn record_allocation(bytes: usize) {
    // The counters of a thread do not exist while the thread ends.
    _ = ALLOCATED.try_with(|allocated| {
        let Allocated { times, bytes: before } = allocated.get();
        allocated.set(Allocated { times: times + 1, bytes: before + bytes });
    });
}

struct Counter;

// SAFETY: all calls go to the system allocator; a thread local with a constant initializer allocates nothing.
unsafe impl GlobalAlloc for Counter {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        record_allocation(layout.size());
        record_held(layout.size().cast_signed());
        // SAFETY: the caller keeps the contract of `GlobalAlloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        record_held(-layout.size().cast_signed());
        // SAFETY: the caller keeps the contract of `GlobalAlloc`.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        record_allocation(size);
        // During a reallocation both blocks may exist.
        record_held(size.cast_signed());
        record_held(-layout.size().cast_signed());
        // SAFETY: the caller keeps the contract of `GlobalAlloc`.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static COUNTER: Counter = Counter;
