//! Queries as clients ask them.

use crate::common::{BreakpointPlace, Limits, Time};
use crate::rows::Rows;
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// A question about many stop points.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Query {
    /// About which.
    pub of: QueryOf,
    /// From this stop point on.
    pub from: Option<Time>,
    /// Up to this stop point, itself included.
    pub to: Option<Time>,
    /// At most so many rows.
    pub limit: Option<u64>,
    /// A throw-away copy of the program for each evaluation, whatever that takes.
    pub exact: bool,
    /// How much of values.
    pub limits: Limits,
}

/// What a query is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum QueryOf {
    /// What expressions are worth at each hit of a place.
    At {
        /// The place: a line or a function's entry or return.
        place: BreakpointPlace,
        /// Only where this holds.
        condition: Option<String>,
        /// The expressions.
        expressions: Vec<String>,
    },
    /// The calls of every function of a name.
    Calls {
        /// The name, plain or qualified.
        name: String,
    },
    /// The exceptions of a class and of those derived from it.
    Raises {
        /// The end of its dotted name; `None` any.
        class: Option<String>,
    },
}

/// Some rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SomeRows {
    /// These.
    pub rows: Rows,
    /// There are no more.
    pub done: bool,
    /// What there is to say, one line each.
    pub notes: Vec<String>,
}
