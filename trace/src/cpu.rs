//! What the recording CPU could do, so that a CPU that cannot replay a trace is refused with a reason.
//!
//! Only features that a program can use are compared: what the system uses (virtualisation, SMEP ...) is nobody's concern here. Random
//! numbers and transactions are not in the list, because the recorded program is told that there are none.

/// Words of features kept.
pub const WORDS: usize = 10;

/// Where the words come from: CPUID leaf, subleaf, and which of eax, ebx, ecx, edx. The last word is the low half of XCR0.
pub const SOURCES: [(u32, u32, usize); WORDS - 1] = [
    (1, 0, 3),
    (1, 0, 2),
    (7, 0, 1),
    (7, 0, 2),
    (7, 0, 3),
    (7, 1, 0),
    (0xd, 1, 0),
    (0x8000_0001, 0, 2),
    (0x8000_0001, 0, 3),
];

/// A CPU.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cpu {
    /// CPUID was trapped: what the program saw of it is in the trace. Otherwise the CPU has answered for itself.
    pub trapped: bool,
    /// Family, model and stepping: eax of leaf 1.
    pub signature: u32,
    /// Features, see [`SOURCES`].
    pub features: [u32; WORDS],
}

impl Cpu {
    /// Bytes in the header.
    pub const SIZE: usize = 8 + 4 * WORDS;

    pub(crate) fn from_bytes(b: &[u8]) -> Cpu {
        let word = |i: usize| u32::from_le_bytes([b[4 * i], b[4 * i + 1], b[4 * i + 2], b[4 * i + 3]]);
        Cpu {
            trapped: word(0) & 1 != 0,
            signature: word(1),
            features: core::array::from_fn(|i| word(2 + i)),
        }
    }

    pub(crate) fn write(&self, to: &mut [u8]) {
        let words = [u32::from(self.trapped), self.signature];
        for (i, w) in words.iter().chain(&self.features).enumerate() {
            to[4 * i..4 * i + 4].copy_from_slice(&w.to_le_bytes());
        }
    }

    /// Names of the features this CPU has and `other` lacks, as in `/proc/cpuinfo`.
    pub fn lacking_in<'a>(&'a self, other: &'a Cpu) -> impl Iterator<Item = &'static str> + 'a {
        NAMES
            .iter()
            .filter(|(word, bit, _)| self.features[*word] >> bit & 1 != 0 && other.features[*word] >> bit & 1 == 0)
            .map(|(_, _, name)| *name)
    }
}

/// Features programs use: word, bit, name (Intel SDM volume 2, CPUID; AMD APM volume 3, appendix E).
#[rustfmt::skip]
const NAMES: &[(usize, u32, &str)] = &[
    (0, 8, "cx8"), (0, 15, "cmov"), (0, 19, "clflush"), (0, 23, "mmx"), (0, 24, "fxsr"), (0, 25, "sse"), (0, 26, "sse2"),
    (1, 0, "sse3"), (1, 1, "pclmulqdq"), (1, 9, "ssse3"), (1, 12, "fma"), (1, 13, "cx16"), (1, 19, "sse4_1"), (1, 20, "sse4_2"),
    (1, 22, "movbe"), (1, 23, "popcnt"), (1, 25, "aes"), (1, 26, "xsave"), (1, 27, "osxsave"), (1, 28, "avx"), (1, 29, "f16c"),
    (2, 0, "fsgsbase"), (2, 3, "bmi1"), (2, 5, "avx2"), (2, 8, "bmi2"), (2, 9, "erms"), (2, 16, "avx512f"), (2, 17, "avx512dq"),
    (2, 19, "adx"), (2, 21, "avx512ifma"), (2, 23, "clflushopt"), (2, 24, "clwb"), (2, 26, "avx512pf"), (2, 27, "avx512er"),
    (2, 28, "avx512cd"), (2, 29, "sha_ni"), (2, 30, "avx512bw"), (2, 31, "avx512vl"),
    (3, 1, "avx512vbmi"), (3, 5, "waitpkg"), (3, 6, "avx512_vbmi2"), (3, 8, "gfni"), (3, 9, "vaes"), (3, 10, "vpclmulqdq"),
    (3, 11, "avx512_vnni"), (3, 12, "avx512_bitalg"), (3, 14, "avx512_vpopcntdq"), (3, 22, "rdpid"), (3, 27, "movdiri"),
    (3, 28, "movdir64b"),
    (4, 2, "avx512_4vnniw"), (4, 3, "avx512_4fmaps"), (4, 4, "fsrm"), (4, 8, "avx512_vp2intersect"), (4, 14, "serialize"),
    (4, 22, "amx_bf16"), (4, 23, "avx512_fp16"), (4, 24, "amx_tile"), (4, 25, "amx_int8"),
    (5, 4, "avx_vnni"), (5, 5, "avx512_bf16"), (5, 10, "fzrm"), (5, 11, "fsrs"), (5, 12, "fsrc"), (5, 21, "amx_fp16"), (5, 23, "avx_ifma"),
    (6, 0, "xsaveopt"), (6, 1, "xsavec"), (6, 2, "xgetbv1"),
    (7, 0, "lahf_lm"), (7, 5, "abm"), (7, 6, "sse4a"), (7, 8, "3dnowprefetch"), (7, 11, "xop"), (7, 16, "fma4"), (7, 21, "tbm"),
    (8, 22, "mmxext"), (8, 30, "3dnowext"), (8, 31, "3dnow"),
    (9, 2, "AVX registers"), (9, 5, "AVX-512 mask registers"), (9, 6, "AVX-512 registers"), (9, 9, "protection keys"), (9, 18, "AMX tiles"),
];

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec::Vec;

    #[test]
    fn what_is_missing_is_named() {
        let mut here = Cpu::default();
        let mut there = Cpu::default();
        there.features[2] = 1 << 5 | 1 << 16;
        here.features[2] = 1 << 5 | 1 << 8;
        assert_eq!(there.lacking_in(&here).collect::<Vec<_>>(), ["avx512f"]);
        assert_eq!(there.lacking_in(&there).count(), 0);
        let mut bytes = [0; Cpu::SIZE];
        there.trapped = true;
        there.signature = 0x50654;
        there.write(&mut bytes);
        assert_eq!(Cpu::from_bytes(&bytes), there);
    }

    #[test]
    fn each_name_is_there_once() {
        for (i, a) in NAMES.iter().enumerate() {
            assert!(a.0 < WORDS && a.1 < 32);
            assert!(NAMES[i + 1..].iter().all(|b| b.2 != a.2 && (a.0, a.1) != (b.0, b.1)), "{}", a.2);
        }
    }
}
