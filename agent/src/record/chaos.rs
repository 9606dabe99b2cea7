//! Chaos: while recording, a schedule drawn at random, to bring about races that a fair one hides. What it brings about replays as
//! any other recording: it is the order of events that is random, not what is logged.
//!
//! Drawn are how long a thread may compute while another waits, whether it gives way after an event, whether it pauses before it runs again,
//! and when a thread of CPython's that waits for the lock of the interpreter asks for it. Which of these happens often is drawn
//! once for each process, so that runs with different seeds differ in kind, as rr's do ("chaos mode" in its documentation).
//!
//! The seed tells what is drawn, but not who draws it: that hangs on the machine, too. Like seeds give similar schedules, not the same.

use crate::interpreters::cpython::ticks;
use crate::sys;
use core::sync::atomic::{AtomicU64, Ordering::SeqCst};

/// What is drawn next; any thread draws, with the token or without. 0: no chaos.
static NEXT: AtomicU64 = AtomicU64::new(0);
/// The seed, and what this process's schedule is like.
static SEED: AtomicU64 = AtomicU64::new(0);
static MOOD: AtomicU64 = AtomicU64::new(0);

/// Steele, Lea, Flood: Fast splittable pseudorandom number generators (2014): the step, and the mixing of `splitmix64`.
const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

fn mixed(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// Begins, for the process with this stream: each draws another schedule from one seed. 0 is none.
pub fn begin(seed: u64, stream: u32) {
    SEED.store(seed, SeqCst);
    let start = mixed(seed ^ u64::from(stream).wrapping_mul(GOLDEN));
    MOOD.store(mixed(start), SeqCst);
    NEXT.store(if seed == 0 { 0 } else { start | 1 }, SeqCst);
}

/// The seed; 0 without chaos.
#[must_use]
pub fn seed() -> u64 {
    SEED.load(SeqCst)
}

/// Whether there is chaos.
#[must_use]
pub fn is_on() -> bool {
    seed() != 0
}

/// Below `bound`.
fn draw(bound: u64) -> u64 {
    mixed(NEXT.fetch_add(GOLDEN, SeqCst)) % bound.max(1)
}

/// One of three, the same for all the life of the process.
fn mood(question: u32, kinds: [u64; 3]) -> u64 {
    kinds[(MOOD.load(SeqCst) >> (8 * question) & 0xff) as usize % 3]
}

/// How long the holder of the token may keep another waiting, in nanoseconds; `usual` without chaos.
#[must_use]
pub fn patience(usual: u64) -> u64 {
    if !is_on() {
        return usual;
    }
    20_000 + draw(50_000 << draw(mood(0, [2, 4, 7])))
}

/// Whether the thread that has just made an event is to give way.
#[must_use]
pub fn gives_way() -> bool {
    is_on() && draw(mood(1, [2, 8, 64])) == 0
}

/// Pauses, sometimes: others come to run first that would not.
pub fn pause() {
    if is_on() && draw(mood(2, [4, 32, 256])) == 0 {
        sys::sleep(draw(mood(3, [100_000, 1_000_000, 10_000_000])));
    }
}

/// What a thread does that has given way: it stays away for a while, every other time, so that others get on that would not.
pub fn absence() {
    if is_on() && draw(2) == 0 {
        sys::sleep(draw(mood(3, [100_000, 1_000_000, 10_000_000])));
    }
}

/// How long, in nanoseconds, a thread of CPython's is to wait for the lock of the interpreter, which it would wait for longer before it asks
/// whoever has it to give it up. `None` where it does not, or there is no chaos.
#[must_use]
pub fn sooner(number: u64, args: &[u64; 6]) -> Option<u64> {
    /// A switch interval (`sys.getswitchinterval`) is 5 ms, unless the program says otherwise.
    const SHORT: u64 = 5_000_000;
    if !is_on() || !ticks::counted() {
        return None;
    }
    let left = super::waiting::futex_limit(number, args)?;
    (1..=SHORT).contains(&left).then(|| draw(left >> mood(4, [8, 5, 2])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_draws_alike_and_streams_differ() {
        let drawn = |seed, stream| -> [u64; 8] {
            begin(seed, stream);
            core::array::from_fn(|_| draw(1 << 40))
        };
        assert_eq!(drawn(7, 0), drawn(7, 0));
        assert_ne!(drawn(7, 0), drawn(7, 1));
        assert_ne!(drawn(7, 0), drawn(8, 0));
        begin(0, 0);
        assert!(!is_on() && patience(5) == 5 && !gives_way());
    }
}
