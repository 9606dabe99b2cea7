//! Evaluation of expressions and statements, by the interpreter's own C API.
//!
//! Only in a throw-away process: it writes program memory as it likes. It runs on the stack of the thread stood in, below the
//! red zone. The code sees one namespace, the frame's globals overlaid with its locals, so that comprehensions and
//! lambdas see locals too.
//!
//! # Safety
//! This room may use `unsafe` to call functions of the interpreter: they follow the C ABI, the interpreter stands at an instruction
//! boundary with its lock held, and the process is thrown away afterwards.
#![allow(unsafe_code)]

use super::Stops;
use super::inline_names::locals as locals_of;
use super::objects::{TP_DEALLOC, TP_FLAGS, type_of};
use super::traps;
use crate::arch::entry;
use crate::memory::{copy_out, get, put};
use alloc::ffi::CString;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use rdb_protocol::replay::Entry;
pub use rdb_protocol::replay::Object;
use rdb_protocol::{Limits, Scope, Variable};

/// In evaluated code: the dictionary of the frame's global names itself, where the code is given a copy.
const GLOBALS: &str = "__rdb_globals";
/// The same of its local ones, or whatever it has for that.
const LOCALS: &str = "__rdb_locals";
/// In evaluated code: the generator or coroutine whose frame it is; there is no such name in other frames.
const GENERATOR: &str = "__rdb_generator";
/// Where a frame object says which frame it is of.
const FRAME_OBJECT_FRAME: u64 = 24;
/// Of a code object: variables have slots.
const OPTIMIZED: u32 = 1;
const EVAL_INPUT: u64 = 258;
const FILE_INPUT: u64 = 257;
/// Below the stack pointer: the red zone, and room for what a dispatch may have below it.
const BELOW: u64 = 1024;

/// Types whose objects are no more than their values.
const PLAIN_TYPES: [&str; 6] = [
    "PyLong_Type",
    "PyBool_Type",
    "PyFloat_Type",
    "PyComplex_Type",
    "PyUnicode_Type",
    "PyBytes_Type",
];
/// Values of which there is one each.
const PLAIN_VALUES: [&str; 3] = ["_Py_NoneStruct", "_Py_EllipsisObject", "_Py_NotImplementedStruct"];

/// Shows a value, `depth`, `elements` and `size` being the limits: the plain containers within these, and as their own repr would show
/// them; what else there is shows itself.
pub(super) const SHOW: &str = "
brackets = {list: '[]', tuple: '()', set: '{}', frozenset: '{}', dict: '{}'}
outer = []
def show(v, depth):
    t = type(v)
    w = brackets.get(t)
    if w is None or not v:
        return repr(v)
    if depth == 0 or any(v is o for o in outer):
        text = w[0] + '...' + w[1]
    else:
        outer.append(v)
        parts, length = [], 0
        for k in v:
            if len(parts) == elements:
                parts.append('... %d more' % (len(v) - elements))
                break
            if length > size:
                parts.append('...')
                break
            part = show(k, depth - 1)
            if t is dict:
                part += ': ' + show(v[k], depth - 1)
            parts.append(part)
            length += len(part)
        outer.pop()
        text = w[0] + ', '.join(parts) + (',' if t is tuple and len(v) == 1 else '') + w[1]
    return 'frozenset(' + text + ')' if t is frozenset else text
";

/// The same of one value, in one piece.
const SHORT: &str = "
def short(v):
    try:
        v = show(v, depth)
    except BaseException as e:
        v = '<' + type(e).__name__ + ' in repr>'
        outer.clear()
    return v[:size] + '...' if len(v) > size else v
";

/// Before [`SHOW`]: objects that may take long to show themselves are not asked.
const PLAIN: &str = "
asked = repr
def repr(v):
    t = type(v)
    return asked(v) if t.__module__ == 'builtins' and t.__flags__ & 512 == 0 else '<%s object, not asked for its repr>' % t.__name__
";

/// Lists a namespace: names, whether they are parameters, and reprs, separated by bytes that no repr contains unescaped. Names starting
/// with `.` are the compiler's.
const LIST: &str = "
r = []
c = f.f_code
a = c.co_varnames[:c.co_argcount + c.co_kwonlyargcount + (c.co_flags >> 2 & 1) + (c.co_flags >> 3 & 1)]
for k in list(d):
    n = str(k)
    if n.startswith('.'):
        continue
    try:
        v = show(d[k], depth)
    except BaseException as e:
        v = '<' + type(e).__name__ + ' in repr>'
        outer.clear()
    if len(v) > size:
        v = v[:size] + '...'
    r.append(n + '\\x1f' + '01'[n in a] + v)
