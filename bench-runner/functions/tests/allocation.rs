//! An evaluation allocates nothing.
#![allow(clippy::unwrap_used)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use bench_functions::{bbob, classic, mgh, scalable};

/// The system's allocator, which counts the allocations of each thread.
struct Counting;

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: everything is passed on to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.with(|count| count.set(count.get() + 1));
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn evaluations_allocate_nothing() {
    let sets = [
        classic::FUNCTIONS,
        mgh::FUNCTIONS,
        scalable::FUNCTIONS,
        bbob::FUNCTIONS,
    ];
    for function in sets.concat() {
        let dimension = function.dimensions.near(10);
        let mut built = function.build(dimension, 1).unwrap();
        let x = built.start.clone();
        let mut gradient = vec![0.0; dimension];
        let before = COUNT.get();
        built.evaluate(&x, &mut gradient);
        assert_eq!(COUNT.get(), before, "{}", function.name);
    }
}
