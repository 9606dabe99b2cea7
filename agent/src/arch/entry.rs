//! Entries and exits: process start, signal return, the interruptible system call, new threads, calls on another stack.

use core::arch::global_asm;

/// What [`rdb_blocking`] says of a call that it did not make, or whose restart it prevented: `ERESTARTSYS`, which no kernel tells a program.
pub const NOT_MADE: i64 = -512;

#[cfg(target_os = "none")]
global_asm!(
    ".globl _start",
    "_start:",
    "mov rdi, rsp",
    "xor ebp, ebp",
    "and rsp, -16",
    "call rdb_agent_start",
    "ud2",
);

global_asm!(
    // sa_restorer of the agent's handlers.
    ".globl rdb_restorer",
    "rdb_restorer:",
    "mov eax, 15",
    "syscall",
    "ud2",
    // rdb_resume(context): abandon this stack and continue the context, by the kernel's own rt_sigreturn.
    ".globl rdb_resume",
    "rdb_resume:",
    "mov rsp, rdi",
    "mov eax, 15",
    "syscall",
    "ud2",
    // rdb_blocking(nr, args, wanted): a system call that a signal must not miss. A signal that arrives between the check of
    // *wanted and the kernel's entry finds rip inside the window and is moved to the EINTR exit.
    ".globl rdb_blocking",
    "rdb_blocking:",
    "mov rax, rdi",
    "mov r11, rdx",
    "mov rdi, [rsi]",
    "mov rdx, [rsi+16]",
    "mov r10, [rsi+24]",
    "mov r8, [rsi+32]",
    "mov r9, [rsi+40]",
    "mov rsi, [rsi+8]",
    ".globl rdb_window_start",
    "rdb_window_start:",
    "cmp qword ptr [r11], 0",
    "jne rdb_window_interrupted",
    "syscall",
    ".globl rdb_window_end",
    "rdb_window_end:",
    "ret",
    ".globl rdb_window_interrupted",
    "rdb_window_interrupted:",
    "mov rax, {not_made}",
    "ret",
    // rdb_clone(flags, stack, ptid, ctid, tls): raw clone; the child pops the slot number and enters rdb_thread_start.
    ".globl rdb_clone",
    "rdb_clone:",
    "mov r10, rcx",
    "mov eax, 56",
    "syscall",
    "test rax, rax",
    "jz 2f",
    "ret",
    "2: xor ebp, ebp",
    "pop rdi",
    "call rdb_thread_start",
    "ud2",
    // rdb_compare(words, count): of `count` triples (address, value, mask), the index of the first whose word at the address
    // differs from the value under the mask, or cannot be read (the fault handler moves rip); `count` when none does.
    ".globl rdb_compare",
    "rdb_compare:",
    "xor eax, eax",
    "test rsi, rsi",
    "jz 3f",
    "2:",
    "mov rcx, [rdi]",
    ".globl rdb_compare_access",
    "rdb_compare_access:",
    "mov rcx, [rcx]",
    "xor rcx, [rdi+8]",
    "test rcx, [rdi+16]",
    "jnz 3f",
    "add rdi, 24",
    "inc rax",
    "cmp rax, rsi",
    "jne 2b",
    ".globl rdb_compare_failed",
    "rdb_compare_failed:",
    "3: ret",
    // rdb_copy(to, from, len): 0, or 1 when either side cannot be touched: the fault handler moves rip to the failed exit.
    ".globl rdb_copy",
    "rdb_copy:",
    "mov rcx, rdx",
    ".globl rdb_copy_access",
    "rdb_copy_access:",
    "rep movsb",
    "xor eax, eax",
    "ret",
    ".globl rdb_copy_failed",
    "rdb_copy_failed:",
    "mov eax, 1",
    "ret",
    // rdb_enter(entry, stack): first entry into the program, all registers clear, as execve(2) leaves them.
    ".globl rdb_enter",
    "rdb_enter:",
    "mov rsp, rsi",
    "mov rcx, rdi",
    "push 0x202",
    "popfq",
    "xor eax, eax",
    "xor ebx, ebx",
    "xor edx, edx",
    "xor esi, esi",
    "xor edi, edi",
    "xor ebp, ebp",
    "xor r8d, r8d",
    "xor r9d, r9d",
    "xor r10d, r10d",
    "xor r11d, r11d",
    "xor r12d, r12d",
    "xor r13d, r13d",
    "xor r14d, r14d",
    "xor r15d, r15d",
    "jmp rcx",
    not_made = const NOT_MADE,
);

