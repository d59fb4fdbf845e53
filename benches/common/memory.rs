//! What a program allocates.

// Every bench compiles all of this and uses a part of it.
#![allow(dead_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::fs;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// The system's allocator, and a record of the largest allocation and of the most memory in use.
pub(crate) struct Recording;

static LARGEST: AtomicUsize = AtomicUsize::new(0);
static IN_USE: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

// SAFETY: hands everything on to the system's allocator.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Recording {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        record(layout);
        // SAFETY: as above.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        record(layout);
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        if counts(layout) {
            IN_USE.fetch_sub(layout.size(), Relaxed);
        }
        // SAFETY: as above.
        unsafe { System.dealloc(memory, layout) }
    }
}

/// Not the buffers of the library of matrix products: one for each thread, in whole pages, as large as the caches of
/// the machine; it touches what it needs.
fn counts(layout: Layout) -> bool {
    layout.align() < 4096
}

fn record(layout: Layout) {
    if counts(layout) {
        LARGEST.fetch_max(layout.size(), Relaxed);
        let before = IN_USE.fetch_add(layout.size(), Relaxed);
        MOST.fetch_max(before + layout.size(), Relaxed);
    }
}

/// The largest allocation since the last time, in bytes.
pub(crate) fn take_largest() -> usize {
    LARGEST.swap(0, Relaxed)
}

/// The most memory in use during a run beyond what was in use before, in bytes.
pub(crate) fn most_during(run: impl FnOnce()) -> usize {
    let before = IN_USE.load(Relaxed);
    MOST.store(before, Relaxed);
    run();
    MOST.load(Relaxed) - before
}

/// The most memory that the process has had so far, in bytes; none where the system does not say.
pub(crate) fn peak() -> Option<usize> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<usize>().ok()? << 10)
}
