//! Framing of both links: a little-endian `u32` byte count, then one postcard value.

use alloc::vec::Vec;
use serde::{Serialize, de::DeserializeOwned};

/// Bytes of the length prefix.
pub const PREFIX: usize = 4;

/// Longest value a peer may announce, in bytes. A longer one is a broken or hostile peer.
pub const LIMIT: usize = 64 << 20;

/// Why a frame could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameError {
    /// The announced length exceeds [`LIMIT`].
    TooLong,
    /// The bytes are not a value of the expected type.
    Malformed,
}

impl core::fmt::Display for FrameError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            FrameError::TooLong => "frame longer than 64 MiB",
            FrameError::Malformed => "malformed frame",
        })
    }
}

impl core::error::Error for FrameError {}

/// The whole frame for `value`, prefix included.
///
/// # Errors
/// [`FrameError::TooLong`] when the value exceeds [`LIMIT`].
pub fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, FrameError> {
    let body = postcard::to_allocvec(value).map_err(|_| FrameError::Malformed)?;
    let len = u32::try_from(body.len()).map_err(|_| FrameError::TooLong)?;
    if body.len() > LIMIT {
        return Err(FrameError::TooLong);
    }
    let mut frame = Vec::with_capacity(PREFIX + body.len());
    frame.extend_from_slice(&len.to_le_bytes());
    frame.extend_from_slice(&body);
    Ok(frame)
}

/// Length of the value that follows `prefix`.
///
/// # Errors
/// [`FrameError::TooLong`] when it exceeds [`LIMIT`].
pub fn length(prefix: [u8; PREFIX]) -> Result<usize, FrameError> {
    let len = u32::from_le_bytes(prefix) as usize;
    if len > LIMIT { Err(FrameError::TooLong) } else { Ok(len) }
}

/// The value in `body` (without prefix); trailing bytes are an error.
///
/// # Errors
/// [`FrameError::Malformed`].
pub fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T, FrameError> {
    match postcard::take_from_bytes(body) {
        Ok((value, [])) => Ok(value),
        _ => Err(FrameError::Malformed),
    }
}
