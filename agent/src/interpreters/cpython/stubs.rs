//! The 256 dispatch stubs, and the shadow map they look instructions up in.
//!
//! A stub stands between the dispatch table and an opcode's code. It reads one shadow byte for the instruction about to run; where
//! nothing is to be counted it goes on, where the answer is plain it counts and goes on, and everything else it leaves to
//! [`Stubs::install`]'s slow path. It writes nothing to the program's stack, preserves all registers but flags (which no target
//! reads), and lets no stub address stay behind in a register.
//!
//! # Safety
//! This room may use `unsafe`: it writes data into the stub area and shadow bytes into the shadow map, at addresses that no Rust
//! object and no program memory has.
#![allow(unsafe_code)]

use super::Places;
use super::emit::{ABOVE, ABOVE_OR_EQUAL, BELOW, EQUAL, Emitter, GREATER, NOT_EQUAL, map};
use super::locate::Located;
use super::objects::{ENDS_WITH_CODE, TP_FLAGS};
use super::ticks;
use crate::interpreters::Registers;
use crate::layout::{STOP_STACK, STOP_STACK_SIZE, STUBS};
use crate::preempt::relocate::Piece;

/// A shadow byte: what dispatching the instruction means. The order is relied upon by the stubs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Mark {
    /// Its code object is not known yet.
    Unknown = 0,
    /// Nothing.
    Nothing = 1,
    /// A line starts.
    Line = 2,
    /// A line starts if the frame's previous instruction lies behind.
    Backward = 3,
    /// The frame is left.
    Leave = 4,
    /// A line starts, and the frame is left.
    LineAndLeave = 5,
    /// Ask the slow path.
    Ask = 6,
}

/// What the stubs work with, at [`DATA`].
#[repr(C, align(64))]
pub(super) struct Data {
    originals: [u64; 256],
    stubs: [u64; 256],
    /// Stop points until the fast path is left; more than 0.
    remaining: u64,
    /// While words are compared: stop points until the slow path wants to be called.
    left: u64,
    /// Where the fast path is left for: the slow path, or code that compares. That goes on, where nothing differs, at the one of
    /// `onward` for the opcode, having counted `count` stop points.
    counting: u64,
    onward: [u64; 256],
    go: u64,
    count: u64,
    more: [u64; 2],
    /// The dispatched opcode, or [`DEALLOC`].
    pub(super) opcode: u64,
    resume_at: u64,
    context: u64,
    spill: u64,
    /// The frame whose leaving is waited for ([`super::stretch`]), or 0.
    watermark: u64,
    pub(super) registers: Registers,
    /// The host's Rust code, unlike the agent image's, uses vector registers.
    vectors: Vectors,
}

/// Addresses of the words that code works with which counts stop points elsewhere.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counting {
    /// Stop points until the slow path wants to be called.
    pub left: u64,
    /// Stop points passed now.
    pub count: u64,
    /// The opcode about to be executed.
    pub opcode: u64,
    /// For each opcode, where to go on.
    pub onward: u64,
    /// For one of these.
    pub go: u64,
    /// For a register.
    pub spill: u64,
    /// For two more.
    pub more: u64,
}

#[repr(C, align(16))]
struct Vectors([u8; 512]);

pub(super) const DATA: u64 = STUBS + 0xC_0000;
/// Behind the stubs, up to the data, lies the code that compares ([`super::compare`]).
pub(super) const CODE_SIZE: u64 = 0x8_0000;
/// In place of an opcode: a code object is being deallocated.
pub(super) const DEALLOC: u64 = 0x100;

/// The slow path: gets the context given to [`Stubs::install`], returns where to go on.
pub(super) type Slow = unsafe extern "sysv64" fn(context: u64) -> u64;

/// The emitted stubs.
#[derive(Debug)]
pub(super) struct Stubs {
    next_instruction: u8,
    frame: u8,
    frame_instruction: u8,
    shadow: u64,
    code: Emitter,
    slow: u64,
    /// Address and code of each stub.
    pub(super) fast: [u64; 256],
    /// Stubs that take the slow path always.
    pub(super) careful: [u64; 256],
    /// Where the slow path goes on: the opcode's code, or its tick.
    pub(super) onward: [u64; 256],
    ticks: [u64; 256],
    pub(super) dealloc: u64,
    dealloc_original: u64,
    originals: [u64; 256],
}

