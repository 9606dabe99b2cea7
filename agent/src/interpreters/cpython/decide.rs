//! Conditions decided by reading memory: nothing is called, nothing changes, so that it may be done in any process at each hit.
//!
//! Names, attributes that objects have of their own, integers, strings, `None`, lengths, comparisons and what is made of these are read as the
//! interpreter would evaluate them. Where a value is of another kind, or code of the program might have a say (a property, `__eq__` of a class), or an
//! error would be raised, the answer is that it cannot be told, and the condition has to be evaluated.

use super::inline_names::{Local, locals};
use super::lookup::{
    Characters, Known, Odd, as_float, attribute, class_name, float_order, integer, is_instance, is_type_named, items, members, named,
};
use super::objects::{tuple, type_of};
use super::stops::{Stop, Stops};
use crate::memory::get;
use alloc::string::String;
use alloc::vec::Vec;
use core::cmp::Ordering;
use rdb_protocol::predicate::{Arithmetic, Comparison, Op, Predicate};
use rdb_protocol::replay::Breakpoint;

/// Values waiting for their operator at most.
const DEEPEST: usize = 16;
/// Items of a list that are compared.
const MOST_ITEMS: u64 = 1000;
/// Operations that are written as calls of builtin functions.
const FUNCTIONS: [(Op, &str); 6] = [
    (Op::Length, "len"),
    (Op::Absolute, "abs"),
    (Op::IsInstance, "isinstance"),
    (Op::Least, "min"),
    (Op::Greatest, "max"),
    (Op::Type, "type"),
];
/// Of a float.
const SIGN: u64 = 1 << 63;

/// A condition made ready.
#[derive(Debug)]
struct Test {
    id: u32,
    predicate: Predicate,
    /// For each step where it found its name last: the entry of a dictionary.
    hints: Vec<u32>,
    /// The code it was decided in last, and those of its variables that may be named.
    code: u64,
    variables: Vec<Local>,
}

/// What is decided where breakpoints are hit.
#[derive(Debug, Default)]
pub(super) struct Decisions {
    known: Known,
    tests: Vec<Test>,
    /// Breakpoints whose hits do not end a run.
    quiet: Vec<u32>,
    /// Their hits, as time and number.
    pub(super) hits: Vec<(u64, u32)>,
    /// How many activations had begun in the followed frame at the last of these, and which of them is the first since.
    begun: (u32, usize),
}

/// A value, and the object it is; 0 where it is none.
#[derive(Clone, Copy)]
struct Value<'a> {
    what: What<'a>,
    object: u64,
}

#[derive(Clone, Copy)]
enum What<'a> {
    Nothing,
    Integer(i64),
    /// An integer that is below, or not, all that can be told.
    Huge(bool),
    Float(u64),
    Text(&'a str),
    Characters(Characters),
    Other,
}

impl Decisions {
    #[inline(never)]
    pub(super) fn of(stops: &Stops, breakpoints: &[Breakpoint]) -> Decisions {
        let test = |b: &Breakpoint| {
            let predicate = b.test.clone()?;
            let hints = alloc::vec![0; predicate.ops.len()];
            Some(Test {
                id: b.id,
                predicate,
                hints,
                code: 0,
                variables: Vec::new(),
            })
        };
        Decisions {
            known: if breakpoints.iter().any(|b| b.test.is_some()) {
                Known::of(stops)
            } else {
                Known::default()
            },
            tests: breakpoints.iter().filter_map(test).collect(),
            quiet: breakpoints.iter().filter(|b| b.quiet).map(|b| b.id).collect(),
            hits: Vec::new(),
            begun: (0, 0),
        }
    }

    /// A code object is gone.
    pub(super) fn forget(&mut self, code: u64) {
        self.tests.iter_mut().filter(|t| t.code == code).for_each(|t| t.code = 0);
    }
}

