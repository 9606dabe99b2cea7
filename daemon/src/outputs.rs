//! What the program printed, as lines, with the time at which each was written.

use crate::facts::TraceFacts;
use crate::fault::Fault;
use crate::moves::FIRST;
use crate::progress::Task;
use crate::streams::events;
use crate::timeline::Timeline;
use rdb_protocol::client::{FailureCode, OutputLine};
use rdb_protocol::replay::{Hits, Run, RunEnd};
use rdb_protocol::{EventIndex, Time};
use rdb_trace::Tag;
use std::sync::Arc;

/// Longest line kept, in bytes.
const LONGEST: usize = 4000;

/// Bytes written at once.
#[derive(Debug, PartialEq, Eq)]
struct Piece {
    event: u64,
    error: bool,
    bytes: Vec<u8>,
}

/// A line without its time: the event that ended it, whether it is of standard error, its text.
type Untimed = (u64, bool, String);

impl Timeline {
    /// All lines of the recording, in the order in which they were complete.
    pub(crate) fn output(&mut self, facts: &TraceFacts, task: &mut Task<'_>) -> Result<Arc<Vec<OutputLine>>, Fault> {
        self.require_stop_points()?;
        if let Some(known) = &self.output {
            return Ok(Arc::clone(known));
        }
        let untimed = lines(&pieces(facts)?);
        let mut process = self.tree().copy_for(FIRST)?;
        let mut all: Vec<OutputLine> = Vec::new();
        for (event, error, text) in untimed {
            // It may stand at a stop point before that event, or at the event already.
            if process.position().event.0 <= event {
                let run = Run {
                    until_time: None,
                    until_event: Some(EventIndex(event)),
                    hits: Hits::Ignore,
                };
                let stopped = process.run(run, task.interrupt)?;
                if stopped.end == RunEnd::End {
                    break;
                }
                task.advance(event, facts.events)?;
            }
            all.push(OutputLine {
                number: u32::try_from(all.len() + 1).unwrap_or(u32::MAX),
                time: process.position().time.max(FIRST),
                error,
                text,
            });
        }
        let all = Arc::new(all);
        self.output = Some(Arc::clone(&all));
        Ok(all)
    }

    /// The lines written before the cursor, at most the last `limit`.
    pub(crate) fn output_so_far(&mut self, facts: &TraceFacts, limit: u32, task: &mut Task<'_>) -> Result<Vec<OutputLine>, Fault> {
        let all = self.output(facts, task)?;
        let here = self.here.time;
        let until = all.partition_point(|l| l.time < here);
        let first = until.saturating_sub(limit as usize);
        Ok(all[first..until].to_vec())
    }

    /// The lines written between `from` and the cursor, at most the last `limit`; none where the lines are not known yet.
    pub(crate) fn output_passed(&self, from: Time, limit: usize) -> Vec<OutputLine> {
        let Some(all) = &self.output else { return Vec::new() };
        let first = all.partition_point(|l| l.time < from);
        let until = all.partition_point(|l| l.time < self.here.time);
        let passed = all.get(first..until).unwrap_or_default();
        passed[passed.len().saturating_sub(limit)..].to_vec()
    }

    /// When a line was written.
    pub(crate) fn output_time(&mut self, facts: &TraceFacts, number: u32, task: &mut Task<'_>) -> Result<Time, Fault> {
        let all = self.output(facts, task)?;
        let found = all.iter().find(|l| l.number == number);
        found.map(|l| l.time).ok_or_else(|| {
            let text = match all.len() {
                0 => "the program printed nothing".to_string(),
                n => format!("there is no line {number}: the program printed lines 1 to {n}"),
            };
            Fault::told(FailureCode::Invalid, text)
        })
    }

    /// When lines were written that match a pattern.
    pub(crate) fn output_matches(&mut self, facts: &TraceFacts, pattern: &str, task: &mut Task<'_>) -> Result<Vec<Time>, Fault> {
        let invalid = |text: String| Fault::told(FailureCode::Invalid, text);
        let matcher =
            regex_lite::Regex::new(pattern).map_err(|e| invalid(format!("'{pattern}' is no regular expression: {}", one_line(&e))))?;
        let all = self.output(facts, task)?;
        let mut times: Vec<Time> = all.iter().filter(|l| matcher.is_match(&l.text)).map(|l| l.time).collect();
        times.dedup();
        if times.is_empty() {
            return Err(invalid(format!("no line that the program printed matches '{pattern}'")));
        }
        Ok(times)
    }
}

fn one_line(error: &regex_lite::Error) -> String {
    error.to_string().lines().last().unwrap_or_default().to_string()
}

/// What was written to standard output and error, in order.
fn pieces(facts: &TraceFacts) -> Result<Vec<Piece>, Fault> {
    let mut all = Vec::new();
    events(&facts.path, |ordinal, event| {
        for effect in event.effects() {
            let error = effect.target == Tag::Stderr as u64;
            if error || effect.target == Tag::Stdout as u64 {
                all.push(Piece {
                    event: ordinal,
                    error,
                    bytes: effect.bytes.to_vec(),
                });
            }
        }
    })?;
    Ok(all)
}

/// Pieces as lines, each stream for itself. What is left at the end without a line break is a line too.
fn lines(pieces: &[Piece]) -> Vec<Untimed> {
    let mut all = Vec::new();
    let mut open: [(u64, Vec<u8>); 2] = [(0, Vec::new()), (0, Vec::new())];
    let text = |bytes: &[u8]| String::from_utf8_lossy(&bytes[..bytes.len().min(LONGEST)]).into_owned();
    for piece in pieces {
        let (last, line) = &mut open[usize::from(piece.error)];
        for part in piece.bytes.split_inclusive(|&b| b == b'\n') {
            line.extend_from_slice(part);
            *last = piece.event;
            if line.ends_with(b"\n") {
                line.pop();
                all.push((piece.event, piece.error, text(line)));
                line.clear();
            }
        }
    }
    for (error, (event, line)) in [false, true].into_iter().zip(open) {
        if !line.is_empty() {
            all.push((event, error, text(&line)));
        }
    }
    all.sort_by_key(|l| l.0);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_put_together_stream_by_stream() {
        let piece = |event, error, text: &str| Piece {
            event,
            error,
            bytes: text.into(),
        };
        let pieces = [
            piece(1, false, "a"),
            piece(2, true, "x\ny"),
            piece(3, false, "b\nc\n\nd"),
            piece(5, true, "z"),
            piece(6, false, "e"),
        ];
        let expected = [
            (2, true, "x"),
            (3, false, "ab"),
            (3, false, "c"),
            (3, false, ""),
            (5, true, "yz"),
            (6, false, "de"),
        ];
        assert_eq!(
            lines(&pieces),
            expected.map(|(event, error, text)| (event, error, text.to_string()))
        );
    }
}
