//! Opens a trace for replay.
//!
//! # Safety
//! This room may use `unsafe` to view the log, which is mapped read-only for the life of the process.
#![allow(unsafe_code)]

use crate::state::page_up;
use crate::sys::{self, map};
use alloc::ffi::CString;
use alloc::format;
use alloc::string::String;
use rdb_trace::{HEADER_SIZE, Header, Reader};

/// Maps the log of the stream in `directory` at `at`; its header, and the address behind it.
///
/// # Errors
/// One line for people.
pub fn log(directory: &[u8], at: u64) -> Result<(Header, Reader<'static>, u64), String> {
    let shown = String::from_utf8_lossy(directory);
    let path = CString::new([directory, b"/events"].concat()).map_err(|_| String::from("the trace's path has a NUL in it"))?;
    let fd = sys::open(&path, 0, 0);
    if fd < 0 {
        return Err(format!("cannot open {shown}/events (error {}); is it a trace directory?", -fd));
    }
    let fd = fd.cast_unsigned();
    let size = sys::fstat(fd).map_err(|e| format!("cannot read {shown}/events (error {e})"))?[6];
    if size == 0 {
        return Err(format!("{shown}: {}", rdb_trace::HeaderError::Short));
    }
    // A private copy: a recorder that still writes must not change what was checked. Pages are shared until then.
    let r = sys::mmap(at, size, map::READ, map::PRIVATE | map::FIXED_NOREPLACE, fd, 0);
    sys::close(fd);
    if r.cast_unsigned() != at {
        return Err(format!("cannot map {shown}/events (error {})", -r));
    }
    // SAFETY: just mapped, read-only, never unmapped.
    let bytes: &'static [u8] = unsafe { core::slice::from_raw_parts(at as *const u8, size as usize) };
    let header = Header::read(bytes).map_err(|e| format!("{shown}: {e}"))?;
    let end = HEADER_SIZE + header.committed as usize;
    let records = &bytes[HEADER_SIZE..end];
    let reader = if header.torn { Reader::torn(records) } else { Reader::new(records) };
    Ok((header, reader, at + page_up(size)))
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
