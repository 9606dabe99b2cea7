//! Bounce buffers: while a call waits without the token, the kernel writes into memory of the agent's, and what it wrote is copied
//! to the program when the token is held again. Without this a replay, which writes at the call's end, would differ.
//!
//! A pointer that cannot be used is left to the kernel, whose `EFAULT` it is.
//!
//! # Safety
//! This room may use `unsafe`: bounce buffers are agent memory of one thread, mapped here, and touched by that thread and the
//! kernel on its behalf alone.
#![allow(unsafe_code)]

use crate::layout::{BOUNCE, BOUNCE_SIZE};
use crate::memory::{try_copy_in, try_copy_out, try_get, try_words};
use crate::state::{Agent, page_up};
use crate::sys::{self, errno, map, nr};
use crate::syscalls::{self, Before, Len, Row, Span};
use alloc::vec::Vec;

/// One buffer moved: where the program has it, where it went.
#[derive(Clone, Copy, Debug)]
struct Moved {
    program: u64,
    agent: u64,
    len: u64,
}

/// `struct msghdr`: size, and offsets of what recvmsg(2) reads or changes.
mod header {
    pub(super) const SIZE: u64 = 56;
    pub(super) const NAME: u64 = 0;
    pub(super) const NAME_LEN: u64 = 8;
    pub(super) const VECTORS: u64 = 16;
    pub(super) const CONTROL: u64 = 32;
    pub(super) const CONTROL_LEN: u64 = 40;
    pub(super) const FLAGS: u64 = 48;
}
/// `struct mmsghdr`: a header and the length received.
const MULTI_SIZE: u64 = 64;
/// Largest socket address (`sockaddr_storage`).
const NAME_MAX: u64 = 128;

/// A message header moved with all it points to.
#[derive(Debug)]
struct Message {
    header: Moved,
    name: Moved,
    control: Moved,
    payload: Vec<Moved>,
}

/// A call's outputs moved to agent memory.
#[derive(Debug)]
pub struct Bounced {
    /// The arguments to give the kernel.
    pub args: [u64; 6],
    outs: Vec<(usize, Moved)>,
    payload: Vec<Moved>,
    messages: Vec<Message>,
    big: Option<(u64, u64)>,
}

/// Hands out a bounce area piece by piece: first only counting, then for real.
struct Area {
    next: u64,
}

impl Area {
    fn take(&mut self, program: u64, len: u64) -> Moved {
        let agent = self.next;
        self.next = self.next.saturating_add(len.saturating_add(15) & !15);
        Moved { program, agent, len }
    }
}

/// Whether both ends of a buffer can be read. What can be read but not written fails when it is copied back.
fn there(span: &Span) -> bool {
    let ends = [span.addr, span.addr.wrapping_add(span.len.wrapping_sub(1))];
    span.len == 0 || ends.iter().all(|at| try_get::<u8>(*at).is_some())
}

/// The buffers an iovec array names, or `None` when the kernel must say what is wrong with it.
fn vectors(iov: u64, count: u64) -> Option<Vec<Span>> {
    if count > 1024 {
        return None;
    }
    (0..count)
        .map(|i| try_words(iov.checked_add(16 * i)?).map(|[addr, len]| Span { addr, len }))
        .collect::<Option<Vec<Span>>>()
        .filter(|all| all.iter().all(there))
}

fn fill(m: &Moved) {
    // SAFETY: agent memory of this bounce area, `len` bytes long, not borrowed.
    let _ = try_copy_out(m.program, unsafe {
        core::slice::from_raw_parts_mut(m.agent as *mut u8, m.len as usize)
    });
}

/// Copies `len` bytes at offset `at` back; false when the program's memory cannot be written.
fn back(m: &Moved, at: u64, len: u64) -> bool {
    let len = len.min(m.len.saturating_sub(at));
    // SAFETY: agent memory of this bounce area, `m.len` bytes long.
    len == 0
        || try_copy_in(m.program + at, unsafe {
            core::slice::from_raw_parts((m.agent + at) as *const u8, len as usize)
        })
}

fn word(at: u64) -> u64 {
    // SAFETY: `at` lies in a bounce buffer.
    unsafe { (at as *const u64).read_unaligned() }
}

fn half(at: u64) -> u64 {
    // SAFETY: `at` lies in a bounce buffer.
    u64::from(unsafe { (at as *const u32).read_unaligned() })
}

fn set(at: u64, value: u64) {
    // SAFETY: `at` lies in a bounce buffer.
    unsafe { (at as *mut u64).write_unaligned(value) }
}

