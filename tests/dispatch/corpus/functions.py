"""Calls, closures, classes, decorators, comprehensions, generators."""
import functools


def decorate(f):
    @functools.wraps(f)
    def inner(*args, **kw):
        return f(*args,
                 **kw)
    return inner


@decorate
@functools.lru_cache(
    maxsize=None
)
def fib(n): return n if n < 2 else fib(n - 1) + fib(n - 2)


def slow_fib(n):
    if n < 2:
        return n
    return (slow_fib(n - 1) +
            slow_fib(n - 2))


class Base:
    count = 0

    def __init__(self, x):
        self.x = x

    @property
    def double(self): return self.x * 2

    def __getitem__(self, i):
        return self.x + i

    def __getattr__(self, name):
        return name

    def __call__(self, y): return self.x + y

    def __lt__(self, other): return self.x < other.x

    def __contains__(self, x): return x == self.x

    def chain(self): return self


class Child(Base):
    def __init__(self, x,
                 y=2):
        super().__init__(x)
        self.y = y

    @classmethod
    def make(cls, x): return cls(x)

    @staticmethod
    def plain(): return 1

    def __len__(self): return 3

    def __iter__(self):
        yield self.x
        yield self.y


def counter():
    n = 0

    def step():
        nonlocal n
        n += 1
        return n
    return step


def comprehensions(k):
    a = [x * y for x in range(k) for y in range(x) if y % 2]
    b = {x: [z for z in range(x)]
         for x in a
         if x}
    c = {x
         for x in b}
    d = sum(x
            for x in c
            if x > 1)
    e = [(lambda v: v + x)(1) for x in range(k)]
    f = [x for x in gen(k)]; g = [*gen(k)]
    return a, b, c, d, e, f, g


def gen(n):
    for i in range(n):
        got = yield i
        if got:
            yield got
    return n


def delegate(n):
    r = yield from gen(n)
    x = yield \
        r
    return x


def drive():
    g = delegate(3)
    next(g); g.send("s")
    try:
        while True: next(g)
    except StopIteration as e:
        e.value
    g = gen(5); next(g); g.close()
    g = gen(5); next(g)
    try: g.throw(KeyError("k"))
    except KeyError: pass
    g = gen(2)
    try:
        g.throw(KeyError)
    except KeyError:
        pass
    for a, b in zip(gen(3), gen(4)): a + b
    x = [p.double for p in map(Base, gen(3))] if g else 0
    return x


def many(a, b=1, *c, d, e=2, **f):
    return (a, b,
            c, d,
            e, f)


def text(n):
    s = ""
    for i in range(n):
        s += "x"
        s = \
            s + "y"
        s \
            += "z"
    out = []
    for i in range(n):
        out.append(i)
        out. \
            append(
                i)
        out.append(
            s)
    t = s if n > 3 else out
    u = ("a"
         f"{n}"
         f"{s!r:>{n}}")
    if s == "a" \
            "b": pass
    while (n
           > 0): n -= 1
    while n < 3 and \
            n != 7: n += 1
    return t, u


for _ in range(20):
    fib(_)
    slow_fib(8)
    c = Child(3); c.double; c[2]; c.nothing; c(1); len(c); c.plain(); Child.make(1)
    d = (c.double if _ % 2 else c[1]); d = c(1) if _ % 3 else Base(2)
    e = (c.make(1) if _ % 2
         else c.chain())
    f = (c and c.chain() or c.chain()) and c.double
    c.chain().chain() \
        .chain() \
        .chain()
    list(c); sorted([Base(2), Base(1)]); 3 in c
    step = counter(); step(); step()
    comprehensions(5)
    drive()
    many(1, d=2); many(1, 2, 3, d=4, z=5); many(*[1], **{"d": 1})
    text(_)
    for i in range(2): slow_fib(1) if i else Base(1)
    [slow_fib(q) for q in range(3)]; [Base(q) for q in range(2)]
    {q: slow_fib(q) for q in range(3)}


def unpack(a, b, c):
    x = a
    y = b
    z = c; w = x
    x, y = y, x
    (p,
     q) = z, w
    return [x,
            y,
            p,
            q]


for i in range(100): unpack(i, 2, 3)
