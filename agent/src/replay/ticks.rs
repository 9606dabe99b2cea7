//! Ticks in replay: the program is stopped at the very tick at which the recording was interrupted.

use super::{advance, diverge, enter, same, schedule, upcoming};
use crate::context::Context;
use crate::record::fixed;
use crate::state::Agent;
use rdb_trace::Kind;
use rdb_trace::event::Fixed;

/// Has the program stopped where the next event says so.
pub fn set_goal(agent: &mut Agent, next: &Fixed) {
    let goal = (next.kind == Kind::Tick).then_some(next.ret.cast_unsigned());
    if !agent.host.set_tick(goal) {
        crate::orders::diverged(agent, &super::describe(next), "no such tick to come");
    }
}

/// The program is stopped at its `count`th tick.
pub fn reached(agent: &'static mut Agent, context: &'static mut Context, count: u64) {
    enter(agent, context);
    let want = upcoming(agent).fixed;
    let mut found = fixed(agent, Kind::Tick, 0, context, count.cast_signed());
    found.args = [0; 6];
    if want.kind != Kind::Tick || want.ret != found.ret || !same(agent.host.is_hooked(), &want, &found) {
        diverge(agent, &want, &found);
    }
    advance(agent);
    schedule::next(agent)
}
