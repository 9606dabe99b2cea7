"""A test case for the standard library's own textwrap and difflib."""
import difflib
import textwrap
import unittest


class Library(unittest.TestCase):
    def test_wrap(self):
        lines = textwrap.wrap("the quick brown fox " * 20, 30)
        self.assertTrue(all(len(line) <= 30 for line in lines))

    def test_ratio(self):
        self.assertGreater(difflib.SequenceMatcher(None, "abcdefgh" * 9, "abcdxfgh" * 9).ratio(), 0.8)

    def test_dedent(self):
        for n in range(5):
            with self.subTest(n=n):
                self.assertEqual(textwrap.dedent(" " * n + "x"), "x")

    def test_raises(self):
        with self.assertRaises(ValueError):
            textwrap.wrap("x", 0)


if __name__ == "__main__":
    unittest.main()
