//! The Python client: its own tests, one for each method of DB.pm, by the system's Python on a recording of each interpreter.

use super::support::{Sandbox, program, text, travelling};
use std::path::Path;
use std::process::Command;

#[test]
fn the_python_client_does_what_db_pm_does() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("python");
    for python in travelling() {
        let mut sandbox = Sandbox::new();
        let (path, file) = (python.path.display().to_string(), program("frames.py").display().to_string());
        let trace = sandbox.record("trace", &[&path, "-S", "-E", &file]).trace;
        sandbox.verify(&trace);
        sandbox.daemon();
        let mut tests = Command::new("/usr/bin/python3");
        // The places of the sandbox's own rdbctl.
        for (name, value) in sandbox.rdbctl().get_envs() {
            match value {
                Some(value) => tests.env(name, value),
                None => tests.env_remove(name),
            };
        }
        let out = tests
            .arg(folder.join("tests/test_db.py"))
            .env("PYTHONPATH", &folder)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("RDB_TEST_TRACE", &trace)
            .env("RDB_TEST_RDBCTL", env!("CARGO_BIN_EXE_rdbctl"))
            .output()
            .unwrap();
        let said = text(&out.stderr);
        assert!(
            out.status.success() && said.contains("\nOK") && said.contains("Ran 32 tests"),
            "{path}: {said}"
        );
    }
}
