//! The agent's heap: an arena of its own address range, so that nothing of it is in program memory.
//!
//! # Safety
//! This room may use `unsafe`: it hands a fresh, private mapping to the allocator, once.
#![allow(unsafe_code)]

use crate::layout::{HEAP, HEAP_SIZE};
use linked_list_allocator::Heap;

/// The global allocator of the image.
///
/// Recording threads use it under the token and replay has one kernel thread, so there is never contention; the cell is
/// not locked, because a lock held at a fork or by a killed thread would hang the copy.
pub struct AgentHeap(core::cell::UnsafeCell<Heap>);

// SAFETY: used by one thread at a time, see above.
unsafe impl Sync for AgentHeap {}

impl AgentHeap {
    /// An empty heap.
    #[must_use]
    pub const fn new() -> AgentHeap {
        AgentHeap(core::cell::UnsafeCell::new(Heap::empty()))
    }

    /// Maps the arena. Call once, first.
    pub fn init(&self) {
        crate::sys::reserve(HEAP, HEAP_SIZE, crate::sys::map::READ | crate::sys::map::WRITE);
        // SAFETY: the range was just mapped for us alone, and this is called once.
        unsafe { (*self.0.get()).init(HEAP as *mut u8, HEAP_SIZE as usize) }
    }
}

impl Default for AgentHeap {
    fn default() -> Self {
        AgentHeap::new()
    }
}

// SAFETY: `Heap` gives disjoint blocks of the arena; one thread at a time (see `AgentHeap`).
unsafe impl core::alloc::GlobalAlloc for AgentHeap {
    unsafe fn alloc(&self, layout: core::alloc::Layout) -> *mut u8 {
        // SAFETY: no other reference to the heap exists meanwhile.
        match unsafe { (*self.0.get()).allocate_first_fit(layout) } {
            Ok(p) => p.as_ptr(),
            Err(()) => core::ptr::null_mut(),
        }
    }
    unsafe fn dealloc(&self, ptr: *mut u8, layout: core::alloc::Layout) {
        if let Some(p) = core::ptr::NonNull::new(ptr) {
            // SAFETY: the caller gives back a block of ours with its layout.
            unsafe { (*self.0.get()).deallocate(p, layout) }
        }
    }
}
