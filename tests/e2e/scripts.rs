//! Lines that lead to others: actions, commands of breakpoints, traces, skipped files, sourced files, aliases, hooks.

use super::support::{Sandbox, program, text, travelling};
use super::travel::last_time;
use serde_json::Value;
use std::path::{Path, PathBuf};

fn record(sandbox: &Sandbox, python: &Path, name: &str) -> PathBuf {
    let path = program(name);
    sandbox
        .record("t", &[python.to_str().unwrap(), "-S", "-E", path.to_str().unwrap()])
        .trace
}

fn run(sandbox: &mut Sandbox, trace: &Path, script: &[&str]) -> Vec<Value> {
    let script: Vec<String> = script.iter().map(|l| l.to_string()).collect();
    sandbox.batch(trace, &script)
}

fn said(answer: &Value) -> &str {
    answer["text"].as_str().unwrap()
}

fn error(answer: &Value) -> &str {
    answer["error"]["text"].as_str().unwrap_or_else(|| panic!("no error: {answer}"))
}

/// All stop points from one time to another, both included.
fn linear(sandbox: &mut Sandbox, trace: &Path, from: u64, to: u64) -> Vec<Value> {
    let mut script = vec![format!("go {from}")];
    (from..to).for_each(|_| script.push("step".into()));
    sandbox.batch(trace, &script)
}

/// What actions printed: times and texts.
fn printed(answer: &Value) -> Vec<(u64, String)> {
    let one = |p: &Value| (p["time"].as_u64().unwrap(), p["text"].as_str().unwrap().to_string());
    answer["stop"]["printed"]
        .as_array()
        .map_or(vec![], |all| all.iter().map(one).collect())
}

#[test]
fn output_is_a_place_for_actions_and_commands() {
    for python in travelling() {
        let mut sandbox = Sandbox::new();
        let source = "n = 0\nfor i in range(4):\n    n += i\n    print('sum is', n, flush=True)\n";
        std::fs::write(sandbox.path("sums.py"), source).unwrap();
        let path = sandbox.path("sums.py").display().to_string();
        let trace = sandbox.record("trace", &[python.path.to_str().unwrap(), "-S", "-E", &path]).trace;
        sandbox.verify(&trace);
        let answers = run(
            &mut sandbox,
            &trace,
            &[
                "action output /sum is [13]/ (i, n)",
                "c",
                "output",
                "bc",
                "action output is n",
                "disable 1",
                "c",
                "break output is 6",
                "commands",
                "print i * 100",
                "end",
                "bc",
                "info breakpoints",
                "action output /is n",
                "action output /is/",
            ],
        );
        assert_eq!(
            said(&answers[0]),
            "Action 1 at output that matches sum is [13] print (i, n)",
            "{path}"
        );
        // When these lines were printed is known from elsewhere.
        let rows: Vec<&str> = said(&answers[2]).lines().collect();
        let time = |row: usize| rows[row].split_whitespace().nth(1).unwrap().parse::<u64>().unwrap();
        let found = vec![(time(1), "(1, 1)".to_owned()), (time(2), "(2, 3)".to_owned())];
        assert_eq!(printed(&answers[1]), found, "{}", answers[1]);
        let backward: Vec<_> = found.iter().rev().cloned().collect();
        assert_eq!(printed(&answers[3]), backward, "{}", answers[3]);
        let all: Vec<(u64, String)> = (0..4).zip(["0", "1", "3", "6"]).map(|(row, n)| (time(row), n.to_owned())).collect();
        assert_eq!(printed(&answers[6]), all, "{}", answers[6]);
        assert_eq!(
            (&answers[11]["time"], &answers[11]["ok"]),
            (&time(3).into(), &true.into()),
            "{}",
            answers[11]
        );
        assert!(said(&answers[11]).ends_with("300"), "{}", answers[11]);
        assert!(said(&answers[12]).contains("at output that matches is 6"), "{}", answers[12]);
        assert!(
            error(&answers[13]).starts_with("expected a slash and an expression"),
            "{}",
            answers[13]
        );
        assert!(
            error(&answers[14]).starts_with("expected a slash and an expression"),
            "{}",
            answers[14]
        );
    }
}

