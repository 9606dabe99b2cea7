# Local variables that change in all the ways they can.


class Stop(Exception):
    pass


def loops(n):
    total = 0
    for i in range(n):
        total += i
    while total > 3:
        total -= 2
    for a, b in ((1, 2), (3, 4)):
        total = a
        i = b
    return total


def fact(n, depth=0):
    got = 1
    if n > 1:
        got = n * fact(n - 1, depth + 1)
    return got


def fib(n):
    if n < 2:
        return n
    k = fib(n - 1) + fib(n - 2)
    return k


def raising(n):
    state = "begun"
    try:
        state = "trying"
        if n:
            raise Stop(n)
        state = "not raised"
    except Stop as e:
        state = f"caught {e}"
    finally:
        late = state
    del state
    if n > 1:
        raise Stop("out")
    state = late
    return state


def cells():
    count = 0
    items = []

    def more():
        nonlocal count
        count += 1
        items.append(count)

    for _ in range(3):
        more()
    count = "done"
    return items


def filled(items):
    for i in range(3):
        items.append(i)


def objects():
    items = []
    filled(items)
    other = items
    other.clear()
    items = [1]
    return other


def steps(n):
    for i in range(n):
        yield i


def main():
    loops(3)
    fact(3)
    fib(3)
    raising(0)
    try:
        raising(2)
    except Stop:
        pass
    cells()
    objects()
    list(steps(2))
    loops(2)


main()
