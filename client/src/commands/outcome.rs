//! What came of a command.

use rdb_protocol::client::{Stop, StopReason};
use rdb_protocol::{Frame, Time};

/// The result of one command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The time stood at afterwards.
    pub time: Time,
    /// For a command that moves (or asks where): the stop.
    pub stop: Option<Stop>,
    /// For a command that shows the stack: its frames, innermost first.
    pub frames: Option<Vec<Frame>>,
    /// For the user, lines.
    pub text: String,
    /// What other clients have done in the meantime, lines.
    pub news: String,
    /// Why it was not done, or that the answer is negative.
    pub error: Option<Refusal>,
    /// The command language is to be left.
    pub quit: bool,
}

impl Outcome {
    /// Whether it was done, and the answer is not negative.
    #[must_use]
    pub fn ok(&self) -> bool {
        self.error.is_none()
    }
}

/// A command that said no.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// For programs; stable.
    pub code: &'static str,
    /// For people, one line.
    pub text: String,
}

impl Refusal {
    /// The line is no command.
    pub const SYNTAX: &'static str = "syntax";
    /// The evaluated code raised.
    pub const EVALUATION: &'static str = "evaluation";
    /// There is no frame, bookmark, function of that name.
    pub const UNKNOWN: &'static str = "unknown";
    /// The daemon is gone.
    pub const GONE: &'static str = "daemon_gone";
    /// A source file that cannot be shown.
    pub const SOURCE: &'static str = "source";

    /// Whether it says where the history ends: an answer like any other.
    #[must_use]
    pub fn is_negative(&self) -> bool {
        [StopReason::HistoryBegin, StopReason::HistoryEnd]
            .iter()
            .any(|r| r.name() == self.code)
    }

    /// Whether it is a fault of ours rather than an answer.
    #[must_use]
    pub fn is_fault(&self) -> bool {
        self.code == Refusal::GONE
    }
}
