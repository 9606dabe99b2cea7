"""What is printed, when: to both streams, in parts, in loops, by functions."""
import sys


def say(text):
    print(text, flush=True)


def parts():
    sys.stdout.write("one ")
    sys.stdout.flush()
    sys.stdout.write("line\n")
    sys.stdout.flush()


say("begin")
for i in range(5):
    say(f"item {i}")
print("careful", file=sys.stderr, flush=True)
parts()
say("two\nlines")
sys.stdout.write("unfinished")
sys.stdout.flush()
