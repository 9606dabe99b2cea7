"""Functions that return here and there, yield, raise, and return what others return."""


class Box:
    def take(self, n):
        if n < 0:
            return "negative"
        if n == 0:
            raise ValueError(n)
        for i in range(n):
            if i == 2:
                return i
        return None


def count(n):
    for i in range(n):
        yield i
    return "counted"


def outer(n):
    return Box().take(n)


got = []
for n in (-1, 1, 0, 5, 3):
    try:
        got.append(outer(n))
    except ValueError:
        got.append("raised")
got.append(list(count(2)))
print(got)
