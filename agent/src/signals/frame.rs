//! Signal frames on the program's stack, as the kernel builds them (arch/x86/kernel/signal_64.c).
//!
//! # Safety
//! This room may use `unsafe` to read and write FP state in kernel-made signal frames, which lie in agent memory and whose
//! size the frame itself tells.
#![allow(unsafe_code)]

use super::{alt_stack, flag, set_mask};
use crate::context::{CONTEXT_SIZE, Context};
use crate::memory;
use crate::state::Agent;
use alloc::vec;

/// `FP_XSTATE_MAGIC1` (asm/sigcontext.h), at byte 464 of the FP state; its whole size follows.
const MAGIC: u32 = 0x4650_5853;

/// [`Context::link`] of a context whose FP state is still in the registers: it was made by a patched system call site.
pub const FAST: u64 = 1;

/// The FP state of a context in its frame: an XSAVE area, or nothing.
pub fn fp_bytes(context: &mut Context) -> &'static mut [u8] {
    save_fp(context);
    fp_area(context)
}

fn fp_area(context: &Context) -> &'static mut [u8] {
    let at = context.fp_state;
    if at == 0 {
        return &mut [];
    }
    // SAFETY: the kernel made this frame on one of our signal stacks (or `prepare_fast` copied it); the size word is its own.
    unsafe {
        let extended = ((at + 464) as *const u32).read() == MAGIC;
        let len = if extended {
            ((at + 468) as *const u32).read() as usize
        } else {
            512
        };
        core::slice::from_raw_parts_mut(at as *mut u8, len)
    }
}

/// Moves the FP state of a fast context from the registers into its frame. Agent code never uses FP registers, so what is in
/// them is the thread's that entered last.
pub fn save_fp(context: &mut Context) {
    if context.link != FAST {
        return;
    }
    context.link = 0;
    // SAFETY: the area was copied from a frame of the kernel's, so it has room for what its mask (byte 472) names.
    unsafe {
        let mask = ((context.fp_state + 472) as *const u64).read();
        crate::arch::entry::rdb_save_fp(context.fp_state, mask);
    }
}

/// Makes a slot ready for patched system call sites: what the kernel puts into a frame beside the registers is taken from `model`.
pub fn prepare_fast(n: usize, model: &Context) {
    let area = fp_area(model);
    let extended = area.len() > 520;
    if !extended || area.len() as u64 > crate::threads::FAST_FP_SIZE {
        return; // never patched then: see `patch::consider`
    }
    let (at, fp_at) = crate::threads::fast_places(n);
    let mut context = *model;
    context.fp_state = fp_at;
    // rt_sigreturn(2) makes this the thread's signal stack.
    let (base, size) = crate::threads::signal_stack(n);
    context.stack = [base, 0, size];
    // SAFETY: both places lie in the slot and are for this alone.
    unsafe {
        core::ptr::copy_nonoverlapping(area.as_ptr(), fp_at as *mut u8, area.len());
        (at as *mut Context).write(context);
    }
    crate::threads::slot(n)
        .fast_context
        .store(at, core::sync::atomic::Ordering::Relaxed);
}

/// Makes `context` enter the handler of `signal`, with a frame on the program's stack. False, and nothing changed, when there is
/// no memory for the frame: the program then dies of SIGSEGV.
#[must_use]
pub fn push(agent: &mut Agent, context: &mut Context, signal: u64, info: &[u8; 128], saved_mask: u64) -> bool {
    let action = agent.actions[signal as usize];
    let alt = agent.thread().signal_stack;
    let mut sp = context.rsp.wrapping_sub(128);
    if action[1] & flag::ONSTACK != 0 && alt_stack::free(&alt, context.rsp) {
        sp = alt[0].wrapping_add(alt[2]);
    }
    let fp = match agent.layout {
        Some(layout) if context.fp_state != 0 => &layout.shown(fp_bytes(context))[..],
        _ => &*fp_bytes(context),
    };
    let fp_at = sp.wrapping_sub(fp.len() as u64) & !63;
    // struct rt_sigframe: return address, ucontext, siginfo.
    let frame = (fp_at.wrapping_sub(8 + CONTEXT_SIZE + 128) & !15).wrapping_sub(8);
    let mut saved = *context;
    saved.stack = alt;
    saved.link = 0;
    saved.fp_state = if fp.is_empty() { 0 } else { fp_at };
    saved.mask = saved_mask;
    saved.error = 0;
    saved.trap = 0;
    saved.old_mask = 0;
    saved.cr2 = 0;
    let written = memory::try_copy_in(fp_at, fp)
        && memory::try_put_words(frame, &[action[2]])
        && memory::try_copy_in(frame + 8, context_bytes(&saved))
        && memory::try_copy_in(frame + 8 + CONTEXT_SIZE, info);
    if !written {
        return false;
    }
    if alt[1] & alt_stack::AUTODISARM != 0 {
        agent.thread().signal_stack = alt_stack::NONE;
    }
    context.rdi = signal;
    context.rsi = frame + 8 + CONTEXT_SIZE;
    context.rdx = frame + 8;
    context.rax = 0;
    context.rsp = frame;
    context.rip = action[0];
    context.eflags &= !0x1_0500; // TF, DF, RF
    let mut blocked = super::mask(agent) | action[3];
    if action[1] & flag::NODEFER == 0 {
        blocked |= 1 << (signal - 1);
    }
    set_mask(agent, context, blocked);
    if action[1] & flag::RESETHAND != 0 {
        agent.actions[signal as usize][0] = 0;
        if agent.mode == crate::state::Mode::Record {
            super::install(signal, &agent.actions[signal as usize]);
        }
    }
    true
}

