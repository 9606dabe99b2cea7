//! A line about the progress of a long request.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// Shorter requests show nothing.
const QUIET: Duration = Duration::from_millis(500);

/// The progress of one request, on stderr. Gone when dropped.
#[derive(Debug)]
pub struct Progress {
    wanted: bool,
    began: Instant,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Begins; nothing is shown unless `wanted`, and stderr is a terminal.
    #[must_use]
    pub fn new(wanted: bool) -> Progress {
        Progress {
            wanted: wanted && std::io::stderr().is_terminal(),
            began: Instant::now(),
            bar: None,
        }
    }

    /// `done` of `total` stop points are searched.
    pub fn at(&mut self, done: u64, total: u64) {
        if !self.wanted || self.began.elapsed() < QUIET {
            return;
        }
        let bar = self.bar.get_or_insert_with(|| {
            let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
            let style =
                ProgressStyle::with_template("({human_pos} of {human_len}, {per_sec}, {eta} left) {wide_bar} {percent}%, Ctrl-C to stop");
            bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        });
        bar.set_length(total);
        bar.set_position(done);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
