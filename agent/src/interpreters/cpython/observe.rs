//! Evaluation that tells what memory the value depends on.
//!
//! Only in a throw-away process. What the evaluation itself makes lies in memory of its own, where the program has nothing: an
//! allocator that only ever gives is put in the interpreter's place, and the stack is another one. So what is read of the program's
//! memory is what was there before. The code is compiled and its names are bound before [`reads`] looks on.
//!
//! Not counted as read: the state of the thread that evaluates, for any thread may do that.
//!
//! # Safety
//! This room may use `unsafe` to call functions of the interpreter, as [`super::evaluate`] does, and to hand it an allocator, whose functions
//! follow its interface (`PyMemAllocatorEx`, Doc/c-api/memory.rst).
#![allow(unsafe_code)]

use super::Stops;
use super::emit::map;
use super::evaluate::{Calls, quieten};
use super::inline_names::{add_words, locals};
use super::lookup::items;
use super::objects::{TP_FLAGS, text, type_of};
use crate::interpreters::reads::{self, Dependence};
use crate::layout::{EVALUATION, EVALUATION_SIZE, LIFE_STACK, PROGRAM_END};
use crate::memory::{can_read, get, put};
use alloc::ffi::CString;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::ops::Range;
use core::sync::atomic::{AtomicU64, Ordering};
use rdb_protocol::Activation;
use rdb_protocol::replay::Word;

const STACK_SIZE: u64 = 16 << 20;
/// Of `_PyCFrame`.
const HOLDER_SIZE: u64 = 24;
const EVAL_INPUT: u64 = 258;
/// Where the next block begins; before each block a word with its size.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// A value, or what was raised, and what that depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Its repr, or the error in one line.
    pub value: Result<String, String>,
    /// What it depends on.
    pub dependence: Dependence,
}

unsafe extern "sysv64" fn allocate(_: u64, size: u64) -> u64 {
    let size = size.max(1).saturating_add(31) & !15;
    let block = NEXT.load(Ordering::Relaxed) + 16;
    if size > EVALUATION_SIZE || block + size > EVALUATION + EVALUATION_SIZE {
        return 0;
    }
    NEXT.store(block + size - 16, Ordering::Relaxed);
    put(block - 8, size - 16);
    block
}

unsafe extern "sysv64" fn allocate_zeroed(context: u64, count: u64, size: u64) -> u64 {
    // The memory is fresh, and never given twice.
    match count.checked_mul(size) {
        // SAFETY: as this one.
        Some(size) => unsafe { allocate(context, size) },
        None => 0,
    }
}

unsafe extern "sysv64" fn reallocate(context: u64, old: u64, size: u64) -> u64 {
    // SAFETY: as this one.
    let new = unsafe { allocate(context, size) };
    if old == 0 || new == 0 {
        return new;
    }
    // How large a block of the program's is, is not known here: so much of what lies there as can be read.
    let own = (EVALUATION..EVALUATION + EVALUATION_SIZE).contains(&old);
    let mut rest = if own { get::<u64>(old - 8).min(size) } else { size };
    while rest > 0 && !can_read(old, rest) {
        rest /= 2;
    }
    (0..rest).for_each(|i| put(new + i, get::<u8>(old + i)));
    new
}

unsafe extern "sysv64" fn release(_: u64, _: u64) {}

/// What stepping calls: arguments as in [`Calls::call`].
struct Stepped<'a, 'b>(&'a Calls<'b>);

impl Stepped<'_, '_> {
    fn call(&self, name: &str, args: &[u64]) -> Result<u64, String> {
        let function = self.0.function(name)?;
        let mut six = [0_u64; 6];
        six[..args.len()].copy_from_slice(args);
        // SAFETY: see the room's header.
        Ok(unsafe { reads::call(self.0.stack, function, &six) })
    }

    /// The pending exception in one line.
    fn raised(&self) -> Result<String, String> {
        const TYPE_NAME: u64 = 24;
        let exception = self.0.pending_by(|name, args| self.call(name, args))?;
        if exception == 0 {
            return Ok("an unknown error".to_string());
        }
        let name = c_string(get(get::<u64>(exception + 8) + TYPE_NAME));
        let shown = self.call("PyObject_Str", &[exception])?;
        let text = if shown == 0 { None } else { self.text(shown)? };
        Ok(match text {
            Some(text) if !text.is_empty() => format!("{name}: {text}"),
            _ => name,
        })
    }