r = '\\x1e'.join(r)
";

/// A `PyThreadState` (0: that of the thread stood in), and a frame of its stack.
pub type Place = (u64, u32);

/// What an evaluation came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// An expression's value.
    Value {
        /// Its repr; empty where an object is watched ([`Stops::watch_life`]): then only that is of interest.
        text: String,
        /// Which object it is; `None` for those that are only values: numbers, strings, bytes, `None` and the like.
        object: Option<Object>,
        /// It is the object watched, which was there before the evaluation.
        same: bool,
    },
    /// A statement was executed.
    Done,
    /// It raised; the traceback was printed to standard error. What is left to say where nothing was printed.
    Raised(String),
}

/// A moment of an evaluation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// What the program itself had buffered has been written; what comes now is the code's.
    Begins,
    /// The code could not be compiled: nothing of it was executed.
    Senseless,
    /// The code has raised; what comes now prints the traceback.
    Failed,
}

/// The interpreter as something to call.
pub(super) struct Calls<'a> {
    stops: &'a mut Stops,
    pub(super) stack: u64,
}

impl Calls<'_> {
    /// The address of a function of the interpreter's.
    pub(super) fn function(&self, name: &str) -> Result<u64, String> {
        self.stops
            .symbol(name)
            .ok_or_else(|| format!("the interpreter does not export {name}"))
    }

    /// Calls one.
    pub(super) fn call(&self, name: &str, args: &[u64]) -> Result<u64, String> {
        let function = self.function(name)?;
        let mut six = [0u64; 6];
        six[..args.len()].copy_from_slice(args);
        // SAFETY: see the room's header.
        Ok(unsafe { entry::rdb_call_on(self.stack, function, six.as_ptr()) })
    }

    /// What ends the objects of all classes made in Python, which keep no free lists.
    fn python_dealloc(&self) -> Result<u64, String> {
        let metatype = self
            .stops
            .symbol("PyType_Type")
            .ok_or("the interpreter does not export PyType_Type")?;
        let class = self.call("PyObject_CallFunction", &[metatype, c"s(){}".as_ptr() as u64, c"_".as_ptr() as u64])?;
        if class == 0 {
            self.call("PyErr_Clear", &[])?;
            return Err("no class can be made".to_string());
        }
        Ok(get(class + TP_DEALLOC))
    }

    /// What identifies a value that is more than its repr.
    fn object(&self, value: u64) -> Option<Object> {
        const HAVE_GC: u64 = 1 << 14;
        /// A dictionary or weak references kept in front of the object.
        const PRE_HEADER: u64 = 3 << 3;
        let is_type = |name: &&str| self.stops.symbol(name) == Some(type_of(value));
        let is_value = |name: &&str| self.stops.symbol(name) == Some(value);
        if PLAIN_TYPES.iter().any(is_type) || PLAIN_VALUES.iter().any(is_value) {
            return None;
        }
        let kind = type_of(value);
        let flags: u64 = get(kind + TP_FLAGS);
        let before = if flags & HAVE_GC != 0 { 16 } else { 0 } + if flags & PRE_HEADER != 0 { 16 } else { 0 };
        let dealloc = get(kind + TP_DEALLOC);
        let dealloc = if self.python_dealloc() == Ok(dealloc) { 0 } else { dealloc };
        Some(Object {
            address: value,
            block: value - before,
            dealloc,
            dealloc_code: if dealloc == 0 { 0 } else { get(dealloc) },
        })
    }

    fn text(&self, object: u64) -> Result<Option<String>, String> {
        self.text_by(object, |name, args| self.call(name, args))
    }

    /// The same of one that may be very long: it is then cut, and says so.
    fn shown(&self, object: u64) -> Result<Option<String>, String> {
        /// Characters.
        const MOST: u64 = 1 << 20;
        let length = self.call("PyUnicode_GetLength", &[object])?;
        if length.cast_signed() <= MOST.cast_signed() {
            return self.text(object);
        }
        let part = self.call("PyUnicode_Substring", &[object, 0, MOST])?;
        let text = if part == 0 { None } else { self.text(part)? };
        Ok(text.map(|text| text + &format!("... (the first {MOST} of {length} characters)")))
    }

    /// The text of a string object, had by `call`.
    pub(super) fn text_by(&self, object: u64, call: impl Fn(&str, &[u64]) -> Result<u64, String>) -> Result<Option<String>, String> {
        let bytes = call(
            "PyUnicode_AsEncodedString",
            &[object, c"utf-8".as_ptr() as u64, c"backslashreplace".as_ptr() as u64],
        )?;
        if bytes == 0 {
            return Ok(None);
        }
        let at = call("PyBytes_AsString", &[bytes])?;
        let size = call("PyBytes_Size", &[bytes])?;
        let mut text = vec![0u8; usize::try_from(size).unwrap_or(0).min(16 << 20)];
        copy_out(at, &mut text);
        Ok(Some(String::from_utf8_lossy(&text).into_owned()))
    }

    fn flush(&self) -> Result<(), String> {
        for name in [c"stdout", c"stderr"] {
            let stream = self.call("PySys_GetObject", &[name.as_ptr() as u64])?;
            if stream != 0 {
                self.call("PyObject_CallMethod", &[stream, c"flush".as_ptr() as u64, 0])?;
                self.call("PyErr_Clear", &[])?;
            }
        }
        Ok(())
    }

    /// What the program still had in its buffers is not the evaluated code's output; that goes to the real streams.
    fn own_streams(&self, note: &mut dyn FnMut(Moment)) -> Result<(), String> {
        self.flush()?;
        for (name, real) in [(c"stdout", c"__stdout__"), (c"stderr", c"__stderr__")] {
            let stream = self.call("PySys_GetObject", &[real.as_ptr() as u64])?;
            if stream != 0 {
                self.call("PySys_SetObject", &[name.as_ptr() as u64, stream])?;
            }
        }
        self.flush()?;
        note(Moment::Begins);
        Ok(())
    }

    /// Frame `n` of a thread state; 0 is that of the thread stood in.
    fn frame(&self, (thread, n): Place) -> Result<u64, String> {
        let thread = match thread {
            0 => self.call("PyThreadState_Get", &[])?,
            thread => thread,
        };
        let mut frame = self.call("PyThreadState_GetFrame", &[thread])?;
        for _ in 0..n {
            if frame == 0 {
                break;
            }
            frame = self.call("PyFrame_GetBack", &[frame])?;
        }
        if frame == 0 { Err("no such frame".to_string()) } else { Ok(frame) }
    }

    fn namespace(&self, frame: u64) -> Result<(u64, u64), String> {
        let globals = self.call("PyFrame_GetGlobals", &[frame])?;
        let mut locals = self.call("PyFrame_GetLocals", &[frame])?;
        if globals == 0 || locals == 0 {
            return Err("the frame has no namespace yet".to_string());
        }
        let own = self.own_names(frame);
        if own != 0 && own != locals && own != globals {
            // Within a comprehension in the body of a class 3.13 tells the variables of the comprehension alone.
            let all = self.call("PyDict_New", &[])?;
            if self.update(all, own)? && self.update(all, locals)? {
                locals = all;
            }
        }
        Ok((globals, locals))
    }

    /// What a frame keeps its variables in where they have no slots; else 0.
    fn own_names(&self, frame: u64) -> u64 {
        let (layout, activation): (_, u64) = (self.stops.layout(), get(frame + FRAME_OBJECT_FRAME));
        let code = get::<u64>(activation + layout.frame_code) & !3;
        match get::<u32>(code + layout.co_flags) & OPTIMIZED {
            0 => get(activation + layout.frame_names),
            _ => 0,
        }
    }

    /// Adds to a dictionary what another object has, if it can be listed.
    fn update(&self, dict: u64, with: u64) -> Result<bool, String> {
        let done = self.call("PyDict_Update", &[dict, with])? & u64::from(u32::MAX) == 0;
        if !done {
            self.call("PyErr_Clear", &[])?;
        }
        Ok(done)
    }

    pub(super) fn compile(&self, source: &CString, mode: u64) -> Result<u64, String> {
        self.call(
            "Py_CompileStringExFlags",
            &[source.as_ptr() as u64, c"<print>".as_ptr() as u64, mode, 0, u64::MAX],
        )
    }

    fn is_pending(&self, exception: &str) -> Result<bool, String> {
        let variable = self
            .stops
            .symbol(exception)
            .ok_or_else(|| format!("the interpreter does not export {exception}"))?;
        Ok(self.call("PyErr_ExceptionMatches", &[get(variable)])? & 0xffff_ffff == 1)
    }

    /// Takes the pending exception; 0 when there is none.
    fn pending(&self) -> Result<u64, String> {
        self.pending_by(|name, args| self.call(name, args))
    }

    /// As `pending`, by `call`.
    #[allow(clippy::unused_self)] // an interpreter that can be called
    pub(super) fn pending_by(&self, call: impl Fn(&str, &[u64]) -> Result<u64, String>) -> Result<u64, String> {
        let mut three = [0_u64; 3];
        let base = three.as_mut_ptr() as u64;
        let places = [base, base + 8, base + 16];
        call("PyErr_Fetch", &places)?;
        call("PyErr_NormalizeException", &places)?;
        // SAFETY: written by the calls through the address taken above.
        Ok(unsafe { core::ptr::read_volatile(&raw const three[1]) })
    }

    fn raised(&self, note: &mut dyn FnMut(Moment)) -> Result<Outcome, String> {
        if self.is_pending("PyExc_SystemExit")? {
            self.call("PyErr_Clear", &[])?;
            return Ok(Outcome::Raised("SystemExit: evaluated code cannot end the program".to_string()));
        }
        note(Moment::Failed);
        self.call("PyErr_PrintEx", &[0])?;
        self.flush()?;
        Ok(Outcome::Raised("an exception was raised, and could not be printed".to_string()))
    }
}

