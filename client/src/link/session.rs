//! A session that survives the daemon: it knows what must be brought back, and does so before the next request.

use super::client::{CallError, Client};
use super::daemon::Launcher;
use super::interrupt::Interrupter;
use super::news::News;
use crate::Fault;
use rdb_protocol::client::{BreakpointInfo, Change, Failure, FailureCode, Moment, Notification, Stop, StopReason, Target, Watch};
use rdb_protocol::{BreakpointPlace, Time};
use std::collections::BTreeMap;

/// Why a request has no reply.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The daemon said no; nothing moved.
    #[error("{}", .0.text)]
    Refused(Failure),
    /// The daemon died, or cannot be reached; the next request tries again.
    #[error("{0}")]
    Gone(String),
}

/// A trace opened for a front end.
#[derive(Debug)]
pub struct Session {
    launcher: Launcher,
    trace: String,
    /// The cursor shared with others.
    cursor: Option<String>,
    progress: bool,
    interrupter: Interrupter,
    client: Option<Client>,
    moment: Moment,
    breakpoints: BTreeMap<u32, BreakpointInfo>,
    /// They are saved with the trace.
    keeping: bool,
    /// Where no step ends.
    skip: Vec<String>,
    news: Vec<News>,
}

impl Session {
    /// Opens `trace` (absolute) and stands at its first stop point.
    ///
    /// # Errors
    /// [`Fault`]: no daemon, or it refuses the trace.
    pub fn open(launcher: Launcher, trace: String, progress: bool) -> Result<(Session, Stop), Fault> {
        Session::open_at(launcher, trace, None, progress)
    }

    /// The same at a cursor shared with all clients that name it; stands where it stands.
    ///
    /// # Errors
    /// [`Fault`]: no daemon, or it refuses the trace.
    pub fn open_at(launcher: Launcher, trace: String, cursor: Option<String>, progress: bool) -> Result<(Session, Stop), Fault> {
        let mut session = Session {
            launcher,
            trace,
            cursor,
            progress,
            interrupter: Interrupter::default(),
            client: None,
            moment: Moment::default(),
            breakpoints: BTreeMap::new(),
            keeping: false,
            skip: Vec::new(),
            news: Vec::new(),
        };
        let mut client = session.launcher.connect(&session.interrupter)?;
        client.show_progress(progress);
        let stop = client.open_at(&session.trace, session.cursor.as_deref()).map_err(|e| match e {
            CallError::Refused(failure) => Fault::new(failure.text),
            CallError::Gone(e) => Fault::new(format!("the daemon is gone: {e}")),
            CallError::Mismatch => Fault::new(e.to_string()),
        })?;
        session.client = Some(client);
        session.moment = stop.moment();
        Ok((session, stop))
    }

    /// Aborts this session's requests, from any thread.
    #[must_use]
    pub fn interrupter(&self) -> Interrupter {
        self.interrupter.clone()
    }

    /// The time stood at.
    #[must_use]
    pub fn time(&self) -> Time {
        self.moment.time
    }

    /// The same, between stop points with the instruction.
    #[must_use]
    pub fn moment(&self) -> Moment {
        self.moment
    }

    /// Makes one request. A connection that was lost is made again first, and everything is put back.
    ///
    /// # Errors
    /// [`SessionError`].
    pub fn call<T>(&mut self, request: impl FnOnce(&mut Client) -> Result<T, CallError>) -> Result<T, SessionError> {
        let mut client = match self.client.take() {
            Some(client) => client,
            None => self.restore()?,
        };
        let result = request(&mut client);
        let heard = client.heard();
        let closing = heard.contains(&Notification::Closing);
        heard.into_iter().for_each(|news| self.hear(news));
        match result {
            Ok(reply) => {
                self.client = Some(client);
                Ok(reply)
            }
            Err(CallError::Refused(failure)) => {
                self.client = Some(client);
                Err(SessionError::Refused(failure))
            }
            Err(CallError::Gone(e)) => {
                // Said here.
                self.news.retain(|n| *n != News::Closing);
                let why = if closing { "it was told to end".to_owned() } else { e.to_string() };
                Err(SessionError::Gone(format!(
                    "the daemon is gone ({why}); nothing is lost: the next command starts it again and returns to time {}",
                    self.moment
                )))
            }
            Err(e @ CallError::Mismatch) => Err(SessionError::Gone(format!("{e}; the next command connects anew"))),
        }
    }

