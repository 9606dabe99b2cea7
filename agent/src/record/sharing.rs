//! Memory that several recorded processes share: what the others wrote is logged when this process comes to run again.
//!
//! Soundness: program code runs only while its process holds the right of the [`Group`]. So between two of its own turns all changes are
//! others'. Each region's content is kept as it was when the right was given up; what differs when it comes back is one event, whose
//! effects replay writes into its private copy.

use super::fixed_at;
use super::group::Group;
use crate::memory::try_copy_out;
use crate::state::{Agent, Mode, page_up};
use crate::sys::{self, map, nr};
use crate::syscalls::Span;
use alloc::vec;
use alloc::vec::Vec;
use rdb_trace::Kind;
use rdb_trace::event::MOST_EFFECTS;

const PAGE: usize = 4096;
/// Equal bytes that are logged with the unequal ones around them rather than between two spans.
const GAP: usize = 32;

/// What this process shares.
#[derive(Debug, Default)]
pub struct Sharing {
    group: Option<Group>,
    refused: bool,
    regions: Vec<Region>,
}

#[derive(Debug)]
struct Region {
    start: u64,
    len: u64,
    /// Device and inode of the file it shows.
    file: Option<(u64, u64)>,
    /// Where in the file it begins.
    offset: u64,
    /// Content when the right was last given up; `None` when nobody looked.
    seen: Option<Vec<u8>>,
}

impl Sharing {
    /// Whether there is shared memory.
    #[must_use]
    pub fn is_member(&self) -> bool {
        self.group.is_some()
    }

    /// Whether another process waits to run.
    #[must_use]
    pub fn contended(&self) -> bool {
        self.group.as_ref().is_some_and(Group::contended)
    }

    /// The descriptor that the program must not touch.
    #[must_use]
    pub fn fd(&self) -> Option<u64> {
        self.group.as_ref().map(Group::fd)
    }

    /// The program unmaps a range, or maps something else there.
    pub fn forget(&mut self, start: u64, len: u64) {
        let end = start.saturating_add(page_up(len));
        let mut rest = Vec::new();
        for r in self.regions.drain(..) {
            let r_end = r.start + r.len;
            if r_end <= start || r.start >= end {
                rest.push(r);
                continue;
            }
            for (from, to) in [(r.start, start.max(r.start)), (end.min(r_end), r_end)] {
                if from < to {
                    rest.push(Region {
                        start: from,
                        len: to - from,
                        file: r.file,
                        offset: r.offset + (from - r.start),
                        seen: None,
                    });
                }
            }
        }
        self.regions = rest;
    }

    /// The program moved or resized a mapping (mremap(2)).
    pub fn moved(&mut self, from: u64, old: u64, to: u64, new: u64) {
        let Some(r) = self.regions.iter().find(|r| (r.start..r.start + r.len).contains(&from)) else {
            return;
        };
        let (file, offset) = (r.file, r.offset + (from - r.start));
        self.forget(from, old);
        self.add(to, new, file, offset);
    }

    fn add(&mut self, start: u64, len: u64, file: Option<(u64, u64)>, offset: u64) {
        self.forget(start, len);
        self.regions.push(Region {
            start,
            len: page_up(len),
            file,
            offset,
            seen: None,
        });
    }

    /// Keeps the content as it is now.
    fn look(&mut self) {
        for r in &mut self.regions {
            let mut seen = r.seen.take().unwrap_or_else(|| vec![0; r.len as usize]);
            for (i, page) in seen.chunks_exact_mut(PAGE).enumerate() {
                if !try_copy_out(r.start + (i * PAGE) as u64, page) {
                    page.fill(0); // beyond the end of its file
                }
            }
            r.seen = Some(seen);
        }
    }

    fn forget_content(&mut self) {
        for r in &mut self.regions {
            r.seen = None;
        }
    }

    /// What differs from what was kept.
    fn changes(&mut self) -> Vec<Span> {
        let mut all = Vec::new();
        let mut page = [0u8; PAGE];
        for r in &mut self.regions {
            for i in 0..r.len as usize / PAGE {
                let at = r.start + (i * PAGE) as u64;
                if !try_copy_out(at, &mut page) {
                    continue;
                }
                match &mut r.seen {
                    None => all.push(Span {
                        addr: at,
                        len: PAGE as u64,
                    }),
                    Some(seen) => {
                        let old = &mut seen[i * PAGE..(i + 1) * PAGE];
                        if *old != page {
                            unequal(old, &page, at, &mut all);
                            old.copy_from_slice(&page);
                        }
                    }
                }
            }
        }
        all
    }

    /// Whether a call writes to a file of which a region shows a part.
    #[must_use]
    pub fn is_written(&self, number: u64, args: &[u64; 6]) -> bool {
        let fd = match number {
            nr::WRITE | nr::PWRITE64 | nr::WRITEV | nr::PWRITEV | nr::PWRITEV2 | nr::FTRUNCATE | nr::FALLOCATE | nr::SENDFILE => args[0],
            nr::COPY_FILE_RANGE | nr::SPLICE => args[2],
            _ => return false,
        };
        self.regions.iter().any(|r| r.file.is_some()) && {
            let identity = identity(fd);
            self.regions.iter().any(|r| r.file.is_some() && r.file == identity)
        }
    }
}