    fn text(&self, object: u64) -> Result<Option<String>, String> {
        self.0.text_by(object, |name, args| self.call(name, args))
    }
}

/// Evaluates an expression whose names are those bound, those of a module (none where `module` is empty), and the builtin ones; or with an
/// activation, its variables and the global names of its code.
///
/// # Errors
/// Why it could not even be tried.
pub fn observe(
    stops: &mut Stops,
    source: &str,
    module: &str,
    activation: Option<Activation>,
    mut bound: Vec<(String, u64)>,
) -> Result<Seen, String> {
    let thread = stops.thread_state().unwrap_or(0);
    let own = Own::of(stops, thread);
    let (mut slots, mut frame_globals) = (Vec::new(), None);
    if let Some(activation) = activation {
        if stops.is_generator_over(activation.frame) {
            return Ok(Seen {
                value: Err("out of scope: that call is over".to_string()),
                dependence: Dependence::default(),
            });
        }
        frame_globals = Some(stops.watched_variables(source, activation, &mut bound, &mut slots)?);
    }
    map(EVALUATION, EVALUATION_SIZE, 3)?;
    NEXT.store(EVALUATION + STACK_SIZE, Ordering::Relaxed);
    let mut py = quieten(stops)?;
    py.stack = EVALUATION + STACK_SIZE - 64;
    py.call("PyErr_Clear", &[])?;
    py.call("PyGC_Disable", &[])?;
    let allocator = [
        0,
        allocate as *const () as u64,
        allocate_zeroed as *const () as u64,
        reallocate as *const () as u64,
        release as *const () as u64,
    ];
    for domain in 0..3 {
        py.call("PyMem_SetAllocator", &[domain, allocator.as_ptr() as u64])?;
    }
    let names: Vec<&str> = bound.iter().map(|b| b.0.as_str()).collect();
    // The line break ends a comment.
    let lambda = CString::new(format!("lambda {}: ({source}\n)", names.join(", "))).map_err(|_| "the expression has a NUL in it")?;
    let globals = match frame_globals {
        Some(globals) => Some(globals),
        None => stepped_globals(&Stepped(&py), module)?,
    };
    let Some(globals) = globals else {
        return Ok(Seen {
            value: Err(format!("NameError: module '{module}' is not imported")),
            dependence: dependence(&own),
        });
    };
    let code = py.compile(&lambda, EVAL_INPUT)?;
    let function = if code == 0 {
        0
    } else {
        py.call("PyEval_EvalCode", &[code, globals, globals])?
    };
    if function == 0 {
        // It does not even compile, whenever it is tried.
        let value = Err(Stepped(&py).raised()?);
        reads::dependence();
        let dependence = Dependence::default();
        return Ok(Seen { value, dependence });
    }
    let arguments = py.call("PyTuple_New", &[bound.len() as u64])?;
    for (i, (_, object)) in bound.iter().enumerate() {
        py.call("Py_IncRef", &[*object])?;
        py.call("PyTuple_SetItem", &[arguments, i as u64, *object])?;
    }
    let stepped = Stepped(&py);
    let value = stepped.call("PyObject_Call", &[function, arguments, 0])?;
    let shown = if value == 0 { 0 } else { stepped.call("PyObject_Repr", &[value])? };
    let text = if shown == 0 { None } else { stepped.text(shown)? };
    let value = match text {
        Some(text) => Ok(text),
        None => Err(stepped.raised()?),
    };
    let mut dependence = dependence(&own);
    for slot in slots {
        dependence.words.retain(|w| w.address != slot.address);
        dependence.words.push(slot);
    }
    Ok(Seen { value, dependence })
}

