//! What other clients have done, in words.

use super::debugger::Debugger;
use crate::link::News;
use crate::show::source::Sources;
use crate::show::text;

impl Debugger {
    /// Takes note of what other clients have done to what is shared with them; lines about it.
    pub fn catch_up(&mut self) -> String {
        let mut said = String::new();
        for news in self.session.news() {
            said.push_str(&describe(&news, &mut self.sources));
            if let News::Moved { stop, superseded: false } = news {
                (self.selected, self.looked_at) = (0, None);
                self.thread = stop.location.as_ref().map(|l| l.thread).or(self.thread);
                self.here = *stop;
            }
        }
        said
    }
}

fn describe(news: &News, sources: &mut Sources) -> String {
    match news {
        News::Moved { stop, superseded: false } => {
            format!(
                "another client moved the cursor to time {}:\n{}",
                stop.moment(),
                text::stop(stop, false, sources)
            )
        }
        News::Moved { stop, .. } => format!("note: another client had moved the cursor to time {} before\n", stop.moment()),
        News::Breakpoints { set, changed, deleted } => {
            let set = set
                .iter()
                .map(|b| format!("set breakpoint {} {}", b.id, text::place(&b.place, sources)));
            let changed = changed.iter().map(|id| format!("changed breakpoint {id}"));
            let deleted = deleted.iter().map(|id| format!("deleted breakpoint {id}"));
            let all = set.chain(changed).chain(deleted);
            all.map(|what| format!("note: another client {what}\n")).collect()
        }
        News::Output(lines) => format!("the program printed on the way:\n{}", super::facts::output(lines)),
        News::Bookmarks(_) => "note: another client changed the bookmarks (info marks)\n".into(),
        News::Closing => "note: the daemon was told to end; the next command starts it again\n".into(),
    }
}
