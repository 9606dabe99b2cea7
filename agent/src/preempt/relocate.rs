//! Copies of instructions elsewhere that do the same.

use crate::instructions::{LONGEST, decode, length};
use crate::memory;
use alloc::vec::Vec;
use yaxpeax_x86::long_mode::{Instruction, Opcode, Operand, RegSpec};

/// Bytes of a jump that is put over instructions.
pub const JUMP: usize = 5;

/// An instruction that can be copied.
#[derive(Clone, Copy, Debug)]
pub struct Piece {
    /// Its address.
    pub at: u64,
    bytes: [u8; LONGEST],
    length: usize,
    shape: Shape,
}

/// What of an instruction hangs on its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Plain,
    /// The four bytes at this offset are a distance from its end.
    Distant(usize),
    /// A conditional jump with a distance of one byte.
    Branch,
    /// A jump with a distance of one byte.
    Jump,
}

impl Piece {
    /// The instruction at `at`; `None` where it cannot be copied, or does not end in one go: calls, which push where they come from; string
    /// instructions, which are interrupted between rounds; what enters the kernel or traps.
    #[must_use]
    pub fn at(at: u64) -> Option<Piece> {
        let mut bytes = [0; LONGEST];
        let read = memory::readable(at, LONGEST as u64) as usize;
        if !memory::try_copy_out(at, &mut bytes[..read]) {
            return None;
        }
        Self::of(at, &bytes)
    }

    fn of(at: u64, bytes: &[u8; LONGEST]) -> Option<Piece> {
        let instruction = decode(bytes)?;
        let len = length(&instruction) as usize;
        let shape = match bytes[0] {
            0x70..=0x7f => Shape::Branch,
            0xeb => Shape::Jump,
            0xe9 => Shape::Distant(1),
            0x0f if bytes[1] & 0xf0 == 0x80 => Shape::Distant(2),
            _ if is_bound(&instruction) => return None,
            _ => match distance(&instruction) {
                None => Shape::Plain,
                Some(distance) => Shape::Distant(place_of(bytes, len, distance)?),
            },
        };
        Some(Piece {
            at,
            bytes: *bytes,
            length: len,
            shape,
        })
    }

    /// Length, in bytes.
    #[must_use]
    pub fn length(&self) -> usize {
        self.length
    }

    /// Whether its bytes do the same anywhere.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.shape == Shape::Plain
    }

    /// Its bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    /// Appends a copy that lies at `to` and does the same as the original; false where it is too far away.
    #[must_use]
    pub fn copy(&self, to: u64, code: &mut Vec<u8>) -> bool {
        let bytes = &self.bytes[..self.length];
        let end = self.at + self.length as u64;
        match self.shape {
            Shape::Plain => {
                code.extend_from_slice(bytes);
                true
            }
            Shape::Distant(place) => {
                let old = i32::from_le_bytes(*bytes[place..].first_chunk().unwrap_or(&[0; 4]));
                let target = end.wrapping_add_signed(i64::from(old));
                let Some(new) = relative(to + self.length as u64, target) else {
                    return false;
                };
                code.extend_from_slice(&bytes[..place]);
                code.extend_from_slice(&new);
                code.extend_from_slice(&bytes[place + 4..]);
                true
            }
            Shape::Branch | Shape::Jump => {
                let opcode: &[u8] = match self.shape {
                    Shape::Branch => &[0x0f, 0x10 + bytes[0]],
                    _ => &[0xe9],
                };
                let target = end.wrapping_add_signed(i64::from(bytes[1].cast_signed()));
                let Some(distance) = relative(to + opcode.len() as u64 + 4, target) else {
                    return false;
                };
                code.extend_from_slice(opcode);
                code.extend_from_slice(&distance);
                true
            }
        }
    }
}

/// The distance from the end of an instruction, if it is near enough.
#[must_use]
pub fn relative(from: u64, to: u64) -> Option<[u8; 4]> {
    i32::try_from(to.wrapping_sub(from).cast_signed()).ok().map(i32::to_le_bytes)
}

/// The instructions that a jump at `at` would lie upon, or begin in; `None` where one cannot be copied.
#[must_use]
pub fn cover(at: u64) -> Option<Vec<Piece>> {
    let mut pieces = Vec::new();
    let mut next = at;
    while next < at + JUMP as u64 {
        let piece = Piece::at(next)?;
        next += piece.length as u64;
        pieces.push(piece);
    }
    Some(pieces)
}

/// Whether an instruction must be executed where it is, or is not over at once.
fn is_bound(instruction: &Instruction) -> bool {
    use Opcode as O;
    instruction.prefixes.rep_any() && is_string(instruction)
        || is_stopping(instruction)
        || matches!(
            instruction.opcode(),
            O::CALL | O::CALLF | O::JRCXZ | O::LOOP | O::LOOPZ | O::LOOPNZ | O::XBEGIN
        )
}

