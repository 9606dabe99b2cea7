"""Loops, branches, with, try, match: the shapes control flow takes."""
import contextlib


def loops(n):
    total = 0
    for i in range(n): total += i
    while total > 10: total -= 7
    for i in range(n):
        if i % 2:
            continue
        if i > 6:
            break
        total += i
    else:
        total = -1
    while True:
        total -= 1
        if total < 0: break
    for i in range(n):
        for j in range(i):
            if j == 2: continue
            total += j
    i = 0
    while (i <
           n):
        i += 1
    for x, y in zip(
        range(n),
        range(n),
    ):
        total += x * y
    return total


def one_line(): return 1


def nothing(): pass


def finishing(how):
    try:
        if how == 0: return "early"
        if how == 1: raise ValueError(how)
        if how == 2: [][1]
        x = how
    except ValueError as e:
        return str(e)
    except (IndexError,
            KeyError):
        how += 1
    else:
        how += 10
    finally:
        how += 100
    return how


def nested(k):
    for i in range(3):
        try:
            try:
                if i == k: raise RuntimeError
            finally:
                if i == 1: continue
        except RuntimeError:
            pass
    try:
        while 1:
            try:
                break
            finally:
                k += 1
    finally:
        return k


@contextlib.contextmanager
def manager(swallow):
    try:
        yield 1
    except ZeroDivisionError:
        if not swallow:
            raise


def managed():
    with manager(True) as a, manager(False):
        a += 1
    with manager(True):
        1 / 0
    try:
        with (
            manager(False) as a,
            manager(False) as b,
        ):
            c = (a
                 / 0)
    except ZeroDivisionError:
        pass
    with manager(True): return a


def matched(x):
    match x:
        case 0:
            return "zero"
        case [a, b]:
            return a + b
        case {"k": v, **rest}:
            return v
        case str() as s if len(s) > 2:
            return s
        case int() | float():
            return x
        case _:
            pass
    return None


def asserting(x):
    assert x, \
        "no"
    return (x and
            not x or
            x)


def conditional(a, b, c):
    x = a if b else c
    y = (a if b
         else c)
    z = a or b and c
    return (x, y, z,
            a == b == c,
            [a, b][0 if c else
                   1])


def deleting():
    a = b = 1
    del a
    try:
        a
    except NameError:
        del (
            b
        )
    global gone
    gone = 1
    del gone


for n in range(12):
    loops(n)
for _ in range(30):
    one_line(); nothing()
    for how in range(4): finishing(how)
    nested(1); nested(5)
    managed()
    for x in (0, [1, 2], {"k": 1, "l": 2}, "abc", "a", 2.0, None, (1,)):
        matched(x)
    asserting(1)
    try: asserting(0)
    except AssertionError: pass
    conditional(1, 2, 3); conditional(0, 0, 0)
    deleting()
x = 0
while x < 50: x += 1
for x in range(3): pass
if x: x = 1; y = 2
else: x = 3
