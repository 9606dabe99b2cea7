//! The source files a program has run so far: breakable lines, functions.

use super::code::Code;
use super::locate::Located;
use super::objects::{tuple, type_of};
use super::stops::Stops;
use crate::memory::get;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec;
use rdb_protocol::SourceFile;

/// Source files by name.
#[derive(Debug, Default)]
pub(super) struct Sources(BTreeMap<String, File>);

#[derive(Debug, Default)]
struct File {
    lines: BTreeSet<u32>,
    functions: BTreeSet<(String, u32)>,
}

impl Sources {
    /// Takes note of a code object; of a module also all code within it, executed or not.
    pub(super) fn note(&mut self, located: &Located, code: &Code) {
        self.add(code);
        if code.name != "<module>" {
            return;
        }
        let mut rest = vec![code.address];
        while let Some(outer) = rest.pop() {
            for constant in tuple(get(outer + located.layout.co_consts)).filter(|&c| type_of(c) == located.code_type) {
                self.add(&Code::read(located.layout, constant));
                rest.push(constant);
            }
        }
    }

    fn add(&mut self, code: &Code) {
        let file = self.0.entry(code.file.clone()).or_default();
        file.lines.extend(code.breakable());
        if !code.name.starts_with('<') {
            file.functions.insert((code.qualname.clone(), code.first_line));
        }
    }
}

impl Stops {
    /// All source files seen so far.
    #[must_use]
    pub fn sources(&self) -> vec::Vec<SourceFile> {
        let one = |(name, file): (&String, &File)| SourceFile {
            file: name.clone(),
            lines: file.lines.iter().copied().collect(),
            functions: file.functions.iter().cloned().collect(),
        };
        self.seen.0.iter().map(one).collect()
    }
}
