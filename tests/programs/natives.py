"""Functions written in C, called in many ways. Comments name what the line calls, once for each call of it."""
import functools
import json
import math
import operator
import socket


class Sized:
    def __len__(self):
        return 7


def many(rows):
    total = 0
    for row in rows:
        total += len(row)  # len
        if isinstance(row, list):  # isinstance
            row.append(total)  # append
    return total


def nested(rows):
    return math.gcd(many(rows), 12) + len(rows)  # gcd len


def spread(
    rows,
):
    return len(
        rows
    )


def generated(rows):
    for row in rows:
        yield len(row)  # len


def connect():
    one = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        one.connect(("127.0.0.1", 1))  # connect
    except OSError:
        pass
    with one:
        return one.connect_ex(("127.0.0.1", 1))


print(nested([[], (1, 2), "abc"] * 20))
print(spread([1]))
print(sum(generated(["ab", [1]] * 3)))
print(list(map(len, ["a", "bc"])))  # map
print(functools.partial(len, "abc")())  # len
print(len(Sized()))  # len
print(operator.methodcaller("__len__")("abcd"))
try:
    len(3)  # len
except TypeError:
    pass
connect()
print(json.loads('{"a": [1, 2]}'))
