//! Counts allocations. The counter is off while time is measured.

use core::alloc::{GlobalAlloc, Layout};
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::alloc::System;

static COUNTING: AtomicBool = AtomicBool::new(false);
static COUNT: AtomicU64 = AtomicU64::new(0);
/// The bytes that were allocated since [`start`]; a reallocation counts its new size.
static ALLOCATED: AtomicU64 = AtomicU64::new(0);
/// The bytes that were released since [`start`].
static RELEASED: AtomicU64 = AtomicU64::new(0);

/// The system's allocator with a counter.
struct Counter;

#[global_allocator]
static ALLOCATOR: Counter = Counter;

fn count(size: usize) {
    if COUNTING.load(Relaxed) {
        COUNT.fetch_add(1, Relaxed);
        ALLOCATED.fetch_add(size as u64, Relaxed);
    }
}

#[expect(unsafe_code, reason = "the trait is unsafe; every call goes to the system's allocator unchanged")]
// SAFETY: each method passes its arguments to the system's allocator unchanged and returns the result unchanged.
unsafe impl GlobalAlloc for Counter {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller fulfils the requirements of the system's allocator.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        if COUNTING.load(Relaxed) {
            RELEASED.fetch_add(layout.size() as u64, Relaxed);
        }
        // SAFETY: as above; the pointer came from the system's allocator.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size);
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

/// Sets the counter to zero and starts it.
#[allow(dead_code, reason = "not every bench calls it")]
pub(crate) fn start() {
    COUNT.store(0, Relaxed);
    ALLOCATED.store(0, Relaxed);
    RELEASED.store(0, Relaxed);
    COUNTING.store(true, Relaxed);
}

/// Stops the counter and returns the number of allocations since [`start`].
#[allow(dead_code, reason = "not every bench calls it")]
pub(crate) fn stop() -> u64 {
    COUNTING.store(false, Relaxed);
    COUNT.load(Relaxed)
}

/// Returns the number of bytes that were allocated between [`start`] and [`stop`].
#[allow(dead_code, reason = "not every bench calls it")]
pub(crate) fn allocated() -> u64 {
    ALLOCATED.load(Relaxed)
}

/// Calls `work` and returns its result and the number of allocations.
#[allow(dead_code, reason = "not every bench calls it")]
pub(crate) fn during<T>(work: impl FnOnce() -> T) -> (T, u64) {
    start();
    let result = work();
    (result, stop())
}

/// Drops a value and returns the number of bytes that it had allocated.
#[allow(dead_code, reason = "not every bench calls it")]
pub(crate) fn bytes_of<T>(value: T) -> u64 {
    start();
    drop(value);
    stop();
    RELEASED.load(Relaxed)
}

/// Returns the average number of allocations of one call of `work`. The first call is not counted: it may fill
/// caches.
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
