"""Three processes with three threads each, all of them busy; each says its process id, then how far it is. With an argument they share memory."""
import mmap
import os
import queue
import sys
import threading

shared = mmap.mmap(-1, 4096) if len(sys.argv) > 1 else bytearray(4096)


def say(text):
    os.write(1, (text + "\n").encode())


def work(number):
    say("pid %d" % os.getpid())
    waiting = queue.Queue(8)

    def take():
        while True:
            x = waiting.get()
            sum(range(x % 500))
            shared[number] = (shared[number] + 1) % 256

    for _ in range(2):
        threading.Thread(target=take, daemon=True).start()
    step = 0
    while True:
        step += 1
        waiting.put(step)
        if step % 5 == 0:
            os.stat("/tmp")
            say("at %d %d" % (number, step))


for number in (1, 2):
    if os.fork() == 0:
        work(number)
work(0)
