//! Preemption in native code in replay: the program is stopped at the very moment at which the recording was interrupted.

use super::{advance, diverge, enter, same, schedule, upcoming};
use crate::context::Context;
use crate::preempt::State;
use crate::preempt::stub::{Stub, Trap};
use crate::record::fixed;
use crate::state::{Agent, Mode};
use alloc::boxed::Box;
use alloc::format;
use rdb_trace::{Event, Kind, Tag};

/// A moment that is looked for.
#[derive(Debug)]
pub struct Sought {
    stub: Stub,
    state: State,
}

/// Has the program stopped where the next event says so.
pub fn seek(agent: &mut Agent, next: &Event<'static>) {
    let f = next.fixed;
    if f.kind != Kind::Preempt || agent.replay().sought.is_some() {
        return;
    }
    let Some(state) = next.tagged(Tag::State).and_then(|e| State::from_bytes(e.bytes)) else {
        super::damaged(agent, rdb_trace::RecordError::Malformed)
    };
    agent.sites.clear_near(f.rip);
    let stub = put(agent, f.rip, &state);
    agent.replay().sought = Some(Box::new(Sought { stub, state }));
}

/// A SIGTRAP: whether it was one of a stub here. The program then goes on, or the moment has come.
pub fn trapped(agent: &'static mut Agent, context: &'static mut Context) -> bool {
    let is_probe = agent.mode == Mode::Probe;
    let Some(replay) = &mut agent.replay else { return false };
    let Some(sought) = &replay.sought else { return false };
    match sought.stub.trapped(context.rip) {
        None => return false,
        Some(Trap::Onward(to)) => context.rip = to,
        // What a probe executes is none of the program's rounds.
        Some(Trap::Equal) if is_probe || !sought.state.is_here(context) => context.rip = sought.stub.onward(),
        Some(Trap::Equal) => {
            context.rip = sought.stub.at;
            match compare_memory(agent) {
                None => reached(agent, context),
                Some(onward) => context.rip = onward,
            }
        }
    }
    true
}

/// Whether all memory is equal, too: then the stub is gone. Otherwise where the program goes on, to another round.
fn compare_memory(agent: &mut Agent) -> Option<u64> {
    let Sought { stub, state } = *agent.replay().sought.take()?;
    let at = stub.at;
    if !stub.remove() {
        crate::orders::failed(agent, "the program's code cannot be put back");
    }
    // With hooked allocators the process has memory of its own, and is thrown away.
    if state.memory == 0 || agent.host.is_hooked() || crate::record::memory_hash(agent) == Some(state.memory) {
        return None;
    }
    let stub = put(agent, at, &state);
    let onward = stub.onward();
    agent.replay().sought = Some(Box::new(Sought { stub, state }));
    Some(onward)
}

fn put(agent: &mut Agent, at: u64, state: &State) -> Stub {
    match Stub::new(at, state) {
        Some(stub) => stub,
        None => crate::orders::failed(
            agent,
            &format!("the code at {at:#x}, where the program was interrupted, cannot be watched"),
        ),
    }
}

fn reached(agent: &'static mut Agent, context: &'static mut Context) {
    enter(agent, context);
    let want = upcoming(agent).fixed;
    let mut found = fixed(agent, Kind::Preempt, 0, context, 0);
    found.args = [0; 6];
    if want.kind != Kind::Preempt || !same(agent.host.is_hooked(), &want, &found) {
        diverge(agent, &want, &found);
    }
    advance(agent);
    schedule::next(agent)
}
