"""Everything that differs from run to run: clocks, random numbers, identities."""
import datetime
import os
import random
import sys
import time
import uuid

started = time.time()
values = []
for i in range(20):
    values.append((time.monotonic_ns(), time.perf_counter(), random.random()))
print("time", started, datetime.datetime.now().isoformat())
print("pid", os.getpid(), os.getppid())
print("uuid", uuid.uuid4(), uuid.uuid1())
print("urandom", os.urandom(16).hex(), random.SystemRandom().random())
print("hash", hash("a string"), hash(b"bytes"), id(values))
print("loads", os.times().elapsed >= 0, sys.flags.hash_randomization)
time.sleep(0.01)
print("elapsed", time.time() - started)
