"""async: await, async for, async with, asynchronous generators and comprehensions, asyncio without threads."""
import asyncio


class Ticker:
    def __init__(self, n): self.n = n
    def __aiter__(self): return self
    async def __anext__(self):
        if self.n == 0:
            raise StopAsyncIteration
        self.n -= 1
        await asyncio.sleep(0)
        return self.n


class Failing(Ticker):
    async def __anext__(self):
        raise KeyError


class Lock:
    async def __aenter__(self): await asyncio.sleep(0); return 1
    async def __aexit__(self, *a): await asyncio.sleep(0); return a[0] is ValueError


async def agen(n):
    for i in range(n):
        yield i
        await asyncio.sleep(0)


async def work(n):
    total = 0
    async for x in Ticker(n): total += x
    async for x in agen(n):
        total += x
    else:
        total += 1
    total += sum([x async for x in agen(n) if x])
    d = {x: await value(x)
         async for x in agen(n)}
    async with Lock() as l, \
            Lock():
        total += l
    async with Lock():
        raise ValueError
    return total + len(d)


async def value(x): return x


async def failing():
    async for x in Failing(1):
        pass


async def cancelled():
    try:
        await asyncio.sleep(10)
    except asyncio.CancelledError:
        await asyncio.sleep(0)
        raise


async def close_early():
    g = agen(5)
    async for x in g:
        if x == 1: break
    await g.aclose()
    g = agen(2)
    await anext(g)
    try: await g.athrow(ValueError)
    except ValueError: pass
    await anext(agen(0), None)


class Awaitable:
    def __await__(self):
        yield from asyncio.sleep(0).__await__()
        return 5


async def main():
    r = await asyncio.gather(*(work(i) for i in range(6)))
    try: await failing()
    except KeyError: pass
    t = asyncio.create_task(cancelled())
    await asyncio.sleep(0)
    t.cancel()
    try: await t
    except asyncio.CancelledError: pass
    await close_early()
    r.append(await Awaitable())
    q = asyncio.Queue()
    await q.put(1); await q.get()
    try:
        async with asyncio.timeout(0): await asyncio.sleep(1)
    except TimeoutError: pass
    async with asyncio.TaskGroup() as tg:
        tg.create_task(value(1)); tg.create_task(work(2))
    c = value(1); c.close()
    c = value(1)
    try: c.throw(KeyError)
    except KeyError: pass
    return r


for _ in range(8):
    asyncio.run(main())
