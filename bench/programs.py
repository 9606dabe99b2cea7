"""The programs the benchmarks run: name, kind, source. Each prints little and ends by itself."""

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
