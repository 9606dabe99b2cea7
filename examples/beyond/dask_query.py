#!/usr/bin/env python3
"""One query over one long recording, in chunks, by the workers of a Dask cluster.

    dask_query.py [--scheduler ADDRESS] [--workers N] [--chunks N] [--rdbctl PATH] TRACE -- QUERY...

TRACE is what every worker can read: a path on a shared file system, or the URL of a packed trace in an object store (`s3://bucket/run.rdb`; made by
`rdbctl pack --survey`, lest each worker looks through the whole recording first). QUERY is what `rdbctl query` takes: `--at LOC --print EXPR...`.
Without --scheduler a cluster of N processes is made here. Rows go to standard output as JSON lines, in the order of their times; a chunk that a worker
has lost is done by another.
"""
import argparse
import json
import subprocess
import sys

from dask.distributed import Client, LocalCluster


def rows(rdbctl, trace, query, begin, end):
    """A chunk: stateless, so that any worker may do it, twice if need be."""
    command = [rdbctl, "query", trace, *query, "--from", str(begin), "--to", str(end), "--format", "jsonl"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if done.returncode != 0:
        raise RuntimeError(done.stderr.decode(errors="replace").strip())
    return done.stdout


def plan(rdbctl, trace, chunks):
    """The ranges: about as long to replay each."""
    done = subprocess.run([rdbctl, "query", trace, "--plan", str(chunks)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def main():
    arguments = argparse.ArgumentParser(usage=__doc__.splitlines()[2].strip())
    arguments.add_argument("--scheduler")
    arguments.add_argument("--workers", type=int, default=2)
    arguments.add_argument("--chunks", type=int, default=8)
    arguments.add_argument("--rdbctl", default="rdbctl")
    arguments.add_argument("trace")
    arguments.add_argument("query", nargs="+")
    options = arguments.parse_args()
    cluster = options.scheduler or LocalCluster(n_workers=options.workers, threads_per_worker=1, processes=True, dashboard_address=None)
    with Client(cluster) as client:
        ranges = plan(options.rdbctl, options.trace, options.chunks)
        # Each call stands for itself: the same chunk asked for twice is two questions, of one answer.
        futures = [client.submit(rows, options.rdbctl, options.trace, options.query, r["from"], r["to"], pure=False) for r in ranges]
        for future in futures:
            sys.stdout.buffer.write(future.result())
    if not options.scheduler:
        cluster.close()


if __name__ == "__main__":
    main()
