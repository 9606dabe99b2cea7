//! The line at the end of a recording.

use crate::Log;
use crate::show::count::{bytes, grouped};
use rdb_trace::header::offset;
use rdb_trace::{End, HEADER_SIZE, Header};
use std::fs::OpenOptions;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::ExitStatus;

/// The line for the trace of a program that ended with `status`; `None` when nothing was recorded.
pub(super) fn summary(trace: &Path, status: ExitStatus) -> Option<String> {
    let log = Log::open(trace).ok()?;
    let header = log.header();
    if header.committed == 0 {
        return None;
    }
    // A signal that kills at once lets nobody write an end; we have seen it.
    let end = match (header.end, status.signal()) {
        (End::Open, Some(signal)) => End::Signalled(signal.unsigned_abs()),
        (end, _) => end,
    };
    let ending = match end {
        End::Exited(_) => String::new(),
        other => format!("; {other}"),
    };
    let processes = match crate::processes::folders(trace).len() {
        0 => String::new(),
        more => format!(", {} processes", grouped(more as u64 + 1)),
    };
    Some(format!(
        "{}: {} events, {}{processes}{ending}",
        trace.display(),
        grouped(header.events),
        bytes(log.size())
    ))
}

/// Writes the end of a trace whose program was killed before it could: how it died, and no more room than its events take.
pub(super) fn close(trace: &Path, status: ExitStatus) -> io::Result<()> {
    let path = trace.join(rdb_trace::EVENTS_FILE);
    let mut file = OpenOptions::new().read(true).write(true).open(path)?;
    let mut page = vec![0; HEADER_SIZE];
    file.read_exact(&mut page)?;
    let size = file.metadata()?.len();
    let Ok(header) = Header::read(&page) else { return Ok(()) };
    if header.end != End::Open {
        return Ok(());
    }
    // `Header::read` of the page alone cannot know how much of the log there is: the field itself.
    let mut committed = [0; 8];
    committed.copy_from_slice(&page[offset::COMMITTED..offset::COMMITTED + 8]);
    file.set_len(size.min(HEADER_SIZE as u64 + u64::from_le_bytes(committed)))?;
    if let Some(signal) = status.signal() {
        let (kind, value) = End::Signalled(signal.unsigned_abs()).words();
        file.seek(SeekFrom::Start(offset::END as u64))?;
        file.write_all(&kind.to_le_bytes())?;
        file.write_all(&value.to_le_bytes())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn only_an_unusual_end_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let ended = ExitStatus::from_raw(0);
        assert_eq!(summary(dir.path(), ended), None);
        let mut log = Header::page(&rdb_trace::Origin::default(), 0, 0).to_vec();
        fs::write(dir.path().join("events"), &log).unwrap();
        assert_eq!(summary(dir.path(), ended), None);
        log.resize(4096 + 4096, 0);
        log[offset::COMMITTED + 1] = 16;
        log[offset::EVENTS..offset::EVENTS + 2].copy_from_slice(&[0xd2, 4]);
        log[offset::END] = 1;
        fs::write(dir.path().join("events"), &log).unwrap();
        assert!(summary(dir.path(), ended).unwrap().ends_with(": 1,234 events, 8.0 KiB"));
        log[offset::END] = 0;
        fs::write(dir.path().join("events"), &log).unwrap();
        assert!(
            summary(dir.path(), ExitStatus::from_raw(9))
                .unwrap()
                .ends_with("; killed by signal 9")
        );
        log[offset::END] = 3;
        fs::write(dir.path().join("events"), &log).unwrap();
        assert!(
            summary(dir.path(), ended)
                .unwrap()
                .ends_with("8.0 KiB; cut off: the disk was full; the program went on unrecorded")
        );
    }
}
