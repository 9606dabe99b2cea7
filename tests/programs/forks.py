"""A child that is forked, one that is executed, and one that a signal ends."""
import os
import subprocess
import sys

numbers = [1, 2, 3]
reader, writer = os.pipe()
pid = os.fork()
if pid == 0:
    for i in range(5):
        numbers.append(i * 10)
    os.write(writer, repr(numbers).encode())
    print("child", os.getpid() != os.getppid(), len(numbers))
    sys.exit(3)
os.close(writer)
print(os.read(reader, 1000), os.waitpid(pid, 0)[1] >> 8)
print(subprocess.run("ls /etc/passwd | head -3; exit 4", shell=True, stdout=subprocess.PIPE))
print(subprocess.run([sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"]).returncode)
