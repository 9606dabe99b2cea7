//! Dictionaries, attributes and numbers read from memory, without the interpreter. What is not as plain as it mostly is reads as
//! [`Odd`].

use super::layout::Layout;
use super::objects::{TP_FLAGS, tuple, type_of};
use super::stops::Stops;
use crate::memory::get;
use core::cmp::Ordering;

const MA_KEYS: u64 = 32;
const MA_VALUES: u64 = 40;
const DK_LOG2_INDEX_BYTES: u64 = 9;
const DK_KIND: u64 = 10;
const DK_ENTRIES: u64 = 24;
const DK_INDICES: u64 = 32;
const TP_BASICSIZE: u64 = 32;
const TP_GETATTRO: u64 = 144;
const TP_DICT: u64 = 264;
const TP_DICTOFFSET: u64 = 288;
const TP_MRO: u64 = 344;
/// Attributes lie in front of the object, or in a dictionary noted there.
const MANAGED_DICT: u64 = 1 << 4;
/// Attributes lie behind the object (3.13).
const INLINE_VALUES: u64 = 1 << 2;
const HEAP_TYPE: u64 = 1 << 9;

/// It cannot be told by reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Odd;

/// Declares [`Known`]: each address with the name under which the interpreter exports it.
macro_rules! known {
    ($($field:ident $name:literal)*) => {
        /// Addresses of types and values that there is one of.
        #[derive(Clone, Copy, Debug, Default)]
        pub(super) struct Known {
            $(pub(super) $field: u64,)*
        }

        impl Known {
            /// As the interpreter exports them; a name that it does not export is no object's address.
            pub(super) fn of(stops: &Stops) -> Known {
                let symbol = |name| stops.symbol(name).unwrap_or(u64::MAX);
                Known {
                    $($field: symbol($name),)*
                }
            }
        }
    };
}

known! {
    int "PyLong_Type"
    bool "PyBool_Type"
    float "PyFloat_Type"
    str "PyUnicode_Type"
    list "PyList_Type"
    tuple "PyTuple_Type"
    dict "PyDict_Type"
    set "PySet_Type"
    frozenset "PyFrozenSet_Type"
    object "PyBaseObject_Type"
    class "PyType_Type"
    member "PyMemberDescr_Type"
    function "PyCFunction_Type"
    cell "PyCell_Type"
    nothing "_Py_NoneStruct"
    yes "_Py_TrueStruct"
    no "_Py_FalseStruct"
    generic "PyObject_GenericGetAttr"
}

impl Known {
    /// Whether objects of this type are no more than their values, and no descriptors.
    fn is_plain(&self, kind: u64) -> bool {
        [self.int, self.bool, self.float, self.str].contains(&kind)
    }

    /// Whether this is a container that only equals others of its kind.
    pub(super) fn is_container(&self, kind: u64) -> bool {
        [self.list, self.tuple, self.dict, self.set, self.frozenset].contains(&kind)
    }
}

/// An `int` that fits.
///
/// # Errors
/// Whether it is below all that do.
pub(super) fn integer(layout: &Layout, object: u64) -> Result<i64, bool> {
    const DIGITS: u64 = 24;
    let size: u64 = get(object + 16);
    let (digits, negative) = match layout.minor {
        11 => (size.cast_signed().unsigned_abs(), size.cast_signed() < 0),
        _ => (size >> 3, size & 3 == 2),
    };
    let digit = |i: u64| u64::from(get::<u32>(object + DIGITS + 4 * i));
    let value = match digits {
        0 => 0,
        1 => digit(0),
        2 => digit(0) | digit(1) << 30,
        3 if digit(2) < 8 => digit(0) | digit(1) << 30 | digit(2) << 60,
        _ => return Err(negative),
    };
    Ok(if negative { -value.cast_signed() } else { value.cast_signed() })
}

/// The characters of a `str`.
#[derive(Clone, Copy)]
pub(super) struct Characters {
    pub(super) length: u64,
    data: u64,
    width: u64,
}

impl Characters {
    pub(super) fn of(layout: &Layout, object: u64) -> Result<Characters, Odd> {
        let (length, state): (u64, u32) = (get(object + 16), get(object + 32));
        let (kind, compact, ascii) = (state >> 2 & 7, state >> 5 & 1 != 0, state >> 6 & 1 != 0);
        if !compact {
            return Err(Odd);
        }
        let data = object + if ascii { layout.ascii_data } else { layout.unicode_data };
        Ok(Characters {
            length,
            data,
            width: kind.into(),
        })
    }

