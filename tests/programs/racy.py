"""A counter that two threads count up without a lock. So short that neither ever has to wait for the other, unless the schedule is unkind."""
import threading

count = 0


def same(n):
    return n


def work():
    global count
    for _ in range(10000):
        count = same(count) + 1


threads = [threading.Thread(target=work) for _ in range(2)]
for t in threads:
    t.start()
for t in threads:
    t.join()
print(count)
