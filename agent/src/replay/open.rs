//! Opens a trace for replay.
//!
//! # Safety
//! This room may use `unsafe` to view the log, which is mapped read-only for the life of the process.
#![allow(unsafe_code)]

use crate::layout::LOG;
use crate::sys::{self, map};
use alloc::ffi::CString;
use alloc::format;
use alloc::string::String;
use rdb_trace::{HEADER_SIZE, Header, Reader};

/// Maps the log of the trace in `directory`.
///
/// # Errors
/// One line for people.
pub fn log(directory: &[u8]) -> Result<(Header, Reader<'static>), String> {
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
    let r = sys::mmap(LOG, size, map::READ, map::PRIVATE | map::FIXED_NOREPLACE, fd, 0);
    sys::close(fd);
    if r.cast_unsigned() != LOG {
        return Err(format!("cannot map {shown}/events (error {})", -r));
    }
    // SAFETY: just mapped, read-only, never unmapped.
    let bytes: &'static [u8] = unsafe { core::slice::from_raw_parts(LOG as *const u8, size as usize) };
    let header = Header::read(bytes).map_err(|e| format!("{shown}: {e}"))?;
    let end = HEADER_SIZE + header.committed as usize;
    let records = &bytes[HEADER_SIZE..end];
    Ok((header, if header.torn { Reader::torn(records) } else { Reader::new(records) }))
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