impl Stops {
    /// Of the breakpoints at this stop point those that a run is to end for; others are noted, or are no hits.
    pub(super) fn decided(&mut self, stop: &Stop, mut ids: Vec<u32>, ends_here: bool) -> Vec<u32> {
        if ids.is_empty() || self.decisions.tests.is_empty() && self.decisions.quiet.is_empty() {
            return ids;
        }
        let mut decisions = core::mem::take(&mut self.decisions);
        let time = self.time();
        let mut all_quiet = !ends_here;
        ids.retain(|&id| {
            let verdict = match decisions.tests.iter_mut().find(|t| t.id == id) {
                Some(test) => self.decide(&decisions.known, test, stop, time),
                None => Ok(true),
            };
            all_quiet &= verdict == Ok(false) || verdict == Ok(true) && decisions.quiet.contains(&id);
            verdict != Ok(false)
        });
        if all_quiet {
            let begun = self.followed().begun;
            if begun != decisions.begun.0 {
                decisions.begun = (begun, decisions.hits.len());
            }
            decisions.hits.extend(ids.drain(..).map(|id| (time, id)));
        }
        self.decisions = decisions;
        ids
    }

    /// Whether conditions are decided from now on.
    pub fn sift(&mut self, on: bool) {
        self.sifts = on;
    }

    /// The hits that did not end the run, and how many of them lie before the last time an activation has begun in the frame that is
    /// followed.
    pub fn take_quiet(&mut self) -> (Vec<(u64, u32)>, usize) {
        let begun = self.followed().begun;
        let hits = core::mem::take(&mut self.decisions.hits);
        let (at, first) = core::mem::take(&mut self.decisions.begun);
        let before = if at == begun { first } else { hits.len() };
        (hits, before)
    }

    fn decide(&self, known: &Known, test: &mut Test, stop: &Stop, time: u64) -> Result<bool, Odd> {
        let layout = self.layout();
        if test.code != stop.code {
            let named = |n: &str| test.predicate.texts.iter().any(|t| t == n) || FUNCTIONS.iter().any(|f| f.1 == n);
            test.variables = locals(layout, stop.code, named);
            test.code = stop.code;
        }
        let globals: u64 = get(stop.frame + layout.frame_globals);
        let own: u64 = get(stop.frame + layout.frame_names);
        // The body of a class.
        if own != 0 && own != globals {
            return Err(Odd);
        }
        let stored = match self.stored(stop)? {
            Some((slot, value)) => Some((slot, value.ok_or(Odd)?)),
            None => None,
        };
        let scope = Scope {
            stops: self,
            known,
            frame: stop.frame,
            globals,
            stored,
        };
        let mut stack = Stack {
            values: [Value::NONE; DEEPEST],
            used: 0,
        };
        let Test {
            predicate,
            hints,
            variables,
            ..
        } = test;
        let mut at = 0;
        let text = |n: u32| predicate.texts.get(n as usize).map(String::as_str).ok_or(Odd);
        while let Some(&op) = predicate.ops.get(at) {
            let hint = &mut hints[at];
            at += 1;
            match op {
                Op::Name(name) => {
                    let name = text(name)?;
                    stack.push(scope.name(name, variables.iter().find(|l| l.name == name), hint)?)?;
                }
                Op::Text(text_number) => stack.push(Value {
                    what: What::Text(text(text_number)?),
                    object: 0,
                })?,
                Op::Object(number) => {
                    let &(address, from, until) = predicate.objects.get(number as usize).ok_or(Odd)?;
                    if time < from.0 || until.is_some_and(|u| time >= u.0) {
                        return Err(Odd);
                    }
                    stack.push(scope.value(address)?)?;
                }
                Op::And(skip) | Op::Or(skip) => {
                    let value = stack.pop()?;
                    if scope.truth(value)? == matches!(op, Op::Or(_)) {
                        stack.push(value)?;
                        at += skip as usize;
                    }
                }
                Op::Length | Op::Absolute | Op::IsInstance | Op::Least | Op::Greatest | Op::Type => {
                    scope.is_builtin(op, variables, hint)?;
                    scope.operate(op, &mut stack)?;
                }
                Op::Attribute(name) => {
                    let value = stack.pop()?;
                    if value.object == 0 || !matches!(value.what, What::Other) {
                        return Err(Odd);
                    }
                    let name = text(name)?;
                    let found = match type_of(value.object) == known.class && name == "__name__" {
                        true => class_name(layout, value.object)?,
                        false => attribute(layout, known, value.object, name, hint)?,
                    };
                    stack.push(scope.value(found)?)?;
                }
                op => scope.operate(op, &mut stack)?,
            }
        }
        scope.truth(stack.pop()?)
    }

