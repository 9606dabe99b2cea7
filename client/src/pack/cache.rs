//! Packed traces opened directly: unpacked once into the user's cache, by their content.

use super::{MAGIC, read};
use crate::Fault;
use nix::unistd::{User, getuid};
use std::env;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Read};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// `$XDG_CACHE_HOME/rdb`, by default `~/.cache/rdb`.
pub(crate) fn directory() -> PathBuf {
    let absolute = |v: std::ffi::OsString| Some(PathBuf::from(v)).filter(|p| p.is_absolute());
    let home = || {
        env::var_os("HOME")
            .and_then(absolute)
            .or_else(|| Some(User::from_uid(getuid()).ok()??.dir))
            .map(|h| h.join(".cache"))
    };
    env::var_os("XDG_CACHE_HOME")
        .and_then(absolute)
        .or_else(home)
        .map_or_else(|| PathBuf::from(format!("/tmp/rdb-{}/cache", getuid())), |c| c.join("rdb"))
}

/// The trace directory of a packed trace.
///
/// # Errors
/// When it is none, or cannot be unpacked.
pub(crate) fn opened(packed: &Path) -> Result<PathBuf, Fault> {
    unpacked_in(&directory(), packed)
}

fn unpacked_in(cache: &Path, packed: &Path) -> Result<PathBuf, Fault> {
    let key = key(packed).map_err(|e| Fault::new(format!("cannot read {}: {e}", packed.display())))?;
    let Some(key) = key else {
        return Err(Fault::new(format!(
            "{} is neither a trace directory nor a packed trace",
            packed.display()
        )));
    };
    let at = cache.join(key);
    if at.join(rdb_trace::EVENTS_FILE).exists() {
        return Ok(at);
    }
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(cache)
        .map_err(|e| Fault::new(format!("cannot make {}: {e}", cache.display())))?;
    let unpacked = read::file(packed, &at)?;
    match fs::rename(unpacked.path(), &at) {
        Ok(()) => Ok(at),
        // Somebody else was faster, with the same content.
        Err(_) if at.join(rdb_trace::EVENTS_FILE).exists() => Ok(at),
        Err(e) => Err(Fault::new(format!("cannot make {}: {e}", at.display()))),
    }
}

