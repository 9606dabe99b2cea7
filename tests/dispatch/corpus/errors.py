"""Exceptions in all their ways through frames."""
import contextlib


class Error(Exception):
    def __init__(self, *a):
        super().__init__(*a)


def fail(n):
    if n == 0:
        raise Error("bottom")
    return fail(n - 1)


def catch(n):
    try:
        fail(n)
    except Error as e:
        return e


def rethrow(n):
    try:
        fail(n)
    except Error:
        raise


def chain(n):
    try:
        fail(n)
    except Error as e:
        raise ValueError from e


def cleanup(n):
    try:
        fail(n)
    finally:
        n += 1


def miss(n):
    try:
        fail(n)
    except KeyError:
        n = 1
    except (TypeError,
            ValueError):
        n = 2


def inside(gen):
    for x in gen:
        if x == 2: raise Error
        yield x


def generated():
    yield 1
    try:
        yield 2
    except Error:
        yield 3
    finally:
        yield 4
    raise Error


def stopping():
    yield 1
    raise StopIteration


def groups(k):
    try:
        raise ExceptionGroup("g", [ValueError(1), TypeError(2), ExceptionGroup("h", [KeyError(3)])][:k])
    except* ValueError as e:
        str(e)
    except* TypeError:
        pass


class Attribute:
    def __getattr__(self, name): raise AttributeError(name)
    def __eq__(self, other): raise Error
    def __enter__(self): return self
    def __exit__(self, *a):
        if a[0] is Error: return True
        raise KeyError
    def __iter__(self): return self
    def __next__(self): raise StopIteration
    @property
    def bad(self): fail(1)


def used():
    a = Attribute()
    hasattr(a, "x")
    getattr(a, "y", 1)
    try: a == 1
    except Error: pass
    with a: raise Error
    try:
        with a:
            pass
    except KeyError: pass
    try: a.bad
    except (Error, AttributeError): pass
    for x in a: pass
    sorted([3, 2], key=lambda v: v)
    try: sorted([3, 2], key=lambda v: v / 0)
    except ZeroDivisionError: pass
    with contextlib.suppress(ZeroDivisionError): [1 / x for x in (1, 0)]
    with contextlib.suppress(ZeroDivisionError):
        sum(1 / x for x in (1, 0))


def unbound(k):
    try:
        if k: x = 1
        x
    except UnboundLocalError:
        k = 2
    return k


for i in range(40):
    for n in range(3):
        catch(n)
        for f in (rethrow, chain, cleanup, miss):
            try: f(n)
            except (Error, ValueError) as e: e.__traceback__
    list(inside(iter([1, 3])))
    try: list(inside([1, 2]))
    except Error: pass
    g = generated(); next(g); next(g); g.throw(Error)
    next(g)
    try: next(g)
    except Error: pass
    g = generated(); next(g); next(g)
    try: g.throw(ValueError)
    except ValueError: pass
    try: next(g)
    except ValueError: pass
    try: list(stopping())
    except RuntimeError: pass
    groups(2)
    try: groups(3)
    except* KeyError: pass
    used()
    unbound(0); unbound(1)
    try: exec("raise Error\n1/0")
    except Error: pass
    try: eval("1/0")
    except ZeroDivisionError: pass
    try: compile("(", "x", "exec")
    except SyntaxError: pass
    try: int("x")
    except ValueError: pass
    try: fail(
        1,
    )
    except Error: pass
    try: import_me = __import__("nothing_of_this_name")
    except ImportError: pass