    /// Which variable the first half of a fused pair is about to store, and what, if that can be told: variables are read as if it had.
    pub(super) fn stored(&self, stop: &Stop) -> Result<Option<(u64, Option<u64>)>, Odd> {
        if !stop.second_half {
            return Ok(None);
        }
        let opcodes = &self.layout().opcodes;
        let first = stop.registers[usize::from(self.located.next_instruction)];
        let fused = opcodes.fused(get(first)).filter(|f| !f.guarded).ok_or(Odd)?;
        if fused.first != opcodes.store_fast {
            return Ok(None);
        }
        let top = self.located.stack_pointer.map(|r| get(stop.registers[usize::from(r)] - 8));
        Ok(Some((u64::from(get::<u8>(first + 1)), top)))
    }
}

impl<'a> Value<'a> {
    const NONE: Value<'static> = Value {
        what: What::Nothing,
        object: 0,
    };

    fn integer(n: i64) -> Value<'a> {
        Value {
            what: What::Integer(n),
            object: 0,
        }
    }
}

struct Stack<'a> {
    values: [Value<'a>; DEEPEST],
    used: usize,
}

impl<'a> Stack<'a> {
    fn push(&mut self, value: Value<'a>) -> Result<(), Odd> {
        *self.values.get_mut(self.used).ok_or(Odd)? = value;
        self.used += 1;
        Ok(())
    }

    fn pop(&mut self) -> Result<Value<'a>, Odd> {
        self.used = self.used.checked_sub(1).ok_or(Odd)?;
        Ok(self.values[self.used])
    }
}

struct Scope<'a> {
    stops: &'a Stops,
    known: &'a Known,
    frame: u64,
    globals: u64,
    stored: Option<(u64, u64)>,
}

