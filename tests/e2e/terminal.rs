//! The prompt on a real pseudo-terminal: what a person sees and types.

use super::support::{Sandbox, program, travelling, wait_until};
use nix::sys::signal::Signal;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// A program on a terminal of its own, made by script(1).
struct Terminal {
    child: Child,
    keys: ChildStdin,
    screen: Arc<Mutex<String>>,
    seen: usize,
}

impl Terminal {
    fn replay(sandbox: &Sandbox, trace: &Path) -> Terminal {
        Terminal::with(sandbox, trace, "")
    }

    /// With these options of `replay`.
    fn with(sandbox: &Sandbox, trace: &Path, options: &str) -> Terminal {
        let rdbctl = sandbox.rdbctl();
        let line = format!(
            "stty cols 150 noflsh; exec {} replay {} {options}",
            rdbctl.get_program().display(),
            trace.display()
        );
        let mut command = std::process::Command::new("script");
        for (name, value) in rdbctl.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        let mut child = command
            .args(["-qfec", &line, "/dev/null"])
            .env("TERM", "xterm-256color")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let keys = child.stdin.take().unwrap();
        let mut output = child.stdout.take().unwrap();
        let screen = Arc::new(Mutex::new(String::new()));
        let writer = Arc::clone(&screen);
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(n @ 1..) = output.read(&mut bytes) {
                writer.lock().unwrap().push_str(&plain(&bytes[..n]));
            }
        });
        Terminal {
            child,
            keys,
            screen,
            seen: 0,
        }
    }

    /// Waits until this appears after what was expected before.
    fn expect(&mut self, text: &str) {
        let mut found = None;
        wait_until(|| {
            found = self.screen.lock().unwrap()[self.seen..].find(text);
            found.is_some()
        });
        let screen = self.screen.lock().unwrap().clone();
        match found {
            Some(at) => self.seen += at + text.len(),
            None => panic!(
                "{text:?} never came; the screen after {} bytes: {:?}",
                self.seen,
                &screen[self.seen..]
            ),
        }
    }

    fn keys(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
        self.keys.flush().unwrap();
    }

    /// Presses keys until this appears. Once is not enough: a key pressed before the line editor has left the terminal's raw mode
    /// is a character for the next line, not a signal.
    fn press_until(&mut self, keys: &str, text: &str) {
        let mut next = Instant::now();
        wait_until(|| {
            if next <= Instant::now() {
                self.keys(keys);
                next += Duration::from_millis(200);
            }
            self.screen.lock().unwrap()[self.seen..].contains(text)
        });
        self.expect(text);
    }

    /// Waits for the end. The keyboard stays open until then: script(1) answers its end of input by ending the terminal.
    ///
    /// Ctrl-D is pressed again now and then: before the prompt is there it is the terminal's, not the program's, and may be lost.
    fn end(mut self) {
        let (mut status, mut pressed) = (None, Instant::now());
        let ended = wait_until(|| {
            if pressed.elapsed() > Duration::from_millis(500) {
                let _ = self.keys.write_all(b"\x04").and_then(|()| self.keys.flush());
                pressed = Instant::now();
            }
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        if !ended {
            let _ = self.child.kill();
        }
        let status = status.expect("Ctrl-D ends the prompt");
        let screen = self.screen.lock().unwrap();
        assert!(status.success(), "{status}, and the screen: {:?}", &screen[self.seen..]);
    }
}

/// Text without control sequences.
fn plain(bytes: &[u8]) -> String {
    let mut out = String::new();
    let text = String::from_utf8_lossy(bytes);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\x1b' => {
                if chars.next_if(|c| matches!(c, '[' | '?')).is_some() {
                    while chars.next().is_some_and(|c| !c.is_ascii_alphabetic()) {}
                }
            }
            '\r' => {}
            c => out.push(c),
        }
    }
    out
}

/// A search with a condition at each of many hits takes minutes: its progress is shown, and it can be left.
#[test]
fn a_long_search_shows_how_far_it_is_and_is_left_without_a_trace() {
    let mut sandbox = Sandbox::new();
    let source = "n = 0\nfor i in range(100_000):\n    n += i\nprint(n)\n";
    std::fs::write(sandbox.path("sums.py"), source).unwrap();
    let path = sandbox.path("sums.py").display().to_string();
    let trace = sandbox.record("trace", &["/usr/bin/python3", &path]).trace;
    sandbox.daemon();
    let mut t = Terminal::replay(&sandbox, &trace);
    t.expect("(1)$ ");
    t.keys("break sums.py:3 if int(n) < 0\r");
    t.expect("Breakpoint 1");
    t.keys("go 50%\r");
    t.expect("sums.py\", line");
    t.keys("mark half\r");
    t.expect("half is time ");
    for search in ["continue\r", "bcontinue\r"] {
        t.keys(search);
        t.expect("/s, ");
        t.expect(" left) ");
        t.press_until("\x03", "interrupted; still at time ");
        t.keys("info marks\r");
        t.expect("  half");
        t.keys("print n > 1000\r");
        t.expect("True\n");
    }
    // Nowhere was gone: undoing leads to before the jump.
    t.keys("undo\r");
    t.expect("line 1 in <module>");
    t.keys("undo\r");
    t.expect("there is no move to undo");
    t.keys("\x04");
    t.end();
}