/// Makes the stop point's state whole and quiet: the frame's instruction, no pending exception, nobody asking for the lock.
fn prepare(stops: &mut Stops) -> Result<Calls<'_>, String> {
    let calls = quieten(stops)?;
    calls.call("PyErr_Clear", &[])?;
    Ok(calls)
}

/// As [`prepare`], but an exception stays pending.
pub(super) fn quieten(stops: &mut Stops) -> Result<Calls<'_>, String> {
    let stop = stops.stop().ok_or("there is no stop point here")?;
    stops.set_patched(false);
    if let Some(instruction) = stop.instruction {
        put(stop.frame + stops.layout().frame_instruction, instruction);
    }
    for (addr, size, bits) in stops.breaker_words() {
        if size == 8 {
            put(addr, get::<u64>(addr) & !bits);
        } else {
            put(addr, get::<u32>(addr) & !(bits as u32));
        }
    }
    let stack = (stop.registers[4] - BELOW) & !63;
    Ok(Calls { stops, stack })
}

/// Evaluates an expression, or executes statements, in a frame, with some objects under names of their own. `note` is called
/// at moments of it.
///
/// # Errors
/// Why it could not even be tried.
pub fn evaluate(
    stops: &mut Stops,
    source: &str,
    frame: Place,
    bound: &[(String, u64)],
    note: &mut dyn FnMut(Moment),
) -> Result<Outcome, String> {
    let there = stops.is_there();
    let text = CString::new(source).map_err(|_| "the expression has a NUL in it")?;
    let py = prepare(stops)?;
    py.own_streams(note)?;
    let frame = py.frame(frame)?;
    let (globals, locals) = py.namespace(frame)?;
    let names = py.call("PyDict_Copy", &[globals])?;
    let own = py.own_names(frame);
    if own != 0 {
        let (layout, activation): (_, u64) = (py.stops.layout(), get(frame + FRAME_OBJECT_FRAME));
        let code = get::<u64>(activation + layout.frame_code) & !3;
        // The body of a class sees variables of the function around it, which are not among its own.
        let cell = py.stops.symbol("PyCell_Type").unwrap_or(0);
        for outer in locals_of(layout, code, |_| true) {
            let value = outer.value(layout, activation, cell);
            if value != 0 {
                let name = CString::new(outer.name).map_err(|e| e.to_string())?;
                py.call("PyDict_SetItemString", &[names, name.as_ptr() as u64, value])?;
            }
        }
    }
    // A class body may have names that cannot be listed (`__prepare__`), but be looked up.
    let listed = py.update(names, locals)?;
    // Some frames have none of their own (namedtuple's): who debugs wants them all the same.
    let builtins = py.call("PyImport_AddModule", &[c"builtins".as_ptr() as u64])?;
    py.call("PyDict_SetItemString", &[names, c"__builtins__".as_ptr() as u64, builtins])?;
    for (name, object) in [(GLOBALS, globals), (LOCALS, if own == 0 { locals } else { own })] {
        if source.contains(name) {
            let name = CString::new(name).map_err(|e| e.to_string())?;
            py.call("PyDict_SetItemString", &[names, name.as_ptr() as u64, object])?;
        }
    }
    if source.contains(GENERATOR)
        && let Some(generator) = py.stops.generator_of(get(frame + FRAME_OBJECT_FRAME))
    {
        let name = CString::new(GENERATOR).map_err(|e| e.to_string())?;
        py.call("PyDict_SetItemString", &[names, name.as_ptr() as u64, generator])?;
    }
    for (name, object) in bound {
        let name = CString::new(name.as_str()).map_err(|_| "a name has a NUL in it")?;
        py.call("PyDict_SetItemString", &[names, name.as_ptr() as u64, *object])?;
    }
    let mut code = py.compile(&text, EVAL_INPUT)?;
    let expression = code != 0;
    if !expression {
        // Not an expression. If it is no statement either, what is wrong with the statement is what to say.
        py.call("PyErr_Clear", &[])?;
        code = py.compile(&text, FILE_INPUT)?;
    }
    if code == 0 {
        note(Moment::Senseless);
        return py.raised(note);
    }
    let value = py.call("PyEval_EvalCode", &[code, names, if listed { names } else { locals }])?;
    if value == 0 {
        return py.raised(note);
    }
    if !expression {
        py.flush()?;
        return Ok(Outcome::Done);
    }
    let watched = py.stops.watched();
    let same = there && py.stops.is_there() && watched == Some(value);
    let object = py.object(value);
    if watched.is_some() {
        let text = String::new();
        return Ok(Outcome::Value { text, object, same });
    }
    let shown = py.call("PyObject_Repr", &[value])?;
    if shown == 0 {
        return py.raised(note);
    }
    py.flush()?;
    let text = py.shown(shown)?.unwrap_or_default();
    Ok(Outcome::Value { text, object, same })
}

