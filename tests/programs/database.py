"""sqlite3 in memory and on disk."""
import os
import sqlite3
import tempfile

with tempfile.TemporaryDirectory() as where:
    path = os.path.join(where, "books.db")
    db = sqlite3.connect(path)
    db.execute("create table book (id integer primary key, title text, year integer)")
    with db:
        db.executemany("insert into book (title, year) values (?, ?)", [("Book %d" % i, 1900 + i % 90) for i in range(200)])
    try:
        with db:
            db.execute("insert into book values (1, 'again', 0)")
    except sqlite3.IntegrityError as error:
        print(error)
    print(db.execute("select count(*), min(year), max(year) from book").fetchone())
    db.execute("pragma journal_mode = wal")
    with db:
        db.execute("update book set year = year + 1 where id % 2 = 0")
    print(db.execute("select year, count(*) from book group by year order by 2 desc, 1 limit 3").fetchall())
    db.close()
    print(sorted(os.listdir(where)))
memory = sqlite3.connect(":memory:")
memory.create_function("twice", 1, lambda x: x * 2)
print(memory.execute("select twice(21), random() != random()").fetchone())
