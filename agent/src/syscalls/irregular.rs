//! Outputs that no row can say: scattered buffers, and calls whose meaning hangs on a command word.

use super::Span;
use crate::memory::{get, readable, try_words};
use crate::sys::{self, nr};
use alloc::vec::Vec;

/// The buffers of an iovec array, cut to `limit` bytes in all.
#[must_use]
pub fn io_vectors(iov: u64, count: u64, limit: u64) -> Vec<Span> {
    let mut spans = Vec::new();
    let mut left = limit;
    for i in 0..count.min(1024) {
        let Some([addr, len]) = try_words(iov.wrapping_add(16 * i)) else {
            break;
        };
        let len = len.min(left);
        if len > 0 {
            spans.push(Span { addr, len });
        }
        left -= len;
    }
    spans
}

/// `struct msghdr` after recvmsg(2): itself, the name, the control data, `bytes` of payload.
fn message(at: u64, bytes: u64, spans: &mut Vec<Span>) {
    spans.push(Span { addr: at, len: 56 });
    let name = get::<u64>(at);
    if name != 0 {
        spans.push(Span {
            addr: name,
            len: u64::from(get::<u32>(at + 8)).min(128),
        });
    }
    let (control, length) = (get::<u64>(at + 32), get::<u64>(at + 40));
    if control != 0 && length > 0 {
        spans.push(Span {
            addr: control,
            len: length,
        });
    }
    spans.extend(io_vectors(get(at + 16), get(at + 24), bytes));
}

/// How many semaphores a set has (semctl(2) `IPC_STAT`).
fn semaphores(set: u64) -> u64 {
    let mut status = [0u64; 13];
    sys::raw_agent_pointers(nr::SEMCTL, [set, 0, 2, status.as_mut_ptr() as u64, 0, 0]);
    status[10]
}

/// Adds what a successful irregular call wrote.
pub fn extra_outputs(number: u64, a: &[u64; 6], ret: u64, spans: &mut Vec<Span>) {
    let mut add = |addr: u64, len: u64| {
        if addr != 0 && len != 0 {
            spans.push(Span { addr, len });
        }
    };
    match number {
        nr::READV | nr::PREADV | nr::PREADV2 => spans.extend(io_vectors(a[1], a[2], ret)),
        nr::RECVMSG => message(a[1], ret, spans),
        // mincore(2): a byte a page.
        27 => add(a[2], a[1].div_ceil(4096)),
        // recvmmsg(2): an array of mmsghdr (64 bytes), each with its own length.
        nr::RECVMMSG => {
            for i in 0..ret {
                let m = a[1] + 64 * i;
                let bytes = u64::from(get::<u32>(m + 56));
                message(m, bytes, spans);
                spans.push(Span { addr: m + 56, len: 4 });
            }
            if a[4] != 0 {
                spans.push(Span { addr: a[4], len: 16 });
            }
        }
        // sendmmsg(2): each msg_len.
        nr::SENDMMSG => (0..ret).for_each(|i| add(a[1] + 64 * i + 56, 4)),
        nr::IOCTL => {
            let command = a[1] & 0xffff_ffff;
            match command {
                0x5401 => add(a[2], 36),                                    // TCGETS
                0x5413 => add(a[2], 8),                                     // TIOCGWINSZ
                0x541b | 0x540f | 0x5411 | 0x5429 | 0x5424 => add(a[2], 4), // FIONREAD TIOCGPGRP TIOCOUTQ TIOCGSID TIOCGETD
                0x5405 => add(a[2], 18),                                    // TCGETA: struct termio
                0x5415 | 0x5419 => add(a[2], 4),                            // TIOCMGET TIOCGSOFTCAR
                0x8903..=0x8905 => add(a[2], 4),                            // FIOGETOWN SIOCGPGRP SIOCATMARK
                0x8906 | 0x8907 => add(a[2], 16),                           // SIOCGSTAMP SIOCGSTAMPNS
                0x5400..=0x54ff => {}                                       // other terminal calls only take
                0x8912 => {
                    // SIOCGIFCONF: struct ifconf names a buffer.
                    add(a[2], 16);
                    add(get(a[2] + 8), u64::from(get::<u32>(a[2])));
                }
                0x8910..=0x8959 => add(a[2], 40),                                 // SIOCGIF*: struct ifreq
                _ if command >> 31 & 1 == 1 => add(a[2], command >> 16 & 0x3fff), // _IOC_READ
                // A number that does not tell (IOCTL_VM_SOCKETS_GET_LOCAL_CID is one): what lies there now is right in any case.
                _ => add(a[2], readable(a[2], 256)),
            }
        }
        nr::FCNTL => match a[1] {
            5 | 36 => add(a[2], 32),     // F_GETLK, F_OFD_GETLK
            16 => add(a[2], 8),          // F_GETOWN_EX
            1035 | 1037 => add(a[2], 8), // F_GET_RW_HINT, F_GET_FILE_RW_HINT
            _ => {}
        },
        nr::PRCTL => match a[0] {
            16 => add(a[1], 16),             // PR_GET_NAME
            2 | 9 | 11 | 25 => add(a[1], 4), // PDEATHSIG, FPEMU, FPEXC, TSC
            19 | 37 => add(a[1], 4),         // ENDIAN, CHILD_SUBREAPER
            40 => add(a[1], 8),              // TID_ADDRESS
            _ => {}
        },
        nr::FUTEX => match a[1] & 0x7f {
            5 => add(a[4], 4),              // WAKE_OP changes the second word
            6 | 7 | 8 | 13 => add(a[0], 4), // PI: the kernel writes the owner
            12 => add(a[4], 4),
            _ => {}
        },
        // process_vm_readv(2): the local side.
        310 => spans.extend(io_vectors(a[1], a[2], ret)),
        // msgrcv(2): the type, then the text.
        nr::MSGRCV => add(a[1], ret + 8),
        // getgroups(2) writes only when a size is given; quotactl, bpf and friends are refused by row.
        115 if a[0] > 0 => add(a[1], ret * 4),
        // getxattr, listxattr: size 0 only asks.
        191..=193 if a[3] > 0 => add(a[2], ret),
        194..=196 if a[2] > 0 => add(a[1], ret),
        // shmctl, semctl, msgctl: the STAT and INFO forms; GETALL, whose count IPC_STAT would tell.
        31 if matches!(a[1] & 0xff, 2 | 3 | 13..) => add(a[2], 112),
        66 if matches!(a[2] & 0xff, 2 | 3 | 18..) => add(a[3], 104),
        66 if a[2] & 0xff == 13 => add(a[3], 2 * semaphores(a[0])),
        71 if matches!(a[1] & 0xff, 2 | 3 | 11..) => add(a[2], 120),
        // sched_getattr
        315 => add(a[1], u64::from(get::<u32>(a[1])).min(a[2])),
        // name_to_handle_at
        303 => {
            add(a[2], 8 + u64::from(get::<u32>(a[2])).min(128));
            add(a[3], 4);
        }
        _ => {}
    }
}
