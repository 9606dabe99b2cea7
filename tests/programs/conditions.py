# Values of all kinds come by, for conditions to look at.
import enum
import sys


class Plain:
    limit = 7
    none = None

    def __init__(self, n, name):
        self.n = n
        self.name = name
        self.items = [n, name]


class Odd(Plain):
    @property
    def n(self):
        return self._n + 1

    @n.setter
    def n(self, n):
        self._n = n

    def __eq__(self, other):
        return other == 3

    __hash__ = None

    def __bool__(self):
        return self._n > 3

    def __getattr__(self, name):
        if name == "limit2":
            return 5
        raise AttributeError(name)


class Slots:
    __slots__ = ("n", "name")

    def __init__(self, n):
        self.n = n


class Sized:
    def __init__(self, n):
        self.n = n

    def __len__(self):
        return self.n


class Number(enum.IntEnum):
    THREE = 3


class Text(str):
    def __eq__(self, other):
        return True

    __hash__ = str.__hash__


class Keeps:
    kept = []

    def __eq__(self, other):
        Keeps.kept.append(other)
        return other == 3


def opened():
    made = Plain(3, "in a dictionary")
    made.__dict__["extra"] = 1
    other = Plain(4, "replaced")
    other.__dict__ = {"n": 12, "name": "ä", "limit": 8, 5: 6}
    late = Plain(5, "late")
    del late.name
    late.more = 9
    return [made, other, late]


WIDE = 20
GROUP = {3, "abc", 2.5, None, frozenset()}
GROUP.discard(2.5)
NAMES = {3: "three", "abc": 1, None: 2, -2.5: 4, (1, 2): 5, 2**60: "wide", True: "yes"}
len_of = len


def look(x, i):
    y = x
    return y  # hit


def shadow(x, type, len):
    y = x
    return y  # shadowed


def closure(x):
    def inner(i):
        nonlocal x
        x = i
        return x  # inner hit
    return inner


def main():
    values = [0, 1, -1, 3, 20, -7, 2**30 - 1, 2**30, -(2**30), 2**31, 2**59, 2**60, -(2**60), 2**63, 10**30, True, False, None, 0.0, -0.0]
    values += [0.5, 3.0, -2.5, float("nan"), float("inf"), float("-inf"), 1e300, 2.0**53, 2**53, 2**53 + 1, "", "a", "abc", "xabcx", "é", "zé", "ж", "abж", "😀", "a😀", "  a\u2003 "]
    values += [[], [1], [1, 2, 3], [None, "a"], (), (1, "abc"), {}, {"a": 1}, set(), {3}, frozenset(), b"", b"abc", range(3), Ellipsis, 3 + 0j]
    values += [Plain(3, "abc"), Plain(20, None), Odd(3, "odd"), Odd(4, "a"), Slots(3), Sized(0), Sized(2), Number.THREE, Text("no"), Keeps()]
    values += opened() + [Plain, look, sys, closure, main]
    for i, x in enumerate(values):
        look(x, i)
    shadow(3, lambda x: int, lambda x: 3)
    shadow("a", lambda x: str, lambda x: 4)
    inner = closure(5)
    for i in range(4):
        inner(i)
    for x in values:
        if x is None:  # after a store
            WIDER = 1
    for name in ("len", "WIDE"):
        if name == "len":
            globals()["len"] = lambda x: 3
        look([1], 0)
    del globals()["len"]


main()
