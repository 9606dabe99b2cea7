//! Segment bases and CPUID: single instructions.

use core::arch::asm;

/// The fs base: the program's thread pointer.
#[must_use]
pub fn fs_base() -> u64 {
    let v: u64;
    // SAFETY: reads a register. The agent refuses to start where the kernel has not enabled FSGSBASE.
    unsafe { asm!("rdfsbase {}", out(reg) v, options(nomem, nostack, preserves_flags)) };
    v
}

/// Sets the fs base. Agent code never uses fs, so any value is harmless to it.
pub fn set_fs_base(v: u64) {
    // SAFETY: the agent has no thread-local storage; only the program uses fs.
    unsafe { asm!("wrfsbase {}", in(reg) v, options(nomem, nostack, preserves_flags)) };
}

/// The stack pointer: tells a thread its slot.
#[inline(always)]
#[must_use]
pub fn stack_pointer() -> u64 {
    let v: u64;
    // SAFETY: reads a register.
    unsafe { asm!("mov {}, rsp", out(reg) v, options(nomem, nostack, preserves_flags)) };
    v
}

/// The CPU's own answer to CPUID: eax, ebx, ecx, edx. Faults where CPUID is trapped.
#[must_use]
pub fn cpuid(leaf: u32, subleaf: u32) -> [u32; 4] {
    let r = core::arch::x86_64::__cpuid_count(leaf, subleaf);
    [r.eax, r.ebx, r.ecx, r.edx]
}

/// The low half of XCR0: which registers the kernel saves. Only where CPUID says OSXSAVE.
#[must_use]
pub fn xcr0() -> u32 {
    let v: u32;
    // SAFETY: reads a register that is there.
    unsafe { asm!("xgetbv", in("ecx") 0, out("eax") v, out("edx") _, options(nomem, nostack, preserves_flags)) };
    v
}
