"""Coroutines, threads, generators, exceptions and recursion, in the standard library's hands: many frames that live long and short."""
import argparse
import ast
import asyncio
import concurrent.futures
import inspect
import json
import textwrap
import threading


async def produce(queue, count):
    for n in range(count):
        await queue.put(n)
        if n % 5 == 0:
            await asyncio.sleep(0)
    await queue.put(None)


async def consume(queue):
    total = 0
    while (n := await queue.get()) is not None:
        try:
            total += 100 // (n % 4)
        except ZeroDivisionError:
            total -= 1
    return total


async def talk():
    queue = asyncio.Queue(3)
    results = await asyncio.gather(produce(queue, 40), consume(queue))
    return results[1]


def walk(tree, depth=0):
    for child in ast.iter_child_nodes(tree):
        yield depth, type(child).__name__
        yield from walk(child, depth + 1)


def names(text):
    return sorted({name for _, name in walk(ast.parse(text))})


def parse(arguments):
    parser = argparse.ArgumentParser(prog="busy", description=textwrap.fill("words " * 60, 40))
    parser.add_argument("--level", type=int, choices=range(5))
    parser.add_argument("files", nargs="*")
    return parser.parse_args(arguments), parser.format_help()


def locked(lock, box, count):
    for n in range(count):
        with lock:
            box.append(n)


def main():
    print(asyncio.run(talk()))
    source = inspect.getsource(textwrap)
    print(len(names(source)), len(json.loads(json.dumps({"a": [1, {"b": None}] * 50}, indent=2))))
    print(parse(["--level", "3", "x", "y"])[0])
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        print(sum(pool.map(lambda n: sum(range(n)), range(40))))
    box, lock = [], threading.Lock()
    threads = [threading.Thread(target=locked, args=(lock, box, 30)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(len(box))


main()
