class Loop:
    def __repr__(self):
        while True:
            pass


class Raise:
    def __repr__(self):
        raise ValueError("no repr today")


class Recurse:
    def __repr__(self):
        return repr(self)


class Huge:
    def __repr__(self):
        return "x" * (1 << 30)


class Wrong:
    def __repr__(self):
        return 3


def look(loop, n):
    number, text = n * 2, "plain"
    huge, words = Huge(), ["ab", Loop()]
    return number


def others(raises, recursing, wrong):
    rest = {1: raises}
    return rest


print(look(Loop(), 21))
print(len(others(Raise(), Recurse(), Wrong())))
