//! Process start: reads the command, sets the agent up, and enters the program.
//!
//! # Safety
//! This room may use `unsafe` to read the stack the kernel built for the agent, and to enter the program.
#![allow(unsafe_code)]

use crate::arch::entry;
use crate::diag::{self, say};
use crate::record::Recorder;
use crate::record::chaos;
use crate::record::exec::{self, Request};
use crate::record::log::{self, Log, Settings};
use crate::record::snapshot::Snapshots;
use crate::record::tree::Tree;
use crate::replay::events::Events;
use crate::replay::lineage::{self, Lineage};
use crate::replay::{self, Purpose, Replay};
use crate::signals::extended::Layout;
use crate::state::{self, Agent, Mode};
use crate::sys;
use crate::threads::{self, Thread};
use crate::{intercept, signals};
use alloc::boxed::Box;
use alloc::ffi::CString;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;
use rdb_trace::event::Fixed;
use rdb_trace::{Kind, Origin};

/// Exit status when the program could not even be started.
const FAILED: u32 = 125;
const USAGE: &str = "usage: record TRACE STORE EVERY SIZE STREAM PARENT follow|alone CHAOS -- PROGRAM ARG0 [ARG...] | replay TRACE FD | verify TRACE [stops]";

/// What the kernel gave the agent.
struct Given {
    args: Vec<Vec<u8>>,
    env: Vec<Vec<u8>>,
    auxv: Vec<(u64, u64)>,
}

/// Reads the initial stack.
///
/// # Safety
/// `sp` is the stack pointer the kernel entered the image with.
unsafe fn given(sp: *const u64) -> Given {
    // SAFETY: argc, argv, envp and auxv lie there as execve(2) lays them, each list ended by a null.
    unsafe {
        let string = |p: u64| core::ffi::CStr::from_ptr(p as *const core::ffi::c_char).to_bytes().to_vec();
        let mut at = sp.add(1);
        let mut list = || {
            let mut all = Vec::new();
            while *at != 0 {
                all.push(string(*at));
                at = at.add(1);
            }
            at = at.add(1);
            all
        };
        let args = list();
        let env = list();
        let mut auxv = Vec::new();
        while *at != 0 {
            auxv.push((*at, *at.add(1)));
            at = at.add(2);
        }
        Given { args, env, auxv }
    }
}

/// The agent's entry, called by `_start`.
///
/// # Safety
/// Called once, by `_start`, with the kernel's initial stack pointer, after [`crate::heap::AgentHeap::init`].
pub unsafe fn main(sp: *const u64) -> ! {
    // SAFETY: by the contract above.
    let given = unsafe { given(sp) };
    const AT_HWCAP2: u64 = 26;
    if !given.auxv.iter().any(|(t, v)| *t == AT_HWCAP2 && v & 2 != 0) {
        say!("this CPU or kernel does not allow FSGSBASE (Linux 5.9 or later on a CPU of 2013 or later is needed)");
        sys::exit_group(FAILED);
    }
    let arg = |i: usize| given.args.get(i).map_or(&b""[..], |a| a.as_slice());
    match arg(1) {
        b"record" => record(&given),
        b"replay" => serve(arg(2), number(arg(3))),
        b"verify" => verify(arg(2), arg(3) == b"stops"),
        _ => {
            say!("{USAGE}");
            sys::exit_group(2)
        }
    }
}

fn number(text: &[u8]) -> Option<u64> {
    core::str::from_utf8(text).ok()?.parse().ok()
}

/// Common set-up of both modes.
fn set_up(mode: Mode) -> &'static mut Agent {
    let agent = state::init(mode);
    agent.threads.push(Thread::new());
    if !threads::map_slot(0) {
        sys::exit_group(FAILED);
    }
    let (base, size) = threads::signal_stack(0);
    sys::set_signal_stack(base, size);
    threads::slot(0)
        .tid
        .store(sys::raw(sys::nr::GETTID, [0; 6]).cast_unsigned(), Ordering::SeqCst);
    signals::handlers::install();
    agent.cpu.probe();
    agent
}

fn intercept() {
    if let Err(e) = intercept::enable() {
        say!("this kernel has no Syscall User Dispatch (Linux 5.11 or later is needed; error {e})");
        sys::exit_group(FAILED);
    }
    intercept::trap_cpu(true);
}

