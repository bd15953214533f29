//! Counting allocations, only while somebody asks: the clock must not pay for the count.

use core::alloc::{GlobalAlloc, Layout};
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::alloc::System;

static COUNTING: AtomicBool = AtomicBool::new(false);
static COUNT: AtomicU64 = AtomicU64::new(0);

/// The system's allocator, which counts when told to.
struct Counter;

#[global_allocator]
static ALLOCATOR: Counter = Counter;

fn note() {
    if COUNTING.load(Relaxed) {
        COUNT.fetch_add(1, Relaxed);
    }
}

#[expect(unsafe_code, reason = "an allocator cannot be written without; every call is handed on as it came")]
// SAFETY: each method hands its arguments to the system's allocator unchanged and returns what that returned.
unsafe impl GlobalAlloc for Counter {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note();
        // SAFETY: the caller's promises are those that the system's allocator asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above; the pointer came from the system's allocator.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note();
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

/// Starts to count from zero.
#[allow(dead_code, reason = "not every bench calls it")]
pub(crate) fn start() {
    COUNT.store(0, Relaxed);
    COUNTING.store(true, Relaxed);
}

/// Stops to count, and returns the number of allocations since [`start`].
#[allow(dead_code, reason = "not every bench calls it")]
pub(crate) fn stop() -> u64 {
    COUNTING.store(false, Relaxed);
    COUNT.load(Relaxed)
}

/// Does `work`, and returns its result and the number of allocations.
#[allow(dead_code, reason = "not every bench calls it")]
pub(crate) fn during<T>(work: impl FnOnce() -> T) -> (T, u64) {
    start();
    let result = work();
    (result, stop())
}

/// How often `work` allocates each time; the first time, which may fill caches, is not counted.
#[allow(dead_code, reason = "not every bench calls it")]
pub(crate) fn of(mut work: impl FnMut()) -> f64 {
    const TIMES: u32 = 64;
    work();
    COUNT.store(0, Relaxed);
    COUNTING.store(true, Relaxed);
    for _ in 0..TIMES {
        work();
    }
    COUNTING.store(false, Relaxed);
    COUNT.load(Relaxed) as f64 / f64::from(TIMES)
}
