"""The service under a bounded load: latency of one client, searches a second of several, memory while documents change.

python -m bench.serve RUN [--seconds 20] [--clients 16] [--k 10] [--serve "--method hybrid"]

A copy of RUN is served by a process of its own on the loopback address. Queries are four words that stand together in
a document drawn at random. In the last part one more client adds and removes documents as fast as they are served.
CPU time is that of the service: on a machine that others use, too, it says more than the clock.
"""

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import numpy as np

from lmindexer.indexers.store import load_documents
from lmindexer.runs import Run
from lmindexer.tables import table

TOKEN = "a-token-of-the-bench"
WORDS = 4  # of a query
QUERIES = 2_000


@dataclass
class Load:
    """What clients saw."""

    seconds: list[float] = field(default_factory=list)  # of each answer
    errors: list[str] = field(default_factory=list)


def main() -> None:
    """Print a table of the three parts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    for name, number in (("seconds", 20), ("clients", 16), ("k", 10), ("seed", 0)):
        parser.add_argument(f"--{name}", type=int, default=number, help=f"default: {number}")
    parser.add_argument("--serve", default="", help="more options of lmindexer serve")
    a = parser.parse_args()
    queries = queries_of(a.run, a.seed)
    rows = []
    with tempfile.TemporaryDirectory() as folder, served(a.run, Path(folder), a.serve.split()) as (process, port):
        ask(port, "/search", {"queries": queries[:16]})
        for name, clients, changes in (("one client", 1, False), (f"{a.clients} clients", a.clients, False),
                                       (f"{a.clients} clients, documents change", a.clients, True)):  # fmt: skip
            before, spent = memory(process.pid), cpu_seconds(process.pid)
            load, made = loaded(port, queries, clients, a.seconds, a.k, changes)
            spent = cpu_seconds(process.pid) - spent
            rows.append(row_of(name, load, a.seconds, spent, made, before, memory(process.pid)))
    head = ("load", "searches/s", "p50 ms", "p99 ms", "CPU ms a search", "errors", "changes", "MB before", "MB after")
    print("\n".join(table(head, rows, texts=(0,))))


def queries_of(run: Path, seed: int) -> list[str]:
    """Words that stand together in documents drawn at random."""
    dice = random.Random(seed)
    corpus = load_documents(Run.open(run))
    queries = []
    for text in corpus.texts(dice.choices(range(len(corpus)), k=QUERIES)):
        words = text.split() or ["-"]
        at = dice.randrange(max(len(words) - WORDS, 0) + 1)
        queries.append(" ".join(words[at : at + WORDS])[:200])
    return queries


@contextmanager
def served(run: Path, folder: Path, options: list[str]) -> Iterator[tuple[subprocess.Popen, int]]:
    """A copy of the run, served: the process and its port."""
    copy, token = Path(shutil.copytree(run, folder / run.resolve().name)), folder / "token"
    token.write_text(TOKEN)
    command = [sys.executable, "-m", "lmindexer", "serve", copy, "--port", "0", "--token-file", token, *options]
    with subprocess.Popen([*map(str, command)], stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            print(line.rstrip(), file=sys.stderr)
            if line.startswith("http://"):
                break
        else:
            sys.exit("the service did not start")
        threading.Thread(target=process.stderr.read, daemon=True).start()
        try:
            yield process, int(line.split(":")[2].split("/")[0])
        finally:
            process.terminate()


def loaded(port: int, queries: list[str], clients: int, seconds: float, k: int, changes: bool) -> tuple[Load, int]:
    """What so many clients see in this time, each asking again as soon as it has its answer; and changes made."""
    load, ends, made = Load(), time.monotonic() + seconds, [0]

    def search(client: int) -> None:
        connection = HTTPConnection("127.0.0.1", port)
        for n in range(client, 10**9, clients):
            if time.monotonic() > ends:
                break
            began = time.perf_counter()
            status, answer = ask_over(connection, "POST", "/search", {"query": queries[n % len(queries)], "k": k})
            load.seconds.append(time.perf_counter() - began)
            if status != 200:
                load.errors.append(answer)

    def change() -> None:
        connection = HTTPConnection("127.0.0.1", port)
        while time.monotonic() < ends:
            new = {"documents": [{"id": f"bench/{made[0]}", "text": queries[made[0]]}]}
            for method, path, body in (("POST", "/documents", new), ("DELETE", f"/documents/bench/{made[0]}", None)):
                status, answer = ask_over(connection, method, path, body)
                if status != 200:
                    load.errors.append(answer)
            made[0] += 1

    threads = [threading.Thread(target=search, args=(client,)) for client in range(clients)]
    threads += [threading.Thread(target=change)] if changes else []
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return load, 2 * made[0]


def ask(port: int, path: str, body: Any) -> None:
    """Ask once, and wait for the answer."""
    ask_over(HTTPConnection("127.0.0.1", port), "POST", path, body)


def ask_over(connection: HTTPConnection, method: str, path: str, body: Any) -> tuple[int, str]:
    """Status and text of an answer; the connection stays open."""
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {TOKEN}"}
    connection.request(method, path, None if body is None else json.dumps(body), headers)
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


def memory(pid: int) -> float:
    """MB of memory that a process holds."""
    (line,) = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS")]
    return int(line.split()[1]) / 1000


def cpu_seconds(pid: int) -> float:
    """What a process has computed so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def row_of(
    name: str, load: Load, seconds: float, spent: float, made: int, before: float, after: float
) -> tuple[str, ...]:
    """A row of the table; of errors the first is printed."""
    for error in load.errors[:1]:
        print(f"an error: {error}", file=sys.stderr)
    p50, p99 = (1000 * np.quantile(load.seconds, q) for q in (0.5, 0.99))
    rate = f"{len(load.seconds) / seconds:.1f}"
    cpu = f"{1000 * spent / len(load.seconds):.0f}"
    counts = str(len(load.errors)), str(made), f"{before:.0f}", f"{after:.0f}"
    return name, rate, f"{p50:.0f}", f"{p99:.0f}", cpu, *counts


if __name__ == "__main__":
    main()