fn record(given: &Given) -> ! {
    let a = &given.args;
    if a.len() < 13 || a[10] != b"--" {
        say!("{USAGE}");
        sys::exit_group(2);
    }
    let small = |i: usize| number(&a[i]).and_then(|n| u32::try_from(n).ok()).unwrap_or(0);
    let every = small(4);
    let tree = Tree::new(&a[2], &a[3], small(6), a[8] == b"follow");
    chaos::begin(number(&a[9]).unwrap_or(0), tree.stream);
    let origin = Origin {
        stream: tree.stream,
        pid: sys::pid() as u32,
        parent: small(7),
        forked: 0,
    };
    const F_GETFD: u64 = 1;
    // Closed at the start, it may become a file of the program's.
    let there = sys::fcntl(2, F_GETFD, 0) >= 0;
    diag::set_fd(if there { log::private_copy(2) } else { sys::NO_FD });
    // Inherited ignored signals and masks stay the program's.
    let agent = set_up(Mode::Record);
    agent.auxv.clone_from(&given.auxv);
    intercept::tsc::begin(&agent.auxv);
    agent.layout = Layout::here();
    let mut request = Request {
        path: a[11].clone(),
        args: a[12..].to_vec(),
        env: given.env.clone(),
    };
    let shown = alloc::string::String::from_utf8_lossy(&a[11]).into_owned();
    let fd = exec::resolve(&mut request).unwrap_or_else(|e| {
        say!("cannot run {shown} (error {e})");
        sys::exit_group(if e == sys::errno::ENOENT { 127 } else { 126 })
    });
    let folder = tree.folder(tree.stream);
    let path = CString::new([&folder[..], b"/events"].concat()).unwrap_or_default();
    // The first process's folder was made by whoever started us.
    let made = tree.stream == 0 || tree.make_files(tree.stream);
    let settings = Settings {
        verify_every: every,
        limit: number(&a[5]).filter(|n| *n > 0).unwrap_or(u64::MAX),
        cpu: intercept::cpu_here(),
    };
    let created = if made {
        Log::create(&path, &origin, &settings)
    } else {
        Err(sys::errno::EACCES)
    };
    let log = created.unwrap_or_else(|e| {
        if tree.stream != 0 {
            say!("process {} is not recorded (error {e}); it goes on", origin.pid);
            execute(&request);
        }
        say!(
            "cannot create the trace in {} (error {e})",
            alloc::string::String::from_utf8_lossy(&a[2])
        );
        sys::exit_group(FAILED)
    });
    let snapshots = Snapshots::new(&folder, &a[3]);
    agent.recorder = Some(Box::new(Recorder::new(log, snapshots, tree, u64::from(every))));
    let (mask, ignored) = inherited_signals();
    // Blocked by the agent that executed this one, see `process::execve`.
    let mask = mask & !(1 << (crate::record::preempt::NUDGE - 1));
    sys::set_mask(signals::kernel_mask(mask));
    set_signals(agent, mask, ignored);
    let args = [mask, ignored, agent.layout.map_or(0, Layout::bits), 0, 0, 0];
    let fix = Fixed {
        kind: Kind::Start,
        flags: 0,
        thread: 0,
        nr: 0,
        ret: 0,
        rip: 0,
        rsp: 0,
        args,
        registers: 0,
    };
    let started = exec::start(agent, &request, fd, fix);
    sys::close(fd);
    match started {
        Ok((entry, sp)) => {
            threads::token::acquire(0);
            crate::arch::dispatch::set_gs_base(threads::slot_address(0));
            intercept();
            // SAFETY: the program is loaded and its stack built; nothing here needs dropping.
            unsafe { entry::rdb_enter(entry, sp) }
        }
        Err(what) => {
            say!("cannot run {shown}: {what}");
            sys::exit_group(126)
        }
    }
}

/// Executes a program that cannot be recorded. Returns when it cannot be executed either.
fn execute(request: &Request) {
    let string = |b: &Vec<u8>| CString::new(b.clone()).unwrap_or_default();
    let strings = |all: &Vec<Vec<u8>>| -> Vec<CString> { all.iter().map(string).collect() };
    let pointers = |all: &[CString]| -> Vec<u64> { all.iter().map(|s| s.as_ptr() as u64).chain([0]).collect() };
    let (path, args, env) = (string(&request.path), strings(&request.args), strings(&request.env));
    let (argv, envp) = (pointers(&args), pointers(&env));
    sys::raw_agent_pointers(
        sys::nr::EXECVE,
        [path.as_ptr() as u64, argv.as_ptr() as u64, envp.as_ptr() as u64, 0, 0, 0],
    );
}