/// Whether it is one of the instructions that may be repeated by a prefix.
#[must_use]
pub fn is_string(instruction: &Instruction) -> bool {
    use Opcode as O;
    matches!(
        instruction.opcode(),
        O::MOVS | O::CMPS | O::LODS | O::SCAS | O::STOS | O::INS | O::OUTS
    )
}

/// Whether an instruction enters the kernel, traps, or shows the trap flag: it cannot be executed step by step unnoticed.
#[must_use]
pub fn is_stopping(instruction: &Instruction) -> bool {
    use Opcode as O;
    matches!(
        instruction.opcode(),
        O::SYSCALL
            | O::SYSENTER
            | O::INT
            | O::UD0
            | O::UD1
            | O::UD2
            | O::HLT
            | O::IRET
            | O::IRETD
            | O::IRETQ
            | O::PUSHF
            | O::POPF
            | O::CPUID
            | O::RDTSC
            | O::RDTSCP
            | O::XBEGIN
            | O::XABORT
            | O::IN
            | O::OUT
    ) || instruction.opcode() == O::MOV && matches!(instruction.operand(0), Operand::Register { reg } if reg == RegSpec::ss())
}

/// The distance of an operand that is told from the instruction's end.
fn distance(instruction: &Instruction) -> Option<i32> {
    (0..instruction.operand_count()).find_map(|i| match instruction.operand(i) {
        Operand::Disp { base, disp } | Operand::DispMasked { base, disp, .. } if base == RegSpec::rip() => Some(disp),
        Operand::MemDeref { base } | Operand::MemDerefMasked { base, .. } if base == RegSpec::rip() => Some(0),
        _ => None,
    })
}

/// Where in an instruction its distance lies: where other bytes give another distance, and change nothing of its length.
fn place_of(bytes: &[u8; LONGEST], len: usize, distance_is: i32) -> Option<usize> {
    // An immediate of at most four bytes may follow.
    [0, 1, 2, 4].into_iter().find_map(|behind| {
        let place = len.checked_sub(4 + behind).filter(|p| *p >= 2)?;
        let mut other = *bytes;
        let here: &mut [u8; 4] = other[place..].first_chunk_mut()?;
        if i32::from_le_bytes(*here) != distance_is {
            return None;
        }
        *here = (distance_is ^ 0x0101_0101).to_le_bytes();
        let changed = decode(&other)?;
        let right = length(&changed) as usize == len && distance(&changed) == Some(distance_is ^ 0x0101_0101);
        right.then_some(place)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copied(code: &[u8], to: u64) -> Option<Vec<u8>> {
        let mut bytes = [0x90; LONGEST];
        bytes[..code.len()].copy_from_slice(code);
        let piece = Piece::of(0x1000, &bytes)?;
        assert_eq!(piece.length(), code.len());
        let mut copy = Vec::new();
        piece.copy(to, &mut copy).then_some(copy)
    }

    #[test]
    fn instructions_are_copied_with_their_distances() {
        // add [rbp-8], 1; vfmadd231pd ymm0, ymm1, ymm2
        for plain in [&[0x83, 0x45, 0xf8, 1][..], &[0xc4, 0xe2, 0xf5, 0xb8, 0xc2]] {
            assert_eq!(copied(plain, 0x9000).as_deref(), Some(plain));
        }
        // mov eax, [rip + 0x10] at 0x1000 reads 0x1016; from 0x1100 that is 0x100 bytes less.
        assert_eq!(
            copied(&[0x8b, 0x05, 0x10, 0, 0, 0], 0x1100).as_deref(),
            Some(&[0x8b, 0x05, 0x10, 0xff, 0xff, 0xff][..])
        );
        // cmp dword [rip + 0x10], 0x10101010: the distance is not the last such word.
        assert_eq!(
            copied(&[0x81, 0x3d, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10], 0x1001).as_deref(),
            Some(&[0x81, 0x3d, 0x0f, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10, 0x10][..])
        );
        // Short jumps become long ones: jne -2 (to itself), jmp +4.
        assert_eq!(
            copied(&[0x75, 0xfe], 0x1100).as_deref(),
            Some(&[0x0f, 0x85, 0xfa, 0xfe, 0xff, 0xff][..])
        );
        assert_eq!(copied(&[0xeb, 4], 0x1001).as_deref(), Some(&[0xe9, 0, 0, 0, 0][..]));
        assert_eq!(copied(&[0x8b, 0x05, 0, 0, 0, 0], 1 << 40), None, "too far");
    }

    #[test]
    fn what_must_stay_is_refused() {
        // syscall, rdtsc, pushf, call, rep movsb, int3, loop
        let bound: [&[u8]; 7] = [
            &[0x0f, 0x05],
            &[0x0f, 0x31],
            &[0x9c],
            &[0xe8, 0, 0, 0, 0],
            &[0xf3, 0xa4],
            &[0xcc],
            &[0xe2, 0xfe],
        ];
        for code in bound {
            assert_eq!(copied(code, 0x1100), None, "{code:x?}");
        }
    }
}
