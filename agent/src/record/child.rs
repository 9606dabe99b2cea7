//! Processes made by fork and by exec that are recorded, too.
//!
//! A forked child has its parent's memory, agent and all: it opens a log of its own and goes on. Its replay is its parent's up to the
//! fork. A program executed by a vfork child, or over several threads, is started by a fresh agent, which begins a stream as the first
//! one began.

use super::log::Log;
use super::process::{clone_flag, let_go};
use super::snapshot::Snapshots;
use crate::context::Context;
use crate::state::Agent;
use crate::sys::{self, errno, nr};
use crate::threads::{Thread, slot, token};
use crate::{intercept, memory};
use alloc::ffi::CString;
use alloc::format;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;
use rdb_trace::{End, Origin};

/// What a fork asks for: flags, stack, parent tid, child tid, thread pointer.
pub type Request = (u64, u64, u64, u64, u64);

/// The forked child's first steps. `forked` is the ordinal of its parent's event. Where it cannot be recorded it is let go.
pub fn begin(agent: &mut Agent, context: &mut Context, stream: Option<u32>, forked: u64, request: Request) {
    let own_files = request.0 & clone_flag::FILES == 0;
    if stream.is_some() && request.0 & clone_flag::VFORK == 0 {
        await_parent(agent, forked);
    }
    match stream.filter(|_| own_files) {
        Some(stream) => {
            if let Err(e) = open_stream(agent, stream, forked) {
                crate::diag::say!("process {} is not recorded (error {e}); it goes on", sys::pid());
                return let_go(agent, context, false);
            }
        }
        None => return let_go(agent, context, own_files),
    }
    become_child(agent, request);
    token::reset(agent.current);
    // The kernel has dropped both at the fork.
    if let Err(e) = intercept::enable() {
        crate::diag::say!("process {} is not recorded (error {e}); it goes on", sys::pid());
        return let_go(agent, context, true);
    }
    intercept::trap_cpu(true);
    super::sharing::forked(agent);
}

fn open_stream(agent: &mut Agent, stream: u32, forked: u64) -> Result<(), i64> {
    let r = agent.recorder();
    let origin = Origin {
        stream,
        pid: sys::pid() as u32,
        parent: r.tree.stream,
        forked,
    };
    let settings = r.log.settings();
    r.log.abandon(true);
    let folder = r.tree.folder(stream);
    if !r.tree.make_files(stream) {
        return Err(errno::EACCES);
    }
    let path = CString::new([&folder[..], b"/events"].concat()).map_err(|_| errno::EINVAL)?;
    r.log = Log::create(&path, &origin, &settings)?;
    r.snapshots = Snapshots::new(&folder, &r.tree.store);
    r.tree.become_child(stream);
    super::chaos::begin(super::chaos::seed(), stream);
    Ok(())
}

/// Until the parent has told of the fork: a child that had done something by then, whose parent was killed before, could not be replayed.
/// Not for ever: who is stopped or killed right now tells later or never.
fn await_parent(agent: &mut Agent, forked: u64) {
    const GETPPID: u64 = 110;
    /// Half a second in all, most of it asleep.
    const ROUNDS: u64 = 10_000;
    const ROUND: u64 = 50_000;
    let parent = sys::raw(GETPPID, [0; 6]);
    for round in 0..ROUNDS {
        if agent.recorder().log.counted() > forked || sys::raw(GETPPID, [0; 6]) != parent {
            return;
        }
        if round < ROUNDS / 100 {
            sys::raw(nr::SCHED_YIELD, [0; 6]);
        } else {
            sys::sleep(ROUND);
        }
    }
}

/// What a fork does to what the agent knows of the process (both modes): one thread is left, with nothing pending.
pub fn become_child(agent: &mut Agent, (flags, _, _, ctid, _): Request) {
    let me = agent.current;
    for n in 0..agent.threads.len() {
        let s = slot(n);
        s.nothing_pending();
        s.apart.store(false, Ordering::SeqCst);
        // Timers are not inherited (timer_create(2)).
        s.forget_timer(false);
        if n == me {
            s.tid.store(sys::raw(nr::GETTID, [0; 6]).cast_unsigned(), Ordering::SeqCst);
        } else {
            agent.threads[n] = Thread {
                live: false,
                bounce: agent.threads[n].bounce,
                ..Thread::new()
            };
            s.tid.store(0, Ordering::SeqCst);
            s.kernel.store(0, Ordering::SeqCst);
        }
    }
    agent.live = 1;
    let thread = agent.thread();
    thread.vfork = false;
    thread.robust_list = 0;
    thread.clear_tid = if flags & clone_flag::CHILD_CLEARTID != 0 { ctid } else { 0 };
}

