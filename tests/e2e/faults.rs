//! Damaged, missing and foreign traces: one clear line, and what is whole can still be replayed.

use super::support::{Sandbox, header, header_of, program, text, travelling};
use rdb_trace::{HEADER_SIZE, Opened, Reader, Writer};
use std::fs;

fn recorded() -> (Sandbox, std::path::PathBuf) {
    let sandbox = Sandbox::new();
    let trace = sandbox
        .record("trace", &["/usr/bin/python3", &program("texts.py").display().to_string()])
        .trace;
    (sandbox, trace)
}

/// Writes a log again with its effects changed by `change`, which says whether it did; how many it has changed.
fn rewrite(log: &mut Vec<u8>, mut change: impl FnMut(&mut [u8]) -> bool) -> usize {
    let header = header_of(log);
    let source = log.as_slice();
    let opened = Opened::new(log.len() as u64, |at, to| {
        let at = usize::try_from(at).unwrap();
        to.copy_from_slice(&log[at..at + to.len()]);
        Ok(())
    });
    let mut reader = Reader::new(opened.unwrap(), source);
    let Ok(mut writer) = Writer::new(log[..HEADER_SIZE].to_vec());
    let mut changed = 0;
    while let Some(event) = reader.next().unwrap() {
        let mut effects: Vec<(u64, Vec<u8>)> = event.effects().map(|e| (e.target, e.bytes.to_vec())).collect();
        changed += effects.iter_mut().map(|e| usize::from(change(&mut e.1))).sum::<usize>();
        let effects: Vec<(u64, &[u8])> = effects.iter().map(|(t, b)| (*t, b.as_slice())).collect();
        let Ok(()) = rdb_trace::memory::add(&mut writer, &event.fixed, &effects);
    }
    assert_eq!(writer.events(), header.events);
    let size = usize::try_from(writer.close()).unwrap();
    *log = writer.room()[..size].to_vec();
    changed
}

#[test]
fn missing_and_foreign_traces_are_refused() {
    let (mut sandbox, trace) = recorded();
    sandbox.daemon();
    let refused = |sandbox: &Sandbox, path: &std::path::Path, what: &str| {
        for command in [&["verify"][..], &["batch"][..], &["info"][..], &["output"][..]] {
            let mut c = sandbox.rdbctl();
            c.args(command).arg(path);
            if command == ["batch"] {
                c.args(["-e", "when"]);
            }
            let out = c.output().unwrap();
            assert!(!out.status.success(), "{command:?} on {what}");
            let said = text(&out.stderr);
            assert!(
                said.trim_end().lines().count() == 1 && said.contains("trace"),
                "{command:?} on {what}: {said}"
            );
        }
    };
    refused(&sandbox, &sandbox.path("nowhere"), "a missing trace");
    let events = trace.join("events");
    let whole = fs::read(&events).unwrap();
    for (what, change) in [
        ("another version", &(|b: &mut Vec<u8>| b[8] = 99) as &dyn Fn(&mut Vec<u8>)),
        ("no trace", &|b: &mut Vec<u8>| b[..8].copy_from_slice(b"whatever")),
        ("a torn header", &|b: &mut Vec<u8>| b.truncate(100)),
        ("an empty log", &|b: &mut Vec<u8>| b.clear()),
    ] {
        let mut bytes = whole.clone();
        change(&mut bytes);
        fs::write(&events, bytes).unwrap();
        refused(&sandbox, &trace, what);
    }
}

