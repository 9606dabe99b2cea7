//! The stub that finds a moment again, and the jump that leads to it.
//!
//! The jump's five bytes may lie upon several instructions, and the program may jump to any but the first of them. So the bytes of the
//! distance at which these begin are made `int3`, by choosing where the stub lies; who comes there is led to the copy of that instruction. Where there is
//! no such place the jump is an `int3` itself: slow, and as right.
//!
//! The stub uses no stack and changes no flag. It is there from one event to the next, while the program maps nothing.

use super::relocate::{self, JUMP, Piece, relative};
use super::{Part, State};
use crate::layout::PROGRAM_END;
use crate::memory;
use crate::sys::{self, map};
use alloc::vec::Vec;

const INT3: u8 = 0xcc;
/// Bytes that are mapped for a stub.
const SIZE: u64 = 0x3000;
/// Where the two registers it works with are kept meanwhile, from the start of what is mapped.
const SAVED: u64 = 0;
/// The first byte a stub may have.
const CODE: u64 = 64;

/// A stub in place.
#[derive(Clone, Debug)]
pub struct Stub {
    /// The address of the moment.
    pub at: u64,
    /// What is mapped.
    area: u64,
    /// Where the jump leads.
    entry: u64,
    /// Behind the trap that says that all is equal.
    hit: u64,
    /// Each instruction covered, and its copy.
    copies: Vec<(u64, u64)>,
    original: [u8; JUMP],
    jump: [u8; JUMP],
}

/// Why a stub, or the code it is for, was stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trap {
    /// All that it compares is equal.
    Equal,
    /// The program is to go on there.
    Onward(u64),
}

impl Stub {
    /// Puts a stub where `state` is looked for. `None` when the code there cannot be copied, or there is no room near it.
    #[must_use]
    pub fn new(at: u64, state: &State) -> Option<Stub> {
        let pieces = relocate::cover(at).or_else(|| Some(Vec::from([Piece::at(at)?])))?;
        let covered: usize = pieces.iter().map(Piece::length).sum();
        let begins: Vec<usize> = pieces.iter().map(|p| (p.at - at) as usize).filter(|o| *o != 0).collect();
        let mut original = [0; JUMP];
        let whole = covered >= JUMP;
        let count = if whole { JUMP } else { 1 };
        if !memory::try_copy_out(at, &mut original[..count]) {
            return None;
        }
        // In order of preference: a jump, and one `int3`.
        let choices = [whole.then_some(&begins[..]), None];
        choices.iter().find_map(|begins| {
            let (area, entry) = place(at, begins.unwrap_or_default())?;
            let mut stub = Stub {
                at,
                area,
                entry,
                hit: 0,
                copies: Vec::new(),
                original,
                jump: [INT3; JUMP],
            };
            let used = if begins.is_some() { JUMP } else { 1 };
            if begins.is_some() {
                stub.jump[0] = 0xe9;
                stub.jump[1..].copy_from_slice(&relative(at + JUMP as u64, entry)?);
            }
            stub.jump[used..].copy_from_slice(&original[used..]);
            let built = stub.build(state, &pieces, at + covered as u64);
            if built && memory::patch(at, &stub.jump[..used]) {
                return Some(stub);
            }
            sys::munmap(area, SIZE);
            None
        })
    }

    /// Writes the code. False where something is out of reach.
    fn build(&mut self, state: &State, pieces: &[Piece], behind: u64) -> bool {
        let mut code = Code {
            at: self.entry,
            bytes: Vec::new(),
            saved: self.area + SAVED,
            misses: Vec::new(),
        };
        code.save();
        for part in state.parts() {
            match part {
                Part::Register(register, value) => code.compare_register(register, value),
                Part::Vector(register, value) => code.compare_vector(register, value),
                Part::Word(address, value) => code.compare_word(address, value),
            }
        }
        code.restore();
        code.put(&[INT3]);
        self.hit = code.here();
        code.land_misses();
        code.restore();
        for piece in pieces {
            let here = code.here();
            self.copies.push((piece.at, here));
            if !piece.copy(here, &mut code.bytes) {
                return false;
            }
        }
        let Some(back) = relative(code.here() + 5, behind) else {
            return false;
        };
        code.put(&[0xe9]);
        code.put(&back);
        code.here() <= self.area + SIZE && {
            memory::copy_in(self.entry, &code.bytes);
            true
        }
    }

    /// What a SIGTRAP is about whose instruction pointer is `rip`; `None` when it has nothing to do with this.
    #[must_use]
    pub fn trapped(&self, rip: u64) -> Option<Trap> {
        if rip == self.hit {
            return Some(Trap::Equal);
        }
        let trap = rip - 1;
        if trap == self.at && self.jump[0] == INT3 {
            return Some(Trap::Onward(self.entry));
        }
        let copy = self.copies[1..].iter().find(|c| c.0 == trap)?;
        Some(Trap::Onward(copy.1))
    }

    /// Where the program goes on when the moment has not come yet.
    #[must_use]
    pub fn onward(&self) -> u64 {
        self.copies.first().map_or(self.at, |c| c.1)
    }

    /// Takes everything out. False when the code cannot be written.
    #[must_use]
    pub fn remove(self) -> bool {
        let done = memory::patch(self.at, &self.original[..if self.jump[0] == INT3 { 1 } else { JUMP }]);
        sys::munmap(self.area, SIZE);
        done
    }
}

