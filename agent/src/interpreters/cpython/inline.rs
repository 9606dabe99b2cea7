//! Evaluation in a copy that then runs on: at each of very many hits, without a copy for each.
//!
//! Only in a process that is thrown away in the end, but what it shows later must be what it would have shown. So an evaluation touches as
//! little of the program as can be: it has memory of its own (`inline_arena`) and a stack of its own; the
//! interpreter's lists of objects to use again are empty for it; local variables are read from the frame; the collector does not run. Afterwards
//! the thread's state, the frame's instruction, the collector's count, those lists, the ticks, the stop points and the vector registers are what
//! they were.
//!
//! Not put back: what the expression itself changes, what it has an object make and keep (its `__dict__`, a cached hash), what the interpreter
//! learns (versions of types, inline caches of functions called), `errno`, which means nothing between two instructions. Who orders the
//! evaluation finds out whether that mattered.
//!
//! # Safety
//! This room may use `unsafe` to call functions of the interpreter, as [`super::evaluate`] does.
#![allow(unsafe_code)]

use super::Stops;
use super::evaluate::SHOW;
use super::inline_arena as arena;
use super::inline_names::{Local, add_words, locals};
use super::objects::{text, text_of, type_of};
use crate::arch::entry;
use crate::memory::get;
use alloc::boxed::Box;
use alloc::ffi::CString;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use rdb_protocol::StopKind;
use rdb_protocol::replay::{Inline as Asked, NamedObject};
use rdb_protocol::rows::{Head, RowKind, Rows};

const EVAL_INPUT: u64 = 258;
const FILE_INPUT: u64 = 257;
/// Expressions have so many different variables at most.
const MOST_NAMES: usize = 64;
/// Functions that look at all variables there are.
const ALL_NAMES: [&str; 5] = ["locals", "vars", "dir", "eval", "exec"];

/// Functions of the interpreter.
#[derive(Debug)]
pub(super) struct Functions {
    vectorcall: u64,
    repr: u64,
    str: u64,
    is_true: u64,
    decref: u64,
    fetch: u64,
    normalize: u64,
    pub(super) set_allocator: u64,
    compile: u64,
    eval_code: u64,
    untrack: u64,
    set_slice: u64,
    dict_item: u64,
}

/// The expressions, compiled for the code they are evaluated in.
#[derive(Debug)]
struct Compiled {
    code: u64,
    globals: u64,
    /// Which of the variables are arguments, as bits.
    bound: u64,
    /// The condition's, if there is one, and then those of the expressions; 0 where it does not compile, with why.
    functions: Vec<(u64, String)>,
}

/// What is evaluated, and what it takes.
#[derive(Debug)]
pub(super) struct Inline {
    asked: Asked,
    pub(super) functions: Functions,
    /// Context, malloc, calloc, realloc, free of the three domains.
    pub(super) theirs: [[u64; 5]; 3],
    /// The words of all expressions.
    words: Vec<String>,
    /// The variables meant in a code object.
    locals: Vec<(u64, Vec<Local>)>,
    compiled: Vec<Compiled>,
    pub(super) cell_type: u64,
    dict_type: u64,
    /// Types of the containers that are shown within limits.
    containers: [u64; 5],
    show: u64,
    outer: u64,
    depth: u64,
    level: arena::Level,
    /// Blocks that the interpreter has kept to use them again, and forgotten.
    pub(super) dead: u64,
    pub(super) saved: Vec<u8>,
}

impl Inline {
    /// A code object is gone.
    pub(super) fn forget(&mut self, code: u64) {
        self.compiled.retain(|c| c.code != code);
        self.locals.retain(|l| l.0 != code);
    }

    /// Calls a function of the interpreter.
    pub(super) fn call(&self, function: u64, arguments: &[u64]) -> u64 {
        let mut six = [0_u64; 6];
        six[..arguments.len()].copy_from_slice(arguments);
        // SAFETY: see the room's header.
        unsafe { entry::rdb_call_on(arena::STACK, function, six.as_ptr()) }
    }

