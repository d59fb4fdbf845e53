//! What is allocated, counted by an allocator of this program's own.
#![allow(clippy::unwrap_used)]

mod emulator;
mod models;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

struct Counting;

thread_local! {
    /// Of this thread alone: the test harness allocates on its own.
    static CALLS: Cell<usize> = const { Cell::new(0) };
}
static BYTES: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: hands everything on to the system's allocator.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        CALLS.set(CALLS.get() + 1);
        PEAK.fetch_max(BYTES.fetch_add(layout.size(), Relaxed) + layout.size(), Relaxed);
        // SAFETY: as above.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        BYTES.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How often a run allocates.
fn calls(run: impl FnOnce()) -> usize {
    let before = CALLS.get();
    run();
    CALLS.get() - before
}

/// The memory in use, from which the peak is counted anew.
fn reset_peak() -> usize {
    let before = BYTES.load(Relaxed);
    PEAK.store(before, Relaxed);
    before
}

/// The most memory in use since the last reset, beyond what was in use then.
fn peak_since(before: usize) -> usize {
    PEAK.load(Relaxed) - before
}

/// The most memory in use during a run beyond what was in use before, and its result.
fn peak<R>(run: impl FnOnce() -> R) -> (usize, R) {
    let before = reset_peak();
    let result = run();
    (peak_since(before), result)
}

/// One test, since the counters are one for the whole program, and the harness runs tests side by side.
#[test]
fn little_is_allocated() {
    models::drivers_allocate_little();
    models::steps_take_no_more_for_more_rows();
    models::steps_allocate_few_things();
    models::grids_take_no_product();
    models::single_predictions_take_nothing();
    emulator::no_square_of_pixels_or_weights();
}
