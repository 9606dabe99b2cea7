//! What all rooms need: a sandbox with its own daemon, the interpreters, records, batches.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rdb_trace::{End, Header};
use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Every wait ends here.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// Waits for a condition; false when the deadline came first.
pub fn wait_until(mut condition: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + DEADLINE;
    while Instant::now() < end {
        if condition() {
            return true;
        }
        std::thread::yield_now();
    }
    condition()
}

/// A CPython found on this machine.
#[derive(Clone, Debug)]
pub struct Python {
    pub path: PathBuf,
    pub version: (u32, u32, u32),
}

impl Python {
    /// Whether this version has stop points.
    pub fn travels(&self) -> bool {
        self.version.0 == 3 && (11..=13).contains(&self.version.1)
    }
}

/// All CPython 3 found: the system's and pyenv's. Named on standard error, once.
pub fn pythons() -> &'static [Python] {
    static FOUND: OnceLock<Vec<Python>> = OnceLock::new();
    FOUND.get_or_init(|| {
        let mut paths = vec![PathBuf::from("/usr/bin/python3")];
        let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
        let root = std::env::var_os("PYENV_ROOT").map_or_else(|| home.join(".pyenv"), PathBuf::from);
        let mut versions: Vec<PathBuf> = fs::read_dir(root.join("versions"))
            .into_iter()
            .flatten()
            .flatten()
            .map(|e| e.path().join("bin/python3"))
            .collect();
        versions.sort();
        paths.extend(versions);
        let found: Vec<Python> = paths
            .iter()
            .filter_map(|p| version(p).map(|version| Python { path: p.clone(), version }))
            .collect();
        let names: Vec<String> = found
            .iter()
            .map(|p| {
                format!(
                    "{} ({}.{}.{}{})",
                    p.path.display(),
                    p.version.0,
                    p.version.1,
                    p.version.2,
                    if p.travels() { "" } else { ", recording only" }
                )
            })
            .collect();
        // Not through the print macros: those are captured.
        let _ = writeln!(std::io::stderr(), "interpreters: {}", names.join(", "));
        found
    })
}

/// Those with stop points.
pub fn travelling() -> impl Iterator<Item = &'static Python> {
    pythons().iter().filter(|p| p.travels())
}

fn version(path: &Path) -> Option<(u32, u32, u32)> {
    let out = Command::new(path)
        .args(["-c", "import sys; print(*sys.version_info[:3])"])
        .output()
        .ok()?;
    let text = String::from_utf8(out.stdout).ok()?;
    let mut n = text.split_whitespace().map(|w| w.parse().ok());
    let version = (n.next()??, n.next()??, n.next()??);
    (version.0 == 3).then_some(version)
}

/// The folder of test programs.
pub fn program(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs").join(name)
}

/// Compiles a C program.
pub fn compiled(sandbox: &Sandbox, name: &str, flags: &[&str]) -> String {
    let binary = sandbox.path(name).display().to_string();
    let out = Command::new("cc")
        .args(["-O1", "-g", "-pthread", "-o", &binary])
        .arg(program(&format!("{name}.c")))
        .args(flags)
        .output()
        .unwrap();
    assert!(out.status.success(), "{}", text(&out.stderr));
    binary
}

/// A place of its own: data directory, runtime directory, and a daemon that ends with it.
pub struct Sandbox {
    pub dir: TempDir,
    daemon: Option<Child>,
    /// Stop points in each stretch of the hit index: few, for programs here are short.
    pub stretch: u64,
    /// For the checkpoints of the daemon, in MiB.
    pub memory: u64,
}

