//! Clock readings through the vDSO: made at once and kept until the next event, which tells them.

use super::contended;
use crate::intercept::clock::Call;
use crate::intercept::tsc;
use crate::memory;
use crate::state::Agent;
use crate::sys;
use crate::threads::slot;
use core::sync::atomic::Ordering;
use rdb_trace::readings::Source;

/// Most readings between two events while others wait for the token.
const MOST_TURNS: u32 = 20;

/// Makes a reading. False when it must be an event: a signal is to be delivered, others have waited long, there is no room, or the kernel
/// has something to say about a pointer.
pub fn read(agent: &mut Agent, call: &mut Call, source: Source) -> bool {
    if slot(agent.current).wanted.load(Ordering::Relaxed) != 0 || agent.recorder().log.readings.is_full() {
        return false;
    }
    if contended(agent) {
        agent.thread().turns += 1;
        if agent.thread().turns > MOST_TURNS {
            return false;
        }
    }
    let place = call.place();
    let Some(value) = ask(call, source) else { return false };
    agent.recorder().log.readings.add(source, value, place);
    true
}

/// The kernel's answer, given to the program.
fn ask(call: &mut Call, source: Source) -> Option<u64> {
    let [a, b, c] = call.args;
    if let (Source::Clock(id), true) = (source, b != 0)
        && let Some(time) = tsc::clock(u64::from(id))
    {
        let value = one(time, 1_000_000_000)?;
        call.number = 0;
        return memory::try_put_words(b, &time).then_some(value);
    }
    let ret = sys::raw(call.number, [a, b, c, 0, 0, 0]);
    let value = match source {
        _ if ret < 0 => return None,
        Source::Clock(_) => joined(b, 1_000_000_000)?,
        Source::TimeOfDay => joined(a, 1_000_000)?,
        Source::Time => ret.cast_unsigned(),
        Source::Processor => {
            let word = |at: u64| if at == 0 { 0 } else { u64::from(memory::get::<u32>(at)) };
            word(a) | word(b) << 32
        }
    };
    call.number = ret.cast_unsigned();
    Some(value)
}

/// Seconds and parts of one as one number, if it is of the next centuries.
fn joined(at: u64, parts: u64) -> Option<u64> {
    one([memory::get(at), memory::get(at + 8)], parts)
}

fn one([seconds, part]: [u64; 2], parts: u64) -> Option<u64> {
    (seconds < 1 << 33 && part < parts).then(|| seconds * parts + part)
}
