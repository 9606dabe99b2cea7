"""Values of all sorts, to be looked at in `look`."""


class Slotted:
    __slots__ = ("x", "__hidden")

    def __init__(self):
        self.x = 1
        self.__hidden = 2


class Base:
    limit = 3

    def double(self):
        return 2 * self.size


class Thing(Base):
    def __init__(self, size):
        self.size = size
        self.parts = [*range(size)]

    @property
    def area(self):
        raise RuntimeError("not to be asked")


class Bad:
    def __repr__(self):
        raise ValueError("no repr")


list = "shadowed"  # what is looked at must not depend on the program's names
nested = {"a": [1, [2, [3, [4]]]], "b": (5,), "c": {6}, "d": frozenset({7})}
loop = [1]
loop.append(loop)


def look(thing, *rest, key=None):
    many = [0] * 1000
    text = "x" * 500
    bad = [Bad()]
    wide = [{"name": "name %d" % i, "value": i} for i in range(6)]
    slotted = Slotted()
    return 0


look(Thing(4), 1, 2, key="k")
