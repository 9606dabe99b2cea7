//! `list`.

use super::debugger::{Debugger, refused, said};
use super::grammar::ListRange;
use super::outcome::{Outcome, Refusal};
use crate::show::text;

const BEFORE: u32 = 8;
const AFTER: u32 = 5;

/// `listed` are the file and the last line shown, if that was the last command.
pub(super) fn list(debugger: &mut Debugger, range: ListRange, listed: Option<(String, u32)>) -> Outcome {
    let here = debugger.here.location.clone();
    let selected = selected(debugger);
    let current = selected.as_ref().map(|l| l.0.clone());
    let asked = match range {
        ListRange::Around(_, line) => Some(line),
        _ => None,
    };
    let (file, lines) = match range {
        ListRange::Here if let Some((file, last)) = listed => (Some(file), Some((last + 1, last + 1 + BEFORE + AFTER))),
        ListRange::Here => (None, selected.as_ref().map(|l| around(l.1))),
        ListRange::Around(file, line) => (file, Some(around(line))),
        ListRange::Lines(file, first, last) => (file, Some((first, last))),
        ListRange::Function(name) => match function(debugger, &name) {
            Some((file, line)) => (Some(file), Some(around(line))),
            None => return refused(Refusal::UNKNOWN, format!("no function {name} ran in this recording")),
        },
    };
    let Some((first, last)) = lines else {
        return refused(Refusal::SOURCE, "no source line is stood at".into());
    };
    let file = match file {
        Some(suffix) => full_name(debugger, &suffix, current.as_deref()),
        None => current.clone(),
    };
    let Some(file) = file else {
        return refused(Refusal::SOURCE, "no source file is stood in".into());
    };
    let marked = here.filter(|l| l.file == file).map(|l| (l.line, l.kind));
    match debugger.sources.lines(&file, first, last) {
        Ok(lines) if lines.is_empty() => refused(Refusal::SOURCE, format!("{file} has no line {}", asked.unwrap_or(first))),
        Ok(lines) => {
            let shown = first + u32::try_from(lines.len()).unwrap_or(0) - 1;
            debugger.listed = Some((file, shown));
            said(text::listing(&lines, first, marked))
        }
        Err(why) => refused(Refusal::SOURCE, why),
    }
}

/// The lines shown with one.
pub(super) fn around(line: u32) -> (u32, u32) {
    (line.saturating_sub(BEFORE).max(1), line.saturating_add(AFTER))
}

/// Where a function begins, known by its plain or qualified name.
fn function(debugger: &mut Debugger, name: &str) -> Option<(String, u32)> {
    let all = debugger.session.call(|c| c.sources()).unwrap_or_default();
    let is_it = |f: &&(String, u32)| f.0 == name || f.0.rsplit('.').next() == Some(name);
    all.iter()
        .find_map(|file| Some((file.file.clone(), file.functions.iter().find(is_it)?.1)))
}

/// File and line of the frame selected.
fn selected(debugger: &mut Debugger) -> Option<(String, u32)> {
    let (n, thread) = (debugger.selected, debugger.looked_at);
    if (n > 0 || thread.is_some())
        && let Ok(frames) = debugger.session.call(|c| c.backtrace(thread, n + 1))
        && let Some(frame) = frames.into_iter().nth(n as usize)
    {
        return Some((frame.file, frame.line));
    }
    debugger.here.location.as_ref().map(|l| (l.file.clone(), l.line))
}

/// The file a user names by the end of its path: the one stood in, one that lies there, one the program ran.
pub(super) fn full_name(debugger: &mut Debugger, suffix: &str, current: Option<&str>) -> Option<String> {
    if let Some(current) = current.filter(|c| ends_in(c, suffix)) {
        return Some(current.to_owned());
    }
    if debugger.sources.exists(suffix) {
        return Some(suffix.to_owned());
    }
    let all = debugger.session.call(|c| c.sources()).unwrap_or_default();
    Some(
        all.into_iter()
            .map(|f| f.file)
            .find(|f| ends_in(f, suffix))
            .unwrap_or_else(|| suffix.to_owned()),
    )
}

/// Whole components, upper and lower case alike.
pub(super) fn ends_in(path: &str, suffix: &str) -> bool {
    let mut theirs = path.rsplit('/');
    suffix
        .rsplit('/')
        .all(|part| theirs.next().is_some_and(|t| t.eq_ignore_ascii_case(part)))
}

#[cfg(test)]
mod tests {
    use super::ends_in;

    #[test]
    fn suffixes_are_whole_components() {
        assert!(ends_in("/a/b/X.py", "x.py") && ends_in("/a/b/x.py", "B/x.py") && ends_in("x.py", "x.py"));
        assert!(!ends_in("/a/b/ax.py", "x.py") && !ends_in("x.py", "b/x.py"));
    }
}