    pub(super) fn give_up(&self, object: u64) {
        if object != 0 {
            self.call(self.functions.decref, &[object]);
        }
    }

    fn compile(&self, source: &str, mode: u64) -> Result<u64, String> {
        let source = CString::new(source).map_err(|_| "the expression has a NUL in it".to_string())?;
        Ok(self.call(
            self.functions.compile,
            &[source.as_ptr() as u64, c"<query>".as_ptr() as u64, mode, 0, u64::MAX],
        ))
    }
}

impl Stops {
    /// From now on this is evaluated by [`Stops::evaluate_inline`]. Only in a process that is thrown away, at a stop point.
    ///
    /// # Errors
    /// Why that cannot be done.
    pub fn set_inline(&mut self, asked: &Asked) -> Result<(), String> {
        let function = |name: &str| self.symbol(name).ok_or_else(|| format!("the interpreter does not export {name}"));
        let functions = Functions {
            vectorcall: function("PyObject_Vectorcall")?,
            repr: function("PyObject_Repr")?,
            str: function("PyObject_Str")?,
            is_true: function("PyObject_IsTrue")?,
            decref: function("Py_DecRef")?,
            fetch: function("PyErr_Fetch")?,
            normalize: function("PyErr_NormalizeException")?,
            set_allocator: function("PyMem_SetAllocator")?,
            compile: function("Py_CompileStringExFlags")?,
            eval_code: function("PyEval_EvalCode")?,
            untrack: function("PyObject_GC_UnTrack")?,
            set_slice: function("PyList_SetSlice")?,
            dict_item: function("PyDict_GetItemString")?,
        };
        let containers = ["PyList_Type", "PyTuple_Type", "PySet_Type", "PyFrozenSet_Type", "PyDict_Type"];
        let mut types = [0; 5];
        for (to, name) in types.iter_mut().zip(containers) {
            *to = function(name)?;
        }
        let get_allocator = function("PyMem_GetAllocator")?;
        let (cell_type, set_item) = (function("PyCell_Type")?, function("PyDict_SetItemString")?);
        let (new_dict, add_module, number) = (
            function("PyDict_New")?,
            function("PyImport_AddModule")?,
            function("PyLong_FromLong")?,
        );
        arena::open()?;
        self.open_table()?;
        let mut words = Vec::new();
        for source in asked.expressions.iter().chain(&asked.condition) {
            add_words(source, &mut words);
        }
        let mut inline = Box::new(Inline {
            asked: asked.clone(),
            functions,
            theirs: [[0; 5]; 3],
            words,
            locals: Vec::new(),
            compiled: Vec::new(),
            cell_type,
            dict_type: types[4],
            containers: types,
            show: 0,
            outer: 0,
            depth: 0,
            level: arena::level(),
            dead: 0,
            saved: Vec::new(),
        });
        for domain in 0..3 {
            let to = inline.theirs[domain].as_mut_ptr() as u64;
            inline.call(get_allocator, &[domain as u64, to]);
        }
        // SAFETY: written by the calls above, through the addresses given to them.
        inline.theirs = unsafe { core::ptr::read_volatile(&raw const inline.theirs) };
        let before = self.quieten_inline(&mut inline)?;
        let limits = asked.limits;
        let source = format!(
            "depth, elements, size = {}, {}, {}\n{SHOW}",
            limits.depth, limits.elements, limits.size
        );
        let names = inline.call(new_dict, &[]);
        let builtins = inline.call(add_module, &[c"builtins".as_ptr() as u64]);
        inline.call(set_item, &[names, c"__builtins__".as_ptr() as u64, builtins]);
        let code = inline.compile(&source, FILE_INPUT)?;
        let done = match code {
            0 => 0,
            code => inline.call(inline.functions.eval_code, &[code, names, names]),
        };
        inline.show = inline.call(inline.functions.dict_item, &[names, c"show".as_ptr() as u64]);
        inline.outer = inline.call(inline.functions.dict_item, &[names, c"outer".as_ptr() as u64]);
        inline.depth = inline.call(number, &[u64::from(limits.depth)]);
        for object in [names, inline.show, inline.outer] {
            if object != 0 {
                inline.call(inline.functions.untrack, &[object]);
            }
        }
        self.loud_again(&mut inline, before);
        inline.dead = 0;
        inline.level = arena::level();
        if done == 0 || inline.show == 0 {
            return Err("the interpreter cannot compile what shows values".to_string());
        }
        self.inline = Some(inline);
        Ok(())
    }

