//! Finds in a mapped object what stop points need: version, dispatch table, registers. No symbol but exported ones, no address
//! known beforehand. Every doubt is an [`Unsupported`].

use super::elf::{Elf, Segment};
use super::layout::{Layout, Opcodes};
use super::{Unsupported, v311, v312, v313};
use crate::memory::{copy_out, get};
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// Bytes of a table.
const TABLE: u64 = 256 * 8;

/// The dispatch table of an interpreter: what ticks need.
#[derive(Clone, Debug)]
pub struct Dispatch {
    pub(super) elf: Elf,
    pub(super) layout: &'static Layout,
    /// For instance `CPython 3.11.7`.
    pub(super) name: String,
    pub(super) build_id: String,
    /// The address of `opcode_targets`.
    pub(super) table: u64,
    /// What it holds.
    pub(super) targets: [u64; 256],
    /// Registers through which targets are jumped to: they hold the target's address when it is reached.
    pub(super) jump_registers: Vec<u8>,
}

/// An interpreter that stop points can be put into.
#[derive(Debug)]
pub struct Located {
    pub(super) dispatch: Dispatch,
    /// The register that holds the address of the instruction to execute (its number in encoding order).
    pub(super) next_instruction: u8,
    /// The register that holds the current `_PyInterpreterFrame`.
    pub(super) frame: u8,
    /// The register that holds the stack pointer of the current frame, where that is evident.
    pub(super) stack_pointer: Option<u8>,
    pub(super) code_type: u64,
    pub(super) traceback_here: u64,
}

impl core::ops::Deref for Located {
    type Target = Dispatch;

    fn deref(&self) -> &Dispatch {
        &self.dispatch
    }
}

impl Dispatch {
    /// For instance `CPython 3.11.7`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its build id, or `unknown`.
    #[must_use]
    pub fn build_id(&self) -> &str {
        &self.build_id
    }

    /// A refusal of this interpreter.
    pub(in crate::interpreters) fn refuse(&self, why: &str) -> Unsupported {
        Unsupported::new(&self.name, &self.build_id, why)
    }
}

impl Located {
    /// Where the interpreter's object is mapped.
    pub(super) fn segments(&self) -> Vec<Segment> {
        self.dispatch.elf.segments()
    }

    /// The interpreter's own variables: first address and the one behind the last.
    pub(super) fn writable(&self) -> impl Iterator<Item = (u64, u64)> + use<> {
        let segments = self.dispatch.elf.segments();
        segments
            .into_iter()
            .filter(|s| s.writable)
            .map(|s| (s.start.next_multiple_of(8), s.end))
    }

    /// Finds what stop points need besides the table.
    ///
    /// # Errors
    /// Why they cannot be put into this interpreter.
    pub fn new(dispatch: Dispatch) -> Result<Self, Unsupported> {
        let (next_instruction, frame) = registers(&dispatch.targets, dispatch.layout)
            .ok_or_else(|| dispatch.refuse("the registers of next_instr and frame are not evident"))?;
        let symbol = |s: &str| {
            let found = dispatch.elf.symbol(s.as_bytes()).map(|(address, _)| address);
            found.ok_or_else(|| dispatch.refuse(&format!("{s} is not exported")))
        };
        Ok(Self {
            next_instruction,
            frame,
            stack_pointer: stack_pointer(&dispatch).filter(|r| ![next_instruction, frame].contains(r)),
            code_type: symbol("PyCode_Type")?,
            traceback_here: symbol("PyTraceBack_Here")?,
            dispatch,
        })
    }
}

/// Looks at the object mapped from `object_base` on. `None`: it is no CPython interpreter.
///
/// Its relocations must have been applied.
#[must_use]
pub fn recognise(object_base: u64) -> Option<Result<Dispatch, Unsupported>> {
    let elf = Elf::at(object_base)?;
    let evaluate = elf.symbol(b"_PyEval_EvalFrameDefault")?;
    Some(locate(elf, evaluate))
}

/// Whether a range made read-only from `address` on means that the object mapped from `object_base` on has been relocated.
#[must_use]
pub fn relocated(object_base: u64, address: u64) -> bool {
    Elf::at_doubtful(object_base).is_some_and(|elf| elf.relocation_ends_with(address))
}

