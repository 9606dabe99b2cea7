# Generators and coroutines that are left and resumed, and that end in all the ways they can. Each function has one of them.


def finished(n):
    total = 0
    for i in range(n):
        total += i
        yield total
    total = -1


def closed():
    k = 1
    yield k
    k = 2
    yield k


def after_close():
    pass


def dropped():
    k = 5
    yield k
    k = 6
    yield k


def after_drop():
    pass


def tidied():
    k = "begun"
    try:
        yield k
        k = "resumed"
        yield k
    finally:
        k = "tidied"


def after_tidy():
    pass


def thrown():
    k = 0
    while k < 2:
        try:
            yield k
        except ValueError:
            k += 1
    raise KeyError(k)


def part():
    yield 1
    yield 2
    return 3


def delegating():
    got = None
    got = yield from part()
    got = yield got
    got = yield got


class Wait:
    def __await__(self):
        yield


async def coroutine(n):
    got = []
    for i in range(n):
        await Wait()
        got = got + [i]
    return got


async def stream(n):
    for a in range(n):
        b = a * 2
        await Wait()
        yield b


async def reading():
    async for x in stream(2):
        await Wait()


def shared():
    count = 0

    def more():
        nonlocal count
        count += 1

    more()
    yield more
    more()
    yield more


def run(coroutine):
    try:
        while True:
            coroutine.send(None)
    except StopIteration:
        pass


def main():
    list(finished(3))
    g = closed()
    next(g)
    next(g)
    # What is closed is over at once, or when it goes: one line, for interpreters differ.
    g.close(); g = None
    after_close()
    g = dropped()
    next(g)
    next(g)
    g = None
    after_drop()
    g = tidied()
    next(g)
    next(g)
    del g
    after_tidy()
    g = thrown()
    next(g)
    try:
        g.throw(ValueError)
        g.throw(ValueError)
    except KeyError:
        pass
    g = delegating()
    next(g)
    next(g)
    next(g)
    g.send("sent")
    for _ in g:
        pass
    run(coroutine(2))
    run(reading())
    g = shared()
    next(g)
    next(g)
    for _ in g:
        pass


main()
