"""Signals that arrive in loops without system calls: a timer's, and one whose handler raises."""
import signal

ticks = 0
depth = 0


class Enough(Exception):
    pass


def on_alarm(number, frame):
    global ticks
    ticks += 1
    if ticks == 5:
        raise Enough(frame.f_code.co_name)


def inner(n):
    while True:
        n += 1.5


signal.signal(signal.SIGALRM, on_alarm)
signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
try:
    inner(0.25)
except Enough as e:
    print("enough in", e, ticks)
signal.setitimer(signal.ITIMER_REAL, 0)


def recurse(n):
    return n if n == 0 else recurse(n - 1) + 1


ticks = 0
signal.signal(signal.SIGVTALRM, lambda *_: on_alarm(*_))
signal.setitimer(signal.ITIMER_VIRTUAL, 0.005, 0.005)
try:
    while True:
        depth = recurse(50)
except Enough:
    print("enough again", depth in (0, 50))
signal.setitimer(signal.ITIMER_VIRTUAL, 0)