fn locate(elf: Elf, evaluate: (u64, u64)) -> Result<Dispatch, Unsupported> {
    let build_id = elf.build_id();
    let Some((version, _)) = elf.symbol(b"Py_Version") else {
        return Err(Unsupported::new(
            "CPython before 3.11",
            &build_id,
            "stop points need 3.11, 3.12 or 3.13",
        ));
    };
    let version = get::<u32>(version).to_be_bytes();
    let name = format!("CPython {}.{}.{}", version[0], version[1], version[2]);
    let refuse = |why: &str| Unsupported::new(&name, &build_id, why);
    let layout = match (version[0], version[1]) {
        (3, 11) => &v311::LAYOUT,
        (3, 12) => &v312::LAYOUT,
        (3, 13) => &v313::LAYOUT,
        _ => return Err(refuse("stop points need 3.11, 3.12 or 3.13")),
    };
    let mut found = named_tables(&elf, evaluate, &layout.opcodes);
    if found.len() != 1 {
        found = tables(&elf, &layout.opcodes);
    }
    let table = match found[..] {
        [table] => table,
        [] => return Err(refuse("no dispatch table found (built without computed gotos?)")),
        _ => return Err(refuse("more than one table looks like the dispatch table")),
    };
    let targets: [u64; 256] = core::array::from_fn(|op| get(table + 8 * op as u64));
    Ok(Dispatch {
        layout,
        table,
        targets,
        jump_registers: jump_registers(evaluate, &targets),
        elf,
        name,
        build_id,
    })
}

/// Where an object lies at a fixed address its code names the table's: those named in the evaluation function that look like it. Quicker
/// than to search megabytes that no one has touched yet.
fn named_tables(elf: &Elf, (start, size): (u64, u64), opcodes: &Opcodes) -> Vec<u64> {
    if elf.is_movable() || size == 0 {
        return Vec::new();
    }
    let segments = elf.segments();
    let inside = |at: u64| segments.iter().any(|s| !s.executable && s.start <= at && at + TABLE <= s.end);
    let mut found = BTreeSet::new();
    for bytes in code(start, size).windows(7) {
        // `jmp *table(, index, 8)`, or a `mov` of it to a register.
        let [opcode, modrm, sib, a, b, c, d] = core::array::from_fn(|i| bytes[i]);
        if (opcode == 0xff && modrm == 0x24 || opcode == 0x8b && modrm & 0xc7 == 4) && sib & 0xc7 == 0xc5 {
            found.insert(u64::from(u32::from_le_bytes([a, b, c, d])));
        }
    }
    found.into_iter().filter(|&t| inside(t) && is_table(t, opcodes)).collect()
}

/// A function's code, copied: what is looked at byte by byte.
fn code(start: u64, size: u64) -> Vec<u8> {
    let mut code = alloc::vec![0; size as usize];
    copy_out(start, &mut code);
    code
}

/// All places that look like the table of `opcodes`: 256 pointers into executable segments, one and the same for all numbers
/// that are no opcodes, and mostly others, distinct, for those that are.
fn tables(elf: &Elf, opcodes: &Opcodes) -> Vec<u64> {
    let segments = elf.segments();
    let executable: Vec<_> = segments.iter().filter(|s| s.executable).collect();
    let lowest = executable.iter().map(|s| s.start).min().unwrap_or(0);
    let highest = executable.iter().map(|s| s.end).max().unwrap_or(0);
    let mut found = Vec::new();
    // Addresses in an object that may lie anywhere have been relocated, so they are where it can be written.
    let movable = elf.is_movable();
    for segment in segments.iter().filter(|s| !s.executable && (s.writable || !movable)) {
        let points = |at: u64| (lowest..highest).contains(&get::<u64>(at));
        let first = segment.start.next_multiple_of(8);
        // As many words as a table has: one of each such stretch is in it.
        let mut at = first;
        while at + 8 <= segment.end {
            if points(at) {
                let mut start = at;
                while start > first && points(start - 8) {
                    start -= 8;
                }
                while at + 8 <= segment.end && points(at) {
                    at += 8;
                }
                found.extend(
                    (start..at)
                        .step_by(8)
                        .take_while(|s| s + TABLE <= at)
                        .filter(|s| is_table(*s, opcodes)),
                );
            }
            at += TABLE;
        }
    }
    found
}

