//! Events, as the rest of rdb sees them. How they are written is `encode`'s and `decode`'s.

use crate::readings::Remaining;

/// What an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// The program starts: image, stack, directory.
    Start = 1,
    /// A system call, entered and left.
    Syscall = 2,
    /// A system call that may block was entered; others may run until its [`Kind::Complete`].
    Enter = 3,
    /// The end of an entered system call.
    Complete = 4,
    /// `rdtsc`/`rdtscp`: the value is in `ret`.
    Tsc = 5,
    /// `cpuid`: `args` holds eax, ebx, ecx, edx, leaf, subleaf.
    Cpuid = 6,
    /// A signal is delivered: `nr` is its number.
    Signal = 7,
    /// A memory hash: it is in `ret`.
    Hash = 8,
    /// The program was stopped between two events, at the interpreter's tick whose ordinal is in `ret`.
    Tick = 9,
    /// Memory shared with other processes was found changed: they wrote these bytes while this process did not run.
    Changed = 10,
    /// The program was interrupted in native code, between two events, at the moment its state tells ([`Tag::State`]).
    Preempt = 11,
}

impl Kind {
    pub(crate) fn from_byte(b: u8) -> Option<Kind> {
        Some(match b {
            1 => Kind::Start,
            2 => Kind::Syscall,
            3 => Kind::Enter,
            4 => Kind::Complete,
            5 => Kind::Tsc,
            6 => Kind::Cpuid,
            7 => Kind::Signal,
            8 => Kind::Hash,
            9 => Kind::Tick,
            10 => Kind::Changed,
            11 => Kind::Preempt,
            _ => return None,
        })
    }
}

/// Effect targets that are not addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Tag {
    /// Index (`u64`) of the snapshot file the mapping or image shows.
    File = 1,
    /// Content of a mapping, from its start.
    Content = 2,
    /// Ordinal (`u64`) of the thread a clone made.
    Thread = 3,
    /// `siginfo_t` of a delivered signal.
    SignalInfo = 4,
    /// Bytes written to standard output.
    Stdout = 5,
    /// Bytes written to standard error.
    Stderr = 6,
    /// Path of the executed program, without NUL.
    Program = 7,
    /// Working directory, without NUL.
    Directory = 8,
    /// Command line: arguments, each ended by NUL.
    Arguments = 9,
    /// Index (`u64`) of the snapshot file of the program interpreter (ld.so).
    InterpreterFile = 10,
    /// Path of a mapped file, without NUL.
    Path = 11,
    /// Clock readings since the event before ([`crate::readings`]); the first effect of its event.
    Readings = 12,
    /// What tells a moment in native code from others: words of 8 bytes, see the format's description.
    State = 13,
    /// Other mappings of the file that is mapped, which show some of the same: address, length and offset of each, as `u64`.
    Aliases = 14,
}

/// Targets from here on are program addresses.
pub const FIRST_ADDRESS: u64 = 4096;

/// Most bytes of one effect that are believed: more than the recorder ever writes.
pub const LARGEST_EFFECT: u64 = 1 << 32;

/// Most effects of one event that are believed: more than the recorder ever writes.
pub const MOST_EFFECTS: usize = 1 << 22;

/// What every event has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fixed {
    /// What it is.
    pub kind: Kind,
    /// Bits that depend on the kind.
    pub flags: u8,
    /// Ordinal of the thread.
    pub thread: u16,
    /// System call or signal number.
    pub nr: u32,
    /// Result, or the kind's own value.
    pub ret: i64,
    /// Instruction pointer at the event.
    pub rip: u64,
    /// Stack pointer at the event.
    pub rsp: u64,
    /// System call arguments, or the kind's own values.
    pub args: [u64; 6],
    /// Hash of all general registers at the event; 0 where none applies.
    ///
    /// 32 bits: instruction pointer, stack pointer and arguments are compared in full besides, and a register that differs is
    /// missed once in four billion events, while it goes on differing.
    pub registers: u32,
}

/// One event, borrowed from its reader.
#[derive(Clone, Copy, Debug)]
pub struct Event<'a> {
    /// What every event has.
    pub fixed: Fixed,
    pub(crate) effects: &'a [Place],
    pub(crate) stream: &'a [u8],
    pub(crate) words: &'a [u8],
}

/// Where an effect's bytes are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) target: u64,
    /// In the words told by difference, not in the stream.
    pub(crate) in_words: bool,
    pub(crate) at: usize,
    pub(crate) len: usize,
}

/// One effect of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Effect<'a> {
    /// An address of the program, or a [`Tag`].
    pub target: u64,
    /// The bytes.
    pub bytes: &'a [u8],
}

impl Effect<'_> {
    /// The bytes as one `u64`, for tags that hold one.
    #[must_use]
    pub fn number(&self) -> Option<u64> {
        Some(u64::from_le_bytes(self.bytes.try_into().ok()?))
    }
}

impl<'a> Event<'a> {
    /// The effects in order.
    pub fn effects(&self) -> impl Iterator<Item = Effect<'a>> + use<'a> {
        let (stream, words) = (self.stream, self.words);
        self.effects.iter().map(move |p| Effect {
            target: p.target,
            bytes: &(if p.in_words { words } else { stream })[p.at..p.at + p.len],
        })
    }

    /// The clock readings made before it.
    #[inline]
    #[must_use]
    pub fn readings(&self) -> Remaining<'a> {
        match self.effects().next() {
            Some(e) if e.target == Tag::Readings as u64 => Remaining::new(e.bytes),
            _ => Remaining::default(),
        }
    }

    /// The first effect with this tag.
    #[must_use]
    pub fn tagged(&self, tag: Tag) -> Option<Effect<'a>> {
        self.effects().find(|e| e.target == tag as u64)
    }
}

/// Why a log could not be read on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordError {
    /// The bytes do not lie within the log, or make no sense.
    Malformed,
    /// A chunk's checksum is wrong.
    Checksum,
    /// The file could not be read (an error number).
    Unreadable(i32),
}

impl core::fmt::Display for RecordError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            RecordError::Malformed => f.write_str("malformed record"),
            RecordError::Checksum => f.write_str("checksum mismatch"),
            RecordError::Unreadable(e) => write!(f, "cannot be read (error {e})"),
        }
    }
}
