"""The programs the benchmarks run: name, kind, source. Each prints little and ends by itself."""

import os

PROGRAMS = [
    ("pass", "start-up", "pass"),
    ("loop", "CPU", "t = 0\nfor i in range(20_000_000):\n    t += i * 2\nprint(t)"),
    ("fib", "CPU", "def fib(n):\n    return n if n < 2 else fib(n - 1) + fib(n - 2)\nprint(fib(32))"),
    (
        "objects",
        "CPU",
        "import gc\nclass P:\n    def __init__(self, x):\n        self.x = x\n        self.d = {x: [x]}\n"
        "s = 0\nfor r in range(60):\n    a = [P(i) for i in range(20_000)]\n    s += sum(p.x for p in a)\nprint(s, gc.get_count()[2])",
    ),
    (
        "json+re",
        "CPU",
        "import json, re\nd = {'k%d' % i: list(range(50)) for i in range(300)}\n"
        "n = 0\nfor i in range(200):\n    s = json.dumps(d)\n    n += len(json.loads(s))\n    n += len(re.findall(r'\\d+', s))\nprint(n)",
    ),
    ("clocks", "system calls", "import time\nfor i in range(200_000):\n    time.time()"),
    ("files", "system calls", "for i in range(5000):\n    with open('/etc/passwd') as f:\n        f.read()"),
    (
        "preads",
        "system calls",
        "import os\nf = os.open('/etc/passwd', os.O_RDONLY)\nfor i in range(100_000):\n    os.pread(f, 512, i & 255)",
    ),
    (
        "threads",
        "threads",
        "import threading, queue\nq, r = queue.Queue(100), queue.Queue()\n"
        "def work():\n    while (x := q.get()) is not None:\n        r.put(x * x)\n"
        "ts = [threading.Thread(target=work) for _ in range(8)]\nfor t in ts: t.start()\n"
        "for i in range(10_000): q.put(i)\nfor t in ts: q.put(None)\nfor t in ts: t.join()\nprint(r.qsize())",
    ),
]


C_FILES = 50

C_SOURCE = """\
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "project.h"

struct entry%(n)d { char *key; long value; struct entry%(n)d *next; };
static struct entry%(n)d *table[64];

static unsigned hash(const char *key)
{
    unsigned h = %(n)du;
    while (*key)
        h = h * 33 + (unsigned char)tolower((unsigned char)*key++);
    return h %% 64;
}

int put%(n)d(const char *key, long value)
{
    struct entry%(n)d **at = &table[hash(key)];
    while (*at && strcmp((*at)->key, key))
        at = &(*at)->next;
    if (!*at) {
        if (!(*at = calloc(1, sizeof **at)) || !((*at)->key = strdup(key)))
            return -ENOMEM;
    }
    (*at)->value = value;
    return 0;
}

long sum%(n)d(const char *text)
{
    char word[32];
    long sum = 0;
    size_t n = 0;
    for (;; text++) {
        if (isalnum((unsigned char)*text) && n + 1 < sizeof word) {
            word[n++] = *text;
            continue;
        }
        word[n] = 0;
        if (n && put%(n)d(word, (long)n * %(n)d))
            fprintf(stderr, "%%s: %%s\\n", word, strerror(ENOMEM));
        n = 0;
        if (!*text)
            break;
    }
    for (int i = 0; i < 64; i++)
        for (struct entry%(n)d *e = table[i]; e; e = e->next)
            sum += e->value;
    return sum;
}
"""


def c_project(where):
    """Writes a C project of fifty small files and a Makefile."""
    names = ["part%d" % n for n in range(C_FILES)]

    def write(name, text):
        with open(os.path.join(where, name), "w") as f:
            f.write(text)

    for n, name in enumerate(names):
        write(name + ".c", C_SOURCE % {"n": n})
    write("project.h", "".join("int put%d(const char *, long);\nlong sum%d(const char *);\n" % (n, n) for n in range(C_FILES)))
    calls = "".join("    sum += sum%d(argv[0]);\n" % n for n in range(C_FILES))
    write(
        "main.c",
        '#include <stdio.h>\n#include "project.h"\nint main(int argc, char **argv)\n{\n    long sum = argc;\n%s'
        '    printf("%%ld\\n", sum);\n    return 0;\n}\n' % calls,
    )
    objects = " ".join(name + ".o" for name in [*names, "main"])
    write("Makefile", "CFLAGS = -O1 -Wall\nprogram: %s\n\t$(CC) -o $@ $^\n%%.o: %%.c project.h\n\t$(CC) $(CFLAGS) -c -o $@ $<\n" % objects)