impl Stops {
    /// Adds the variables of an activation that the expression names: those that have a value to `bound`, and where each lies to
    /// `slots`. The global names of its code are returned.
    fn watched_variables(
        &self,
        source: &str,
        activation: Activation,
        bound: &mut Vec<(String, u64)>,
        slots: &mut Vec<Word>,
    ) -> Result<u64, String> {
        const CELL_VALUE: u64 = 16;
        /// The dictionary's version: another one after each change.
        const DICT_VERSION: u64 = 24;
        /// Of a type: its objects are dictionaries, or of a class made from that.
        const DICT: u32 = 1 << 29;
        let (layout, frame) = (self.layout(), activation.frame);
        if get::<u64>(frame + layout.frame_code) & !3 != activation.code {
            return Err("the call is not there".to_string());
        }
        let globals: u64 = get(frame + layout.frame_globals);
        let own: u64 = get(frame + layout.frame_names);
        let cell = self.symbol("PyCell_Type").unwrap_or(0);
        let text_type = self.symbol("PyUnicode_Type").unwrap_or(0);
        let mut words = Vec::new();
        add_words(source, &mut words);
        let mut depend = |address: u64| {
            let value = get(address);
            slots.push(Word {
                address,
                value,
                mask: u64::MAX,
            });
        };
        if own != 0 && own != globals {
            if get::<u32>(type_of(own) + TP_FLAGS) & DICT == 0 {
                return Err(
                    "the variables of this class body are in no dictionary, and cannot be watched: 'watch -l' means objects".to_string(),
                );
            }
            // It changes with each change of the dictionary, which must not go: its owner keeps it.
            depend(own + DICT_VERSION);
            for (key, value) in items(layout, own).1.filter(|&(key, _)| type_of(key) == text_type) {
                let name = text(layout, key);
                if words.contains(&name) {
                    bound.push((name, value));
                }
            }
            words.retain(|w| !bound.iter().any(|b| b.0 == *w));
        }
        for local in locals(layout, activation.code, |name| words.iter().any(|w| w == name)) {
            let slot = frame + layout.frame_locals + 8 * local.slot;
            depend(slot);
            let object: u64 = get(slot);
            if object != 0 && type_of(object) == cell {
                depend(object + CELL_VALUE);
            }
            let value = local.value(layout, frame, cell);
            if value != 0 {
                bound.push((local.name, value));
            }
        }
        Ok(globals)
    }
}

/// The dictionary of a module, if there is that module.
fn stepped_globals(py: &Stepped<'_, '_>, module: &str) -> Result<Option<u64>, String> {
    if module.is_empty() {
        return py.0.call("PyDict_New", &[]).map(Some);
    }
    let name = CString::new(module).map_err(|e| e.to_string())?;
    let modules = py.call("PyImport_GetModuleDict", &[])?;
    let found = py.call("PyDict_GetItemString", &[modules, name.as_ptr() as u64])?;
    if found == 0 {
        return Ok(None);
    }
    match py.call("PyModule_GetDict", &[found])? {
        0 => Err(format!("'{module}' is not a module")),
        globals => Ok(Some(globals)),
    }
}

/// Memory that belongs to whatever thread evaluates.
struct Own {
    state: Range<u64>,
    /// Where the state says which frame is executed, as far as that lies elsewhere.
    frame: Range<u64>,
}

impl Own {
    fn of(stops: &Stops, thread: u64) -> Own {
        let layout = stops.layout();
        let holder = layout
            .thread_cframe
            .filter(|_| thread != 0)
            .map_or(0, |offset| get(thread + offset));
        Own {
            state: thread..thread + if thread == 0 { 0 } else { layout.thread_size },
            frame: holder..holder + if holder == 0 { 0 } else { HOLDER_SIZE },
        }
    }

    fn has(&self, word: &Word) -> bool {
        self.state.contains(&word.address) || self.frame.contains(&word.address) || self.state.start != 0 && word.value == self.state.start
    }
}

/// What was read, but for what is the thread's own, or only tells which thread it is.
fn dependence(own: &Own) -> Dependence {
    let mut all = reads::dependence();
    all.words.retain(|w| !own.has(w));
    all
}

/// A string of the program's, cut to a reasonable length.
fn c_string(at: u64) -> String {
    let bytes: Vec<u8> = (0..200).map(|i| get::<u8>(at + i)).take_while(|b| *b != 0).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

const _: () = assert!(LIFE_STACK < EVALUATION && EVALUATION + EVALUATION_SIZE <= PROGRAM_END);
