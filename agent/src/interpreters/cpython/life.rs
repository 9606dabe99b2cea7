//! The life of one object: each moment at which its memory is taken or given up.
//!
//! Replay is exact, so an object is known by its address and a time at which it is alive. Whether it is the same object at another
//! time is a question of what happened at that address between the two. A process that is thrown away afterwards runs over the
//! stretch with hooks in, and notes the *boundaries* of lives:
//!
//! * the interpreter's object allocator hands out the block that holds the object: a life begins;
//! * the block is given back to it (or resized): a life is over;
//! * the type's `tp_dealloc` returns from the object with a reference count of 0: a life is over, though the block may be kept in
//!   a free list of the type, and serve the next object of it.
//!
//! Why that is enough. Let the object be alive at `b`, and `a < b`. Its memory comes from the allocator, or from a free list of its
//! type, or was there from the beginning (static objects). If no boundary lies between `a` and `b`, the block was not handed out in
//! between; so at `a` it was the object's own, or lay in a free list: there the count is 0, for `tp_dealloc` is called at 0 and
//! nothing but a new life writes it. If a boundary does lie between them, then the block was handed out after `a`, or a life ended in it
//! after `a` that was not this one, since this one is alive at `b`: another object was there at `a`, or none. And forward, from
//! an `a` at which it is alive: without a boundary it has not ended. A finalizer that rescues the object is no boundary, because
//! `tp_dealloc` then returns with a count above 0 and the block is not given back. An object whose `__class__` is changed keeps
//! its block; classes made in Python keep no free lists. Types that bypass `tp_dealloc` (exact `int`, `float`, `str`) are not asked
//! about.
//!
//! The allocator is hooked by its pointers: four words in structures of the interpreter. `tp_dealloc` is not hooked in its slot, which
//! the interpreter compares (a subclass finds its base by it, the trashcan its own type): an `int3` at the function's entry notes the
//! object, and where to return to. Where the program replaces the allocators on the way ([`Boundaries::lost`]), nothing is claimed.
//!
//! One window stays: 3.11 may run the garbage collector between taking a block and writing the object's header. There the stale
//! bytes of the block are looked at: a count of 0, in all but contrived cases.
//!
//! # Safety
//! This room may use `unsafe` to call `PyMem_GetAllocator`, which copies five words, on a stack of its own, in a throw-away process.
#![allow(unsafe_code)]

use super::emit::{Emitter, NOT_EQUAL, map};
use super::stops::Stops;
use super::stubs::DEALLOC;
use crate::arch::entry;
use crate::arch::syscall::syscall;
use crate::interpreters::Registers;
use crate::layout::{LIFE_STACK, STUBS};
use crate::memory::{get, patch, put, try_get};
use crate::sys::nr;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use rdb_protocol::replay::Object;

const CODE: u64 = STUBS + 0xD_0000;
const CODE_END: u64 = STUBS + 0xD_8000;
/// Words the stubs work with, in the order of [`Word`].
const DATA: u64 = CODE_END;

/// A word of the data area.
#[derive(Clone, Copy)]
enum Word {
    Object,
    Block,
    Malloc,
    Calloc,
    Realloc,
    Free,
    /// Where the hooked calls under way return to. Those of the allocator hold the interpreter's lock and do not nest; `tp_dealloc` is
    /// noted for one object, which holds a reference to itself while its finalizer runs.
    MallocReturn,
    CallocReturn,
    ReallocReturn,
    DeallocReturn,
}

impl Word {
    const fn at(self) -> u64 {
        DATA + 8 * self as u64
    }
}

// What the slow path is told: numbers that no opcode has.
const TAKEN_BY_MALLOC: u64 = DEALLOC + 1;
const TAKEN_BY_CALLOC: u64 = DEALLOC + 2;
const TAKEN_BY_REALLOC: u64 = DEALLOC + 3;
const RESIZED: u64 = DEALLOC + 4;
const FREED: u64 = DEALLOC + 5;
const ENDED: u64 = DEALLOC + 6;

/// The object watched.
#[derive(Debug)]
pub(super) struct Life {
    object: Object,
    /// Addresses of the allocator structures that were hooked.
    allocators: Vec<u64>,
    stubs: [u64; 4],
    /// Where the stub of a resizing goes on.
    resize: u64,
    /// Where `tp_dealloc` returns to from the object.
    ended: u64,
    seen: Boundaries,
}

