//! Python objects read from memory, without the interpreter. Whatever is not as expected reads as empty.

use super::layout::Layout;
use crate::memory::{copy_out, get};
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

/// Longest string or bytes object believed.
const LONGEST: u64 = 1 << 28;

/// Where a type keeps what ends its objects.
pub(super) const TP_DEALLOC: u64 = 48;
/// Where a type keeps its flags.
pub(super) const TP_FLAGS: u64 = 168;
/// Flags of types whose objects may run Python code when they end: made in Python, or holding other objects.
pub(super) const ENDS_WITH_CODE: u32 = 1 << 9 | 1 << 14;

/// The type of an object.
pub(super) fn type_of(object: u64) -> u64 {
    get(object + 8)
}

/// A `str`.
pub(super) fn text(layout: &Layout, object: u64) -> String {
    text_of(layout, object, LONGEST)
}

/// The first characters of a `str`, at most so many; where there are more, `...` behind them.
pub(super) fn text_of(layout: &Layout, object: u64, most: u64) -> String {
    if object == 0 {
        return String::new();
    }
    let (length, state): (u64, u32) = (get(object + 16), get(object + 32));
    let (kind, compact, ascii) = (state >> 2 & 7, state >> 5 & 1 != 0, state >> 6 & 1 != 0);
    if !compact || length > LONGEST {
        return String::new();
    }
    let data = object + if ascii { layout.ascii_data } else { layout.unicode_data };
    let character = |i: u64| match kind {
        1 => char::from(get::<u8>(data + i)),
        2 => char::from_u32(get::<u16>(data + 2 * i).into()).unwrap_or(char::REPLACEMENT_CHARACTER),
        _ => char::from_u32(get(data + 4 * i)).unwrap_or(char::REPLACEMENT_CHARACTER),
    };
    let mut text: String = (0..length.min(most)).map(character).collect();
    if length > most {
        text.push_str("...");
    }
    text
}

/// A `bytes`.
pub(super) fn bytes(object: u64) -> Vec<u8> {
    const BYTES_DATA: u64 = 32;
    let length = if object == 0 { 0 } else { get::<u64>(object + 16) };
    let mut all = vec![0; usize::try_from(length.min(LONGEST)).unwrap_or(0)];
    if length <= LONGEST && length > 0 {
        copy_out(object + BYTES_DATA, &mut all);
    }
    all
}

/// The items of a `tuple`.
pub(super) fn tuple(object: u64) -> impl Iterator<Item = u64> {
    let length = if object == 0 { 0 } else { get::<u64>(object + 16).min(LONGEST) };
    (0..length).map(move |i| get(object + 24 + 8 * i))
}

/// True where `object` is an instance of the exception type in the variable at `type_variable` (by single inheritance, as
/// exceptions are laid out).
pub(super) fn is_instance(object: u64, type_variable: u64) -> bool {
    const TP_BASE: u64 = 256;
    let wanted: u64 = get(type_variable);
    let mut kind = if object == 0 { 0 } else { type_of(object) };
    while kind != 0 {
        if kind == wanted {
            return true;
        }
        kind = get(kind + TP_BASE);
    }
    false
}

/// The dotted name of a class, then those of the classes it derives from, nearest first and without `object`. Those of builtins
/// have no module.
pub(super) fn class_names(layout: &Layout, class: u64) -> Vec<String> {
    const TP_MRO: u64 = 344;
    let mut all: Vec<String> = tuple(get(class + TP_MRO)).map(|c| class_name(layout, c)).collect();
    all.retain(|name| name != "object");
    if all.is_empty() {
        all.push(class_name(layout, class));
    }
    all
}

fn class_name(layout: &Layout, class: u64) -> String {
    const TP_NAME: u64 = 24;
    const HEAP_TYPE: u64 = 1 << 9;
    const TP_DICT: u64 = 264;
    if get::<u64>(class + TP_FLAGS) & HEAP_TYPE == 0 {
        let name: u64 = get(class + TP_NAME);
        let bytes: Vec<u8> = (name..name + 256).map(get::<u8>).take_while(|&b| b != 0).collect();
        return String::from_utf8_lossy(&bytes).into_owned();
    }
    let name = text(layout, get(class + layout.heap_qualname));
    match text(layout, item(layout, get(class + TP_DICT), "__module__")).as_str() {
        "" | "builtins" => name,
        module => format!("{module}.{name}"),
    }
}

/// What a `dict` with keys that are all strings holds under `key`; 0 where it holds nothing.
fn item(layout: &Layout, dict: u64, key: &str) -> u64 {
    const MA_KEYS: u64 = 32;
    const DK_LOG2_INDEX_BYTES: u64 = 9;
    const DK_KIND: u64 = 10;
    const DK_ENTRIES: u64 = 24;
    const DK_INDICES: u64 = 32;
    if dict == 0 {
        return 0;
    }
    let keys: u64 = get(dict + MA_KEYS);
    // Entries of the general kind begin with the hash.
    let (size, at) = if get::<u8>(keys + DK_KIND) == 0 { (24, 8) } else { (16, 0) };
    let first = keys + DK_INDICES + (1_u64 << (get::<u8>(keys + DK_LOG2_INDEX_BYTES) & 63)) + at;
    let mut entries = (0..get::<u64>(keys + DK_ENTRIES).min(LONGEST)).map(|i| first + size * i);
    let found = entries.find(|&e| get::<u64>(e) != 0 && get::<u64>(e + 8) != 0 && text(layout, get(e)) == key);
    found.map_or(0, |e| get(e + 8))
}

/// An `int` of at most 30 bits, that is not negative.
pub(super) fn small_integer(object: u64, int_type: u64) -> Option<u32> {
    const DIGIT: u64 = 24;
    (object != 0 && type_of(object) == int_type).then(|| get(object + DIGIT))
}

/// Whether giving up one reference to `object` may run Python code.
pub(super) fn ends_with_code(object: u64) -> bool {
    object != 0 && get::<u32>(object) == 1 && get::<u32>(type_of(object) + TP_FLAGS) & ENDS_WITH_CODE != 0
}
