//! Queries: rows are what the program itself saw, whatever the expressions do; calls and exceptions; several traces; Ctrl-C.

use super::support::{Sandbox, program, text, travelling, wait_until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Output, Stdio};

fn query(sandbox: &Sandbox, trace: &Path, options: &[&str]) -> Output {
    sandbox.rdbctl().arg("query").arg(trace).args(options).output().unwrap()
}

/// The rows, however they were come by.
fn rows_somehow(sandbox: &Sandbox, trace: &Path, options: &[&str]) -> Vec<Value> {
    let out = query(sandbox, trace, &[options, &["--format", "jsonl"]].concat());
    assert!(out.status.success(), "{options:?}: {}", text(&out.stderr));
    parsed(&text(&out.stdout))
}

/// The rows, which must have come without a word on standard error.
fn rows(sandbox: &Sandbox, trace: &Path, options: &[&str]) -> Vec<Value> {
    let out = query(sandbox, trace, &[options, &["--format", "jsonl"]].concat());
    assert!(out.status.success() && out.stderr.is_empty(), "{options:?}: {}", text(&out.stderr));
    parsed(&text(&out.stdout))
}

fn parsed(lines: &str) -> Vec<Value> {
    lines.lines().map(|l| serde_json::from_str(l).unwrap()).collect()
}

fn line_with(source: &str, comment: &str) -> usize {
    1 + source.lines().position(|l| l.contains(comment)).unwrap()
}

/// What the program printed at each hit.
fn expected(output: &str) -> Vec<Vec<String>> {
    let seen = output.lines().filter_map(|l| l.strip_prefix("book "));
    let fields = |l: &str| {
        let mut all: Vec<String> = l.splitn(5, ' ').map(String::from).collect();
        all[0] = format!("'{}'", all[0]);
        all
    };
    seen.map(fields).collect()
}

fn hits(sandbox: &Sandbox, trace: &Path, output: &str, at: &str) {
    let print = ["--print", "self.owner", "amount", "fee", "self.total", "self.entries[-3:]"];
    let expected = expected(output);
    assert_eq!(expected.len(), 600);
    let values = |rows: &[Value]| -> Vec<Vec<String>> {
        let names = &print[1..];
        let row = |r: &Value| names.iter().map(|n| r["values"][n].as_str().unwrap().to_string()).collect();
        rows.iter().map(row).collect()
    };
    let all = rows(sandbox, trace, &[&["--at", at][..], &print].concat());
    assert_eq!(values(&all), expected);
    let times: Vec<u64> = all.iter().map(|r| r["time"].as_u64().unwrap()).collect();
    assert!(times.is_sorted_by(|a, b| a < b));
    // The same each in a copy of its own, between two times, and no more than so many.
    let (from, to) = (times[100].to_string(), times[120].to_string());
    let some = rows(
        sandbox,
        trace,
        &[&["--at", at, "--from", &from, "--to", &to, "--exact"][..], &print].concat(),
    );
    assert_eq!(some, all[100..=120]);
    let some = rows(
        sandbox,
        trace,
        &[&["--at", at, "--from", &from, "--limit", "7"][..], &print].concat(),
    );
    assert_eq!(some, all[100..107]);
    let some = rows(sandbox, trace, &[&["--at", at, "--from", &to, "--to", &to][..], &print].concat());
    assert_eq!(some, all[120..=120]);
    let out = query(sandbox, trace, &[&["--at", at, "--from", &to, "--to", &from][..], &print].concat());
    assert!(out.status.code() == Some(2) && text(&out.stderr).contains("has nothing in between"));
    let condition = "self.owner == 'bob' and amount > 50";
    let some = rows(sandbox, trace, &[&["--at", at, "--if", condition][..], &print].concat());
    let held = expected.iter().filter(|e| e[0] == "'bob'" && e[1].parse::<u32>().unwrap() > 50);
    assert_eq!(values(&some), held.cloned().collect::<Vec<_>>());
}

