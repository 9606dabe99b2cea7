//! What this project does with bytes that nobody vouches for: logs of traces, frames of both links, packed traces.
//!
//! Each function takes any bytes, and must come back: with no panic, soon, and with no more memory than the bytes justify. `fuzz/` calls them
//! from cargo-fuzz, `tests/mutations.rs` with bytes that are nearly right.

use rdb_client::cli::UnpackArgs;
use rdb_protocol::frame::{LIMIT, PREFIX, decode, encode, length};
use rdb_protocol::{client, replay};
use rdb_trace::chunk::RAW;
use rdb_trace::header::{HEADER_SIZE, Progress, offset};
use rdb_trace::memory::sealed;
use rdb_trace::readings::{Remaining, Source};
use rdb_trace::{Cpu, Header, Opened, Origin, Reader, Tag};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Debug;

/// The header of a log.
pub fn header(bytes: &[u8]) {
    for size in [bytes.len() as u64, 0, u64::MAX] {
        if let Ok(header) = Header::read(bytes, size) {
            let _ = (header.torn(), header.end.to_string());
        }
    }
}

/// A whole log: header, chunks, events. How many events were read.
pub fn log(bytes: &[u8]) -> u64 {
    let opened = Opened::new(bytes.len() as u64, |at, to| {
        let from = usize::try_from(at).ok().and_then(|at| bytes.get(at..)?.get(..to.len()));
        to.copy_from_slice(from.ok_or(5)?);
        Ok(())
    });
    let Ok(opened) = opened else { return 0 };
    let mut reader = Reader::new(opened, bytes);
    let mut count = 0;
    while let Ok(Some(event)) = reader.next() {
        count += 1;
        all_readings(event.readings(), bytes.len());
        let _ = event.tagged(Tag::Path).and_then(|e| e.number());
        event.effects().for_each(|e| drop(e.bytes.to_vec()));
    }
    // Each event takes at least a byte of a chunk, which is at most so much longer than what it is stored as.
    assert!(
        count <= 256 * bytes.len() as u64 + RAW as u64,
        "{count} events in {} bytes",
        bytes.len()
    );
    count
}

/// The events of a log whose header and checksums are right, whatever the rest is.
pub fn events(bytes: &[u8]) -> u64 {
    log(&guarded(bytes))
}

/// A log with this stream of events.
pub fn guarded(stream: &[u8]) -> Vec<u8> {
    let mut log = Header::page(&Origin::default(), 0, 0, &Cpu::default()).to_vec();
    for piece in stream.chunks(RAW) {
        log.extend(sealed(piece));
    }
    let progress = Progress {
        sealed: (log.len() - HEADER_SIZE) as u64,
        open: 0,
    };
    log[offset::PROGRESS..offset::PROGRESS + 8].copy_from_slice(&progress.word().to_le_bytes());
    log
}

/// What clocks' readings are kept as.
pub fn readings(bytes: &[u8]) {
    all_readings(Remaining::new(bytes), bytes.len());
}

fn all_readings(mut all: Remaining<'_>, most: usize) {
    let clocks = (0..12).map(Source::Clock);
    let sources: Vec<Source> = clocks.chain([Source::TimeOfDay, Source::Time, Source::Processor]).collect();
    let mut count = 0;
    while !all.is_done() && sources.iter().any(|s| all.next(*s, 7).is_some()) {
        count += 1;
        assert!(count <= 256 * most, "more readings than bytes");
    }
}

/// A frame of the client link, in either direction.
pub fn client_link(bytes: &[u8]) {
    frame::<client::Hello>(bytes);
    frame::<client::Welcome>(bytes);
    frame::<client::Request>(bytes);
    frame::<client::FromDaemon>(bytes);
}

/// A frame of the replay link, in either direction.
pub fn replay_link(bytes: &[u8]) {
    frame::<replay::Order>(bytes);
    frame::<replay::Answer>(bytes);
}

/// With its length, as it comes from a socket; what can be decoded can be encoded, and comes back.
fn frame<T: Serialize + DeserializeOwned + Debug + PartialEq>(bytes: &[u8]) {
    let Some((prefix, body)) = bytes.split_first_chunk::<PREFIX>() else {
        return;
    };
    if let Ok(n) = length(*prefix) {
        assert!(n <= LIMIT, "a frame of {n} bytes is let through");
    }
    let Ok(value) = decode::<T>(body) else { return };
    let Ok(again) = encode(&value) else {
        panic!("{value:?} was decoded and cannot be encoded");
    };
    assert_eq!(
        decode::<T>(&again[PREFIX..]).as_ref(),
        Ok(&value),
        "it comes back as something else"
    );
}

/// A packed trace whose archive is this, well compressed.
pub fn archive(bytes: &[u8]) -> bool {
    zstd::encode_all(bytes, 1).is_ok_and(|packed| self::packed(&packed))
}

/// A packed trace; whether it was taken. Nothing is left behind, and nothing is written elsewhere.
pub fn packed(bytes: &[u8]) -> bool {
    let Ok(room) = tempfile::tempdir() else { return false };
    let file = room.path().join("it.rdb");
    if std::fs::write(&file, bytes).is_err() {
        return false;
    }
    let to = room.path().join("to");
    let taken = rdb_client::pack::unpack(&UnpackArgs {
        file,
        output: Some(to.clone()),
    })
    .is_ok();
    let left: Vec<_> = std::fs::read_dir(room.path())
        .into_iter()
        .flatten()
        .flatten()
        .map(|e| e.file_name())
        .collect();
    assert_eq!((left.len(), to.exists()), (1 + usize::from(taken), taken), "{left:?}");
    taken
}