/// rt_sigreturn(2): back to where the frame at the stack pointer came from. False when there is none: the program then dies of
/// SIGSEGV.
#[must_use]
pub fn pop(agent: &mut Agent, context: &mut Context) -> bool {
    let at = context.rsp;
    let mut saved = *context;
    if !memory::try_copy_out(at, context_bytes_mut(&mut saved)) {
        return false;
    }
    let (fp_from, mask) = (saved.fp_state, saved.mask);
    if fp_from != 0 && !take_fp(agent, context, fp_from) {
        return false;
    }
    let (stack, rsp) = (saved.stack, saved.rsp);
    let keep = *context;
    *context = saved;
    if agent.sites.is_patched_at(saved.rip) {
        agent.sites.restarting(saved.rip);
    }
    context.flags = keep.flags;
    context.link = keep.link;
    context.stack = keep.stack;
    context.segments = keep.segments;
    context.fp_state = keep.fp_state;
    context.reserved = keep.reserved;
    context.mask = keep.mask;
    context.eflags = keep.eflags & !0x5_0dd5 | saved.eflags & 0x5_0dd5; // FIX_EFLAGS
    set_mask(agent, context, mask);
    // A refusal changes nothing, as in the kernel.
    let _ = alt_stack::set(agent, rsp, stack);
    true
}

/// The FP state of a frame at an address; false when it cannot be read.
fn take_fp(agent: &Agent, context: &mut Context, from: u64) -> bool {
    let Some(layout) = agent.layout.filter(|_| context.fp_state != 0) else {
        return memory::try_copy_out(from, fp_bytes(context));
    };
    let mut shown = vec![0; layout.shown_size()];
    let there = memory::try_copy_out(from, &mut shown);
    if there {
        layout.take(fp_bytes(context), &shown);
    }
    there
}

/// A frame in the slot from which a new thread starts: `context` with another stack and result 0. Returns its address. It lies
/// on no stack: signals may arrive before it is used.
#[must_use]
pub fn for_thread(slot: usize, context: &mut Context, rsp: u64) -> u64 {
    let (base, size) = crate::threads::signal_stack(slot);
    let fp = fp_bytes(context);
    // The FP state's place is that of fast contexts, of which there is none before the thread runs.
    let (at, fp_at) = (crate::threads::start_context(slot), crate::threads::fast_places(slot).1);
    let mut new = *context;
    new.fp_state = if fp.is_empty() { 0 } else { fp_at };
    new.stack = [base, 0, size];
    new.rax = 0;
    if rsp != 0 {
        new.rsp = rsp;
    }
    // SAFETY: both ranges lie in the new thread's slot, which nothing uses yet; FP state is below 0x4000 bytes.
    unsafe {
        core::ptr::copy_nonoverlapping(fp.as_ptr(), fp_at as *mut u8, fp.len().min(crate::threads::FAST_FP_SIZE as usize));
        (at as *mut Context).write(new);
    }
    prepare_fast(slot, context);
    at
}

/// Clears FP state to its initial value, as execve(2) does.
pub fn clear_fp(context: &mut Context) {
    let fp = fp_bytes(context);
    if fp.len() > 520 {
        fp[512..520].fill(0); // XSTATE_BV = 0: every component initial
    }
}

fn context_bytes(c: &Context) -> &[u8] {
    // SAFETY: `Context` is words without padding.
    unsafe { core::slice::from_raw_parts((&raw const *c).cast(), CONTEXT_SIZE as usize) }
}

fn context_bytes_mut(c: &mut Context) -> &mut [u8] {
    // SAFETY: as above, and any bit pattern is valid.
    unsafe { core::slice::from_raw_parts_mut((&raw mut *c).cast(), CONTEXT_SIZE as usize) }
}
