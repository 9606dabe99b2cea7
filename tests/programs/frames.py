"""Recursion, generators, exceptions, coroutines, threads, calls from C. Each function begins with a line it never comes back to."""
import _thread


def fib(n):
    small = n < 2
    if small:
        return n
    return fib(n - 1) + fib(n - 2)


def count(limit):
    n = 0
    while n < limit:
        got = yield n
        n += got or 1


def delegating(limit):
    first = limit
    yield from count(first)
    yield first


def consuming():
    total = 0
    for v in delegating(3):
        total += v
    kept = count(9)
    next(kept)
    kept.send(2)
    dropped = count(5)
    next(dropped)
    dropped = count(6)
    next(dropped)
    del dropped
    for v in kept:
        total += v
    return total


def failing(n):
    depth = n
    try:
        if depth == 0:
            raise KeyError("bottom")
        failing(depth - 1)
    except ValueError:
        pass
    finally:
        depth += 1


def catching():
    caught = []
    for n in range(3):
        try:
            failing(n)
        except KeyError as error:
            caught.append(error)
    return len(caught)


class Later:
    def __await__(self):
        done = 1
        yield done


async def inner(n):
    value = n
    await Later()
    await Later()
    return value


async def outer():
    total = 0
    for n in range(2):
        total += await inner(n)
    return total


def drive():
    coroutine = outer()
    try:
        while True:
            coroutine.send(None)
    except StopIteration as done:
        return done.value


def key(x):
    negative = -x
    return negative


class Closing:
    def __del__(self):
        ended = fib(2)
        self.ended = ended


def from_c():
    items = sorted([3, 1, 2], key=key)
    items = list(map(key, items)) + [n for n in (i * 2 for i in items)]
    closing = Closing()
    closing = None
    return items, closing


def worker(lock, n):
    result = fib(n)
    lock.release()
    return result


def threads():
    locks = []
    for n in (3, 4):
        lock = _thread.allocate_lock()
        lock.acquire()
        locks.append(lock)
        _thread.start_new_thread(worker, (lock, n))
    for lock in locks:
        lock.acquire()
    return len(locks)


print(fib(4))
print(consuming())
print(catching())
print(drive())
print(from_c())
print(threads())
