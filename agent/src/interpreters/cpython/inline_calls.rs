//! What a call begins and ends with.

use super::Stops;
use super::inline::Inline;
use super::inline_names::{locals, parameters};
use crate::memory::get;
use alloc::string::ToString;
use rdb_protocol::rows::Rows;

/// More frames are not believed.
const DEEPEST: u32 = 1 << 20;

impl Stops {
    /// Adds names and values of the parameters; how many cells.
    pub(super) fn arguments(&self, inline: &Inline, frame: u64, code: u64, rows: &mut Rows) -> u32 {
        let layout = self.layout();
        let all = locals(layout, code, |_| true);
        let mut cells = 0;
        for parameter in all.iter().take(parameters(layout, code)) {
            let value = parameter.value(layout, frame, inline.cell_type);
            let shown = if value == 0 {
                "<no value>".to_string()
            } else {
                self.shown(inline, value)
            };
            rows.cell(true, &parameter.name);
            rows.cell(true, &shown);
            cells += 2;
        }
        cells
    }

    /// Adds the value about to be returned.
    pub(super) fn returned(&self, inline: &Inline, rows: &mut Rows) -> u32 {
        let shown = self.result_object().filter(|&o| o != 0).map(|o| self.shown(inline, o));
        rows.cell(shown.is_some(), &shown.unwrap_or_else(|| "there is no value here".to_string()));
        1
    }

    /// Frames on the stack, but for those that execute no Python code.
    pub(super) fn depth(&self, mut frame: u64) -> u32 {
        const OWNED_BY_GENERATOR: u8 = 1;
        let layout = self.layout();
        let mut depth = 0;
        for _ in 0..DEEPEST {
            if frame == 0 {
                break;
            }
            depth += u32::from(get::<u8>(frame + layout.frame_owner) <= OWNED_BY_GENERATOR);
            frame = get(frame + layout.frame_previous);
        }
        depth
    }
}