    /// A part of them, its bounds as in a slice.
    pub(super) fn part(&self, from: Option<i64>, to: Option<i64>) -> Characters {
        let length = self.length.cast_signed();
        let bound = |n: i64| if n < 0 { (n + length).max(0) } else { n.min(length) };
        let (from, to) = (from.map_or(0, bound), to.map_or(length, bound));
        Characters {
            length: (to - from).max(0).cast_unsigned(),
            data: self.data + from.cast_unsigned() * self.width,
            ..*self
        }
    }

    /// Without the white space around them.
    pub(super) fn stripped(&self) -> Characters {
        let space = |i: u64| matches!(self.at(i), 0x9..=0xd | 0x1c..=0x20 | 0x85 | 0xa0 | 0x1680 | 0x2000..=0x200a | 0x2028 | 0x2029 | 0x202f | 0x205f | 0x3000);
        let from = (0..self.length).find(|&i| !space(i)).unwrap_or(self.length);
        let to = (from..self.length).rev().find(|&i| !space(i)).map_or(from, |last| last + 1);
        self.part(Some(from.cast_signed()), Some(to.cast_signed()))
    }

    pub(super) fn at(&self, i: u64) -> u32 {
        match self.width {
            1 => get::<u8>(self.data + i).into(),
            2 => get::<u16>(self.data + 2 * i).into(),
            _ => get(self.data + 4 * i),
        }
    }

    fn is(&self, ascii: &str) -> bool {
        self.length == ascii.len() as u64 && ascii.bytes().zip(0..).all(|(b, i)| self.at(i) == b.into())
    }
}

/// The order of two floats, or of a float and an integer made one; `None` where one is not a number.
pub(super) fn float_order(a: u64, b: u64) -> Option<Ordering> {
    const SIGN: u64 = 1 << 63;
    const INFINITE: u64 = 0x7ff << 52;
    let plain = |bits: u64| bits & !SIGN <= INFINITE;
    let key = |bits: u64| {
        if bits & SIGN == 0 {
            bits.cast_signed()
        } else {
            -(bits & !SIGN).cast_signed()
        }
    };
    (plain(a) && plain(b)).then(|| key(a).cmp(&key(b)))
}

/// An integer as the bits of the float that is equal to it.
pub(super) fn as_float(n: i64) -> Result<u64, Odd> {
    let size = n.unsigned_abs();
    if size >= 1 << 53 {
        return Err(Odd);
    }
    if size == 0 {
        return Ok(0);
    }
    let zeros = u64::from(size.leading_zeros());
    let mantissa = size << (zeros - 11) & ((1 << 52) - 1);
    Ok(u64::from(n < 0) << 63 | (1023 + 63 - zeros) << 52 | mantissa)
}

/// What a dictionary holds under a name; 0 where it holds nothing. `hint` is the entry it was found at before.
pub(super) fn named(layout: &Layout, known: &Known, dict: u64, name: &str, hint: &mut u32) -> Result<u64, Odd> {
    if dict == 0 || type_of(dict) != known.dict {
        return Err(Odd);
    }
    let (keys, values): (u64, u64) = (get(dict + MA_KEYS), get(dict + MA_VALUES));
    let Some((entry, value)) = entry(layout, known, keys, name, hint)? else {
        return Ok(0);
    };
    Ok(match values {
        0 => value,
        values => get(values + values_at(layout) + 8 * entry),
    })
}

/// Keys and values of a dictionary, of whatever kind they are; how many there may be comes first.
pub(super) fn items(layout: &Layout, dict: u64) -> (u64, impl Iterator<Item = (u64, u64)>) {
    let (keys, values): (u64, u64) = (get(dict + MA_KEYS), get(dict + MA_VALUES));
    let (size, at) = if get::<u8>(keys + DK_KIND) == 0 { (24, 8) } else { (16, 0) };
    let first = keys + DK_INDICES + (1_u64 << (get::<u8>(keys + DK_LOG2_INDEX_BYTES) & 63)) + at;
    let inside = values_at(layout);
    let count = get(keys + DK_ENTRIES);
    let all = (0..count).map(move |i| {
        let value = if values == 0 {
            first + size * i + 8
        } else {
            values + inside + 8 * i
        };
        (get(first + size * i), get(value))
    });
    (count, all.filter(|&(key, value)| key != 0 && value != 0))
}