#[test]
fn a_session_at_the_prompt() {
    let mut sandbox = Sandbox::new();
    let trace = sandbox
        .record("trace", &["/usr/bin/python3", &program("objects.py").display().to_string()])
        .trace;
    sandbox.daemon();
    let mut t = Terminal::replay(&sandbox, &trace);
    t.expect("objects.py\", line 1 in <module>");
    t.expect("(1)$ ");
    t.keys("break failing\r");
    t.expect("Breakpoint 1");
    t.keys("continue\r");
    t.expect("Hit breakpoint 1");
    t.expect(">      try:");
    t.keys("print n\r");
    t.expect("3\n");
    // An empty line repeats the last command.
    t.keys("continue\r");
    t.expect("Hit breakpoint 1");
    t.keys("\r");
    t.expect("Hit breakpoint 1");
    t.keys("print n\r");
    t.expect("5\n");
    t.keys("bc\r");
    t.expect("Reverse-hit breakpoint 1");
    // History: the arrow brings the command back.
    t.keys("\x1b[A\x1b[A\r");
    t.expect("0\n");
    // Completion.
    t.keys("backt\t\r");
    t.expect("in <module>:");
    t.keys("nonsense\r");
    t.expect("unknown command 'nonsense'");
    // Ctrl-C ends a print that would never end; the time is the old one.
    t.keys("print while True: pass\r");
    t.expect("while True: pass\n");
    t.press_until("\x03", "interrupted");
    t.keys("print n * 7\r");
    t.expect("0\n");
    t.keys("\x04");
    t.end();
}

/// Tab knows what the program knows; `list` goes on with an empty line; what is no command is perhaps an expression.
#[test]
fn names_are_completed_and_lists_go_on() {
    let mut sandbox = Sandbox::new();
    let source = "class Account:\n    def __init__(self):\n        self.balance_of_it = 7\n\n\naccount = Account()\nprint(account)\n";
    let source = source.to_owned() + &"pass\n".repeat(40);
    std::fs::write(sandbox.path("tab.py"), source).unwrap();
    let path = sandbox.path("tab.py").display().to_string();
    let trace = sandbox.record("trace", &["/usr/bin/python3", "-S", "-E", &path]).trace;
    sandbox.verify(&trace);
    sandbox.daemon();
    let mut t = Terminal::replay(&sandbox, &trace);
    t.expect("(1)$ ");
    t.keys("tbreak 7\r");
    t.expect("Temporary breakpoint 1");
    t.keys("c\r");
    t.expect("print(account)");
    t.expect(")$ ");
    t.keys("p acco\t.bal\t * 6\r");
    t.expect("p account.balance_of_it * 6\n");
    t.expect("42\n");
    t.keys("p $\r");
    t.expect("SyntaxError");
    t.keys("!str.casef\t\r");
    t.expect("casefold' of 'str' objects>");
    t.keys("account.balance_of_it\r");
    t.expect("unknown command 'account.balance_of_it'; try help, or 'print account.balance_of_it' to evaluate it");
    t.keys("list 1,2\r");
    t.expect("    2      def __init__(self):\n");
    t.keys("\r");
    t.expect("    3          self.balance_of_it = 7\n");
    t.expect("   16  pass\n");
    t.keys("\r");
    t.expect("   17  pass\n");
    t.keys("when\r");
    t.expect("print(account)");
    t.keys("list\r");
    t.expect("    1  class Account:\n");
    t.keys("list 500\r");
    t.expect("has no line 500");
    t.keys("break\r");
    t.expect("expected a place, which is written LINE, FILE:LINE or FUNC");
    t.keys("\x04");
    t.end();
}

/// A prompt that waits tells what others do, and goes on with the line as far as it was typed.
#[test]
fn news_is_told_while_the_prompt_waits() {
    for python in travelling() {
        let mut sandbox = Sandbox::new();
        let source = "n = 0\nfor i in range(3):\n    n += i\n    print('sum', n, flush=True)\n";
        std::fs::write(sandbox.path("sums.py"), source).unwrap();
        let path = sandbox.path("sums.py").display().to_string();
        let trace = sandbox.record("trace", &[python.path.to_str().unwrap(), "-S", "-E", &path]).trace;
        sandbox.verify(&trace);
        sandbox.daemon();
        let mut waits = Terminal::with(&sandbox, &trace, "--cursor common");
        waits.expect("(1)$ ");
        let mut acts = Terminal::with(&sandbox, &trace, "--cursor common");
        acts.expect("(1)$ ");
        acts.keys("step\r");
        acts.expect("(2)$ ");
        waits.expect("another client moved the cursor to time 2:");
        waits.expect("line 2 in <module>");
        waits.keys("prin");
        waits.expect("prin");
        acts.keys("break sums.py:3\r");
        waits.expect("another client set breakpoint 1 at ");
        waits.expect("prin");
        acts.keys("mark here\r");
        waits.expect("another client changed the bookmarks");
        waits.keys("t n + 41\r");
        waits.expect("41\n");
        // Stands where the other went, and the other hears of it in turn.
        waits.expect("(2)$ ");
        waits.keys("continue\r");
        waits.expect("Hit breakpoint 1");
        acts.expect("another client moved the cursor to time 3:");
        // Lines of output are told once they are known.
        acts.keys("output\r");
        acts.expect("nothing was printed before this time");
        acts.keys("go end\r");
        waits.expect("the program printed on the way:");
        waits.expect("sum 3\n");
        sandbox.end_daemon(Signal::SIGTERM);
        waits.expect("the daemon was told to end");
        sandbox.daemon();
        waits.keys("go 2\r");
        waits.expect("line 2 in <module>");
        for mut terminal in [waits, acts] {
            terminal.keys("\x04");
            terminal.end();
        }
    }
}
