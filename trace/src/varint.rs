//! Integers in as few bytes as they need: LEB128 (7 bits a byte, the lowest first, bit 7 set on all but the last), differences in
//! zigzag (0, -1, 1, -2 ... become 0, 1, 2, 3 ...).

/// Longest encoding of a `u64`, in bytes.
pub(crate) const LONGEST: usize = 10;

/// A small array being filled. What does not fit is a fault of the caller, whose array must hold the longest case.
#[derive(Debug)]
pub(crate) struct Bytes<const N: usize> {
    bytes: [u8; N],
    len: usize,
}

impl<const N: usize> Bytes<N> {
    pub(crate) fn new() -> Bytes<N> {
        Bytes { bytes: [0; N], len: 0 }
    }

    pub(crate) fn byte(&mut self, b: u8) {
        self.bytes[self.len] = b;
        self.len += 1;
    }

    pub(crate) fn slice(&mut self, bytes: &[u8]) {
        self.bytes[self.len..self.len + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
    }

    pub(crate) fn varint(&mut self, mut v: u64) {
        while v >= 0x80 {
            self.byte((v & 0x7f) as u8 | 0x80);
            v >>= 7;
        }
        self.byte(v as u8);
    }

    /// The difference of `now` to `before`.
    pub(crate) fn delta(&mut self, before: u64, now: u64) {
        let d = now.wrapping_sub(before).cast_signed();
        self.varint((d << 1 ^ d >> 63).cast_unsigned());
    }

    pub(crate) fn set(&mut self, at: usize, b: u8) {
        self.bytes[at] = b;
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// Why nothing was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The bytes end here.
    More,
    /// They make no sense.
    Malformed,
}

/// Reads from bytes, one thing after the other.
#[derive(Debug)]
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(bytes: &'a [u8], at: usize) -> Cursor<'a> {
        Cursor { bytes, at }
    }

    pub(crate) fn at(&self) -> usize {
        self.at
    }

    pub(crate) fn byte(&mut self) -> Result<u8, Stop> {
        let b = *self.bytes.get(self.at).ok_or(Stop::More)?;
        self.at += 1;
        Ok(b)
    }

    pub(crate) fn take(&mut self, len: usize) -> Result<&'a [u8], Stop> {
        let end = self.at.checked_add(len).ok_or(Stop::Malformed)?;
        let bytes = self.bytes.get(self.at..end).ok_or(Stop::More)?;
        self.at = end;
        Ok(bytes)
    }

    pub(crate) fn varint(&mut self) -> Result<u64, Stop> {
        let mut v = 0u64;
        for shift in (0..).step_by(7).take(LONGEST) {
            let b = self.byte()?;
            let bits = u64::from(b & 0x7f);
            if shift == 63 && bits > 1 {
                break;
            }
            v |= bits << shift;
            if b & 0x80 == 0 {
                return Ok(v);
            }
        }
        Err(Stop::Malformed)
    }

    /// What `before` became.
    pub(crate) fn delta(&mut self, before: u64) -> Result<u64, Stop> {
        let v = self.varint()?;
        Ok(before.wrapping_add((v >> 1) ^ (v & 1).wrapping_neg()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_differences_come_back() {
        let samples = [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX / 2, u64::MAX - 1, u64::MAX];
        for before in samples {
            for now in samples {
                let mut b = Bytes::<20>::new();
                b.varint(now);
                b.delta(before, now);
                let mut c = Cursor::new(b.as_slice(), 0);
                assert_eq!((c.varint(), c.delta(before)), (Ok(now), Ok(now)));
                assert_eq!(c.byte(), Err(Stop::More));
            }
        }
    }

    #[test]
    fn too_long_is_malformed_and_too_short_wants_more() {
        assert_eq!(Cursor::new(&[0xff; 11], 0).varint(), Err(Stop::Malformed));
        assert_eq!(Cursor::new(&[0xff; 9], 0).varint(), Err(Stop::More));
        assert_eq!(Cursor::new(&[1, 2], 0).take(usize::MAX), Err(Stop::More));
        assert_eq!(Cursor::new(&[1, 2], 1).take(usize::MAX), Err(Stop::Malformed));
    }
}
