//! The local variables that expressions may mean: read from a frame, not had from the interpreter, which would keep a dictionary of them.

use super::layout::Layout;
use super::objects::{bytes, text, tuple};
use crate::memory::get;
use alloc::string::String;
use alloc::vec::Vec;

/// Kinds of variables (`CO_FAST_*`).
const HIDDEN: u8 = 0x10;
const CELL: u8 = 0x40;
const FREE: u8 = 0x80;
/// What a cell holds.
const CELL_VALUE: u64 = 16;

/// A variable of a code object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Local {
    pub(super) name: String,
    pub(super) slot: u64,
    kind: u8,
}

/// Adds all words of a text that could be names, each once; what stands in a string may be evaluated, too. Outside strings, what is not
/// ASCII is part of a name.
pub(super) fn add_words(source: &str, to: &mut Vec<String>) {
    let words = source.split(|c: char| c.is_ascii() && !c.is_ascii_alphanumeric() && c != '_');
    for word in words.filter(|w| w.starts_with(|c: char| !c.is_ascii_digit())) {
        if !to.iter().any(|known| known == word) {
            to.push(String::from(word));
        }
    }
}

/// The variables of a code object, as far as they are `wanted`.
pub(super) fn locals(layout: &Layout, code: u64, wanted: impl Fn(&str) -> bool) -> Vec<Local> {
    let kinds = bytes(get(code + layout.co_localspluskinds));
    let names = tuple(get(code + layout.co_localsplusnames)).map(|n| text(layout, n));
    let all = names.zip(kinds).zip(0..).map(|((name, kind), slot)| Local { name, slot, kind });
    // 3.12 does not count those of comprehensions among the variables of a frame.
    all.filter(|l| wanted(&l.name) && !l.name.starts_with('.') && (layout.minor != 12 || l.kind & HIDDEN == 0))
        .collect()
}

/// How many of a code object's variables, the first ones, are parameters.
pub(super) fn parameters(layout: &Layout, code: u64) -> usize {
    let count = |offset: u64| usize::try_from(get::<i32>(code + offset)).unwrap_or(0);
    let flags: u32 = get(code + layout.co_flags);
    count(layout.co_argcount) + count(layout.co_kwonlyargcount) + (flags >> 2 & 1) as usize + (flags >> 3 & 1) as usize
}

impl Local {
    /// What it is in a frame; 0 where it has no value.
    pub(super) fn value(&self, layout: &Layout, frame: u64, cell_type: u64) -> u64 {
        let object: u64 = get(frame + layout.frame_locals + 8 * self.slot);
        match object {
            0 => 0,
            _ if self.kind & (CELL | FREE) != 0 && get::<u64>(object + 8) == cell_type => get(object + CELL_VALUE),
            _ => object,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::add_words;
    use alloc::vec::Vec;

    #[test]
    fn words_are_names() {
        let mut all = Vec::new();
        add_words("a.b[c1] + 2x + 'eval(d)' + _e", &mut all);
        add_words("b + größe", &mut all);
        assert_eq!(all, ["a", "b", "c1", "eval", "d", "_e", "größe"]);
    }
}
