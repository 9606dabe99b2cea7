//! A forked process: its run is its parent's up to the fork, and then its own.

use super::events::Events;
use super::{Replay, open};
use crate::context::Context;
use crate::layout::LOG;
use crate::memory;
use crate::record::child::{become_child, start_at};
use crate::record::process::{clone_flag, clone_request};
use crate::record::tree::folder;
use crate::state::Agent;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use rdb_trace::{Cpu, Event, Header, PROCESSES_DIR};

/// A stream that goes on where another one leaves off.
#[derive(Debug)]
pub struct Branch {
    /// Ordinal of the fork in the stream before.
    at: u64,
    directory: Vec<u8>,
    reader: Events,
}

/// The streams of one process.
#[derive(Debug)]
pub struct Lineage {
    /// Folder of the first.
    pub directory: Vec<u8>,
    /// Events of the first.
    pub reader: Events,
    /// The further ones, last first.
    pub branches: Vec<Branch>,
    /// The CPU they were recorded on.
    pub cpu: Cpu,
}

/// Opens the stream in `directory` and those it descends from.
///
/// # Errors
/// One line for people.
pub fn open(directory: &[u8]) -> Result<Lineage, String> {
    let (mut header, mut reader, mut next) = open::log(directory, LOG)?;
    let mut directory = directory.to_vec();
    let mut branches = Vec::new();
    while header.origin.forked != 0 {
        let parent = parent_of(&directory, &header)?;
        branches.push(Branch {
            at: header.origin.forked,
            directory,
            reader,
        });
        directory = parent;
        (header, reader, next) = open::log(&directory, next)?;
    }
    Ok(Lineage {
        directory,
        reader,
        branches,
        cpu: header.cpu,
    })
}

/// The folder of the stream a forked one branches off: streams lie beside each other in `processes` of the trace.
fn parent_of(directory: &[u8], header: &Header) -> Result<Vec<u8>, String> {
    let shown = String::from_utf8_lossy(directory);
    let o = header.origin;
    // A child's number is taken before it is made, so lineages end.
    if o.parent >= o.stream {
        return Err(format!("{shown}: the trace header is corrupt"));
    }
    let own = format!("/{PROCESSES_DIR}/{}", o.stream);
    let root = directory
        .strip_suffix(own.as_bytes())
        .ok_or_else(|| format!("{shown} is a forked process's part of a trace and cannot be opened outside of it"))?;
    Ok(folder(root, o.parent))
}

impl Replay {
    /// Ordinal of the next event, counted over all streams of the process.
    #[must_use]
    pub fn index(&self) -> u64 {
        self.before + self.reader.index()
    }

    /// Whether the next event forks the process that is replayed.
    #[must_use]
    pub fn branches_here(&self) -> bool {
        self.branches.last().is_some_and(|b| b.at == self.reader.index())
    }
}

/// The fork just met made this process: its own stream is next.
pub fn branch(agent: &mut Agent, context: &mut Context, event: &Event<'_>, number: u64) {
    let request = clone_request(number, &event.fixed.args);
    let pid = event.fixed.ret as u32;
    become_child(agent, request);
    start_at(context, request);
    if request.0 & clone_flag::CHILD_SETTID != 0 {
        // A pointer that cannot be written is passed over, as by the kernel.
        let _ = memory::try_copy_in(request.3, &pid.to_le_bytes());
    }
    let r = agent.replay();
    // The event is not looked at any more: it goes with its reader.
    if let Some(b) = r.branches.pop() {
        r.before += b.at + 1;
        r.reader = b.reader;
        r.directory = b.directory;
    }
}
