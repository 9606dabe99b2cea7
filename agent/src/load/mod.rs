//! Userland exec: puts a program and its ld.so into this address space and builds its stack.

pub mod cpuid;
pub mod elf;
pub mod functions;
pub mod stack;
pub mod vector;

use crate::layout::{EXE_BASE, STACK_SIZE, STACK_TOP};
use crate::state::Agent;
use crate::sys::{self, map};

/// A program ready to be entered.
#[derive(Clone, Copy, Debug)]
pub struct Loaded {
    /// Where to start: ld.so's entry, or the program's own.
    pub entry: u64,
    /// The program's entry.
    pub program_entry: u64,
    /// Its program headers.
    pub phdr: u64,
    /// How many.
    pub phnum: u64,
    /// Base of ld.so, 0 without one.
    pub base: u64,
    /// Load bias of the program.
    pub bias: u64,
}

/// Loads a program and, when it names one, its interpreter.
///
/// `interpreter` opens the path the program names.
///
/// # Errors
/// [`elf::LoadError`].
pub fn load(agent: &mut Agent, program: u64, interpreter: &mut dyn FnMut(&[u8]) -> Option<u64>) -> Result<Loaded, elf::LoadError> {
    let exe = elf::map_image(agent, program, Some(EXE_BASE))?;
    let mut loaded = Loaded {
        entry: exe.entry,
        program_entry: exe.entry,
        phdr: exe.phdr,
        phnum: exe.phnum,
        base: 0,
        bias: exe.base,
    };
    if !exe.interpreter.is_empty() {
        let fd = interpreter(&exe.interpreter).ok_or(elf::LoadError::NoInterpreter)?;
        let ld = elf::map_image(agent, fd, None)?;
        sys::close(fd);
        loaded.base = ld.base;
        loaded.entry = ld.entry;
    }
    crate::intercept::clock::load(agent.mode).map_err(elf::LoadError::Map)?;
    sys::mmap(
        STACK_TOP - STACK_SIZE,
        STACK_SIZE,
        map::READ | map::WRITE,
        map::PRIVATE | map::ANONYMOUS | map::FIXED | map::NORESERVE,
        sys::NO_FD,
        0,
    );
    Ok(loaded)
}
