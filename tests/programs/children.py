"""Child processes in all the ways the standard library starts them."""
import os
import signal
import subprocess
import sys

print(subprocess.run([sys.executable, "-c", "print(6 * 7)"], capture_output=True, text=True).stdout)
print(subprocess.check_output("echo shell; exit 0", shell=True))
with subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as p:
    print(p.communicate(b"through a pipe"))
try:
    subprocess.run(["/no/such/program"])
except FileNotFoundError as error:
    print(error)
read, write = os.pipe()
child = os.fork()
if child == 0:
    os.write(write, b"from the fork %d" % (os.getpid() != 1))
    os._exit(7)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), os.read(read, 100))
pid = os.posix_spawn("/bin/sh", ["sh", "-c", "exit 3"], os.environ)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
print(os.system("exit 5") >> 8)
sleeper = subprocess.Popen(["sleep", "60"])
sleeper.send_signal(signal.SIGTERM)
print(sleeper.wait())
