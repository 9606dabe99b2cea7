//! The one mouth of a connection: responses of its two threads, and what other sessions have to tell.

use crate::audience::Post;
use crate::link::Link;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rdb_protocol::client::{Failure, FromDaemon, Notification, Reply, Response};
use rdb_protocol::frame;
use std::io;
use std::mem::discriminant;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

/// A frame up to this length fits into what a socket has free when it says that it can be written to (three quarters of its buffer).
const ROOM: usize = 32 << 10;

/// A client that is gone is noticed by the reader, not here.
#[derive(Debug)]
pub(crate) struct Writer {
    link: Mutex<Link>,
    /// To know whether the client takes what it is sent.
    stream: UnixStream,
    /// Not delivered yet: one of a kind, in the order of their coming.
    news: Mutex<Vec<Notification>>,
}

impl Writer {
    /// Over a connected socket.
    pub(crate) fn new(stream: UnixStream) -> io::Result<Writer> {
        Ok(Writer {
            link: Mutex::new(Link::new(stream.try_clone()?)),
            stream,
            news: Mutex::default(),
        })
    }

    /// Answers a request, after all news that came before.
    pub(crate) fn respond(&self, id: u64, result: Result<Reply, Failure>) {
        let mut link = self.lock();
        let news = std::mem::take(&mut *self.news());
        for notification in news {
            send(&mut link, &FromDaemon::Notification(notification));
        }
        send(&mut link, &FromDaemon::Response(Response { id, result }));
        drop(link);
        self.deliver();
    }

    /// Says something about the request under way.
    pub(crate) fn tell(&self, notification: Notification) {
        send(&mut self.lock(), &FromDaemon::Notification(notification));
        self.deliver();
    }

    /// Sends news as far as that can be done without waiting. Where somebody else is writing, that one delivers it: everybody who has
    /// written comes here afterwards.
    fn deliver(&self) {
        loop {
            let mut link = match self.link.try_lock() {
                Ok(link) => link,
                Err(TryLockError::Poisoned(e)) => e.into_inner(),
                Err(TryLockError::WouldBlock) => return,
            };
            let mut news = self.news();
            let message = news.first().cloned().map(FromDaemon::Notification);
            let Some(message) = message.filter(|m| self.has_room() && is_short(m)) else {
                // In this order: whoever adds news from now on finds the link free.
                drop(link);
                drop(news);
                return;
            };
            news.remove(0);
            drop(news);
            send(&mut link, &message);
        }
    }

    fn has_room(&self) -> bool {
        let mut fds = [PollFd::new(self.stream.as_fd(), PollFlags::POLLOUT)];
        poll(&mut fds, PollTimeout::ZERO).is_ok_and(|n| n > 0)
    }

    fn lock(&self) -> MutexGuard<'_, Link> {
        self.link.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn news(&self) -> MutexGuard<'_, Vec<Notification>> {
        self.news.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Post for Writer {
    fn notify(&self, notification: Notification) {
        let mut news = self.news();
        news.retain(|n| discriminant(n) != discriminant(&notification));
        news.push(notification);
        drop(news);
        self.deliver();
    }
}

fn is_short(message: &FromDaemon) -> bool {
    frame::encode(message).is_ok_and(|bytes| bytes.len() <= ROOM)
}

fn send(link: &mut Link, message: &FromDaemon) {
    if link.send(message).is_err() {
        // Half a frame may be out: nothing sensible can follow it.
        link.shut();
    }
}
