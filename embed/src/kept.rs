//! The image as a file that stays, so that the next recording need not write it again.

use nix::sys::statvfs::{FsFlags, fstatvfs};
use nix::unistd::geteuid;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

const PREFIX: &str = ".agent-";

/// The file of this image, open for reading; `None` where there can be none that is nobody else's and can be executed.
pub(crate) fn file(directory: &Path, image: &[u8], hash: &str) -> Option<File> {
    let path = directory.join(format!("{PREFIX}{hash}"));
    let file = match open(&path, image) {
        Some(file) => file,
        None => {
            make(directory, &path, image)?;
            open(&path, image)?
        }
    };
    let flags = fstatvfs(&file).ok()?.flags();
    (!flags.contains(FsFlags::ST_NOEXEC)).then_some(file)
}

/// The file, if it is whole and the user's own.
fn open(path: &Path, image: &[u8]) -> Option<File> {
    const OTHERS_WRITE: u32 = 0o022;
    let file = File::open(path).ok()?;
    let there = file.metadata().ok()?;
    let ours = there.is_file() && there.uid() == geteuid().as_raw() && there.mode() & OTHERS_WRITE == 0;
    (ours && there.len() == image.len() as u64).then_some(file)
}

/// Makes it in one step, whole on the disk before it has its name, and removes those of other builds.
fn make(directory: &Path, path: &Path, image: &[u8]) -> Option<()> {
    let temporary = directory.join(format!("{PREFIX}new-{}", std::process::id()));
    let _ = fs::remove_file(&temporary);
    let written = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o500).open(&temporary)?;
        file.write_all(image)?;
        file.sync_all()?;
        drop(file);
        fs::rename(&temporary, path)
    };
    if written().is_err() {
        let _ = fs::remove_file(&temporary);
        return None;
    }
    for entry in fs::read_dir(directory).ok()?.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with(PREFIX) && !name.starts_with(".agent-new-") && entry.path() != path {
            let _ = fs::remove_file(entry.path());
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt;

    fn names(directory: &Path) -> Vec<String> {
        let mut all: Vec<String> = fs::read_dir(directory)
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        all.sort();
        all
    }

    #[test]
    fn one_file_is_kept_and_made_anew_when_it_is_not_as_it_was() {
        let directory = tempfile::tempdir().unwrap();
        let at = directory.path();
        let inode = |hash: &str| file(at, b"image", hash).unwrap().metadata().unwrap().ino();
        let first = inode("1");
        assert_eq!(inode("1"), first);
        assert_eq!(names(at), [".agent-1"]);
        let path = at.join(".agent-1");
        assert_eq!(fs::read(&path).unwrap(), b"image");
        // Cut short, by whatever.
        fs::set_permissions(&path, Permissions::from_mode(0o700)).unwrap();
        fs::write(&path, b"im").unwrap();
        inode("1");
        assert_eq!(fs::read(&path).unwrap(), b"image");
        // Others may write it.
        fs::set_permissions(&path, Permissions::from_mode(0o722)).unwrap();
        inode("1");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o500);
        // Another build.
        inode("2");
        assert_eq!(names(at), [".agent-2"]);
    }

    #[test]
    fn where_there_can_be_none_there_is_none() {
        assert!(file(Path::new("/proc"), b"image", "1").is_none());
    }
}
