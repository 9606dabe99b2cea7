//! `memcpy`, in place of the target's own.
//!
//! That one is three string instructions, each of which takes some ten nanoseconds to start, and most copies here are of a few
//! words. No vector registers: they are the program's.

use core::arch::global_asm;

global_asm!(
    // rdb_memcpy(to, from, len): the ranges do not overlap. Up to 32 bytes: first and last words, which may overlap each other.
    // Up to 1 KiB: 32 bytes at a time, then the last 32. Above: one string instruction.
    ".globl rdb_memcpy",
    "rdb_memcpy:",
    "mov rax, rdi",
    "cmp rdx, 16",
    "ja 4f",
    "cmp edx, 8",
    "jae 3f",
    "cmp edx, 4",
    "jae 2f",
    "test edx, edx",
    "jz 1f",
    // One to three: the first, the middle, the last, which may be the same.
    "mov ecx, edx",
    "shr ecx, 1",
    "movzx r8d, byte ptr [rsi]",
    "movzx r9d, byte ptr [rsi+rcx]",
    "movzx r10d, byte ptr [rsi+rdx-1]",
    "mov [rdi], r8b",
    "mov [rdi+rcx], r9b",
    "mov [rdi+rdx-1], r10b",
    "1: ret",
    "2: mov ecx, [rsi]",
    "mov r8d, [rsi+rdx-4]",
    "mov [rdi], ecx",
    "mov [rdi+rdx-4], r8d",
    "ret",
    "3: mov rcx, [rsi]",
    "mov r8, [rsi+rdx-8]",
    "mov [rdi], rcx",
    "mov [rdi+rdx-8], r8",
    "ret",
    "4: cmp rdx, 1024",
    "ja 7f",
    "lea r11, [rsi+rdx-32]",
    "cmp rdx, 32",
    "jbe 6f",
    "5: mov rcx, [rsi]",
    "mov r8, [rsi+8]",
    "mov r9, [rsi+16]",
    "mov r10, [rsi+24]",
    "mov [rdi], rcx",
    "mov [rdi+8], r8",
    "mov [rdi+16], r9",
    "mov [rdi+24], r10",
    "add rsi, 32",
    "add rdi, 32",
    "cmp rsi, r11",
    "jb 5b",
    "lea rdi, [rax+rdx-32]",
    "mov rcx, [r11]",
    "mov r8, [r11+8]",
    "mov r9, [r11+16]",
    "mov r10, [r11+24]",
    "mov [rdi], rcx",
    "mov [rdi+8], r8",
    "mov [rdi+16], r9",
    "mov [rdi+24], r10",
    "ret",
    // 17 to 32.
    "6: mov rcx, [rsi]",
    "mov r8, [rsi+8]",
    "mov r9, [rsi+rdx-16]",
    "mov r10, [rsi+rdx-8]",
    "mov [rdi], rcx",
    "mov [rdi+8], r8",
    "mov [rdi+rdx-16], r9",
    "mov [rdi+rdx-8], r10",
    "ret",
    "7: mov rcx, rdx",
    "rep movsb",
    "ret",
);

// The image takes it for what the compiler calls; the target's own is weak.
#[cfg(target_os = "none")]
global_asm!(".globl memcpy", ".set memcpy, rdb_memcpy");

#[cfg(test)]
mod tests {
    use alloc::vec;
    use alloc::vec::Vec;

    unsafe extern "C" {
        fn rdb_memcpy(to: *mut u8, from: *const u8, len: usize) -> *mut u8;
    }

    #[test]
    fn every_length_is_copied_and_nothing_else() {
        let from: Vec<u8> = (0..3000u32).map(|i| (i * 7 + i / 256) as u8).collect();
        for len in (0..1100).chain([2000, 2047]) {
            for (skew, place) in [(0, 0), (1, 3), (7, 1), (8, 16)] {
                let mut to = vec![0xee; len + 64];
                let start = to.as_mut_ptr().wrapping_add(place);
                // SAFETY: both ranges lie in their vectors, which are two.
                let end = unsafe { rdb_memcpy(start, from.as_ptr().add(skew), len) };
                assert_eq!(end, start);
                assert!(to[place..place + len] == from[skew..skew + len], "{len} {skew} {place}");
                assert!(
                    to[..place].iter().chain(&to[place + len..]).all(|b| *b == 0xee),
                    "{len} {skew} {place}"
                );
            }
        }
    }
}
