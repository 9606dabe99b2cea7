//! What an exception says, read from memory: where the interpreter has it in hand it cannot be asked.

use super::Stops;
use super::objects::{class_names, text_of, tuple, type_of};
use crate::memory::get;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

impl Stops {
    /// The exception that is about to leave `frame`, as it can be read without asking the interpreter, which has it in hand.
    pub(super) fn pending_text(&self, frame: u64) -> String {
        let layout = self.layout();
        let stopped = self.stop().filter(|s| s.instruction.is_some());
        if let Some(object) = stopped.and_then(|s| self.result_of(&s)).filter(|&o| o != 0) {
            return self.exception_text(type_of(object), object);
        }
        let Some(thread) = self.thread_executing(frame) else {
            return String::new();
        };
        let first: u64 = get(thread + layout.thread_exception);
        match layout.thread_traceback {
            _ if first == 0 => String::new(),
            // Type, value, traceback.
            Some(_) => self.exception_text(first, get(thread + layout.thread_exception + 8)),
            None => self.exception_text(type_of(first), first),
        }
    }

    /// `ValueError: text`; the value may be its arguments still.
    fn exception_text(&self, class: u64, value: u64) -> String {
        let name = class_names(self.layout(), class).into_iter().next().unwrap_or_default();
        match self.message_of(class, value) {
            message if message.is_empty() => name,
            message => format!("{name}: {message}"),
        }
    }

    /// What an exception says, as far as that can be read from its arguments.
    pub(super) fn message_of(&self, class: u64, value: u64) -> String {
        const ARGUMENTS: u64 = 24;
        /// More are not shown.
        const MOST: usize = 20;
        let is = |object: u64, name: &str| self.symbol(name) == Some(type_of(object));
        if value == 0 || self.symbol("_Py_NoneStruct") == Some(value) {
            return String::new();
        }
        let mut arguments: Vec<u64> = if type_of(value) == class {
            tuple(get(value + ARGUMENTS)).take(MOST + 1).collect()
        } else if is(value, "PyTuple_Type") {
            tuple(value).take(MOST + 1).collect()
        } else {
            vec![value]
        };
        let more = arguments.len() > MOST;
        arguments.truncate(MOST);
        let quoted = arguments.len() != 1 || class_names(self.layout(), class).iter().any(|n| n == "KeyError");
        let shown: Vec<String> = arguments.iter().map(|&a| self.plain(a, quoted)).collect();
        match &shown[..] {
            [one] => one.clone(),
            [] => String::new(),
            some => format!("({}{})", some.join(", "), if more { ", ..." } else { "" }),
        }
    }

    /// An object of a simple kind, read from memory.
    fn plain(&self, object: u64, quoted: bool) -> String {
        const LONGEST: u64 = 500;
        let is = |name: &str| self.symbol(name) == Some(type_of(object));
        if is("PyUnicode_Type") {
            let text = text_of(self.layout(), object, LONGEST);
            return if quoted { format!("'{text}'") } else { text };
        }
        let size: u64 = get(object + 16);
        if is("PyLong_Type") {
            // One digit of 30 bits, the sign beside the size; from 3.12 on in its lowest bits.
            let (digits, negative) = match self.layout().minor {
                11 => (size.cast_signed().unsigned_abs(), size.cast_signed() < 0),
                _ => (size >> 3, size & 3 == 2),
            };
            if digits <= 1 {
                let digit = if digits == 0 { 0 } else { get::<u32>(object + 24) };
                // 3.12 counts the digit of a zero.
                return format!("{}{digit}", if negative { "-" } else { "" });
            }
        }
        if self.symbol("_Py_NoneStruct") == Some(object) {
            return "None".to_string();
        }
        let name = class_names(self.layout(), type_of(object)).into_iter().next().unwrap_or_default();
        format!("<{name}>")
    }
}
