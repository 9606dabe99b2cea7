//! Starting the daemon.

mod common;

use rdb_client::link::{Launcher, Session};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::mpsc::channel;
use std::thread;

fn program(dir: &Path, script: &str) -> PathBuf {
    let at = dir.join("rdbd");
    fs::write(&at, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&at, fs::Permissions::from_mode(0o755)).unwrap();
    at
}

#[test]
fn a_daemon_is_started_and_awaited() {
    let dir = tempfile::tempdir().unwrap();
    let fifo = dir.path().join("fifo");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    // The program only says where to listen, and daemonises by ending.
    let program = program(
        dir.path(),
        &format!("[ \"$1\" = --socket ] && printf %s \"$2\" > '{}'", fifo.display()),
    );
    let socket = dir.path().join("run/rdb/rdbd.sock");
    let directory = dir.path().display().to_string();
    thread::spawn(move || {
        let socket = fs::read_to_string(&fifo).unwrap();
        common::serve(&UnixListener::bind(socket).unwrap(), &channel().0, &directory);
    });
    let launcher = Launcher {
        socket: socket.clone(),
        program: program.into(),
    };
    let (session, here) = Session::open(launcher, "/trace".into(), false).unwrap();
    assert_eq!((session.time().0, here.time.0), (1, 1));
    assert_eq!(fs::metadata(socket.parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn a_daemon_that_fails_is_quoted() {
    let dir = tempfile::tempdir().unwrap();
    let program = program(dir.path(), "echo 'rdbd: no room' >&2; exit 3");
    let launcher = Launcher {
        socket: dir.path().join("s/rdbd.sock"),
        program: program.into(),
    };
    let said = Session::open(launcher, "/trace".into(), false).unwrap_err().to_string();
    assert_eq!(said, "rdbd did not start (exit status: 3): rdbd: no room");
}

#[test]
fn of_a_usage_the_line_with_the_error_is_quoted() {
    let dir = tempfile::tempdir().unwrap();
    let usage = "echo \"error: invalid value 'lots' for '--memory <N>': no number\" >&2\necho >&2\necho \"For more information, try '--help'.\" >&2\nexit 2";
    let launcher = Launcher {
        socket: dir.path().join("s/rdbd.sock"),
        program: program(dir.path(), usage).into(),
    };
    let said = Session::open(launcher, "/trace".into(), false).unwrap_err().to_string();
    assert_eq!(
        said,
        "rdbd did not start (exit status: 2): invalid value 'lots' for '--memory <N>': no number"
    );
}

#[test]
fn a_refused_trace_is_one_line() {
    let fake = common::Fake::start();
    let launcher = Launcher {
        socket: fake.socket(),
        program: "/no/such/rdbd".into(),
    };
    assert_eq!(
        Session::open(launcher, "/bad".into(), false).unwrap_err().to_string(),
        "the trace header is corrupt"
    );
}
