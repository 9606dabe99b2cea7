"""Signals: handlers, timers, interrupted calls, pending and blocked."""
import os
import signal
import time

seen = []
signal.signal(signal.SIGUSR1, lambda n, f: seen.append((n, f.f_lineno)))
signal.signal(signal.SIGALRM, lambda n, f: seen.append((n, "alarm")))
for _ in range(3):
    os.kill(os.getpid(), signal.SIGUSR1)
print(seen)
signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
while sum(1 for s in seen if s[1] == "alarm") < 3:
    time.sleep(0.05)
signal.setitimer(signal.ITIMER_REAL, 0)
print(len(seen) >= 6)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
os.kill(os.getpid(), signal.SIGUSR1)
print(signal.sigpending(), len([s for s in seen if s[0] == signal.SIGUSR1]))
print(signal.sigtimedwait([signal.SIGUSR1], 1).si_signo)
signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGUSR1])
r, w = os.pipe()
signal.set_wakeup_fd(w, warn_on_full_buffer=False) if os.set_blocking(w, False) is None else None
os.kill(os.getpid(), signal.SIGUSR1)
print(os.read(r, 10))
try:
    signal.raise_signal(signal.SIGINT)
except KeyboardInterrupt:
    print("interrupted")
