//! Source files, read from disk when first shown.

use super::Colour;
use super::highlight::Highlighter;
use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The source files of a recorded program.
#[derive(Debug)]
pub struct Sources {
    /// Relative names start here.
    directory: PathBuf,
    recorded: Option<SystemTime>,
    files: HashMap<String, Result<File, String>>,
    highlighter: Option<Highlighter>,
}

#[derive(Debug)]
struct File {
    lines: Vec<String>,
    /// Changed after the recording began; cleared once told.
    changed: bool,
}

impl Sources {
    /// For the program that ran in `directory` and was recorded to `trace`.
    #[must_use]
    pub fn new(directory: PathBuf, trace: &Path, colour: Colour) -> Sources {
        let started = crate::Log::open(trace).ok().map(|log| log.header().started);
        let recorded = started
            .filter(|s| *s > 0)
            .map(|s| SystemTime::UNIX_EPOCH + std::time::Duration::from_nanos(s));
        Sources {
            directory,
            recorded,
            files: HashMap::new(),
            highlighter: (colour == Colour::Terminal).then(Highlighter::default),
        }
    }

    /// Lines `first` to `last` (from 1, both included) of a file, as far as it has them; in colour where wanted.
    ///
    /// # Errors
    /// One phrase, when the file cannot be shown.
    pub fn lines(&mut self, name: &str, first: u32, last: u32) -> Result<Vec<String>, String> {
        self.load(name);
        let file = match self.files.get(name) {
            Some(Ok(file)) => file,
            Some(Err(why)) => return Err(why.clone()),
            None => return Err(format!("no source: {name}")),
        };
        if first == 0 {
            return Ok(Vec::new());
        }
        let end = file.lines.len().min(last as usize);
        let range = (first as usize - 1).min(end)..end;
        Ok(match &mut self.highlighter {
            Some(highlighter) => highlighter.lines(name, &file.lines, range),
            None => file.lines[range].to_vec(),
        })
    }

    /// Whether there is such a file.
    #[must_use]
    pub fn exists(&self, name: &str) -> bool {
        self.directory.join(name).is_file()
    }

    /// A file's name as shown: relative to where the program ran, when it lies there.
    #[must_use]
    pub fn shown<'a>(&self, name: &'a str) -> &'a str {
        Path::new(name)
            .strip_prefix(&self.directory)
            .ok()
            .and_then(Path::to_str)
            .unwrap_or(name)
    }

    /// What is to be said about a file once: that it was changed after the recording.
    pub fn note(&mut self, name: &str) -> Option<String> {
        match self.files.get_mut(name) {
            Some(Ok(file)) if file.changed => {
                file.changed = false;
                Some(format!(
                    "{name} was changed after the recording; the lines shown may not be those that ran"
                ))
            }
            _ => None,
        }
    }

    fn load(&mut self, name: &str) {
        if self.files.contains_key(name) {
            return;
        }
        let read = if name.starts_with('<') && name.ends_with('>') {
            Err(format!("no source: {name} is not a file"))
        } else {
            self.read(&self.directory.join(name))
        };
        self.files.insert(name.to_owned(), read);
    }

    fn read(&self, path: &Path) -> Result<File, String> {
        let why = |e: io::Error| match e.kind() {
            io::ErrorKind::NotFound => format!("no source: {} is not there", path.display()),
            _ => format!("no source: {}: {e}", path.display()),
        };
        // A file name of the recorded program may mean anything here: a device, a pipe.
        let meta = path.metadata().map_err(why)?;
        if !meta.is_file() {
            return Err(format!("no source: {} is not a regular file", path.display()));
        }
        let bytes = fs::read(path).map_err(why)?;
        let changed = self.recorded.is_some_and(|r| meta.modified().is_ok_and(|m| m > r));
        Ok(File {
            lines: String::from_utf8_lossy(&bytes).lines().map(printable).collect(),
            changed,
        })
    }
}

/// Control characters of a source file are not for the terminal.
fn printable(line: &str) -> String {
    line.chars()
        .map(|c| if c.is_control() && c != '\t' { '\u{fffd}' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_changed_file_is_told_once() {
        let dir = tempfile::tempdir().unwrap();
        let hour = Duration::from_secs(3600);
        let started = (SystemTime::now() - hour)
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap()
            .as_nanos();
        fs::write(
            dir.path().join("events"),
            rdb_trace::Header::page(
                &rdb_trace::Origin::default(),
                0,
                u64::try_from(started).unwrap(),
                &rdb_trace::Cpu::default(),
            ),
        )
        .unwrap();
        fs::write(dir.path().join("old.py"), "1\n").unwrap();
        fs::File::options()
            .write(true)
            .open(dir.path().join("old.py"))
            .unwrap()
            .set_modified(SystemTime::now() - 2 * hour)
            .unwrap();
        fs::write(dir.path().join("new.py"), "1\n").unwrap();
        let mut s = Sources::new(dir.path().into(), dir.path(), Colour::Plain);
        for name in ["old.py", "new.py"] {
            assert_eq!(s.lines(name, 1, 5).unwrap(), ["1"]);
        }
        assert_eq!(s.note("old.py"), None);
        assert!(s.note("new.py").unwrap().contains("was changed after the recording"));
        assert_eq!(s.note("new.py"), None);
        let below = dir.path().join("a/x.py");
        assert_eq!(
            (s.shown(below.to_str().unwrap()), s.shown("/a/x.py"), s.shown("x.py")),
            ("a/x.py", "/a/x.py", "x.py")
        );
    }

    #[test]
    fn nothing_but_text_reaches_the_terminal() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("x.py"), b"a\x1b[2Jb\xff\n").unwrap();
        let mut s = Sources::new(dir.path().into(), dir.path(), Colour::Plain);
        assert_eq!(s.lines("x.py", 1, 1).unwrap(), ["a\u{fffd}[2Jb\u{fffd}"]);
        assert!(s.lines("/dev/null", 1, 1).unwrap_err().contains("not a regular file"));
    }
}