// NAME(stack, function, args): call a C function of the program on the given (16-aligned) stack; what the flags are to be besides,
// they are from the call to the return.
macro_rules! call_on {
    ($name:literal, $before:literal, $after:literal) => {
        global_asm!(
            concat!(".globl ", $name),
            concat!($name, ":"),
            "push rbx",
            "mov rbx, rsp",
            "mov rsp, rdi",
            "mov r11, rsi",
            "mov rax, rdx",
            "mov rdi, [rax]",
            "mov rsi, [rax+8]",
            "mov rdx, [rax+16]",
            "mov rcx, [rax+24]",
            "mov r8, [rax+32]",
            "mov r9, [rax+40]",
            "xor eax, eax",
            "cld",
            $before,
            "call r11",
            $after,
            "mov rsp, rbx",
            "pop rbx",
            "ret",
        );
    };
}
call_on!("rdb_call_on", "", "");
// With the trap flag: SIGTRAP (TRAP_TRACE) before each instruction.
call_on!(
    "rdb_call_stepped",
    "pushfq; or qword ptr [rsp], 0x100; popfq",
    "pushfq; and qword ptr [rsp], -0x101; popfq"
);

// Patched system call sites come here with all registers the program's, but for rcx (where to go on) and r11: both of which a
// system call destroys anyway. A context is built on the thread's fast stack, as if the kernel had made it, but for the FP state,
// which stays in the registers: agent code never touches them.
macro_rules! fast_entry {
    ($name:literal, $save:literal, $switch:literal, $load:literal) => {
        global_asm!(
            concat!(".globl ", $name),
            concat!($name, ":"),
            $save,
            $switch,
            "mov [rsp+40], r8",
            "mov [rsp+48], r9",
            "mov [rsp+56], r10",
            "mov [rsp+72], r12",
            "mov [rsp+80], r13",
            "mov [rsp+88], r14",
            "mov [rsp+96], r15",
            "mov [rsp+104], rdi",
            "mov [rsp+112], rsi",
            "mov [rsp+120], rbp",
            "mov [rsp+128], rbx",
            "mov [rsp+136], rdx",
            "mov [rsp+144], rax",
            "mov [rsp+152], rcx",
            "mov [rsp+168], rcx",
            "pushfq",
            "pop qword ptr [rsp+176]",
            "mov r11, [rsp+176]",
            "mov [rsp+64], r11",
            $load,
            "mov [rsp+160], r11",
            "mov qword ptr [rsp+8], 1",
            "cld",
            "mov rdi, rsp",
            "call rdb_fast_call",
            "ud2",
        );
    };
}
// Where the library is part of a shared object (the dispatch check), nothing outside may take these over.
global_asm!(".hidden RDB_FAST_RSP", ".hidden RDB_FAST_CONTEXT");
// Recording: gs points to the thread's slot; `Slot::fast_context` is at 32, `Slot::fast_rsp` at 40.
fast_entry!("rdb_fast_record", "mov gs:[40], rsp", "mov rsp, gs:[32]", "mov r11, gs:[40]");
// Replay: gs belongs to the stop points; there is one kernel thread, so two words do.
fast_entry!(
    "rdb_fast_replay",
    "mov [rip+RDB_FAST_RSP], rsp",
    "mov rsp, [rip+RDB_FAST_CONTEXT]",
    "mov r11, [rip+RDB_FAST_RSP]"
);

global_asm!(
    // rdb_fast_return(context): back to the program, whose FP state is still in the registers.
    ".globl rdb_fast_return",
    "rdb_fast_return:",
    "mov rsp, rdi",
    "mov r8, [rsp+40]",
    "mov r9, [rsp+48]",
    "mov r10, [rsp+56]",
    "mov r11, [rsp+64]",
    "mov r12, [rsp+72]",
    "mov r13, [rsp+80]",
    "mov r14, [rsp+88]",
    "mov r15, [rsp+96]",
    "mov rdi, [rsp+104]",
    "mov rsi, [rsp+112]",
    "mov rbp, [rsp+120]",
    "mov rbx, [rsp+128]",
    "mov rdx, [rsp+136]",
    "mov rax, [rsp+144]",
    "mov rcx, [rsp+168]",
    "push qword ptr [rsp+176]",
    "popfq",
    "mov rsp, [rsp+160]",
    "jmp rcx",
    // rdb_save_fp(area, mask): XSAVE of the live FP state.
    ".globl rdb_save_fp",
    "rdb_save_fp:",
    "mov eax, esi",
    "mov rdx, rsi",
    "shr rdx, 32",
    "xsave64 [rdi]",
    "ret",
);