impl Scope<'_> {
    fn value<'a>(&self, object: u64) -> Result<Value<'a>, Odd> {
        let (kind, known) = (type_of(object), self.known);
        let what = if kind == known.int {
            integer(self.stops.layout(), object).map_or_else(What::Huge, What::Integer)
        } else if kind == known.str {
            What::Characters(Characters::of(self.stops.layout(), object)?)
        } else if object == known.nothing {
            What::Nothing
        } else if kind == known.bool {
            What::Integer((object == known.yes).into())
        } else if kind == known.float {
            What::Float(get(object + 16))
        } else {
            What::Other
        };
        Ok(Value { what, object })
    }

    /// As in evaluated code: a variable of the frame that has a value, else a global one, else a builtin one.
    fn name<'a>(&self, name: &str, local: Option<&Local>, hint: &mut u32) -> Result<Value<'a>, Odd> {
        let layout = self.stops.layout();
        if let Some(local) = local {
            let value = match self.stored {
                Some((slot, value)) if local.slot == slot => value,
                _ => local.value(layout, self.frame, self.known.cell),
            };
            if value != 0 {
                return self.value(value);
            }
        }
        match named(layout, self.known, self.globals, name, hint)? {
            // Of the builtin names those of types alone: others could be something else elsewhere.
            0 => match named(layout, self.known, self.builtins(), name, hint)? {
                found if found != 0 && self.is_own(found) && is_type_named(self.known, found, name) => self.value(found),
                _ => Err(Odd),
            },
            value => self.value(value),
        }
    }

    fn builtins(&self) -> u64 {
        get(self.frame + self.stops.layout().frame_globals + 8)
    }

    /// Whether an object is one of the interpreter's own data.
    fn is_own(&self, object: u64) -> bool {
        self.stops.located.writable().any(|(start, end)| (start..end).contains(&object))
    }

    /// Whether the name of an operation stands for the interpreter's own function.
    fn is_builtin(&self, op: Op, variables: &[Local], hint: &mut u32) -> Result<(), Odd> {
        const METHOD: u64 = 16;
        let name = FUNCTIONS.iter().find(|f| f.0 == op).ok_or(Odd)?.1;
        if variables.iter().any(|v| v.name == name) {
            return Err(Odd);
        }
        let layout = self.stops.layout();
        let builtins = self.builtins();
        if named(layout, self.known, self.globals, name, &mut 0)? != 0 {
            return Err(Odd);
        }
        let found = named(layout, self.known, builtins, name, hint)?;
        if name == "type" {
            return if found == self.known.class { Ok(()) } else { Err(Odd) };
        }
        if found == 0 || type_of(found) != self.known.function {
            return Err(Odd);
        }
        let own_name: u64 = get(get(found + METHOD));
        let same = name.bytes().chain([0]).zip(0..).all(|(b, i)| get::<u8>(own_name + i) == b);
        if same { Ok(()) } else { Err(Odd) }
    }

    fn length(&self, value: Value<'_>) -> Result<i64, Odd> {
        let known = self.known;
        let length = match value.what {
            What::Text(text) => text.chars().count() as u64,
            What::Characters(characters) => characters.length,
            What::Other if value.object != 0 => match type_of(value.object) {
                kind if [known.list, known.tuple, known.dict].contains(&kind) => get(value.object + 16),
                kind if [known.set, known.frozenset].contains(&kind) => get(value.object + 24),
                _ => return Err(Odd),
            },
            _ => return Err(Odd),
        };
        Ok(length.cast_signed())
    }

    fn truth(&self, value: Value<'_>) -> Result<bool, Odd> {
        const AS_NUMBER: u64 = 96;
        const AS_SEQUENCE: u64 = 104;
        const AS_MAPPING: u64 = 112;
        const BOOL: u64 = 72;
        match value.what {
            What::Nothing => Ok(false),
            What::Integer(n) => Ok(n != 0),
            What::Huge(_) => Ok(true),
            What::Float(bits) => Ok(bits << 1 != 0),
            What::Other if self.length(value).is_err() => {
                let kind = type_of(value.object);
                let slot = |table: u64, offset: u64| match get::<u64>(kind + table) {
                    0 => 0,
                    table => get::<u64>(table + offset),
                };
                let asks = slot(AS_NUMBER, BOOL) | slot(AS_SEQUENCE, 0) | slot(AS_MAPPING, 0);
                if asks == 0 { Ok(true) } else { Err(Odd) }
            }
            _ => Ok(self.length(value)? != 0),
        }
    }

    #[inline(never)]
    fn operate<'a>(&self, op: Op, stack: &mut Stack<'a>) -> Result<(), Odd> {
        let known = self.known;
        let constant = |what, object| Value { what, object };
        let truth = |yes: bool| constant(What::Integer(yes.into()), if yes { known.yes } else { known.no });
        let value = match op {
            Op::Nothing => constant(What::Nothing, known.nothing),
            Op::Truth(yes) => truth(yes),
            Op::Integer(n) => Value::integer(n),
            Op::Float(bits) => constant(What::Float(bits), 0),
            Op::Negative => match stack.pop()?.what {
                What::Integer(n) => Value::integer(n.checked_neg().ok_or(Odd)?),
                What::Float(bits) => constant(What::Float(bits ^ SIGN), 0),
                _ => return Err(Odd),
            },
            Op::Absolute => match stack.pop()?.what {
                What::Integer(n) => Value::integer(n.checked_abs().ok_or(Odd)?),
                What::Float(bits) => constant(What::Float(bits & !SIGN), 0),
                _ => return Err(Odd),
            },
            Op::Length => Value::integer(self.length(stack.pop()?)?),
            Op::Type => match stack.pop()?.object {
                0 => return Err(Odd),
                object => constant(What::Other, type_of(object)),
            },
            Op::Strip => match stack.pop()?.what {
                What::Characters(all) => constant(What::Characters(all.stripped()), 0),
                _ => return Err(Odd),
            },
            Op::Slice(parts) => {
                let to = if parts & 2 != 0 { Some(stack.pop()?) } else { None };
                let from = if parts & 1 != 0 { Some(stack.pop()?) } else { None };
                let bound = |value: Option<Value<'_>>| match value.map(|v| v.what) {
                    None | Some(What::Nothing) => Ok(None),
                    Some(What::Integer(n)) => Ok(Some(n)),
                    _ => Err(Odd),
                };
                match stack.pop()?.what {
                    What::Characters(all) => constant(What::Characters(all.part(bound(from)?, bound(to)?)), 0),
                    _ => return Err(Odd),
                }
            }
            Op::Get | Op::GetOr => {
                let otherwise = match op {
                    Op::Get => constant(What::Nothing, known.nothing),
                    _ => stack.pop()?,
                };
                let (key, dict) = (stack.pop()?, stack.pop()?);
                self.under(dict, key)?.unwrap_or(otherwise)
            }
            Op::Not => truth(!self.truth(stack.pop()?)?),
            Op::Among(count) => {
                let first = stack.used.checked_sub(count as usize).ok_or(Odd)?;
                let wanted = stack.values[first.checked_sub(1).ok_or(Odd)?];
                let mut found = false;
                for other in &stack.values[first..stack.used] {
                    found = found || other.object != 0 && other.object == wanted.object || self.equal(wanted, *other)?;
                }
                stack.used = first - 1;
                truth(found)
            }
            op => {
                let (b, a) = (stack.pop()?, stack.pop()?);
                match op {
                    Op::Arithmetic(arithmetic) => match (a.what, b.what) {
                        (What::Integer(a), What::Integer(b)) => Value::integer(calculate(arithmetic, a, b).ok_or(Odd)?),
                        _ => return Err(Odd),
                    },
                    Op::Compare(comparison) => truth(self.compare(comparison, a, b)?),
                    Op::Item => self.item(a, b)?,
                    Op::IsInstance => match (a.object, b.object) {
                        (0, _) | (_, 0) => return Err(Odd),
                        (object, class) => truth(is_instance(self.stops.layout(), known, type_of(object), class, |of| {
                            self.is_own(of)
                        })?),
                    },
                    Op::Least => {
                        if order(b.what, a.what)? == Some(Ordering::Less) {
                            b
                        } else {
                            a
                        }
                    }
                    Op::Greatest => {
                        if order(b.what, a.what)? == Some(Ordering::Greater) {
                            b
                        } else {
                            a
                        }
                    }
                    Op::In => truth(self.contains(b, a)?),
                    Op::StartsWith => truth(part(a, b, |_| Some(0))?),
                    Op::EndsWith => truth(part(a, b, |(whole, part)| whole.checked_sub(part))?),
                    _ => return Err(Odd),
                }
            }
        };
        stack.push(value)
    }

    fn compare(&self, comparison: Comparison, a: Value<'_>, b: Value<'_>) -> Result<bool, Odd> {
        let ordered = |is: fn(Ordering) -> bool| match order(a.what, b.what)? {
            Some(ordering) => Ok(is(ordering)),
            // Not a number.
            None => Ok(false),
        };
        match comparison {
            Comparison::Equal => self.equal(a, b),
            Comparison::NotEqual => Ok(!self.equal(a, b)?),
            Comparison::Less => ordered(Ordering::is_lt),
            Comparison::LessOrEqual => ordered(Ordering::is_le),
            Comparison::Greater => ordered(Ordering::is_gt),
            Comparison::GreaterOrEqual => ordered(Ordering::is_ge),
            Comparison::Is | Comparison::IsNot => {
                if a.object == 0 || b.object == 0 {
                    return Err(Odd);
                }
                Ok((a.object == b.object) == (comparison == Comparison::Is))
            }
        }
    }

    fn equal(&self, a: Value<'_>, b: Value<'_>) -> Result<bool, Odd> {
        const RICHCOMPARE: u64 = 200;
        let is_text = |w: What<'_>| matches!(w, What::Text(_) | What::Characters(_));
        let is_number = |w: What<'_>| matches!(w, What::Integer(_) | What::Huge(_) | What::Float(_));
        let by_identity = |v: Value<'_>| {
            let own = |kind: u64| get::<u64>(kind + RICHCOMPARE);
            !matches!(v.what, What::Other) || own(type_of(v.object)) == own(self.known.object)
        };
        let is_container = |v: Value<'_>| v.object != 0 && self.known.is_container(type_of(v.object));
        match (a.what, b.what) {
            (What::Other, What::Other) => {}
            (What::Other, _) if is_container(a) => return Ok(false),
            (_, What::Other) if is_container(b) => return Ok(false),
            _ => {}
        }
        match (a.what, b.what) {
            (What::Other, _) | (_, What::Other) => {
                if by_identity(a) && by_identity(b) {
                    Ok(a.object == b.object)
                } else {
                    Err(Odd)
                }
            }
            (What::Nothing, What::Nothing) => Ok(true),
            (x, y) if is_text(x) == is_text(y) && is_number(x) == is_number(y) => Ok(order(x, y)? == Some(Ordering::Equal)),
            _ => Ok(false),
        }
    }

    fn item<'a>(&self, container: Value<'_>, key: Value<'_>) -> Result<Value<'a>, Odd> {
        const ITEMS: u64 = 24;
        if let (What::Characters(all), What::Integer(n)) = (container.what, key.what) {
            let one = all.part(Some(n), n.checked_add(1).filter(|&next| next != 0));
            let there = (-all.length.cast_signed()..all.length.cast_signed()).contains(&n);
            let what = What::Characters(one);
            return if there { Ok(Value { what, object: 0 }) } else { Err(Odd) };
        }
        if matches!(container.what, What::Other) && container.object != 0 && type_of(container.object) == self.known.dict {
            return self.under(container, key)?.ok_or(Odd);
        }
        let (object, What::Integer(n), What::Other) = (container.object, key.what, container.what) else {
            return Err(Odd);
        };
        let kind = type_of(object);
        if kind != self.known.list && kind != self.known.tuple {
            return Err(Odd);
        }
        let count = get::<i64>(object + 16);
        let at = if n < 0 { n + count } else { n };
        if !(0..count).contains(&at) {
            return Err(Odd);
        }
        let first = if kind == self.known.list {
            get(object + ITEMS)
        } else {
            object + ITEMS
        };
        self.value(get(first + 8 * at.cast_unsigned()))
    }

    /// What a dictionary holds under a key that has its hash from its value.
    fn under<'a>(&self, dict: Value<'_>, key: Value<'_>) -> Result<Option<Value<'a>>, Odd> {
        let plain = !matches!(key.what, What::Other);
        if !plain || !matches!(dict.what, What::Other) || dict.object == 0 || type_of(dict.object) != self.known.dict {
            return Err(Odd);
        }
        let (count, all) = items(self.stops.layout(), dict.object);
        if count > MOST_ITEMS {
            return Err(Odd);
        }
        for (held, value) in all {
            if held == key.object || self.equal(key, self.value(held)?)? {
                return self.value(value).map(Some);
            }
        }
        Ok(None)
    }

    fn contains(&self, container: Value<'_>, wanted: Value<'_>) -> Result<bool, Odd> {
        match (container.what, wanted.what) {
            (What::Text(_) | What::Characters(_), What::Text(_) | What::Characters(_)) => {
                let (whole, part) = (self.length(container)?, self.length(wanted)?);
                for from in 0..=(whole - part).cast_unsigned() {
                    if whole >= part && lies_at(container.what, wanted.what, from) {
                        return Ok(true);
                    }
                    if whole < part {
                        break;
                    }
                }
                Ok(false)
            }
            (What::Other, _) if type_of(container.object) == self.known.list => {
                let items: u64 = get(container.object + 24);
                let count: u64 = get(container.object + 16);
                self.is_among(wanted, (0..count).map(|i| get(items + 8 * i)), count)
            }
            (What::Other, _) if type_of(container.object) == self.known.tuple => {
                self.is_among(wanted, tuple(container.object), get(container.object + 16))
            }
            // What is looked up there must have a hash.
            (_, What::Other) => Err(Odd),
            (What::Other, _) if type_of(container.object) == self.known.dict => Ok(self.under(container, wanted)?.is_some()),
            (What::Other, _) if [self.known.set, self.known.frozenset].contains(&type_of(container.object)) => {
                let (places, all) = members(container.object);
                self.is_among(wanted, all, places)
            }
            _ => Err(Odd),
        }
    }

    fn is_among(&self, wanted: Value<'_>, items: impl Iterator<Item = u64>, count: u64) -> Result<bool, Odd> {
        if count > MOST_ITEMS {
            return Err(Odd);
        }
        for item in items {
            if item == wanted.object || self.equal(wanted, self.value(item)?)? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

fn calculate(arithmetic: Arithmetic, a: i64, b: i64) -> Option<i64> {
    match arithmetic {
        Arithmetic::Add => a.checked_add(b),
        Arithmetic::Subtract => a.checked_sub(b),
        Arithmetic::Multiply => a.checked_mul(b),
        // Rounded down, the rest with the sign of the divisor.
        Arithmetic::FloorDivide => {
            let (quotient, rest) = (a.checked_div(b)?, a.checked_rem(b)?);
            Some(quotient - i64::from(rest != 0 && (rest < 0) != (b < 0)))
        }
        Arithmetic::Modulo => {
            let rest = a.checked_rem(b)?;
            Some(if rest != 0 && (rest < 0) != (b < 0) { rest + b } else { rest })
        }
        Arithmetic::And => Some(a & b),
        Arithmetic::Or => Some(a | b),
        Arithmetic::Xor => Some(a ^ b),
    }
}

/// The order of two numbers or two texts; `None` where one is not a number.
fn order(a: What<'_>, b: What<'_>) -> Result<Option<Ordering>, Odd> {
    if let (Some(a), Some(b)) = (Either::of(a, 0), Either::of(b, 0)) {
        return Ok(Some(a.cmp(b)));
    }
    match (a, b) {
        (What::Integer(a), What::Integer(b)) => Ok(Some(a.cmp(&b))),
        (What::Huge(low), What::Integer(_)) => Ok(Some(if low { Ordering::Less } else { Ordering::Greater })),
        (What::Integer(_), What::Huge(low)) => Ok(Some(if low { Ordering::Greater } else { Ordering::Less })),
        (What::Float(a), What::Float(b)) => Ok(float_order(a, b)),
        (What::Integer(a), What::Float(b)) => Ok(float_order(as_float(a)?, b)),
        (What::Float(a), What::Integer(b)) => Ok(float_order(a, as_float(b)?)),
        _ => Err(Odd),
    }
}

/// Whether a text has another at a place, which is found from the lengths of the two.
fn part(whole: Value<'_>, part: Value<'_>, place: impl Fn((u64, u64)) -> Option<u64>) -> Result<bool, Odd> {
    let length = |what| match what {
        What::Text(text) => Ok(text.chars().count() as u64),
        What::Characters(characters) => Ok(characters.length),
        _ => Err(Odd),
    };
    let lengths = (length(whole.what)?, length(part.what)?);
    Ok(place(lengths).is_some_and(|from| lies_at(whole.what, part.what, from)))
}

fn lies_at(whole: What<'_>, part: What<'_>, from: u64) -> bool {
    let (Some(mut whole), Some(mut part)) = (Either::of(whole, from), Either::of(part, 0)) else {
        return false;
    };
    part.all(|c| whole.next() == Some(c))
}

/// The characters of either kind of text.
enum Either<'a> {
    Text(core::str::Chars<'a>),
    Characters(Characters, u64),
}

impl<'a> Either<'a> {
    /// From a character on.
    fn of(what: What<'a>, from: u64) -> Option<Either<'a>> {
        match what {
            What::Text(text) => {
                let begin = text.char_indices().nth(from as usize).map_or(text.len(), |c| c.0);
                Some(Either::Text(text.get(begin..)?.chars()))
            }
            What::Characters(characters) => Some(Either::Characters(characters, from)),
            _ => None,
        }
    }
}

impl Iterator for Either<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        match self {
            Either::Text(chars) => chars.next().map(u32::from),
            Either::Characters(characters, at) => {
                *at += 1;
                (*at <= characters.length).then(|| characters.at(*at - 1))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_is_pythons() {
        let cases = [
            (Arithmetic::FloorDivide, -7, 2, Some(-4)),
            (Arithmetic::FloorDivide, 7, -2, Some(-4)),
            (Arithmetic::FloorDivide, -8, 2, Some(-4)),
            (Arithmetic::Modulo, -7, 3, Some(2)),
            (Arithmetic::Modulo, 7, -3, Some(-2)),
            (Arithmetic::Modulo, 6, -3, Some(0)),
            (Arithmetic::Modulo, 1, 0, None),
            (Arithmetic::Add, i64::MAX, 1, None),
            (Arithmetic::Xor, 6, 3, Some(5)),
        ];
        for (op, a, b, result) in cases {
            assert_eq!(calculate(op, a, b), result, "{op:?} {a} {b}");
        }
    }

    #[test]
    fn texts_have_their_order() {
        let order = |a, b| order(What::Text(a), What::Text(b));
        assert_eq!(order("a", "b"), Ok(Some(Ordering::Less)));
        assert_eq!(order("ab", "a"), Ok(Some(Ordering::Greater)));
        assert_eq!(order("ä", "ä"), Ok(Some(Ordering::Equal)));
        assert!(lies_at(What::Text("abc"), What::Text(""), 3));
        assert!(lies_at(What::Text("abc"), What::Text("bc"), 1) && !lies_at(What::Text("abc"), What::Text("bc"), 2));
    }
}