/// Boundaries seen since the watch began, as times: they came after that stop point, and before the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Boundaries {
    /// The first.
    pub first: Option<u64>,
    /// The last.
    pub last: Option<u64>,
    /// The program took the hooks out: there may have been others.
    pub lost: bool,
}

fn word(word: Word) -> u64 {
    // The data area is the agent's: reached as the stubs reach it.
    // SAFETY: mapped with the stub area, aligned, and no Rust object lies there.
    unsafe { (word.at() as *const u64).read() }
}

fn set_word(word: Word, value: u64) {
    // SAFETY: as in `word`.
    unsafe { (word.at() as *mut u64).write(value) }
}

impl Stops {
    /// Only in a throw-away process: watches the object's memory from now on, and no other's.
    ///
    /// # Errors
    /// Why that cannot be done.
    pub fn watch_life(&mut self, object: &Object) -> Result<(), String> {
        if self.life.is_some() {
            return Err("one object is watched already".to_string());
        }
        let allocator = self.allocator()?;
        let allocators: Vec<u64> = self
            .located
            .writable()
            .flat_map(|(start, end)| (start..end.saturating_sub(39)).step_by(8))
            .filter(|&at| (0..5).all(|i| get::<u64>(at + 8 * i) == allocator[i as usize]))
            .collect();
        if allocators.is_empty() {
            return Err("the interpreter's allocators are not where they are looked for".to_string());
        }
        set_word(Word::Object, object.address);
        set_word(Word::Block, object.block);
        for (place, original) in [Word::Malloc, Word::Calloc, Word::Realloc, Word::Free]
            .into_iter()
            .zip(&allocator[1..])
        {
            set_word(place, *original);
        }
        let mut code = Emitter::new(CODE, CODE_END);
        let (malloc, _) = self.emit_taking(&mut code, Word::Malloc, Word::MallocReturn, TAKEN_BY_MALLOC);
        let (calloc, _) = self.emit_taking(&mut code, Word::Calloc, Word::CallocReturn, TAKEN_BY_CALLOC);
        let (realloc, resize) = self.emit_taking(&mut code, Word::Realloc, Word::ReallocReturn, TAKEN_BY_REALLOC);
        let free = self.emit_free(&mut code);
        code.align();
        let ended = code.at();
        self.stubs.go_slow_from(&mut code, ENDED);
        let stubs = [malloc, calloc, realloc, free];
        for at in &allocators {
            for (i, stub) in stubs.iter().enumerate() {
                if !patch(at + 8 + 8 * i as u64, &stub.to_le_bytes()) {
                    return Err("the interpreter's allocators cannot be hooked".to_string());
                }
            }
        }
        // A type that is not mapped yet has no objects yet: then what counts is when their memory is taken.
        if object.dealloc != 0 && try_get::<u64>(object.dealloc) == Some(object.dealloc_code) && !self.traps.add_dealloc(object.dealloc) {
            return Err("the type's tp_dealloc cannot be hooked".to_string());
        }
        self.life = Some(Life {
            object: *object,
            allocators,
            stubs,
            resize,
            ended,
            seen: Boundaries::default(),
        });
        Ok(())
    }

    /// What was seen since [`Stops::watch_life`].
    #[must_use]
    pub fn boundaries(&self) -> Option<Boundaries> {
        let life = self.life.as_ref()?;
        let hooked = |at: &u64| (0..4).all(|i| get::<u64>(at + 8 + 8 * i) == life.stubs[i as usize]);
        Some(Boundaries {
            lost: !life.allocators.iter().all(hooked),
            ..life.seen
        })
    }

    /// The object watched.
    #[must_use]
    pub fn watched(&self) -> Option<u64> {
        self.life.as_ref().map(|life| life.object.address)
    }

    /// Whether the object watched has been there since the watch began.
    #[must_use]
    pub fn is_there(&self) -> bool {
        let seen = self.boundaries().filter(|seen| seen.first.is_none() && !seen.lost);
        let object = self.life.as_ref().map_or(0, |life| life.object.address);
        let word = |at| try_get::<u64>(at).unwrap_or(0);
        seen.is_some() && references(object) != 0 && word(object + 8) != 0
    }