/// The variables of a frame.
///
/// # Errors
/// Why they could not be had.
pub fn variables(stops: &mut Stops, frame: Place, scope: Scope, limits: Limits, plain: bool) -> Result<Vec<Variable>, String> {
    let Limits { depth, elements, size } = limits;
    let plain = if plain { PLAIN } else { "" };
    let source = format!("depth, elements, size = {depth}, {elements}, {size}\n{plain}{SHOW}{LIST}");
    let source = CString::new(source).map_err(|e| e.to_string())?;
    let py = prepare(stops)?;
    let frame = py.frame(frame)?;
    let (globals, locals) = py.namespace(frame)?;
    let listed = match scope {
        Scope::Local => locals,
        Scope::Global => globals,
    };
    let names = py.call("PyDict_New", &[])?;
    py.call("PyDict_SetItemString", &[names, c"d".as_ptr() as u64, listed])?;
    py.call("PyDict_SetItemString", &[names, c"f".as_ptr() as u64, frame])?;
    let builtins = py.call("PyImport_AddModule", &[c"builtins".as_ptr() as u64])?;
    py.call("PyDict_SetItemString", &[names, c"__builtins__".as_ptr() as u64, builtins])?;
    let code = py.compile(&source, FILE_INPUT)?;
    let done = if code == 0 {
        0
    } else {
        py.call("PyEval_EvalCode", &[code, names, names])?
    };
    let list = if done == 0 {
        0
    } else {
        py.call("PyDict_GetItemString", &[names, c"r".as_ptr() as u64])?
    };
    let text = if list == 0 { None } else { py.text(list)? };
    let text = text.ok_or("the variables cannot be listed")?;
    Ok(text
        .split('\x1e')
        .filter_map(|item| item.split_once('\x1f'))
        .map(|(name, value)| Variable {
            name: name.to_string(),
            value: value.get(1..).unwrap_or_default().to_string(),
            argument: value.starts_with('1'),
        })
        .collect())
}