/// What execve(2) lets a program inherit: the mask, and which signals are ignored (bit `n-1` for signal `n`).
fn inherited_signals() -> (u64, u64) {
    let mut ignored = 0;
    for signal in (1..=64u64).filter(|s| !matches!(s, 9 | 19) && !signals::is_ours(*s)) {
        let mut old = [0u64; 4];
        sys::raw_agent_pointers(sys::nr::RT_SIGACTION, [signal, 0, old.as_mut_ptr() as u64, 8, 0, 0]);
        if old[0] == 1 {
            ignored |= 1 << (signal - 1);
        }
    }
    let mut mask = 0u64;
    sys::raw_agent_pointers(sys::nr::RT_SIGPROCMASK, [0, 0, (&raw mut mask) as u64, 8, 0, 0]);
    (mask, ignored)
}

fn set_signals(agent: &mut Agent, mask: u64, ignored: u64) {
    for signal in 1..=64u64 {
        agent.actions[signal as usize] = [ignored >> (signal - 1) & 1, 0, 0, 0];
    }
    threads::slot(0).mask.store(mask, Ordering::SeqCst);
}

fn open_trace(directory: &[u8], purpose: Purpose) -> &'static mut Agent {
    let agent = set_up(Mode::Replay);
    crate::memory::confine();
    if !crate::sandbox::enter() {
        say!("this kernel has no seccomp filters: the replay is not confined");
    }
    let (lineage, problem) = match lineage::open(directory) {
        Ok(lineage) => {
            if !lineage.cpu.trapped {
                // What was rewritten then is rewritten now; what was not asked the CPU and does so again.
                intercept::leave_cpuid();
                agent.cpu.untrapped = true;
            }
            let problem = replay::open::check_cpu(&lineage.cpu, &intercept::cpu_here()).err();
            (lineage, problem)
        }
        Err(text) => (
            Lineage {
                directory: directory.to_vec(),
                reader: Events::none(),
                branches: Vec::new(),
                cpu: rdb_trace::Cpu::default(),
            },
            Some(text),
        ),
    };
    agent.replay = Some(Box::new(Replay {
        directory: lineage.directory,
        reader: lineage.reader,
        branches: lineage.branches,
        before: 0,
        purpose,
        running: crate::orders::Running::default(),
        goal_event: u64::MAX,
        hashes: 0,
        readings: rdb_trace::Remaining::default(),
        sought: None,
        answers: replay::answers::Answers::default(),
        inline: crate::orders::inline::Evaluating::default(),
        probe: crate::orders::probe::Probe::default(),
        aliased: false,
        ended: false,
    }));
    if let Some(text) = problem {
        crate::orders::failed(agent, &text);
    }
    agent
}

fn enter(agent: &'static mut Agent) -> ! {
    let event = match agent.replay().reader.peek() {
        Ok(Some(e)) if e.fixed.kind == Kind::Start => e,
        Ok(Some(_)) => replay::damaged(agent, rdb_trace::RecordError::Malformed),
        Ok(None) => replay::ended(agent),
        Err(e) => replay::damaged(agent, e),
    };
    set_signals(agent, event.fixed.args[0], event.fixed.args[1]);
    agent.layout = Layout::from_bits(event.fixed.args[2]);
    let (entry, sp) = replay::apply::image(agent, &event);
    agent.replay().reader.pass();
    if let Ok(Some(next)) = agent.replay().reader.peek() {
        replay::readings::before(agent, &next);
        replay::schedule::rewrite_cpuid(agent, &next.fixed);
    }
    crate::orders::at_start(agent);
    intercept();
    // SAFETY: as in `record`.
    unsafe { entry::rdb_enter(entry, sp) }
}

fn serve(directory: &[u8], fd: Option<u64>) -> ! {
    let Some(fd) = fd else {
        say!("{USAGE}");
        sys::exit_group(2)
    };
    let agent = open_trace(directory, Purpose::Serve(crate::orders::Link::new(fd)));
    agent.host.wanted = true;
    enter(agent)
}

fn verify(directory: &[u8], stops: bool) -> ! {
    let agent = open_trace(directory, Purpose::Verify);
    agent.host.wanted = stops;
    enter(agent)
}
