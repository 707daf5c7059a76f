"""What the service refuses, and how it changes while it answers."""

import gc
import re
import shutil
import socket
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from loopback import Client, serving

from command_line import lmindexer
from lmindexer.corpus.documents import Corpus, Document
from lmindexer.indexers.changes import add_documents
from lmindexer.indexers.store import load_documents
from lmindexer.methods.retriever import Hit, Retriever
from lmindexer.runs import Run
from lmindexer.runs.versions import publish, rollback
from lmindexer.serving.limits import Limits
from lmindexer.serving.served import Served

TOKEN = "0123456789abcdef"
ALLOWED = {"Authorization": f"Bearer {TOKEN}"}
NEW = {"documents": [{"id": "new/one", "text": "rose rose rose", "label": ["garden"]}]}


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "sentence"),
    [
        ("POST", "/search", {}, 422, "give either query or queries"),
        ("POST", "/search", {"query": "a", "queries": ["a"]}, 422, "give either query or queries"),
        ("POST", "/search", {"query": "a", "k": 101}, 422, "k: .*100"),
        ("POST", "/search", {"query": "a", "k": 0}, 422, "k: .*1"),
        ("POST", "/search", {"query": "a" * 4001}, 422, "query: .*4000"),
        ("POST", "/search", {"queries": ["a"] * 65}, 422, "queries: .*64"),
        ("POST", "/search", {"query": "   "}, 422, "query 1 is empty"),
        ("POST", "/search", b'{"query": "\\ud800"}', 422, "query: "),
        ("POST", "/search", {"query": "a", "colour": "red"}, 422, "colour: "),
        ("POST", "/search", {"query": "a", "run": "other"}, 422, "there is no run 'other'; choose one of ids, any"),
        ("POST", "/search", {"query": "a", "only": []}, 422, "restricted to no document"),
        ("POST", "/search", {"query": "a", "only": ["x"]}, 422, "'x' is none of the 82 documents"),
        ("POST", "/search", {"query": "a", "filters": {"label": ["x"]}}, 422, "no document has the label 'x'"),
        ("POST", "/search", b"{", 422, "the body|JSON"),
        ("POST", "/search", b"\xff", 400, "body"),
        ("POST", "/search", b"[" * 100_000, 400, "body"),
        ("POST", "/recommend", {"history": ["doc1"], "run": "ids"}, 422, "ids does not answer histories"),
        ("POST", "/recommend", {"history": ["x"]}, 422, "'x' of a history is none of the documents"),
        ("POST", "/recommend", {"history": []}, 422, "history: "),
        ("POST", "/explain", {"query": "a", "id": "x"}, 404, "there is no document 'x'"),
        ("GET", "/documents/..%2f..%2fetc%2fpasswd", None, 404, "there is no document '../../etc/passwd'"),
        ("GET", "/tree?path=99", None, 422, "no document has an ID that begins with '99'"),
        ("GET", "/tree?path=1.x", None, 422, "'1.x' is no path"),
        ("GET", "/tree?path=99999999999999999999", None, 422, "is no path"),
        ("GET", "/no/such/route", None, 404, "Not Found"),
        ("DELETE", "/search", None, 405, "Method Not Allowed"),
        ("POST", "/documents", NEW, 403, "this service changes no documents"),
        ("DELETE", "/documents/doc1", None, 403, "this service changes no documents"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told(client: Client, method: str, path: str, body: Any, status: int, sentence: str):
    answered, answer = client.ask(method, path, body)
    assert answered == status, answer
    assert answer.keys() == {"error"}
    assert re.search(sentence, answer["error"]), answer


def test_no_other_site_may_read_it(client: Client):
    client.ask("GET", "/runs", Origin="https://example.org")
    assert not [name for name in client.headers if name.lower().startswith("access-control")]


def test_a_body_may_not_be_large_nor_slow(learned: Path):
    limits = Limits(body=1000, body_seconds=0.05)
    with serving(Served("any", learned, "random"), limits=limits) as client:
        assert client.ask("POST", "/search", {"query": "a" * 1000}) == (
            413, {"error": "the body is larger than 1,000 bytes; send less at a time"},
        )  # fmt: skip
        chunks = b"".join(b"a\r\n%b\r\n" % (b"x" * 10) for _ in range(200)) + b"0\r\n\r\n"
        head = b"POST /search HTTP/1.1\r\nHost: x\r\n"
        assert b" 413 " in raw(client, head + b"Transfer-Encoding: chunked\r\n\r\n" + chunks)
        assert b" 408 " in raw(client, head + b"Content-Length: 10\r\n\r\n{")


def raw(client: Client, request: bytes) -> bytes:
    """The first line of the answer to these bytes."""
    with socket.create_connection(("127.0.0.1", client.port)) as connection:
        connection.sendall(request)
        return connection.makefile("rb").readline()


class Held(Retriever):
    """Answers when it may."""

    name, reads, settings = "held", ("text",), {}

    def __init__(self, corpus: Corpus) -> None:
        self.doc_ids, self.begun, self.goes_on = corpus.doc_ids, threading.Event(), threading.Event()

    def _answer(self, questions: list[Any], kind: str, k: int, rows: np.ndarray | None) -> list[list[Hit]]:
        self.begun.set()
        self.goes_on.wait()
        return [[Hit(self.doc_ids[0], 1.0)] for _ in questions]


@contextmanager
def asking(client: Client, held: Held, answers: list[tuple[int, Any]]) -> Iterator[None]:
    """Somebody else asks meanwhile, and gets the answer in the end."""
    thread = threading.Thread(target=lambda: answers.append(client.ask("POST", "/search", {"query": "a"})))
    thread.start()
    try:
        held.begun.wait()
        yield
    finally:
        held.goes_on.set()
        thread.join()


def test_only_so_many_are_answered_at_a_time(learned: Path, documents: Corpus):
    served = Served("held", learned)
    held = Held(documents)
    served.snapshot = replace(served.snapshot, retriever=held)
    answers: list[tuple[int, Any]] = []
    with serving(served, limits=Limits(concurrency=1)) as client, asking(client, held, answers):
        status, answer = client.ask("POST", "/search", {"query": "b"})
        assert (status, answer) == (429, {"error": "1 requests are being answered; try again in a second"})
        assert client.headers["retry-after"] == "1"
        assert client.get("/health") == {"status": "ok"}
        assert client.get("/tree")["documents"] == 82
    assert answers[0][0] == 200


def test_a_search_under_way_keeps_its_snapshot(run: Path):
    served = Served("held", run)
    held = Held(served.snapshot.corpus)
    served.snapshot = replace(served.snapshot, retriever=held)
    answers: list[tuple[int, Any]] = []
    with serving(served, token=TOKEN) as client, asking(client, held, answers):
        assert client.post("/documents", NEW, **ALLOWED)["snapshot"] == 2
        held.goes_on.set()
        assert client.post("/search", {"query": "a"})["snapshot"] == 2
    assert answers[0][1]["snapshot"] == 1


def test_documents_come_and_go_behind_a_token(run: Path):
    with serving(Served("ids", run), token=TOKEN) as client:
        for wrong in ({}, {"Authorization": "Bearer x"}, {"Authorization": ALLOWED["Authorization"][:-1]},
                      {"Authorization": ALLOWED["Authorization"].replace("Bearer", "Basic")}):  # fmt: skip
            assert client.ask("POST", "/documents", NEW, **wrong)[0] == 401
            assert client.ask("DELETE", "/documents/doc1", **wrong)[0] == 401
        assert client.get("/runs")[0]["snapshot"] == 1
        assert client.post("/documents", NEW, **ALLOWED) == {"added": ["new/one"], "known": 0, "snapshot": 2}
        (answer,) = client.post("/search", {"query": "rose", "k": 100})["answers"]
        assert [hit["new"] for hit in answer["hits"] if hit["id"] == "new/one"] == [True]
        assert sum(hit["new"] for hit in answer["hits"]) == 1
        assert client.get("/documents/new/one")["label"] == ["garden"]
        other = {"documents": [NEW["documents"][0] | {"text": "another"}]}
        status, answer = client.ask("POST", "/documents", other, **ALLOWED)
        assert (status, "is in" in answer["error"]) == (422, True)
        assert client.ask("DELETE", "/documents/new/one", **ALLOWED)[1]["snapshot"] == 3
        assert client.ask("GET", "/documents/new/one")[0] == 404
    assert "new/one" not in load_documents(Run.open(run)).row_of


def test_what_another_process_adds_is_served(run: Path):
    with serving(Served("ids", run)) as client:
        add_documents(run, Corpus.from_documents([Document("late", "a late storm")]))
        while client.get("/runs")[0]["documents"] == 82:
            pass
        assert client.get("/documents/late")["new"] is True


def test_what_cannot_be_read_again_leaves_what_is_served(run: Path):
    with serving(Served("ids", run)) as client:
        whole = shutil.copyfile(run / "run.json", run.parent / "whole.json")
        (run / "run.json").write_text("{")
        while "lmindexer_failed_reloads_total 0.0" in client.get("/metrics"):
            pass
        assert client.post("/search", {"query": "rose"})["snapshot"] == 1
        shutil.move(whole, run / "run.json")
        while client.get("/runs")[0]["snapshot"] == 1:
            pass
        assert client.get("/runs")[0]["documents"] == 82


@pytest.mark.parametrize(
    ("token", "sentence"),
    [(b"short", "must have at least 16 ASCII characters"), (b"\xff" * 20, "is not UTF-8"), ("Ü" * 20, "ASCII")],
)
def test_a_token_that_could_be_guessed_is_refused(learned: Path, tmp_path: Path, token: bytes | str, sentence: str):
    (tmp_path / "token").write_bytes(token.encode() if isinstance(token, str) else token)
    answer = lmindexer("serve", learned, "--token-file", tmp_path / "token")
    assert (answer.code, sentence in answer.err) == (2, True), answer


def test_a_port_that_is_taken_is_told(learned: Path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        answer = lmindexer("serve", learned, "--port", port, "--method", "random")
    assert (answer.code, answer.err.splitlines()[-1]) == (
        2,
        f"lmindexer: cannot listen on 127.0.0.1, port {port} (Address already in use); choose another --host or --port",
    )


def test_a_store_is_served_and_its_next_version_taken_up(run: Path, tmp_path: Path):
    store = tmp_path / "store"
    publish(Run.open(run), store)
    with serving(Served("shop", store), token=TOKEN) as client:
        assert client.post("/search", {"query": "rose"})["version"] == "0001"
        status, answer = client.ask("POST", "/documents", NEW, **ALLOWED)
        assert (status, "is a published version, which does not change" in answer["error"]) == (422, True)
        add_documents(run, Corpus.from_documents([Document("late", "a late storm")]))
        publish(Run.open(run), store)
        while client.get("/runs")[0]["version"] == "0001":
            pass
        assert client.get("/documents/late")["new"] is True
        rollback(store)
        while client.get("/runs")[0]["version"] == "0002":
            pass
        assert client.ask("GET", "/documents/late")[0] == 404


def test_a_snapshot_that_is_no_longer_served_is_forgotten(run: Path):
    served = Served("ids", run)
    first = weakref.ref(served.snapshot)
    with serving(served, token=TOKEN) as client:
        client.post("/search", {"query": "rose"})
        client.get("/map")
        client.post("/documents", NEW, **ALLOWED)
        client.post("/search", {"query": "rose"})
        client.get("/map")
        gc.collect()
        assert first() is None
