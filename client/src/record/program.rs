//! Which file a command means, and whether it can be recorded: one clear line for each reason why not.

use crate::Fault;
use nix::unistd::{AccessFlags, access};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// Searched when PATH is not set, as a shell does.
const DEFAULT_PATH: &str = "/usr/local/bin:/usr/bin:/bin";
/// As many `#!` lines as the kernel follows.
const SCRIPT_DEPTH: usize = 4;
/// As much of a `#!` line as the kernel reads.
const SCRIPT_LINE: u64 = 256;

const ELF_CLASS: usize = 4;
const ELF_CLASS_64: u8 = 2;
const ELF_MACHINE: usize = 18;
const ELF_MACHINE_X86_64: [u8; 2] = [62, 0];

/// The path to execute for the command `name`.
///
/// # Errors
/// With exit status 127 when there is none, 126 when it cannot be recorded.
pub(super) fn resolve(name: &OsStr, path: Option<&OsStr>) -> Result<PathBuf, Fault> {
    let found = if name.as_bytes().contains(&b'/') {
        PathBuf::from(name)
    } else {
        search(name, path)?
    };
    check(&found, SCRIPT_DEPTH)?;
    Ok(found)
}

fn search(name: &OsStr, path: Option<&OsStr>) -> Result<PathBuf, Fault> {
    let shown = Path::new(name).display();
    let mut forbidden = None;
    if !name.is_empty() {
        for dir in std::env::split_paths(path.unwrap_or(OsStr::new(DEFAULT_PATH))) {
            let candidate = if dir.as_os_str().is_empty() {
                Path::new(".").join(name)
            } else {
                dir.join(name)
            };
            if !candidate.is_file() {
                continue;
            }
            if access(&candidate, AccessFlags::X_OK).is_ok() {
                return Ok(candidate);
            }
            forbidden.get_or_insert(candidate);
        }
    }
    Err(match forbidden {
        Some(file) => refuse(format!("{}: permission denied (it is not executable)", file.display())),
        None => Fault::with_status(127, format!("{shown}: command not found")),
    })
}

fn check(file: &Path, depth: usize) -> Result<(), Fault> {
    let shown = file.display();
    let failed = |e: io::Error| match e.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Fault::with_status(127, format!("{shown}: no such file")),
        io::ErrorKind::PermissionDenied => refuse(format!("{shown}: permission denied")),
        _ => refuse(format!("{shown}: {e}")),
    };
    let meta = file.metadata().map_err(failed)?;
    if meta.is_dir() {
        return Err(refuse(format!("{shown}: is a directory")));
    }
    if !meta.is_file() {
        return Err(refuse(format!("{shown}: not a regular file")));
    }
    if access(file, AccessFlags::X_OK).is_err() {
        return Err(refuse(format!("{shown}: permission denied (it is not executable)")));
    }
    let mut head = Vec::new();
    let open = File::open(file).map_err(|e| match e.kind() {
        io::ErrorKind::PermissionDenied => refuse(format!("{shown}: permission denied (to be recorded it must be readable)")),
        _ => failed(e),
    })?;
    open.take(SCRIPT_LINE).read_to_end(&mut head).map_err(failed)?;
    match head.strip_prefix(b"#!") {
        Some(line) => check_script(file, line, depth),
        None => check_elf(&head).map_err(|why| refuse(format!("{shown}: {why}"))),
    }
}

fn check_script(file: &Path, line: &[u8], depth: usize) -> Result<(), Fault> {
    let line = line.split(|b| *b == b'\n').next().unwrap_or_default();
    let interpreter: Vec<u8> = line
        .trim_ascii_start()
        .iter()
        .copied()
        .take_while(|b| !b.is_ascii_whitespace())
        .collect();
    if interpreter.is_empty() {
        return Err(refuse(format!("{}: its `#!` line names no interpreter", file.display())));
    }
    if depth == 0 {
        return Err(refuse(format!(
            "{}: too many `#!` interpreters, one behind the other",
            file.display()
        )));
    }
    let interpreter = PathBuf::from(OsString::from_vec(interpreter));
    check(&interpreter, depth - 1).map_err(|e| match e {
        Fault::Said { status, text } => Fault::Said {
            status,
            text: format!("{}: bad interpreter: {text}", file.display()),
        },
        other => other,
    })
}

