//! What a stretch of a run came through, over the replay link: [`crate::replay::Order::Stretch`].

use crate::common::Activation;
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// What was passed between one such order and the next.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stretch {
    /// Nothing is missing. False for the first order, from which on this is noted, and where the interpreter was replaced.
    pub whole: bool,
    /// The functions that were executed.
    pub functions: Vec<Function>,
    /// Where in them stop points may have been: at least where there were any.
    pub sites: Vec<Site>,
    /// The stacks of the threads that ran. A thread whose stack is not known at the end of the stretch is not listed.
    pub stacks: Vec<Stack>,
    /// Threads of which nothing is known at the end of the stretch: whatever was known of their stacks is not true any more.
    pub lost: Vec<u32>,
}

/// A function, as breakpoints name it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Function {
    /// File name as the program knows it.
    pub file: String,
    /// Its name.
    pub name: String,
    /// Its qualified name.
    pub qualname: String,
}

/// Places of a function that are alike to breakpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Site {
    /// Index in [`Stretch::functions`].
    pub function: u32,
    /// The line; 0 where unknown.
    pub line: u32,
    /// [`Site::LINE`] and others, added up.
    pub kinds: u8,
}

impl Site {
    /// The line starts.
    pub const LINE: u8 = 1;
    /// The function is entered.
    pub const ENTRY: u8 = 2;
    /// A return or a yield.
    pub const LEAVES: u8 = 4;
    /// An exception leaves the function, from whatever line.
    pub const UNWINDS: u8 = 8;
}

/// How the stack of a thread has changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stack {
    /// Which thread.
    pub thread: u32,
    /// So many activations, from the outermost on, were there at the beginning and have not been left since, not even for a while.
    pub kept: u32,
    /// Those there now beyond them, from the outer to the inner.
    pub entered: Vec<Activation>,
}