    /// Makes a request that moves.
    ///
    /// # Errors
    /// [`SessionError`].
    pub fn travel(&mut self, request: impl FnOnce(&mut Client) -> Result<Stop, CallError>) -> Result<Stop, SessionError> {
        let stop = self.call(request)?;
        self.moment = stop.moment();
        for news in &mut self.news {
            if let News::Moved { superseded, .. } = news {
                *superseded = stop.reason != StopReason::Here;
            }
        }
        if matches!(stop.reason, StopReason::Breakpoint | StopReason::Watchpoint) {
            self.breakpoints.retain(|id, b| !b.temporary || !stop.breakpoints.contains(id));
            // Temporary ones that are gone by this very move.
            self.own(|id, deleted| deleted && stop.breakpoints.contains(&id));
        }
        Ok(stop)
    }

    /// What other clients have done to what is shared with them since last asked, as far as it is known; waits for nothing.
    pub fn news(&mut self) -> Vec<News> {
        let heard = self.client.as_mut().map(Client::news).unwrap_or_default();
        heard.into_iter().for_each(|news| self.hear(news));
        if self.news.contains(&News::Closing) {
            // The next request need not find out.
            self.client = None;
        }
        std::mem::take(&mut self.news)
    }

    /// The connection, to wait on until there may be [news](Session::news); `None` without one.
    #[must_use]
    pub fn connection(&self) -> Option<std::os::fd::OwnedFd> {
        self.client.as_ref()?.socket().ok()
    }