    /// Whether something is evaluated on the way.
    #[must_use]
    pub fn has_inline(&self) -> bool {
        self.inline.is_some()
    }

    /// Evaluates where the program stands; adds a row, unless the condition says otherwise.
    ///
    /// # Errors
    /// Why nothing more can be evaluated in this process.
    pub fn evaluate_inline(&mut self, thread: u32, time: u64, rows: &mut Rows) -> Result<(), String> {
        let mut inline = self.inline.take().ok_or("nothing is to be evaluated")?;
        let done = self.evaluate_with(&mut inline, thread, time, rows);
        self.inline = Some(inline);
        done
    }

    fn evaluate_with(&mut self, inline: &mut Inline, thread: u32, time: u64, rows: &mut Rows) -> Result<(), String> {
        let stop = self.stop().ok_or("there is no stop point here")?;
        let mut head = Head {
            time: rdb_protocol::Time(time),
            thread,
            kind: RowKind::Hit,
            frame: 0,
            depth: 0,
            cells: 0,
        };
        if inline.asked.calls {
            (head.frame, head.kind) = (stop.frame, kind(stop.kind));
            match head.kind {
                RowKind::Yield => {}
                RowKind::Unwind => {
                    rows.cell(true, &self.pending_text(stop.frame));
                    head.cells = 1;
                }
                _ => {
                    head.depth = self.depth(stop.frame);
                    let before = self.quieten_inline(inline)?;
                    head.cells = match head.kind {
                        RowKind::Enter => self.arguments(inline, stop.frame, stop.code, rows),
                        _ => self.returned(inline, rows),
                    };
                    self.loud_again(inline, before);
                }
            }
            rows.close(head);
        } else {
            let before = self.quieten_inline(inline)?;
            let compiled = self.compiled(inline, (stop.frame, stop.code), time);
            let cells = compiled.and_then(|(index, arguments)| self.cells(inline, index, (&arguments, time), rows));
            self.loud_again(inline, before);
            if let Some(cells) = cells? {
                head.cells = cells;
                rows.close(head);
            }
        }
        let level = arena::fall_to(inline.level, core::mem::take(&mut inline.dead));
        inline.level = level.ok_or("what was evaluated has kept too much memory")?;
        Ok(())
    }

    /// The cells of a hit; `None` where the condition does not hold, or fails.
    fn cells(&mut self, inline: &Inline, index: usize, (arguments, time): (&[u64], u64), rows: &mut Rows) -> Result<Option<u32>, String> {
        let functions = inline.compiled.get(index).map_or(&[][..], |c| &c.functions[..]);
        let mut functions = functions.iter();
        if let Some(condition) = &inline.asked.condition {
            if let Some(error) = absent(&inline.asked, condition, time) {
                rows.fail(1, Some(error.to_string()));
                return Ok(None);
            }
            let Some((function, why)) = functions.next() else { return Ok(None) };
            match self.evaluated(inline, *function, why, arguments) {
                Err(error) => {
                    rows.fail(1, Some(error));
                    return Ok(None);
                }
                Ok(value) => {
                    let holds = inline.call(inline.functions.is_true, &[value]) & 0xffff_ffff;
                    inline.give_up(value);
                    if holds != 1 {
                        if holds != 0 {
                            let error = self.raised(inline);
                            rows.fail(1, Some(error));
                        }
                        return Ok(None);
                    }
                }
            }
        }
        let mut count = 0;
        for ((function, why), source) in functions.zip(&inline.asked.expressions) {
            if let Some(error) = absent(&inline.asked, source, time) {
                rows.cell(false, error);
                count += 1;
                continue;
            }
            match self.evaluated(inline, *function, why, arguments) {
                Ok(value) => {
                    let shown = self.shown(inline, value);
                    rows.cell(true, &shown);
                    inline.give_up(value);
                }
                Err(error) => rows.cell(false, &error),
            }
            count += 1;
        }
        Ok(Some(count))
    }