/// What a set holds; how many places there are for that comes first.
pub(super) fn members(set: u64) -> (u64, impl Iterator<Item = u64>) {
    const MASK: u64 = 32;
    const TABLE: u64 = 40;
    const DELETED: u64 = u64::MAX;
    let (places, table): (u64, u64) = (get::<u64>(set + MASK) + 1, get(set + TABLE));
    let all = (0..places).map(move |i| (get::<u64>(table + 16 * i), get::<u64>(table + 16 * i + 8)));
    (places, all.filter(|&(key, hash)| key != 0 && hash != DELETED).map(|p| p.0))
}

/// Whether `isinstance` says that an object of this type is of that class; neither may have a say in it. `own` says which types are the
/// interpreter's.
pub(super) fn is_instance(layout: &Layout, known: &Known, kind: u64, class: u64, own: impl Fn(u64) -> bool) -> Result<bool, Odd> {
    if kind == class {
        return Ok(true);
    }
    // Others have a metaclass that might.
    if type_of(class) != known.class {
        return Err(Odd);
    }
    let order = || tuple(get(kind + TP_MRO));
    if order().any(|of| of == class) {
        return Ok(true);
    }
    // An object may say of what class it is otherwise; those of the interpreter's own types do not.
    if get::<u64>(kind + TP_GETATTRO) != known.generic {
        return Err(Odd);
    }
    for of in order().filter(|&of| !own(of)) {
        let made_in_python = get::<u64>(of + TP_FLAGS) & HEAP_TYPE != 0;
        if !made_in_python || named(layout, known, get(of + TP_DICT), "__class__", &mut 0)? != 0 {
            return Err(Odd);
        }
    }
    Ok(false)
}

/// Whether this is a type of the interpreter's that bears this name.
pub(super) fn is_type_named(known: &Known, object: u64, name: &str) -> bool {
    const TYPE_NAME: u64 = 24;
    let there: u64 = if type_of(object) == known.class {
        get(object + TYPE_NAME)
    } else {
        0
    };
    let same = |there: u64| name.bytes().chain([0]).zip(0..).all(|(b, i)| get::<u8>(there + i) == b);
    there != 0 && get::<u64>(object + TP_FLAGS) & HEAP_TYPE == 0 && same(there)
}

/// The name of a class made in Python.
pub(super) fn class_name(layout: &Layout, class: u64) -> Result<u64, Odd> {
    match get::<u64>(class + TP_FLAGS) & HEAP_TYPE {
        0 => Err(Odd),
        _ => Ok(get(class + layout.heap_qualname - 16)),
    }
}

fn values_at(layout: &Layout) -> u64 {
    if layout.minor < 13 { 0 } else { 8 }
}

