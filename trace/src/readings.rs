//! Clock readings: what a program asked of its clocks without a system call, told with the next event of the same thread.
//!
//! They stand for no event of their own, because there may be hundreds of thousands a second and nothing else happens at them. The
//! bytes are readings, one after the other, and four bytes of a sum over their places.
//!
//! A reading is a byte (low half: [`Source`], high half: how many bytes follow, 0 to 8) and the zigzag difference to the reading of the
//! same source before it in the same bytes (0 without one), lowest byte first. So each event's can be read by itself.

/// What was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// clock_gettime(2) of this clock, below 12; nanoseconds.
    Clock(u8),
    /// gettimeofday(2); microseconds.
    TimeOfDay,
    /// time(2); seconds.
    Time,
    /// getcpu(2): the processor, and the node in the upper half.
    Processor,
}

impl Source {
    fn code(self) -> u8 {
        match self {
            Source::Clock(id) => id & 0xf,
            Source::TimeOfDay => 12,
            Source::Time => 13,
            Source::Processor => 14,
        }
    }
}

/// Bytes of the sum at the end.
const SUM: usize = 4;
/// Most bytes of one reading.
const LONGEST: usize = 9;
/// Most bytes of one event's readings.
pub const MOST: usize = 4096;

/// Adds a place to a sum: both sides add the same ones in the same order.
fn add(sum: u64, place: u64) -> u64 {
    (sum ^ place).wrapping_mul(0x9FB2_1C65_1E98_DF25).rotate_left(29)
}

fn folded(sum: u64) -> [u8; SUM] {
    ((sum >> 32) as u32 ^ sum as u32).to_le_bytes()
}

/// Readings being collected.
#[derive(Clone, Debug)]
pub struct Readings {
    bytes: [u8; MOST],
    len: usize,
    latest: [u64; 16],
    sum: u64,
}

impl Default for Readings {
    fn default() -> Self {
        Readings::new()
    }
}

impl Readings {
    /// None.
    #[must_use]
    pub const fn new() -> Readings {
        Readings {
            bytes: [0; MOST],
            len: 0,
            latest: [0; 16],
            sum: 0,
        }
    }

    /// Whether there are none.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether there is no room for another.
    #[inline]
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.len + LONGEST + SUM > MOST
    }

    /// Adds a reading made at a place (a number that tells it from others). Without effect when full.
    #[inline]
    pub fn add(&mut self, source: Source, value: u64, place: u64) {
        let code = source.code();
        let latest = &mut self.latest[usize::from(code)];
        let d = value.wrapping_sub(*latest).cast_signed();
        let difference = (d << 1 ^ d >> 63).cast_unsigned();
        let n = (u64::BITS - difference.leading_zeros()).div_ceil(8) as usize;
        let Some(to) = self.bytes.get_mut(self.len..self.len + LONGEST) else {
            return;
        };
        *latest = value;
        to[0] = code | (n as u8) << 4;
        to[1..].copy_from_slice(&difference.to_le_bytes());
        self.len += 1 + n;
        self.sum = add(self.sum, place);
    }

    /// The bytes to be logged. Afterwards there are none, once [`Readings::clear`] was called.
    pub fn finish(&mut self) -> &[u8] {
        let end = (self.len + SUM).min(MOST);
        self.bytes[end - SUM..end].copy_from_slice(&folded(self.sum));
        &self.bytes[..end]
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.len = 0;
        self.latest = [0; 16];
        self.sum = 0;
    }
}

/// Readings being made again.
#[derive(Clone, Copy, Debug, Default)]
pub struct Remaining<'a> {
    bytes: &'a [u8],
    at: usize,
    latest: [u64; 16],
    sum: u64,
}

impl<'a> Remaining<'a> {
    /// Over an event's bytes.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Remaining<'a> {
        Remaining {
            bytes,
            ..Remaining::default()
        }
    }

    /// The next reading, if it is one of this source; it was made at `place`.
    pub fn next(&mut self, source: Source, place: u64) -> Option<u64> {
        let end = self.bytes.len().checked_sub(SUM)?;
        let (&head, rest) = self.bytes[..end].get(self.at..)?.split_first()?;
        let (code, n) = (head & 0xf, usize::from(head >> 4));
        if code != source.code() || n > 8 {
            return None;
        }
        let mut word = [0; 8];
        word[..n].copy_from_slice(rest.get(..n)?);
        let d = u64::from_le_bytes(word);
        let latest = &mut self.latest[usize::from(code)];
        *latest = latest.wrapping_add((d >> 1) ^ (d & 1).wrapping_neg());
        self.at += 1 + n;
        self.sum = add(self.sum, place);
        Some(*latest)
    }

    /// Whether all were made, at the places they were made at.
    #[inline]
    #[must_use]
    pub fn is_done(&self) -> bool {
        match self.bytes.len().checked_sub(SUM) {
            None => self.bytes.is_empty(),
            Some(end) => self.at == end && self.bytes[end..] == folded(self.sum),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MADE: [(Source, u64, u64); 6] = [
        (Source::Clock(0), 1_700_000_000_123_456_789, 7),
        (Source::Clock(1), 0, 8),
        (Source::Clock(0), 1_700_000_000_123_456_790, 7),
        (Source::Processor, 1 << 32 | 3, 9),
        (Source::Clock(0), 5, 7),
        (Source::Time, u64::MAX, 7),
    ];

    fn all() -> Readings {
        let mut r = Readings::new();
        for (source, value, place) in MADE {
            r.add(source, value, place);
        }
        r
    }

    #[test]
    fn they_come_back() {
        let mut r = all();
        let mut again = Remaining::new(r.finish());
        for (source, value, place) in MADE {
            assert!(!again.is_done());
            assert_eq!(again.next(source, place), Some(value));
        }
        assert!(again.is_done());
        assert_eq!(again.next(Source::Time, 7), None);
        r.clear();
        assert!(r.is_empty());
    }

    #[test]
    fn another_place_or_source_is_noticed() {
        let mut r = all();
        let bytes = r.finish();
        let mut again = Remaining::new(bytes);
        assert_eq!(again.next(Source::Time, 7), None);
        for (source, value, place) in MADE {
            assert_eq!(again.next(source, place ^ u64::from(place == 9)), Some(value));
        }
        assert!(!again.is_done());
    }

    #[test]
    fn there_is_room_until_it_is_full() {
        let mut r = Readings::new();
        let mut n = 0u64;
        while !r.is_full() {
            n += 1;
            r.add(Source::Clock(0), n << 63 | n, n);
        }
        let mut again = Remaining::new(r.finish());
        for i in 1..=n {
            assert_eq!(again.next(Source::Clock(0), i), Some(i << 63 | i));
        }
        assert!(again.is_done());
    }

    #[test]
    fn damaged_bytes_are_harmless() {
        let mut r = all();
        let bytes = r.finish();
        for len in 0..bytes.len() {
            let mut again = Remaining::new(&bytes[..len]);
            while again.next(Source::Clock(0), 7).is_some() || again.next(Source::Clock(1), 7).is_some() {}
            assert_eq!(again.is_done(), len == 0);
        }
        assert_eq!(Remaining::new(&[0xf0, 0, 0, 0, 0]).next(Source::Clock(0), 0), None);
    }
}
