//! Calls the agent answers the same way in both modes: memory layout, signal masks and dispositions, segment bases.

use crate::arch::bases;
use crate::context::Context;
use crate::layout::{BRK_BASE, BRK_END, PROGRAM_END};
use crate::memory::{placement, try_get, try_put_words, try_words};
use crate::signals::{self, alt_stack};
use crate::state::{Agent, Mode, page_up};
use crate::sys::{self, errno, map, nr};
use crate::threads;

/// End of what a program may address on this kind of machine.
const USER_END: u64 = 0x7fff_ffff_f000;

/// Answers a call of [`crate::syscalls::Policy::Own`].
pub fn own(agent: &mut Agent, context: &mut Context, number: u64, a: &[u64; 6]) -> i64 {
    match number {
        nr::RT_SIGACTION => action(agent, a),
        nr::RT_SIGPROCMASK => mask(agent, context, a),
        nr::SIGALTSTACK => match alt_stack::call(agent, context.rsp, a[0], a[1]) {
            Ok(()) => 0,
            Err(e) => -e,
        },
        nr::SET_ROBUST_LIST if a[1] != 24 => -errno::EINVAL,
        nr::SET_ROBUST_LIST => {
            agent.thread().robust_list = a[0];
            if agent.mode == Mode::Record {
                // For other processes' sake: a thread that is killed cannot release its mutexes itself.
                sys::raw(number, *a);
            }
            0
        }
        nr::ARCH_PRCTL => match a[0] {
            0x1002 if a[1] >= USER_END => -errno::EPERM,
            0x1002 => {
                bases::set_fs_base(a[1]);
                0
            }
            0x1003 if try_get::<u64>(a[1]).is_some() && try_put_words(a[1], &[bases::fs_base()]) => 0,
            0x1003 => -errno::EFAULT,
            _ => -errno::EINVAL,
        },
        nr::BRK => brk(agent, a[0]),
        nr::MPROTECT | nr::MUNMAP if a[0].saturating_add(a[1]) > PROGRAM_END => -errno::ENOMEM,
        nr::MPROTECT => {
            if a[2] & map::EXEC != 0 && agent.mode == Mode::Record {
                crate::record::cpuid::unknown_code(agent);
            }
            agent.sites.protected(a[0], page_up(a[1]));
            sys::raw(number, *a)
        }
        nr::MUNMAP => {
            agent.sites.forget(a[0], a[1]);
            sys::raw(number, *a)
        }
        nr::MADVISE => advise(agent, a),
        nr::MREMAP => remap(agent, a),
        _ => -errno::ENOSYS,
    }
}

/// rt_sigaction(2), in the order the kernel looks at things.
fn action(agent: &mut Agent, a: &[u64; 6]) -> i64 {
    if a[3] != 8 {
        return -errno::EINVAL;
    }
    let new = match a[1] {
        0 => None,
        at => match try_words::<4>(at) {
            None => return -errno::EFAULT,
            new => new,
        },
    };
    let signal = a[0] & 0xffff_ffff;
    if signal == 0 || signal > 64 || new.is_some() && (signal == 9 || signal == 19) {
        return -errno::EINVAL;
    }
    let old = agent.actions[signal as usize];
    if let Some(new) = new {
        if !agent.thread().vfork {
            agent.actions[signal as usize] = new;
            if new[0] == 1 {
                // What is ignored is no longer pending either.
                (0..agent.threads.len()).for_each(|n| threads::slot(n).forget(signal));
            }
        }
        if agent.mode == Mode::Record {
            signals::install(signal, &new);
        }
    }
    if a[2] != 0 && !try_put_words(a[2], &old) {
        return -errno::EFAULT;
    }
    0
}

/// rt_sigprocmask(2).
fn mask(agent: &mut Agent, context: &mut Context, a: &[u64; 6]) -> i64 {
    let old = signals::mask(agent);
    if a[3] != 8 {
        return -errno::EINVAL;
    }
    if a[1] != 0 {
        let Some(set) = try_get::<u64>(a[1]) else {
            return -errno::EFAULT;
        };
        let new = match a[0] & 0xffff_ffff {
            0 => old | set,
            1 => old & !set,
            2 => set,
            _ => return -errno::EINVAL,
        };
        signals::set_mask(agent, context, new);
    }
    if a[2] != 0 && !try_put_words(a[2], &[old]) {
        return -errno::EFAULT;
    }
    0
}

fn brk(agent: &mut Agent, want: u64) -> i64 {
    if (BRK_BASE..BRK_END).contains(&want) {
        let (new, old) = (page_up(want), agent.brk_mapped);
        if new > old {
            let flags = map::PRIVATE | map::ANONYMOUS | map::FIXED_NOREPLACE;
            if sys::mmap(old, new - old, map::READ | map::WRITE, flags, sys::NO_FD, 0) < 0 {
                return agent.brk.cast_signed();
            }
        } else if new < old {
            sys::munmap(new, old - new);
        }
        agent.brk_mapped = new;
        agent.brk = want;
    }
    agent.brk.cast_signed()
}

/// madvise(2).
fn advise(agent: &Agent, a: &[u64; 6]) -> i64 {
    const DONTNEED: u64 = 4;
    const FREE: u64 = 8;
    const FORKS: core::ops::RangeInclusive<u64> = 10..=11;
    const WIPE: core::ops::RangeInclusive<u64> = 18..=19;
    match a[2] {
        // MADV_FREE frees when the kernel likes; MADV_DONTNEED frees now.
        FREE => sys::raw(nr::MADVISE, [a[0], a[1], DONTNEED, 0, 0, 0]),
        // What children inherit: a replay's own forks are whole copies.
        advice if agent.mode != Mode::Record && (FORKS.contains(&advice) || WIPE.contains(&advice)) => 0,
        advice => sys::raw(nr::MADVISE, [a[0], a[1], advice, 0, 0, 0]),
    }
}

fn remap(agent: &mut Agent, a: &[u64; 6]) -> i64 {
    const MAYMOVE: u64 = 1;
    const FIXED: u64 = 2;
    let (old, new) = (page_up(a[1]), page_up(a[2]));
    if agent.mode == Mode::Record && agent.sites.holds(a[0], old) {
        crate::record::cpuid::unknown_code(agent);
        agent.sites.release(a[0], old);
    }
    if a[0].saturating_add(old) > PROGRAM_END {
        return -errno::EINVAL;
    }
    if a[3] & FIXED != 0 {
        return if a[4].saturating_add(new) > PROGRAM_END {
            -errno::EINVAL
        } else {
            sys::raw(nr::MREMAP, *a)
        };
    }
    if new <= old || a[3] & MAYMOVE == 0 {
        return sys::raw(nr::MREMAP, *a);
    }
    // Growing in place hangs on what lies behind: always move, so that replay moves too.
    let place = map::PRIVATE | map::ANONYMOUS | map::NORESERVE;
    let to = placement::map(agent, &[0, new, 0, place, sys::NO_FD, 0]);
    if to < 0 {
        return to;
    }
    let to = to.cast_unsigned();
    let moved = sys::raw(nr::MREMAP, [a[0], a[1], a[2], a[3] | MAYMOVE | FIXED, to, 0]);
    if moved < 0 {
        sys::munmap(to, new);
    }
    moved
}
