//! The registers beside the general ones, as signal frames show them (Intel SDM volume 1, 13.4; `struct _fpx_sw_bytes` of asm/sigcontext.h):
//! the same on every CPU that a recording is replayed on, though a richer one keeps more.

use crate::sys::{self, nr};
use alloc::vec::Vec;

/// `FP_XSTATE_MAGIC1`, and `FP_XSTATE_MAGIC2` behind the whole.
const MAGIC: u32 = 0x4650_5853;
const MAGIC_BEHIND: u32 = 0x4650_5845;
/// What the kernel says of the area, and the words that say which components are in use.
const SAID: core::ops::Range<usize> = 464..512;
const IN_USE: core::ops::Range<usize> = 512..520;
/// The components that every area has: x87 and SSE.
const LEGACY: u64 = 3;

/// Offset and size of the components beyond those, where all are kept at places of their own.
const COMPONENTS: [(u32, usize, usize); 9] = [
    (2, 576, 256),
    (3, 960, 64),
    (4, 1024, 64),
    (5, 1088, 64),
    (6, 1152, 512),
    (7, 1664, 1024),
    (9, 2688, 8),
    (17, 2752, 64),
    (18, 2816, 8192),
];

/// Which registers frames show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// A bit each, as XCR0 numbers them.
    mask: u64,
}

fn word(area: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(core::array::from_fn(|i| area[at + i]))
}

impl Layout {
    /// That of an area of the kernel's; `None` where components lie at places that are not known here.
    #[must_use]
    pub fn of(area: &[u8]) -> Option<Layout> {
        if area.len() < 576 + 4 || word(area, 464) as u32 != MAGIC {
            return None;
        }
        let layout = Layout { mask: word(area, 472) };
        (layout.size() == word(area, 480) as u32 as usize && layout.size() + 4 == area.len()).then_some(layout)
    }

    /// That of this CPU under this kernel, asked while CPUID is not trapped.
    #[must_use]
    pub fn here() -> Option<Layout> {
        const ARCH_GET_XCOMP_PERM: u64 = 0x1022;
        const OSXSAVE: u32 = 1 << 27;
        let ask = crate::arch::bases::cpuid;
        if ask(1, 0)[2] & OSXSAVE == 0 {
            return None;
        }
        let all = u64::from(crate::arch::bases::xcr0());
        // Not what a program must ask for, which the agent refuses. Older kernels have none of that.
        let mut permitted = all;
        sys::raw_agent_pointers(nr::ARCH_PRCTL, [ARCH_GET_XCOMP_PERM, &raw mut permitted as u64, 0, 0, 0, 0]);
        let known = Layout { mask: all }.size() == ask(0xd, 0)[1] as usize;
        known.then_some(Layout { mask: all & permitted })
    }

    /// From a trace: [`Layout::bits`].
    #[must_use]
    pub fn from_bits(mask: u64) -> Option<Layout> {
        (mask & LEGACY == LEGACY).then_some(Layout { mask })
    }

    /// The components, a bit each, as XCR0 numbers them.
    #[must_use]
    pub fn bits(self) -> u64 {
        self.mask
    }

