//! The document of the client link names everything there is.

const TYPES: &str = include_str!("../src/client.rs");
const DOCUMENT: &str = include_str!("../../docs/protocol.md");

fn variants(of: &str) -> Vec<&'static str> {
    let begin = TYPES.find(&format!("pub enum {of} {{")).unwrap();
    let body = TYPES[begin..].split("\n}").next().unwrap();
    let names = body.lines().skip(1).filter_map(|l| l.strip_prefix("    "));
    names
        .filter(|l| l.starts_with(|c: char| c.is_ascii_uppercase()))
        .map(|l| l.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap())
        .collect()
}

#[test]
fn every_call_reply_failure_and_notification_is_named() {
    for (of, least) in [("Call", 30), ("Reply", 15), ("FailureCode", 9), ("Notification", 1)] {
        let names = variants(of);
        assert!(names.len() >= least, "{of}: {names:?}");
        for name in names {
            assert!(
                DOCUMENT.contains(&format!("`{name}`")),
                "docs/protocol.md does not name {of}::{name}"
            );
        }
    }
}

#[test]
fn every_call_has_a_row() {
    for name in variants("Call") {
        assert!(
            DOCUMENT.contains(&format!("\n| `{name}` | ")),
            "docs/protocol.md has no row for {name}"
        );
    }
}

#[test]
fn the_version_is_told() {
    let version = rdb_protocol::client::VERSION;
    assert!(DOCUMENT.contains(&format!("This is version {version}.")));
}
