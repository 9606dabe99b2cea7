//! Preloaded into an interpreter: installs stop points as the agent does in replay, and logs them to the file named by
//! `RDB_LOG`. With `RDB_MODE=sequence` each stop point calls the hook and is logged; `split` likewise, but fused pairs are
//! taken apart where the second half is a stop point; with `total` the hook is not called, and only the count is logged; with `ticks`
//! there are no stop points, only ticks, as while recording. `RDB_BREAK` holds breakpoints: `function` or `file:line`, separated by commas; hits are logged to stderr.

use rdb_agent::interpreters::Registers;
use rdb_agent::interpreters::cpython::{Located, Places, Reason, Stops, Ticks, Trap, recognise};
use rdb_protocol::replay::Breakpoint;
use rdb_protocol::{BreakpointPlace, StopKind};
use std::ffi::{c_int, c_void};
use std::sync::{Mutex, OnceLock};

/// The program as the kernel places it without ASLR in the legacy layout (`setarch -R -L`).
const PLACES: Places = Places {
    shadow: 0x2000_0000_0000,
    code: &[
        (0, 1 << 32),
        (0x2aaa_0000_0000, 0x2b00_0000_0000),
        (0x5550_0000_0000, 0x5680_0000_0000),
    ],
};

static LOG: Mutex<Vec<u64>> = Mutex::new(Vec::new());
static TICKS: OnceLock<Ticks> = OnceLock::new();

/// Register order of `gregs` (sys/ucontext.h) as encoding numbers.
const ORDER: [usize; 15] = [8, 9, 10, 11, 12, 13, 14, 15, 7, 6, 5, 3, 2, 0, 1];