/// Errors are values; what changes the program is found out and evaluated otherwise; what it makes objects keep does no harm.
fn odd_expressions(sandbox: &Sandbox, trace: &Path, at: &str) {
    let print = [
        "--print",
        "1 / (amount % 2)",
        "[a for a in self.entries if a][:2]",
        "vars(self)['total']",
        "nope",
    ];
    let all = rows(sandbox, trace, &[&["--at", at][..], &print].concat());
    assert_eq!(all.len(), 600);
    for row in &all {
        assert_eq!(row["errors"]["nope"], "NameError: name 'nope' is not defined");
        let halved = &row["values"][print[1]];
        assert!(
            halved == "1.0" || row["errors"][print[1]] == "ZeroDivisionError: division by zero",
            "{row}"
        );
    }
    assert_eq!(
        all[599]["values"][print[2]],
        rows(sandbox, trace, &["--at", at, "--print", print[2], "--exact"])[599]["values"][print[2]]
    );

    let changing = "self.entries.append(0) or len(self.entries)";
    let out = query(sandbox, trace, &["--at", at, "--print", changing, "--format", "jsonl"]);
    assert!(out.status.success(), "{}", text(&out.stderr));
    let seen: Vec<String> = parsed(&text(&out.stdout))
        .iter()
        .map(|r| r["values"][changing].as_str().unwrap().to_string())
        .collect();
    let exact: Vec<String> = (0..600).map(|i| (i / 3 + 2).to_string()).collect();
    assert_eq!(seen, exact);
    assert!(text(&out.stderr).contains("in a copy of its own"), "{}", text(&out.stderr));

    let out = query(sandbox, trace, &["--at", at, "--if", "amount == 7 or nope", "--print", "amount"]);
    assert!(
        text(&out.stderr).contains("NameError: name 'nope' is not defined"),
        "{}",
        text(&out.stderr)
    );
    for (options, error) in [
        (["--at", "query.py:99999", "--print", "1"], "is not breakable"),
        (["--at", at, "--print", "1 +"], "cannot be compiled"),
        (["--at", at, "--print", "$0"], "there is no $0"),
    ] {
        for format in ["jsonl", "table", "csv"] {
            let told = query(sandbox, trace, &[&options[..], &["--format", format]].concat());
            assert_eq!((told.status.code(), text(&told.stdout)), (Some(2), String::new()), "{format}");
        }
        let out = query(sandbox, trace, &options);
        assert_eq!(out.status.code(), Some(2));
        assert!(
            text(&out.stderr).contains(error) && text(&out.stderr).lines().count() == 1,
            "{}",
            text(&out.stderr)
        );
    }
}

fn calls(sandbox: &Sandbox, trace: &Path) {
    let all = rows(sandbox, trace, &["--calls", "book"]);
    assert_eq!(all.len(), 600);
    assert_eq!(
        all[4]["arguments"]
            .as_object()
            .unwrap()
            .iter()
            .skip(1)
            .map(|(n, v)| format!("{n}={v}"))
            .collect::<Vec<_>>()
            .join(" "),
        r#"fee="0" more="{'when': 4}" notes="('x',)" self="#.to_string() + &all[4]["arguments"]["self"].to_string()
    );
    for row in &all {
        let n = |key: &str| row[key].as_u64().unwrap();
        assert_eq!((n("end") - n("time"), n("depth")), (n("duration"), 3));
    }
    let fact = rows(sandbox, trace, &["--calls", "fact"]);
    let short: Vec<_> = fact
        .iter()
        .map(|r| (r["arguments"]["n"].as_str(), r["result"].as_str(), r["depth"].as_u64()))
        .collect();
    let row = |n, result, depth| (Some(n), Some(result), Some(depth));
    assert_eq!(
        short,
        [
            row("1", "1", 7),
            row("2", "2", 6),
            row("3", "6", 5),
            row("4", "24", 4),
            row("5", "120", 3)
        ]
    );
    let down = rows(sandbox, trace, &["--calls", "down"]);
    assert_eq!(down.len(), 3);
    assert!(
        down.iter().all(|r| r["exception"] == "KeyError: 'deep'" && r["result"].is_null()),
        "{down:?}"
    );
    let count = rows(sandbox, trace, &["--calls", "count"]);
    assert_eq!(
        (count.len(), &count[0]["yields"], &count[0]["result"]),
        (1, &3.into(), &"'done'".into())
    );
}

fn raises(sandbox: &Sandbox, trace: &Path) {
    let all = rows(sandbox, trace, &["--raises", "KeyError"]);
    let own: Vec<&Value> = all.iter().filter(|r| r["function"] == "down").collect();
    assert_eq!(own.len(), 1, "{all:?}");
    assert_eq!((&own[0]["class"], &own[0]["message"]), (&"KeyError".into(), &"'deep'".into()));
    let source = std::fs::read_to_string(program("query.py")).unwrap();
    assert_eq!(own[0]["line"], line_with(&source, "raise KeyError"));
}