/// The reprs of the values on the stack of the frame stood in, the oldest first; `None` for a place that holds none.
///
/// # Errors
/// Why they could not be had.
pub fn value_stack(stops: &mut Stops, limits: Limits) -> Result<Vec<Option<String>>, String> {
    let objects = stops.value_stack()?;
    let Limits { depth, elements, size } = limits;
    let source = format!("depth, elements, size = {depth}, {elements}, {size}\n{SHOW}{SHORT}");
    let source = CString::new(source).map_err(|e| e.to_string())?;
    let py = prepare(stops)?;
    let names = py.call("PyDict_New", &[])?;
    let builtins = py.call("PyImport_AddModule", &[c"builtins".as_ptr() as u64])?;
    py.call("PyDict_SetItemString", &[names, c"__builtins__".as_ptr() as u64, builtins])?;
    let code = py.compile(&source, FILE_INPUT)?;
    if code == 0 || py.call("PyEval_EvalCode", &[code, names, names])? == 0 {
        return Err("the values cannot be shown".to_string());
    }
    let short = py.call("PyDict_GetItemString", &[names, c"short".as_ptr() as u64])?;
    let show = |object: u64| {
        if object == 0 {
            return Ok(None);
        }
        let shown = py.call("PyObject_CallFunctionObjArgs", &[short, object, 0])?;
        let text = if shown == 0 { None } else { py.text(shown)? };
        text.map(Some).ok_or_else(|| "the values cannot be shown".to_string())
    };
    objects.into_iter().map(show).collect()
}

