//! The vDSO's functions: where they enter the agent, and the image's place in the program's memory.

use crate::arch::vdso;
use crate::layout::{CLOCK_STACK, CLOCK_STACK_SIZE, PROGRAM_END, VDSO, VDSO_SIZE, VECTOR};
use crate::memory;
use crate::state::{self, Mode};
use crate::sys::{self, map, nr};
use crate::threads::current_slot;
use core::sync::atomic::{AtomicU64, Ordering};
use rdb_trace::readings::Source;

/// A call of one of the functions, as the entries of `arch::vdso` lay it out.
#[derive(Debug)]
#[repr(C)]
pub struct Call {
    /// Number of the system call that does the same; replaced by the result.
    pub number: u64,
    /// First three arguments.
    pub args: [u64; 3],
    /// Where it returns to.
    pub from: u64,
    /// The stack pointer.
    pub rsp: u64,
}

impl Call {
    /// What it reads. `None` for what is always left to the system call, in recording and replay alike.
    #[must_use]
    pub fn source(&self) -> Option<Source> {
        let free = |at: u64| at < PROGRAM_END;
        match (self.number, self.args) {
            // Real time, monotonic, raw, their coarse forms, boot time, and international atomic time: none of a process or thread.
            (nr::CLOCK_GETTIME, [id @ (0 | 1 | 4..=7 | 11), at, _]) if free(at) => Some(Source::Clock(id as u8)),
            (nr::GETTIMEOFDAY, [at, 0, _]) if at != 0 && free(at) => Some(Source::TimeOfDay),
            (nr::TIME, [at, ..]) if free(at) => Some(Source::Time),
            (nr::GETCPU, [a, b, _]) if free(a) && free(b) => Some(Source::Processor),
            _ => None,
        }
    }

    /// What tells this place from others.
    #[must_use]
    pub fn place(&self) -> u64 {
        self.from ^ self.rsp.rotate_left(16) ^ self.args[0].rotate_left(32) ^ self.args[1].rotate_left(40)
    }

    /// Gives the program what was read; false when it cannot be written.
    #[must_use]
    pub fn answer(&mut self, source: Source, value: u64) -> bool {
        const GIGA: u64 = 1_000_000_000;
        const MEGA: u64 = 1_000_000;
        let written = match source {
            Source::Clock(_) => memory::try_put_words(self.args[1], &[value / GIGA, value % GIGA]),
            Source::TimeOfDay => memory::try_put_words(self.args[0], &[value / MEGA, value % MEGA]),
            Source::Time => self.args[0] == 0 || memory::try_put_words(self.args[0], &[value]),
            Source::Processor => [value, value >> 32]
                .iter()
                .zip(self.args)
                .all(|(v, at)| at == 0 || memory::try_copy_in(at, &(*v as u32).to_le_bytes())),
        };
        self.number = if source == Source::Time { value } else { 0 };
        written
    }
}

/// A call of the vDSO, called by its entries. 0 when it is to be an ordinary system call.
#[unsafe(no_mangle)]
extern "C" fn rdb_clock_call(call: *mut Call) -> u64 {
    // SAFETY: the vDSO is program code, so this thread holds the token; the call is on its slot until it is resumed.
    let (agent, call) = unsafe { (state::claim(), &mut *call) };
    let Some(source) = call.source() else { return 0 };
    let answered = match agent.mode {
        Mode::Record => {
            agent.current = current_slot();
            crate::record::readings::read(agent, call, source)
        }
        Mode::Replay => crate::replay::readings::read(agent, call, source),
        Mode::Probe => crate::replay::readings::latest(agent, call, source),
        Mode::Off => false,
    };
    u64::from(answered)
}

/// Puts the image where the program finds it.
///
/// # Errors
/// The error number.
pub fn load(mode: Mode) -> Result<(), i64> {
    let flags = map::PRIVATE | map::ANONYMOUS | map::FIXED_NOREPLACE;
    let r = sys::mmap(VDSO, VDSO_SIZE, map::READ | map::WRITE, flags, sys::NO_FD, 0);
    if r.cast_unsigned() != VDSO {
        return Err(-r);
    }
    memory::copy_in(VDSO, vdso::image());
    sys::raw(nr::MPROTECT, [VDSO, VDSO_SIZE, map::READ | map::EXEC, 0, 0, 0]);
    static MAPPED: core::sync::atomic::AtomicBool = core::sync::atomic::AtomicBool::new(false);
    if !MAPPED.swap(true, Ordering::Relaxed) {
        sys::reserve(VECTOR, VDSO_SIZE, map::READ | map::WRITE);
        if mode != Mode::Record {
            sys::reserve(CLOCK_STACK, CLOCK_STACK_SIZE, map::READ | map::WRITE);
            vdso::RDB_CLOCK_STACK.store(CLOCK_STACK + CLOCK_STACK_SIZE, Ordering::Relaxed);
        }
    }
    lead_to(match mode {
        Mode::Record => vdso::rdb_clock_record as *const (),
        Mode::Replay | Mode::Probe => vdso::rdb_clock_replay as *const (),
        Mode::Off => vdso::rdb_clock_decline as *const (),
    });
    Ok(())
}

/// Has the functions make system calls from now on, in a process that is not recorded.
pub fn leave() {
    lead_to(vdso::rdb_clock_decline as *const ());
}

fn lead_to(entry: *const ()) {
    // SAFETY: the word was mapped by `load`, which comes before any program code and lasts as long as the process.
    unsafe { AtomicU64::from_ptr(VECTOR as *mut u64) }.store(entry as u64, Ordering::SeqCst);
}
