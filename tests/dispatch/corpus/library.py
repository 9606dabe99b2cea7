"""The standard library at work."""
import argparse
import ast
import csv
import dataclasses
import difflib
import enum
import fractions
import html.parser
import io
import json
import json.decoder
import json.encoder
import pprint
import random
import re
import shlex
import string
import textwrap
import tokenize
import typing
import unittest

text = open(argparse.__file__).read()


def parse():
    tree = ast.parse(text)
    sum(isinstance(n, ast.Call) for n in ast.walk(tree))
    return ast.unparse(ast.parse(text[: text.index("class HelpFormatter")]))


def tokens():
    return sum(1 for _ in tokenize.generate_tokens(io.StringIO(text[:40000]).readline))


def arguments():
    p = argparse.ArgumentParser("prog")
    p.add_argument("--x", type=int, default=1)
    s = p.add_subparsers()
    for name in ("one", "two"):
        s.add_parser(name).add_argument("y", nargs="*")
    p.parse_args(["--x", "2", "one", "a", "b"])
    return p.format_help()


def differences():
    a = text.splitlines()[:150]
    b = [l.replace("self", "me") for l in a[10:]] + ["end"]
    return len(list(difflib.unified_diff(a, b))), len(list(difflib.ndiff(a[:20], b[:20])))


class Links(html.parser.HTMLParser):
    def handle_starttag(self, tag, attrs): self.last = tag


def markup():
    p = Links()
    p.feed("<html><body><a href='x'>t&amp;u</a><br/><!-- c --><p class=\"y\">z</p></body></html>" * 30)
    p.close()


def jsons():
    value = {"a": [1, 2.5, None, True, {"b": "c\u00e9"}], "d": list(range(50))}
    s = "".join(json.encoder._make_iterencode({}, json.encoder.JSONEncoder().default, json.encoder.py_encode_basestring_ascii,
                                              None, float.__repr__, ": ", ",", False, False, False)(value, 0))
    d = json.decoder.JSONDecoder()
    d.parse_string = json.decoder.py_scanstring
    d.scan_once = json.scanner.py_make_scanner(d)
    return d.decode(s)


def patterns():
    re.purge()
    for p in (r"(a|b)*c+?(?P<n>\d{2,3})(?=x)", r"[^\w\s]+|(?i:foo)", r"(?<!a)b(?:c|d|ef)*\1?".replace(r"\1?", ""), r"\bfoo\b.*[a-z0-9_]$"):
        re.compile(p, re.M).findall("abc12x foo")


@dataclasses.dataclass(order=True, frozen=True)
class Point:
    x: int
    y: int = 0
    tags: typing.List[str] = dataclasses.field(default_factory=list)


class Color(enum.Flag):
    RED = enum.auto()
    BLUE = enum.auto()


def printing():
    pprint.pformat({"k" * i: [Point(i, j) for j in range(4)] for i in range(12)}, width=40)
    textwrap.fill(text[:3000], 50)
    textwrap.dedent(text[:3000])
    string.Template("$a ${b}").substitute(a=1, b=2)
    shlex.split("a 'b c' \"d\" e\\ f # g", comments=True)
    list(csv.DictReader(io.StringIO("a,b\n1,2\n")))
    Color.RED | Color.BLUE


def numbers():
    r = random.Random(1)
    x = [fractions.Fraction(r.randint(1, 99), r.randint(1, 99)) for _ in range(60)]
    return sum(x), sorted(x), dataclasses.replace(Point(1), y=2) > Point(1, 1)


class Case(unittest.TestCase):
    def setUp(self): self.x = 1
    def test_equal(self): self.assertEqual(self.x, 1)
    def test_raises(self):
        with self.assertRaises(ValueError):
            int("x")
    def test_fail(self): self.assertTrue(False)
    @unittest.skip("why")
    def test_skip(self): pass
    def test_sub(self):
        for i in range(3):
            with self.subTest(i=i): self.assertLess(i, 2)


def tests():
    suite = unittest.defaultTestLoader.loadTestsFromTestCase(Case)
    return unittest.TextTestRunner(stream=io.StringIO()).run(suite)


for f in (parse, tokens, arguments, differences, markup, jsons, patterns, printing, numbers, tests) * 2:
    print(f.__name__)
    f()
