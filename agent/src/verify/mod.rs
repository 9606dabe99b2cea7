//! The judge of exactness: hashes of registers and of memory.

pub mod memory;
pub mod registers;