/// Where a forked child goes on (both modes, recorded or not).
pub fn start_at(context: &mut Context, (flags, stack, _, _, tls): Request) {
    if flags & clone_flag::SETTLS != 0 {
        crate::arch::bases::set_fs_base(tls);
    }
    if stack != 0 {
        context.rsp = stack;
    }
    context.set_return(0);
}

/// Prepares a fresh agent to execute the program that `a`, the arguments of an execve(2), names. `None` where that cannot be recorded:
/// the call is to be made as it is.
pub fn executor(agent: &mut Agent, a: &[u64; 6]) -> Option<Executor> {
    if !agent.recorder().tree.follow || !agent.recorder().log.is_open() {
        return None;
    }
    let path = super::exec::named(agent, a[0]).ok()?;
    let mut request = super::exec::Request {
        path: path.clone(),
        args: Vec::new(),
        env: Vec::new(),
    };
    let fd = super::exec::resolve(&mut request).ok()?;
    let fits = super::exec::can_be_loaded(fd);
    sys::close(fd);
    if !fits {
        return None;
    }
    let mut given = Vec::new();
    let mut at = a[1];
    while at != 0 {
        match memory::try_get::<u64>(at)? {
            0 => break,
            p => given.push(p),
        }
        at += 8;
    }
    let r = agent.recorder();
    let stream = r.tree.claim()?;
    let text = |t: alloc::string::String| CString::new(t).unwrap_or_default();
    let strings = [
        c"rdb-agent".into(),
        c"record".into(),
        CString::new(r.tree.root.clone()).ok()?,
        CString::new(r.tree.store.clone()).ok()?,
        text(format!("{}", r.verify_every)),
        text(format!("{}", r.log.settings().limit)),
        text(format!("{stream}")),
        text(format!("{}", r.tree.stream)),
        c"follow".into(),
        text(format!("{}", super::chaos::seed())),
        c"--".into(),
        CString::new(path).ok()?,
    ];
    let mut pointers: Vec<u64> = strings.iter().map(|s: &CString| s.as_ptr() as u64).collect();
    // execve(2): a program always has a name.
    pointers.push(given.first().copied().unwrap_or(c"".as_ptr() as u64));
    pointers.extend(given.iter().skip(1));
    pointers.push(0);
    Some(Executor {
        stream,
        _strings: strings,
        pointers,
        environment: a[2],
    })
}

/// A prepared execve of the agent's own image.
#[derive(Debug)]
pub struct Executor {
    /// The stream the program will write.
    pub stream: u32,
    _strings: [CString; 12],
    pointers: Vec<u64>,
    environment: u64,
}

impl Executor {
    /// Executes. Returns only on failure.
    pub fn run(&self) -> i64 {
        let image = c"/proc/self/exe".as_ptr() as u64;
        sys::raw_agent_pointers(nr::EXECVE, [image, self.pointers.as_ptr() as u64, self.environment, 0, 0, 0])
    }
}

/// A wait(2) returned: a child that a signal ended could not write the end of its log itself.
pub fn after_wait(agent: &mut Agent, number: u64, args: &[u64; 6], ret: i64) {
    const NOWAIT: u64 = 0x0100_0000;
    const KILLED: u32 = 2;
    const DUMPED: u32 = 3;
    let word = |at: u64| memory::try_get::<u32>(at);
    let (pid, signal) = if number == nr::WAITID {
        if ret != 0 || args[2] == 0 || args[3] & NOWAIT != 0 {
            return;
        }
        // siginfo_t: code, pid, status.
        let (Some(code), Some(pid), Some(status)) = (word(args[2] + 8), word(args[2] + 12), word(args[2] + 24)) else {
            return;
        };
        (pid, if code == KILLED || code == DUMPED { status } else { 0 })
    } else {
        let (Ok(pid), Some(status)) = (u32::try_from(ret), word(args[1])) else {
            return;
        };
        let stopped = status & 0xff == 0x7f || status == 0xffff;
        if stopped {
            return;
        }
        (pid, status & 0x7f)
    };
    let tree = &mut agent.recorder().tree;
    if let Some(stream) = tree.waited(pid)
        && signal != 0
        && let Ok(path) = CString::new([&tree.folder(stream)[..], b"/events"].concat())
    {
        super::log::close_killed(&path, End::Signalled(signal));
    }
}
