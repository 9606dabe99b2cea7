//! Files in which no step ends. Which they are is found out from patterns, and pure.

use crate::ahead::Ahead;
use crate::behind::Behind;
use crate::fault::Fault;
use crate::moves::FIRST;
use crate::progress::Task;
use crate::timeline::Timeline;
use rdb_protocol::client::StopReason;
use rdb_protocol::{BreakpointPlace, Direction, SourceFile};

impl Timeline {
    /// So many steps, none of which ends in a file to be skipped.
    pub(crate) fn times(
        &mut self,
        count: u64,
        direction: Direction,
        task: &mut Task<'_>,
        mut step: impl FnMut(&mut Timeline, u64, &mut Task<'_>) -> Result<StopReason, Fault>,
    ) -> Result<StopReason, Fault> {
        if self.skipped.is_empty() {
            return step(self, count, task);
        }
        self.whole(|t| {
            let mut reason = StopReason::Step;
            for _ in 0..count {
                let ended = step(t, 1, task)?;
                reason = t.leave_skipped(ended, direction, task)?;
                if reason != StopReason::Step {
                    break;
                }
            }
            Ok(reason)
        })
    }

    /// A step has ended: where that is in a file to be skipped, goes on that way to the first stop point that is not.
    fn leave_skipped(&mut self, reason: StopReason, direction: Direction, task: &mut Task<'_>) -> Result<StopReason, Fault> {
        let skipped = self.here.location.as_ref().is_some_and(|l| self.skipped.contains(&l.file));
        if reason != StopReason::Step || !skipped {
            return Ok(reason);
        }
        let files = self.skipped.clone();
        self.marks.set_until(Some(BreakpointPlace::Outside { files }));
        let found = self.outside(direction, task);
        self.marks.set_until(None);
        found
    }

    fn outside(&mut self, direction: Direction, task: &mut Task<'_>) -> Result<StopReason, Fault> {
        let found = match direction {
            Direction::Forward => match self.ahead(None, task)? {
                Ahead::Breakpoint | Ahead::Own => true,
                Ahead::MainDone(time) => return self.arrive_at_main_done(time, task),
                Ahead::Nothing | Ahead::Lost => return self.arrive_at_end(task),
            },
            Direction::Backward => matches!(self.behind(None, task)?, Behind::Breakpoint | Behind::Own),
        };
        match found {
            true if self.here.breakpoints.is_empty() => Ok(StopReason::Step),
            true => Ok(StopReason::Breakpoint),
            false => {
                self.land(FIRST, task)?;
                Ok(StopReason::HistoryBegin)
            }
        }
    }
}

/// The files that one of the patterns matches.
pub(crate) fn matching(patterns: &[String], sources: &[SourceFile]) -> Vec<String> {
    let files = sources.iter().map(|s| &s.file);
    files.filter(|f| patterns.iter().any(|p| is_match(p, f))).cloned().collect()
}

/// Whether a file is meant by a pattern: the end of its path, or the module or package that it is of.
fn is_match(pattern: &str, file: &str) -> bool {
    if pattern.contains(['/', '*', '?', '<']) || pattern.ends_with(".py") {
        return is_glob(pattern, file) || file.match_indices('/').any(|(at, _)| is_glob(pattern, &file[at + 1..]));
    }
    let within = |module: &str| {
        module
            .strip_prefix(pattern)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    if let Some(frozen) = file.strip_prefix("<frozen ").and_then(|f| f.strip_suffix('>')) {
        return within(frozen);
    }
    let Some(path) = file.strip_suffix(".py") else { return false };
    let dotted = path.replace('/', ".");
    // `a.b` is a/b.py, or anything in the folder a/b.
    let mut starts = std::iter::once(0).chain(dotted.match_indices('.').map(|(at, _)| at + 1));
    starts.any(|at| within(&dotted[at..]))
}

/// `*` stands for any characters, `?` for one.
fn is_glob(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    let mut star = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(&c) if c == '?' || c == text[t] => (p, t) = (p + 1, t + 1),
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    (p, t) = (at + 1, from + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&c| c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_mean_files_and_modules() {
        assert!(is_match("x.py", "/a/x.py") && is_match("a/*.py", "/lib/a/b/x.py") && is_match("/lib/*", "/lib/x.py"));
        assert!(is_match("<frozen *>", "<frozen codecs>") && is_match("?.py", "x.py") && !is_match("x.py", "/a/yx.py"));
        assert!(is_match("json", "/lib/python3/json/decoder.py") && is_match("json.decoder", "/lib/json/decoder.py"));
        assert!(is_match("threading", "/lib/threading.py") && is_match("importlib", "<frozen importlib._bootstrap>"));
        assert!(!is_match("json", "/lib/jsonx.py") && !is_match("json", "/lib/myjson.py") && !is_match("json.x", "/lib/json/y.py"));
    }

    #[test]
    fn globs() {
        assert!(is_glob("*a*b", "xaxxb") && is_glob("", "") && is_glob("**", "") && !is_glob("a*b", "ac") && !is_glob("?", ""));
    }
}
