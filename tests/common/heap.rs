//! Counts what a thread has on the heap, for the tests that bound it. What it hands out is filled with [`CANARY`], so that
//! memory which is read before it was written shows.
#![allow(unsafe_code)] // an allocator cannot be had without

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
};

/// The system's allocator with a count. A test crate that asks for [`peak`], [`live`] or [`work`] makes it its
/// `#[global_allocator]`.
pub struct Counting;

/// What memory holds that nobody has written to yet.
pub const CANARY: u8 = 0xa5;

/// What a run asked the allocator for.
#[derive(Clone, Copy, Debug)]
pub struct Work {
    /// How often.
    pub allocations: usize,
    /// How many bytes; a block that grows counts anew with its whole length, as it may have to be copied.
    pub bytes: usize,
}

thread_local! {
    static LIVE: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
    static WORK: Cell<Work> = const { Cell::new(Work { allocations: 0, bytes: 0 }) };
}

/// Runs `run`; says how many bytes more than before there were on the heap at the worst moment.
pub fn peak<T>(run: impl FnOnce() -> T) -> (T, usize) {
    let before = LIVE.get();
    PEAK.set(before);
    let result = run();
    (result, (PEAK.get() - before) as usize)
}

/// Runs `run`; says how many bytes more than before there are on the heap behind it.
pub fn held<T>(run: impl FnOnce() -> T) -> (T, isize) {
    let before = live();
    let result = run();
    (result, live() - before)
}

/// How many bytes this thread has on the heap, less those that another one freed for it.
pub fn live() -> isize {
    LIVE.get()
}

/// Runs `run`; says what it asked the allocator for.
pub fn work<T>(run: impl FnOnce() -> T) -> (T, Work) {
    let before = WORK.get();
    let result = run();
    let after = WORK.get();
    (result, Work { allocations: after.allocations - before.allocations, bytes: after.bytes - before.bytes })
}

fn asked(bytes: usize) {
    let _ = WORK.try_with(|work| {
        let Work { allocations, bytes: before } = work.get();
        work.set(Work { allocations: allocations + 1, bytes: before + bytes });
    });
}

fn count(bytes: isize) {
    // A thread that is ending has no counters any more.
    let _ = LIVE.try_with(|live| {
        live.set(live.get() + bytes);
        let _ = PEAK.try_with(|peak| peak.set(peak.get().max(live.get())));
    });
}

// SAFETY: everything is handed on to the system's allocator as it came; what is filled is what that has just given.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        asked(layout.size());
        unsafe {
            let block = System.alloc(layout);
            if !block.is_null() {
                block.write_bytes(CANARY, layout.size());
            }
            block
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        asked(layout.size());
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size as isize - layout.size() as isize);
        asked(size);
        unsafe {
            let block = System.realloc(block, layout, size);
            if !block.is_null() && size > layout.size() {
                block.add(layout.size()).write_bytes(CANARY, size - layout.size());
            }
            block
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        unsafe { System.dealloc(block, layout) }
    }
}