#[test]
fn actions_print_after_the_fact() {
    for python in travelling() {
        let mut sandbox = Sandbox::new();
        let trace = record(&sandbox, &python.path, "returns.py");
        let last = last_time(&mut sandbox, &trace);
        let all = linear(&mut sandbox, &trace, 1, last);
        let lines = |line: u64| -> Vec<u64> {
            let at = all.iter().filter(|a| a["stop"]["line"] == line && a["stop"]["kind"] == "line");
            at.map(|a| a["time"].as_u64().unwrap()).collect()
        };
        let answers = run(
            &mut sandbox,
            &trace,
            &[
                "action 8 n",
                "c",
                "go end",
                "bc",
                "condition 1 n == 5",
                "go start",
                "c",
                "condition 1",
                "ignore 1 2",
                "go start",
                "c",
                "ignore 1 1",
                "go end",
                "bc",
                "action 8 nowhere",
                "break 12",
                "go start",
                "c",
                "info breakpoints",
                "go start",
                "action 8 n +",
                "action 8",
                "action output x y",
                "delete 2",
                "action return take print('seen', n)",
                "disable 1",
                "disable 3",
                "c",
            ],
        );
        let times = lines(8);
        let expected: Vec<(u64, String)> = times.iter().copied().zip(["1", "0", "5", "3"].map(String::from)).collect();
        assert!(
            said(&answers[0]).starts_with("Action 1 at ") && said(&answers[0]).ends_with("returns.py:8 print n"),
            "{}",
            answers[0]
        );
        assert_eq!(answers[1]["stop"]["reason"], "main_done", "{}", answers[1]);
        assert_eq!(printed(&answers[1]), expected);
        assert!(said(&answers[1]).contains(&format!("{:>10}  5\n", times[2])), "{}", answers[1]);
        let backward: Vec<_> = expected.iter().rev().cloned().collect();
        assert_eq!(answers[3]["stop"]["reason"], "history_begin");
        assert_eq!(printed(&answers[3]), backward);
        assert_eq!(printed(&answers[6]), expected[2..3]);
        assert_eq!(printed(&answers[10]), expected[2..]);
        assert_eq!(printed(&answers[13]), backward[1..]);
        let met = &answers[17];
        assert_eq!(met["stop"]["breakpoints"], serde_json::json!([3]), "{met}");
        let shown: Vec<String> = printed(met).into_iter().map(|p| p.1).collect();
        assert_eq!(
            shown,
            [
                "1",
                "NameError: name 'nowhere' is not defined",
                "0",
                "NameError: name 'nowhere' is not defined",
                "5",
                "NameError: name 'nowhere' is not defined"
            ]
        );
        assert!(said(met).contains("error: NameError"), "{met}");
        assert!(said(&answers[18]).contains("print nowhere"), "{}", answers[18]);
        assert!(
            error(&answers[20]).starts_with("the action 'n +' cannot be compiled: SyntaxError"),
            "{}",
            answers[20]
        );
        assert_eq!(error(&answers[21]), "expected a place and an expression after action");
        assert_eq!(error(&answers[22]), "no line that the program printed matches 'x'");
        let shown: Vec<String> = printed(&answers[27]).into_iter().map(|p| p.1).collect();
        assert_eq!(shown, ["seen -1", "seen 1", "seen 5", "seen 3"], "{}", answers[27]);
    }
}

#[test]
fn breakpoints_have_commands() {
    for python in travelling() {
        let mut sandbox = Sandbox::new();
        let trace = record(&sandbox, &python.path, "returns.py");
        let answers = run(
            &mut sandbox,
            &trace,
            &[
                "commands",
                "break 8",
                "commands",
                "silent",
                "nonsense",
                "commands 1",
                "p n * 10",
                "c",
                "end",
                "c",
                "info breakpoints",
                "go start",
                "tbreak take",
                "commands 2",
                "p 'once'",
                "end",
                "c",
                "commands 1",
                "p nothing",
                "p 'not reached'",
                "end",
                "c",
                "commands 1",
                "end",
                "c",
                "commands 7",
                "commands 1",
                "bc",
                "end",
                "break 6",
                "commands",
                "c",
                "end",
                "go end",
                "bc",
            ],
        );
        assert_eq!(error(&answers[0]), "there is no breakpoint to give commands to");
        assert_eq!(
            error(&answers[4]),
            "unknown command 'nonsense'; try help, or 'print nonsense' to evaluate it"
        );
        assert_eq!(error(&answers[5]), "commands cannot hold commands; `end` ends them");
        assert!(answers[8]["ok"] == true);
        assert!(said(&answers[9]).starts_with("10\n0\n50\n30\nmain module done"), "{}", answers[9]);
        assert_eq!(answers[9]["stop"]["reason"], "main_done");
        assert!(
            said(&answers[10]).contains("(hit 4 times)\n        silent\n        p n * 10\n        c"),
            "{}",
            answers[10]
        );
        assert!(
            said(&answers[16]).contains("Temporary breakpoint 2 is deleted") && said(&answers[16]).ends_with("'once'"),
            "{}",
            answers[16]
        );
        assert!(
            said(&answers[21]).contains("p nothing: ") && !said(&answers[21]).contains("not reached"),
            "{}",
            answers[21]
        );
        assert!(error(&answers[21]).contains("NameError"));
        assert_eq!(said(&answers[24]).lines().next(), Some("Hit breakpoint 1"));
        assert_eq!(error(&answers[25]), "there is no breakpoint 7");
        // Each sends the other back: that ends.
        assert!(
            error(&answers[34]).starts_with("the commands of breakpoints have led to 1000 stops in a row"),
            "{}",
            answers[34]["error"]
        );
        // They are kept with the trace.
        let kept = ["break 8", "commands", "silent", "p n", "end", "info breakpoints"];
        sandbox.prompt(&trace, &[], &kept);
        assert!(
            sandbox
                .prompt(&trace, &[], &["c"])
                .starts_with("1 breakpoint is set from before (info breakpoints)\n1\n")
        );
    }
}