/// The name of this content; `None` when it is no packed trace at all.
fn key(packed: &Path) -> io::Result<Option<String>> {
    let mut file = File::open(packed)?;
    let mut magic = [0; 4];
    if file.read_exact(&mut magic).is_err() || magic != MAGIC {
        return Ok(None);
    }
    let mut hash = blake3::Hasher::new();
    hash.update(&magic).update_reader(file)?;
    Ok(Some(hash.finalize().to_hex().to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pack::write;
    use rdb_trace::End;
    use rdb_trace::event::Fixed;

    const START: Fixed = Fixed {
        kind: rdb_trace::Kind::Start,
        flags: 0,
        thread: 0,
        nr: 0,
        ret: 0,
        rip: 0,
        rsp: 0,
        args: [0; 6],
        registers: 0,
    };

    /// A trace with a child's inside, which shares a file.
    fn packed(dir: &Path) -> PathBuf {
        let trace = dir.join("trace");
        for at in [trace.clone(), trace.join("2")] {
            fs::create_dir_all(at.join("files")).unwrap();
            fs::write(at.join("events"), rdb_trace::memory::log(7, End::Exited(0), &[&[(START, &[])]])).unwrap();
        }
        fs::write(trace.join("files/0"), vec![b'x'; 100_000]).unwrap();
        fs::hard_link(trace.join("files/0"), trace.join("2/files/0")).unwrap();
        fs::write(trace.join("survey"), "derived").unwrap();
        fs::write(trace.join("bookmarks"), "1 here\n").unwrap();
        let to = dir.join("t.rdb");
        write::file(&trace, &to, false).unwrap();
        to
    }

    fn entries(dir: &Path) -> usize {
        fs::read_dir(dir).map_or(0, Iterator::count)
    }

    #[test]
    fn comes_back_whole_with_shared_files_once() {
        let dir = tempfile::tempdir().unwrap();
        let file = packed(dir.path());
        let cache = dir.path().join("cache");
        let at = unpacked_in(&cache, &file).unwrap();
        assert_eq!(fs::read(at.join("files/0")).unwrap(), vec![b'x'; 100_000]);
        let ino = |p: &str| std::os::unix::fs::MetadataExt::ino(&fs::metadata(at.join(p)).unwrap());
        assert_eq!(ino("files/0"), ino("2/files/0"));
        for log in ["events", "2/events"] {
            assert_eq!(
                fs::read(at.join(log)).unwrap(),
                fs::read(dir.path().join("trace").join(log)).unwrap()
            );
        }
        assert_eq!(fs::read_to_string(at.join("bookmarks")).unwrap(), "1 here\n");
        assert!(!at.join("survey").exists());
        assert_eq!(unpacked_in(&cache, &file).unwrap(), at);
        assert_eq!(entries(&cache), 1);
    }

    #[test]
    fn many_open_it_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let file = packed(dir.path());
        let cache = dir.path().join("cache");
        std::thread::scope(|s| {
            for _ in 0..4 {
                s.spawn(|| {
                    let at = unpacked_in(&cache, &file).unwrap();
                    assert_eq!(fs::read(at.join("files/0")).unwrap().len(), 100_000);
                });
            }
        });
        assert_eq!(entries(&cache), 1, "no unpacked copy is left");
    }

    #[test]
    fn damage_is_refused_and_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let good = fs::read(packed(dir.path())).unwrap();
        let cache = dir.path().join("cache");
        let bad = dir.path().join("bad.rdb");
        let refused = |bytes: &[u8], what: &str| {
            fs::write(&bad, bytes).unwrap();
            let said = unpacked_in(&cache, &bad).unwrap_err().to_string();
            assert!(said.lines().count() == 1 && said.contains("bad.rdb"), "{what}: {said}");
            assert_eq!(entries(&cache), 0, "{what}");
        };
        for n in 0..good.len() {
            refused(&good[..n], &format!("cut at {n}"));
        }
        for at in 0..good.len() {
            let mut b = good.clone();
            b[at] ^= 0x10;
            fs::write(&bad, &b).unwrap();
            // A bit of the frame that says nothing may pass: then the content is the same.
            match unpacked_in(&cache, &bad) {
                Ok(at) => {
                    assert_eq!(fs::read(at.join("files/0")).unwrap(), vec![b'x'; 100_000]);
                    fs::remove_dir_all(at).unwrap();
                }
                Err(e) => assert!(e.to_string().contains("bad.rdb")),
            }
            assert_eq!(entries(&cache), 0, "byte {at}");
        }
    }

    #[test]
    fn hostile_archives_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let cache = dir.path().join("cache");
        let log = rdb_trace::memory::log(7, End::Exited(0), &[&[(START, &[])]]);
        let archive = |name: &str, fill: &dyn Fn(&mut tar::Builder<zstd::Encoder<'static, File>>)| {
            let at = dir.path().join(format!("{name}.rdb"));
            let out = zstd::Encoder::new(File::create(&at).unwrap(), 1).unwrap();
            let mut b = tar::Builder::new(out);
            fill(&mut b);
            b.into_inner().unwrap().finish().unwrap();
            at
        };
        let add = |b: &mut tar::Builder<zstd::Encoder<'static, File>>, path: &str, bytes: &[u8]| {
            let mut h = tar::Header::new_gnu();
            h.set_size(bytes.len() as u64);
            h.set_mode(0o600);
            // Not through `set_path`, which refuses what we want to try.
            h.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
            h.set_cksum();
            b.append(&h, bytes).unwrap();
        };
        let total = log.len() as u64 + 3;
        let manifest = |total: u64| format!("rdb-pack 1\n{total}\n");
        let cases: Vec<(&str, PathBuf)> = vec![
            (
                "a path that no trace has",
                archive("up", &|b| {
                    add(b, "rdb-pack", manifest(total).as_bytes());
                    add(b, "events", &log);
                    add(b, "../out", b"abc");
                }),
            ),
            (
                "a path that no trace has",
                archive("absolute", &|b| {
                    add(b, "rdb-pack", manifest(total).as_bytes());
                    add(b, "/tmp/rdb-out", b"abc");
                }),
            ),
            (
                "holds more than it says",
                archive("more", &|b| {
                    add(b, "rdb-pack", manifest(5).as_bytes());
                    add(b, "events", &log);
                }),
            ),
            (
                "does not hold what it says",
                archive("less", &|b| {
                    add(b, "rdb-pack", manifest(total).as_bytes());
                    add(b, "events", &log);
                }),
            ),
            (
                "are free",
                archive("absurd", &|b| {
                    add(b, "rdb-pack", manifest(u64::MAX).as_bytes());
                    add(b, "events", &log);
                }),
            ),
            (
                "format 9, this rdb reads format 1",
                archive("version", &|b| add(b, "rdb-pack", b"rdb-pack 9\n3\n")),
            ),
            ("is not a packed trace", archive("foreign", &|b| add(b, "readme", b"hello"))),
            (
                "twice",
                archive("twice", &|b| {
                    add(b, "rdb-pack", manifest(6).as_bytes());
                    add(b, "a", b"abc");
                    add(b, "a", b"abc");
                }),
            ),
            (
                "no trace holds",
                archive("link", &|b| {
                    add(b, "rdb-pack", manifest(0).as_bytes());
                    let mut h = tar::Header::new_gnu();
                    h.set_entry_type(tar::EntryType::Symlink);
                    h.set_size(0);
                    b.append_link(&mut h, "events", "/etc/passwd").unwrap();
                }),
            ),
            (
                "a link to nothing in it",
                archive("hard", &|b| {
                    add(b, "rdb-pack", manifest(0).as_bytes());
                    let mut h = tar::Header::new_gnu();
                    h.set_entry_type(tar::EntryType::Link);
                    h.set_size(0);
                    b.append_link(&mut h, "events", "other").unwrap();
                }),
            ),
            (
                "cannot read the trace",
                archive("empty", &|b| add(b, "rdb-pack", manifest(0).as_bytes())),
            ),
            (
                "not an rdb trace",
                archive("nonsense", &|b| {
                    add(b, "rdb-pack", manifest(11).as_bytes());
                    add(b, "events", b"hello world");
                }),
            ),
        ];
        for (what, file) in cases {
            let said = unpacked_in(&cache, &file).unwrap_err().to_string();
            assert!(said.contains(what) && said.lines().count() == 1, "{what}: {said}");
            assert_eq!(entries(&cache), 0, "{what}");
        }
        assert!(!dir.path().join("out").exists() && !Path::new("/tmp/rdb-out").exists());
    }
}
