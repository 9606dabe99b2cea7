//! The agent image: the library with a heap, an entry and a panic handler.
#![no_std]
#![no_main]

use rdb_agent::heap::AgentHeap;

#[global_allocator]
static HEAP: AgentHeap = AgentHeap::new();

/// Called by `_start` with the kernel's initial stack pointer.
///
/// # Safety
/// Only `_start` calls this, once.
#[unsafe(no_mangle)]
#[allow(unsafe_code)]
unsafe extern "C" fn rdb_agent_start(sp: *const u64) -> ! {
    HEAP.init();
    // SAFETY: the stack pointer is the kernel's, the heap is ready.
    unsafe { rdb_agent::start::main(sp) }
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    rdb_agent::fatal::panicked(info)
}
