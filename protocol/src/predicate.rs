//! Conditions in a form that a replay process can decide by reading memory alone, for the most part.
//!
//! What comes of that is what evaluating the expression would come to, or that this cannot be told: then it has to be evaluated.

use crate::common::Time;
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// An expression, its operands before their operators.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Predicate(pub Vec<Op>);

/// A step: it takes values from a stack, and leaves one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Op {
    /// What a name stands for in the frame: a local variable, a global or builtin one.
    Name(String),
    /// An object, at times from `from` on, and before `until`.
    Object {
        /// Where.
        address: u64,
        /// Its first time.
        from: Time,
        /// The first time it is not there.
        until: Option<Time>,
    },
    /// `None`.
    Nothing,
    /// `True` or `False`.
    Truth(bool),
    /// An `int`.
    Integer(i64),
    /// A `float`, as its bits.
    Float(u64),
    /// A `str`.
    Text(String),
    /// Of one value: an attribute.
    Attribute(String),
    /// Of one value: `len`.
    Length,
    /// Of one value: `-`.
    Negative,
    /// Of one value: `not`.
    Not,
    /// Of two values.
    Arithmetic(Arithmetic),
    /// Of two values.
    Compare(Comparison),
    /// Of a value and so many others: whether it is among these.
    Among(u32),
    /// Of a container and a key: the item.
    Item,
    /// Of a value and a container: `in`.
    In,
    /// Of a text and another: whether it begins with that.
    StartsWith,
    /// Of a text and another: whether it ends with that.
    EndsWith,
    /// Where the last value is false, that is what comes of this and the next so many steps; where it is true it is dropped (`and`).
    And(u32),
    /// The same where it is true (`or`).
    Or(u32),
}

/// Arithmetic on integers.
#[allow(missing_docs)] // Python's own words
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    FloorDivide,
    Modulo,
    And,
    Or,
    Xor,
}

/// A comparison.
#[allow(missing_docs)] // Python's own words
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Is,
    IsNot,
}
