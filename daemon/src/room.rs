//! The directory the socket lives in: ours alone, or we do not work there.

use nix::unistd::Uid;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Name of the socket in its directory.
const SOCKET: &str = "rdbd.sock";

/// Why a directory will not do. The texts are for users.
#[derive(Debug, Error)]
pub(crate) enum RoomError {
    /// The path names nothing that could lie in a directory.
    #[error("{0}: not a path for a socket")]
    NoDirectory(PathBuf),
    /// It could not be made or looked at.
    #[error("{0}: {1}")]
    Io(PathBuf, io::Error),
    /// It belongs to someone else, or others may enter.
    #[error("{path}: {what}; the daemon's socket needs a directory of your own with mode 0700")]
    Unsafe {
        /// The directory.
        path: PathBuf,
        /// What is wrong with it.
        what: &'static str,
    },
}

/// Where the socket lies unless the user says otherwise.
pub(crate) fn default_socket() -> PathBuf {
    socket_in(std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from), Uid::effective())
}

fn socket_in(runtime: Option<PathBuf>, uid: Uid) -> PathBuf {
    match runtime.filter(|d| d.is_absolute()) {
        Some(runtime) => runtime.join("rdb").join(SOCKET),
        None => PathBuf::from(format!("/tmp/rdb-{uid}")).join(SOCKET),
    }
}

/// Makes the socket's directory if need be and makes sure that nobody else can reach into it.
pub(crate) fn prepare(socket: &Path) -> Result<PathBuf, RoomError> {
    let directory = match (socket.parent(), socket.file_name()) {
        (Some(parent), Some(_)) if socket.is_absolute() => parent.to_path_buf(),
        _ => return Err(RoomError::NoDirectory(socket.to_path_buf())),
    };
    let fail = |e| RoomError::Io(directory.clone(), e);
    match DirBuilder::new().mode(0o700).create(&directory) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(fail(e)),
        _ => {}
    }
    // Not through a link: whoever owns the link could turn it elsewhere.
    let meta = fs::symlink_metadata(&directory).map_err(fail)?;
    let what = if !meta.is_dir() {
        "not a directory"
    } else if meta.uid() != Uid::effective().as_raw() {
        "owned by another user"
    } else if meta.mode() & 0o077 != 0 {
        "open to other users"
    } else {
        return Ok(directory);
    };
    Err(RoomError::Unsafe { path: directory, what })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn default_places() {
        let uid = Uid::from_raw(77);
        assert_eq!(socket_in(Some("/run/user/77".into()), uid), Path::new("/run/user/77/rdb/rdbd.sock"));
        for odd in [None, Some("".into()), Some("relative".into())] {
            assert_eq!(socket_in(odd, uid), Path::new("/tmp/rdb-77/rdbd.sock"));
        }
    }

    #[test]
    fn makes_a_directory_of_our_own_and_refuses_others() {
        let dir = tempfile::tempdir().unwrap();
        let made = prepare(&dir.path().join("new/s")).unwrap();
        assert_eq!(fs::metadata(&made).unwrap().mode() & 0o777, 0o700);
        assert!(prepare(&dir.path().join("new/s")).is_ok(), "again");
        fs::set_permissions(&made, fs::Permissions::from_mode(0o750)).unwrap();
        assert!(prepare(&made.join("s")).unwrap_err().to_string().contains("open to other users"));
        symlink(dir.path(), dir.path().join("link")).unwrap();
        assert!(
            prepare(&dir.path().join("link/s"))
                .unwrap_err()
                .to_string()
                .contains("not a directory")
        );
        assert!(matches!(prepare(Path::new("s")), Err(RoomError::NoDirectory(_))));
        assert!(matches!(prepare(&dir.path().join("a/b/s")), Err(RoomError::Io(..))));
    }
}
