"""Values that change: bound anew, in place, through objects, in threads, behind exceptions; and some that seem to."""
import _thread


class Account:
    def __init__(self, owner):
        self.owner = owner
        self.balance = 0
        self.entries = []

    def pay(self, amount):
        if amount < 0:
            raise ValueError(amount)
        self.entries.append(amount)
        self.balance += amount
        return self.balance


def payments(account, amounts):
    for amount in amounts:
        try:
            yield account.pay(amount)
        except ValueError:
            yield None


def elsewhere(account, done):
    account.pay(1000)
    done.release()


account = Account("ada")
seen = {}
for n, total in enumerate(payments(account, [5, -1, 0, 7])):
    seen[n] = total
account.balance += 1
account.balance -= 1
account.balance = account.balance
done = _thread.allocate_lock()
done.acquire()
_thread.start_new_thread(elsewhere, (account, done))
done.acquire()
junk = [str(i) for i in range(40)]
del junk
seen = dict(seen)
seen["last"] = account.balance
account = None
print(seen)
