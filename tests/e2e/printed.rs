//! What was printed as a way to navigate: each line leads to the code that printed it.

use super::support::{Sandbox, program, travelling};
use serde_json::Value;
use std::path::Path;

/// The lines printed: number, time, whether to standard error, text.
fn lines(answer: &Value) -> Vec<(u32, u64, bool, String)> {
    let parse = |row: &str| {
        let mut words = row.trim_start().splitn(2, ' ');
        let number = words.next().unwrap().parse().unwrap();
        let mut words = words.next().unwrap().trim_start().splitn(2, ' ');
        let time = words.next().unwrap().parse().unwrap();
        let rest = words.next().unwrap_or_default();
        (number, time, rest.starts_with('!'), rest[1..].trim_start().to_string())
    };
    answer["text"].as_str().unwrap().lines().map(parse).collect()
}

fn check(sandbox: &mut Sandbox, trace: &Path) {
    let source = std::fs::read_to_string(program("prints.py")).unwrap();
    let source: Vec<&str> = source.lines().collect();
    let line_of = |stop: &Value| source[usize::try_from(stop["line"].as_u64().unwrap()).unwrap() - 1].trim();
    let answers = sandbox.batch(trace, &["go start", "output", "go end", "output", "output 2"].map(String::from));
    assert_eq!(answers[1]["text"], "nothing was printed before this time");
    let all = lines(&answers[3]);
    let texts: Vec<&str> = all.iter().map(|l| l.3.as_str()).collect();
    let expected = [
        "begin",
        "item 0",
        "item 1",
        "item 2",
        "item 3",
        "item 4",
        "careful",
        "one line",
        "two",
        "lines",
        "unfinished",
    ];
    assert_eq!(texts, expected);
    assert_eq!(all.iter().map(|l| l.0).collect::<Vec<_>>(), (1..=11).collect::<Vec<u32>>());
    assert!(all.iter().all(|l| l.2 == (l.3 == "careful")));
    assert_eq!(lines(&answers[4]), all[9..]);
    // Each line leads to what prints it; just after that it is there, just before it is not.
    let script: Vec<String> = all
        .iter()
        .flat_map(|l| [format!("go output {}", l.0), "output".into(), "step".into(), "output".into()])
        .collect();
    let answers = sandbox.batch(trace, &script);
    for (four, line) in answers.chunks(4).zip(&all) {
        assert_eq!(four[0]["time"].as_u64(), Some(line.1));
        let code = line_of(&four[0]["stop"]);
        assert!(
            code.starts_with("print(") || code.ends_with(".flush()"),
            "line {} leads to {code}",
            line.0
        );
        let before = lines_or_none(&four[1]);
        assert!(before.iter().all(|l| l.1 < line.1) && !before.contains(line));
        assert!(lines_or_none(&four[3]).contains(line), "after {}", four[2]);
    }
    // Breakpoints on what is printed, in both directions, alone and with others.
    let script = [
        "break output ^item [13]",
        "go start",
        "c",
        "c",
        "c",
        "bc",
        "bc",
        "bc",
        "info breakpoints",
        "delete",
        "break output item if text.endswith('2')",
        "go start",
        "c",
        "p text",
        "go end",
        "bc",
        "go start",
        "tbreak output careful",
        "c",
        "c",
        "break output nothing of the kind",
        "break output [",
        "go output 12",
        "go output x",
        "output x",
        "delete",
        "go start",
        "until output careful",
    ];
    let answers = sandbox.batch(trace, &script.map(String::from));
    let time = |i: usize| answers[i]["time"].as_u64().unwrap();
    let error = |i: usize| answers[i]["error"]["text"].as_str().unwrap();
    assert_eq!([time(2), time(3)], [all[2].1, all[4].1]);
    assert_eq!(answers[4]["stop"]["reason"], "main_done");
    assert_eq!([time(5), time(6)], [all[4].1, all[2].1]);
    assert_eq!(answers[7]["stop"]["reason"], "history_begin");
    assert!(answers[8]["text"].as_str().unwrap().contains("at output that matches ^item [13]"));
    assert_eq!((time(12), &answers[13]["text"]), (all[3].1, &"'item 2'".into()), "{}", answers[12]);
    assert_eq!(time(15), all[3].1);
    assert_eq!(time(18), all[3].1, "the other breakpoint comes first");
    assert_eq!((time(19), &answers[19]["stop"]["breakpoints"]), (all[6].1, &serde_json::json!([3])));
    assert_eq!(error(20), "no line that the program printed matches 'nothing of the kind'");
    assert!(error(21).starts_with("'[' is no regular expression"), "{}", error(21));
    assert_eq!(error(22), "there is no line 12: the program printed lines 1 to 11");
    assert_eq!(error(23), "expected the number of a line of output, not 'x'");
    assert_eq!(error(24), "expected a number of lines, not 'x'");
    assert_eq!(time(27), all[6].1);
}

fn lines_or_none(answer: &Value) -> Vec<(u32, u64, bool, String)> {
    if answer["text"] == "nothing was printed before this time" {
        Vec::new()
    } else {
        lines(answer)
    }
}

#[test]
fn lines_lead_to_what_printed_them() {
    for python in travelling() {
        let mut sandbox = Sandbox::new();
        let path = program("prints.py");
        let recorded = sandbox.record("t", &[python.path.to_str().unwrap(), "-S", "-E", path.to_str().unwrap()]);
        sandbox.verify(&recorded.trace);
        check(&mut sandbox, &recorded.trace);
    }
}