fn identity(fd: u64) -> Option<(u64, u64)> {
    sys::fstat(fd).ok().map(|st| (st[0], st[1]))
}

/// The spans in which two pages differ.
fn unequal(old: &[u8], new: &[u8], at: u64, all: &mut Vec<Span>) {
    let mut i = 0;
    while let Some(from) = (i..PAGE).find(|k| old[*k] != new[*k]) {
        let mut end = from + 1;
        while let Some(more) = (end..PAGE.min(end + GAP)).find(|k| old[*k] != new[*k]) {
            end = more + 1;
        }
        all.push(Span {
            addr: at + from as u64,
            len: (end - from) as u64,
        });
        i = end;
    }
}

/// Whether a mapping may show what other processes write. Such a process becomes a member before it is made.
pub fn before_map(agent: &mut Agent, a: &[u64; 6]) -> bool {
    if a[3] & map::SHARED == 0 || !agent.recorder().tree.follow || !agent.recorder().log.is_open() {
        return false;
    }
    if a[3] & map::ANONYMOUS == 0 {
        const F_GETFL: u64 = 3;
        const O_ACCMODE: i64 = 3;
        const O_RDWR: i64 = 2;
        if sys::fcntl(a[4], F_GETFL, 0) & O_ACCMODE != O_RDWR {
            return false;
        }
    }
    let r = agent.recorder();
    if r.sharing.group.is_none() && !r.sharing.refused {
        match Group::join(&r.tree.root) {
            Ok(group) => r.sharing.group = Some(group),
            Err(e) => {
                r.sharing.refused = true;
                crate::diag::say!("memory shared with other processes is not recorded (error {e})");
            }
        }
    }
    r.sharing.is_member()
}

/// The mapping was made.
pub fn mapped(agent: &mut Agent, a: &[u64; 6], at: u64) {
    let file = if a[3] & map::ANONYMOUS == 0 { identity(a[4]) } else { None };
    agent.recorder().sharing.add(at, a[1], file, a[5]);
}

/// Other mappings of the file that is mapped which show some of the same, as [`rdb_trace::Tag::Aliases`] tells them.
#[must_use]
pub fn aliases(agent: &mut Agent, a: &[u64; 6]) -> Vec<u8> {
    let file = identity(a[4]);
    let overlaps = |r: &&Region| r.offset < a[5] + page_up(a[1]) && a[5] < r.offset + r.len;
    let regions = agent
        .recorder()
        .sharing
        .regions
        .iter()
        .filter(|r| file.is_some() && r.file == file)
        .filter(overlaps);
    regions
        .flat_map(|r| [r.start, r.len, r.offset])
        .flat_map(u64::to_le_bytes)
        .collect()
}

/// The token is about to be given up: others may run and write.
pub fn left(agent: &mut Agent) {
    if let Some(r) = &mut agent.recorder
        && let Some(group) = &r.sharing.group
    {
        if group.others() {
            r.sharing.look();
        } else {
            r.sharing.forget_content();
        }
        if let Some(group) = &mut r.sharing.group {
            group.give_up();
        }
    }
}

/// The token was taken: what others wrote meanwhile is logged.
pub fn entered(agent: &mut Agent) {
    if agent.mode != Mode::Record {
        return;
    }
    if let Some(r) = &mut agent.recorder
        && let Some(group) = &mut r.sharing.group
        && group.take()
    {
        log_changes(agent);
    }
}

/// A call is about to write to a file that is mapped shared: what it changes must be told from what the program did.
pub fn before_write(agent: &mut Agent) {
    agent.recorder().sharing.look();
}

/// Logs what changed since somebody looked.
pub fn log_changes(agent: &mut Agent) {
    let changes = agent.recorder().sharing.changes();
    for changes in changes.chunks(MOST_EFFECTS) {
        let fix = fixed_at(agent, Kind::Changed);
        agent.recorder().log.event(fix).program(changes).done();
    }
}

/// A child is about to be forked that will be recorded, or it was not made.
pub fn before_fork(agent: &mut Agent, made: bool) {
    let sharing = &mut agent.recorder().sharing;
    if let Some(group) = &sharing.group {
        group.expect(made);
        if made {
            sharing.look();
        }
    }
}

/// In the forked child, before it runs.
pub fn forked(agent: &mut Agent) {
    if let Some(group) = &mut agent.recorder().sharing.group {
        group.forked();
    }
    entered(agent);
}

/// A forked child is not recorded: it takes no part, and never did.
pub fn abandon(agent: &mut Agent, own_files: bool) {
    if let Some(r) = &mut agent.recorder
        && let Some(group) = r.sharing.group.take()
    {
        group.abandon(own_files);
    }
}

/// The process shares nothing any more: its memory is gone, or it is not recorded.
pub fn leave(agent: &mut Agent) {
    if let Some(r) = &mut agent.recorder {
        r.sharing.regions.clear();
        if let Some(group) = r.sharing.group.take() {
            group.leave();
        }
    }
}
