//! Who is told what others do: the sessions that share something.

use rdb_protocol::client::Notification;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// A client's letter box. Never waits for the client: the one who writes is at work for another.
pub(crate) trait Post: Send + Sync {
    /// Takes a notification; only the latest of a kind may be delivered.
    fn notify(&self, notification: Notification);
}

/// Sessions, by number. Those that are gone are forgotten.
#[derive(Default)]
pub(crate) struct Audience(Mutex<Vec<(u64, Weak<dyn Post>)>>);

impl Audience {
    /// From now on this session is told.
    pub(crate) fn join(&self, session: u64, post: &Arc<dyn Post>) {
        self.members().push((session, Arc::downgrade(post)));
    }

    /// Tells all but one. `notification` is made only where somebody is there.
    pub(crate) fn tell_others(&self, session: u64, notification: impl FnOnce() -> Notification) {
        let mut members = self.members();
        members.retain(|m| m.1.strong_count() > 0);
        let others: Vec<_> = members.iter().filter(|m| m.0 != session).filter_map(|m| m.1.upgrade()).collect();
        drop(members);
        if others.is_empty() {
            return;
        }
        let notification = notification();
        others.iter().for_each(|post| post.notify(notification.clone()));
    }

    fn members(&self) -> MutexGuard<'_, Vec<(u64, Weak<dyn Post>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Audience {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Audience({})", self.members().len())
    }
}
