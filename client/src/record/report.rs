//! The line at the end of a recording.

use crate::Log;
use crate::show::count::{bytes, grouped};
use rdb_trace::header::{Progress, offset};
use rdb_trace::{End, Opened};
use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::FileExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::ExitStatus;

/// The line for the trace of a program that ended with `status`; `None` when nothing was recorded.
pub(super) fn summary(trace: &Path, status: ExitStatus) -> Option<String> {
    let log = Log::open(trace).ok()?;
    let header = log.header();
    if header.events == 0 {
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

/// Closes the logs of processes that were killed before they could: seals the open chunk, writes how the first process died, and leaves
/// no more room than the chunks take.
pub(super) fn close(trace: &Path, status: ExitStatus) -> io::Result<()> {
    let first = close_log(trace, status.signal());
    for folder in crate::processes::folders(trace) {
        // Others may live on.
        if !crate::log::is_being_written(&folder) {
            close_log(&folder, None)?;
        }
    }
    first
}

fn close_log(folder: &Path, signal: Option<i32>) -> io::Result<()> {
    let path = folder.join(rdb_trace::EVENTS_FILE);
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    let read = |at: u64, to: &mut [u8]| file.read_exact_at(to, at).map_err(|e| e.raw_os_error().unwrap_or(libc::EIO));
    let Ok(Opened { header, open }) = Opened::new(file.metadata()?.len(), read) else {
        return Ok(());
    };
    if header.torn() || header.end != End::Open && open.is_empty() {
        return Ok(());
    }
    let mut progress = header.progress;
    if !open.is_empty() {
        let chunk = rdb_trace::memory::sealed(&open);
        // As the recorder does it: into the gap, and then one word makes it count.
        file.write_all_at(&chunk, rdb_trace::HEADER_SIZE as u64 + progress.sealed)?;
        progress = Progress {
            sealed: progress.sealed + chunk.len() as u64,
            open: 0,
        };
        file.write_all_at(&progress.word().to_le_bytes(), offset::PROGRESS as u64)?;
    }
    file.set_len(rdb_trace::HEADER_SIZE as u64 + progress.sealed)?;
    if let (End::Open, Some(signal)) = (header.end, signal) {
        let (kind, value) = End::Signalled(signal.unsigned_abs()).words();
        file.write_all_at(&kind.to_le_bytes(), offset::END as u64)?;
        file.write_all_at(&value.to_le_bytes(), offset::END_VALUE as u64)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rdb_trace::event::Fixed;
    use rdb_trace::memory::{add, log};
    use rdb_trace::{Cpu, Header, Kind, Origin, Writer};
    use std::fs;

    const CALL: Fixed = Fixed {
        kind: Kind::Syscall,
        flags: 0,
        thread: 0,
        nr: 39,
        ret: 0,
        rip: 0,
        rsp: 0,
        args: [0; 6],
        registers: 0,
    };

    #[test]
    fn only_an_unusual_end_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let ended = ExitStatus::from_raw(0);
        assert_eq!(summary(dir.path(), ended), None);
        let write = |log: &[u8]| fs::write(dir.path().join("events"), log).unwrap();
        write(&Header::page(&Origin::default(), 0, 0, &Cpu::default()));
        assert_eq!(summary(dir.path(), ended), None);
        let events = vec![(CALL, &[][..]); 1234];
        let of = |end| log(0, end, &[&events]);
        write(&of(End::Exited(0)));
        assert!(summary(dir.path(), ended).unwrap().ends_with(": 1,234 events, 4.0 KiB"));
        write(&of(End::Open));
        assert!(
            summary(dir.path(), ExitStatus::from_raw(9))
                .unwrap()
                .ends_with("; killed by signal 9")
        );
        write(&of(End::DiskFull));
        assert!(
            summary(dir.path(), ended)
                .unwrap()
                .ends_with("4.0 KiB; cut off: the disk was full; the program went on unrecorded")
        );
    }

    #[test]
    fn what_a_killed_recorder_left_open_is_sealed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("events");
        let Ok(mut writer) = Writer::new(Header::page(&Origin::default(), 0, 0, &Cpu::default()).to_vec());
        for i in 0..20_000 {
            let fixed = Fixed {
                registers: i * 7,
                ret: i64::from(i),
                ..CALL
            };
            let Ok(()) = add(&mut writer, &fixed, &[]);
        }
        fs::write(&path, writer.room()).unwrap();
        close(dir.path(), ExitStatus::from_raw(9)).unwrap();
        let mut log = Log::open(dir.path()).unwrap();
        let header = *log.header();
        assert_eq!((header.end, header.progress.open, header.torn()), (End::Signalled(9), 0, false));
        assert_eq!(fs::metadata(&path).unwrap().len(), log.size());
        for i in 0..20_000 {
            assert_eq!(log.next_event().unwrap().unwrap().fixed.ret, i);
        }
        assert!(log.next_event().unwrap().is_none());
    }
}