#[test]
fn a_truncated_trace_replays_as_far_as_it_goes() {
    let (mut sandbox, trace) = recorded();
    let events = trace.join("events");
    let whole = fs::read(&events).unwrap();
    let all = header(&trace).events;
    fs::write(&events, &whole[..HEADER_SIZE + (whole.len() - HEADER_SIZE) * 3 / 4]).unwrap();
    assert!(header(&trace).torn());
    sandbox.verify(&trace);
    let out = sandbox.rdbctl().arg("verify").arg(&trace).output().unwrap();
    let said = text(&out.stderr);
    let events: u64 = said.split("verified: ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
    assert!(events > 100 && events < all, "{said}");
    let answers = sandbox.batch(&trace, &["step".into(), "go end".into(), "bstep".into()]);
    assert!(answers.iter().all(|a| a["ok"] == true), "{answers:?}");
}

#[test]
fn a_flipped_bit_is_found_where_it_is() {
    let (sandbox, trace) = recorded();
    let events = trace.join("events");
    let mut bytes = fs::read(&events).unwrap();
    let middle = HEADER_SIZE + (bytes.len() - HEADER_SIZE) / 2;
    bytes[middle] ^= 4;
    fs::write(&events, bytes).unwrap();
    let out = sandbox.rdbctl().arg("verify").arg(&trace).output().unwrap();
    assert_eq!(out.status.code(), Some(2), "{}", text(&out.stderr));
    assert!(text(&out.stderr).contains("damaged at event"), "{}", text(&out.stderr));
}

#[test]
fn a_lost_snapshot_is_named() {
    let (sandbox, trace) = recorded();
    fs::remove_file(trace.join("files/2")).unwrap();
    let out = sandbox.rdbctl().arg("verify").arg(&trace).output().unwrap();
    assert_eq!(out.status.code(), Some(2));
    assert!(text(&out.stderr).contains("files/2"), "{}", text(&out.stderr));
}

#[test]
fn another_result_is_a_divergence_with_its_place() {
    // The judge must be able to condemn: a recording in which one recorded byte is not what it was. The interpreter reads the
    // script several times (is it an archive? which encoding?): change it every time, and write the log again.
    let (sandbox, trace) = recorded();
    let events = trace.join("events");
    let mut bytes = fs::read(&events).unwrap();
    let changed = rewrite(&mut bytes, |effect| {
        let at = effect.windows(9).position(|w| w == b"len(rows)");
        if let Some(at) = at {
            effect[at + 7] = b'x';
        }
        at.is_some()
    });
    assert!(changed > 0, "the script's source is in the trace");
    fs::write(&events, bytes).unwrap();
    let out = sandbox.rdbctl().arg("verify").arg(&trace).output().unwrap();
    assert_eq!(out.status.code(), Some(1), "{}", text(&out.stderr));
    let said = text(&out.stderr);
    assert!(
        said.contains("divergence at event") && said.contains("expected") && said.contains("actual"),
        "{said}"
    );
    assert!(header(&trace).events > 0);
}

#[test]
fn what_lies_before_a_divergence_can_be_seen() {
    for python in travelling() {
        let mut sandbox = Sandbox::new();
        let source = "n = int(open('number').read())\nfor i in range(n % 10):\n    print(i, flush=True)\nprint('done', flush=True)\n";
        fs::write(sandbox.path("number"), "70000003").unwrap();
        fs::write(sandbox.path("rounds.py"), source).unwrap();
        let path = python.path.display().to_string();
        let trace = sandbox.record("trace", &[&path, "-S", "-E", "rounds.py"]).trace;
        sandbox.verify(&trace);
        let events = trace.join("events");
        let mut bytes = fs::read(&events).unwrap();
        // One round less than there was.
        let changed = rewrite(&mut bytes, |effect| match effect.windows(8).position(|w| w == b"70000003") {
            Some(at) => {
                effect[at + 7] = b'2';
                true
            }
            None => false,
        });
        assert_eq!(changed, 1, "{path}");
        fs::write(&events, bytes).unwrap();
        let mut answers = sandbox.batch(&trace, &["go end".into(), "break 3".into(), "continue".into(), "go 100%".into()]);
        let mut good = 0;
        for answer in [answers.remove(0), answers.pop().unwrap()] {
            assert_eq!(answer["error"]["code"], "divergence", "{path}: {answer}");
            let said = answer["error"]["text"].as_str().unwrap().to_owned();
            let time = said.rsplit_once("`go ").and_then(|s| s.1.split_once('`')).unwrap().0;
            good = time.parse::<u64>().unwrap();
            assert!(
                said.ends_with(&format!("; up to time {good} all is as recorded: `go {good}` leads there")),
                "{path}: {said}"
            );
        }
        let script = [
            format!("go {good}"),
            "print i, n".into(),
            "step".into(),
            "when".into(),
            "break 3".into(),
            "bcontinue".into(),
            "print i".into(),
        ];
        let answers = sandbox.batch(&trace, &script);
        assert_eq!(
            (&answers[0]["time"], &answers[1]["text"]),
            (&good.into(), &"(1, 70000002)".into()),
            "{path}: {answers:?}"
        );
        assert_eq!(answers[2]["error"]["code"], "divergence", "{path}: {answers:?}");
        assert_eq!(answers[6]["text"], "1", "{path}: {answers:?}");
    }
}

#[test]
fn a_cpu_that_lacks_features_is_named() {
    let (sandbox, trace) = recorded();
    let events = trace.join("events");
    let mut bytes = fs::read(&events).unwrap();
    // No CPU has all of them.
    let words = rdb_trace::header::offset::CPU + 8;
    bytes[words..words + 4 * rdb_trace::cpu::WORDS].fill(0xff);
    fs::write(&events, bytes).unwrap();
    let out = sandbox.rdbctl().arg("verify").arg(&trace).output().unwrap();
    let said = text(&out.stderr);
    assert_eq!(out.status.code(), Some(2), "{said}");
    assert!(
        said.lines().count() == 1 && said.contains("this CPU lacks") && said.contains("xop"),
        "{said}"
    );
}
