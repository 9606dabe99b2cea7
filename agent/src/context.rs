//! The interrupted program as the kernel lays it on a signal stack (`struct ucontext`, asm/sigcontext.h).

use crate::interpreters::Registers;

/// `struct ucontext` of x86-64.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
#[allow(missing_docs)]
pub struct Context {
    pub flags: u64,
    pub link: u64,
    pub stack: [u64; 3],
    pub r8: u64,
    pub r9: u64,
    pub r10: u64,
    pub r11: u64,
    pub r12: u64,
    pub r13: u64,
    pub r14: u64,
    pub r15: u64,
    pub rdi: u64,
    pub rsi: u64,
    pub rbp: u64,
    pub rbx: u64,
    pub rdx: u64,
    pub rax: u64,
    pub rcx: u64,
    pub rsp: u64,
    pub rip: u64,
    pub eflags: u64,
    pub segments: u64,
    pub error: u64,
    pub trap: u64,
    pub old_mask: u64,
    pub cr2: u64,
    /// Address of the FP state, or 0.
    pub fp_state: u64,
    pub reserved: [u64; 8],
    pub mask: u64,
}

/// Byte length of the part both kernel and program see.
pub const CONTEXT_SIZE: u64 = 304;
const _: () = assert!(size_of::<Context>() as u64 == CONTEXT_SIZE);

impl Context {
    /// System call arguments.
    #[must_use]
    pub fn args(&self) -> [u64; 6] {
        [self.rdi, self.rsi, self.rdx, self.r10, self.r8, self.r9]
    }

    /// Sets a system call's result.
    pub fn set_return(&mut self, v: i64) {
        self.rax = v.cast_unsigned();
    }

    /// General registers in encoding order.
    #[must_use]
    pub fn registers(&self) -> Registers {
        [
            self.rax, self.rcx, self.rdx, self.rbx, self.rsp, self.rbp, self.rsi, self.rdi, self.r8, self.r9, self.r10, self.r11, self.r12,
            self.r13, self.r14, self.r15,
        ]
    }

    /// Puts general registers back.
    pub fn set_registers(&mut self, r: &Registers) {
        [
            self.rax, self.rcx, self.rdx, self.rbx, self.rsp, self.rbp, self.rsi, self.rdi, self.r8, self.r9, self.r10, self.r11, self.r12,
            self.r13, self.r14, self.r15,
        ] = *r;
    }
}
