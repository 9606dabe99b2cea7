"""Calls into the standard library that call back, yield, raise."""

import contextlib
import json


@contextlib.contextmanager
def managed():
    yield 1


def hook(d):
    return len(d)


def main():
    print(json.loads('[{"a": 1}, {}]', object_hook=hook))
    with managed() as m:
        print(m)
    try:
        json.loads("{")
    except ValueError:
        print("bad")


main()
