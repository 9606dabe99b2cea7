"""Orders that hang on addresses, garbage collection, weak references, exceptions, generators."""
import gc
import weakref


class Thing:
    def __init__(self, n):
        self.n = n
        self.me = self

    def __repr__(self):
        return "Thing(%d)" % self.n


def numbers(limit):
    for i in range(limit):
        got = yield i
        if got:
            yield -got


def failing(n):
    try:
        return 10 // n
    except ZeroDivisionError as error:
        raise ValueError("no %d" % n) from error
    finally:
        n += 1


things = {Thing(i) for i in range(40)}
print([t.n for t in things])
dead = []
for t in list(things):
    weakref.finalize(t, dead.append, t.n)
refs = [weakref.ref(t) for t in things]
print(gc.get_count(), gc.get_stats()[0]["collections"])
del t
things.clear()
print(gc.collect(), dead, sum(r() is None for r in refs))
it = numbers(6)
print(next(it), it.send(7), next(it), list(it))
for n in (3, 0, 5):
    try:
        print(failing(n))
    except ValueError as error:
        print("caught", error, repr(error.__cause__))
print({object() for _ in range(5)} and [hex(id(o))[:3] for o in (object(), [], {})])
total = 0
for i in range(2000):
    total += len({k: [k] for k in range(i % 7)})
print(total)
