"""What multiprocessing shares: pools, named memory, barriers, a manager, and a value that is spun on."""
import concurrent.futures
import multiprocessing
import sys
from multiprocessing import Barrier, Manager, shared_memory


def squares(n):
    return sum(i * i for i in range(n))


def fill(name, i, barrier):
    memory = shared_memory.SharedMemory(name=name)
    barrier.wait()
    for k in range(1000):
        memory.buf[i * 1000 + k] = (i * 7 + k) % 251
    barrier.wait()
    memory.close()


def spin(value):
    while value.value < 1:
        pass
    value.value += 1


def run(target, *arguments):
    processes = [multiprocessing.Process(target=target, args=a) for a in arguments]
    for p in processes:
        p.start()
    return processes


if __name__ == "__main__":
    multiprocessing.set_start_method(sys.argv[1])
    with concurrent.futures.ProcessPoolExecutor(3) as pool:
        print(list(pool.map(squares, range(1000, 1010))))
    memory = shared_memory.SharedMemory(create=True, size=1 << 20)
    barrier = Barrier(3)
    for p in run(fill, *((memory.name, i, barrier) for i in range(3))):
        p.join()
    print(sum(memory.buf[:3000]))
    memory.close()
    memory.unlink()
    with Manager() as manager:
        shared = manager.dict()
        for p in run(shared.__setitem__, *((i, i * i) for i in range(3))):
            p.join()
        print(sorted(shared.items()))
    value = multiprocessing.Value("i", 0, lock=False)
    (spinner,) = run(spin, (value,))
    value.value = 1
    # No system calls here, nor there: each must come to run for all that.
    while value.value != 2:
        pass
    spinner.join()
    print("spun", value.value)