/// Replay: the program's stack pointer at a patched site.
#[unsafe(no_mangle)]
static RDB_FAST_RSP: core::sync::atomic::AtomicU64 = core::sync::atomic::AtomicU64::new(0);
/// Replay: where the running fiber's next fast context goes.
#[unsafe(no_mangle)]
pub static RDB_FAST_CONTEXT: core::sync::atomic::AtomicU64 = core::sync::atomic::AtomicU64::new(0);

unsafe extern "C" {
    /// Entry of patched sites in recording.
    pub fn rdb_fast_record();
    /// Entry of patched sites in replay.
    pub fn rdb_fast_replay();
    /// Back to the program.
    ///
    /// # Safety
    /// `context` was made by a fast entry and its FP state is still in the registers; nothing on this stack needs to be dropped.
    pub fn rdb_fast_return(context: u64) -> !;
    /// Saves the FP state.
    ///
    /// # Safety
    /// `area` is an XSAVE area with room for the components in `mask`, its header valid.
    pub fn rdb_save_fp(area: u64, mask: u64);
    /// `sa_restorer` of the agent's handlers.
    pub fn rdb_restorer();
    /// Abandons this stack and continues `context`.
    ///
    /// # Safety
    /// `context` is the `ucontext` of a signal frame laid out as the kernel does, and nothing on this stack needs to be dropped.
    pub fn rdb_resume(context: u64) -> !;
    /// A system call a signal can interrupt without being lost; [`NOT_MADE`] when `*wanted` is not zero.
    ///
    /// # Safety
    /// As [`super::syscall::syscall`]; `args` points to six words, `wanted` to one.
    pub fn rdb_blocking(nr: u64, args: *const u64, wanted: *const u64) -> i64;
    /// First instruction of the window of [`rdb_blocking`].
    pub fn rdb_window_start();
    /// First instruction after it.
    pub fn rdb_window_end();
    /// Its interrupted exit.
    pub fn rdb_window_interrupted();
    /// Raw clone of a thread that starts on a slot's stack.
    ///
    /// # Safety
    /// `stack` points to a word that holds the slot number, in memory only the new thread uses.
    pub fn rdb_clone(flags: u64, stack: u64, ptid: u64, ctid: u64, tls: u64) -> i64;
    /// Calls `function` of the program on `stack` with up to six arguments.
    ///
    /// # Safety
    /// Only in a throw-away process: `function` follows the C ABI and may do anything to program memory.
    pub fn rdb_call_on(stack: u64, function: u64, args: *const u64) -> u64;
    /// As [`rdb_call_on`], with a trap before each instruction.
    pub fn rdb_call_stepped(stack: u64, function: u64, args: *const u64) -> u64;
    /// The index of the first of `count` words (address, value, mask) that differs or cannot be read; `count` when none does.
    pub fn rdb_compare(words: *const [u64; 3], count: usize) -> usize;
    /// Its instruction that reads a word.
    pub fn rdb_compare_access();
    /// Where a fault there goes on.
    pub fn rdb_compare_failed();
    /// Copies memory either side of which may be absent or protected: 0, or 1 when it is (part may have been copied).
    ///
    /// # Safety
    /// No Rust object of the agent's may overlap `to`, other than one given for that purpose; the agent's fault handler is
    /// installed, or both ranges are known to be there.
    pub fn rdb_copy(to: u64, from: u64, len: u64) -> u64;
    /// The instruction of [`rdb_copy`] that touches memory.
    pub fn rdb_copy_access();
    /// Its failed exit.
    pub fn rdb_copy_failed();
    /// Enters the program.
    ///
    /// # Safety
    /// `entry` and `stack` belong to a loaded program; nothing on this stack needs to be dropped.
    pub fn rdb_enter(entry: u64, stack: u64) -> !;
}
