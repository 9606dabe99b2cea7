"""Threads, queues, pools, locks, timers, thread-locals."""
import queue
import threading
import time
from concurrent.futures import ThreadPoolExecutor

work = queue.Queue(maxsize=4)
done = []
lock = threading.Lock()
local = threading.local()


def worker(name):
    local.count = 0
    while True:
        item = work.get()
        if item is None:
            break
        local.count += 1
        with lock:
            done.append((name, item, time.monotonic_ns() % 1000))
        work.task_done()
    with lock:
        done.append((name, "end", local.count))


threads = [threading.Thread(target=worker, args=(n,)) for n in "abc"]
for t in threads:
    t.start()
for i in range(60):
    work.put(i)
work.join()
for t in threads:
    work.put(None)
for t in threads:
    t.join()
print(len(done), done[:5])
with ThreadPoolExecutor(4) as pool:
    print(list(pool.map(lambda n: n * n, range(20))))
event = threading.Event()
timer = threading.Timer(0.02, event.set)
timer.start()
print(event.wait(5))
condition = threading.Condition()
turns = []


def player(name):
    for _ in range(10):
        with condition:
            turns.append(name)
            condition.notify_all()
            condition.wait(0.005)


players = [threading.Thread(target=player, args=(i,)) for i in range(3)]
for p in players:
    p.start()
for p in players:
    p.join()
print(turns)
