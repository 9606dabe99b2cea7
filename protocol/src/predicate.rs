//! Conditions in a form that a replay process can decide by reading memory alone, for the most part.
//!
//! What comes of that is what evaluating the expression would come to, or that this cannot be told: then it has to be evaluated.

use crate::common::Time;
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// An expression, its operands before their operators.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Predicate {
    /// The steps.
    pub ops: Vec<Op>,
    /// Names and strings in them, by number.
    pub texts: Vec<String>,
    /// Objects in them, by number: where, the first time it is there, the first time it is not.
    pub objects: Vec<(u64, Time, Option<Time>)>,
}

/// A step: it takes values from a stack, and leaves one. It travels as two numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "(u8, u64)", into = "(u8, u64)")]
pub enum Op {
    /// What a name stands for in the frame: a local variable, or a global one.
    Name(u32),
    /// An object.
    Object(u32),
    /// `None`.
    Nothing,
    /// `True` or `False`.
    Truth(bool),
    /// An `int`.
    Integer(i64),
    /// A `float`, as its bits.
    Float(u64),
    /// A `str`.
    Text(u32),
    /// Of one value: an attribute.
    Attribute(u32),
    /// Of one value: `len`.
    Length,
    /// Of one value: `abs`.
    Absolute,
    /// Of one value: `type`.
    Type,
    /// Of a value and a class: `isinstance`.
    IsInstance,
    /// Of two values: `min`.
    Least,
    /// Of two values: `max`.
    Greatest,
    /// Of a dictionary and a key: the item, or `None` (`get`).
    Get,
    /// Of a dictionary, a key and a value: the item, or that.
    GetOr,
    /// Of a text and what of these is there: from where (1), to where (2).
    Slice(u32),
    /// Of a text: without the white space around it (`strip`).
    Strip,
    /// Of one value: `-`.
    Negative,
    /// Of one value: `not`.
    Not,
    /// Of two integers.
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
    /// What no peer of this version sends.
    Unknown,
}

impl From<(u8, u64)> for Op {
    fn from((code, operand): (u8, u64)) -> Op {
        let number = (operand & 0xffff_ffff) as u32;
        match code {
            0 => Op::Name(number),
            1 => Op::Object(number),
            2 => Op::Nothing,
            3 => Op::Truth(operand != 0),
            4 => Op::Integer(operand.cast_signed()),
            5 => Op::Float(operand),
            6 => Op::Text(number),
            7 => Op::Attribute(number),
            8 => Op::Length,
            9 => Op::Negative,
            10 => Op::Not,
            11 => Op::Among(number),
            12 => Op::Item,
            13 => Op::In,
            14 => Op::StartsWith,
            15 => Op::EndsWith,
            16 => Op::And(number),
            17 => Op::Or(number),
            18 => Op::Arithmetic(match number {
                0 => Arithmetic::Add,
                1 => Arithmetic::Subtract,
                2 => Arithmetic::Multiply,
                3 => Arithmetic::FloorDivide,
                4 => Arithmetic::Modulo,
                5 => Arithmetic::And,
                6 => Arithmetic::Or,
                _ => Arithmetic::Xor,
            }),
            19 => Op::Compare(match number {
                0 => Comparison::Equal,
                1 => Comparison::NotEqual,
                2 => Comparison::Less,
                3 => Comparison::LessOrEqual,
                4 => Comparison::Greater,
                5 => Comparison::GreaterOrEqual,
                6 => Comparison::Is,
                _ => Comparison::IsNot,
            }),
            20 => Op::Absolute,
            21 => Op::Type,
            22 => Op::IsInstance,
            23 => Op::Least,
            24 => Op::Greatest,
            25 => Op::Get,
            26 => Op::GetOr,
            27 => Op::Slice(number),
            28 => Op::Strip,
            _ => Op::Unknown,
        }
    }
}

impl From<Op> for (u8, u64) {
    fn from(op: Op) -> (u8, u64) {
        match op {
            Op::Name(n) => (0, n.into()),
            Op::Object(n) => (1, n.into()),
            Op::Nothing => (2, 0),
            Op::Truth(yes) => (3, yes.into()),
            Op::Integer(n) => (4, n.cast_unsigned()),
            Op::Float(bits) => (5, bits),
            Op::Text(n) => (6, n.into()),
            Op::Attribute(n) => (7, n.into()),
            Op::Length => (8, 0),
            Op::Negative => (9, 0),
            Op::Not => (10, 0),
            Op::Among(n) => (11, n.into()),
            Op::Item => (12, 0),
            Op::In => (13, 0),
            Op::StartsWith => (14, 0),
            Op::EndsWith => (15, 0),
            Op::And(n) => (16, n.into()),
            Op::Or(n) => (17, n.into()),
            Op::Arithmetic(a) => (18, a as u64),
            Op::Compare(c) => (19, c as u64),
            Op::Absolute => (20, 0),
            Op::Type => (21, 0),
            Op::IsInstance => (22, 0),
            Op::Least => (23, 0),
            Op::Greatest => (24, 0),
            Op::Get => (25, 0),
            Op::GetOr => (26, 0),
            Op::Slice(n) => (27, n.into()),
            Op::Strip => (28, 0),
            Op::Unknown => (u8::MAX, 0),
        }
    }
}

/// Arithmetic on integers.
#[allow(missing_docs)] // Python's own words
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_two_numbers() {
        for code in 0..29 {
            for operand in 0..8 {
                let op = Op::from((code, operand));
                assert_eq!(Op::from(<(u8, u64)>::from(op)), op, "{code} {operand}");
            }
        }
        assert_eq!(Op::from((4, u64::MAX)), Op::Integer(-1));
        assert_eq!(Op::from((99, 0)), Op::Unknown);
    }
}
