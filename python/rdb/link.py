"""The pipe to `rdbctl batch --json`: a line goes in, a JSON object comes out."""
import json
import signal
import subprocess
import threading


class Refused(Exception):
    """A command was refused, or evaluated code raised. `code` is for programs, the text for people."""

    def __init__(self, code, text):
        super().__init__(text)
        self.code = code


class Gone(Exception):
    """`rdbctl` has ended, or could not be started."""


class Link:
    """One session on a trace. `rdbctl` is the program to run, `env` its environment; `cursor` is the name of a cursor to share."""

    def __init__(self, trace="latest", rdbctl="rdbctl", env=None, cursor=None):
        #: Called with what other clients have done to what is shared with them.
        self.news = lambda text: None
        #: Called when Ctrl-C has aborted a command, before the interrupt goes on its usual way.
        self.interrupted = lambda: None
        command = [rdbctl, "batch", str(trace), "--json", "-"]
        if cursor is not None:
            command += ["--cursor", cursor]
        try:
            # In a session of its own: Ctrl-C at a terminal must come through here, where the answer is waited for.
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env, encoding="utf-8", start_new_session=True)
        except OSError as error:
            raise Gone("cannot start %s: %s" % (rdbctl, error)) from None

    def ask(self, line):
        """The answer to one command, whether it was refused or not."""
        line = line.strip()
        if not line or line.startswith("#") or "\n" in line or "\r" in line:
            raise ValueError("not one command: %r" % line)
        answer = self._unbroken(line + "\n")
        if not answer:
            raise Gone("rdbctl has ended; what it said is on standard error")
        answer = json.loads(answer)
        if answer.get("news"):
            self.news(answer["news"])
        return answer

    def _unbroken(self, line):
        """The answer as text. Ctrl-C aborts the command, which is answered all the same: half an exchange would spoil all later ones."""
        interrupts = []

        def abort(number, frame):
            interrupts.append((number, frame))
            self._process.send_signal(signal.SIGINT)

        usual = signal.getsignal(signal.SIGINT)
        # Other threads are not interrupted; and what ignores Ctrl-C goes on doing so.
        catches = threading.current_thread() is threading.main_thread() and callable(usual)
        if catches:
            signal.signal(signal.SIGINT, abort)
        try:
            self._process.stdin.write(line)
            self._process.stdin.flush()
            answer = self._process.stdout.readline()
        except (OSError, ValueError):
            answer = ""
        finally:
            if catches:
                signal.signal(signal.SIGINT, usual)
        if interrupts:
            self.interrupted()
            usual(*interrupts[0])
        return answer

    def command(self, line):
        """The answer to one command. Ends of the recording are no refusals."""
        answer = self.ask(line)
        if answer["error"] and not answer["stop"]:
            raise Refused(answer["error"]["code"], answer["error"]["text"])
        return answer

    def close(self):
        """Ends the session. The daemon goes on for other clients."""
        for pipe in (self._process.stdin, self._process.stdout):
            try:
                pipe.close()
            except OSError:
                # rdbctl has ended before it took what was written last.
                pass
        return self._process.wait()
