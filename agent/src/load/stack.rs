//! The initial stack of a program: strings, pointers, auxiliary vector (execve(2), getauxval(3)).

use super::Loaded;
use crate::layout::STACK_TOP;
use crate::memory;
use alloc::vec::Vec;

const AT_NULL: u64 = 0;
const AT_PHDR: u64 = 3;
const AT_PHNUM: u64 = 5;
const AT_BASE: u64 = 7;
const AT_ENTRY: u64 = 9;
const AT_PLATFORM: u64 = 15;
const AT_BASE_PLATFORM: u64 = 24;
const AT_RANDOM: u64 = 25;
const AT_RSEQ_FEATURE_SIZE: u64 = 27;
const AT_RSEQ_ALIGN: u64 = 28;
const AT_EXECFN: u64 = 31;
const AT_SYSINFO_EHDR: u64 = 33;

/// Builds the stack and returns the stack pointer at entry, or `None` when arguments and environment do not fit.
///
/// The auxiliary vector is the kernel's, with the program's own values, with the agent's vDSO (every clock read must be
/// seen), and without restartable sequences (the kernel would write program memory unasked).
#[must_use]
pub fn build(auxv: &[(u64, u64)], loaded: &Loaded, path: &[u8], args: &[Vec<u8>], env: &[Vec<u8>]) -> Option<u64> {
    let total: usize = path.len() + args.iter().chain(env).map(|s| s.len() + 9).sum::<usize>() + 8192;
    if total as u64 > crate::layout::STACK_SIZE / 2 {
        return None;
    }
    let mut top = STACK_TOP - 16;
    let mut push = |bytes: &[u8]| {
        top -= bytes.len() as u64 + 1;
        memory::copy_in(top, bytes);
        memory::put(top + bytes.len() as u64, 0u8);
        top
    };
    let execfn = push(path);
    let env_at: Vec<u64> = env.iter().rev().map(|s| push(s)).collect();
    let args_at: Vec<u64> = args.iter().rev().map(|s| push(s)).collect();
    let platform = push(b"x86_64");
    let mut random = [0u8; 16];
    crate::sys::random(&mut random);
    top = (top & !15) - 16;
    memory::copy_in(top, &random);

    let mut words: Vec<u64> = Vec::new();
    words.push(args.len() as u64);
    words.extend(args_at.iter().rev());
    words.push(0);
    words.extend(env_at.iter().rev());
    words.push(0);
    for &(tag, value) in auxv {
        let value = match tag {
            AT_NULL | AT_SYSINFO_EHDR | AT_RSEQ_FEATURE_SIZE | AT_RSEQ_ALIGN | AT_BASE_PLATFORM => continue,
            AT_PHDR => loaded.phdr,
            AT_PHNUM => loaded.phnum,
            AT_BASE => loaded.base,
            AT_ENTRY => loaded.program_entry,
            AT_PLATFORM => platform,
            AT_RANDOM => top,
            AT_EXECFN => execfn,
            _ => value,
        };
        words.extend([tag, value]);
    }
    words.extend([AT_SYSINFO_EHDR, crate::layout::VDSO, AT_NULL, 0]);
    let sp = (top - words.len() as u64 * 8) & !15;
    for (i, w) in words.iter().enumerate() {
        memory::put(sp + 8 * i as u64, *w);
    }
    Some(sp)
}
