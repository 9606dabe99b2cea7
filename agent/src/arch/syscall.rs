//! The `syscall` instruction, and the numbers the agent itself uses.

use core::arch::asm;

/// Makes a system call of the agent's own. Returns the kernel's raw result (`-errno` on failure).
///
/// # Safety
/// The call must not touch memory that Rust code of the agent believes to own, other than through the pointers given for
/// that purpose, and must not change the process in a way the caller has not accounted for.
#[inline(always)]
pub unsafe fn syscall(nr: u64, args: [u64; 6]) -> i64 {
    let ret: i64;
    // SAFETY: the caller vouches for the call; the clobbers are those of the kernel's entry (rcx, r11).
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") nr => ret,
            in("rdi") args[0], in("rsi") args[1], in("rdx") args[2],
            in("r10") args[3], in("r8") args[4], in("r9") args[5],
            lateout("rcx") _, lateout("r11") _,
            options(nostack),
        );
    }
    ret
}
