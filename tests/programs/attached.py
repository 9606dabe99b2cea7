"""Shared memory attached twice by name, and an mmap of a file opened twice."""
import mmap
import os
import tempfile
from multiprocessing import shared_memory

first = shared_memory.SharedMemory(create=True, size=1000)
second = shared_memory.SharedMemory(name=first.name)
try:
    for n in range(200):
        first.buf[n] = n
        second.buf[n + 200] = first.buf[n] ^ second.buf[n] ^ 7
    seen = bytes(first.buf[200:400])
    print(seen == b"\x07" * 200, bytes(second.buf[:4]))
finally:
    second.close()
    first.close()
    first.unlink()

with tempfile.TemporaryFile() as file:
    file.truncate(8192)
    one, two = mmap.mmap(file.fileno(), 8192), mmap.mmap(file.fileno(), 4096, offset=4096)
    one[5000:5005] = b"hello"
    two[0] = 33
    print(two[904:909], one[4096], os.getpid() > 0)
