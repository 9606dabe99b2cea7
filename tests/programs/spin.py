"""Threads that compute without system calls: one waits in a loop for another, two make progress side by side."""
import threading
import time

done = False


def finish():
    global done
    time.sleep(0.05)
    done = True


threading.Thread(target=finish).start()
spins = 0
while not done:
    spins += 1
print("done", spins > 0)

counts = [0, 0]
turns = []


def count(me):
    other = 1 - me
    for _ in range(3):
        seen = counts[other]
        while counts[other] == seen and counts[other] >= 0:
            counts[me] += 1
        turns.append(me)
    counts[me] = -1


threads = [threading.Thread(target=count, args=(i,)) for i in range(2)]
for t in threads:
    t.start()
for t in threads:
    t.join()
print(counts, len(turns))
