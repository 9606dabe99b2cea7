//! The whole scheduler of replay: the next event's thread runs.
//!
//! # Safety
//! This room may use `unsafe` to leave the present stack for a fiber's saved context.
#![allow(unsafe_code)]

use super::{apply, damaged, ended};
use crate::arch::{bases, entry};
use crate::context::Context;
use crate::signals;
use crate::state::Agent;
use crate::sys::nr;
use crate::threads::slot;
use core::sync::atomic::Ordering;
use rdb_trace::event::Fixed;
use rdb_trace::{Kind, Tag};

/// The saved context of a fiber.
fn context_of(agent: &Agent, thread: usize) -> Option<&'static mut Context> {
    let at = agent.threads.get(thread)?.context;
    // SAFETY: a fiber that does not run has its context on its own slot, where nothing else lives.
    (at != 0).then(|| unsafe { &mut *(at as *mut Context) })
}

/// Where the CPU cannot trap CPUID and that is what the program executes next: it is where the event says.
pub fn rewrite_cpuid(agent: &mut Agent, next: &Fixed) {
    if next.kind == Kind::Cpuid && agent.cpu.untrapped {
        agent.sites.trap_cpuid(next.rip);
    }
}

/// Carries out events that need no program code, then resumes the fiber whose event is next.
pub fn next(agent: &'static mut Agent) -> ! {
    // The call just made may have changed it (arch_prctl, execve).
    agent.thread().fs = bases::fs_base();
    let entered = agent.current;
    loop {
        let event = match agent.replay().reader.peek() {
            Ok(Some(e)) => e,
            Ok(None) => ended(agent),
            Err(e) => damaged(agent, e),
        };
        let f = event.fixed;
        let thread = f.thread as usize;
        let Some(context) = context_of(agent, thread) else {
            damaged(agent, rdb_trace::RecordError::Malformed)
        };
        match f.kind {
            Kind::Hash => crate::orders::check_hash(agent, f.ret.cast_unsigned()),
            Kind::Changed => apply::effects(agent, &event),
            Kind::Complete => {
                if let (nr::VFORK | nr::CLONE, Some(child)) = (u64::from(f.nr), event.tagged(Tag::Thread).and_then(|e| e.number())) {
                    agent.live -= 1;
                    if let Some(t) = agent.threads.get_mut(child as usize) {
                        t.live = false;
                    }
                }
                apply::effects(agent, &event);
                context.set_return(f.ret);
            }
            Kind::Signal => {
                agent.current = thread;
                if f.flags & 1 != 0 {
                    context.rip -= 2;
                    context.rax = f.args[0];
                    agent.sites.restarting(context.rip);
                }
                let mut info = [0u8; 128];
                if let Some(e) = event.tagged(Tag::SignalInfo) {
                    let n = e.bytes.len().min(128);
                    info[..n].copy_from_slice(&e.bytes[..n]);
                }
                slot(thread).mask.store(f.args[2], Ordering::SeqCst);
                if f.nr == 0 || f.nr > 64 {
                    damaged(agent, rdb_trace::RecordError::Malformed);
                }
                if !signals::frame::push(agent, context, u64::from(f.nr), &info, f.args[1]) {
                    agent.replay().reader.pass();
                    crate::intercept::no_frame(agent, context);
                }
            }
            _ => {
                if thread != entered
                    && let Some(left) = context_of(agent, entered)
                {
                    signals::frame::save_fp(left);
                }
                super::readings::before(agent, &event);
                super::ticks::set_goal(agent, &f);
                super::preempt::seek(agent, &event);
                rewrite_cpuid(agent, &f);
                agent.current = thread;
                agent.host.run_thread(thread);
                bases::set_fs_base(agent.threads[thread].fs);
                entry::RDB_FAST_CONTEXT.store(slot(thread).fast_context.load(Ordering::Relaxed), Ordering::Relaxed);
                let at = (&raw const *context) as u64;
                // SAFETY: the context is a whole frame on the fiber's slot, its FP state there or, of a fast one that never left, in the
                // registers; nothing on this stack needs dropping.
                unsafe {
                    if context.link == signals::frame::FAST {
                        entry::rdb_fast_return(at)
                    }
                    entry::rdb_resume(at)
                }
            }
        }
        agent.replay().reader.pass();
    }
}