impl Sandbox {
    pub fn new() -> Sandbox {
        let dir = tempfile::Builder::new().prefix("rdb-e2e").tempdir().unwrap();
        fs::create_dir(dir.path().join("run")).unwrap();
        Sandbox {
            dir,
            daemon: None,
            stretch: 1000,
            memory: 300,
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn environment<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command
            .env("XDG_DATA_HOME", self.path("data"))
            .env("XDG_CONFIG_HOME", self.path("config"))
            .env("XDG_CACHE_HOME", self.path("cache"))
            .env("XDG_RUNTIME_DIR", self.path("run"))
            .env("RDBD_STRETCH", self.stretch.to_string())
            .env("RDBD_MEMORY", self.memory.to_string())
            .env("RDB_RDBD", env!("CARGO_BIN_EXE_rdbd"))
            .env_remove("PYTHONHASHSEED")
    }

    /// `rdbctl` with arguments to be added.
    pub fn rdbctl(&self) -> Command {
        let mut c = Command::new(env!("CARGO_BIN_EXE_rdbctl"));
        self.environment(&mut c);
        c.stdin(Stdio::null());
        c
    }

    /// Starts the sandbox's daemon, if none runs.
    pub fn daemon(&mut self) -> u32 {
        if let Some(d) = &self.daemon {
            return d.id();
        }
        let mut c = Command::new(env!("CARGO_BIN_EXE_rdbd"));
        self.environment(&mut c);
        let child = c.arg("--foreground").stdin(Stdio::null()).spawn().unwrap();
        let id = child.id();
        self.daemon = Some(child);
        let socket = self.path("run/rdb/rdbd.sock");
        assert!(
            wait_until(|| std::os::unix::net::UnixStream::connect(&socket).is_ok()),
            "the daemon does not answer"
        );
        id
    }

    /// Ends the daemon with a signal and reaps it.
    pub fn end_daemon(&mut self, signal: Signal) -> Option<std::process::ExitStatus> {
        let mut d = self.daemon.take()?;
        let _ = kill(Pid::from_raw(d.id().cast_signed()), signal);
        Some(d.wait().unwrap())
    }

    /// Records a command; asserts that all of it is in the trace.
    pub fn record(&self, name: &str, command: &[&str]) -> Recorded {
        let trace = self.path(name);
        let out = self
            .rdbctl()
            .args(["record", "-q", "--verify-every", "500", "-o"])
            .arg(&trace)
            .arg("--")
            .args(command)
            .current_dir(self.dir.path())
            .output()
            .unwrap();
        let header = header(&trace);
        assert!(
            matches!(header.end, End::Exited(_)),
            "{command:?}: {} ({})",
            header.end,
            text(&out.stderr)
        );
        Recorded { trace, out }
    }

    /// Replays the trace with every hash checked, without stop points and with them.
    pub fn verify(&self, trace: &Path) {
        for stops in [false, true] {
            let out = self
                .rdbctl()
                .arg("verify")
                .arg(trace)
                .args(stops.then_some("--stop-points"))
                .output()
                .unwrap();
            assert!(out.status.success(), "verify, stop points {stops}: {}", text(&out.stderr));
        }
    }

    /// What a prompt says to these lines, without a terminal.
    pub fn prompt(&mut self, trace: &Path, options: &[&str], lines: &[&str]) -> String {
        self.daemon();
        let mut c = self.rdbctl();
        c.arg("replay").arg(trace).args(options).current_dir(self.dir.path());
        c.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = c.spawn().unwrap();
        child.stdin.take().unwrap().write_all((lines.join("\n") + "\n").as_bytes()).unwrap();
        let out = child.wait_with_output().unwrap();
        assert!(out.status.success(), "{}", text(&out.stderr));
        text(&out.stdout) + &text(&out.stderr)
    }

    /// Runs commands; gives one JSON object for each.
    pub fn batch(&mut self, trace: &Path, commands: &[String]) -> Vec<Value> {
        self.daemon();
        let mut child = self
            .rdbctl()
            .arg("batch")
            .arg(trace)
            .args(["--json", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        let script = commands.join("\n") + "\n";
        let writer = std::thread::spawn(move || input.write_all(script.as_bytes()));
        let out = child.wait_with_output().unwrap();
        let _ = writer.join().unwrap();
        let lines: Vec<Value> = text(&out.stdout).lines().map(|l| serde_json::from_str(l).unwrap()).collect();
        assert_eq!(lines.len(), commands.len(), "{}: {}", trace.display(), text(&out.stderr));
        lines
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.end_daemon(Signal::SIGTERM);
    }
}

/// A client that is told one command after the other and answers each with a JSON object.
pub struct Prompt {
    pub child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Prompt {
    pub fn new(sandbox: &Sandbox, trace: &Path) -> Prompt {
        Prompt::with(sandbox, trace, &[])
    }

    /// With these options of `batch`.
    pub fn with(sandbox: &Sandbox, trace: &Path, options: &[&str]) -> Prompt {
        let mut child = sandbox
            .rdbctl()
            .arg("batch")
            .arg(trace)
            .args(options)
            .args(["--json", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Prompt { child, input, output }
    }

    pub fn ask(&mut self, command: &str) -> Value {
        self.tell(command);
        self.answer()
    }

    /// Does not wait for the answer.
    pub fn tell(&mut self, command: &str) {
        writeln!(self.input, "{command}").unwrap();
    }

    pub fn answer(&mut self) -> Value {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    }

    pub fn close(mut self) -> std::process::ExitStatus {
        drop(self.input);
        self.child.wait().unwrap()
    }
}

/// The processes a process has, without those that are dead.
pub fn children(of: u32) -> Vec<i32> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|n| n.parse::<i32>().ok()) else {
            continue;
        };
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else {
            continue;
        };
        let after = stat.rsplit(')').next().unwrap_or("");
        let mut fields = after.split_whitespace();
        let state = fields.next();
        if state != Some("Z") && fields.next().and_then(|p| p.parse().ok()) == Some(of) {
            found.push(pid);
        }
    }
    found
}

/// A recording and what the program said.
pub struct Recorded {
    pub trace: PathBuf,
    pub out: Output,
}

/// A trace's header.
pub fn header(trace: &Path) -> Header {
    header_of(&fs::read(trace.join("events")).unwrap())
}

/// The header of a log.
pub fn header_of(log: &[u8]) -> Header {
    Header::read(log, log.len() as u64).unwrap()
}

/// Bytes as text.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A list of breakpoints without how often conditions and values were evaluated, and how long that took.
pub fn without_evaluations(list: &str) -> String {
    let mut left = list.to_owned();
    while let Some(at) = left.find(" evaluated ") {
        let start = left[..at].rfind(['(', ' ']).map_or(0, |i| i + 1);
        let end = at + left[at..].find(" ms").expect("how long it took") + " ms".len();
        let (before, after) = (&left[..start], &left[end..]);
        left = match (before.strip_suffix(", "), after.strip_prefix(", ")) {
            (Some(before), _) => format!("{before}{after}"),
            (None, Some(after)) => format!("{before}{after}"),
            (None, None) => format!("{before}{after}").replace("   ()", ""),
        };
    }
    left
}

#[test]
fn evaluations_are_left_out() {
    let list = "   1  at f if n   (condition evaluated once, in 2 ms)\n   2  at g   (hit once, condition evaluated 1,002 times, in 9 ms, ignored)\n   \
                3  x   (value evaluated 2 times, in 1 ms, hit)";
    assert_eq!(
        without_evaluations(list),
        "   1  at f if n\n   2  at g   (hit once, ignored)\n   3  x   (hit)"
    );
}