extern "C" fn trapped(_: c_int, _: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: the kernel passes a ucontext to SA_SIGINFO handlers.
    let gregs = unsafe { &mut (*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs };
    let mut registers: Registers = [0; 16];
    for (greg, register) in ORDER.into_iter().enumerate() {
        registers[register] = gregs[greg].cast_unsigned();
    }
    registers[4] = gregs[15].cast_unsigned();
    let mut rip = gregs[16].cast_unsigned();
    // SAFETY: program code trapped, so no Rust code of ours is running.
    let ours = unsafe { Stops::installed() }.is_some_and(|stops| stops.on_trap(&mut rip, &mut registers) == Trap::Ours);
    if !ours {
        eprintln!("harness: foreign trap at {rip:#x}");
        std::process::abort();
    }
    for (greg, register) in ORDER.into_iter().enumerate() {
        gregs[greg] = registers[register].cast_signed();
    }
    gregs[15] = registers[4].cast_signed();
    gregs[16] = rip.cast_signed();
}

fn hash(text: &str) -> u64 {
    u64::from(
        text.bytes()
            .fold(2_166_136_261_u32, |h, b| (h ^ u32::from(b)).wrapping_mul(16_777_619)),
    )
}

fn stopped(stops: &mut Stops, reason: Reason) {
    let mode = std::env::var("RDB_MODE").unwrap_or_default();
    let sequence = mode != "total";
    match reason {
        Reason::Stop { goal, breakpoints, .. } => {
            let location = stops.location().expect("a stop has a location");
            if !breakpoints.is_empty() {
                let frames: Vec<String> = stops.frames(3).into_iter().map(|f| format!("{}:{}", f.function, f.line)).collect();
                eprintln!(
                    "hit {breakpoints:?} at {} {}:{} thread {} {frames:?}",
                    stops.time(),
                    location.file,
                    location.line,
                    stops.thread_state().is_some()
                );
            }
            if goal && mode == "split" && stops.stop().is_some_and(|s| s.second_half) {
                stops.split();
                return;
            }
            if goal && sequence {
                let kind: u64 = match location.kind {
                    StopKind::Line => 0,
                    StopKind::Return | StopKind::Yield => 1,
                    StopKind::Unwind => 2,
                    StopKind::Instruction => unreachable!("nobody steps by instructions"),
                };
                let mut log = LOG.lock().unwrap();
                log.push(kind << 56 | u64::from(location.line) << 32 | hash(&location.file));
                assert_eq!(log.len() as u64, stops.time(), "one call of the hook for each stop point");
                drop(log);
                stops.set_goal(Some(stops.time() + 1));
            }
        }
        Reason::Instruction => {}
        Reason::MainDone => eprintln!("harness: main done at {}", stops.time()),
    }
}

extern "C" fn finish() {
    if let Some(ticks) = TICKS.get() {
        eprintln!("harness: ticks {}", ticks.count());
    }
    // SAFETY: at exit, from libc.
    if let Some(stops) = unsafe { Stops::installed() } {
        let bytes: Vec<u8> = LOG.lock().unwrap().iter().flat_map(|w| w.to_le_bytes()).collect();
        if let Some(path) = std::env::var_os("RDB_LOG") {
            std::fs::write(path, bytes).expect("the log can be written");
        }
        if let Some(why) = stops.failure() {
            eprintln!("harness: gave up: {}", why.reason);
        }
        if std::env::var_os("RDB_SOURCES").is_some() {
            for source in stops.sources() {
                eprintln!("source {} {:?} {:?}", source.file, source.lines, source.functions);
            }
        }
        eprintln!(
            "harness: {} total {} code objects {}",
            stops.name(),
            stops.time(),
            stops.code_objects()
        );
    }
}

extern "C" fn object(info: *mut libc::dl_phdr_info, _: usize, found: *mut c_void) -> c_int {
    // SAFETY: dl_iterate_phdr(3) passes valid pointers, the last being ours.
    let (info, found) = unsafe { (&*info, &mut *found.cast::<Vec<u64>>()) };
    // SAFETY: as many program headers as it says.
    let headers = unsafe { std::slice::from_raw_parts(info.dlpi_phdr, info.dlpi_phnum.into()) };
    if let Some(lowest) = headers.iter().filter(|h| h.p_type == libc::PT_LOAD).map(|h| h.p_vaddr).min() {
        found.push(info.dlpi_addr + (lowest & !0xfff));
    }
    0
}

fn breakpoints() -> Vec<Breakpoint> {
    let text = std::env::var("RDB_BREAK").unwrap_or_default();
    let place = |s: &str| match s.split_once(':') {
        Some((file, line)) => BreakpointPlace::Line {
            file: file.into(),
            line: line.parse().expect("a line number"),
        },
        None => BreakpointPlace::Function { name: s.into() },
    };
    (1..)
        .zip(text.split(',').filter(|s| !s.is_empty()))
        .map(|(id, s)| Breakpoint {
            id,
            place: place(s),
            test: None,
            quiet: false,
        })
        .collect()
}

extern "C" fn begin() {
    if std::env::var_os("RDB_MODE").is_none() {
        return;
    }
    let mut objects: Vec<u64> = Vec::new();
    // SAFETY: the callback gets what it expects; the action is complete; the handler is async-signal-safe enough for a harness.
    unsafe {
        libc::dl_iterate_phdr(Some(object), (&raw mut objects).cast());
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = trapped as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_NODEFER;
        libc::sigaction(libc::SIGTRAP, &action, std::ptr::null_mut());
        libc::atexit(finish);
    }
    let vdso = unsafe { libc::getauxval(libc::AT_SYSINFO_EHDR) };
    for base in objects.into_iter().filter(|&base| base != vdso) {
        match recognise(base) {
            None => {}
            Some(Err(why)) => eprintln!("harness: unsupported: {}", why.reason),
            Some(Ok(located)) => {
                if std::env::var_os("RDB_VERBOSE").is_some() {
                    eprintln!("harness: {located:x?}");
                }
                let ticks = TICKS.get_or_init(|| Ticks::install(&located).expect("ticks can be installed"));
                if std::env::var_os("RDB_MODE").is_some_and(|m| m == "ticks") {
                    return;
                }
                match Located::new(located).and_then(|l| Stops::install(l, ticks, PLACES, stopped)) {
                    Err(why) => eprintln!("harness: unsupported: {}", why.reason),
                    Ok(stops) => {
                        let total = std::env::var_os("RDB_MODE").is_some_and(|m| m == "total");
                        stops.set_goal(Some(if total { u64::MAX >> 4 } else { 1 }));
                        stops.set_breakpoints(&breakpoints());
                    }
                }
                return;
            }
        }
    }
}

#[used]
#[unsafe(link_section = ".init_array")]
static BEGIN: extern "C" fn() = begin;