#[test]
fn traces_show_the_lines_passed() {
    for python in travelling() {
        let mut sandbox = Sandbox::new();
        let trace = record(&sandbox, &python.path, "returns.py");
        let answers = run(
            &mut sandbox,
            &trace,
            &[
                "trace",
                "trace on",
                "go end",
                "break 30",
                "go start",
                "c",
                "trace sometimes",
                "bc",
                "trace off",
                "c",
                "trace",
            ],
        );
        assert_eq!((said(&answers[0]), said(&answers[10])), ("trace is off", "trace is off"));
        assert!(
            !said(&answers[2]).contains("returns.py:26"),
            "a jump passes nothing: {}",
            answers[2]
        );
        assert_eq!(error(&answers[6]), "expected on or off, not 'sometimes'");
        let end = answers[5]["time"].as_u64().unwrap();
        let all = linear(&mut sandbox, &trace, 1, end);
        let mut passed: Vec<(u64, u64)> = all[1..all.len() - 1]
            .iter()
            .filter(|a| a["stop"]["kind"] == "line")
            .map(|a| (a["time"].as_u64().unwrap(), a["stop"]["line"].as_u64().unwrap()))
            .collect();
        let shown = |answer: &Value| -> Vec<(u64, u64)> {
            let parse = |row: &str| {
                let mut words = row.split_whitespace();
                let time = words.next()?.parse().ok()?;
                Some((time, words.next()?.rsplit(':').next()?.parse().ok()?))
            };
            said(answer).lines().map_while(parse).collect()
        };
        assert_eq!(shown(&answers[5]), passed);
        passed.reverse();
        assert_eq!(shown(&answers[7]), passed);
        assert!(shown(&answers[9]).is_empty(), "{}", answers[9]);
    }
}

#[test]
fn steps_do_not_end_in_skipped_files() {
    for python in travelling() {
        let mut sandbox = Sandbox::new();
        let trace = record(&sandbox, &python.path, "skips.py");
        let ends = run(&mut sandbox, &trace, &["break main", "c", "delete", "c"]);
        let (from, to) = (ends[1]["time"].as_u64().unwrap(), ends[3]["time"].as_u64().unwrap());
        let all = linear(&mut sandbox, &trace, from, to);
        let own: Vec<u64> = all
            .iter()
            .filter(|a| a["stop"]["file"].as_str().unwrap().ends_with("skips.py"))
            .map(|a| a["time"].as_u64().unwrap())
            .collect();
        assert!(own.len() > 15 && own.len() < all.len() / 2, "{} of {}", own.len(), all.len());
        let mut script: Vec<String> = ["skip json", "skip contextlib", "skip <frozen *>", "skip"].map(String::from).into();
        script.push(format!("skip {}", "*/codecs.py"));
        script.push(format!("go {from}"));
        (1..own.len()).for_each(|_| script.push("step".into()));
        (1..own.len()).for_each(|_| script.push("bstep".into()));
        let answers = sandbox.batch(&trace, &script);
        assert_eq!(said(&answers[3]), "json\ncontextlib\n<frozen *>");
        let times = |answers: &[Value]| answers.iter().map(|a| a["time"].as_u64().unwrap()).collect::<Vec<_>>();
        let (there, back) = answers[5..].split_at(own.len());
        assert_eq!(times(there), own);
        let mut reversed = own.clone();
        reversed.pop();
        reversed.reverse();
        assert_eq!(times(back), reversed);
        // A breakpoint stops there all the same; steps from there leave.
        let answers = run(
            &mut sandbox,
            &trace,
            &[
                "skip json",
                &format!("go {from}"),
                "tbreak JSONDecoder.decode",
                "step 3",
                "step",
                "unskip json",
                "unskip json",
                "unskip",
                "go start",
                "finish",
                "skip jsno",
                "skip",
            ],
        );
        assert_eq!(
            answers[10]["text"], "note: the program ran no file that 'jsno' matches",
            "{}",
            answers[10]
        );
        assert_eq!(answers[11]["text"], "jsno", "{}", answers[11]);
        assert_eq!(answers[0]["text"], "", "{}", answers[0]);
        assert_eq!(answers[3]["stop"]["function"], "JSONDecoder.decode", "{}", answers[3]);
        assert_eq!(answers[4]["stop"]["function"], "hook", "{}", answers[4]);
        assert_eq!(error(&answers[6]), "'json' is not skipped; skip shows what is");
    }
}