#[test]
fn rows_are_what_the_program_saw() {
    for python in travelling() {
        let mut sandbox = Sandbox::new();
        sandbox.daemon();
        let path = program("query.py");
        let recorded = sandbox.record("t", &[python.path.to_str().unwrap(), "-S", "-E", path.to_str().unwrap()]);
        sandbox.verify(&recorded.trace);
        let at = format!("query.py:{}", line_with(&std::fs::read_to_string(&path).unwrap(), "# hit"));
        hits(&sandbox, &recorded.trace, &text(&recorded.out.stdout), &at);
        odd_expressions(&sandbox, &recorded.trace, &at);
        calls(&sandbox, &recorded.trace);
        raises(&sandbox, &recorded.trace);
    }
}

/// A program nobody here wrote: `textwrap`, against what it gave its caller.
#[test]
fn a_library_at_work_is_seen_as_it_is() {
    for python in travelling() {
        let mut sandbox = Sandbox::new();
        sandbox.daemon();
        let code = "import textwrap\n\
                    seen = [textwrap.shorten('word ' * n, width=5 + n) for n in range(1, 400)]\n\
                    print(*map(repr, seen), sep='\\n')";
        let recorded = sandbox.record("t", &[python.path.to_str().unwrap(), "-S", "-E", "-c", code]);
        sandbox.verify(&recorded.trace);
        // Names in an expression are interned, which may have a table of the program's grow sooner.
        let print = ["--at", "return shorten", "--print", "text", "width"];
        let all = rows_somehow(&sandbox, &recorded.trace, &print);
        assert_eq!(all.len(), 399);
        assert_eq!(all, rows_somehow(&sandbox, &recorded.trace, &[&print[..], &["--exact"]].concat()));
        let calls = rows_somehow(&sandbox, &recorded.trace, &["--calls", "shorten", "--size", "100000"]);
        let results: Vec<&str> = calls.iter().map(|r| r["result"].as_str().unwrap()).collect();
        assert_eq!(results, text(&recorded.out.stdout).lines().collect::<Vec<_>>());
    }
}

#[test]
fn several_traces_and_formats() {
    let python = travelling().next().unwrap();
    let mut sandbox = Sandbox::new();
    sandbox.daemon();
    for (name, n) in [("a", "3"), ("b", "4")] {
        let code = format!("def f(x):\n    return x\nfor i in range({n}): f(i)");
        let recorded = sandbox.record(name, &[python.path.to_str().unwrap(), "-S", "-E", "-c", &code]);
        sandbox.verify(&recorded.trace);
    }
    let run = |arguments: &[&str]| {
        sandbox
            .rdbctl()
            .arg("query")
            .args(arguments)
            .current_dir(sandbox.dir.path())
            .output()
            .unwrap()
    };
    let packed = sandbox
        .rdbctl()
        .arg("pack")
        .arg(sandbox.path("b"))
        .arg("-o")
        .arg(sandbox.path("c.rdb"))
        .output()
        .unwrap();
    assert!(packed.status.success(), "{}", text(&packed.stderr));
    std::fs::write(sandbox.path("d.rdb"), "no trace").unwrap();
    let out = run(&["./a", "./none", "./?.rdb", "--at", "f", "--print", "x, 1", "y", "--format", "csv"]);
    assert_eq!(out.status.code(), Some(1), "{}", text(&out.stderr));
    assert_eq!(text(&out.stderr).lines().count(), 2, "{}", text(&out.stderr));
    let lines: Vec<String> = text(&out.stdout).lines().map(String::from).collect();
    assert_eq!((lines.len(), lines[0].as_str()), (8, "trace,time,thread,\"x, 1\",y,errors"));
    assert!(
        lines[1].starts_with("./a,") && lines[1].ends_with(",0,\"(0, 1)\",NameError: name 'y' is not defined,y"),
        "{}",
        lines[1]
    );
    assert!(lines[7].starts_with("c.rdb,") || lines[7].starts_with("./c.rdb,"), "{}", lines[7]);
    let out = run(&["./a", "--at", "f", "--print", "x"]);
    let table = text(&out.stdout);
    assert!(table.starts_with("time  thread  x\n") && table.lines().count() == 4, "{table}");
    // What cannot be asked has no rows, and so no header either; what has no rows has one.
    for format in ["table", "csv", "parquet", "jsonl"] {
        for wrong in [
            &["./a", "--at", "f", "--print", "x", "--if", "("][..],
            &["./none", "./nobody", "--at", "f"],
            &["./a", "--at", "a:b:c"],
        ] {
            let out = run(&[wrong, &["--format", format]].concat());
            assert_ne!(out.status.code(), Some(0), "{wrong:?}");
            assert_eq!(text(&out.stdout), "", "{wrong:?} as {format}: {}", text(&out.stderr));
            assert!(!out.stderr.is_empty(), "{wrong:?} as {format}");
        }
    }
    let none = |format: &str| text(&run(&["./a", "--at", "f", "--print", "x", "--if", "x > 100", "--format", format]).stdout);
    assert_eq!(
        (none("table").trim_end(), none("csv").trim_end()),
        ("time  thread  x", "time,thread,x,errors")
    );
}

