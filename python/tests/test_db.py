"""One test for each method of DB.pm, on a recording of `tests/programs/frames.py`.

`RDB_TEST_TRACE` and `RDB_TEST_RDBCTL` name the recording and the program.
"""
import os
import signal
import threading
import unittest

import rdb


#: An expression that keeps a search busy.
SLOW = "[i for i in range(10 ** 9)]"


class Recorder(rdb.Client):
    """Keeps what it is told."""

    def __init__(self):
        self.told = []

    def init(self):
        self.told.append("init")

    def awaken(self):
        self.told.append("awaken")

    def stop(self, file, line):
        self.told.append(("stop", os.path.basename(file), line))

    def output(self, text):
        self.told.append(("output", text))

    def showfile(self, file, line):
        self.told.append(("showfile", os.path.basename(file), line))

    def cleanup(self):
        self.told.append("cleanup")

    def cprestop(self):
        self.told.append("cprestop")

    def cpoststop(self):
        self.told.append("cpoststop")


class Methods(unittest.TestCase):
    def setUp(self):
        self.db = rdb.Debugger(os.environ["RDB_TEST_TRACE"], os.environ["RDB_TEST_RDBCTL"])
        self.client = Recorder().register(self.db)

    def tearDown(self):
        self.db.link.close()

    def outputs(self):
        return [t[1] for t in self.client.told if t[0] == "output"]

    def stops(self):
        return [t[1:] for t in self.client.told if t[0] == "stop"]

    def at_fib(self):
        self.assertEqual(self.client.cont("fib").function, "fib")

    def test_register_and_init(self):
        other = Recorder().register(self.db)
        self.assertEqual(other.told, ["init"])
        self.client.step()
        self.assertEqual(self.stops(), [t[1:] for t in other.told if t[0] == "stop"])

    def test_ready_and_awaken(self):
        self.assertTrue(self.client.ready())
        self.assertEqual(self.client.told, ["init", "awaken"])

    def test_done_and_cleanup(self):
        other = Recorder().register(self.db)
        self.client.done()
        self.assertEqual(self.client.told[-1], "cleanup")
        self.assertEqual(other.step().time, 2)
        other.done()
        with self.assertRaises(rdb.Gone):
            other.step()

    def test_step(self):
        start = self.db.here.time
        self.assertEqual(self.client.step(5).time, start + 5)
        self.assertEqual(self.client.bstep(5).time, start)
        self.assertEqual(self.client.bstep().reason, "history_begin")

    def test_next(self):
        self.client.cont("frames.py:130")
        here = self.db.here
        self.assertEqual(self.client.next().line, 131)
        self.assertEqual(self.client.bnext(), here._replace(reason="step", breakpoints=[]))

    def test_cont(self):
        self.at_fib()
        first = self.db.here.time
        self.assertEqual(self.client.cont().reason, "main_done")
        self.client.set_break("fib")
        self.assertGreater(self.client.bcont().time, first)
        self.client.clr_breaks("fib")
        self.assertEqual(self.client.bcont().reason, "history_begin")
        self.client.set_break("fib")
        times = [self.client.cont().time for _ in range(3)]
        self.client.go("start")
        self.assertEqual(self.client.cont(count=3).time, times[2])
        self.assertEqual(self.client.bcont(count=2).time, times[0])

    def test_ret(self):
        self.at_fib()
        self.assertEqual((self.client.ret().kind, self.db.here.value), ("return", "3"))
        self.assertEqual(self.client.bret().line, 130)
        with self.assertRaisesRegex(rdb.Refused, "No caller"):
            self.client.bret()

    def test_stop(self):
        self.client.cont("frames.py:6")
        self.assertEqual(self.stops(), [("frames.py", 6)])

    def test_backtrace(self):
        self.at_fib()
        self.client.cont("fib")
        frames = self.client.backtrace()
        self.assertEqual([f.function for f in frames], ["fib", "fib", "<module>"])
        self.assertEqual(self.client.backtrace(1), frames[1:])

    def test_subs(self):
        self.assertIn("Closing.__del__", self.client.subs())
        (found,) = self.client.subs("fib")
        self.assertEqual((os.path.basename(found[0]),) + found[1:], ("frames.py", 5, 9))
        (made,) = self.client.subs("Closing.__del__")
        with open(made[0]) as source:
            text = source.read().splitlines()
        self.assertIn("def __del__", text[made[1] - 1])
        self.assertTrue(text[made[2] - 1].strip() and not text[made[2]].strip())
        self.assertEqual(self.client.subs("nobody"), [])

    def test_filesubs(self):
        self.assertIn("from_c", self.client.filesubs("frames.py"))
        self.at_fib()
        self.assertEqual(self.client.filesubs(), self.client.filesubs("frames.py"))

    def test_files(self):
        self.assertEqual(len([f for f in self.client.files() if f.endswith("/frames.py")]), 1)

    def test_lines(self):
        lines = self.client.lines("frames.py")
        self.assertEqual((lines[0], lines[5], lines[6]), (None, "def fib(n):", "    small = n < 2"))
        with open(next(f for f in self.client.files() if f.endswith("/frames.py"))) as source:
            self.assertEqual(lines[1:], source.read().splitlines())

    def test_loadfile(self):
        self.assertTrue(self.client.loadfile("frames.py", 7).endswith("/frames.py"))
        self.assertEqual(self.client.told[-1], ("showfile", "frames.py", 7))
        self.assertIsNone(self.client.loadfile("nothing.py", 1))

    def test_showfile(self):
        other = Recorder().register(self.db)
        self.client.cont("frames.py:6")
        self.assertIn(("showfile", "frames.py", 6), other.told)
        self.assertLess(self.client.told.index(("showfile", "frames.py", 6)), self.client.told.index(("stop", "frames.py", 6)))

    def test_lineevents(self):
        self.client.set_break("frames.py:6", "n == 1")
        self.client.set_break("frames.py:6")
        self.client.set_action("frames.py:7", "n")
        self.assertEqual(self.client.lineevents("frames.py"), {
            6: ("    small = n < 2", ["n == 1", "1"], []),
            7: ("    if small:", [], ["n"]),
        })

    def test_set_break(self):
        self.client.set_break("fib", "n == 1")
        self.client.cont()
        self.assertEqual((self.db.here.reason, self.client.evalcode("n")), ("breakpoint", "1"))
        self.client.set_break()
        self.assertEqual(self.client.lineevents()[6][1], ["1"])
        self.assertIsNone(self.client.set_break("frames.py:3"))
        self.assertIsNone(self.client.set_break("nobody"))
        self.assertEqual(self.outputs(), ["Line 3 not breakable.\n", "Subroutine not found.\n"])

    def test_set_tbreak(self):
        self.client.set_tbreak("frames.py:6")
        self.assertEqual(self.client.cont().reason, "breakpoint")
        self.assertEqual(self.client.lineevents(), {})
        self.assertEqual(self.client.cont().reason, "main_done")

    def test_set_tbreak_here(self):
        self.client.cont("frames.py:6")
        self.client.set_tbreak()
        self.assertEqual([e[1] for e in self.client.lineevents().values()], [["1"]])
        self.assertEqual((self.client.cont().reason, self.db.here.line), ("breakpoint", 6))

    def test_clr_breaks(self):
        for place in ("frames.py:6", "frames.py:7", "count"):
            self.client.set_break(place)
        self.client.set_action("frames.py:7", "n")
        self.client.clr_breaks("frames.py:6", "count")
        self.assertEqual(list(self.client.lineevents("frames.py")), [7])
        self.client.cont()
        self.client.clr_breaks()
        self.assertEqual(self.client.lineevents()[7][1:], ([], ["n"]))

    def test_set_action(self):
        self.client.set_action("frames.py:6", "n * 10")
        self.client.cont("frames.py:131")
        self.assertEqual(self.outputs()[:3], ["40", "30", "20"])
        self.client.set_action("frames.py:3", "n")
        self.assertEqual(self.outputs()[-1], "Line 3 not actionable.\n")

    def test_clr_actions(self):
        self.client.set_action("frames.py:6", "n")
        self.client.set_action("frames.py:7", "n")
        self.client.clr_actions("frames.py:6")
        self.assertEqual(list(self.client.lineevents("frames.py")), [7])
        self.client.clr_actions("frames.py:7")
        self.client.cont()
        self.assertEqual(self.outputs(), [])

    def test_evalcode(self):
        self.at_fib()
        self.assertEqual(self.client.evalcode("n + 1"), "5")
        self.assertEqual(self.client.evalcode("for i in range(2):\n    print(i)\n"), "0\n1\nNone")
        with self.assertRaisesRegex(rdb.Refused, "NameError"):
            self.client.evalcode("nobody")

    def test_prestop_and_cprestop(self):
        self.client.prestop("n")
        self.at_fib()
        self.assertEqual((self.client.prestop(), self.outputs()), ("n", ["4"]))
        self.assertLess(self.client.told.index("cprestop"), self.client.told.index(("output", "4")))
        self.client.prestop("")
        self.client.step()
        self.assertEqual(len(self.outputs()), 1)

    def test_poststop_and_cpoststop(self):
        self.at_fib()
        del self.client.told[:]
        self.client.poststop("n")
        self.client.step()
        self.assertEqual(self.client.told[:2], [("output", "4"), "cpoststop"])
        self.assertEqual(self.client.poststop(), "n")

    def test_what_cprestop_and_cpoststop_give_is_evaluated(self):
        self.at_fib()
        self.client.cprestop = lambda: "n * 100"
        self.client.cpoststop = lambda: "n * 1000"
        self.client.step()
        self.assertEqual(self.outputs(), ["4000", "400"])

    def test_catch(self):
        self.at_fib()
        here = self.db.here
        self.client.set_action("fib", SLOW)
        self.client.cpoststop = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start
        with self.assertRaises(KeyboardInterrupt):
            self.client.cont()
        self.assertEqual(self.client.told[-1], "awaken")
        # The session goes on where it was, and answers are those to what is asked.
        self.assertEqual((self.db.here.time, self.client.evalcode("1 + 1")), (here.time, "2"))
        self.client.clr_actions("fib")
        del self.client.cpoststop
        self.assertEqual(self.client.step().time, here.time + 1)

    def test_skippkg(self):
        self.client.cont("frames.py:130")
        self.client.skippkg("frames")
        # The program has no other file: nothing stops the step before its end.
        self.assertEqual(self.client.step().reason, "main_done")

    def test_trace_toggle(self):
        self.client.cont("frames.py:6")
        self.assertTrue(self.client.trace_toggle())
        self.client.step(3)
        self.assertIn("if small:", "".join(self.outputs()))
        self.assertFalse(self.client.trace_toggle())

    def test_stepi(self):
        self.at_fib()
        here = self.db.here
        self.assertEqual(here.instruction, 0)
        inside = self.client.stepi(2)
        self.assertEqual((inside.time, inside.instruction, inside.kind), (here.time, 2, "instruction"))
        back = self.client.bstepi(2)
        self.assertEqual((back.time, back.instruction, back.kind), (here.time, 0, here.kind))

    def test_a_cursor_of_a_name_is_shared(self):
        trace, rdbctl = os.environ["RDB_TEST_TRACE"], os.environ["RDB_TEST_RDBCTL"]
        one, two = (rdb.Debugger(trace, rdbctl, cursor="common") for _ in range(2))
        try:
            other = Recorder().register(two)
            moved = one.move("go 40")
            # It is told with the next answer, whatever that is about.
            self.assertEqual(other.evalcode("1 + 1"), "2")
            self.assertIn("another client moved the cursor to time 40", str(other.told))
            self.assertEqual(two.here.time, moved.time)
            self.assertEqual(other.step().time, 41)
            self.assertEqual(self.db.here.time, 1)
        finally:
            one.link.close()
            two.link.close()

    def test_one_command_is_one_line(self):
        for line in ("", "# nothing", "step\nstep"):
            with self.assertRaises(ValueError):
                self.db.link.ask(line)


if __name__ == "__main__":
    unittest.main()
