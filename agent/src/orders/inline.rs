//! Rows evaluated while the program runs, in copies that are thrown away.

use super::pause;
use crate::state::{Agent, Mode};
use alloc::string::String;
use alloc::vec::Vec;
use rdb_protocol::replay::{Hits, Inline, RunEnd};
use rdb_protocol::rows::Rows;

/// So many bytes of rows are taken before more are made.
const ENOUGH: usize = 4 << 20;

/// What was evaluated, and what is about to be.
#[derive(Debug, Default)]
pub struct Evaluating {
    /// Not taken yet.
    pub rows: Rows,
    /// The place that the first run begins at has been looked at.
    begun: bool,
    /// A hit at the second half of a fused pair: whether it is the goal, and which breakpoints; the first half is executed first.
    waiting: Option<(bool, Vec<u32>)>,
}

/// From now on this is evaluated.
///
/// # Errors
/// Why it cannot be.
pub fn set(agent: &mut Agent, asked: &Inline) -> Result<(), String> {
    agent.replay().inline = Evaluating::default();
    let mode = agent.set_mode(Mode::Probe);
    let set = match agent.host.stops() {
        Some(stops) => stops.set_inline(asked),
        None => Err(String::from("there is no stop point here")),
    };
    agent.set_mode(mode);
    set
}

/// A run that evaluates begins: the place stood in counts, once.
pub fn begin(agent: &mut Agent) {
    if core::mem::replace(&mut agent.replay().inline.begun, true) {
        return;
    }
    let here = agent.host.hits_here();
    if !here.is_empty() {
        meet(agent, false, &here);
    }
}

/// A stop point during such a run.
pub fn at_stop(agent: &mut Agent, goal: bool, breakpoints: &[u32]) {
    match agent.replay().inline.waiting.take() {
        Some((goal, breakpoints)) => {
            // Waiting has replaced the goal.
            let until = agent.replay().running.run.as_ref().and_then(|r| r.until_time);
            agent.host.arm(until.map(|t| t.0), Hits::Evaluate);
            evaluate(agent, goal, &breakpoints);
        }
        None if breakpoints.is_empty() && goal => pause(agent, RunEnd::Goal, &[]),
        None => meet(agent, goal, breakpoints),
    }
}

fn meet(agent: &mut Agent, goal: bool, breakpoints: &[u32]) {
    let stops = agent.host.stops();
    if let Some(stops) = stops
        && stops.stop().is_some_and(|s| s.second_half)
    {
        stops.split();
        agent.replay().inline.waiting = Some((goal, breakpoints.to_vec()));
        return;
    }
    evaluate(agent, goal, breakpoints);
}

fn evaluate(agent: &mut Agent, goal: bool, breakpoints: &[u32]) {
    let thread = agent.current as u32;
    let mut rows = core::mem::take(&mut agent.replay().inline.rows);
    let mode = agent.set_mode(Mode::Probe);
    let done = agent.host.evaluate_inline(thread, &mut rows);
    agent.set_mode(mode);
    agent.replay().inline.rows = rows;
    if let Err(reason) = done {
        super::failed(agent, &reason);
    }
    let full = agent.replay().inline.rows.size() > ENOUGH;
    if goal {
        pause(agent, RunEnd::Goal, breakpoints);
    } else if full {
        pause(agent, RunEnd::Breakpoint, breakpoints);
    }
}
