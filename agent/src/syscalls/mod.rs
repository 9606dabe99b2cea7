//! Every x86-64 system call as a row: what it writes, whether it may block, and how it is recorded.
//!
//! A number without a row, and every [`Policy::Refuse`], is answered ENOSYS in both modes with one warning per number, so that a
//! trace is never silently incomplete.

mod irregular;
mod table;

pub use irregular::{extra_outputs, io_vectors};
pub use table::ROWS;

use crate::memory;
use alloc::vec::Vec;

/// How a call is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// Executed under the token; result and outputs are logged.
    Plain,
    /// May wait for something outside: the token is given up meanwhile, outputs bounce.
    Blocks,
    /// Opens a file: as [`Policy::Blocks`] if it is a named pipe, otherwise as [`Policy::Plain`].
    Opens,
    /// Answered by the agent, the same way in both modes.
    Own,
    /// Handled by name.
    Special,
    /// ENOSYS.
    Refuse,
}

/// How many bytes an output argument points to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Len {
    /// Always so many.
    Fixed(u32),
    /// So many and also an input (kept when the call fails).
    Both(u32),
    /// As many as the call returns; the buffer's size is the argument given.
    Ret(u8),
    /// The returned count of items of `0` bytes; the capacity in items is the argument `1`.
    RetOf(u32, u8),
    /// As many as that argument says.
    Arg(u8),
    /// As many items of `0` bytes as the argument `1` says; also an input.
    ItemsBoth(u32, u8),
    /// A bit set of as many bits as that argument says; also an input.
    Bits(u8),
    /// A socket address or option: its length is the `u32` that argument points to; the second output is that word.
    Sock(u8),
    /// So many bytes, written only when the call is interrupted.
    Remaining(u32),
    /// The time left of a timeout: also an input, written whatever the result (select(2), ppoll(2)).
    Left(u32),
}

/// One output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Out {
    /// The pointer argument.
    pub arg: u8,
    /// How much.
    pub len: Len,
}

/// One system call.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Number.
    pub nr: u16,
    /// Name without `sys_`.
    pub name: &'static str,
    /// Policy.
    pub policy: Policy,
    /// Outputs.
    pub outs: &'static [Out],
}

const NONE: u16 = u16::MAX;
const INDEX: [u16; 512] = {
    let mut index = [NONE; 512];
    let mut i = 0;
    while i < ROWS.len() {
        assert!(index[ROWS[i].nr as usize] == NONE, "a number has two rows");
        index[ROWS[i].nr as usize] = i as u16;
        i += 1;
    }
    index
};

/// The row of a number.
#[must_use]
pub fn row(nr: u64) -> Option<&'static Row> {
    match INDEX.get(usize::try_from(nr).ok()?) {
        Some(&NONE) | None => None,
        Some(&i) => Some(&ROWS[i as usize]),
    }
}

/// The name of a number, for people.
#[must_use]
pub fn name(nr: u64) -> &'static str {
    row(nr).map_or("unknown", |r| r.name)
}

/// A span of program memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Start.
    pub addr: u64,
    /// Bytes.
    pub len: u64,
}

/// Sizes that must be read before the call, because the call overwrites them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Before {
    sock: u64,
}

/// Reads what [`outputs`] needs to know from before the call.
#[must_use]
pub fn before(row: &Row, args: &[u64; 6]) -> Before {
    let mut b = Before::default();
    for o in row.outs {
        if let Len::Sock(at) = o.len {
            let p = args[at as usize];
            b.sock = u64::from(memory::try_get::<u32>(p).unwrap_or(0));
        }
    }
    b
}

/// The largest each output can be, for bouncing, and whether it is an input too.
#[must_use]
pub fn capacity(out: &Out, args: &[u64; 6], before: Before) -> (u64, bool) {
    match out.len {
        Len::Fixed(n) | Len::Remaining(n) => (u64::from(n), false),
        Len::Both(n) | Len::Left(n) => (u64::from(n), true),
        Len::Ret(a) | Len::Arg(a) => (args[a as usize], false),
        Len::RetOf(n, a) => (u64::from(n).saturating_mul(args[a as usize]), false),
        Len::ItemsBoth(n, a) => (u64::from(n).saturating_mul(args[a as usize]), true),
        Len::Bits(a) => (args[a as usize].div_ceil(64) * 8, true),
        Len::Sock(_) => (before.sock, false),
    }
}

/// What the kernel wrote, into `spans`, which is one vector for all calls, so that none is allocated for each.
pub fn outputs(row: &Row, args: &[u64; 6], before: Before, ret: i64, spans: &mut Vec<Span>) {
    spans.clear();
    for o in row.outs {
        let addr = args[o.arg as usize];
        if addr == 0 {
            continue;
        }
        let (cap, _) = capacity(o, args, before);
        let len = match o.len {
            // The kernel copies up to the first page it cannot write.
            _ if ret == -crate::sys::errno::EFAULT => memory::readable(addr, cap),
            Len::Remaining(n) if ret == -crate::sys::errno::EINTR => u64::from(n),
            Len::Remaining(_) => 0,
            Len::Left(n) => u64::from(n),
            // poll(2) says that nothing has happened when it is interrupted, too.
            Len::ItemsBoth(..) if ret == -crate::sys::errno::EINTR => cap,
            _ if ret < 0 => 0,
            Len::Ret(_) => ret.cast_unsigned().min(cap),
            Len::RetOf(n, _) => ret.cast_unsigned().saturating_mul(u64::from(n)).min(cap),
            Len::Sock(at) => u64::from(memory::get::<u32>(args[at as usize])).min(cap),
            _ => cap,
        };
        if len > 0 {
            spans.push(Span { addr, len });
        }
    }
    if ret >= 0 {
        extra_outputs(u64::from(row.nr), args, ret.cast_unsigned(), spans);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kernel_number_is_classified() {
        for nr in (0..=334).chain(424..=462) {
            assert!(row(nr).is_some(), "system call {nr} has no row");
        }
        assert!(row(400).is_none() && row(511).is_none() && row(u64::MAX).is_none());
    }

    #[test]
    fn read_writes_what_it_returns() {
        let r = row(0).unwrap();
        let args = [3, 0x5000, 100, 0, 0, 0];
        let mut spans = Vec::new();
        outputs(r, &args, Before::default(), 7, &mut spans);
        assert_eq!(spans, [Span { addr: 0x5000, len: 7 }]);
        outputs(r, &args, Before::default(), -11, &mut spans);
        assert!(spans.is_empty());
    }
}
