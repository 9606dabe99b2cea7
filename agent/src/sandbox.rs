//! What a replay may ask of the kernel: seccomp(2), so that opening a stranger's trace is safe.
//!
//! The program's own system calls never reach the kernel in replay; the log answers them. But a forged trace decides what is in the program's
//! memory, and its code could jump to the agent's `syscall` instructions. So the process gives up everything the agent does not need: it can read
//! files, map memory, copy itself and talk to the daemon over the connection it has; it cannot open a file for writing, make a connection, execute
//! a program, or reach another process.

use crate::sys::{self, nr};
use alloc::vec::Vec;

const LOAD: u16 = 0x20; // BPF_LD | BPF_W | BPF_ABS
const AND: u16 = 0x54; // BPF_ALU | BPF_AND | BPF_K
const EQUAL: u16 = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
const RETURN: u16 = 0x06; // BPF_RET | BPF_K
const ALLOW: u32 = 0x7fff_0000;
const KILL: u32 = 0x8000_0000;
/// SIGSYS with [`REFUSED`].
const TRAP: u32 = 0x0003_0000;
const X86_64: u32 = 0xc000_003e;

/// `si_code` of a SIGSYS that says that a call was refused (`SYS_SECCOMP`).
pub const REFUSED: u8 = 1;

/// struct sock_filter.
#[derive(Clone, Copy)]
#[repr(C)]
struct Instruction {
    code: u16,
    when_true: u8,
    when_false: u8,
    value: u32,
}

// Offsets in struct seccomp_data; of arguments the low halves, which is all the kernel looks at for these.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const fn argument(n: u32) -> u32 {
    16 + 8 * n
}

/// Calls of the agent in replay that are harmless whatever their arguments: they concern this process's memory, signals and descriptors,
/// or read.
const ALLOWED: &[u64] = &[
    0,   // read
    3,   // close
    5,   // fstat
    8,   // lseek
    9,   // mmap
    10,  // mprotect
    11,  // munmap
    13,  // rt_sigaction
    14,  // rt_sigprocmask
    15,  // rt_sigreturn
    17,  // pread64
    25,  // mremap
    28,  // madvise
    39,  // getpid
    44,  // sendto: the connection to the daemon has no other address
    47,  // recvmsg
    60,  // exit
    131, // sigaltstack
    158, // arch_prctl
    186, // gettid
    202, // futex
    228, // clock_gettime
    231, // exit_group
    318, // getrandom: what evaluated code asks for
];

/// Calls that are harmless where some bits of an argument are as they should be: number, argument, mask, and what is left of it.
const BOUNDED: &[(u64, u32, u32, u32)] = &[
    // open for reading: none of O_ACCMODE, O_CREAT, O_TRUNC, O_APPEND, O_TMPFILE.
    (nr::OPEN, 1, 0o20_003_103 | 0o2000, 0),
    (257, 2, 0o20_003_103 | 0o2000, 0),
    // What is written goes to the daemon, or to standard error.
    (nr::WRITE, 0, 0, 0),
    // A copy of the process: SIGCHLD, and CLONE_PARENT or not.
    (nr::CLONE, 0, !0x8000, 17),
    // fcntl: F_DUPFD to F_SETFL, F_DUPFD_CLOEXEC.
    (nr::FCNTL, 1, !7, 0),
    (nr::FCNTL, 1, !0, 1030),
    // prctl: PR_SET_NAME, PR_SET_TSC, PR_SET_SYSCALL_USER_DISPATCH.
    (nr::PRCTL, 0, !0, 15),
    (nr::PRCTL, 0, !0, 26),
    (nr::PRCTL, 0, !0, 59),
];

fn filter() -> Vec<Instruction> {
    let step = |code, value| Instruction {
        code,
        when_true: 0,
        when_false: 0,
        value,
    };
    // Goes on with the next instruction when equal, and passes over some otherwise.
    let unless = |value, over| Instruction {
        code: EQUAL,
        when_true: 0,
        when_false: over,
        value,
    };
    let mut filter = Vec::from([
        step(LOAD, ARCHITECTURE),
        Instruction {
            code: EQUAL,
            when_true: 1,
            when_false: 0,
            value: X86_64,
        },
        step(RETURN, KILL),
        step(LOAD, NUMBER),
    ]);
    for number in ALLOWED {
        filter.extend([unless(*number as u32, 1), step(RETURN, ALLOW)]);
    }
    for (number, which, mask, left) in BOUNDED {
        filter.extend([
            unless(*number as u32, 5),
            step(LOAD, argument(*which)),
            step(AND, *mask),
            unless(*left, 1),
            step(RETURN, ALLOW),
            step(LOAD, NUMBER),
        ]);
    }
    filter.push(step(RETURN, TRAP));
    filter
}

/// Confines this process and all its copies. False where the kernel cannot.
#[must_use]
pub fn enter() -> bool {
    const PR_SET_NO_NEW_PRIVS: u64 = 38;
    const PR_SET_SECCOMP: u64 = 22;
    const MODE_FILTER: u64 = 2;
    let filter = filter();
    // struct sock_fprog.
    let program = [filter.len() as u64, filter.as_ptr() as u64];
    sys::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && sys::prctl(PR_SET_SECCOMP, MODE_FILTER, program.as_ptr() as u64, 0, 0) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Executes the filter on a call.
    fn answer(number: u64, args: [u64; 6]) -> u32 {
        let filter = filter();
        let (mut at, mut a) = (0, 0);
        loop {
            let i = filter[at];
            at += 1;
            match i.code {
                LOAD if i.value == NUMBER => a = number as u32,
                LOAD if i.value == ARCHITECTURE => a = X86_64,
                LOAD => a = args[(i.value as usize - 16) / 8] as u32,
                AND => a &= i.value,
                EQUAL => at += usize::from(if a == i.value { i.when_true } else { i.when_false }),
                _ => return i.value,
            }
        }
    }

    #[test]
    fn what_a_replay_may_do() {
        let one = |number, which: usize, value| {
            let mut args = [0; 6];
            args[which] = value;
            answer(number, args)
        };
        for allowed in [
            one(0, 0, 3),
            one(2, 1, 0o2_000_000),
            one(1, 0, 2),
            one(56, 0, 17),
            one(56, 0, 0x8011),
            one(72, 1, 1030),
            one(318, 1, 4),
        ] {
            assert_eq!(allowed, ALLOW);
        }
        let refused = [
            one(2, 1, 1),            // open for writing
            one(2, 1, 0o100),        // O_CREAT
            one(2, 1, 0o1000),       // O_TRUNC
            one(257, 2, 2),          // openat for both
            one(2, 1, 0o20_200_000), // O_TMPFILE
            one(59, 0, 0),           // execve
            one(41, 0, 2),           // socket
            one(42, 0, 0),           // connect
            one(62, 0, 1),           // kill
            one(101, 0, 16),         // ptrace
            one(56, 0, 0x1000_0011), // CLONE_NEWUSER
            one(157, 0, 22),         // another filter
            one(87, 0, 0),           // unlink
            one(302, 0, 1),          // prlimit64 of another process
            one(310, 0, 0),          // process_vm_readv
            one(0x4000_0000, 0, 0),  // x32
        ];
        for (i, refused) in refused.into_iter().enumerate() {
            assert_eq!(refused, TRAP, "{i}");
        }
    }
}
