# What a query is to find: each hit prints what it saw.
import sys


class Account:
    def __init__(self, owner):
        self.owner = owner
        self.entries = []
        self.total = 0

    def book(self, amount, *notes, fee=0, **more):
        self.total += amount - fee
        self.entries.append(amount)
        print("book", self.owner, amount, fee, self.total, self.entries[-3:])  # hit
        return self.total


def count(n):
    for k in range(n):
        yield k
    return "done"


def down(n):
    if n == 0:
        raise KeyError("deep")
    return down(n - 1)


def fact(n):
    return 1 if n < 2 else n * fact(n - 1)


def main():
    accounts = [Account(o) for o in ("ada", "bob", "cyd")]
    for i in range(600):
        accounts[i % 3].book(i * 7 % 101, "x", fee=i % 2, when=i)
    print(list(count(3)))
    try:
        down(2)
    except KeyError as e:
        print("caught", e)
    print(fact(5))


main()
sys.stdout.flush()
