"""One session, and the clients that are told of it."""
import ast
import re
from collections import namedtuple

from .link import Link

Stop = namedtuple("Stop", "reason time file line function kind thread breakpoints value instruction")
Frame = namedtuple("Frame", "file line function id")
#: A breakpoint or an action that was set from here.
Point = namedtuple("Point", "id file line condition temporary action")


def _lines(text):
    return text.splitlines()


class Debugger:
    """A session on a trace, with a cursor of its own, or the one that all share who name it: `cursor`. `Client.register` attaches
    clients to it."""

    def __init__(self, trace="latest", rdbctl="rdbctl", env=None, cursor=None):
        self.link = Link(trace, rdbctl, env, cursor)
        self.clients = []
        self.points = {}
        self.tracing = False
        self._here = self._stop(self.link.command("when"))
        self._doubtful = False
        self.link.news = self._heard
        self.link.interrupted = self._caught

    @property
    def here(self):
        """The last stop; where another client has moved the cursor shared with it, that of its move, as far as it is known."""
        if self._doubtful:
            self.here = self._stop(self.link.command("when"))
        return self._here

    @here.setter
    def here(self, stop):
        self._here, self._doubtful = stop, False

    def _heard(self, news):
        self._doubtful = True
        self.output(news)

    def _caught(self):
        # As DB.pm does at an interrupt. The command may have been done just before.
        self._doubtful = True
        for client in list(self.clients):
            client.awaken()

    @staticmethod
    def _stop(answer):
        s = answer["stop"]
        return Stop(s["reason"], answer["time"], s["file"], s["line"], s["function"], s["kind"], s["thread"],
                    s["breakpoints"], s.get("value"), s.get("instruction", 0))

    def output(self, text):
        """Tells all clients."""
        for client in list(self.clients):
            client.output(text)

    def move(self, command):
        """Moves: hooks before, the move, what there is to say, hooks after, callbacks."""
        for client in list(self.clients):
            self.hook(client.poststop())
            self.hook(client.cpoststop())
        answer = self.link.command(command)
        self.here = self._stop(answer)
        if self.here.reason in ("breakpoint", "watchpoint"):
            for number in self.here.breakpoints:
                if number in self.points and self.points[number].temporary:
                    del self.points[number]
        for printed in answer["stop"].get("printed", []):
            self.output(printed["text"])
        for note in answer["stop"].get("notes", []):
            self.output(note)
        if self.tracing:
            self.output(answer["text"])
        for client in list(self.clients):
            client.showfile(self.here.file, self.here.line)
        for client in list(self.clients):
            self.hook(client.cprestop())
            self.hook(client.prestop())
            client.stop(self.here.file, self.here.line)
        return self.here

    def hook(self, code):
        """Evaluates what a client wants evaluated at stops; the value, or the error, is told to all."""
        if code:
            answer = self.link.ask(self.evaluation(code))
            self.output(answer["error"]["text"] if answer["error"] else answer["text"])

    @staticmethod
    def evaluation(code):
        """The command that evaluates this code, which may have several lines."""
        if "\n" in code.strip():
            return "print __import__('builtins').exec(%r)" % code
        return "print " + code.strip()

    def functions(self, pattern=""):
        """Pairs of a function's name, and its file and first line."""
        found, file = [], None
        answer = self.link.ask("info functions " + pattern)
        for row in _lines(answer["text"]):
            match = re.match(r"\s+(\d+)  (.*)", row)
            if match:
                found.append((match[2], file, int(match[1])))
            else:
                file = row[:-1]
        return found

    def last_lines(self, file):
        """Where functions end, by first line and name, as far as this Python can read their file."""
        text = self.lines(file)[1:]
        try:
            tree = ast.parse("\n".join(text) + "\n")
        except (SyntaxError, ValueError):
            return {}
        ends = {}
        for node in ast.walk(tree):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                # A function begins with what decorates it.
                first = min([node.lineno] + [d.lineno for d in node.decorator_list])
                ends[first, node.name] = node.end_lineno
            elif isinstance(node, ast.Lambda):
                ends[node.lineno, "<lambda>"] = max(node.end_lineno, ends.get((node.lineno, "<lambda>"), 0))
        return ends

    def files(self):
        """The files the program ran."""
        rows = _lines(self.link.ask("info sources")["text"])
        return [re.sub(r"  \(\d+ breakable lines?, .*\)$", "", row) for row in rows]

    def lines(self, file):
        """The source text, a line each; at 0 is none. Lines count from 1."""
        rows = _lines(self.link.command("list %s:1,1000000" % file)["text"])
        matches = [re.match(r">?\s*\d+(?:  (.*))?$", row) for row in rows]
        return [None] + [match[1] or "" for match in matches if match]

    def breakable(self, file):
        """The lines a breakpoint can stand on."""
        rows = _lines(self.link.command("lines %s:1,1000000" % file)["text"])
        return [int(m[1]) for m in (re.match(r">?\s*(\d+):", row) for row in rows) if m]

    def place(self, where):
        """File and line of a line of the file stood in, `FILE:LINE`, or a function."""
        where = str(where if where is not None else self.here.line)
        if where.isdigit():
            return self.here.file, int(where)
        match = re.match(r"(.*):(\d+)$", where)
        if match:
            return match[1], int(match[2])
        for name, file, line in self.functions(where):
            if name == where or name.endswith("." + where):
                return file, line
        return None, None

    def set(self, command, where, condition=None, temporary=False, action=None):
        """Sets a breakpoint or an action; `None`, and the reason is told, where that cannot be done."""
        file, line = self.place(where)
        if file is None:
            return self.output("Subroutine not found.\n")
        by_name = where is not None and not re.search(r"(^|:)\d+$", str(where))
        spot = str(where) if by_name else "%s:%d" % (file, line)
        if not by_name and line not in self.breakable(file):
            return self.output("Line %d not %s.\n" % (line, "actionable" if action else "breakable"))
        text = "%s %s" % (command, spot)
        text += " if " + condition if condition else ""
        text += " " + action if action else ""
        answer = self.link.ask(text)
        if answer["error"]:
            return self.output(answer["error"]["text"] + "\n")
        number = int(re.search(r"\d+", answer["text"])[0])
        self.points[number] = Point(number, file, line, condition, temporary, action)
        return number

    def clear(self, places, actions):
        """Deletes the breakpoints, or the actions, at these places; without any, all in the file stood in."""
        wanted = [self.place(where) for where in places]
        if (None, None) in wanted:
            self.output("Subroutine not found.\n")
        for point in list(self.points.values()):
            at = (point.file, point.line)
            if bool(point.action) == actions and (at in wanted if places else same(point.file, self.here.file)):
                self.link.command("delete %d" % point.id)
                del self.points[point.id]


def same(one, other):
    """Whether two paths mean one file: one may be the end of the other."""
    return one == other or one.endswith("/" + other) or other.endswith("/" + one)
