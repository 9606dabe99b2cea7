//! Following one activation of a function: which of the stop points passed are its own.
//!
//! An activation is named by the addresses of its frame and of its code object. Only the units of that code object are made to ask
//! the slow path, so everything else runs as fast as ever. Frame addresses are used again and again; that another activation has
//! begun at the same place is told by its entry `RESUME`, which none executes twice. A generator's frame lives in the generator
//! and keeps its address over its yields.

use super::code::Code;
use super::stops::{Stop, Stops};
use crate::memory::get;
use rdb_protocol::StopKind;
use rdb_protocol::replay::{Follow, Passing};

/// What is followed, and what came of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Following {
    follow: Follow,
    seen: Followed,
}

/// What came of following, since [`Stops::forget_followed`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Followed {
    /// [`Stops::time`] at the last stop point passed that is the activation's own; since it has begun, if it has.
    pub last: Option<u64>,
    /// So many activations have begun in this frame.
    pub begun: u32,
    /// The first stop point behind the last of these beginnings.
    pub begun_at: Option<u64>,
}

impl Following {
    fn begin(&mut self, next: u64) {
        self.seen = Followed {
            last: None,
            begun: self.seen.begun + 1,
            begun_at: Some(next),
        };
    }
}

impl Stops {
    /// Follows another activation, or none.
    pub fn follow(&mut self, follow: Option<Follow>) {
        let before = self.following.take().map(|f| f.follow.activation.code);
        self.following = follow.map(|follow| Following {
            follow,
            seen: Followed::default(),
        });
        for address in before.into_iter().chain(follow.map(|f| f.activation.code)) {
            let followed = self.follows(address);
            let Some(code) = self.codes.get_mut(&address) else { continue };
            code.followed = followed;
            self.mark_units(address);
        }
        self.mark_late();
    }

    /// Which stop points of the code object at `address` are followed, if it is that of the activation followed.
    pub(super) fn follows(&self, address: u64) -> Option<Passing> {
        let following = self.following.filter(|f| f.follow.activation.code == address);
        following.map(|f| f.follow.passing)
    }

    /// What was seen so far.
    #[must_use]
    pub fn followed(&self) -> Followed {
        self.following.map_or(Followed::default(), |f| f.seen)
    }

    /// Begins anew to note what is seen. The hook is called at each stop point of the activation's own only if it `stops` there.
    pub fn forget_followed(&mut self, stops: bool) {
        self.stops_at_own = stops;
        if let Some(following) = &mut self.following {
            following.seen = Followed::default();
        }
    }

    /// Whether the stop point stood at is the followed activation's own.
    #[must_use]
    pub fn own_here(&self) -> bool {
        self.stop.as_ref().is_some_and(|stop| self.is_own(stop))
    }

    /// An instruction of the code object at `address` is about to be executed in `frame`.
    pub(super) fn note_entry(&mut self, frame: u64, address: u64, instruction: u64) {
        let next = self.time() + 1;
        if let (Some(following), Some(code)) = (&mut self.following, self.codes.get(&address))
            && following.follow.activation.frame == frame
            && code.followed.is_some()
            && code.unit(instruction) == Some(code.entry)
        {
            following.begin(next);
        }
    }

    /// A stop point at `time` is passed: whether it is the activation's own. With `keep` it becomes the last one.
    pub(super) fn note_own(&mut self, stop: &Stop, time: u64, keep: bool) -> bool {
        let (Some(mut following), Some(code)) = (self.following, self.codes.get(&stop.code)) else {
            return false;
        };
        let in_frame = following.follow.activation.frame == stop.frame && code.followed.is_some();
        if in_frame && stop.kind == StopKind::Unwind && stop.unit < code.entry {
            // An exception was thrown into a generator that had not begun.
            following.begin(time);
        }
        let own = self.is_own(stop);
        if own && keep {
            following.seen.last = Some(time);
        }
        self.following = Some(following);
        own
    }

    fn is_own(&self, stop: &Stop) -> bool {
        let (Some(Following { follow, .. }), Some(code)) = (self.following, self.codes.get(&stop.code)) else {
            return false;
        };
        let activation = follow.activation;
        activation.frame == stop.frame
            && activation.code == stop.code
            && match (follow.passing, stop.kind) {
                (_, StopKind::Return | StopKind::Unwind) => true,
                (Passing::Any, StopKind::Line) => true,
                (Passing::Any, StopKind::Yield) => !self.is_suspension(code, stop.unit),
                (Passing::End, _) | (Passing::Any, StopKind::Instruction) => false,
            }
    }

    /// Whether the yield at `unit` hands through what an inner `await` or `yield from` waits for. The `RESUME` behind it tells.
    fn is_suspension(&self, code: &Code, unit: usize) -> bool {
        const YIELD_FROM: u8 = 2;
        code.body.op(unit + 1) == Some(self.located.layout.opcodes.resume)
            && get::<u8>(code.body.start + 2 * (unit as u64 + 1) + 1) & 3 >= YIELD_FROM
    }
}
