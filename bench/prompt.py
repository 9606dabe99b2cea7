"""A prompt that is driven, for what measures travel."""
import json
import subprocess
import time


class Prompt:
    """`rdbctl batch --json` with commands given one by one."""

    def __init__(self, rdbctl, trace):
        self.process = subprocess.Popen([rdbctl, "batch", trace, "--json", "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, command):
        start = time.perf_counter()
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        return (time.perf_counter() - start) * 1000, answer

    def close(self):
        self.process.stdin.close()
        self.process.wait()
