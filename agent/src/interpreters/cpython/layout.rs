//! The shape of a version's tables. One constant of this type per version: `v311`, `v312`, `v313`.

/// Offsets into the interpreter's structures, in bytes, and its opcodes.
#[allow(missing_docs)] // each field bears the name of the structure and member it is the offset of
#[derive(Debug)]
pub struct Layout {
    /// The 11 of 3.11.
    pub minor: u8,
    pub ascii_data: u64,
    pub unicode_data: u64,
    pub co_consts: u64,
    pub co_filename: u64,
    pub co_name: u64,
    pub co_qualname: u64,
    pub co_linetable: u64,
    pub co_exceptiontable: u64,
    pub co_firstlineno: u64,
    pub co_nlocalsplus: u64,
    pub co_firsttraceable: u64,
    pub co_code: u64,
    pub co_monitoring: Option<u64>,
    pub monitoring_lines: u64,
    pub monitoring_instructions: u64,
    pub frame_code: u64,
    /// `prev_instr`, from 3.13 `instr_ptr`: at a dispatch both name the instruction executed before in this frame.
    pub frame_instruction: u64,
    pub thread_cframe: Option<u64>,
    /// In the thread state; where there is a `thread_cframe`, in what that points to.
    pub thread_frame: u64,
    /// Where the requests are that would make the evaluation loop wait for other threads.
    pub breaker: Breaker,
    pub frame_previous: u64,
    pub frame_owner: u64,
    pub frame_locals: u64,
    pub frame_object: u64,
    pub frame_object_frame: u64,
    /// Of `PyThreadState`.
    pub thread_size: u64,
    pub thread_next: u64,
    pub thread_interpreter: u64,
    /// `current_exception`; before 3.12 `curexc_type`.
    pub thread_exception: u64,
    /// `curexc_traceback`; from 3.12 on an exception that is pending holds its traceback itself.
    pub thread_traceback: Option<u64>,
    pub frame_globals: u64,
    /// `f_locals`: the names of code that keeps its variables in a dictionary.
    pub frame_names: u64,
    pub co_flags: u64,
    pub co_argcount: u64,
    pub co_kwonlyargcount: u64,
    pub co_localsplusnames: u64,
    pub co_localspluskinds: u64,
    /// In the interpreter state: whether the collector runs by itself, how many objects the youngest generation has gained.
    pub gc_enabled: u64,
    pub gc_count: u64,
    /// In the interpreter state: where objects wait to be used again, offsets and sizes. All zero: there are none.
    pub free_lists: &'static [(u64, u64)],
    /// Those lists, as they are counted.
    pub free_objects: &'static [Free],
    pub heap_qualname: u64,
    /// Of generators and coroutines: where their frame lies.
    pub generator_frame: u64,
    pub interpreter_next: u64,
    pub interpreter_threads: u64,
    pub runtime_interpreters: u64,
    pub opcodes: Opcodes,
}

/// Objects that wait to be used again, by offsets in the interpreter state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Free {
    /// Each but the last has the address of the next.
    Chain {
        /// Where the address of the first is.
        head: u64,
        /// In an object, where that of the next is.
        next: u64,
    },
    /// Addresses in a row, and how many.
    Array {
        /// The first.
        items: u64,
        /// A 32-bit word.
        count: u64,
    },
    /// One address, or none.
    One {
        /// Where it is.
        at: u64,
    },
}

/// Where the evaluation loop's interrupt requests lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Breaker {
    /// Two 32-bit words in the interpreter state.
    Interpreter {
        /// Any request.
        breaker: u64,
        /// The request to let go of the GIL.
        drop_request: u64,
    },
    /// The low 8 bits of a 64-bit word in the thread state.
    Thread {
        /// Its offset.
        word: u64,
    },
}

/// The opcodes of a version.
#[allow(missing_docs)] // opcodes bear their own names
#[derive(Debug)]
pub struct Opcodes {
    /// Bit set: the number is an opcode of this version.
    pub known: [u64; 4],
    /// The generic form of a specialised or instrumented opcode; the opcode itself otherwise.
    pub family: [u8; 256],
    /// Inline cache units behind a generic opcode.
    pub caches: [u8; 256],
    pub jumps: &'static [Jump],
    pub fused: &'static [Fused],
    /// Opcodes whose dispatch is a tick: no program runs for long without one.
    pub ticks: &'static [u8],
    /// Specialised calls that do what a function written in C does without entering it.
    pub inlined_calls: &'static [u8],
    pub extended_arg: u8,
    pub pop_top: u8,
    pub resume: u8,
    pub send: u8,
    pub store_fast: u8,
    pub for_iter: u8,
    pub jump_backward: u8,
    pub return_value: u8,
    pub yield_value: u8,
    pub raise_varargs: u8,
    pub reraise: u8,
    pub end_async_for: u8,
    pub end_for: Option<u8>,
    pub end_send: Option<u8>,
    pub return_const: Option<u8>,
    pub cleanup_throw: Option<u8>,
    pub interpreter_exit: Option<u8>,
    pub instrumented_line: Option<u8>,
    pub instrumented_instruction: Option<u8>,
    pub do_tracing: Option<u8>,
}

/// A relative jump.
#[derive(Clone, Copy, Debug)]
pub struct Jump {
    /// Its opcode.
    pub op: u8,
    /// Towards lower addresses.
    pub backward: bool,
}

/// An opcode that executes a second instruction along with its own, in one dispatch.
#[derive(Clone, Copy, Debug)]
pub struct Fused {
    /// The opcode.
    pub op: u8,
    /// What its own instruction is alone.
    pub first: u8,
    /// The second instruction lies so many units behind.
    pub distance: u8,
    /// It may find that it does not apply, and then runs `first` alone.
    pub guarded: bool,
}

impl Opcodes {
    /// True where `op` is an opcode of this version.
    #[must_use]
    pub fn is_known(&self, op: u8) -> bool {
        self.known[usize::from(op) / 64] >> (op % 64) & 1 != 0
    }

    /// The generic form of `op`.
    #[must_use]
    pub fn family(&self, op: u8) -> u8 {
        self.family[usize::from(op)]
    }

    /// Cache units behind the generic opcode `op`.
    #[must_use]
    pub fn caches(&self, op: u8) -> usize {
        usize::from(self.caches[usize::from(op)])
    }

    /// `op` as a fused opcode.
    #[must_use]
    pub fn fused(&self, op: u8) -> Option<Fused> {
        self.fused.iter().copied().find(|f| f.op == op)
    }

    /// True where dispatching `op` is a tick.
    #[must_use]
    pub fn ticks(&self, op: u8) -> bool {
        self.ticks.contains(&op)
    }

    /// `op` as a jump.
    #[must_use]
    pub fn jump(&self, op: u8) -> Option<Jump> {
        self.jumps.iter().copied().find(|j| j.op == op)
    }

    /// Opcodes that only announce an instruction, and then dispatch again, at the same place, to the instruction itself.
    #[must_use]
    pub fn announces(&self, op: u8) -> bool {
        [self.instrumented_line, self.instrumented_instruction, self.do_tracing].contains(&Some(op))
    }

    /// A generic opcode that returns or yields from its frame.
    #[must_use]
    pub fn leaves(&self, op: u8) -> bool {
        op == self.return_value || op == self.yield_value || Some(op) == self.return_const
    }

    /// A generic opcode that may raise a caught exception again.
    #[must_use]
    pub fn reraises(&self, op: u8) -> bool {
        op == self.reraise || op == self.end_async_for || Some(op) == self.cleanup_throw
    }
}
