"""Leaves by an exception, with handlers of its own at exit."""
import atexit


@atexit.register
def last():
    for i in range(3): i


def down(n):
    try:
        return down(n - 1) if n else exit_now()
    finally:
        n = 0


def exit_now():
    raise SystemExit(0)


down(5)
