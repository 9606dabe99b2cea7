//! Damaged, missing and foreign traces: one clear line, and what is whole can still be replayed.

use super::support::{Sandbox, header, program, text};
use rdb_trace::HEADER_SIZE;
use std::fs;

fn recorded() -> (Sandbox, std::path::PathBuf) {
    let sandbox = Sandbox::new();
    let trace = sandbox
        .record("trace", &["/usr/bin/python3", &program("texts.py").display().to_string()])
        .trace;
    (sandbox, trace)
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
    assert!(header(&trace).torn);
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
    // script several times (is it an archive? which encoding?): change it every time, and seal each record again.
    let (sandbox, trace) = recorded();
    let events = trace.join("events");
    let mut bytes = fs::read(&events).unwrap();
    let (mut start, mut changed) = (HEADER_SIZE, 0);
    while start < bytes.len() {
        let size = u32::from_le_bytes(bytes[start..start + 4].try_into().unwrap()) as usize;
        let record = &mut bytes[start..start + size];
        if let Some(at) = record.windows(9).position(|w| w == b"len(rows)") {
            record[at + 7] = b'x';
            rdb_trace::event::seal(record);
            changed += 1;
        }
        start += size;
    }
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
