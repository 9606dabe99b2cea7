//! Function entries that are noticed by an `int3`: they are rare, or the program would not be there.
//!
//! `PyTraceBack_Here` is called once for each frame an exception passes through. The instruction its `int3` displaces is carried
//! out by [`Stops::on_trap`], so that neither stack nor registers differ from a run without it. The others are hit once, and
//! then taken out.

use super::Unsupported;
use super::locate::Located;
use super::stops::{Reason, Stop, Stops};
use crate::interpreters::Registers;
use crate::memory::{get, patch, put};
use crate::preempt::relocate::Piece;
use alloc::vec::Vec;
use rdb_protocol::StopKind;

/// Whether a SIGTRAP was ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trap {
    /// It was; go on with the registers as they are now.
    Ours,
    /// It was not; it belongs to the program.
    Foreign,
}

/// The `int3`s.
#[derive(Debug)]
pub(super) struct Traps(Vec<Entry>);

#[derive(Clone, Copy, Debug)]
struct Entry {
    address: u64,
    original: u8,
    at: At,
}

#[derive(Clone, Copy, Debug)]
enum At {
    /// `PyTraceBack_Here`, which begins with this.
    Traceback(Displaced),
    /// `Py_InitializeFromConfig`.
    Initialize,
    /// Its return, or `Py_RunMain`.
    Alive,
    /// The `tp_dealloc` of an object whose life is watched, which begins with this.
    Dealloc(Displaced),
    /// A function whose calls are noted, which begins with this.
    Call(Displaced),
    /// `Py_FinalizeEx`; or `Py_Exit`, which in 3.13 finalizes without calling it.
    Finalize,
}

/// The first instruction of a function.
#[derive(Clone, Copy, Debug)]
enum Displaced {
    Push {
        register: u8,
        length: u64,
    },
    Move {
        from: u8,
        to: u8,
        length: u64,
    },
    Load {
        from: u8,
        to: u8,
        offset: i8,
        length: u64,
    },
    Jump {
        distance: u64,
    },
    Nothing {
        length: u64,
    },
    /// Anything that may lie elsewhere, and does, with a jump back.
    Copied {
        to: u64,
    },
}

const INT3: u8 = 0xcc;

impl Traps {
    pub(super) fn new(located: &Located) -> Result<Self, Unsupported> {
        let unfit = || located.refuse("the first instruction of PyTraceBack_Here is not one that can be displaced");
        let traceback = Displaced::at(located.traceback_here).ok_or_else(unfit)?;
        let mut all = Self(Vec::new());
        all.add(located.traceback_here, At::Traceback(traceback));
        let once = [
            ("Py_InitializeFromConfig", At::Initialize),
            ("Py_RunMain", At::Alive),
            ("Py_FinalizeEx", At::Finalize),
            ("Py_Exit", At::Finalize),
        ];
        for (name, at) in once {
            let (address, _) = located
                .elf
                .symbol(name.as_bytes())
                .ok_or_else(|| located.refuse("an entry point is not exported"))?;
            all.add(address, at);
        }
        Ok(all)
    }

    fn add(&mut self, address: u64, at: At) {
        self.0.push(Entry {
            address,
            original: get(address),
            at,
        });
    }

    /// Notices each entry of a `tp_dealloc`, from now on; false where that cannot be done.
    pub(super) fn add_dealloc(&mut self, address: u64) -> bool {
        let Some(displaced) = Displaced::at(address) else { return false };
        self.add(address, At::Dealloc(displaced));
        patch(address, &[INT3])
    }

    /// Puts all in, or takes all out.
    pub(super) fn set(&self, on: bool) -> bool {
        // What is watched in a throw-away process is watched while it evaluates, too.
        let failed = self
            .0
            .iter()
            .filter(|e| (on || !matches!(e.at, At::Dealloc(_))) && !matches!(e.at, At::Call(_)))
            .filter(|e| !patch(e.address, &[if on { INT3 } else { e.original }]))
            .count();
        failed == 0
    }

    fn remove(&mut self, address: u64) {
        if let Some(i) = self.0.iter().position(|e| e.address == address) {
            let entry = self.0.swap_remove(i);
            // Where this fails the trap is foreign next time, and reported as such.
            let _ = patch(entry.address, &[entry.original]);
        }
    }
}

/// Whether the calls of a function that begins like this can be noticed.
pub(super) fn can_trap(address: u64) -> bool {
    Displaced::at(address).is_some() || movable(address).is_some()
}

/// The instruction there, if it does the same anywhere.
fn movable(address: u64) -> Option<Piece> {
    Piece::at(address).filter(Piece::is_plain)
}