/// Whether there is room where a jump at `at` would lead whose byte at this offset must be an `int3`. Its last one says that the stub lies
/// before it by 0x3400_0000 bytes: programs that are not position-independent begin lower.
#[must_use]
pub fn has_room(at: u64, begin: u64) -> bool {
    begin != JUMP as u64 - 1 || at > 0x3500_0000
}

/// Maps room for a stub near `at`, and chooses where in it the stub begins: so that the bytes of the jump's distance at these offsets
/// from `at` are `int3`. The area, and the entry.
fn place(at: u64, begins: &[usize]) -> Option<(u64, u64)> {
    /// The top byte of the distance, from near to far.
    const FAR: [u8; 14] = [0, 0xff, 1, 0xfe, 2, 0xfd, 8, 0xf8, 0x10, 0xf0, 0x20, 0xe0, 0x40, 0xc0];
    const MIDDLE: [u8; 5] = [0x10, 0x40, 0x80, 0xc0, 0xf0];
    let fixed = |byte: usize| begins.contains(&(byte + 1));
    let low = u32::from(if fixed(0) { INT3 } else { 0 }) | u32::from(if fixed(1) { INT3 } else { 0x10 }) << 8;
    let middles: &[u8] = if fixed(2) { &[INT3] } else { &MIDDLE };
    let tops: &[u8] = if fixed(3) { &[INT3] } else { &FAR };
    for top in tops {
        for middle in middles {
            let distance = (low | u32::from(*middle) << 16 | u32::from(*top) << 24).cast_signed();
            let entry = (at + JUMP as u64).wrapping_add_signed(i64::from(distance));
            let area = entry.wrapping_sub(CODE) & !4095;
            if !(1 << 16..PROGRAM_END - SIZE).contains(&area) {
                continue;
            }
            let flags = map::PRIVATE | map::ANONYMOUS | map::FIXED_NOREPLACE;
            let r = sys::mmap(area, SIZE, map::READ | map::WRITE | map::EXEC, flags, sys::NO_FD, 0);
            if r.cast_unsigned() == area {
                return Some((area, entry));
            }
            if r > 0 {
                sys::munmap(r.cast_unsigned(), SIZE);
            }
        }
    }
    None
}

const RCX: u8 = 1;
const RDX: u8 = 2;

/// Machine code that compares.
struct Code {
    at: u64,
    bytes: Vec<u8>,
    /// Two words: rcx and rdx.
    saved: u64,
    /// Behind the jumps taken where something is different.
    misses: Vec<usize>,
}

impl Code {
    fn here(&self) -> u64 {
        self.at + self.bytes.len() as u64
    }

    fn put(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// `mov` between rcx or rdx and where it is kept.
    fn keep(&mut self, register: u8, load: bool) {
        self.put(&[0x48, if load { 0x8b } else { 0x89 }, 5 | register << 3]);
        let word = self.saved + 8 * u64::from(register - RCX);
        let distance = relative(self.here() + 4, word).unwrap_or_default();
        self.put(&distance);
    }

    fn save(&mut self) {
        self.keep(RCX, false);
        self.keep(RDX, false);
    }

    fn restore(&mut self) {
        self.keep(RCX, true);
        self.keep(RDX, true);
    }

    /// `mov rcx or rdx, value`
    fn load(&mut self, register: u8, value: u64) {
        self.put(&[0x48, 0xb8 | register]);
        self.put(&value.to_le_bytes());
    }

    /// Leaves when rcx and `base` together are not zero: `lea`, `jrcxz` and `jmp` change no flags.
    fn leave_unless_zero_with(&mut self, base: u8) {
        self.put(&[0x48 | base >> 3, 0x8d, 0x4c, 0x08 | base & 7, 0]); // lea rcx, [base + rcx]
        self.put(&[0xe3, 5]); // jrcxz over the jump
        self.put(&[0xe9, 0, 0, 0, 0]);
        self.misses.push(self.bytes.len());
    }

    fn land_misses(&mut self) {
        let here = self.bytes.len();
        for from in core::mem::take(&mut self.misses) {
            let distance = (here - from) as u32;
            self.bytes[from - 4..from].copy_from_slice(&distance.to_le_bytes());
        }
    }

    fn compare_register(&mut self, register: u8, value: u64) {
        let mut with = register;
        if matches!(register, RCX | RDX) {
            self.keep(RDX, true);
            if register == RCX {
                self.keep(RCX, true);
                self.put(&[0x48, 0x89, 0xca]); // mov rdx, rcx
            }
            with = RDX;
        }
        self.load(RCX, value.wrapping_neg());
        self.leave_unless_zero_with(with);
    }

    fn compare_word(&mut self, address: u64, value: u64) {
        self.load(RDX, address);
        self.put(&[0x48, 0x8b, 0x12]); // mov rdx, [rdx]
        self.load(RCX, value.wrapping_neg());
        self.leave_unless_zero_with(RDX);
    }

    fn compare_vector(&mut self, register: u8, value: u64) {
        self.put(&[0x66, 0x48 | register >> 3 << 2, 0x0f, 0x7e, 0xc2 | (register & 7) << 3]); // movq rdx, xmm
        self.load(RCX, value.wrapping_neg());
        self.leave_unless_zero_with(RDX);
    }
}
