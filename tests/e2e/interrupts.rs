//! Ctrl-C in programs that make no system calls.

use super::support::{Sandbox, header, travelling, wait_until};
use super::travel;
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use rdb_trace::End;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, ExitStatus, Stdio};

/// A recording under way, in a process group of its own, as a shell starts it.
struct Running {
    child: Child,
    output: BufReader<ChildStdout>,
    trace: PathBuf,
    program: Pid,
}

impl Running {
    /// Starts a recording, and waits until the program calls `ready()`.
    fn start(sandbox: &Sandbox, name: &str, python: &Path, source: &str) -> Running {
        let trace = sandbox.path(name);
        // Who started the tests may ignore it: then so would the program.
        let source = format!(
            "import os, signal
signal.signal(signal.SIGINT, signal.default_int_handler)
def ready(): print(os.getpid(), flush=True)
{source}"
        );
        let mut child = sandbox
            .rdbctl()
            .args(["record", "-q", "--verify-every", "100", "-o"])
            .arg(&trace)
            .arg("--")
            .arg(python)
            .args(["-c", &source])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        let program = Pid::from_raw(line.trim().parse().unwrap());
        Running {
            child,
            output,
            trace,
            program,
        }
    }

    fn group(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }

    /// Waits for the end: status, what was printed since the start, and what was said.
    fn end(mut self) -> (ExitStatus, String, String) {
        let mut ended = None;
        let in_time = wait_until(|| {
            ended = self.child.try_wait().unwrap();
            ended.is_some()
        });
        if !in_time {
            let _ = killpg(self.group(), Signal::SIGKILL);
        }
        let (mut out, mut err) = (String::new(), String::new());
        self.output.read_to_string(&mut out).unwrap();
        self.child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
        assert!(in_time, "the signal was not delivered: {err}");
        (ended.unwrap(), out, err)
    }
}

#[test]
fn a_loop_is_interrupted_from_the_terminal() {
    for python in travelling() {
        let sandbox = Sandbox::new();
        let running = Running::start(&sandbox, "trace", &python.path, "ready()\nwhile True: pass");
        let trace = running.trace.clone();
        killpg(running.group(), Signal::SIGINT).unwrap();
        let (status, _, said) = running.end();
        assert!(said.contains("KeyboardInterrupt"), "{}: {said}", python.path.display());
        assert_eq!(status.signal(), Some(2), "{}", python.path.display());
        sandbox.verify(&trace);
    }
}

#[test]
fn an_interrupted_loop_is_travelled_in() {
    for python in travelling() {
        let mut sandbox = Sandbox::new();
        let source = "import signal
done, n = [], 0
signal.signal(signal.SIGINT, lambda *_: done.append(1))
\
                      while not done:
    n += 1
    if n == 5000: ready()
print('interrupted')
";
        let running = Running::start(&sandbox, "trace", &python.path, source);
        let trace = running.trace.clone();
        kill(running.program, Signal::SIGINT).unwrap();
        let (status, printed, said) = running.end();
        assert_eq!((status.code(), printed.as_str()), (Some(0), "interrupted\n"), "{said}");
        assert_eq!(header(&trace).end, End::Exited(0));
        sandbox.verify(&trace);
        travel::check(&mut sandbox, &trace);
    }
}

/// One of four threads gets the signal, and all of them take turns.
const SPINNING: &str = "
import threading
stop = False
def spin():
    while not stop: pass
threads = [threading.Thread(target=spin) for _ in range(3)]
try:
    for t in threads: t.start()
    ready()
    spin()
except KeyboardInterrupt:
    stop = True
for t in threads: t.join()
print('joined')
";

#[test]
fn threads_without_system_calls_are_interrupted() {
    for python in travelling() {
        let sandbox = Sandbox::new();
        let running = Running::start(&sandbox, "trace", &python.path, SPINNING);
        let trace = running.trace.clone();
        killpg(running.group(), Signal::SIGINT).unwrap();
        let (_, printed, said) = running.end();
        assert_eq!(printed, "joined\n", "{said}");
        sandbox.verify(&trace);
    }
}

/// Children that are not recorded have threads, signals and memory as ever, forked or executed.
const CHILDREN: &str = "
import multiprocessing, signal, subprocess, sys, threading
def work():
    n, done = 0, []
    threading.Timer(0.02, done.append, [1]).start()
    while not done: n += 1
    signal.signal(signal.SIGALRM, lambda *_: done.append([bytearray(1000) for _ in range(10_000)]))
    signal.setitimer(signal.ITIMER_REAL, 0.02)
    while len(done) < 2: n += 1
    sys.exit(7)
ready()
children = [multiprocessing.get_context('fork').Process(target=work) for _ in range(3)]
for c in children: c.start()
for c in children: c.join()
inside = 'import signal; signal.setitimer(signal.ITIMER_REAL, 0.05)\\nwhile True: pass'
print([c.exitcode for c in children], subprocess.run([sys.executable, '-c', inside]).returncode)
";

#[test]
fn forked_children_loop_as_they_like() {
    for python in travelling() {
        let sandbox = Sandbox::new();
        let running = Running::start(&sandbox, "trace", &python.path, CHILDREN);
        let trace = running.trace.clone();
        let (status, printed, said) = running.end();
        assert_eq!((status.code(), printed.as_str()), (Some(0), "[7, 7, 7] -14\n"), "{said}");
        sandbox.verify(&trace);
    }
}

/// A loop in C that looks for no signals: the handler in C runs in it, and says so through the descriptor that CPython has for that.
#[test]
fn a_signal_gets_through_to_native_code() {
    for python in travelling() {
        let sandbox = Sandbox::new();
        let source = "import itertools, os, signal
signal.signal(signal.SIGINT, lambda *_: None)
os.set_blocking(1, False)
signal.set_wakeup_fd(1, warn_on_full_buffer=False)
ready()
any(itertools.repeat(0))";
        let mut running = Running::start(&sandbox, "trace", &python.path, source);
        let program = running.program;
        let trace = running.trace.clone();
        let reader = std::thread::spawn(move || {
            let mut byte = [0];
            running.output.read_exact(&mut byte).map(|()| (byte[0], running))
        });
        kill(program, Signal::SIGINT).unwrap();
        let told = wait_until(|| reader.is_finished());
        kill(program, Signal::SIGKILL).unwrap();
        let (byte, mut running) = reader.join().unwrap().unwrap();
        running.child.wait().unwrap();
        assert!(told, "no signal");
        assert_eq!(byte, 2, "SIGINT");
        sandbox.verify(&trace);
    }
}
