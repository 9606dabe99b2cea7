//! A line about the progress of a long request.

use super::count::grouped;
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
            let style = ProgressStyle::with_template("({human_pos} of {human_len}, {msg}) {wide_bar} {percent}%, Ctrl-C to stop");
            bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        });
        bar.set_length(total);
        bar.set_position(done);
        bar.set_message(pace(done, total, self.began.elapsed()));
    }
}

/// How fast it was so far, and how long the rest takes at that rate.
fn pace(done: u64, total: u64, elapsed: Duration) -> String {
    let milliseconds = elapsed.as_millis().max(1);
    let rate = u64::try_from(u128::from(done) * 1000 / milliseconds).unwrap_or(u64::MAX);
    if done == 0 {
        return format!("{}/s", grouped(rate));
    }
    let left = u128::from(total.saturating_sub(done)) * milliseconds / u128::from(done) / 1000;
    let left = match left {
        0..60 => format!("{left}s"),
        60..3600 => format!("{}m {}s", left / 60, left % 60),
        _ => format!("{}h {}m", left / 3600, left / 60 % 60),
    };
    format!("{}/s, {left} left", grouped(rate))
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pace_is_that_so_far() {
        let pace = |done, total, seconds| pace(done, total, Duration::from_secs(seconds));
        assert_eq!(pace(0, 100, 1), "0/s");
        assert_eq!(pace(4_000, 10_000, 2), "2,000/s, 3s left");
        assert_eq!(pace(1, 1_000, 1), "1/s, 16m 39s left");
        assert_eq!(pace(1, 10_000, 1), "1/s, 2h 46m left");
        assert_eq!(pace(12, 10, 1), "12/s, 0s left");
    }
}
