import contextlib
import threading


class Odd(ValueError):
    def __init__(self, what):
        text = str(what)
        super().__init__(text)


class Outer:
    class Inner(Odd):
        pass


def helper(n):
    return str(n) + "x"


def number(n):
    return int(helper(n))  # ValueError


def odd(n):
    if n % 2:
        raise Odd(n)  # Odd
    return n


def cleaned(n):
    try:
        return odd(n)
    finally:
        n += 1


def again():
    try:
        odd(3)
    except ValueError as e:
        kept = e
    raise kept  # Odd again


def passed():
    try:
        {}["a"]  # KeyError
    except KeyError:
        raise


def counted():
    try:
        yield 1  # Thrown
        yield 2
    except LookupError:
        yield 3  # Closed


@contextlib.contextmanager
def managed():
    yield


class Keys:
    def __getitem__(self, i):
        if i > 2:
            raise IndexError(i)  # IndexError
        return i


def loop():
    for i in range(40):
        try:
            if i % 4 == 0:
                raise Outer.Inner(i)  # Inner
            number(i)
        except ValueError:
            pass


def thread():
    with managed():
        odd(5)


def main():
    for n in range(3):
        with contextlib.suppress(ValueError):
            cleaned(n)
    for f in (again, passed):
        try:
            f()
        except Exception:
            pass
    g = counted()
    next(g)
    g.throw(LookupError("thrown"))
    list(Keys())
    loop()
    t = threading.Thread(target=thread)
    threading.excepthook = print
    t.start()
    t.join()
    try:
        raise SystemExit(3)  # SystemExit
    except SystemExit:
        pass
    try:
        passed()
    finally:
        print("the end")


main()