fn is_table(at: u64, opcodes: &Opcodes) -> bool {
    let entry = |op: u8| get::<u64>(at + 8 * u64::from(op));
    let mut unknown = (1..=255).filter(|&op| !opcodes.is_known(op));
    let Some(nothing) = unknown.next().map(entry) else { return false };
    if unknown.any(|op| entry(op) != nothing) {
        return false;
    }
    let known: Vec<u64> = (1..=255).filter(|&op| opcodes.is_known(op)).map(entry).collect();
    let absent = known.iter().filter(|&&e| e == nothing).count();
    let distinct = known.iter().collect::<BTreeSet<_>>().len();
    absent <= 8 && distinct * 10 >= known.len() * 8
}

/// Every target soon executes `frame->prev_instr = next_instr` (3.13: `instr_ptr`), a `mov %NI, 0x38(%FRAME)`. Taking the first at
/// each target, nearly all must agree; those that do not (targets reached without it) must be few.
fn registers(targets: &[u64; 256], layout: &Layout) -> Option<(u8, u8)> {
    let mut votes: Vec<((u8, u8), usize)> = Vec::new();
    for target in targets.iter().collect::<BTreeSet<_>>() {
        if let Some(vote) = (0..48).find_map(|i| store(target + i, layout.frame_instruction)) {
            match votes.iter_mut().find(|(v, _)| *v == vote) {
                Some((_, n)) => *n += 1,
                None => votes.push((vote, 1)),
            }
        }
    }
    let total: usize = votes.iter().map(|v| v.1).sum();
    let &(best, n) = votes.iter().max_by_key(|v| v.1)?;
    (n >= 64 && n * 100 >= total * 95).then_some(best)
}

/// What takes a value off the stack begins with a `mov -8(%STACK), %reg`.
fn stack_pointer(dispatch: &Dispatch) -> Option<u8> {
    const RSP: u8 = 4;
    let handler = dispatch.targets[usize::from(dispatch.layout.opcodes.pop_top)];
    let base = (handler..handler + 32).find_map(|at| {
        let [rex, opcode, modrm, next, last] = core::array::from_fn(|i| get::<u8>(at + i as u64));
        let (plain, indexed) = (modrm & 7 != RSP, modrm & 7 == RSP && next == 0x24);
        let below = plain && next == 0xf8 || indexed && last == 0xf8;
        (rex & 0xfa == 0x48 && opcode == 0x8b && modrm >> 6 == 1 && below).then_some(modrm & 7 | (rex & 1) << 3)
    });
    base.filter(|&r| r != RSP)
}

/// A `mov %reg, offset(%base)` of 64 bits at `at`: the two registers.
fn store(at: u64, offset: u64) -> Option<(u8, u8)> {
    let [rex, opcode, modrm, displacement] = core::array::from_fn(|i| get::<u8>(at + i as u64));
    let plain_base = modrm & 0xc7 != 0x44;
    if rex & 0xfa != 0x48 || opcode != 0x89 || modrm >> 6 != 1 || !plain_base || u64::from(displacement) != offset {
        return None;
    }
    Some((modrm >> 3 & 7 | (rex & 4) << 1, modrm & 7 | (rex & 1) << 3))
}

/// The registers of `mov table(,%index,8), %reg` followed shortly by `jmp *%reg` anywhere in the evaluation function.
fn jump_registers((start, size): (u64, u64), targets: &[u64; 256]) -> Vec<u8> {
    let size = if size == 0 { 0x10000 } else { size };
    let mut found = BTreeSet::new();
    // Handlers that the compiler thinks cold lie elsewhere, but near their target.
    let cold = targets.iter().filter(|t| !(start..start + size).contains(*t)).map(|&t| (t, 0x400));
    for (from, length) in core::iter::once((start, size)).chain(cold) {
        for (i, bytes) in code(from, length + 1).windows(2).enumerate() {
            if bytes[0] != 0xff || bytes[1] & 0xf8 != 0xe0 {
                continue;
            }
            let at = from + i as u64;
            let extended = get::<u8>(at - 1) == 0x41;
            let register = bytes[1] & 7 | u8::from(extended) << 3;
            if (4..40).any(|back| loads_entry(at - back) == Some(register)) {
                found.insert(register);
            }
        }
    }
    found.into_iter().collect()
}

/// A `mov disp(base, index, 8), %reg` of 64 bits at `at`: the register.
fn loads_entry(at: u64) -> Option<u8> {
    let [rex, opcode, modrm, sib] = core::array::from_fn(|i| get::<u8>(at + i as u64));
    (rex & 0xf8 == 0x48 && opcode == 0x8b && modrm >> 6 != 3 && modrm & 7 == 4 && sib >> 6 == 3).then_some(modrm >> 3 & 7 | (rex & 4) << 1)
}