/// The entry of a name, and the value there.
fn entry(layout: &Layout, known: &Known, keys: u64, name: &str, hint: &mut u32) -> Result<Option<(u64, u64)>, Odd> {
    // Entries of the general kind begin with the hash.
    let (size, at) = if get::<u8>(keys + DK_KIND) == 0 { (24, 8) } else { (16, 0) };
    let first = keys + DK_INDICES + (1_u64 << (get::<u8>(keys + DK_LOG2_INDEX_BYTES) & 63)) + at;
    let count: u64 = get(keys + DK_ENTRIES);
    let split = get::<u8>(keys + DK_KIND) == 2;
    let is = |i: u64| {
        let (key, value): (u64, u64) = (get(first + size * i), get(first + size * i + 8));
        // Deleted, or never used.
        if key == 0 || value == 0 && !split {
            return Ok(None);
        }
        if type_of(key) != known.str {
            return Err(Odd);
        }
        Ok(Characters::of(layout, key)?.is(name).then_some((i, value)))
    };
    if u64::from(*hint) < count
        && let Ok(Some(found)) = is((*hint).into())
    {
        return Ok(Some(found));
    }
    for i in 0..count {
        if let Some(found) = is(i)? {
            *hint = u32::try_from(i).unwrap_or(0);
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// An attribute that an object has of its own, or a plain value of its class. Whatever code of the program would have a say in is odd.
pub(super) fn attribute(layout: &Layout, known: &Known, object: u64, name: &str, hint: &mut u32) -> Result<u64, Odd> {
    let kind = type_of(object);
    let flags: u64 = get(kind + TP_FLAGS);
    if flags & HEAP_TYPE == 0 || get::<u64>(kind + TP_GETATTRO) != known.generic || !name.is_ascii() {
        return Err(Odd);
    }
    let mut of_class = 0;
    for class in tuple(get(kind + TP_MRO)) {
        if class == known.object {
            // It has no others.
            if name.starts_with("__") {
                return Err(Odd);
            }
            continue;
        }
        let found = named(layout, known, get(class + TP_DICT), name, &mut 0)?;
        if found != 0 {
            if type_of(found) == known.member {
                return slot(object, class, found);
            }
            if !known.is_plain(type_of(found)) && found != known.nothing {
                return Err(Odd);
            }
            of_class = found;
            break;
        }
    }
    let own = own_attribute(layout, known, object, (kind, flags), name, hint)?;
    match if own == 0 { of_class } else { own } {
        0 => Err(Odd),
        found => Ok(found),
    }
}

/// What an object has in the place that a name in `__slots__` stands for.
fn slot(object: u64, class: u64, descriptor: u64) -> Result<u64, Odd> {
    const OF: u64 = 16;
    const MEMBER: u64 = 40;
    const KIND: u64 = 8;
    const OFFSET: u64 = 16;
    /// `Py_T_OBJECT_EX`.
    const OBJECT: u32 = 16;
    let member: u64 = get(descriptor + MEMBER);
    if get::<u64>(descriptor + OF) != class || get::<u32>(member + KIND) != OBJECT {
        return Err(Odd);
    }
    match get(object + get::<u64>(member + OFFSET)) {
        0 => Err(Odd),
        value => Ok(value),
    }
}

fn own_attribute(layout: &Layout, known: &Known, object: u64, (kind, flags): (u64, u64), name: &str, hint: &mut u32) -> Result<u64, Odd> {
    if flags & MANAGED_DICT == 0 {
        let offset: i64 = get(kind + TP_DICTOFFSET);
        return match offset {
            0 => Ok(0),
            1.. => from_dict(layout, known, get(object + offset.unsigned_abs()), name, hint),
            _ => Err(Odd),
        };
    }
    let word: u64 = get(object - 24);
    let values = match layout.minor {
        11 => get(object - 32),
        12 if word & 1 != 0 => word + 1,
        12 => 0,
        _ if flags & INLINE_VALUES != 0 => {
            let values = object + get::<u64>(kind + TP_BASICSIZE);
            // The last of four bytes: whether they are in use.
            if get::<u8>(values + 3) != 0 { values } else { 0 }
        }
        _ => 0,
    };
    if values == 0 {
        return from_dict(layout, known, word, name, hint);
    }
    let keys: u64 = get(kind + layout.heap_qualname + 8);
    match entry(layout, known, keys, name, hint)? {
        Some((i, _)) => Ok(get(values + values_at(layout) + 8 * i)),
        None => Ok(0),
    }
}

fn from_dict(layout: &Layout, known: &Known, dict: u64, name: &str, hint: &mut u32) -> Result<u64, Odd> {
    if dict == 0 {
        return Ok(0);
    }
    named(layout, known, dict, name, hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_floats() {
        for n in [0, 1, -1, 2, 3, 20, -30, 1 << 40, (1 << 53) - 1, 1 - (1 << 53)] {
            #[allow(clippy::cast_precision_loss)]
            let float = n as f64;
            assert_eq!(as_float(n), Ok(float.to_bits()), "{n}");
        }
        assert_eq!(as_float(1 << 53), Err(Odd));
    }

    #[test]
    fn floats_have_their_order() {
        let all = [f64::NEG_INFINITY, -2.5, -0.5, 0.0, 1e-300, 0.5, 3.0, f64::INFINITY];
        for a in all {
            for b in all {
                assert_eq!(float_order(a.to_bits(), b.to_bits()), a.partial_cmp(&b), "{a} {b}");
            }
            assert_eq!(float_order(a.to_bits(), f64::NAN.to_bits()), None);
        }
        assert_eq!(float_order((-0.0_f64).to_bits(), 0), Some(Ordering::Equal));
    }
}