    fn evaluated(&self, inline: &Inline, function: u64, why: &str, arguments: &[u64]) -> Result<u64, String> {
        if function == 0 {
            return Err(why.to_string());
        }
        match inline.call(
            inline.functions.vectorcall,
            &[function, arguments.as_ptr() as u64, arguments.len() as u64, 0],
        ) {
            0 => Err(self.raised(inline)),
            value => Ok(value),
        }
    }

    /// A value as text, within the limits.
    pub(super) fn shown(&self, inline: &Inline, value: u64) -> String {
        let shown = if inline.containers.contains(&type_of(value)) {
            let arguments = [value, inline.depth];
            inline.call(inline.functions.vectorcall, &[inline.show, arguments.as_ptr() as u64, 2, 0])
        } else {
            inline.call(inline.functions.repr, &[value])
        };
        if shown == 0 {
            let error = self.raised(inline);
            inline.call(inline.functions.set_slice, &[inline.outer, 0, i64::MAX.cast_unsigned(), 0]);
            return format!("<{} in repr>", error.split(':').next().unwrap_or_default());
        }
        let some = text_of(self.layout(), shown, inline.asked.limits.size.into());
        inline.give_up(shown);
        some
    }

    /// The pending exception in one line; it is pending no more.
    fn raised(&self, inline: &Inline) -> String {
        const TYPE_NAME: u64 = 24;
        let mut three = [0_u64; 3];
        let base = three.as_mut_ptr() as u64;
        let places = [base, base + 8, base + 16];
        inline.call(inline.functions.fetch, &places);
        inline.call(inline.functions.normalize, &places);
        // SAFETY: written by the calls through the addresses taken above.
        let three = unsafe { core::ptr::read_volatile(&raw const three) };
        let [_, exception, _] = three;
        if exception == 0 {
            return "an unknown error".to_string();
        }
        let name = crate::memory::c_string(get(type_of(exception) + TYPE_NAME));
        let name = String::from_utf8_lossy(&name).into_owned();
        let shown = inline.call(inline.functions.str, &[exception]);
        let message = if shown == 0 { String::new() } else { text(self.layout(), shown) };
        inline.give_up(shown);
        if shown == 0 {
            // Its own text raises: nobody is to see that one.
            inline.call(inline.functions.fetch, &places);
        }
        three.into_iter().for_each(|object| inline.give_up(object));
        let message = message.replace('\n', "; ");
        cut(
            if message.is_empty() { name } else { format!("{name}: {message}") },
            inline.asked.limits.size.max(200),
        )
    }

