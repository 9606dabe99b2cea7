"""A small ledger: money moves between accounts, and none may appear or disappear. Yet at the end there is too much.

The amounts are random, so no two runs are alike. Record one, and walk back from the end to the line that is to blame.
"""

import random
import sys


class Account:
    def __init__(self, owner, entries=[]):
        self.owner = owner
        self.entries = entries

    def add(self, amount):
        self.entries.append(amount)

    def balance(self):
        return sum(self.entries)


class Ledger:
    def __init__(self):
        self.accounts = {}
        self.paid_in = 0

    def open(self, owner, deposit=0):
        account = Account(owner, [deposit]) if deposit else Account(owner)
        self.accounts[owner] = account
        self.paid_in += deposit

    def transfer(self, giver, taker, amount):
        self.accounts[giver].add(-amount)
        self.accounts[taker].add(amount)

    def total(self):
        return sum(account.balance() for account in self.accounts.values())


def check(ledger):
    wrong = ledger.total() - ledger.paid_in
    if wrong:
        sys.exit(f"{wrong} too much: {[(a.owner, a.balance()) for a in ledger.accounts.values()]}")


def main():
    ledger = Ledger()
    for owner, deposit in [("ada", 900), ("bob", 700), ("cyd", 0), ("dan", 800), ("eve", 0)]:
        ledger.open(owner, deposit)
    for _ in range(200):
        giver, taker = random.sample(["ada", "bob", "dan"], 2)
        ledger.transfer(giver, random.choice([taker, "cyd", "eve"]), random.randrange(1, 20))
    check(ledger)


if __name__ == "__main__":
    main()
