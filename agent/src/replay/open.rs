//! Opens a trace for replay.
//!
//! # Safety
//! This room may use `unsafe` to view the log, which is mapped read-only for the life of the process.
#![allow(unsafe_code)]

use super::events::Events;
use crate::state::page_up;
use crate::sys::{self, map};
use alloc::ffi::CString;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use rdb_trace::{Cpu, HEADER_SIZE, Header, OpenError, Opened};

/// Opens the log of the stream in `directory`, mapped at `at`; its header, and the address behind it.
///
/// # Errors
/// One line for people.
pub fn log(directory: &[u8], at: u64) -> Result<(Header, Events, u64), String> {
    let shown = String::from_utf8_lossy(directory);
    let path = CString::new([directory, b"/events"].concat()).map_err(|_| String::from("the trace's path has a NUL in it"))?;
    let fd = sys::open(&path, 0, 0);
    if fd < 0 {
        return Err(format!("cannot open {shown}/events (error {}); is it a trace directory?", -fd));
    }
    let fd = fd.cast_unsigned();
    let opened = map_log(fd, at, &shown);
    sys::close(fd);
    opened
}

fn map_log(fd: u64, at: u64, shown: &str) -> Result<(Header, Events, u64), String> {
    let size = sys::fstat(fd).map_err(|e| format!("cannot read {shown}/events (error {e})"))?[6];
    let opened = Opened::new(size, |from, to| read(fd, from, to)).map_err(|e| match e {
        OpenError::Header(e) => format!("{shown}: {e}"),
        OpenError::Unreadable(e) => format!("cannot read {shown}/events (error {e})"),
    })?;
    let header = opened.header;
    // Sealed chunks never change; the open one, which does while a recorder still writes, was copied.
    let len = HEADER_SIZE as u64 + header.progress.sealed;
    let r = sys::mmap(at, len, map::READ, map::PRIVATE | map::FIXED_NOREPLACE, fd, 0);
    if r.cast_unsigned() != at {
        return Err(format!("cannot map {shown}/events (error {})", -r));
    }
    // SAFETY: just mapped, read-only, never unmapped.
    let bytes: &'static [u8] = unsafe { core::slice::from_raw_parts(at as *const u8, len as usize) };
    Ok((header, Events::new(opened, bytes), at + page_up(len)))
}

fn read(fd: u64, mut at: u64, mut to: &mut [u8]) -> Result<(), i32> {
    while !to.is_empty() {
        match sys::pread(fd, to, at) {
            n if n > 0 => {
                at += n.cast_unsigned();
                to = &mut to[n as usize..];
            }
            e if e == -sys::errno::EINTR => {}
            0 => return Err(sys::errno::ENXIO as i32),
            e => return Err(-e as i32),
        }
    }
    Ok(())
}

/// Whether this CPU can replay what that one recorded.
///
/// # Errors
/// One line for people.
pub fn check_cpu(recorded: &Cpu, here: &Cpu) -> Result<(), String> {
    let lacking: Vec<&str> = recorded.lacking_in(here).collect();
    if !lacking.is_empty() {
        return Err(format!(
            "this CPU lacks what the recorded run could use: {}; replay the trace on a CPU that has it",
            lacking.join(", ")
        ));
    }
    Ok(())
}

/// Opens snapshot `index`.
///
/// # Errors
/// One line for people.
pub fn snapshot(directory: &[u8], index: u64) -> Result<u64, String> {
    let name = format!("/files/{index}");
    let path = CString::new([directory, name.as_bytes()].concat()).map_err(|_| String::from("the trace's path has a NUL in it"))?;
    let fd = sys::open(&path, 0, 0);
    u64::try_from(fd).map_err(|_| format!("the trace lacks files/{index} (error {}); copy the whole trace directory", -fd))
}

#[cfg(test)]
mod tests {
    use super::check_cpu;
    use rdb_trace::Cpu;

    #[test]
    fn a_poorer_cpu_is_refused_and_a_richer_one_is_not() {
        let old = Cpu::default();
        let mut new = Cpu { signature: 2, ..old };
        new.features[2] = 1 << 16 | 1 << 5;
        assert_eq!(check_cpu(&old, &new), Ok(()));
        let refused = check_cpu(&new, &old).unwrap_err();
        assert!(refused.contains("avx2, avx512f;"), "{refused}");
    }
}
