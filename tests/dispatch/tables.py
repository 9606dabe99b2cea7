#!/usr/bin/env python3
"""Writes agent/src/interpreters/cpython/v3NN.rs: offsets and opcodes of one CPython version.

usage: tables.py INTERPRETER INCLUDE_DIR > v3NN.rs

The offsets come from a C program compiled against the headers, the opcodes from the headers themselves.
"""
import os
import re
import subprocess
import sys
import tempfile

INTERPRETER, INCLUDE = sys.argv[1:3]
VERSION = subprocess.check_output([INTERPRETER, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"], text=True).strip()
MINOR = int(VERSION.split(".")[1])

PROGRAM = r"""
#define Py_BUILD_CORE 1
#include <Python.h>
#include <stddef.h>
#include <stdio.h>
#include "frameobject.h"
#include "internal/pycore_frame.h"
#include "internal/pycore_code.h"
#include "internal/pycore_interp.h"
#include "internal/pycore_runtime.h"
#include "internal/pycore_gc.h"
#define D(n, v) printf("    %s: %zu,\n", n, (size_t)(v))
#define SOME(n, v) printf("    %s: Some(%zu),\n", n, (size_t)(v))
#define NONE(n) printf("    %s: None,\n", n)
int main(void) {
    D("ascii_data", sizeof(PyASCIIObject));
    D("unicode_data", sizeof(PyCompactUnicodeObject));
    D("co_consts", offsetof(PyCodeObject, co_consts));
    D("co_filename", offsetof(PyCodeObject, co_filename));
    D("co_name", offsetof(PyCodeObject, co_name));
    D("co_qualname", offsetof(PyCodeObject, co_qualname));
    D("co_linetable", offsetof(PyCodeObject, co_linetable));
    D("co_exceptiontable", offsetof(PyCodeObject, co_exceptiontable));
    D("co_firstlineno", offsetof(PyCodeObject, co_firstlineno));
    D("co_nlocalsplus", offsetof(PyCodeObject, co_nlocalsplus));
    D("co_firsttraceable", offsetof(PyCodeObject, _co_firsttraceable));
    D("co_code", offsetof(PyCodeObject, co_code_adaptive));
#if PY_VERSION_HEX >= 0x030c0000
    SOME("co_monitoring", offsetof(PyCodeObject, _co_monitoring));
    D("monitoring_lines", offsetof(_PyCoMonitoringData, lines));
    D("monitoring_instructions", offsetof(_PyCoMonitoringData, per_instruction_opcodes));
#else
    NONE("co_monitoring");
    D("monitoring_lines", 0);
    D("monitoring_instructions", 0);
#endif
#if PY_VERSION_HEX >= 0x030d0000
    D("frame_code", offsetof(_PyInterpreterFrame, f_executable));
    D("frame_instruction", offsetof(_PyInterpreterFrame, instr_ptr));
    NONE("thread_cframe");
    D("thread_frame", offsetof(PyThreadState, current_frame));
    printf("    breaker: Breaker::Thread { word: %zu },\n", offsetof(PyThreadState, eval_breaker));
#else
    D("frame_code", offsetof(_PyInterpreterFrame, f_code));
    D("frame_instruction", offsetof(_PyInterpreterFrame, prev_instr));
    SOME("thread_cframe", offsetof(PyThreadState, cframe));
    D("thread_frame", offsetof(_PyCFrame, current_frame));
    printf("    breaker: Breaker::Interpreter { breaker: %zu, drop_request: %zu },\n",
           offsetof(PyInterpreterState, ceval.eval_breaker), offsetof(PyInterpreterState, ceval.gil_drop_request));
#endif
    D("frame_previous", offsetof(_PyInterpreterFrame, previous));
    D("frame_owner", offsetof(_PyInterpreterFrame, owner));
    D("frame_locals", offsetof(_PyInterpreterFrame, localsplus));
    D("frame_object", offsetof(_PyInterpreterFrame, frame_obj));
    D("frame_object_frame", offsetof(struct _frame, f_frame));
    D("thread_size", sizeof(PyThreadState));
    D("thread_next", offsetof(PyThreadState, next));
    D("thread_interpreter", offsetof(PyThreadState, interp));
#if PY_VERSION_HEX >= 0x030c0000
    D("thread_exception", offsetof(PyThreadState, current_exception));
    NONE("thread_traceback");
#else
    D("thread_exception", offsetof(PyThreadState, curexc_type));
    SOME("thread_traceback", offsetof(PyThreadState, curexc_traceback));
#endif
    D("heap_qualname", offsetof(PyHeapTypeObject, ht_qualname));
    D("interpreter_next", offsetof(PyInterpreterState, next));
    D("interpreter_threads", offsetof(PyInterpreterState, threads.head));
    D("frame_globals", offsetof(_PyInterpreterFrame, f_globals));
    D("frame_names", offsetof(_PyInterpreterFrame, f_locals));
    D("co_flags", offsetof(PyCodeObject, co_flags));
    D("co_argcount", offsetof(PyCodeObject, co_argcount));
    D("co_kwonlyargcount", offsetof(PyCodeObject, co_kwonlyargcount));
    D("co_localsplusnames", offsetof(PyCodeObject, co_localsplusnames));
    D("co_localspluskinds", offsetof(PyCodeObject, co_localspluskinds));
    D("gc_enabled", offsetof(PyInterpreterState, gc.enabled));
    D("gc_count", offsetof(PyInterpreterState, gc.generations[0].count));
    printf("    free_lists: &[");
#define RANGE(from, to) printf("(%zu, %zu), ", (size_t)offsetof(PyInterpreterState, from), \
        (size_t)(offsetof(PyInterpreterState, to) + sizeof(((PyInterpreterState *)0)->to) - offsetof(PyInterpreterState, from)))
#if PY_VERSION_HEX >= 0x030d0000
    RANGE(object_state.freelists, object_state.freelists);
#else
    RANGE(float_state, float_state);
    RANGE(slice_cache, slice_cache);
    RANGE(tuple, tuple);
    RANGE(list, list);
    RANGE(dict_state.free_list, dict_state.keys_numfree);
    RANGE(async_gen, async_gen);
    RANGE(context, context);
#endif
    printf("],\n");
    printf("    free_objects: &[");
#define AT(field) ((size_t)offsetof(PyInterpreterState, field))
#define CHAIN(head, next) printf("Free::Chain { head: %zu, next: %zu }, ", (size_t)(head), (size_t)(next))
#define ARRAY(items, count) printf("Free::Array { items: %zu, count: %zu }, ", AT(items), AT(count))
#if PY_VERSION_HEX >= 0x030d0000
#define LISTS object_state.freelists
    CHAIN(AT(LISTS.floats.items), offsetof(PyObject, ob_type));
    for (int i = 0; i < PyTuple_NFREELISTS; i++) CHAIN(AT(LISTS.tuples.items) + 8 * i, offsetof(PyTupleObject, ob_item));
    ARRAY(LISTS.lists.items, LISTS.lists.numfree);
    ARRAY(LISTS.dicts.items, LISTS.dicts.numfree);
    ARRAY(LISTS.dictkeys.items, LISTS.dictkeys.numfree);
    printf("Free::One { at: %zu }, ", AT(LISTS.slices.slice_cache));
#else
    CHAIN(AT(float_state.free_list), offsetof(PyObject, ob_type));
    for (int i = 0; i < PyTuple_NFREELISTS; i++) CHAIN(AT(tuple.free_list) + 8 * i, offsetof(PyTupleObject, ob_item));
    ARRAY(list.free_list, list.numfree);
    ARRAY(dict_state.free_list, dict_state.numfree);
    ARRAY(dict_state.keys_free_list, dict_state.keys_numfree);
    printf("Free::One { at: %zu }, ", AT(slice_cache));
#endif
    printf("],\n");
    D("runtime_interpreters", offsetof(_PyRuntimeState, interpreters.head));
    return 0;
}
"""

with tempfile.TemporaryDirectory() as tmp:
    source, program = os.path.join(tmp, "o.c"), os.path.join(tmp, "o")
    with open(source, "w") as f:
        f.write(PROGRAM)
    inc = [f"-I{INCLUDE}", f"-I{INCLUDE}/internal", f"-I{INCLUDE}/internal/mimalloc"]
    subprocess.check_call(["gcc", "-w", "-D_Float16=int", *inc, "-o", program, source])
    offsets = subprocess.check_output([program], text=True)


def read(name):
    try:
        with open(os.path.join(INCLUDE, name)) as f:
            return f.read()
    except FileNotFoundError:
        return ""


numbers = {}
for name, value in re.findall(r"^#define (\w+)\s+(\d+)\s*$", read("opcode_ids.h") or read("opcode.h"), re.M):
    if int(value) < 256 and not name.startswith(("NB_", "HAVE_", "MIN_", "MAX_")) or name == "CACHE":
        numbers[name] = int(value)
internal = read("internal/pycore_opcode_metadata.h") if MINOR >= 13 else read("internal/pycore_opcode.h")
deopt = dict(re.findall(r"^\s+\[(\w+)\] = (\w+),$", re.search(r"_PyOpcode_Deopt\[256\] = \{(.*?)\};", internal, re.S).group(1), re.M))
caches = dict(re.findall(r"^\s+\[(\w+)\] = (\d+),$", re.search(r"_PyOpcode_Caches\[256\] = \{(.*?)\};", internal, re.S).group(1), re.M))

family = list(range(256))
for name, base in deopt.items():
    if name in numbers and base in numbers:
        family[numbers[name]] = numbers[base]
for name, number in numbers.items():
    if name.startswith("INSTRUMENTED_") and name[13:] in numbers:
        family[number] = numbers[name[13:]]
cache = [0] * 256
for name, count in caches.items():
    cache[numbers[name]] = int(count)
jumps = subprocess.check_output([INTERPRETER, "-c", "import opcode; print(*[opcode.opname[o] for o in opcode.hasjrel])"], text=True).split()

fused = []
for name, number in sorted(numbers.items(), key=lambda x: x[1]):
    first = family[number]
    if MINOR <= 12 and "__" in name:
        fused.append((name, number, first, 1, False))
    elif name == "BINARY_OP_INPLACE_ADD_UNICODE":
        fused.append((name, number, first, 1 + cache[first], True))
    elif name.startswith("COMPARE_OP_") and name.endswith("_JUMP"):
        fused.append((name, number, first, 1 + cache[first], True))
    elif name == "PRECALL_NO_KW_LIST_APPEND":
        fused.append((name, number, first, 2 + cache[first] + cache[numbers["CALL"]], True))
    elif name in ("CALL_NO_KW_LIST_APPEND", "CALL_LIST_APPEND"):
        fused.append((name, number, first, 1 + cache[first], True))


# Where the evaluation loop looks for signals and other threads: entries, resumptions, and all ways to jump backward. In 3.11 a fused
# comparison may be such a jump.
TICK = re.compile(r"RESUME|JUMP_BACKWARD|POP_JUMP_BACKWARD_IF_\w+|COMPARE_OP_\w+_JUMP")
names = {number: name for name, number in numbers.items()}
ticks = sorted(n for name, n in numbers.items() if TICK.fullmatch(name) or TICK.fullmatch(names[family[n]]))


def array(values, width=20):
    rows = [values[i : i + width] for i in range(0, 256, width)]
    return "[\n" + "".join("        " + ", ".join(map(str, r)) + ",\n" for r in rows) + "    ]"


def option(name):
    return f"Some({numbers[name]})" if name in numbers else "None"


known = [0, 0, 0, 0]
for number in numbers.values():
    known[number // 64] |= 1 << (number % 64)

print(f"//! CPython {VERSION}: offsets and opcodes. Generated by tests/dispatch/tables.py from the headers; do not edit.\n")
print("use super::layout::{Breaker, Free, Fused, Jump, Layout, Opcodes};\n")
print(f"/// CPython {VERSION}.\npub(super) static LAYOUT: Layout = Layout {{")
print(f"    minor: {MINOR},")
print(offsets, end="")
print("    opcodes: Opcodes {")
print("    known: [" + ", ".join(f"{k:#x}" for k in known) + "],")
print(f"    family: {array(family)},")
print(f"    caches: {array(cache, 40)},")
print("    jumps: &[")
for name in jumps:
    if name in numbers:
        print(f"        Jump {{ op: {numbers[name]}, backward: {'true' if 'BACKWARD' in name else 'false'} }}, // {name}")
print("    ],")
print("    fused: &[")
for name, number, first, distance, deopts in fused:
    print(f"        Fused {{ op: {number}, first: {first}, distance: {distance}, guarded: {str(deopts).lower()} }}, // {name}")
print("    ],")
print(f"    ticks: &{ticks},")
inlined = re.compile(r"(PRE)?CALL_(NO_KW_)?(LEN|ISINSTANCE|LIST_APPEND)")
print(f"    inlined_calls: &{sorted(n for name, n in numbers.items() if inlined.fullmatch(name))},")
for name in "EXTENDED_ARG POP_TOP RESUME SEND STORE_FAST FOR_ITER JUMP_BACKWARD RETURN_VALUE YIELD_VALUE RAISE_VARARGS RERAISE END_ASYNC_FOR".split():
    print(f"    {name.lower()}: {numbers[name]},")
for name in "END_FOR END_SEND RETURN_CONST CLEANUP_THROW INTERPRETER_EXIT INSTRUMENTED_LINE INSTRUMENTED_INSTRUCTION".split():
    print(f"    {name.lower()}: {option(name)},")
print(f"    do_tracing: {'Some(255)' if MINOR == 11 else 'None'},")
print("    },\n};")