impl Bounced {
    /// Moves what the call may write.
    pub fn prepare(agent: &mut Agent, row: &Row, args: &[u64; 6], before: Before) -> Bounced {
        let mut b = Bounced {
            args: *args,
            outs: Vec::new(),
            payload: Vec::new(),
            messages: Vec::new(),
            big: None,
        };
        let mut counting = Area { next: 0 };
        if b.lay(agent, row, args, before, &mut counting).is_none() || counting.next == 0 {
            b.clear();
            return b;
        }
        let Some(at) = b.area(agent, counting.next) else {
            b.clear(); // no memory: let the kernel write directly
            return b;
        };
        b.clear();
        let _ = b.lay(agent, row, args, before, &mut Area { next: at });
        b.connect(row);
        b
    }

    fn clear(&mut self) {
        self.outs.clear();
        self.payload.clear();
        self.messages.clear();
    }

    fn area(&mut self, agent: &mut Agent, total: u64) -> Option<u64> {
        if total <= BOUNCE_SIZE {
            let at = BOUNCE + agent.current as u64 * BOUNCE_SIZE;
            if !agent.thread().bounce {
                agent.thread().bounce = true;
                sys::reserve(at, BOUNCE_SIZE, map::READ | map::WRITE);
            }
            return Some(at);
        }
        let len = page_up(total);
        let flags = map::PRIVATE | map::ANONYMOUS | map::NORESERVE;
        let at = u64::try_from(sys::mmap(0, len, map::READ | map::WRITE, flags, sys::NO_FD, 0)).ok()?;
        self.big = Some((at, len));
        Some(at)
    }

    /// Lays the call's buffers out in `area`; `None` when something cannot be moved.
    fn lay(&mut self, agent: &mut Agent, row: &Row, args: &[u64; 6], before: Before, area: &mut Area) -> Option<()> {
        for o in row.outs.iter().filter(|o| args[o.arg as usize] != 0) {
            let (len, _) = syscalls::capacity(o, args, before);
            let span = Span {
                addr: args[o.arg as usize],
                len,
            };
            there(&span).then_some(())?;
            self.outs.push((o.arg as usize, area.take(span.addr, len)));
        }
        match u64::from(row.nr) {
            nr::READV => {
                let all = vectors(args[1], args[2])?;
                self.outs.push((1, area.take(args[1], 16 * args[2])));
                self.payload = all.iter().map(|s| area.take(s.addr, s.len)).collect();
            }
            nr::RECVMSG => self.lay_message(args[1], header::SIZE, area)?,
            nr::RECVMMSG => {
                // One after the other, as the kernel's array wants them; what they point to follows.
                let count = args[2].min(1024);
                let array = area.take(args[1], MULTI_SIZE * count);
                self.outs.push((1, array));
                for i in 0..count {
                    self.lay_message(args[1] + MULTI_SIZE * i, 0, area)?;
                    self.messages.last_mut()?.header = Moved {
                        program: args[1] + MULTI_SIZE * i,
                        agent: array.agent + MULTI_SIZE * i,
                        len: MULTI_SIZE,
                    };
                }
                if args[4] != 0 {
                    self.outs.push((4, area.take(args[4], 16)));
                }
            }
            // How much was sent of each; what they point to is only read.
            nr::SENDMMSG => self.lay_out(args[1], MULTI_SIZE * args[2].min(1024), area)?,
            // The type, then the text.
            nr::MSGRCV => self.lay_out(args[1], args[2].checked_add(8)?, area)?,
            // What goes to standard output is logged afterwards: take it out of others' reach first.
            nr::WRITE if agent.recorder().outputs.is_output(args[0]) => {
                self.lay_out(args[1], args[2], area)?;
            }
            _ => {}
        }
        Some(())
    }

    /// The second argument's buffer.
    fn lay_out(&mut self, addr: u64, len: u64, area: &mut Area) -> Option<()> {
        there(&Span { addr, len }).then_some(())?;
        self.outs.push((1, area.take(addr, len)));
        Some(())
    }

    fn lay_message(&mut self, at: u64, own: u64, area: &mut Area) -> Option<()> {
        let [name, name_len, iov, count, control, control_len, _] = try_words::<7>(at)?;
        let payload = vectors(iov, count)?;
        let part = |addr: u64, len: u64| Span {
            addr,
            len: if addr == 0 { 0 } else { len },
        };
        let name = part(name, (name_len & 0xffff_ffff).min(NAME_MAX));
        let control = part(control, control_len.min(1 << 20));
        (there(&name) && there(&control)).then_some(())?;
        let header = area.take(at, own);
        self.messages.push(Message {
            header,
            name: area.take(name.addr, name.len),
            control: area.take(control.addr, control.len),
            payload: core::iter::once(area.take(iov, 16 * count))
                .chain(payload.iter().map(|s| area.take(s.addr, s.len)))
                .collect(),
        });
        Some(())
    }

