//! execve(2) in the recorded process: userland exec again, with `#!` scripts.

use crate::context::Context;
use crate::layout::PROGRAM_END;
use crate::load;
use crate::memory::{self, try_c_string, try_get};
use crate::signals;
use crate::state::Agent;
use crate::sys::{self, errno};
use alloc::ffi::CString;
use alloc::vec::Vec;
use rdb_trace::event::Fixed;
use rdb_trace::{Kind, Tag};

/// A program to be executed.
#[derive(Debug)]
pub struct Request {
    /// Path as given (for `AT_EXECFN`).
    pub path: Vec<u8>,
    /// Arguments.
    pub args: Vec<Vec<u8>>,
    /// Environment.
    pub env: Vec<Vec<u8>>,
}

/// Follows `#!` lines (execve(2)) to the program really executed; opens it.
///
/// # Errors
/// The error number.
pub fn resolve(request: &mut Request) -> Result<u64, i64> {
    for _ in 0..5 {
        let path = CString::new(request.path.clone()).map_err(|_| errno::ENOENT)?;
        let allowed = sys::raw(21, [path.as_ptr() as u64, 1, 0, 0, 0, 0]);
        if allowed < 0 {
            return Err(-allowed);
        }
        let fd = sys::open(&path, 0, 0);
        if fd < 0 {
            return Err(-fd);
        }
        let fd = fd.cast_unsigned();
        let mut head = [0u8; 256];
        let Ok(n) = usize::try_from(sys::pread(fd, &mut head, 0)) else {
            sys::close(fd);
            return Err(errno::EACCES); // a directory
        };
        let head = &head[..n];
        if head.starts_with(b"\x7fELF") {
            return Ok(fd);
        }
        sys::close(fd);
        let Some(line) = head.strip_prefix(b"#!") else {
            return Err(errno::ENOEXEC);
        };
        let line = line.split(|b| *b == b'\n').next().unwrap_or(line).trim_ascii();
        let (program, argument) = match line.iter().position(|b| b.is_ascii_whitespace()) {
            Some(i) => (&line[..i], line[i..].trim_ascii_start()),
            None => (line, &b""[..]),
        };
        if program.is_empty() {
            return Err(errno::ENOEXEC);
        }
        let script = core::mem::replace(&mut request.path, program.to_vec());
        let mut args = alloc::vec![program.to_vec()];
        if !argument.is_empty() {
            args.push(argument.to_vec());
        }
        args.push(script);
        args.extend(request.args.iter().skip(1).cloned());
        request.args = args;
    }
    Err(errno::ELOOP)
}

/// Loads the program, builds its stack and logs the event that lets replay do the same. Returns entry and stack pointer.
///
/// # Errors
/// What is wrong, for people.
pub fn start(agent: &mut Agent, request: &Request, fd: u64, mut fix: Fixed) -> Result<(u64, u64), &'static str> {
    let mut interpreter = None;
    let loaded = load::load(agent, fd, &mut |path| {
        let path = core::ffi::CStr::from_bytes_with_nul(path).ok()?;
        let fd = u64::try_from(sys::open(path, 0, 0)).ok()?;
        interpreter = CString::from(path).into();
        Some(fd)
    })
    .map_err(load::elf::LoadError::text)?;
    let auxv = core::mem::take(&mut agent.auxv);
    let sp = load::stack::build(&auxv, &loaded, &request.path, &request.args, &request.env);
    agent.auxv = auxv;
    let sp = sp.ok_or("arguments and environment are too long")?;
    set_program(agent, fd);
    agent.host.mapped(loaded.phdr & !4095, "");
    if loaded.base != 0 {
        agent.host.mapped(loaded.base, "");
    }
    let mut directory = [0u8; 4096];
    let n = usize::try_from(sys::getcwd(&mut directory)).unwrap_or(1).saturating_sub(1);
    let mut line = Vec::new();
    for a in &request.args {
        line.extend_from_slice(a);
        line.push(0);
    }
    let program = agent.program.clone();
    let r = agent.recorder();
    let file = r
        .snapshots
        .index(fd)
        .ok_or("its file cannot be copied into the trace (is the disk full?)")?;
    super::cpuid::loaded(agent, fd, loaded.bias);
    let r = agent.recorder();
    let ld = match interpreter {
        Some(path) => {
            let fd = sys::open(&path, 0, 0).cast_unsigned();
            let i = r.snapshots.index(fd);
            super::cpuid::loaded(agent, fd, loaded.base);
            sys::close(fd);
            Some(i.ok_or("its dynamic loader cannot be copied into the trace (is the disk full?)")?)
        }
        None => None,
    };
    fix.ret = 0;
    let mut record = agent
        .recorder()
        .log
        .event(fix)
        .bytes(Tag::Program, &program)
        .bytes(Tag::Directory, &directory[..n])
        .bytes(Tag::Arguments, &line)
        .bytes(Tag::File, &file.to_le_bytes());
    if let Some(i) = ld {
        record = record.bytes(Tag::InterpreterFile, &i.to_le_bytes());
    }
    record
        .program(&[crate::syscalls::Span {
            addr: sp,
            len: crate::layout::STACK_TOP - sp,
        }])
        .done();
    Ok((loaded.entry, sp))
}

