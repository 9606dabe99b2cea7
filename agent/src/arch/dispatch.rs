//! The gs base: in replay it is the agent's, and points to the shadow map that dispatch stubs look instructions up in.

use core::arch::asm;

/// Sets the gs base. Agent code never uses gs, and neither does the program in 64-bit mode.
pub fn set_gs_base(value: u64) {
    // SAFETY: nothing but the dispatch stubs uses gs. The agent refuses to start where the kernel has not enabled FSGSBASE.
    unsafe { asm!("wrgsbase {}", in(reg) value, options(nomem, nostack, preserves_flags)) };
}
