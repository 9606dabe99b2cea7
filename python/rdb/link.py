"""The pipe to `rdbctl batch --json`: a line goes in, a JSON object comes out."""
import json
import subprocess


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
        command = [rdbctl, "batch", str(trace), "--json", "-"]
        if cursor is not None:
            command += ["--cursor", cursor]
        try:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env, encoding="utf-8")
        except OSError as error:
            raise Gone("cannot start %s: %s" % (rdbctl, error)) from None

    def ask(self, line):
        """The answer to one command, whether it was refused or not."""
        line = line.strip()
        if not line or line.startswith("#") or "\n" in line or "\r" in line:
            raise ValueError("not one command: %r" % line)
        try:
            self._process.stdin.write(line + "\n")
            self._process.stdin.flush()
            answer = self._process.stdout.readline()
        except (OSError, ValueError):
            answer = ""
        if not answer:
            raise Gone("rdbctl has ended; what it said is on standard error")
        answer = json.loads(answer)
        if answer.get("news"):
            self.news(answer["news"])
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
