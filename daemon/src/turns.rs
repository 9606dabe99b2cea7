//! Something that several clients use one after the other, in the order in which they came.
//!
//! Not a plain mutex: a client that waits may be interrupted, or go.

use crate::fault::Fault;
use crate::interrupt::Interrupt;
use std::collections::VecDeque;
use std::ops::{Deref, DerefMut};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How often one who waits looks whether to go on waiting.
const GLANCE: Duration = Duration::from_millis(20);

/// The thing and those who want it.
#[derive(Debug)]
pub(crate) struct Turns<T> {
    queue: Mutex<Queue>,
    changed: Condvar,
    value: Mutex<T>,
}

#[derive(Debug, Default)]
struct Queue {
    last: u64,
    /// The first has it, or is about to.
    numbers: VecDeque<u64>,
}

impl<T> Turns<T> {
    /// Nobody has it yet.
    pub(crate) fn new(value: T) -> Turns<T> {
        Turns {
            queue: Mutex::default(),
            changed: Condvar::new(),
            value: Mutex::new(value),
        }
    }

    /// Waits for one's turn; fails when interrupted.
    pub(crate) fn take(&self, interrupt: &Interrupt) -> Result<Turn<'_, T>, Fault> {
        let mut queue = self.queue();
        queue.last += 1;
        let number = queue.last;
        queue.numbers.push_back(number);
        // From here on given up however this ends; never while the queue is locked.
        let place = Place { turns: self, number };
        while queue.numbers.front() != Some(&number) {
            queue = self.changed.wait_timeout(queue, GLANCE).unwrap_or_else(PoisonError::into_inner).0;
            drop(queue);
            interrupt.check()?;
            queue = self.queue();
        }
        drop(queue);
        Ok(Turn {
            value: self.value.lock().unwrap_or_else(PoisonError::into_inner),
            _place: place,
        })
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One's turn, until dropped.
pub(crate) struct Turn<'a, T> {
    // First: whoever is next must find it free.
    value: MutexGuard<'a, T>,
    _place: Place<'a, T>,
}

impl<T> Deref for Turn<'_, T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> DerefMut for Turn<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

/// A place in the queue.
struct Place<'a, T> {
    turns: &'a Turns<T>,
    number: u64,
}

impl<T> Drop for Place<'_, T> {
    fn drop(&mut self) {
        let number = self.number;
        self.turns.queue().numbers.retain(|&n| n != number);
        self.turns.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn waiting(turns: &Turns<Vec<u32>>) -> usize {
        turns.queue().numbers.len()
    }

    #[test]
    fn they_come_in_order_and_one_who_gives_up_is_passed_over() {
        let turns = Arc::new(Turns::new(Vec::new()));
        let first = turns.take(&Interrupt::default()).unwrap();
        let impatient = Arc::new(Interrupt::default());
        let mut threads = Vec::new();
        for n in 0..5 {
            let (turns, interrupt) = (Arc::clone(&turns), Arc::clone(&impatient));
            let before = waiting(&turns);
            let all = Arc::clone(&turns);
            threads.push(std::thread::spawn(move || {
                let own = Interrupt::default();
                let taken = turns.take(if n == 2 { &interrupt } else { &own });
                taken.map(|mut t| t.push(n)).is_ok()
            }));
            while waiting(&all) == before {
                std::thread::yield_now();
            }
        }
        impatient.close();
        let gave_up = threads.remove(2);
        assert!(!gave_up.join().unwrap(), "while another has it");
        drop(first);
        assert!(threads.into_iter().all(|t| t.join().unwrap()));
        assert_eq!(*turns.take(&Interrupt::default()).unwrap(), [0, 1, 3, 4]);
        assert_eq!(waiting(&turns), 0);
    }
}