/// Remembers the absolute path of the executed program.
fn set_program(agent: &mut Agent, fd: u64) {
    let mut path = [0u8; 4096];
    if let Ok(link) = CString::new(alloc::format!("/proc/self/fd/{fd}")) {
        let n = usize::try_from(sys::readlink(&link, &mut path)).unwrap_or(0);
        agent.program = path[..n].to_vec();
        agent.program_c = CString::new(&path[..n]).unwrap_or_default();
        let base = agent.program.rsplit(|b| *b == b'/').next().unwrap_or(b"");
        sys::name_process(base);
    }
}

/// The strings of an argument or environment vector; a null one is empty.
fn strings(mut at: u64) -> Result<Vec<Vec<u8>>, i64> {
    /// `MAX_ARG_STRLEN`.
    const LONGEST: usize = 32 * 4096;
    let mut all = Vec::new();
    let mut total = 0;
    while at != 0 {
        let p = try_get(at).ok_or(errno::EFAULT)?;
        if p == 0 {
            break;
        }
        let string = try_c_string(p, LONGEST, errno::E2BIG)?;
        total += string.len() + 9;
        if total as u64 > crate::layout::STACK_SIZE / 2 {
            return Err(errno::E2BIG);
        }
        all.push(string);
        at += 8;
    }
    Ok(all)
}

/// Whether the path at `path` can be executed at all.
///
/// # Errors
/// The error number.
pub fn check(agent: &Agent, path: u64) -> Result<(), i64> {
    let mut request = Request {
        path: named(agent, path)?,
        args: Vec::new(),
        env: Vec::new(),
    };
    resolve(&mut request).map(|fd| {
        sys::close(fd);
    })
}

/// The path of a program to be executed; the program's own name for itself leads to the agent otherwise.
///
/// # Errors
/// The error number.
pub fn named(agent: &Agent, path: u64) -> Result<Vec<u8>, i64> {
    if super::files::is_own_exe(path) {
        return Ok(agent.program.clone());
    }
    try_c_string(path, 4096, errno::ENAMETOOLONG)
}

/// Whether a file is a 64-bit program for this machine.
fn is_native(fd: u64) -> bool {
    let mut magic = [0u8; 20];
    sys::pread(fd, &mut magic, 0) == 20 && magic[4] == 2 && magic[18] == 62
}

/// Whether the agent can load a file as the kernel would: not where it would get other rights with it.
#[must_use]
pub fn can_be_loaded(fd: u64) -> bool {
    const SET_ID: u64 = 0o6000;
    // `st_mode` is the low half of the fourth word.
    is_native(fd) && sys::fstat(fd).is_ok_and(|st| st[3] & SET_ID == 0)
}

/// execve(2) of the only thread.
///
/// # Errors
/// The error number; the old program is then untouched.
pub fn exec(agent: &mut Agent, context: &mut Context, fix: Fixed, a: &[u64; 6]) -> Result<(), i64> {
    let mut request = Request {
        path: named(agent, a[0])?,
        args: strings(a[1])?,
        env: strings(a[2])?,
    };
    let fd = resolve(&mut request)?;
    if !is_native(fd) {
        sys::close(fd);
        return Err(errno::ENOEXEC);
    }
    close_on_exec(agent, fd);
    agent.host.forget();
    wipe(agent);
    // From here on there is no old program to return to.
    let fix = Fixed {
        kind: Kind::Syscall,
        ..fix
    };
    match start(agent, &request, fd, fix) {
        Ok((entry, sp)) => {
            sys::close(fd);
            enter(agent, context, entry, sp);
            Ok(())
        }
        Err(what) => {
            crate::diag::say!("execve of {}: {what}", alloc::string::String::from_utf8_lossy(&request.path));
            agent.recorder().end(rdb_trace::End::Unsupported(sys::nr::EXECVE as u32));
            sys::exit_group(126)
        }
    }
}

/// Closes what execve closes, except the agent's own descriptors and that of the program to be loaded.
fn close_on_exec(agent: &mut Agent, program: u64) {
    let own = [agent.recorder().log.fd(), crate::diag::fd(), program];
    for fd in (0..4096).filter(|fd| !own.contains(fd)) {
        const F_GETFD: u64 = 1;
        if sys::fcntl(fd, F_GETFD, 0) == 1 {
            sys::close(fd);
            agent.recorder().outputs.closed(fd, fd);
        }
    }
}

/// Removes the old program from memory and resets what execve resets (both modes).
pub fn wipe(agent: &mut Agent) {
    super::sharing::leave(agent);
    sys::munmap(0x1_0000, PROGRAM_END - 0x1_0000);
    agent.sites.clear();
    crate::intercept::tsc::again();
    agent.mmap_next = crate::layout::MMAP_TOP;
    agent.brk = crate::layout::BRK_BASE;
    agent.brk_mapped = crate::layout::BRK_BASE;
    for signal in 1..=64u64 {
        if agent.actions[signal as usize][0] > 1 {
            agent.actions[signal as usize] = [0; 4];
            if agent.mode == crate::state::Mode::Record {
                signals::install(signal, &[0; 4]);
            }
        }
    }
    let t = agent.thread();
    t.signal_stack = signals::alt_stack::NONE;
    t.robust_list = 0;
    t.clear_tid = 0;
}

/// Makes the interrupted context start the new program.
pub fn enter(agent: &mut Agent, context: &mut Context, entry: u64, sp: u64) {
    context.set_registers(&[0; 16]);
    context.rsp = sp;
    context.rip = entry;
    context.eflags = 0x202;
    signals::frame::clear_fp(context);
    crate::arch::bases::set_fs_base(0);
    agent.thread().fs = 0;
    let _ = memory::get::<u64>(sp);
}