#[test]
fn lines_come_from_files_aliases_and_hooks() {
    let Some(python) = travelling().next() else { return };
    let mut sandbox = Sandbox::new();
    let trace = record(&sandbox, &python.path, "returns.py");
    let folder = sandbox.dir.path().to_path_buf();
    let write = |name: &str, text: &str| {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let good = write(
        "with space.rdb",
        "# a comment\n\nbreak take\ncommands\nsilent\nalias\np n\nend\ngo end\nc\n",
    );
    let bad = write("bad.rdb", "when\nfrobnicate\np 'not reached'\n");
    let open = write("open.rdb", "commands 1\np n\n");
    let itself = write("self.rdb", &format!("source {}\n", sandbox.path("self.rdb").display()));
    let script = [
        "alias row print len",
        "alias",
        "row (got)",
        "alias step print 1",
        "alias x frobnicate",
        "alias x",
        "alias loop print",
        "alias again loop",
        "unalias row",
        "row (got)",
        "unalias row",
        &format!("source {good}"),
        &format!("source {bad}"),
        &format!("source {open}"),
        &format!("source {itself}"),
        "source /nowhere",
        "source",
        "go start",
        "prestop print 'pre'",
        "poststop when",
        "prestop",
        "step",
        "prestop off",
        "poststop frobnicate",
        "step",
        "poststop off",
        "c",
    ];
    let answers = run(&mut sandbox, &trace, &script);
    assert_eq!(said(&answers[1]), "row is print len");
    assert!(error(&answers[2]).contains("NameError"), "{}", answers[2]);
    assert_eq!(error(&answers[3]), "'step' is a command; choose another name");
    assert!(error(&answers[4]).starts_with("unknown command 'frobnicate'"));
    assert_eq!(error(&answers[5]), "expected a command after alias x");
    assert!(error(&answers[9]).starts_with("unknown command 'row'"));
    assert_eq!(error(&answers[10]), "there is no alias 'row'");
    assert!(
        answers[11]["ok"] == true && said(&answers[11]).contains("history end"),
        "{}",
        answers[11]
    );
    assert_eq!(
        error(&answers[12]),
        format!("{bad}:2: unknown command 'frobnicate'; try help, or 'print frobnicate' to evaluate it")
    );
    assert_eq!(error(&answers[13]), format!("{open}: the commands of breakpoint 1 have no end"));
    assert!(error(&answers[14]).ends_with("is read by what it reads"), "{}", answers[14]);
    assert!(error(&answers[15]).starts_with("cannot read /nowhere: "));
    assert_eq!(error(&answers[16]), "expected a file after source");
    assert_eq!(said(&answers[20]), "prestop is print 'pre'");
    let step = said(&answers[21]);
    assert!(step.starts_with("File ") && step.contains("\n'pre'\nFile "), "{step}");
    assert!(said(&answers[24]).starts_with("frobnicate: unknown command"), "{}", answers[24]);
    // The commands that the file gave the breakpoint.
    assert_eq!(said(&answers[26]), "again is loop\nloop is print\n-1");
    // A prompt begins with the user's own file, with one of the directory only when asked.
    write("config/rdb/rdbrc", "alias mine print 6 * 7\n");
    write(".rdbrc", "alias theirs print 1\nnonsense\n");
    let prompt = |sandbox: &mut Sandbox, options: &[&str]| sandbox.prompt(&trace, options, &["delete", "mine", "theirs"]);
    let said = prompt(&mut sandbox, &[]);
    assert!(said.contains("42\n") && said.contains("unknown command 'theirs'"), "{said}");
    let said = prompt(&mut sandbox, &["--no-rc"]);
    assert!(said.contains("unknown command 'mine'"), "{said}");
    let said = prompt(&mut sandbox, &["--local-rc"]);
    assert!(
        said.contains("42\n") && said.contains("\n1\n") && said.contains(".rdbrc:2: unknown command 'nonsense'"),
        "{said}"
    );
    let unfinished = sandbox
        .rdbctl()
        .arg("batch")
        .arg(&trace)
        .args(["-e", "break 8", "-e", "commands", "-e", "c"])
        .output()
        .unwrap();
    assert!(
        text(&unfinished.stderr).contains("the script ends before `end`"),
        "{}",
        text(&unfinished.stderr)
    );
    assert_eq!(unfinished.status.code(), Some(1));
}
