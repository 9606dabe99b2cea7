//! The interpreter made to evaluate in the middle of a run, and everything put back.

use super::Stops;
use super::inline::Inline;
use super::inline_arena as arena;
use super::ticks::words;
use crate::arch::vectors::Vectors;
use crate::memory::{copy_in, copy_out, get, put};
use alloc::string::String;
use alloc::vec::Vec;

/// Bytes of the dispatch table.
const TABLE: usize = 2048;
/// Of `_PyCFrame`.
const HOLDER_SIZE: u64 = 24;

/// What the interpreter was like before.
pub(super) struct Before {
    thread: u64,
    holder: u64,
    interpreter: u64,
    gc: (u32, u32),
    instruction: (u64, u64),
    /// Where the frame keeps its frame object, and that.
    frame_object: (u64, u64),
    /// The dispatch table.
    table: [u8; TABLE],
    vectors: Vectors,
    /// Words that ask the evaluation loop for something.
    requests: Vec<(u64, u8, u64)>,
}

impl Stops {
    /// Makes the dispatch table one that can be written without asking the kernel. Only in a process that is thrown away.
    ///
    /// # Errors
    /// That it cannot be done.
    pub(super) fn open_table(&self) -> Result<(), &'static str> {
        const READ_WRITE: u64 = 3;
        let (start, end) = (self.located.table & !4095, (self.located.table + TABLE as u64 + 4095) & !4095);
        match crate::sys::raw(crate::sys::nr::MPROTECT, [start, end - start, READ_WRITE, 0, 0, 0]) {
            0 => Ok(()),
            _ => Err("the dispatch table cannot be made writable"),
        }
    }

    /// Has the interpreter work as if there were no stop points and no ticks, until [`Stops::hook_again`], which wants what this returns.
    /// The table must be open.
    fn unhook(&mut self) -> [u8; TABLE] {
        let mut table = [0; TABLE];
        copy_out(self.located.table, &mut table);
        copy_in(self.located.table, &words(&self.located.targets));
        put(self.dealloc_slot, self.dealloc_original);
        self.evaluating = true;
        table
    }

    /// The program goes on.
    fn hook_again(&mut self, table: &[u8; TABLE]) {
        copy_in(self.located.table, table);
        put(self.dealloc_slot, self.stubs.dealloc);
        self.evaluating = false;
    }

    /// Has the interpreter evaluate without leaving traces in the program, until [`Stops::loud_again`].
    pub(super) fn quieten_inline(&mut self, inline: &mut Inline) -> Result<Before, String> {
        let layout = self.layout();
        let stop = self.stop().ok_or("there is no stop point here")?;
        let thread = self.thread_state().ok_or("the thread that stands here is not known")?;
        let interpreter: u64 = get(thread + layout.thread_interpreter);
        let holder = layout.thread_cframe.map_or(0, |offset| get(thread + offset));
        inline.saved.clear();
        save(&mut inline.saved, thread, layout.thread_size);
        if holder != 0 {
            save(&mut inline.saved, holder, HOLDER_SIZE);
        }
        let requests = self.breaker_words();
        for &(addr, size, _) in &requests {
            save(&mut inline.saved, addr, size.into());
        }
        for &(offset, size) in layout.free_lists {
            save(&mut inline.saved, interpreter + offset, size);
            clear(interpreter + offset, size);
        }
        for &(addr, size, bits) in &requests {
            match size {
                8 => put(addr, get::<u64>(addr) & !bits),
                _ => put(addr, get::<u32>(addr) & !(bits as u32)),
            }
        }
        clear(
            thread + layout.thread_exception,
            if layout.thread_traceback.is_some() { 24 } else { 8 },
        );
        let gc = (get(interpreter + layout.gc_enabled), get(interpreter + layout.gc_count));
        put(interpreter + layout.gc_enabled, 0_u32);
        let place = stop.frame + layout.frame_instruction;
        let frame_object = stop.frame + layout.frame_object;
        let before = Before {
            thread,
            holder,
            interpreter,
            gc,
            instruction: (place, get(place)),
            frame_object: (frame_object, get(frame_object)),
            table: self.unhook(),
            vectors: Vectors::save(),
            requests,
        };
        if let Some(instruction) = stop.instruction {
            put(place, instruction);
        }
        let own = arena::allocator();
        for domain in 0..3 {
            inline.call(inline.functions.set_allocator, &[domain, own.as_ptr() as u64]);
        }
        Ok(before)
    }

    /// Puts everything back.
    pub(super) fn loud_again(&mut self, inline: &mut Inline, before: Before) {
        let (place, object) = before.frame_object;
        let made: u64 = get(place);
        if object == 0 && made != 0 {
            // A traceback has led to it.
            put(place, 0_u64);
            inline.give_up(made);
        }
        for (domain, theirs) in inline.theirs.iter().enumerate() {
            inline.call(inline.functions.set_allocator, &[domain as u64, theirs.as_ptr() as u64]);
        }
        let layout = self.layout();
        let Before {
            thread,
            holder,
            interpreter,
            gc,
            instruction,
            frame_object: _,
            table,
            vectors,
            requests,
        } = before;
        inline.dead += arena::waiting(layout.free_objects, interpreter);
        put(instruction.0, instruction.1);
        put(interpreter + layout.gc_enabled, gc.0);
        put(interpreter + layout.gc_count, gc.1);
        let mut saved = &inline.saved[..];
        let mut back = |addr: u64, size: u64| {
            let (bytes, rest) = saved.split_at((size as usize).min(saved.len()));
            copy_in(addr, bytes);
            saved = rest;
        };
        back(thread, layout.thread_size);
        if holder != 0 {
            back(holder, HOLDER_SIZE);
        }
        for (addr, size, _) in requests {
            back(addr, size.into());
        }
        for &(offset, size) in layout.free_lists {
            back(interpreter + offset, size);
        }
        vectors.restore();
        self.hook_again(&table);
    }
}

fn save(to: &mut Vec<u8>, addr: u64, size: u64) {
    let at = to.len();
    to.resize(at + size as usize, 0);
    copy_out(addr, &mut to[at..]);
}

fn clear(addr: u64, size: u64) {
    const NOTHING: [u8; 4096] = [0; 4096];
    copy_in(addr, &NOTHING[..(size as usize).min(NOTHING.len())]);
}
