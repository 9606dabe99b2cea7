//! Packed traces: one file that holds a trace with all the contents of files it needs, for another machine.
//!
//! A packed trace is a tar archive compressed with zstd, so that everybody's tools can look into it (`tar --zstd -tf`). Its first entry,
//! `rdb-pack`, holds the version and how many bytes the rest takes unpacked. Then come the trace's files by their relative paths;
//! a content that several paths share is there once, and the others are hard links to it. What the daemon has found out about
//! the trace and can find again is left out.

mod cache;
mod read;
mod write;

use crate::Fault;
use crate::cli::{PackArgs, UnpackArgs};
use crate::paths::Places;
use crate::show::count::bytes;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

#[cfg(feature = "object-store")]
pub(crate) use cache::directory as cache_directory;
pub(crate) use cache::opened;

/// The first entry: a line `rdb-pack VERSION`, a line with the number of bytes.
const MANIFEST: &str = "rdb-pack";
/// Version of the container. That of the trace is its own.
const VERSION: u32 = 1;
/// First bytes of every packed trace: those of zstd (RFC 8878).
const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// What a path inside is at most: a process, in a process ..., its files, one file.
const DEEPEST: usize = 16;
/// Most files in a packed trace.
const MOST_FILES: usize = 1 << 20;
/// The daemon's findings, which it makes anew.
const DERIVED: &str = "survey";

/// `rdbctl pack`; the exit status.
///
/// # Errors
/// [`Fault`].
pub fn pack(places: &Places, args: &PackArgs) -> Result<u8, Fault> {
    let trace = places.directory(&args.trace)?;
    let to = match &args.output {
        Some(path) => path.clone(),
        None => {
            let mut name = trace.file_name().map_or_else(|| OsString::from("trace"), OsString::from);
            name.push(".rdb");
            PathBuf::from(name)
        }
    };
    if to.symlink_metadata().is_ok() {
        return Err(Fault::new(format!("{} exists; choose another place or remove it", to.display())));
    }
    if args.survey && !trace.join(DERIVED).is_file() {
        return Err(Fault::new(format!(
            "nothing was found out about {} yet: open it once, for instance `rdbctl query {0} --plan 1`",
            trace.display()
        )));
    }
    let size = write::file(&trace, &to, args.survey)?;
    eprintln!("rdb: {}: {}", to.display(), bytes(size));
    Ok(0)
}

/// `rdbctl unpack`; the exit status.
///
/// # Errors
/// [`Fault`].
pub fn unpack(args: &UnpackArgs) -> Result<u8, Fault> {
    let to = match &args.output {
        Some(path) => path.clone(),
        None => args.file.file_stem().map(PathBuf::from).unwrap_or_default(),
    };
    let taken = match fs::read_dir(&to) {
        Ok(mut entries) => entries.next().is_some(),
        Err(_) => to.symlink_metadata().is_ok(),
    };
    if taken {
        return Err(Fault::new(format!(
            "{} exists and is not an empty directory; choose another place with -o",
            to.display()
        )));
    }
    let unpacked = read::file(&args.file, &to)?;
    fs::rename(unpacked.path(), &to).map_err(|e| Fault::new(format!("cannot make {}: {e}", to.display())))?;
    Ok(0)
}

/// Whether a path of an archive is one that `pack` could have written.
fn is_own_path(path: &Path) -> bool {
    let plain = |name: &str| {
        let dots = name.bytes().all(|b| b == b'.');
        !name.is_empty() && !dots && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
    };
    path.to_str()
        .is_some_and(|p| p.len() <= 1024 && p.split('/').count() <= DEEPEST && p.split('/').all(plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_relative_paths_are_ours() {
        for good in ["events", "files/0", "1-sh/files/12", "a.b_c-d"] {
            assert!(is_own_path(Path::new(good)), "{good}");
        }
        for bad in [
            "",
            "/etc/passwd",
            "../x",
            "a/../b",
            "a//b",
            "./a",
            "a/",
            "..",
            "a\nb",
            "a b",
            "\u{e9}",
        ] {
            assert!(!is_own_path(Path::new(bad)), "{bad}");
        }
        assert!(!is_own_path(Path::new(&["a"; 17].join("/"))));
    }
}
