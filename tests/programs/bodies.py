# Variables of class bodies, and of code executed with a dictionary of its own.

count = 100


def twice(n):
    m = n + n
    return m


class Plain:
    count += 1
    for i in range(3):
        count = count + twice(i)
    items = [count]
    items.append(count)
    del i
    count = "end"
    many = {**{str(k): k for k in range(3)}}
    locals().update(many)
    i = locals().get("2")

    class Inner:
        count = 5
        count = "inner"

    count = Inner.count


class Noting(dict):
    def __setitem__(self, key, value):
        noted = key
        super().__setitem__(key, value)


class Meta(type):
    @classmethod
    def __prepare__(mcs, name, bases):
        return Noting()


class Made(metaclass=Meta):
    state = 1
    state = 2


def closure(state):
    class Closing:
        nonlocal state
        was = state
        state = was + 1
        was = state

    for n in (1, 0):
        try:
            class Raising:
                k = n
                k = 1 // k
                k = "not for 0"
        except ZeroDivisionError:
            pass
    return Closing


class Unlike:
    """No dictionary."""

    def __init__(self):
        self.names = {}

    def __getitem__(self, name):
        return self.names[name]

    def __setitem__(self, name, value):
        self.names[name] = value


class Strange(type):
    @classmethod
    def __prepare__(mcs, name, bases):
        return Unlike()

    def __new__(mcs, name, bases, names):
        return type.__new__(mcs, name, bases, names.names)


class Odd(metaclass=Strange):
    p = 1
    p = 2


closure(3)
exec("q = 1\nq = 2\ndel q\n", {}, {})
