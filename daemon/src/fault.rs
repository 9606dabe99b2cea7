//! What can go wrong below a session, and what a client is told of it.

use rdb_protocol::Time;
use rdb_protocol::client::{Failure, FailureCode};
use rdb_protocol::replay::Divergence;
use std::io;
use std::time::Duration;
use thiserror::Error;

/// Number of a checkpoint, never reused within a session.
pub(crate) type CheckpointId = u64;

/// Why a replay process or the tree of them could not do something.
#[derive(Debug, Error)]
pub(crate) enum Fault {
    /// The process closed its link: it crashed, or someone killed it.
    #[error("replay process died: {last_words}")]
    Died {
        /// Last line of its standard error.
        last_words: String,
        /// The checkpoint it was copied from, when it was.
        origin: Option<CheckpointId>,
    },
    /// The replay differs from the recording.
    #[error("replay differs from the recording at event {}, thread {}: expected {}, got {}{}", .0.event, .0.thread, .0.expected, .0.actual, before(.0))]
    Diverged(Divergence),
    /// A probe took too long and was killed.
    #[error("no answer within {:?}: the evaluation was killed; the recording and the cursor are unharmed", .0)]
    Deadline(Duration),
    /// The client asked to stop.
    #[error("interrupted; the cursor has not moved")]
    Interrupted,
    /// The process refused the order.
    #[error("{0}")]
    Refused(String),
    /// The process answered something else than was asked.
    #[error("replay process broke the protocol: {0}")]
    Garbled(String),
    /// The system refused.
    #[error("{doing}: {source}")]
    System {
        /// What was being done.
        doing: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
    /// Already in the client's words.
    #[error("{}", .0.text)]
    Told(Failure),
}

/// What there is to see of a recording that the replay leaves.
fn before(divergence: &Divergence) -> String {
    match divergence.time {
        Time::BEGIN => String::new(),
        time => format!("; up to time {time} all is as recorded: `go {time}` leads there"),
    }
}

impl Fault {
    /// A fault in the client's words.
    pub(crate) fn told(code: FailureCode, text: impl Into<String>) -> Fault {
        Fault::Told(Failure { code, text: text.into() })
    }

    /// For `map_err`: a system call failed.
    pub(crate) fn system<E: Into<io::Error>>(doing: &'static str) -> impl FnOnce(E) -> Fault {
        move |source| Fault::System {
            doing,
            source: source.into(),
        }
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Failure {
        let code = match &fault {
            Fault::Died { .. } => FailureCode::ReplayDied,
            Fault::Diverged(_) => FailureCode::Divergence,
            Fault::Deadline(_) => FailureCode::Deadline,
            Fault::Interrupted => FailureCode::Interrupted,
            Fault::Refused(_) => FailureCode::Invalid,
            Fault::Garbled(_) | Fault::System { .. } => FailureCode::Internal,
            Fault::Told(failure) => failure.code,
        };
        Failure {
            code,
            text: one_line(&fault.to_string()),
        }
    }
}

/// What another program said, fit for one line of ours.
fn one_line(text: &str) -> String {
    text.split('\n')
        .map(str::trim)
        .filter(|l| !l.is_empty())
        .collect::<Vec<_>>()
        .join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use rdb_protocol::EventIndex;

    #[test]
    fn a_divergence_is_one_line_with_all_four_facts() {
        let d = Divergence {
            event: EventIndex(9),
            time: Time(7),
            thread: 2,
            expected: "read(3)".into(),
            actual: "write(1)\nat 0x12".into(),
        };
        let f = Failure::from(Fault::Diverged(d));
        assert_eq!(f.code, FailureCode::Divergence);
        assert_eq!(
            f.text,
            "replay differs from the recording at event 9, thread 2: expected read(3), got write(1); at 0x12; \
             up to time 7 all is as recorded: `go 7` leads there"
        );
    }
}
