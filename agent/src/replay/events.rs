//! The events of the log under replay.
//!
//! # Safety
//! This room may use `unsafe` to lend events for longer than the borrow of the reader: the handlers that act on an event change the agent's
//! state, of which the reader is a part, and many never return. An event stays as it is until the event after it is asked for, see
//! [`Events::peek`]; nobody keeps one longer, for each handler passes its event and then goes to `schedule::next`, which asks.
#![allow(unsafe_code)]

use rdb_trace::{Event, Opened, Reader, RecordError};

/// A reader of the mapped log. Forks share nothing of it but pages.
#[derive(Debug)]
pub struct Events(Reader<&'static [u8]>);

impl Events {
    /// Over an opened log and its file's bytes, up to the end of the sealed chunks.
    #[must_use]
    pub fn new(opened: Opened, file: &'static [u8]) -> Events {
        Events(Reader::new(opened, file))
    }

    /// Over nothing.
    #[must_use]
    pub fn none() -> Events {
        Events(Reader::empty(&[]))
    }

    /// Ordinal of the next event.
    #[must_use]
    pub fn index(&self) -> u64 {
        self.0.index()
    }

    /// The next event, which is lent until it was passed and the one after it is asked for.
    ///
    /// # Errors
    /// [`RecordError`].
    pub fn peek(&mut self) -> Result<Option<Event<'static>>, RecordError> {
        let event = self.0.peek()?;
        // SAFETY: the reader keeps the bytes of an event until it decodes the next, which it does here only; the callers follow the
        // contract above.
        Ok(event.map(|e| unsafe { core::mem::transmute::<Event<'_>, Event<'static>>(e) }))
    }

    /// Passes the next event. There is one, for it was looked at.
    pub fn pass(&mut self) {
        let _ = self.0.next();
    }
}
