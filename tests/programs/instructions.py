"""Calls, returns, generators, exceptions, closures, code that ends an object: all within a few instructions."""


def count(n):
    for i in range(n):
        got = yield i * 2
        if got:
            return got


def fails(x):
    try:
        return 1 // x
    except ZeroDivisionError as e:
        raise ValueError("no") from e
    finally:
        x = None


class Loud:
    def __del__(self):
        ended.append(1)


def ends():
    loud = Loud()
    other = 5
    loud = other
    more = loud
    return more


def closes(a):
    def inner(b=3):
        return a + b

    return inner()


def work():
    total = 0
    for value in count(2):
        total += value
    try:
        fails(0)
    except ValueError:
        total -= 1
    words = sorted(["b", "a"], key=lambda w: -ord(w))
    total += ends() + closes(4)
    for _ in range(12):
        a = total
        b = a
        total = b + 1
    return words, total


ended = []
work()
