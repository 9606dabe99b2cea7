"""Instructions that are specialised for lists, met by other objects: what was to be skipped is executed after all."""
from collections import deque


class Kept:
    def __init__(self):
        self.kept = []

    def append(self, x):
        self.kept.append(x)


class Raises:
    def append(self, x):
        raise ValueError(x)


def plain(out, x):
    out.append(x)
    return out


def lines(out, x):
    out.append(
        x
    )
    return out


def attribute(out, x):
    out \
        .append(
            x
        )
    return out


def chained(out, x):
    (
        out
        .append
    )(
        x
        if x
        else
        0
    )


def looped(out, n):
    for x in range(n):
        out \
            .append(
                x
            )
    return out


def used(out, x):
    y = (
        out
        .append(
            x
        )
    )
    return y


def mixed(function):
    for _ in range(40):
        function([], 3)
    # Other kinds, between lists, so that the instruction stays what it is.
    for other in (deque(), Kept(), set(), Raises(), bytearray(), deque()):
        for _ in range(3):
            try:
                function(other, 3)
            except (AttributeError, ValueError):
                pass
            function([], 3)
    for _ in range(200):
        try:
            function(Kept(), 4)
        except AttributeError:
            pass
    for _ in range(80):
        function([], 5)


for f in (plain, lines, attribute, chained, looped, used):
    mixed(f)
