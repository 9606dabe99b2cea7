//! The vDSO the program sees (vdso(7), Documentation/ABI/stable/vdso): an ELF image with the functions of the kernel's, whose code enters the agent.
//!
//! It is program memory: the same bytes at the same address in recording and replay, whatever agent made the trace. So it holds no
//! address of the agent's but that of a word, [`crate::layout::VECTOR`], which tells where to go on. Each function says so in r11,
//! its number in eax, its return address in r10 and in rcx where to go where the agent declines: to an ordinary system call.
//!
//! Symbols have the version `LINUX_2.6`, as libraries ask for; the hash table has one bucket, so that no names need be hashed.

use core::arch::global_asm;

macro_rules! function {
    ($name:literal, $number:literal) => {
        concat!(
            ".balign 16, 0xcc\n",
            "rdb_vdso_",
            $name,
            ":\n",
            "mov r10, [rsp]\n",
            "movabs r11, {vector}\n",
            "mov eax, ",
            $number,
            "\n",
            "lea rcx, [rip + 7f]\n",
            "jmp qword ptr [r11]\n",
            "7: mov eax, ",
            $number,
            "\n",
            "syscall\n",
            "ret\n",
            "rdb_vdso_",
            $name,
            "_end:\n",
        )
    };
}
macro_rules! symbol {
    ($string:literal, $name:literal) => {
        // STB_GLOBAL, STT_FUNC; any section but the undefined one.
        concat!(
            ".long rdb_vdso_string_",
            $string,
            " - rdb_vdso_strings\n",
            ".byte 0x12, 0\n",
            ".short 1\n",
            ".quad rdb_vdso_",
            $name,
            " - rdb_vdso\n",
            ".quad rdb_vdso_",
            $name,
            "_end - rdb_vdso_",
            $name,
            "\n",
        )
    };
}

