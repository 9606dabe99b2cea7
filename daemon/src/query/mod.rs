//! Queries: what expressions are worth at each of very many hits, in order of time.
//!
//! A scout, which nothing disturbs, runs ahead and leaves copies behind ([`scout`]); between two of them the hits are evaluated in a copy
//! that runs through, several such intervals at a time ([`interval`]); here they are put in order and given to the client as it asks.

mod calls;
mod check;
mod interval;
mod raised;
mod scout;
mod shared;
mod under_way;

use crate::fault::Fault;
use crate::index::Candidates;
use crate::interrupt::Interrupt;
use crate::known::{Busy, Known};
use crate::progress::Task;
use crate::slice::Pace;
use crate::tree::Tree;
use calls::Calls;
use rdb_protocol::Time;
use rdb_protocol::client::{Query as Asked, QueryOf, SomeRows};
use rdb_protocol::predicate::Predicate;
use rdb_protocol::replay::{Breakpoint, Inline, NamedObject};
use rdb_protocol::rows::Rows;
use shared::{Shared, Taken};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
pub(crate) use under_way::UnderWay;

/// The one breakpoint of a query.
const BREAKPOINT: u32 = 1;

/// What the code of a query uses.
#[derive(Debug, Default)]
pub(crate) struct Used {
    /// Numbered objects.
    pub(crate) objects: Vec<NamedObject>,
    /// The condition, as far as it can be decided by reading.
    pub(crate) test: Option<Predicate>,
}

/// What replay processes are told.
#[derive(Clone, Debug)]
struct Plan {
    breakpoints: Vec<Breakpoint>,
    inline: Inline,
    from: Time,
    to: Option<Time>,
    exact: bool,
    /// Where hits may be.
    candidates: Candidates,
    /// The last stop point, and when the main module was done, where these are known.
    last: Option<Time>,
    main_done: Option<Time>,
}

/// A query under way; dropping it ends all its processes.
#[derive(Debug)]
pub(crate) struct Query {
    shared: Arc<Shared>,
    interrupts: Vec<Arc<Interrupt>>,
    threads: Vec<JoinHandle<()>>,
    known: Arc<Known>,
    /// Rows that may still be given.
    left: u64,
    calls: Option<Calls>,
    from: Time,
    failed: (u64, Option<String>),
    told: bool,
    // The survey stands aside.
    _busy: Busy,
}

impl Query {
    /// Sets out.
    pub(crate) fn start(tree: &Arc<Mutex<Tree>>, known: &Arc<Known>, pace: Pace, asked: Asked, used: Used) -> Result<Query, Fault> {
        let limits = asked.limits;
        let Used { objects, test } = used;
        let (place, inline, calls) = match asked.of {
            QueryOf::At {
                place,
                condition,
                expressions,
            } => {
                let inline = Inline {
                    condition,
                    expressions,
                    objects,
                    calls: false,
                    limits,
                };
                (place, inline, None)
            }
            QueryOf::Calls { name } => {
                let inline = Inline {
                    condition: None,
                    expressions: Vec::new(),
                    objects: Vec::new(),
                    calls: true,
                    limits,
                };
                (rdb_protocol::BreakpointPlace::Calls { name }, inline, Some(Calls::default()))
            }
            QueryOf::Raises { .. } => return Err(Fault::Garbled("exceptions are not looked for this way".to_string())),
        };
        let breakpoints = vec![Breakpoint {
            id: BREAKPOINT,
            place,
            test,
            quiet: false,
        }];
        // One lock after the other: the survey holds them in another order.
        let facts = known.facts().clone();
        let candidates = known.index().candidates(&breakpoints, None);
        let plan = Arc::new(Plan {
            breakpoints,
            candidates: candidates.without_gaps(|from, to| facts.costs.between(from, to) < pace.gap),
            last: facts.last,
            main_done: facts.main_done,
            inline,
            from: asked.from.unwrap_or(crate::moves::FIRST).max(crate::moves::FIRST),
            to: asked.to,
            exact: asked.exact,
        });
        let workers = std::thread::available_parallelism().map_or(1, usize::from);
        let shared = Arc::new(Shared::new(2 * workers + 2, plan.exact));
        let mut query = Query {
            shared,
            interrupts: Vec::new(),
            threads: Vec::new(),
            known: Arc::clone(known),
            left: asked.limit.unwrap_or(u64::MAX),
            calls,
            from: plan.from,
            failed: (0, None),
            told: false,
            _busy: known.command(),
        };
        for number in 0..=workers {
            let (shared, plan, tree) = (Arc::clone(&query.shared), Arc::clone(&plan), Arc::clone(tree));
            let interrupt = Arc::new(Interrupt::default());
            query.interrupts.push(Arc::clone(&interrupt));
            let work = move || match number {
                0 => scout::run(&shared, &plan, &tree, &interrupt),
                _ => interval::run(&shared, &plan, &interrupt),
            };
            let name = if number == 0 { "scout" } else { "interval" };
            let thread = std::thread::Builder::new().name(name.into()).spawn(work);
            query.threads.push(thread.map_err(Fault::system("cannot start a thread"))?);
        }
        Ok(query)
    }

    /// The next rows.
    pub(crate) fn more(&mut self, task: &mut Task<'_>) -> Result<SomeRows, Fault> {
        loop {
            match self.shared.take()? {
                Taken::Rows(rows, at) => {
                    self.report(at, task)?;
                    self.failed.0 += rows.failed;
                    if self.failed.1.is_none() {
                        self.failed.1.clone_from(&rows.failure);
                    }
                    let rows = match &mut self.calls {
                        Some(calls) => calls.paired(&rows),
                        None => rows,
                    };
                    let rows = self.cut(rows);
                    if self.left == 0 {
                        return Ok(self.done(rows));
                    }
                    if !rows.is_empty() {
                        return Ok(SomeRows {
                            rows,
                            done: false,
                            notes: self.notes(),
                        });
                    }
                }
                Taken::Nothing(at) => self.report(at, task)?,
                Taken::End => {
                    let open = self.calls.take().map(Calls::open).unwrap_or_default();
                    let open = self.cut(open);
                    return Ok(self.done(open));
                }
            }
        }
    }

    fn report(&self, at: Time, task: &mut Task<'_>) -> Result<(), Fault> {
        let total = self.known.facts().last.unwrap_or(at);
        task.advance(at.0.saturating_sub(self.from.0), total.0.saturating_sub(self.from.0).max(1))
    }

    /// What is within the limit.
    fn cut(&mut self, rows: Rows) -> Rows {
        let count = rows.len() as u64;
        if count <= self.left {
            self.left -= count;
            return rows;
        }
        let mut some = Rows::default();
        rows.iter()
            .take(usize::try_from(self.left).unwrap_or(usize::MAX))
            .for_each(|r| some.push(&r));
        self.left = 0;
        some
    }

    fn done(&mut self, rows: Rows) -> SomeRows {
        let mut notes = self.notes();
        if let (count, Some(error)) = &self.failed {
            notes.push(format!(
                "the condition fails at {count} hits, which are left out; the first time: {error}"
            ));
        }
        SomeRows { rows, done: true, notes }
    }

    fn notes(&mut self) -> Vec<String> {
        match self.shared.reason().filter(|_| !self.told) {
            Some(reason) => {
                self.told = true;
                vec![reason]
            }
            None => Vec::new(),
        }
    }
}

impl Drop for Query {
    fn drop(&mut self) {
        self.shared.close();
        self.interrupts.iter().for_each(|i| i.close());
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}
