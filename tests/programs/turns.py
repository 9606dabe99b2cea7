"""Threads that take turns at known places, and wait for each other."""
import _thread

turn, back, there, end, gone = [_thread.allocate_lock() for _ in range(5)]
said = []


def player(name, rounds):
    for n in range(rounds):
        turn.acquire()
        said.append((name, n))
        back.release()


def sleeper(done):
    waiting = "for the end"
    there.release()
    done.acquire()
    gone.release()
    return waiting


for lock in (turn, back, there, end, gone):
    lock.acquire()
for name in "ab":
    _thread.start_new_thread(player, (name, 3))
_thread.start_new_thread(sleeper, (end,))
there.acquire()
for _ in range(6):
    turn.release()
    back.acquire()
middle = len(said)
end.release()
gone.acquire()
print(middle, sorted(said))