    /// The expressions for a frame, as an index, and the arguments they take.
    fn compiled(&mut self, inline: &mut Inline, (frame, code): (u64, u64), time: u64) -> Result<(usize, Vec<u64>), String> {
        let layout = self.layout();
        let room = MOST_NAMES.saturating_sub(inline.asked.objects.len());
        if !inline.locals.iter().any(|l| l.0 == code) {
            let wants_all = inline.words.iter().any(|w| ALL_NAMES.contains(&w.as_str()));
            let mut all = locals(layout, code, |name| wants_all || inline.words.iter().any(|w| w == name));
            all.truncate(room);
            inline.locals.push((code, all));
        }
        let all = inline.locals.iter().find(|l| l.0 == code).map_or(&[][..], |l| &l.1[..]);
        let (mut arguments, mut bound, mut names) = (Vec::with_capacity(all.len()), 0, Vec::new());
        for (i, local) in all.iter().enumerate() {
            let value = local.value(layout, frame, inline.cell_type);
            if value != 0 {
                arguments.push(value);
                bound |= 1_u64 << i;
            }
        }
        let globals: u64 = get(frame + layout.frame_globals);
        // The body of a class has its names in a dictionary.
        let own: u64 = get(frame + layout.frame_names);
        if own != 0 && own != globals && type_of(own) == inline.dict_type {
            for word in inline
                .words
                .iter()
                .filter(|w| !all.iter().any(|l| l.name == **w))
                .take(room.saturating_sub(all.len()))
            {
                let Ok(name) = CString::new(word.as_str()) else { continue };
                let value = inline.call(inline.functions.dict_item, &[own, name.as_ptr() as u64]);
                if value != 0 {
                    bound |= 1 << (all.len() + names.len());
                    arguments.push(value);
                    names.push(word.clone());
                }
            }
        }
        let there: Vec<String> = inline
            .asked
            .objects
            .iter()
            .zip(room..)
            .filter(|(object, _)| error_of(object, time).is_none())
            .map(|(object, bit)| {
                bound |= 1_u64 << (bit & 63);
                arguments.push(object.address);
                object.name.clone()
            })
            .collect();
        let known = |c: &Compiled| c.code == code && c.globals == globals && c.bound == bound;
        // A dictionary may have other names next time, with the same bits.
        if let Some(index) = inline.compiled.iter().position(known).filter(|_| names.is_empty()) {
            return Ok((index, arguments));
        }
        let all = all
            .iter()
            .enumerate()
            .filter(|(i, _)| bound >> i & 1 != 0)
            .map(|(_, l)| l.name.clone());
        let parameters: Vec<String> = all.chain(names).chain(there).collect();
        let sources: Vec<String> = inline.asked.condition.iter().chain(&inline.asked.expressions).cloned().collect();
        let functions = sources
            .iter()
            .map(|source| self.function(inline, &parameters.join(", "), source, globals))
            .collect::<Result<_, _>>()?;
        inline.compiled.retain(|c| !known(c));
        inline.compiled.push(Compiled {
            code,
            globals,
            bound,
            functions,
        });
        // What waits now will be dead by then.
        let waiting = self.thread_state().map_or(0, |t| get(t + layout.thread_interpreter));
        inline.level = arena::level_without(arena::waiting(layout.free_objects, waiting));
        Ok((inline.compiled.len() - 1, arguments))
    }

    /// An expression as a function of some variables; 0 where it does not compile, with why.
    fn function(&self, inline: &Inline, parameters: &str, source: &str, globals: u64) -> Result<(u64, String), String> {
        // The line break ends a comment.
        let code = inline.compile(&format!("lambda {parameters}: ({source}\n)"), EVAL_INPUT)?;
        let function = match code {
            0 => 0,
            code => inline.call(inline.functions.eval_code, &[code, globals, globals]),
        };
        if function == 0 {
            return Ok((0, self.raised(inline)));
        }
        inline.call(inline.functions.untrack, &[function]);
        // The program's dictionary is to die when the program is done with it.
        inline.give_up(globals);
        Ok((function, String::new()))
    }
}

/// What code that uses this object raises, if it is not there.
fn error_of(object: &NamedObject, time: u64) -> Option<&str> {
    let gone = object.until.as_ref().filter(|u| time >= u.0.0).map(|u| u.1.as_str());
    gone.or_else(|| (time < object.from.0.0).then_some(object.from.1.as_str()))
}

/// What code raises that uses an object which is not there.
fn absent<'a>(asked: &'a Asked, source: &str, time: u64) -> Option<&'a str> {
    let words = || source.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let used = asked.objects.iter().filter(|o| words().any(|w| w == o.name));
    used.filter_map(|o| error_of(o, time)).next()
}

fn kind(kind: StopKind) -> RowKind {
    match kind {
        // Nothing is evaluated between stop points.
        StopKind::Line | StopKind::Instruction => RowKind::Enter,
        StopKind::Return => RowKind::Return,
        StopKind::Yield => RowKind::Yield,
        StopKind::Unwind => RowKind::Unwind,
    }
}

fn cut(mut text: String, size: u32) -> String {
    if let Some((at, _)) = text.char_indices().nth(size as usize) {
        text.truncate(at);
        text.push_str("...");
    }
    text
}
