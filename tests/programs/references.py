"""Objects that come and go: addresses used again by free lists, by the allocator, by other types; objects that are rescued."""
import sys


class Node:
    def __init__(self, name):
        self.name = name


class Phoenix:
    def __del__(self):
        global kept
        kept = self


class Other:
    pass


def early():
    return "early"


def reuse_lists():
    seen = []
    for i in range(6):
        x = [i]
        seen.append(id(x))
        del x
        i += 0
    return seen


def reuse_nodes():
    seen = []
    for i in range(6):
        node = Node(i)
        seen.append(id(node))
        del node
        i += 0
    return seen


def in_one_line():
    a = [1]; b = id(a); del a; a = [2]; c = id(a)
    return b == c


def changes_class():
    thing = Node("thing")
    thing.extra = 1
    thing.__class__ = Other
    return thing


def rescued():
    global kept
    kept = None
    bird = Phoenix()
    mark = id(bird)
    del bird
    same = id(kept) == mark
    return same


def raises():
    raise ValueError


early()
nest = [[7]]
table = {"a": 1}
lists = reuse_lists()
nodes = reuse_nodes()
one = in_one_line()
changed = changes_class()
fire = rescued()
try:
    raises()
except ValueError:
    pass
lst = []
lst.append(50)
lst[-1] = 60
lst.append(70)
del lst
print(len(set(lists)), len(set(nodes)), one, fire)
