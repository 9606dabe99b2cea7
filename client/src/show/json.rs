//! Results as JSON: one object a command, one a line.

use crate::commands::Outcome;
use rdb_protocol::client::{FailureCode, Printed, Stop, ValueChange};
use rdb_protocol::{Frame, StopKind};
use serde::Serialize;

#[derive(Debug, Serialize)]
struct Line<'a> {
    cmd: &'a str,
    ok: bool,
    time: u64,
    stop: Option<JsonStop<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    frames: Option<Vec<JsonFrame<'a>>>,
    text: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    news: &'a str,
    error: Option<JsonError<'a>>,
}

#[derive(Debug, Serialize)]
struct JsonStop<'a> {
    reason: &'static str,
    /// Behind the stop point of this time; absent at the stop point itself.
    #[serde(skip_serializing_if = "is_zero")]
    instruction: u64,
    file: Option<&'a str>,
    line: Option<u32>,
    function: Option<&'a str>,
    kind: Option<&'static str>,
    thread: Option<u32>,
    breakpoints: &'a [u32],
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<&'a str>,
    #[serde(skip_serializing_if = "<[ValueChange]>::is_empty")]
    changes: &'a [ValueChange],
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    notes: &'a [String],
    #[serde(skip_serializing_if = "<[Printed]>::is_empty")]
    printed: &'a [Printed],
}

#[derive(Debug, Serialize)]
struct JsonFrame<'a> {
    file: &'a str,
    line: u32,
    function: &'a str,
    /// The same as long as the call lasts.
    id: String,
}

#[derive(Debug, Serialize)]
struct JsonError<'a> {
    code: &'a str,
    text: &'a str,
}

/// The object for `outcome`, without the newline.
///
/// # Errors
/// None in practice: every value has a JSON form.
pub fn line(cmd: &str, outcome: &Outcome) -> serde_json::Result<String> {
    serde_json::to_string(&Line {
        cmd,
        ok: outcome.ok(),
        time: outcome.time.0,
        stop: outcome.stop.as_ref().map(stop),
        frames: outcome.frames.as_ref().map(|all| all.iter().map(frame).collect()),
        text: outcome.text.trim_end_matches('\n'),
        news: &outcome.news,
        error: outcome.error.as_ref().map(|e| JsonError {
            code: e.code,
            text: &e.text,
        }),
    })
}

fn stop(stop: &Stop) -> JsonStop<'_> {
    let at = stop.location.as_ref();
    JsonStop {
        reason: stop.reason.name(),
        instruction: stop.instruction,
        file: at.map(|l| l.file.as_str()),
        line: at.map(|l| l.line),
        function: at.map(|l| l.function.as_str()),
        kind: at.map(|l| kind(l.kind)),
        thread: at.map(|l| l.thread),
        breakpoints: &stop.breakpoints,
        value: stop.value.as_deref(),
        changes: &stop.changes,
        notes: &stop.notes,
        printed: &stop.printed,
    }
}

fn frame(frame: &Frame) -> JsonFrame<'_> {
    JsonFrame {
        file: &frame.file,
        line: frame.line,
        function: &frame.function,
        id: format!("{:x}.{:x}", frame.activation.frame, frame.activation.code),
    }
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde's interface
fn is_zero(number: &u64) -> bool {
    *number == 0
}

fn kind(kind: StopKind) -> &'static str {
    match kind {
        StopKind::Line => "line",
        StopKind::Return => "return",
        StopKind::Yield => "yield",
        StopKind::Unwind => "unwind",
        StopKind::Instruction => "instruction",
    }
}

/// The stable name of a failure.
#[must_use]
pub fn code(code: FailureCode) -> &'static str {
    match code {
        FailureCode::Trace => "trace",
        FailureCode::NoStopPoints => "no_stop_points",
        FailureCode::Invalid => "invalid",
        FailureCode::Interrupted => "interrupted",
        FailureCode::Divergence => "divergence",
        FailureCode::ReplayDied => "replay_died",
        FailureCode::Deadline => "deadline",
        FailureCode::Protocol => "protocol",
        FailureCode::Internal => "internal",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::Refusal;
    use rdb_protocol::client::StopReason;
    use rdb_protocol::{Direction, Location, Time};

    #[test]
    fn the_shape_is_stable() {
        let location = Location {
            file: "x.py".into(),
            line: 7,
            function: "f".into(),
            kind: StopKind::Line,
            thread: 0,
        };
        let stop = Stop {
            reason: StopReason::Breakpoint,
            time: Time(3),
            instruction: 0,
            location: Some(location),
            breakpoints: vec![1],
            direction: Direction::Backward,
            value: None,
            changes: Vec::new(),
            notes: vec![],
            printed: vec![],
        };
        let outcome = Outcome {
            time: Time(3),
            stop: Some(stop),
            text: "t\n".into(),
            ..Outcome::default()
        };
        assert_eq!(
            line("bc", &outcome).unwrap(),
            r#"{"cmd":"bc","ok":true,"time":3,"stop":{"reason":"breakpoint","file":"x.py","line":7,"function":"f","kind":"line","thread":0,"breakpoints":[1]},"text":"t","error":null}"#
        );
        let refused = Outcome {
            error: Some(Refusal {
                code: "invalid",
                text: "no \"b\"".into(),
            }),
            ..Outcome::default()
        };
        assert_eq!(
            line("x", &refused).unwrap(),
            r#"{"cmd":"x","ok":false,"time":0,"stop":null,"text":"","error":{"code":"invalid","text":"no \"b\""}}"#
        );
    }
}
