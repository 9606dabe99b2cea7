//! The instructions of code objects: what they are called is known here, by version, for the program may not have imported `dis`.

use super::debugger::{Debugger, refused};
use super::outcome::{Outcome, Refusal};
use super::values::python_string;
use crate::link::SessionError;
use rdb_protocol::replay::Interpreter;

const FUNCTION: &str = include_str!("disassembly.py");
/// A row each: opcode, name, inline cache entries, what the argument means.
const OPCODES: [(&str, &str); 3] = [
    ("CPython 3.11.", include_str!("opcodes/3.11.txt")),
    ("CPython 3.12.", include_str!("opcodes/3.12.txt")),
    ("CPython 3.13.", include_str!("opcodes/3.13.txt")),
];
/// Characters of a constant.
const CONSTANT: u32 = 60;

impl Debugger {
    /// The instructions of what `expression` gives; if it is empty, of the frame looked at.
    pub(super) fn disassemble(&mut self, expression: &str) -> Result<Outcome, SessionError> {
        let interpreter = self.session.call(|c| c.trace_info())?.interpreter;
        let table = match &interpreter {
            Interpreter::Ready { name } => OPCODES.iter().find(|o| name.starts_with(o.0)),
            _ => None,
        };
        let Some((_, table)) = table else {
            return Ok(refused(
                Refusal::UNKNOWN,
                "the instructions of this interpreter are not known".into(),
            ));
        };
        if expression.is_empty() && self.looked_at.is_some() {
            let why = "only the thread stood in has a next instruction; `disassemble FUNCTION` works here too";
            return Ok(refused(Refusal::UNKNOWN, why.into()));
        }
        let (code, last) = match expression {
            // Below the frame of the evaluation itself.
            "" => {
                let frame = format!("__import__('sys')._getframe({})", self.selected + 1);
                (frame.clone(), format!("{frame}.f_lasti"))
            }
            expression => (format!("({expression}\n)"), "-1".to_owned()),
        };
        let source = format!(
            "(lambda b, n: (b.exec({}, n), n['disassemble'])[1])(__import__('builtins'), {{}})({code}, {last}, {}, {CONSTANT})",
            python_string(FUNCTION),
            python_string(table),
        );
        self.evaluated(&source, expression)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_have_rows_of_four_and_code_no_numbered_objects() {
        for (version, table) in OPCODES {
            assert!(
                table.lines().count() > 100 && table.lines().all(|l| l.split(' ').count() == 4),
                "{version}"
            );
        }
        assert!(FUNCTION.is_ascii() && !FUNCTION.contains('$'));
    }
}
