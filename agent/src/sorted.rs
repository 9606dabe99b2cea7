//! Sorting where few things are sorted: by the heap, whose code is a tenth of that of `slice::sort_unstable`, once for each type.

use alloc::collections::BinaryHeap;
use alloc::vec::Vec;

/// Ascending.
#[must_use]
pub fn sorted<T: Ord>(all: Vec<T>) -> Vec<T> {
    BinaryHeap::from(all).into_sorted_vec()
}