impl Stubs {
    /// Maps the shadow map and emits the stubs. Nothing leads to them yet. The stub area is mapped already: [`ticks::Ticks::install`].
    pub(super) fn install(
        located: &Located,
        places: &Places,
        dealloc_original: u64,
        slow: Slow,
        context: u64,
    ) -> Result<Self, &'static str> {
        map(STOP_STACK, STOP_STACK_SIZE, 3)?;
        for &(start, end) in places.code {
            map(places.shadow.wrapping_add(start), end - start, 3)?;
        }
        let mut stubs = Self {
            next_instruction: located.next_instruction,
            frame: located.frame,
            frame_instruction: u8::try_from(located.layout.frame_instruction).map_err(|_| "offset out of range")?,
            shadow: places.shadow,
            code: Emitter::new(STUBS, STUBS + CODE_SIZE),
            slow: 0,
            fast: [0; 256],
            careful: [0; 256],
            onward: located.targets,
            ticks: [0; 256],
            dealloc: 0,
            dealloc_original,
            originals: located.targets,
        };
        let data = stubs.data();
        data.originals = located.targets;
        data.context = context;
        data.remaining = u64::MAX >> 2;
        stubs.emit_slow(slow);
        stubs.data().counting = stubs.slow;
        for op in 0..=255 {
            stubs.emit_careful(op);
            stubs.emit_fast(op, located);
        }
        stubs.code.align();
        stubs.dealloc = stubs.code.at();
        stubs.go_slow(DEALLOC);
        if stubs.code.is_full() {
            return Err("the stub area is too small");
        }
        stubs.data().stubs = stubs.fast;
        Ok(stubs)
    }

    /// A copy of a plain instruction, with a jump back behind it.
    pub(super) fn copy_of(&mut self, piece: &Piece) -> Option<u64> {
        let to = self.code.at();
        self.code.bytes(piece.bytes());
        // jmp [rip]
        self.code.bytes(&[0xff, 0x25, 0, 0, 0, 0]);
        self.code.bytes(&(piece.at + piece.length() as u64).to_le_bytes());
        (!self.code.is_full()).then_some(to)
    }

    /// The data area.
    #[allow(clippy::unused_self, clippy::needless_pass_by_ref_mut)] // one `Stubs` exists, and lends its area as itself
    pub(super) fn data(&mut self) -> &mut Data {
        // SAFETY: mapped by `install` before any `Stubs` exists, aligned, any bytes are a `Data`; the borrow of the only `Stubs`
        // keeps it exclusive against Rust code, and stubs do not run while Rust code does.
        unsafe { &mut *(DATA as *mut Data) }
    }

    /// Stop points until the slow path wants to be called.
    pub(super) fn remaining(&self) -> u64 {
        // SAFETY: as in `data`, for reading.
        let data = unsafe { &*(DATA as *const Data) };
        if data.counting == self.slow { data.remaining } else { data.left }
    }

    /// Sets that.
    pub(super) fn set_remaining(&mut self, remaining: u64) {
        let slow = self.slow;
        let data = self.data();
        data.left = remaining;
        data.remaining = if data.counting == slow { remaining } else { 1 };
    }

    /// Has each stop point counted by code elsewhere, or not.
    pub(super) fn set_counting(&mut self, code: Option<u64>) {
        let remaining = self.remaining();
        let slow = self.slow;
        self.data().counting = code.unwrap_or(slow);
        self.set_remaining(remaining);
    }

    /// Where the words are that such code works with.
    #[allow(clippy::unused_self)] // of the one `Stubs` there is
    pub(super) fn counting(&self) -> Counting {
        Counting {
            left: offset(core::mem::offset_of!(Data, left)),
            count: offset(core::mem::offset_of!(Data, count)),
            opcode: offset(core::mem::offset_of!(Data, opcode)),
            onward: offset(core::mem::offset_of!(Data, onward)),
            go: offset(core::mem::offset_of!(Data, go)),
            spill: offset(core::mem::offset_of!(Data, spill)),
            more: offset(core::mem::offset_of!(Data, more)),
        }
    }

    /// Leaving this frame, if any, is not for the fast path.
    pub(super) fn set_watermark(&mut self, frame: u64) {
        self.data().watermark = frame;
    }

    /// The address of the slow path, for who has left the fast one.
    pub(super) fn slow_path(&self) -> u64 {
        self.slow
    }

    /// Replaces stub addresses in registers by what the unpatched program would hold there.
    pub(super) fn launder(&self, registers: &mut Registers) {
        for register in registers.iter_mut().filter(|r| (STUBS..STUBS + CODE_SIZE).contains(*r)) {
            if let Some(op) = (0..256).find(|&op| self.fast[op] == *register || self.careful[op] == *register) {
                *register = self.originals[op];
            } else if *register == self.dealloc {
                *register = self.dealloc_original;
            }
        }
    }

    /// The opcode whose tick was stopped by the trap at `address`.
    pub(super) fn trapped(&self, address: u64) -> Option<u8> {
        ticks::trapped(&self.ticks, address)
    }

    /// The shadow byte of the instruction at `address`.
    pub(super) fn mark(&self, address: u64) -> u8 {
        // SAFETY: shadow bytes of code are mapped (by `install`); no Rust object lies there.
        unsafe { (self.shadow.wrapping_add(address) as *const u8).read() }
    }

    /// Sets the shadow byte of the instruction at `address`.
    pub(super) fn set_mark(&mut self, address: u64, mark: Mark) {
        // SAFETY: as in `mark`.
        unsafe { (self.shadow.wrapping_add(address) as *mut u8).write(mark as u8) }
    }

    /// `cmp byte gs:[NI + distance], mark`
    fn compare_mark(&mut self, distance: u8, mark: Mark) {
        let register = self.next_instruction;
        self.code.byte(0x65);
        if register >= 8 {
            self.code.byte(0x41);
        }
        self.code.bytes(&[0x80, 0x78 | register & 7]);
        if register & 7 == 4 {
            self.code.byte(0x24);
        }
        self.code.bytes(&[distance, mark as u8]);
    }

    /// `cmp [FRAME + instruction], NI`
    fn compare_previous(&mut self) {
        let (ni, frame) = (self.next_instruction, self.frame);
        self.code
            .bytes(&[0x48 | ni >> 3 << 2 | frame >> 3, 0x39, 0x40 | (ni & 7) << 3 | frame & 7]);
        if frame & 7 == 4 {
            self.code.byte(0x24);
        }
        self.code.byte(self.frame_instruction);
    }

    /// `cmp [watermark], FRAME`
    fn compare_watermark(&mut self) {
        let frame = self.frame;
        self.code.bytes(&[0x48 | frame >> 3 << 2, 0x39, 5 | (frame & 7) << 3]);
        self.code.relative(offset(core::mem::offset_of!(Data, watermark)), 0);
    }

    /// To the slow path, as `what`.
    fn go_slow(&mut self, what: u64) {
        leave_slowly(&mut self.code, self.slow, what);
    }

    /// As [`Self::go_slow`], from code emitted elsewhere.
    pub(super) fn go_slow_from(&self, code: &mut Emitter, what: u64) {
        leave_slowly(code, self.slow, what);
    }

    fn emit_slow(&mut self, slow: Slow) {
        let vectors = cfg!(not(target_os = "none"));
        let registers = offset(core::mem::offset_of!(Data, registers));
        let resume_at = offset(core::mem::offset_of!(Data, resume_at));
        self.code.align();
        self.slow = self.code.at();
        for r in 0..16_u8 {
            self.code.move_word(r, registers + 8 * u64::from(r), false);
        }
        if vectors {
            self.code.bytes(&[0x48, 0x0f, 0xae, 0x05]); // fxsave64
            self.code.relative(offset(core::mem::offset_of!(Data, vectors)), 0);
        }
        self.code.bytes(&[0x48, 0xbc]); // mov rsp, imm64
        self.code.bytes(&(STOP_STACK + STOP_STACK_SIZE - 64).to_le_bytes());
        self.code.move_word(7, offset(core::mem::offset_of!(Data, context)), true);
        self.code.byte(0xfc); // cld
        self.code.bytes(&[0x48, 0xb8]); // mov rax, imm64
        self.code.bytes(&(slow as usize as u64).to_le_bytes());
        self.code.bytes(&[0xff, 0xd0]); // call rax
        self.code.move_word(0, resume_at, false);
        if vectors {
            self.code.bytes(&[0x48, 0x0f, 0xae, 0x0d]); // fxrstor64
            self.code.relative(offset(core::mem::offset_of!(Data, vectors)), 0);
        }
        for r in 0..16_u8 {
            self.code.move_word(r, registers + 8 * u64::from(r), true);
        }
        self.code.bytes(&[0xff, 0x25]); // jmp [resume_at]
        self.code.relative(resume_at, 0);
    }

    fn emit_careful(&mut self, op: u8) {
        self.code.align();
        self.careful[usize::from(op)] = self.code.at();
        self.go_slow(op.into());
    }

    fn emit_fast(&mut self, op: u8, located: &Located) {
        let opcodes = &located.layout.opcodes;
        let fused = opcodes.fused(op);
        self.code.align();
        self.fast[usize::from(op)] = self.code.at();
        let pair = fused.map(|fused| {
            self.compare_mark(2 * fused.distance, Mark::Line);
            self.code.skip_if(ABOVE_OR_EQUAL)
        });
        self.compare_mark(0, Mark::Nothing);
        let busy = self.code.skip_if(NOT_EQUAL);
        let go = self.code.at();
        self.data().onward[usize::from(op)] = go;
        self.emit_go(op, located);
        self.code.land(busy);
        if opcodes.announces(op) {
            if let Some(pair) = pair {
                self.code.land(pair);
            }
            self.go_slow(op.into());
            return;
        }
        let unknown = self.code.skip_if(BELOW);

        self.compare_mark(0, Mark::Line);
        let not_line = self.code.skip_if(NOT_EQUAL);
        self.compare_previous(); // a second dispatch of the same instruction?
        self.code.jump_if(EQUAL, go);
        let one = self.code.at();
        self.emit_count(1, go, op);
        self.code.land(not_line);

        self.compare_mark(0, Mark::Backward);
        let not_backward = self.code.skip_if(NOT_EQUAL);
        self.compare_previous();
        self.code.jump_if(ABOVE, one);
        self.code.jump(go);
        self.code.land(not_backward);

        self.compare_mark(0, Mark::Leave);
        let not_leave = self.code.skip_if(NOT_EQUAL);
        self.compare_watermark();
        self.code.jump_if(NOT_EQUAL, one);
        let left = self.code.skip_always();
        self.code.land(not_leave);
        self.compare_mark(0, Mark::LineAndLeave);
        let ask = self.code.skip_if(NOT_EQUAL);
        self.compare_watermark();
        let left_too = self.code.skip_if(EQUAL);
        self.compare_previous();
        self.code.jump_if(EQUAL, one);
        let two = self.code.at();
        self.emit_count(2, go, op);
        [ask, unknown, left, left_too].into_iter().for_each(|from| self.code.land(from));
        let slow = self.code.at();
        self.go_slow(op.into());

        if let (Some(pair), Some(fused)) = (pair, fused) {
            self.code.land(pair);
            if !fused.guarded {
                self.compare_mark(2 * fused.distance, Mark::Line);
                self.code.jump_if(NOT_EQUAL, slow);
                if fused.first == opcodes.store_fast {
                    self.slow_if_dropped(slow, located.layout.frame_locals);
                }
                self.compare_mark(0, Mark::Nothing);
                self.code.jump_if(EQUAL, one);
                self.compare_mark(0, Mark::Line);
                self.code.jump_if(EQUAL, two);
            }
            self.code.jump(slow);
        }
    }

    /// To the slow path, where the variable about to be overwritten holds the last reference to an object whose end may run Python
    /// code, between the two halves.
    fn slow_if_dropped(&mut self, slow: u64, locals: u64) {
        let (ni, frame) = (self.next_instruction, self.frame);
        let scratch = (0..3_u8).find(|r| *r != ni && *r != frame).unwrap_or(0);
        let spill = offset(core::mem::offset_of!(Data, spill));
        self.code.move_word(scratch, spill, false);
        self.code.bytes(&[0x40 | ni >> 3, 0x0f, 0xb6, 0x40 | scratch << 3 | ni & 7]); // movzx scratch, byte [NI + 1]
        if ni & 7 == 4 {
            self.code.byte(0x24);
        }
        self.code.byte(1);
        // mov scratch, [FRAME + scratch * 8 + locals]
        self.code
            .bytes(&[0x48 | frame >> 3, 0x8b, 0x84 | scratch << 3, 0xc0 | scratch << 3 | frame & 7]);
        self.code.bytes(&locals.to_le_bytes()[..4]);
        self.code.bytes(&[0x48, 0x85, 0xc0 | scratch << 3 | scratch]); // test scratch, scratch
        let empty = self.code.skip_if(EQUAL);
        self.code.bytes(&[0x83, 0x38 | scratch, 1]); // cmp dword [scratch], 1
        let shared = self.code.skip_if(NOT_EQUAL);
        self.code.bytes(&[0x48, 0x8b, 0x40 | scratch << 3 | scratch, 8]); // mov scratch, [scratch + ob_type]
        self.code.bytes(&[0xf7, 0x80 | scratch]); // test dword [scratch + tp_flags], ...
        self.code.bytes(&TP_FLAGS.to_le_bytes()[..4]);
        self.code.bytes(&ENDS_WITH_CODE.to_le_bytes());
        self.code.move_word(scratch, spill, true);
        self.code.jump_if(NOT_EQUAL, slow);
        let plain = self.code.skip_always();
        self.code.land(empty);
        self.code.land(shared);
        self.code.move_word(scratch, spill, true);
        self.code.land(plain);
    }

    /// Counts `n` stop points and goes on, unless that would reach the goal.
    fn emit_count(&mut self, n: u8, go: u64, op: u8) {
        let remaining = offset(core::mem::offset_of!(Data, remaining));
        self.code.bytes(&[0x48, 0x83, 0x2d]); // sub [remaining], n
        self.code.relative(remaining, 1);
        self.code.byte(n);
        self.code.jump_if(GREATER, go);
        self.code.bytes(&[0x48, 0x83, 0x05]); // add [remaining], n
        self.code.relative(remaining, 1);
        self.code.byte(n);
        for (word, value) in [(core::mem::offset_of!(Data, count), n), (core::mem::offset_of!(Data, opcode), op)] {
            self.code.bytes(&[0x48, 0xc7, 0x05]); // mov qword [word], value
            self.code.relative(offset(word), 4);
            self.code.bytes(&u32::from(value).to_le_bytes());
        }
        self.code.bytes(&[0xff, 0x25]); // jmp [counting]
        self.code.relative(offset(core::mem::offset_of!(Data, counting)), 0);
    }

    /// On to the opcode's own code, no register holding the stub's address.
    fn emit_go(&mut self, op: u8, located: &Located) {
        let word = |field: usize| offset(field) + 8 * u64::from(op);
        let (stub, original) = (
            word(core::mem::offset_of!(Data, stubs)),
            word(core::mem::offset_of!(Data, originals)),
        );
        let go = self.code.at();
        let trap = ticks::leave(&mut self.code, located, op, stub, original);
        if trap != 0 {
            self.ticks[usize::from(op)] = trap;
            self.onward[usize::from(op)] = go;
        }
    }
}

fn leave_slowly(code: &mut Emitter, slow: u64, what: u64) {
    code.bytes(&[0x48, 0xc7, 0x05]); // mov qword [opcode], what
    code.relative(offset(core::mem::offset_of!(Data, opcode)), 4);
    code.bytes(&what.to_le_bytes()[..4]);
    code.jump(slow);
}

const fn offset(offset: usize) -> u64 {
    DATA + offset as u64
}