global_asm!(
    ".pushsection .rodata.rdb_vdso, \"a\", @progbits",
    ".balign 64",
    ".globl rdb_vdso",
    ".hidden rdb_vdso",
    "rdb_vdso:",
    // Elf64_Ehdr: a shared object for x86-64 with three program headers and no sections.
    ".byte 0x7f, 0x45, 0x4c, 0x46, 2, 1, 1, 0",
    ".quad 0",
    ".short 3, 62",
    ".long 1",
    ".quad 0, 64, 0",
    ".long 0",
    ".short 64, 56, 3, 64, 0, 0",
    // PT_LOAD (readable, executable), PT_DYNAMIC, PT_GNU_EH_FRAME (readable).
    ".long 1, 5",
    ".quad 0, 0, 0, rdb_vdso_end - rdb_vdso, rdb_vdso_end - rdb_vdso, 4096",
    ".long 2, 4",
    ".quad rdb_vdso_dynamic - rdb_vdso, rdb_vdso_dynamic - rdb_vdso, rdb_vdso_dynamic - rdb_vdso",
    ".quad rdb_vdso_dynamic_end - rdb_vdso_dynamic, rdb_vdso_dynamic_end - rdb_vdso_dynamic, 8",
    ".long 0x6474e550, 4",
    ".quad rdb_vdso_frames - rdb_vdso, rdb_vdso_frames - rdb_vdso, rdb_vdso_frames - rdb_vdso",
    ".quad rdb_vdso_frame - rdb_vdso_frames, rdb_vdso_frame - rdb_vdso_frames, 4",
    ".balign 8",
    // DT_SONAME, DT_HASH, DT_STRTAB, DT_SYMTAB, DT_STRSZ, DT_SYMENT, DT_VERSYM, DT_VERDEF, DT_VERDEFNUM.
    "rdb_vdso_dynamic:",
    ".quad 14, rdb_vdso_string_soname - rdb_vdso_strings",
    ".quad 4, rdb_vdso_hash - rdb_vdso",
    ".quad 5, rdb_vdso_strings - rdb_vdso",
    ".quad 6, rdb_vdso_symbols - rdb_vdso",
    ".quad 10, rdb_vdso_strings_end - rdb_vdso_strings",
    ".quad 11, 24",
    ".quad 0x6ffffff0, rdb_vdso_versions - rdb_vdso",
    ".quad 0x6ffffffc, rdb_vdso_definitions - rdb_vdso",
    ".quad 0x6ffffffd, 2",
    ".quad 0, 0",
    "rdb_vdso_dynamic_end:",
    "rdb_vdso_symbols:",
    ".fill 24, 1, 0",
    symbol!("vdso_clock_gettime", "clock_gettime"),
    symbol!("vdso_gettimeofday", "gettimeofday"),
    symbol!("vdso_time", "time"),
    symbol!("vdso_getcpu", "getcpu"),
    symbol!("clock_gettime", "clock_gettime"),
    symbol!("gettimeofday", "gettimeofday"),
    symbol!("time", "time"),
    symbol!("getcpu", "getcpu"),
    // One bucket, nine symbols, each leading to the next.
    "rdb_vdso_hash:",
    ".long 1, 9, 1",
    ".long 0, 2, 3, 4, 5, 6, 7, 8, 0",
    "rdb_vdso_versions:",
    ".short 0, 2, 2, 2, 2, 2, 2, 2, 2",
    ".balign 8",
    // Elf64_Verdef with one Elf64_Verdaux each: the object's own name, and the version. The hashes are those of the names (gABI).
    "rdb_vdso_definitions:",
    ".short 1, 1, 1, 1",
    ".long 0x0deebfa1, 20, 28",
    ".long rdb_vdso_string_soname - rdb_vdso_strings, 0",
    ".short 1, 0, 2, 1",
    ".long 0x03ae75f6, 20, 0",
    ".long rdb_vdso_string_version - rdb_vdso_strings, 0",
    "rdb_vdso_strings:",
    ".byte 0",
    "rdb_vdso_string_vdso_clock_gettime: .ascii \"__vdso_\"",
    "rdb_vdso_string_clock_gettime: .asciz \"clock_gettime\"",
    "rdb_vdso_string_vdso_gettimeofday: .ascii \"__vdso_\"",
    "rdb_vdso_string_gettimeofday: .asciz \"gettimeofday\"",
    "rdb_vdso_string_vdso_time: .ascii \"__vdso_\"",
    "rdb_vdso_string_time: .asciz \"time\"",
    "rdb_vdso_string_vdso_getcpu: .ascii \"__vdso_\"",
    "rdb_vdso_string_getcpu: .asciz \"getcpu\"",
    "rdb_vdso_string_soname: .asciz \"linux-vdso.so.1\"",
    "rdb_vdso_string_version: .asciz \"LINUX_2.6\"",
    "rdb_vdso_strings_end:",
    ".balign 8",
    // .eh_frame_hdr with one entry: no function moves the stack pointer, so one frame says it for all.
    "rdb_vdso_frames:",
    ".byte 1, 0x1b, 3, 0x3b",
    ".long rdb_vdso_frame - (rdb_vdso_frames + 4)",
    ".long 1",
    ".long rdb_vdso_text - rdb_vdso_frames, rdb_vdso_entry - rdb_vdso_frames",
    ".balign 8",
    "rdb_vdso_frame:",
    // CIE: the CFA is rsp + 8, the return address below it.
    ".long 20, 0",
    ".byte 1, 0x7a, 0x52, 0, 1, 0x78, 16, 1, 0x1b, 0x0c, 7, 8, 0x90, 1, 0, 0",
    "rdb_vdso_entry:",
    ".long 20, rdb_vdso_entry + 4 - rdb_vdso_frame",
    ".long rdb_vdso_text - (rdb_vdso_entry + 8), rdb_vdso_text_end - rdb_vdso_text",
    ".byte 0, 0, 0, 0, 0, 0, 0, 0",
    ".long 0",
    "rdb_vdso_text:",
    function!("clock_gettime", "228"),
    function!("gettimeofday", "96"),
    function!("time", "201"),
    function!("getcpu", "309"),
    "rdb_vdso_text_end:",
    ".globl rdb_vdso_end",
    ".hidden rdb_vdso_end",
    "rdb_vdso_end:",
    ".popsection",
    vector = const crate::layout::VECTOR,
);

