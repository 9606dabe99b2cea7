//! Ticks while recording: where signals are delivered and the token changes hands in programs that make no system calls.

use super::{after_event, deliver, fixed, give_way, is_to_yield};
use crate::context::Context;
use crate::interpreters::cpython::ticks;
use crate::state::Agent;
use crate::threads::slot;
use core::sync::atomic::Ordering;
use rdb_trace::Kind;

/// No system call is under way.
const NO_CALL: u64 = u64::MAX;

/// The program is stopped at its `count`th tick, because somebody asked for it. What was asked for may have been done since, at another
/// event: then nothing happens, and nothing is logged.
pub fn reached(agent: &'static mut Agent, context: &'static mut Context, count: u64) {
    ticks::answered();
    super::preempt::ticked(agent);
    let signalled = slot(agent.current).wanted.load(Ordering::SeqCst) != 0;
    let yields = is_to_yield(agent);
    if !signalled && !yields {
        return;
    }
    let mut fix = fixed(agent, Kind::Tick, 0, context, count.cast_signed());
    fix.args = [0; 6];
    agent.recorder().log.event(fix).done();
    let agent = if yields { give_way(agent) } else { agent };
    deliver(agent, context, NO_CALL, None);
    after_event(agent);
}
