//! Clock readings in replay: the next event tells what was read before it.

use crate::intercept::clock::Call;
use crate::state::Agent;
use rdb_trace::readings::Source;
use rdb_trace::{Event, Remaining};

/// The program is about to go on to this event: what it reads on the way is known.
pub fn before(agent: &mut Agent, event: &Event<'static>) {
    agent.replay().readings = event.readings();
}

/// Makes a reading again. False when the next event comes first, which then is the system call that the recording made of it.
pub fn read(agent: &mut Agent, call: &mut Call, source: Source) -> bool {
    let place = call.place();
    let r = agent.replay();
    let Some(value) = r.readings.next(source, place) else {
        return false;
    };
    if let Source::Clock(id) = source {
        r.answers.note_clock(id, [value / 1_000_000_000, value % 1_000_000_000]);
    }
    // What could be written then can be written now.
    let _ = call.answer(source, value);
    true
}

/// What code that a probe runs is told: the clocks as the program read them last. Never a system call, for the agent may have called that
/// code from a signal handler, whose stack the kernel would use again.
pub fn latest(agent: &mut Agent, call: &mut Call, source: Source) -> bool {
    let clock = |id| agent.replay.as_ref().map_or([0; 2], |r| r.answers.clock(id));
    let [seconds, part] = clock(match source {
        Source::Clock(id) => u64::from(id),
        _ => 0,
    });
    let value = match source {
        Source::Clock(_) => seconds * 1_000_000_000 + part,
        Source::TimeOfDay => seconds * 1_000_000 + part / 1000,
        Source::Time => seconds,
        Source::Processor => 0,
    };
    call.answer(source, value)
}

/// The program has met its next event: it must have made all readings before it, where the recording made them.
pub fn check(agent: &mut Agent, event: &Event<'_>) {
    if !agent.replay().readings.is_done() {
        let expected = super::describe(&event.fixed);
        crate::orders::diverged(agent, &expected, "other clock readings before it");
    }
    agent.replay().readings = Remaining::default();
}