    fn components(self) -> impl Iterator<Item = &'static (u32, usize, usize)> {
        COMPONENTS.iter().filter(move |c| self.mask >> c.0 & 1 != 0)
    }

    /// Bytes of the area, without the word behind.
    fn size(self) -> usize {
        self.components().last().map_or(576, |c| c.1 + c.2)
    }

    /// The area as a frame shows it, of one that is this CPU's own. In use is what is not as it was initially: what a CPU says of that is not
    /// the same everywhere.
    #[must_use]
    pub fn shown(self, own: &[u8]) -> Vec<u8> {
        let size = self.size();
        let mut area = own[..size.min(own.len() - 4)].to_vec();
        area.resize(size, 0);
        for (at, value) in [(464, MAGIC), (468, size as u32 + 4), (480, size as u32)] {
            area[at..at + 4].copy_from_slice(&value.to_le_bytes());
        }
        area[472..480].copy_from_slice(&self.mask.to_le_bytes());
        let used = self
            .components()
            .filter(|(_, at, size)| area[*at..at + size].iter().any(|b| *b != 0))
            .fold(LEGACY, |bits, (bit, ..)| bits | 1 << bit);
        area[IN_USE].copy_from_slice(&used.to_le_bytes());
        area.extend_from_slice(&MAGIC_BEHIND.to_le_bytes());
        area
    }

    /// Bytes of the area, as a frame shows it.
    #[must_use]
    pub fn shown_size(self) -> usize {
        self.size() + 4
    }

    /// Takes an area that a frame has shown into this CPU's own: what it did not show stays as it is.
    pub fn take(self, own: &mut [u8], shown: &[u8]) {
        let size = self.size().min(own.len() - 4);
        let used = word(shown, IN_USE.start) & self.mask | word(own, IN_USE.start) & !self.mask;
        own[..SAID.start].copy_from_slice(&shown[..SAID.start]);
        own[IN_USE].copy_from_slice(&used.to_le_bytes());
        own[IN_USE.end..size].copy_from_slice(&shown[IN_USE.end..size]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    /// An area of a kernel on a CPU with these components.
    fn area(mask: u64) -> Vec<u8> {
        let size = Layout { mask }.size();
        let mut area = vec![0; size];
        area[464..468].copy_from_slice(&MAGIC.to_le_bytes());
        area[468..472].copy_from_slice(&(size as u32 + 4).to_le_bytes());
        area[472..480].copy_from_slice(&mask.to_le_bytes());
        area[480..484].copy_from_slice(&(size as u32).to_le_bytes());
        area[512..520].copy_from_slice(&mask.to_le_bytes());
        area.extend_from_slice(&MAGIC_BEHIND.to_le_bytes());
        area
    }

    const SMALL: u64 = 0x7;
    const KEYS: u64 = 0x207;
    const RICH: u64 = 0x2_02e7;

    #[test]
    fn sizes_are_the_kernels() {
        assert_eq!(
            [SMALL, KEYS, 0xe7, 0x2e7, RICH].map(|mask| Layout { mask }.size()),
            [832, 2696, 2688, 2696, 2816]
        );
        assert_eq!(Layout::of(&area(RICH)), Some(Layout { mask: RICH }));
        // Others keep the same components closer together.
        let mut other = area(0x2e7);
        other[480..484].copy_from_slice(&2440u32.to_le_bytes());
        assert_eq!(Layout::of(&other), None);
        assert_eq!(Layout::of(&[0; 512]), None);
    }

    #[test]
    fn a_richer_cpu_shows_what_the_recorded_one_did() {
        for mask in [SMALL, KEYS, 0x2e7] {
            let (mut poor, mut rich) = (area(mask), area(RICH));
            // The same registers; the richer one has others besides.
            for own in [&mut poor, &mut rich] {
                own[..464].fill(7);
                own[600] = 1;
            }
            rich[2760] = 9;
            rich[512..520].copy_from_slice(&0x2_00a7u64.to_le_bytes());
            let layout = Layout::of(&poor).unwrap();
            let seen = layout.shown(&poor);
            assert_eq!(seen, layout.shown(&rich), "{mask:x}");
            assert_eq!(Layout::of(&seen), Some(layout));
            assert_eq!((seen.len(), word(&seen, 512)), (layout.shown_size(), 7));
            let mut changed = seen;
            changed[20] = 1;
            changed[601] = 2;
            // What the kernel says of the area is not the program's to say.
            changed[468..472].fill(0xff);
            layout.take(&mut rich, &changed);
            assert_eq!((rich[20], rich[601], rich[2760]), (1, 2, 9));
            assert_eq!(Layout::of(&rich), Some(Layout { mask: RICH }));
            assert_eq!(word(&rich, 512), 7 | 0x2_00a7 & !mask);
        }
    }
}
