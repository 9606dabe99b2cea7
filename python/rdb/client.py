"""The interface of DB.pm: methods to be called, and methods to be overridden."""
from .debugger import Frame, same


class Client:
    """A front end. Override `awaken`, `stop`, `output`, `showfile` and `cleanup` to be told."""

    db = None
    _prestop = _poststop = None

    # To be overridden; none may wait.

    def init(self):
        """Called when the client is registered."""

    def awaken(self):
        """Called when the session is ready, and when Ctrl-C has aborted a move."""

    def stop(self, file, line):
        """Called after each move."""

    def output(self, text):
        """Called with what there is to say: values of actions, notes, refusals."""

    def showfile(self, file, line):
        """Called with the file and line to be shown: at each stop, and when a client has loaded a file."""

    def cleanup(self):
        """Called before the client is let go."""

    def cprestop(self):
        """Called at each stop, before `prestop` code is evaluated. Code that it gives is evaluated, too."""

    def cpoststop(self):
        """Called before each move, after `poststop` code was evaluated. Code that it gives is evaluated, too."""

    # Coming and going.

    def register(self, debugger):
        """Attaches to a session; several clients may."""
        self.db = debugger
        debugger.clients.append(self)
        self.init()
        return self

    def ready(self):
        """Set-up is done: all clients are awakened."""
        for client in list(self.db.clients):
            client.awaken()
        return True

    def done(self):
        """Lets go; the last one ends the session."""
        self.db.clients.remove(self)
        self.cleanup()
        if not self.db.clients:
            self.db.link.close()

    # Moves. Each gives the stop.

    def step(self, count=1):
        """Forward by stop points."""
        return self.db.move("step %d" % count)

    def bstep(self, count=1):
        """Backward by stop points."""
        return self.db.move("bstep %d" % count)

    def stepi(self, count=1):
        """Forward by instructions."""
        return self.db.move("stepi %d" % count)

    def bstepi(self, count=1):
        """Backward by instructions."""
        return self.db.move("bstepi %d" % count)

    def next(self, count=1):
        """Forward over calls."""
        return self.db.move("next %d" % count)

    def bnext(self, count=1):
        """Backward over calls."""
        return self.db.move("bnext %d" % count)

    def cont(self, where=None, count=1):
        """To the next breakpoint hit, or that many on; `where` is a breakpoint for this time."""
        if where is not None:
            self.set_tbreak(where)
        return self.db.move("continue %d" % count)

    def bcont(self, where=None, count=1):
        """To the previous breakpoint hit, or that many back; `where` is a breakpoint for this time."""
        if where is not None:
            self.set_tbreak(where)
        return self.db.move("bcontinue %d" % count)

    def ret(self):
        """To the end of the function."""
        return self.db.move("finish")

    def bret(self):
        """To before the call of the function."""
        return self.db.move("bfinish")

    def go(self, time):
        """To a time, `start`, `end`, or a percentage."""
        return self.db.move("go %s" % time)

    # Looking.

    def backtrace(self, start=0):
        """The frames, innermost first, from `start` on."""
        frames = self.db.link.command("backtrace")["frames"]
        return [Frame(f["file"], f["line"], f["function"], f["id"]) for f in frames][start:]

    def subs(self, *names):
        """The names of all functions; or for each name that is known its file, first and last line (`None` where the source is not at hand)."""
        functions = self.db.functions()
        if names:
            found = [(name, file, line) for wanted in names for name, file, line in functions if name == wanted]
            ends = {file: self.db.last_lines(file) for file in {f for _, f, _ in found}}
            return [(file, line, ends[file].get((line, name.rpartition(".")[2]))) for name, file, line in found]
        return [name for name, _, _ in functions]

    def filesubs(self, file=None):
        """The names of a file's functions."""
        file = file or self.db.here.file
        return [name for name, of, _ in self.db.functions() if same(of, file)]

    def files(self):
        """The files the program ran."""
        return self.db.files()

    def lines(self, file=None):
        """The source text, a line each, from index 1."""
        return self.db.lines(file or self.db.here.file)

    def loadfile(self, file, line):
        """Has all clients show a file; gives its name in full, or `None`."""
        found = next((f for f in self.db.files() if same(f, file)), None)
        if found:
            for client in list(self.db.clients):
                client.showfile(found, line)
        return found

    def lineevents(self, file=None):
        """By line: its text, the conditions of its breakpoints (`1`: none), its actions; only where something is set."""
        file = file or self.db.here.file
        text = self.lines(file)
        events = {}
        for point in self.db.points.values():
            if same(point.file, file):
                event = events.setdefault(point.line, (text[point.line], [], []))
                if point.action:
                    event[2].append(point.action)
                else:
                    event[1].append(point.condition or "1")
        return events

    # Breakpoints and actions. Places are lines of the file stood in, `FILE:LINE`, or functions.

    def set_break(self, where=None, cond=None):
        """Sets a breakpoint, here or there; gives its number."""
        return self.db.set("break", where, condition=cond)

    def set_tbreak(self, where=None):
        """Sets a breakpoint for one stop, here or there."""
        return self.db.set("tbreak", where, temporary=True)

    def clr_breaks(self, *places):
        """Deletes breakpoints."""
        self.db.clear(places, actions=False)

    def set_action(self, where, action):
        """Has an expression evaluated wherever a move comes through; the values go to `output`."""
        return self.db.set("action", where, action=action)

    def clr_actions(self, *places):
        """Deletes actions."""
        self.db.clear(places, actions=True)

    # Evaluating.

    def evalcode(self, code):
        """What code gives where the cursor stands, as text; raises `Refused` where it raises."""
        return self.db.link.command(self.db.evaluation(code))["text"]

    def prestop(self, code=None):
        """Code to be evaluated at each stop; an empty one ends that. Gives what is set."""
        if code is not None:
            self._prestop = code
        return self._prestop

    def poststop(self, code=None):
        """Code to be evaluated before each move."""
        if code is not None:
            self._poststop = code
        return self._poststop

    # Passing over.

    def skippkg(self, *modules):
        """No step ends in these modules or files."""
        for module in modules:
            self.db.link.command("skip " + module)

    def trace_toggle(self):
        """Whether the lines a move passes go to `output`."""
        self.db.tracing = not self.db.tracing
        self.db.link.command("trace on" if self.db.tracing else "trace off")
        return self.db.tracing