/// Ctrl-C: what was printed is whole, and the daemon is there for the next one.
#[test]
fn an_interrupted_query_ends_cleanly() {
    let python = travelling().next().unwrap();
    let mut sandbox = Sandbox::new();
    sandbox.daemon();
    let code = "def f(x):\n    return x\nfor i in range(200000): f(i)";
    let recorded = sandbox.record("t", &[python.path.to_str().unwrap(), "-S", "-E", "-c", code]);
    sandbox.verify(&recorded.trace);
    let mut child = sandbox
        .rdbctl()
        .arg("query")
        .arg(&recorded.trace)
        .args(["--at", "f", "--print", "x", "--format", "jsonl", "--exact"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut first = String::new();
    out.read_line(&mut first).unwrap();
    kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGINT).unwrap();
    let mut rest = String::new();
    out.read_to_string(&mut rest).unwrap();
    let mut status = None;
    assert!(wait_until(|| {
        status = child.try_wait().unwrap();
        status.is_some()
    }));
    assert_eq!(status.unwrap().code(), Some(130));
    let all = parsed(&(first + &rest));
    assert!(
        all.len() < 200_000
            && all
                .iter()
                .enumerate()
                .all(|(i, r)| r["values"]["x"].as_str() == Some(&i.to_string()))
    );
    assert_eq!(
        rows(&sandbox, &recorded.trace, &["--at", "f", "--print", "x", "--limit", "5"]).len(),
        5
    );
}

#[test]
fn parquet_has_the_rows_of_json() {
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::Field;
    let mut sandbox = Sandbox::new();
    let path = program("query.py").display().to_string();
    let trace = sandbox.record("t", &["/usr/bin/python3", &path]).trace;
    sandbox.verify(&trace);
    sandbox.daemon();
    let options = [
        "--at",
        "Account.book",
        "--print",
        "amount",
        "amount / 2",
        "self.owner",
        "1 // (amount % 2)",
    ];
    let rows = rows(&sandbox, &trace, &options);
    let out = query(&sandbox, &trace, &[&options[..], &["--format", "parquet"]].concat());
    assert!(out.status.success() && out.stderr.is_empty(), "{}", text(&out.stderr));
    let file = sandbox.path("rows.parquet");
    std::fs::write(&file, &out.stdout).unwrap();
    let reader = SerializedFileReader::new(std::fs::File::open(&file).unwrap()).unwrap();
    let read: Vec<Vec<(String, Field)>> = reader
        .get_row_iter(None)
        .unwrap()
        .map(|row| row.unwrap().get_column_iter().map(|(n, f)| (n.clone(), f.clone())).collect())
        .collect();
    assert_eq!((read.len(), rows.len()), (600, 600));
    for (read, row) in read.iter().zip(&rows) {
        let value = |name: &str| row["values"][name].as_str();
        let whole = |t: &str| Field::Long(t.parse().unwrap());
        let real = |t: &str| Field::Double(t.parse().unwrap());
        let error = row["errors"]["1 // (amount % 2)"].as_str();
        let expected = [
            ("time", Field::Long(row["time"].as_i64().unwrap())),
            ("thread", Field::Long(0)),
            ("amount", whole(value("amount").unwrap())),
            ("amount / 2", real(value("amount / 2").unwrap())),
            ("self.owner", Field::Str(value("self.owner").unwrap().to_owned())),
            ("1 // (amount % 2)", value("1 // (amount % 2)").map_or(Field::Null, whole)),
            (
                "errors",
                error.map_or(Field::Null, |e| Field::Str(format!("1 // (amount % 2): {e}"))),
            ),
        ];
        let expected: Vec<(String, Field)> = expected.map(|(n, f)| (n.to_owned(), f)).to_vec();
        assert_eq!(*read, expected);
    }
    assert!(rows.iter().any(|r| r["errors"].is_object()) && rows.iter().any(|r| r["errors"].is_null()));
}

#[test]
fn numbered_objects_are_what_they_are_while_they_are_there() {
    let source = std::fs::read_to_string(program("query.py")).unwrap();
    let at = format!("query.py:{}", line_with(&source, "# hit"));
    for python in travelling() {
        let mut sandbox = Sandbox::new();
        let recorded = sandbox.record("t", &[python.path.to_str().unwrap(), program("query.py").to_str().unwrap()]);
        let trace = &recorded.trace;
        sandbox.verify(trace);
        let condition = "amount > 50 and self.owner == 'bob'";
        // An account, and a dictionary that comes and goes with a call.
        let script = [&format!("break {at} if {condition}"), "c", "p self", "p more"];
        let answers = sandbox.batch(trace, &script.map(String::from));
        let found = answers[1]["time"].as_u64().unwrap();
        assert!(answers[2]["text"].as_str().unwrap().starts_with("$0 = "), "{}", answers[2]);
        let all = rows(&sandbox, trace, &["--at", &at, "--print", "self.owner", "id(self)", "self.total"]);
        let bob = all.iter().find(|r| r["time"] == found).unwrap()["values"]["id(self)"].clone();
        for exact in [false, true] {
            let mut options = vec!["--at", &at, "--print", "$0.total", "$0 is self", "len([$0.total, 1])"];
            options.extend(exact.then_some("--exact"));
            let out = query(&sandbox, trace, &[&options[..], &["--format", "jsonl"]].concat());
            assert!(out.status.success(), "{}", text(&out.stderr));
            let with = parsed(&text(&out.stdout));
            assert_eq!(with.len(), all.len());
            let (mut total, mut before) = (String::new(), 0);
            for (row, plain) in with.iter().zip(&all) {
                if plain["values"]["id(self)"] == bob {
                    total = plain["values"]["self.total"].as_str().unwrap().to_string();
                }
                let values = &row["values"];
                match row["errors"]["$0.total"].as_str() {
                    Some(error) => {
                        assert!(error.contains("'$0' refers to an object created later in time"), "{row}");
                        before += 1;
                    }
                    // Its life began before its first hit.
                    None if total.is_empty() => assert_eq!(values["$0.total"], "0", "{row}"),
                    None => {
                        assert_eq!(values["$0.total"].as_str(), Some(total.as_str()), "{row}");
                        let same = if plain["values"]["id(self)"] == bob { "True" } else { "False" };
                        assert_eq!(values["$0 is self"].as_str(), Some(same), "{row}");
                        assert_eq!(values["len([$0.total, 1])"].as_str(), Some("2"), "{row}");
                    }
                }
            }
            assert_eq!(before, 0, "all accounts are there before the first hit");
        }
        // Before its birth and after its end.
        let shown = answers[3]["text"].as_str().unwrap();
        assert!(shown.starts_with("$1 = {'when': "), "{shown}");
        for exact in [false, true] {
            let mut options = vec!["--at", &at, "--print", "list($1)", "amount"];
            options.extend(exact.then_some("--exact"));
            for row in rows(&sandbox, trace, &options) {
                let time = row["time"].as_u64().unwrap();
                let error = row["errors"]["list($1)"].as_str().unwrap_or_default();
                if time == found {
                    assert_eq!(row["values"]["list($1)"], "['when']", "{row}");
                } else if time < found {
                    assert!(error.ends_with("'$1' refers to an object created later in time"), "{row}");
                } else {
                    assert!(error.contains("'$1' refers to an object that does not exist any more"), "{row}");
                }
                assert!(row["values"]["amount"].is_string(), "{row}");
            }
        }
        // A condition fails where it is not there.
        let out = query(
            &sandbox,
            trace,
            &["--at", &at, "--if", "len($1) == 1", "--print", "amount", "--format", "jsonl"],
        );
        assert_eq!(parsed(&text(&out.stdout)).len(), 1);
        assert!(
            text(&out.stderr).contains("the condition fails at 599 hits"),
            "{}",
            text(&out.stderr)
        );
        // In a condition: as many as without the name.
        let condition = "self is $0 and amount > 50";
        let some = rows(&sandbox, trace, &["--at", &at, "--if", condition, "--print", "amount"]);
        let amounts = expected(&text(&recorded.out.stdout));
        let held = amounts.iter().filter(|e| e[0] == "'bob'" && e[1].parse::<u32>().unwrap() > 50);
        assert_eq!(some.len(), held.count());
    }
}
