//! What a stretch of an arithmetic recording passes.

use super::{World, activation};
use rdb_protocol::StopKind;
use rdb_protocol::stretch::{Function, Site, Stack, Stretch};

/// From behind `from`, if anything was noted before, up to `to`.
pub(super) fn stretch(world: &World, from: Option<u64>, to: u64, standing: bool) -> Stretch {
    let mut stretch = Stretch {
        whole: from.is_some(),
        ..Stretch::default()
    };
    let before = from.map_or_else(Vec::new, |from| left_at(world, from));
    let mut kept = before.len();
    for time in from.map_or(to, |from| from) + 1..=to {
        let (here, stand) = (world.location(time), world.stand(time));
        let function = Function {
            file: here.file,
            name: here.function.clone(),
            qualname: here.function,
        };
        let known = stretch.functions.iter().position(|f| *f == function).unwrap_or_else(|| {
            stretch.functions.push(function);
            stretch.functions.len() - 1
        });
        let entry = u8::from(here.line.is_multiple_of(5)) * Site::ENTRY;
        let leaves = u8::from(here.kind == StopKind::Return) * Site::LEAVES;
        stretch.sites.push(Site {
            function: u32::try_from(known).unwrap(),
            line: here.line,
            kinds: Site::LINE | entry | leaves,
        });
        let same = stand.stack.iter().rev().zip(&before).take_while(|(a, b)| a == b).count();
        kept = kept.min(same).min(stand.stack.len() - usize::from(stand.leaves));
    }
    if standing {
        let now = left_at(world, to);
        let entered = (kept..now.len()).map(|i| {
            let inward: Vec<u64> = now[..=i].iter().rev().copied().collect();
            activation(&inward)
        });
        stretch.stacks.push(Stack {
            thread: 0,
            kept: u32::try_from(kept).unwrap(),
            entered: entered.collect(),
        });
    } else {
        stretch.lost.push(0);
    }
    stretch
}

/// The stack once the stop point at `time` is passed, from the outermost activation on.
fn left_at(world: &World, time: u64) -> Vec<u64> {
    let stand = world.stand(time);
    let inner = usize::from(stand.leaves);
    stand.stack.iter().skip(inner).rev().copied().collect()
}
