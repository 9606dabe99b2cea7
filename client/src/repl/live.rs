//! News at the prompt while it waits for a line: what other clients do to what is shared is told at once, above the line as far as it is
//! typed.
//!
//! The line editor has a printer for that; but while there is one, it overlooks keys that came in one piece.

use super::prompt::Prompt;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

/// A prompt that the terminal and the news share: whoever uses it has it locked.
pub(super) type Shared = Arc<Mutex<Prompt>>;

pub(super) fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The line as it stands on the screen; `None` while none is being typed. Locked by who writes to the screen below the editor, before the
/// prompt.
#[derive(Clone, Debug, Default)]
pub(super) struct Typed(Arc<Mutex<Option<Line>>>);

#[derive(Debug, Default)]
struct Line {
    prompt: String,
    text: String,
    /// The cursor's place, in bytes.
    at: usize,
    /// Of the screen.
    columns: usize,
}

impl Typed {
    /// A line is about to be typed.
    pub(super) fn begin(&self, prompt: &str, columns: usize) {
        *lock(&self.0) = Some(Line {
            prompt: prompt.to_owned(),
            columns,
            ..Line::default()
        });
    }

    /// This is typed by now.
    pub(super) fn set(&self, text: &str, at: usize) {
        if let Some(line) = &mut *lock(&self.0) {
            text.clone_into(&mut line.text);
            line.at = at;
        }
    }

    /// No line is being typed any more.
    pub(super) fn end(&self) {
        *lock(&self.0) = None;
    }
}

impl Line {
    /// What puts `news` above the line; `None` where the line has more than one row: where those are, the editor alone knows.
    fn below(&self, news: &str) -> Option<String> {
        let width = |text: &str| -> usize { text.chars().map(|c| if c.is_ascii() { 1 } else { 2 }).sum() };
        let Line { prompt, text, at, columns } = self;
        if width(prompt) + width(text) >= *columns || text.contains(|c: char| c.is_control()) {
            return None;
        }
        // From the first column, all that is below goes; then, as it was, with the cursor where it was.
        let (before, behind) = text.split_at_checked(*at)?;
        let back = if behind.is_empty() {
            String::new()
        } else {
            format!("\r{prompt}{before}")
        };
        Some(format!("\r\x1b[J{}{prompt}{text}{back}", news.replace('\n', "\r\n")))
    }
}

/// News is told as long as this is kept.
#[derive(Debug)]
pub(super) struct Live {
    _end: UnixStream,
}

impl Live {
    /// From now on news is told; `None` where that cannot be done: it is then told with the next line.
    pub(super) fn new(shared: &Shared, typed: &Typed) -> Option<Live> {
        let link = lock(shared).debugger().session().connection()?;
        let (end, ended) = UnixStream::pair().ok()?;
        let (shared, typed) = (Arc::clone(shared), typed.clone());
        thread::spawn(move || tell(&link, &ended, &shared, &typed));
        Some(Live { _end: end })
    }
}

fn tell(link: &OwnedFd, ended: &UnixStream, shared: &Shared, typed: &Typed) {
    let gone = PollFlags::POLLHUP | PollFlags::POLLERR | PollFlags::POLLNVAL;
    loop {
        let mut fds = [
            PollFd::new(link.as_fd(), PollFlags::POLLIN),
            PollFd::new(ended.as_fd(), PollFlags::POLLIN),
        ];
        match poll(&mut fds, PollTimeout::NONE) {
            Err(nix::errno::Errno::EINTR) => continue,
            Err(_) => return,
            Ok(_) => {}
        }
        let [events, over] = fds.map(|fd| fd.revents().unwrap_or(PollFlags::empty()));
        let typed = lock(&typed.0);
        // A line that is typed is told its news with what comes of it.
        let Some(line) = typed.as_ref().filter(|line| over.is_empty() && line.below("").is_some()) else {
            return;
        };
        let mut prompt = lock(shared);
        let news = prompt.debugger().catch_up();
        let shown = line.below(&news).filter(|_| !news.is_empty());
        if let Some(shown) = shown {
            let mut out = io::stdout().lock();
            if out.write_all(shown.as_bytes()).and_then(|()| out.flush()).is_err() {
                return;
            }
        }
        if events.intersects(gone) || !prompt.debugger().session().is_connected() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_stands_below_the_news_as_it_was() {
        let line = |text: &str, at| Line {
            prompt: "(1)$ ".into(),
            text: text.into(),
            at,
            columns: 20,
        };
        assert_eq!(line("ab", 2).below("n\n").unwrap(), "\r\x1b[Jn\r\n(1)$ ab");
        assert_eq!(line("ab", 1).below("").unwrap(), "\r\x1b[J(1)$ ab\r(1)$ a");
        assert_eq!(line("0123456789abcdef", 0).below(""), None);
    }
}