impl Displaced {
    fn at(address: u64) -> Option<Self> {
        let code: [u8; 4] = core::array::from_fn(|i| get(address + i as u64));
        Some(match code {
            [0xf3, 0x0f, 0x1e, 0xfa] => Self::Nothing { length: 4 },
            [byte @ 0x50..=0x57, ..] => Self::Push {
                register: byte & 7,
                length: 1,
            },
            [0x41, byte @ 0x50..=0x57, ..] => Self::Push {
                register: byte & 7 | 8,
                length: 2,
            },
            // With no SIB byte, and a displacement of 8 bits.
            [rex @ 0x48..=0x4d, 0x8b, modrm @ 0x40..=0x7f, offset] if rex & 2 == 0 && modrm & 7 != 4 => Self::Load {
                from: modrm & 7 | (rex & 1) << 3,
                to: modrm >> 3 & 7 | (rex & 4) << 1,
                offset: offset.cast_signed(),
                length: 4,
            },
            [0xe9, ..] => Self::Jump {
                distance: i64::from(get::<i32>(address + 1)).cast_unsigned().wrapping_add(5),
            },
            [rex @ 0x48..=0x4d, 0x89, modrm @ 0xc0..=0xff, _] if rex & 2 == 0 => Self::Move {
                from: modrm >> 3 & 7 | (rex & 4) << 1,
                to: modrm & 7 | (rex & 1) << 3,
                length: 3,
            },
            _ => return None,
        })
    }

    /// Carries the instruction out; returns how far on the next one is.
    fn carry_out(self, registers: &mut Registers) -> u64 {
        const RSP: usize = 4;
        match self {
            Self::Nothing { length } => length,
            Self::Copied { .. } => 0,
            Self::Jump { distance } => distance,
            Self::Load { from, to, offset, length } => {
                registers[usize::from(to)] = get(registers[usize::from(from)].wrapping_add_signed(offset.into()));
                length
            }
            Self::Push { register, length } => {
                let value = registers[usize::from(register)];
                registers[RSP] -= 8;
                put(registers[RSP], value);
                length
            }
            Self::Move { from, to, length } => {
                registers[usize::from(to)] = registers[usize::from(from)];
                length
            }
        }
    }
}

impl Stops {
    /// A SIGTRAP arrived, with this instruction pointer (behind the trapping instruction) and these registers.
    pub fn on_trap(&mut self, rip: &mut u64, registers: &mut Registers) -> Trap {
        let address = rip.wrapping_sub(1);
        let Some(entry) = self.traps.0.iter().copied().find(|e| e.address == address) else {
            return Trap::Foreign;
        };
        *rip = address;
        match entry.at {
            At::Traceback(displaced) => {
                if !self.evaluating {
                    self.traceback(registers);
                }
                *rip = address.wrapping_add(displaced.carry_out(registers));
            }
            At::Call(displaced) => {
                if !self.evaluating {
                    self.note_call();
                }
                *rip = match displaced {
                    Displaced::Copied { to } => to,
                    simple => address.wrapping_add(simple.carry_out(registers)),
                };
            }
            At::Dealloc(displaced) => {
                self.ending(registers);
                *rip = address.wrapping_add(displaced.carry_out(registers));
            }
            At::Initialize => {
                self.traps.remove(address);
                let caller = get(registers[4]);
                self.traps.add(caller, At::Alive);
                if !patch(caller, &[INT3]) {
                    self.traps.remove(caller);
                }
            }
            At::Alive => {
                self.traps.remove(address);
                self.begin();
            }
            At::Finalize => {
                self.traps.remove(address);
                if self.main_done.is_none() {
                    self.main_done = Some(self.time());
                    self.call_hook(Reason::MainDone);
                }
            }
        }
        Trap::Ours
    }

    /// Notices each entry of the function at `address` from now on, in a process that is thrown away. Where that cannot be done its calls
    /// are not seen, which [`super::evaluate::entry`] has made sure of.
    pub(super) fn add_call(&mut self, address: u64) {
        let displaced = Displaced::at(address).or_else(|| {
            let piece = movable(address)?;
            let to = self.stubs.copy_of(&piece)?;
            Some(Displaced::Copied { to })
        });
        let Some(displaced) = displaced else { return };
        // It was there before, and its object has been mapped anew.
        self.traps.0.retain(|e| e.address != address);
        self.traps.add(address, At::Call(displaced));
        if !patch(address, &[INT3]) {
            self.traps.0.retain(|e| e.address != address);
        }
    }

    /// `PyTraceBack_Here(frame object)` is entered: an exception passes through a frame.
    fn traceback(&mut self, registers: &Registers) {
        const RDI: usize = 7;
        const OWNED_BY_FRAME_OBJECT: u8 = 2;
        let layout = self.located.layout;
        let frame: u64 = get(registers[RDI] + layout.frame_object_frame);
        // Frames made up by extension modules, for a traceback's sake, belong to their frame object.
        if get::<u8>(frame + layout.frame_owner) >= OWNED_BY_FRAME_OBJECT {
            return;
        }
        let address = get::<u64>(frame + layout.frame_code) & !3;
        let Some(code) = self.codes.get(&address) else { return };
        let Some(unit) = code.unit(get(frame + layout.frame_instruction)) else {
            return;
        };
        let unhandled = code.body.handler(unit).is_none();
        self.note_raise(frame, registers[RDI], address, unit);
        if unhandled {
            let stop = Stop {
                kind: StopKind::Unwind,
                frame,
                code: address,
                unit,
                instruction: None,
                second_half: false,
                registers: *registers,
                switched_from: None,
            };
            self.pass(stop);
        }
    }
}
