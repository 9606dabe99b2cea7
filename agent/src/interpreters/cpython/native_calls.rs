//! Calls of a function written in C, noted while running: by whatever way its code is entered.
//!
//! Only in a process that is thrown away. The line that calls is told as that which raises is ([`super::raises`]): by the last stop point of
//! the frame's own. A few specialised opcodes do what a function does without entering it; they are executed as what they are specialised from.

use super::stops::Stops;
use crate::memory::{get, readable};
use rdb_protocol::Time;
use rdb_protocol::replay::Raise;

impl Stops {
    /// What a specialised call is executed as, where calls are noted.
    pub(super) fn uninlined(&self, op: u8) -> Option<u8> {
        let opcodes = &self.located.layout.opcodes;
        let noting = self.noted.as_ref().is_some_and(|n| n.calls.is_some());
        (noting && opcodes.inlined_calls.contains(&op)).then(|| opcodes.family(op))
    }

    /// Something has been mapped: the function, perhaps.
    pub fn trap_calls(&mut self) {
        let Some(entry) = self.noted.as_ref().and_then(|n| n.calls) else {
            return;
        };
        if readable(entry.address, 8) == 8 && get::<u64>(entry.address) == entry.code {
            self.add_call(entry.address);
        }
    }

    /// The function is entered.
    pub(super) fn note_call(&mut self) {
        let time = self.time();
        let caller = self.caller();
        let Some(noted) = self.noted.as_mut().filter(|_| time > 0) else {
            return;
        };
        let mut began = None;
        if let Some((frame, code)) = caller {
            noted.note_code(code);
            began = noted.last_of(frame);
        }
        let time = Time(began.unwrap_or(time));
        noted.note(Raise { time, class: 0 });
    }

    /// The innermost frame of the running thread that executes Python code, and its code object.
    fn caller(&self) -> Option<(u64, u64)> {
        const WORDS: u64 = 64;
        const MOST: usize = 1 << 16;
        let layout = self.located.layout;
        // Each thread state holds its thread's `pthread_self()`, which is the fs base.
        let fs = crate::arch::bases::fs_base();
        let is_own = |thread: &u64| (0..WORDS).any(|i| get::<u64>(thread + 8 * i) == fs);
        let thread = self.thread_states().into_iter().find(is_own)?;
        let frames = core::iter::successors(Some(self.innermost(thread)), |&f| Some(get(f + layout.frame_previous)));
        frames.take_while(|&f| f != 0).take(MOST).find_map(|frame| {
            let address = get::<u64>(frame + layout.frame_code) & !3;
            let code = self.codes.get(&address)?;
            self.executes(frame, code).then_some((frame, address))
        })
    }
}
