//! What an event did to the program.

use super::{aliases, damaged, open};
use crate::context::Context;
use crate::layout::PROGRAM_END;
use crate::load;
use crate::memory::{self, placement};
use crate::record::exec as record_exec;
use crate::record::process::{clone_flag, clone_request};
use crate::signals;
use crate::state::{Agent, page_up};
use crate::sys::{self, map};
use crate::threads::{self, Thread, slot};
use alloc::string::String;
use core::sync::atomic::Ordering;
use rdb_trace::event::FIRST_ADDRESS;
use rdb_trace::{Event, RecordError, Tag};

/// Writes the bytes the event wrote.
///
/// A recording names memory of the program's alone: what lies elsewhere was not recorded but forged, and ends the replay.
pub fn effects(agent: &mut Agent, event: &Event<'_>) {
    for e in event.effects().filter(|e| e.target >= FIRST_ADDRESS) {
        if !memory::is_program(e.target, e.bytes.len() as u64) {
            let at = agent.replay().index();
            crate::orders::failed(
                agent,
                &alloc::format!("the trace is forged or damaged: event {at} writes to memory that is not the program's"),
            );
        }
        // What cannot be written was not written either: the span of an EFAULT.
        let _ = memory::try_copy_in(e.target, e.bytes);
    }
}

fn must(agent: &mut Agent, want: u64, got: i64, what: &str) {
    if got.cast_unsigned() != want {
        crate::orders::failed(agent, &alloc::format!("cannot map {what} at {want:#x} (error {})", -got));
    }
}

/// Makes the recorded mapping: shared becomes private, so that forks stay apart.
pub fn mmap(agent: &mut Agent, event: &Event<'_>) {
    let a = event.fixed.args;
    if event.fixed.ret <= 0 {
        return;
    }
    let at = event.fixed.ret.cast_unsigned();
    if at.checked_add(a[1]).is_none_or(|end| end > PROGRAM_END) {
        damaged(agent, RecordError::Malformed);
    }
    placement::mapped(agent, &a, at);
    const MAP_LOCKED: u64 = 0x2000;
    const MAP_HUGETLB: u64 = 0x4_0000;
    let flags = a[3] & !(map::SHARED | map::PRIVATE | map::FIXED_NOREPLACE | MAP_LOCKED | MAP_HUGETLB) | map::PRIVATE | map::FIXED;
    if a[3] & map::ANONYMOUS != 0 {
        let r = sys::mmap(at, a[1], a[2], flags, sys::NO_FD, 0);
        must(agent, at, r, "memory");
    } else if let Some(index) = event.tagged(Tag::File).and_then(|e| e.number()) {
        let fd = match open::snapshot(&agent.replay().directory, index) {
            Ok(fd) => fd,
            Err(text) => crate::orders::failed(agent, &text),
        };
        let r = sys::mmap(at, a[1], a[2], flags, fd, a[5]);
        sys::close(fd);
        must(agent, at, r, "a file");
        if a[5] == 0 {
            let path = event
                .tagged(Tag::Path)
                .map_or_else(String::new, |e| String::from_utf8_lossy(e.bytes).into_owned());
            agent.host.mapped(at, &path);
        }
    } else {
        let bytes = event.tagged(Tag::Content).map_or(&[][..], |e| e.bytes);
        let r = sys::mmap(
            at,
            a[1],
            map::READ | map::WRITE,
            map::PRIVATE | map::FIXED | map::ANONYMOUS,
            sys::NO_FD,
            0,
        );
        must(agent, at, r, "a shared file");
        if bytes.len() as u64 > page_up(a[1]) {
            damaged(agent, RecordError::Malformed);
        }
        memory::copy_in(at, bytes);
        sys::raw(sys::nr::MPROTECT, [at, page_up(a[1]), a[2], 0, 0, 0]);
        if let Some(list) = event.tagged(Tag::Aliases) {
            agent.replay().aliased = true;
            if !aliases::join(at, a[1], a[5], a[2], list.bytes) {
                crate::orders::failed(agent, "cannot map a file twice");
            }
        }
    }
}

/// Makes the fiber of a new thread or vfork child.
pub fn clone(agent: &mut Agent, context: &mut Context, event: &Event<'_>, number: u64) {
    effects(agent, event);
    let Some(n) = event.tagged(Tag::Thread).and_then(|e| e.number()) else {
        return;
    };
    let n = n as usize;
    let fits = match agent.threads.get(n) {
        Some(ended) => !ended.live,
        None => n == agent.threads.len() && threads::map_slot(n),
    };
    if !fits {
        damaged(agent, RecordError::Malformed);
    }
    let (flags, stack, _, ctid, tls) = clone_request(number, &event.fixed.args);
    let mut thread = Thread {
        vfork: flags & clone_flag::VFORK != 0,
        ..Thread::new()
    };
    thread.fs = if flags & clone_flag::SETTLS != 0 {
        tls
    } else {
        crate::arch::bases::fs_base()
    };
    if flags & clone_flag::CHILD_CLEARTID != 0 {
        thread.clear_tid = ctid;
    }
    thread.context = signals::frame::for_thread(n, context, stack);
    slot(n).mask.store(signals::mask(agent), Ordering::SeqCst);
    threads::put(&mut agent.threads, n, thread);
    agent.live += 1;
}

/// Loads the program of a start or execve event; entry and stack pointer.
pub fn image(agent: &mut Agent, event: &Event<'_>) -> (u64, u64) {
    let directory = agent.replay().directory.clone();
    let (Some(file), Some(sp)) = (
        event.tagged(Tag::File).and_then(|e| e.number()),
        event.effects().find(|e| e.target >= FIRST_ADDRESS).map(|e| e.target),
    ) else {
        damaged(agent, RecordError::Malformed)
    };
    if let Some(e) = event.tagged(Tag::Program) {
        agent.program = e.bytes.to_vec();
    }
    let interpreter = event.tagged(Tag::InterpreterFile).and_then(|e| e.number());
    let loaded = open::snapshot(&directory, file).and_then(|fd| {
        let loaded = load::load(agent, fd, &mut |_| open::snapshot(&directory, interpreter?).ok());
        sys::close(fd);
        loaded.map_err(|e| String::from(e.text()))
    });
    match loaded {
        Ok(l) => {
            let path = String::from_utf8_lossy(&agent.program).into_owned();
            agent.host.mapped(l.phdr & !4095, &path);
            if l.base != 0 {
                agent.host.mapped(l.base, "");
            }
            effects(agent, event);
            (l.entry, sp)
        }
        Err(text) => crate::orders::failed(agent, &text),
    }
}

/// execve of the replayed process.
pub fn exec(agent: &mut Agent, context: &mut Context, event: &Event<'_>) {
    agent.host.forget();
    record_exec::wipe(agent);
    let (entry, sp) = image(agent, event);
    record_exec::enter(agent, context, entry, sp);
}
