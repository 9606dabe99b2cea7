"""json, re, hashlib, struct, zlib, csv, files."""
import csv
import hashlib
import io
import json
import os
import re
import tempfile
import zlib

data = {"names": ["alpha", "beta", "gamma"], "n": list(range(50)), "nested": {"x": [1.5, None, True]}}
text = json.dumps(data, indent=1)
assert json.loads(text) == data
words = re.findall(r"[a-z]+", text)
print(len(words), sorted(set(words)))
print(hashlib.sha256(text.encode()).hexdigest(), zlib.crc32(text.encode()))
with tempfile.TemporaryDirectory() as where:
    path = os.path.join(where, "table.csv")
    with open(path, "w", newline="") as f:
        writer = csv.writer(f)
        for i in range(30):
            writer.writerow([i, i * i, "word %d" % i])
    os.rename(path, path + ".old")
    with open(path + ".old") as f:
        rows = list(csv.reader(f))
    print(len(rows), rows[-1], os.stat(path + ".old").st_size, sorted(os.listdir(where)))
buffer = io.StringIO()
for name, count in [(w, words.count(w)) for w in sorted(set(words))]:
    print(name, count, file=buffer)
print(buffer.getvalue())