fn check_elf(head: &[u8]) -> Result<(), &'static str> {
    if !head.starts_with(b"\x7fELF") {
        return Err("neither an ELF program nor a `#!` script");
    }
    match head.get(ELF_CLASS) {
        Some(&ELF_CLASS_64) if head.get(ELF_MACHINE..ELF_MACHINE + 2) == Some(&ELF_MACHINE_X86_64) => Ok(()),
        Some(&ELF_CLASS_64) => Err("a program for another processor; rdb records x86-64 programs"),
        _ => Err("a 32-bit program; rdb records x86-64 programs"),
    }
}

fn refuse(text: String) -> Fault {
    Fault::with_status(126, text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    fn file(dir: &Path, name: &str, content: &[u8], mode: u32) -> PathBuf {
        let at = dir.join(name);
        fs::write(&at, content).unwrap();
        fs::set_permissions(&at, fs::Permissions::from_mode(mode)).unwrap();
        at
    }

    fn said(result: Result<PathBuf, Fault>) -> (u8, String) {
        match result {
            Err(Fault::Said { status, text }) => (status, text),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn each_reason_has_its_line_and_status() {
        let dir = tempfile::tempdir().unwrap();
        let d = dir.path();
        let elf = |class: u8, machine: u8| [b"\x7fELF".as_slice(), &[class], &[0; 13], &[machine, 0], &[0; 44]].concat();
        let cases = [
            (file(d, "plain", b"hello", 0o755), 126, "neither an ELF program nor a `#!` script"),
            (file(d, "empty", b"", 0o755), 126, "neither an ELF program"),
            (
                file(d, "noexec", b"#!/bin/sh\n", 0o644),
                126,
                "permission denied (it is not executable)",
            ),
            (file(d, "elf32", &elf(1, 3), 0o755), 126, "a 32-bit program"),
            (file(d, "arm", &elf(2, 183), 0o755), 126, "another processor"),
            (
                file(d, "bad", b"#!/no/such/shell -x\n", 0o755),
                127,
                "bad interpreter: /no/such/shell: no such file",
            ),
            (file(d, "none", b"#!  \n", 0o755), 126, "names no interpreter"),
            (d.to_path_buf(), 126, "is a directory"),
            (d.join("absent"), 127, "no such file"),
        ];
        for (path, status, text) in cases {
            let got = said(resolve(path.as_os_str(), None));
            assert!(got.0 == status && got.1.contains(text), "{got:?} should be {status} {text}");
        }
        let good = file(d, "good", &elf(2, 62), 0o755);
        assert_eq!(resolve(good.as_os_str(), None).unwrap(), good);
        let script = file(
            d,
            "script",
            [b"#!", good.as_os_str().as_bytes(), b" arg\n"].concat().as_slice(),
            0o755,
        );
        assert_eq!(resolve(script.as_os_str(), None).unwrap(), script);
        let circle = d.join("circle");
        file(d, "circle", [b"#!", circle.as_os_str().as_bytes()].concat().as_slice(), 0o755);
        assert!(said(resolve(circle.as_os_str(), None)).1.contains("too many"));
    }

    #[test]
    fn path_is_searched_like_a_shell_does() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (dir.path().join("a"), dir.path().join("b"));
        fs::create_dir_all(a.join("tool")).unwrap();
        fs::create_dir(&b).unwrap();
        file(&a, "x", b"#!/bin/sh\n", 0o644);
        file(&b, "x", b"#!/bin/sh\n", 0o755);
        file(&b, "tool", b"#!/bin/sh\n", 0o755);
        let path = std::env::join_paths([&a, &b]).unwrap();
        assert_eq!(resolve(OsStr::new("x"), Some(&path)).unwrap(), b.join("x"));
        assert_eq!(resolve(OsStr::new("tool"), Some(&path)).unwrap(), b.join("tool"));
        assert_eq!(said(resolve(OsStr::new("x"), Some(a.as_os_str()))).0, 126);
        assert_eq!(
            said(resolve(OsStr::new("nothing"), Some(&path))),
            (127, "nothing: command not found".into())
        );
        assert_eq!(said(resolve(OsStr::new(""), Some(&path))).0, 127);
    }
}
