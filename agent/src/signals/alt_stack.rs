//! The program's alternate signal stack (sigaltstack(2)): base, flags, size, as in `stack_t`.

use crate::memory::{try_put_words, try_words};
use crate::state::Agent;
use crate::sys::errno;

/// None set.
pub const NONE: [u64; 3] = [0, DISABLE, 0];
/// `SS_AUTODISARM`: unset while a handler runs on it.
pub const AUTODISARM: u64 = 1 << 31;
const ONSTACK: u64 = 1;
const DISABLE: u64 = 2;
/// `MINSIGSTKSZ`.
const SMALLEST: u64 = 2048;

/// Whether a stack pointer is on it (`on_sig_stack` of the kernel).
fn on(stack: &[u64; 3], sp: u64) -> bool {
    stack[1] & AUTODISARM == 0 && sp > stack[0] && sp - stack[0] <= stack[2]
}

/// Whether a handler may be put at its top.
#[must_use]
pub fn free(stack: &[u64; 3], sp: u64) -> bool {
    stack[2] > 0 && !on(stack, sp)
}

/// Makes it another one.
///
/// # Errors
/// The error number.
pub fn set(agent: &mut Agent, sp: u64, new: [u64; 3]) -> Result<(), i64> {
    let flags = new[1] & 0xffff_ffff;
    if on(&agent.thread().signal_stack, sp) {
        return Err(errno::EPERM);
    }
    agent.thread().signal_stack = match flags & !AUTODISARM {
        DISABLE => [0, flags, 0],
        0 | ONSTACK if new[2] < SMALLEST => return Err(errno::ENOMEM),
        0 | ONSTACK => [new[0], flags, new[2]],
        _ => return Err(errno::EINVAL),
    };
    Ok(())
}

/// sigaltstack(2).
///
/// # Errors
/// The error number.
pub fn call(agent: &mut Agent, sp: u64, new: u64, old: u64) -> Result<(), i64> {
    let was = agent.thread().signal_stack;
    let state = match was[2] {
        0 => DISABLE,
        _ if on(&was, sp) => ONSTACK,
        _ => 0,
    };
    if new != 0 {
        let new = try_words(new).ok_or(errno::EFAULT)?;
        set(agent, sp, new)?;
    }
    if old != 0 && !try_put_words(old, &[was[0], state | was[1] & AUTODISARM, was[2]]) {
        return Err(errno::EFAULT);
    }
    Ok(())
}