// Where the vector leads. All of the program's registers are kept but for rax, the result, r10 and r11; the flags, r11 and rcx end up
// with values that do not depend on what the agent did. FP state stays in its registers: agent code never touches them.
macro_rules! clock_entry {
    ($name:literal, $save:literal, $switch:literal, $load:literal) => {
        global_asm!(
            concat!(".globl ", $name),
            concat!($name, ":"),
            $save,
            $switch,
            "test rsp, rsp",
            "jz 8f",
            "push rcx",
            "push r8",
            "push r9",
            $load,
            "push r11",
            // `intercept::clock::Call`.
            "push r10",
            "push rdx",
            "push rsi",
            "push rdi",
            "push rax",
            "mov rdi, rsp",
            "sub rsp, 8",
            "cld",
            "call rdb_clock_call",
            "mov r11, rax",
            "add rsp, 8",
            "pop rax",
            "pop rdi",
            "pop rsi",
            "pop rdx",
            "pop r10",
            "add rsp, 8",
            "pop r9",
            "pop r8",
            "pop rcx",
            "mov rsp, [rsp - 32]",
            "test r11d, r11d",
            "jz 9f",
            "xor ecx, ecx",
            "sub r11d, r11d",
            "ret",
            "8:",
            $load,
            "mov rsp, r11",
            "9: sub r11d, r11d",
            "jmp rcx",
        );
    };
}
// Recording: gs points to the thread's slot, as for patched system call sites.
clock_entry!("rdb_clock_record", "mov gs:[40], rsp", "mov rsp, gs:[32]", "mov r11, gs:[40]");
// Replay: a stack of its own. There is one kernel thread, and no fiber is left in a call; but functions of the interpreter that the agent
// itself calls read clocks, too, while the other stacks are in use.
clock_entry!(
    "rdb_clock_replay",
    "mov [rip+RDB_CLOCK_RSP], rsp",
    "mov rsp, [rip+RDB_CLOCK_STACK]",
    "mov r11, [rip+RDB_CLOCK_RSP]"
);
global_asm!(".hidden RDB_CLOCK_RSP", ".hidden RDB_CLOCK_STACK");

/// Replay: the program's stack pointer at a call of the vDSO.
#[unsafe(no_mangle)]
static RDB_CLOCK_RSP: core::sync::atomic::AtomicU64 = core::sync::atomic::AtomicU64::new(0);
/// Replay: top of the stack for calls of the vDSO; 0 while there is none.
#[unsafe(no_mangle)]
pub static RDB_CLOCK_STACK: core::sync::atomic::AtomicU64 = core::sync::atomic::AtomicU64::new(0);
global_asm!(
    // In a process that is not recorded.
    ".globl rdb_clock_decline",
    "rdb_clock_decline:",
    "sub r11d, r11d",
    "jmp rcx",
);

unsafe extern "C" {
    /// First byte of the image.
    pub static rdb_vdso: u8;
    /// Behind its last byte.
    pub static rdb_vdso_end: u8;
    /// Entry of the vDSO's functions in recording.
    pub fn rdb_clock_record();
    /// Entry of the vDSO's functions in replay.
    pub fn rdb_clock_replay();
    /// Entry that leaves every call to the kernel.
    pub fn rdb_clock_decline();
}

/// The image.
#[must_use]
pub fn image() -> &'static [u8] {
    let (start, end) = (&raw const rdb_vdso, &raw const rdb_vdso_end);
    // SAFETY: both lie in one constant section of this image, in this order.
    unsafe { core::slice::from_raw_parts(start, end as usize - start as usize) }
}

#[cfg(test)]
mod tests {
    use super::image;

    fn hash(name: &[u8]) -> u32 {
        name.iter().fold(0u32, |h, c| {
            let h = (h << 4).wrapping_add(u32::from(*c));
            let top = h & 0xf000_0000;
            (h ^ top >> 24) & !top
        })
    }

    #[test]
    fn it_is_a_shared_object_of_one_page() {
        let bytes = image();
        assert!(bytes.starts_with(b"\x7fELF\x02\x01\x01") && bytes.len() <= 4096);
        assert_eq!(hash(b"LINUX_2.6"), 0x03ae_75f6);
        assert_eq!(hash(b"linux-vdso.so.1"), 0x0dee_bfa1);
    }
}