    /// Fills what is an input too, and points the kernel at the moved buffers.
    fn connect(&mut self, row: &Row) {
        let number = u64::from(row.nr);
        for (arg, m) in &self.outs {
            let pure = row.outs.iter().any(|o| o.arg as usize == *arg && matches!(o.len, Len::Ret(_)));
            if !pure {
                // A sleep that a signal prevents has all its time left: the kernel, which is not asked, does not say so.
                let program = match super::waiting::sleep(number, &self.args) {
                    Some((time, left)) if left == *arg => self.args[time],
                    _ => m.program,
                };
                fill(&Moved { program, ..*m });
            }
            self.args[*arg] = m.agent;
        }
        for (i, m) in self.payload.iter().enumerate() {
            set(self.args[1] + 16 * i as u64, m.agent);
        }
        for m in &self.messages {
            let (h, array) = (m.header.agent, &m.payload[0]);
            if number == nr::RECVMSG {
                fill(&m.header);
                self.args[1] = h;
            }
            fill(array);
            for (i, p) in m.payload[1..].iter().enumerate() {
                set(array.agent + 16 * i as u64, p.agent);
            }
            set(h + header::VECTORS, array.agent);
            for (at, part) in [(header::NAME, &m.name), (header::CONTROL, &m.control)] {
                if part.program != 0 {
                    set(h + at, part.agent);
                }
            }
        }
    }

    /// Copies what the kernel wrote to the program. The call's result, `-EFAULT` where the program's memory does not take it.
    pub fn copy_back(&self, row: &Row, ret: i64) -> i64 {
        let number = u64::from(row.nr);
        let mut whole = true;
        for o in row.outs {
            let Some((_, m)) = self.outs.iter().find(|m| m.0 == o.arg as usize) else {
                continue;
            };
            let len = match o.len {
                Len::Left(_) => m.len,
                Len::ItemsBoth(..) if ret == -errno::EINTR => m.len,
                _ if ret < 0 && !matches!(o.len, Len::Remaining(_)) => 0,
                Len::Ret(_) => ret.cast_unsigned(),
                Len::RetOf(n, _) => ret.cast_unsigned().saturating_mul(u64::from(n)),
                Len::Sock(at) => self.outs.iter().find(|m| m.0 == at as usize).map_or(0, |m| half(m.1.agent)),
                Len::Remaining(_) if ret != -errno::EINTR => 0,
                _ => m.len,
            };
            whole &= back(m, 0, len);
        }
        whole &= scatter(&self.payload, u64::try_from(ret).unwrap_or(0));
        if ret >= 0 {
            for (i, m) in self.messages.iter().enumerate() {
                if number == nr::RECVMSG {
                    whole &= m.received(ret.cast_unsigned());
                } else if (i as u64) < ret.cast_unsigned() {
                    whole &= m.received(half(m.header.agent + header::SIZE)) && back(&m.header, header::SIZE, 4);
                }
            }
            let array = self.outs.iter().find(|o| o.0 == 1).map(|o| &o.1);
            whole &= match (number, array) {
                (nr::SENDMMSG, Some(m)) => (0..ret.cast_unsigned()).all(|i| back(m, MULTI_SIZE * i + header::SIZE, 4)),
                (nr::MSGRCV, Some(m)) => back(m, 0, ret.cast_unsigned() + 8),
                _ => true,
            };
            if number == nr::RECVMMSG && ret > 0 {
                whole &= self.outs.iter().filter(|o| o.0 == 4).all(|o| back(&o.1, 0, o.1.len));
            }
        }
        if let Some((at, len)) = self.big {
            sys::munmap(at, len);
        }
        if whole || ret < 0 { ret } else { -errno::EFAULT }
    }
}

impl Message {
    /// Copies a received message back: the changed words of the header, name, control data, payload.
    fn received(&self, bytes: u64) -> bool {
        let h = self.header.agent;
        let mut control = true;
        if self.control.len > 0 {
            control = back(&self.control, 0, word(h + header::CONTROL_LEN));
        }
        let header = Moved {
            len: header::SIZE,
            ..self.header
        };
        scatter(&self.payload[1..], bytes)
            && back(&self.name, 0, half(h + header::NAME_LEN))
            && control
            && back(&header, header::NAME_LEN, 4)
            && back(&header, header::CONTROL_LEN, 8)
            && back(&header, header::FLAGS, 4)
    }
}

/// Copies `bytes` back to the pieces in turn.
fn scatter(pieces: &[Moved], bytes: u64) -> bool {
    let mut left = bytes;
    pieces.iter().all(|m| {
        let n = m.len.min(left);
        left -= n;
        back(m, 0, n)
    })
}
