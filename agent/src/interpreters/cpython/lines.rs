//! The two tables of a code object: lines (`co_linetable`) and exceptions (`co_exceptiontable`). Pure functions of bytes.

use alloc::vec::Vec;

/// An entry of the exception table: a range of units, and where an exception raised in it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Handler {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) target: usize,
    /// Stack depth at the target, below what the unwinding pushes.
    pub(super) depth: usize,
    /// The unwinding pushes the raising instruction's offset before the exception.
    pub(super) lasti: bool,
}

/// The line of each of `units` code units; `None` where there is none. A malformed table gives no more lines.
pub(super) fn lines(table: &[u8], first_line: i32, units: usize) -> Vec<Option<u32>> {
    let mut all = Vec::with_capacity(units);
    let mut bytes = table.iter().copied();
    let mut line = i64::from(first_line);
    while all.len() < units {
        let Some(entry) = bytes.next() else { break };
        let (form, length) = (entry >> 3 & 15, usize::from(entry & 7) + 1);
        let here = if form == 15 {
            None
        } else {
            line += match form {
                13 | 14 => signed(&mut bytes),
                10..=12 => i64::from(form) - 10,
                _ => 0,
            };
            u32::try_from(line).ok()
        };
        // Columns, which are not wanted.
        match form {
            14 => {
                for _ in 0..3 {
                    low_first(&mut bytes);
                }
            }
            10..=12 => {
                bytes.nth(1);
            }
            0..=9 => {
                bytes.next();
            }
            _ => {}
        }
        all.extend(core::iter::repeat_n(here, length.min(units - all.len())));
    }
    all.resize(units, None);
    all
}

/// A number in groups of 6 bits, lowest first, bit 6 set in all but the last byte.
fn low_first(bytes: &mut impl Iterator<Item = u8>) -> u64 {
    let (mut value, mut shift) = (0_u64, 0);
    for b in bytes {
        value |= u64::from(b & 63).checked_shl(shift).unwrap_or(0);
        shift += 6;
        if b & 64 == 0 {
            break;
        }
    }
    value
}

fn signed(bytes: &mut impl Iterator<Item = u8>) -> i64 {
    let value = low_first(bytes);
    let size = (value >> 1).cast_signed();
    if value & 1 != 0 { -size } else { size }
}

/// The entries of an exception table; a malformed tail is left out.
pub(super) fn handlers(table: &[u8]) -> Vec<Handler> {
    let mut bytes = table.iter().copied();
    core::iter::from_fn(|| {
        let [start, size, target, depth] = [(); 4].map(|()| high_first(&mut bytes));
        let (start, depth) = (start?, depth?);
        Some(Handler {
            start,
            end: start.saturating_add(size?),
            target: target?,
            depth: depth >> 1,
            lasti: depth & 1 != 0,
        })
    })
    .collect()
}

/// A number in groups of 6 bits, highest first, bit 6 set in all but the last byte.
fn high_first(bytes: &mut impl Iterator<Item = u8>) -> Option<usize> {
    let mut value = 0_usize;
    loop {
        let b = bytes.next()?;
        value = value << 6 | usize::from(b & 63);
        if b & 64 == 0 {
            return Some(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_forms() {
        // no-column +1 for 2 units, short 0 for 1, one-line +2 for 1, none for 2, long -3 for 1.
        let table = [
            0x80 | 13 << 3 | 1,
            2,
            0x80,
            0,
            0x80 | 12 << 3,
            0,
            0,
            0x80 | 15 << 3 | 1,
            0x80 | 14 << 3,
            7,
            0,
            1,
            1,
        ];
        let want = [Some(11), Some(11), Some(11), Some(13), None, None, Some(10), None];
        assert_eq!(lines(&table, 10, 8), want);
        assert_eq!(lines(&table[..1], 10, 1), [Some(10)], "a cut table does not panic");
    }

    #[test]
    fn exception_entries() {
        let one = Handler {
            start: 65,
            end: 67,
            target: 10,
            depth: 2,
            lasti: true,
        };
        assert_eq!(handlers(&[0x80 | 64 | 1, 1, 2, 10, 5]), [one]);
        assert!(handlers(&[64, 64]).is_empty());
    }
}