    /// `tp_dealloc` is entered for some object of the type: from the one watched it returns to us.
    pub(super) fn ending(&mut self, registers: &Registers) {
        const RSP: usize = 4;
        const RDI: usize = 7;
        if let Some(life) = self.life.as_ref().filter(|life| life.object.address == registers[RDI]) {
            let back: u64 = get(registers[RSP]);
            // The trashcan may have a second call come while the first is under way.
            if back != life.ended {
                set_word(Word::DeallocReturn, back);
                put(registers[RSP], life.ended);
            }
        }
    }

    /// The slow path of the hooks; returns where to go on.
    pub(super) fn life_event(&mut self, what: u64) -> u64 {
        let time = self.time();
        let Some(life) = &mut self.life else { return word(Word::Free) };
        // Back from `tp_dealloc` with references: a finalizer has rescued the object.
        if what != ENDED || references(life.object.address) == 0 {
            life.seen.first.get_or_insert(time);
            life.seen.last = Some(time);
        }
        match what {
            TAKEN_BY_MALLOC => word(Word::MallocReturn),
            TAKEN_BY_CALLOC => word(Word::CallocReturn),
            TAKEN_BY_REALLOC => word(Word::ReallocReturn),
            RESIZED => life.resize,
            ENDED => word(Word::DeallocReturn),
            _ => word(Word::Free),
        }
    }

    /// The structure of the object allocator in force: context, malloc, calloc, realloc, free.
    fn allocator(&self) -> Result<[u64; 5], String> {
        const OBJECTS: u64 = 2;
        const STACK: u64 = 1 << 16;
        let function = self
            .symbol("PyMem_GetAllocator")
            .ok_or("the interpreter does not export PyMem_GetAllocator")?;
        let mut copy = [0_u64; 5];
        map(LIFE_STACK, STACK, 3)?;
        let arguments = [OBJECTS, copy.as_mut_ptr() as u64, 0, 0, 0, 0];
        // SAFETY: see the room's header; the function copies the structure and returns. The stack is then given back.
        unsafe {
            entry::rdb_call_on(LIFE_STACK + STACK, function, arguments.as_ptr());
            syscall(nr::MUNMAP, [LIFE_STACK, STACK, 0, 0, 0, 0]);
        }
        // SAFETY: written by the call through the address given to it.
        Ok(unsafe { core::ptr::read_volatile(&raw const copy) })
    }

    /// A stub that calls `original` and looks at what it returns. For `realloc` it first looks at what is resized; where it then goes
    /// on is the second address.
    fn emit_taking(&self, code: &mut Emitter, original: Word, back: Word, what: u64) -> (u64, u64) {
        code.align();
        let stub = code.at();
        if what == TAKEN_BY_REALLOC {
            code.bytes(&[0x48, 0x3b, 0x35]); // cmp rsi, [block]
            code.relative(Word::Block.at(), 0);
            let other = code.skip_if(NOT_EQUAL);
            self.stubs.go_slow_from(code, RESIZED);
            code.land(other);
        }
        let onward = code.at();
        code.bytes(&[0x8f, 0x05]); // pop [back]
        code.relative(back.at(), 0);
        code.bytes(&[0xff, 0x15]); // call [original]
        code.relative(original.at(), 0);
        code.bytes(&[0x48, 0x3b, 0x05]); // cmp rax, [block]
        code.relative(Word::Block.at(), 0);
        let other = code.skip_if(NOT_EQUAL);
        self.stubs.go_slow_from(code, what);
        code.land(other);
        jump_to_word(code, back);
        (stub, onward)
    }

    fn emit_free(&self, code: &mut Emitter) -> u64 {
        code.align();
        let stub = code.at();
        code.bytes(&[0x48, 0x3b, 0x35]); // cmp rsi, [block]
        code.relative(Word::Block.at(), 0);
        let other = code.skip_if(NOT_EQUAL);
        self.stubs.go_slow_from(code, FREED);
        code.land(other);
        jump_to_word(code, Word::Free);
        stub
    }
}

fn jump_to_word(code: &mut Emitter, word: Word) {
    code.bytes(&[0xff, 0x25]); // jmp [word]
    code.relative(word.at(), 0);
}

/// The reference count of an object that may not be there any more.
fn references(object: u64) -> u64 {
    try_get::<u64>(object).unwrap_or(0)
}