    /// Whether there is a connection, as far as is known.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.client.is_some()
    }

    /// What others change is told with a list of all breakpoints, which may show what this session has just done itself: that is no news.
    /// `is_own` is given a number, and whether that breakpoint is gone.
    fn own(&mut self, is_own: impl Fn(u32, bool) -> bool) {
        self.news.retain_mut(|news| {
            let News::Breakpoints { set, changed, deleted } = news else {
                return true;
            };
            set.retain(|b| !is_own(b.id, false));
            changed.retain(|&id| !is_own(id, false));
            deleted.retain(|&id| !is_own(id, true));
            !(set.is_empty() && changed.is_empty() && deleted.is_empty())
        });
    }

    fn hear(&mut self, news: Notification) {
        let news = match news {
            Notification::Progress { .. } => return,
            Notification::Stopped(stop) => {
                self.moment = stop.moment();
                self.news.retain(|n| !matches!(n, News::Moved { .. }));
                News::Moved {
                    stop: Box::new(stop),
                    superseded: false,
                }
            }
            Notification::Breakpoints(all) => {
                let now = all.into_iter().map(|b| (b.id, b)).collect();
                let news = News::of_breakpoints(&self.breakpoints, &now);
                self.breakpoints = now;
                match news {
                    Some(news) => news,
                    None => return,
                }
            }
            Notification::Output(lines) => News::Output(lines),
            Notification::Bookmarks(all) => {
                self.news.retain(|n| !matches!(n, News::Bookmarks(_)));
                News::Bookmarks(all)
            }
            Notification::Closing => News::Closing,
        };
        self.news.push(news);
    }

    /// Goes on with the breakpoints saved with the trace, and saves them at each change; shares them with all clients that do.
    ///
    /// # Errors
    /// [`SessionError`].
    pub fn keep_breakpoints(&mut self) -> Result<&BTreeMap<u32, BreakpointInfo>, SessionError> {
        let all = self.call(Client::keep_breakpoints)?;
        self.keeping = true;
        self.breakpoints = all.into_iter().map(|b| (b.id, b)).collect();
        Ok(&self.breakpoints)
    }

    /// A breakpoint, as it was set and changed from here.
    #[must_use]
    pub fn breakpoint(&self, id: u32) -> Option<&BreakpointInfo> {
        self.breakpoints.get(&id)
    }

    /// Sets a breakpoint, with the request given. `here` is the file stood in, for a line without a file.
    ///
    /// # Errors
    /// [`SessionError`].
    pub fn set(
        &mut self,
        here: Option<&str>,
        request: impl FnOnce(&mut Client) -> Result<BreakpointInfo, CallError>,
    ) -> Result<BreakpointInfo, SessionError> {
        let info = self.call(request)?;
        self.own(|id, _| id == info.id);
        let mut kept = info.clone();
        if let (BreakpointPlace::Line { file, .. }, Some(here)) = (&mut kept.place, here)
            && file.is_empty()
        {
            here.clone_into(file);
        }
        self.breakpoints.insert(info.id, kept);
        Ok(info)
    }

    /// Sets a watchpoint.
    ///
    /// # Errors
    /// [`SessionError`].
    pub fn watch(&mut self, watch: &Watch, temporary: bool) -> Result<BreakpointInfo, SessionError> {
        let info = self.call(|c| c.watch(watch.clone(), temporary))?;
        self.own(|id, _| id == info.id);
        self.breakpoints.insert(info.id, info.clone());
        Ok(info)
    }

    /// Where no step ends: patterns of files and modules.
    #[must_use]
    pub fn skipped(&self) -> &[String] {
        &self.skip
    }

    /// Replaces the patterns of files and modules where no step is to end. Those that match no file are returned.
    ///
    /// # Errors
    /// [`SessionError`].
    pub fn skip(&mut self, patterns: Vec<String>) -> Result<Vec<String>, SessionError> {
        let useless = self.call(|c| c.skip(&patterns))?;
        self.skip = patterns;
        Ok(useless)
    }

    /// The breakpoints that are deleted when they stop a move.
    #[must_use]
    pub fn temporary(&self) -> Vec<u32> {
        self.breakpoints.values().filter(|b| b.temporary).map(|b| b.id).collect()
    }

    /// The breakpoint set last, of those that are left.
    #[must_use]
    pub fn last_breakpoint(&self) -> Option<u32> {
        self.breakpoints.keys().next_back().copied()
    }

    /// The breakpoints that have commands, with these.
    #[must_use]
    pub fn commands(&self) -> Vec<(u32, Vec<String>)> {
        let having = self.breakpoints.values().filter(|b| !b.commands.is_empty());
        having.map(|b| (b.id, b.commands.clone())).collect()
    }

    /// Changes one breakpoint, or all.
    ///
    /// # Errors
    /// [`SessionError`].
    pub fn change(&mut self, id: Option<u32>, change: Change) -> Result<(), SessionError> {
        self.call(|c| c.change(id, change.clone()))?;
        self.own(|own, _| id.is_none_or(|id| id == own));
        for kept in self.breakpoints.values_mut().filter(|b| id.is_none_or(|id| b.id == id)) {
            match &change {
                Change::Condition(condition) => kept.condition.clone_from(condition),
                Change::Ignore(count) => kept.ignore = *count,
                Change::Enabled(enabled) => kept.enabled = *enabled,
                Change::Commands(commands) => kept.commands.clone_from(commands),
            }
        }
        Ok(())
    }

    /// Deletes one breakpoint, or all.
    ///
    /// # Errors
    /// [`SessionError`].
    pub fn delete(&mut self, id: Option<u32>) -> Result<(), SessionError> {
        self.call(|c| c.delete(id))?;
        self.own(|own, _| id.is_none_or(|id| id == own));
        match id {
            Some(id) => drop(self.breakpoints.remove(&id)),
            None => self.breakpoints.clear(),
        }
        Ok(())
    }

    fn restore(&mut self) -> Result<Client, SessionError> {
        let mut client = self
            .launcher
            .connect(&self.interrupter)
            .map_err(|e| SessionError::Gone(e.to_string()))?;
        client.show_progress(self.progress);
        self.put_back(&mut client).map_err(|e| match e {
            CallError::Refused(f) if f.code == FailureCode::Interrupted => SessionError::Refused(f),
            e => SessionError::Gone(format!("the session could not be put back: {e}")),
        })?;
        Ok(client)
    }

    fn put_back(&self, client: &mut Client) -> Result<(), CallError> {
        let stop = client.open_at(&self.trace, self.cursor.as_deref())?;
        let saved: Vec<u32> = match self.keeping {
            true => client.keep_breakpoints()?.iter().map(|b| b.id).collect(),
            false => Vec::new(),
        };
        for (wanted, kept) in self.breakpoints.iter().filter(|b| !saved.contains(b.0)) {
            // A new daemon counts from 1: the numbers of deleted breakpoints are used up again.
            loop {
                let (place, condition) = (kept.place.clone(), kept.condition.clone());
                let new = match &kept.action {
                    Some(action) => client.action(place, condition, action.clone())?.id,
                    None => client.break_(place, condition, kept.temporary)?.id,
                };
                if new >= *wanted {
                    break;
                }
                client.delete(Some(new))?;
            }
            if !kept.enabled {
                client.change(Some(*wanted), Change::Enabled(false))?;
            }
            if !kept.commands.is_empty() {
                client.change(Some(*wanted), Change::Commands(kept.commands.clone()))?;
            }
            // Hits passed over since are passed over again.
            if kept.ignore > 0 {
                client.change(Some(*wanted), Change::Ignore(kept.ignore))?;
            }
        }
        if !self.skip.is_empty() {
            client.skip(&self.skip)?;
        }
        // A shared cursor that stands elsewhere than at the start was brought back by another client.
        let there = self.cursor.is_some() && stop.time > Time(1);
        if stop.moment() != self.moment && !there {
            client.go(Target::from(self.moment))?;
        }
        Ok(())
    }
}