/// Finds what a dotted name means, from a module or the builtin names on.
const FIND: &str = "
import sys
p = name.split('.')
r, why = None, 'no module that was imported, and no builtin name, has it; it is written as MODULE.FUNCTION or MODULE.CLASS.METHOD'
for i in range(len(p) - 1, -1, -1):
    o = sys.modules.get('.'.join(p[:i]) if i else 'builtins')
    if o is None:
        continue
    try:
        for part in p[i:]:
            o = getattr(o, part)
    except AttributeError:
        continue
    if hasattr(o, '__code__'):
        why = 'it is written in Python: `break ' + o.__qualname__ + '`'
    elif isinstance(o, type):
        why = 'it is a class, not a function or method'
    else:
        r, why = o, 'it is no function or method written in C'
    break
";

/// Where the code begins of the function written in C that has this dotted name.
///
/// # Errors
/// Why there is none, or its calls cannot be noticed.
pub fn entry(stops: &mut Stops, name: &str) -> Result<Entry, String> {
    const METHOD_DEF: u64 = 16;
    const DESCRIBED_DEF: u64 = 40;
    const METHOD: u64 = 8;
    let py = prepare(stops)?;
    let names = py.call("PyDict_New", &[])?;
    let builtins = py.call("PyImport_AddModule", &[c"builtins".as_ptr() as u64])?;
    py.call("PyDict_SetItemString", &[names, c"__builtins__".as_ptr() as u64, builtins])?;
    let text = CString::new(name).map_err(|_| "the name has a NUL in it")?;
    let text = py.call("PyUnicode_FromString", &[text.as_ptr() as u64])?;
    py.call("PyDict_SetItemString", &[names, c"name".as_ptr() as u64, text])?;
    let source = CString::new(FIND).map_err(|e| e.to_string())?;
    let code = py.compile(&source, FILE_INPUT)?;
    if code == 0 || py.call("PyEval_EvalCode", &[code, names, names])? == 0 {
        return Err(format!("{name}: its name cannot be looked up"));
    }
    let found = py.call("PyDict_GetItemString", &[names, c"r".as_ptr() as u64])?;
    let is = |types: &[&str]| types.iter().any(|t| py.stops.symbol(t) == Some(type_of(found)));
    let definition = if is(&["PyCFunction_Type", "PyCMethod_Type"]) {
        found + METHOD_DEF
    } else if is(&["PyMethodDescr_Type", "PyClassMethodDescr_Type"]) {
        found + DESCRIBED_DEF
    } else {
        let why = py.call("PyDict_GetItemString", &[names, c"why".as_ptr() as u64])?;
        let why = py.text(why)?.unwrap_or_default();
        return Err(format!("calls of {name} cannot be stopped at: {why}"));
    };
    let address = get(get::<u64>(definition) + METHOD);
    if !traps::can_trap(address) {
        return Err(format!(
            "calls of {name} cannot be stopped at: its code begins with an instruction that must stay where it is"
        ));
    }
    Ok(Entry {
        address,
        code: get(address),
    })
}

/// The repr of the value about to be returned, or of the exception that unwinds.
///
/// # Errors
/// Why it could not be had.
pub fn result(stops: &mut Stops) -> Result<String, String> {
    let kept = stops.result_object();
    let py = quieten(stops)?;
    let object = match kept {
        Some(object) => object,
        None => py.pending()?,
    };
    if object == 0 {
        return Err("there is no value here".to_string());
    }
    let shown = py.call("PyObject_Repr", &[object])?;
    let text = if shown == 0 { None } else { py.shown(shown)? };
    text.ok_or_else(|| "its repr raised".to_string())
}
