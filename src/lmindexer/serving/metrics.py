"""What the service tells of itself to Prometheus."""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from lmindexer.serving.limits import MOST_QUESTIONS
from lmindexer.serving.served import Served
from lmindexer.serving.snapshot import Answer, Snapshot

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

SECONDS = (0.002, 0.005, 0.01, 0.015, 0.02, 0.025, 0.04, 0.06, 0.08, 0.12, 0.25, 0.5, 1, 2.5, 10)
SIZES = (1, 2, 4, 8, 16, 32, MOST_QUESTIONS)


class Metrics:
    """Of one service, in a registry of its own."""

    def __init__(self, runs: Sequence[Served]) -> None:
        self._registry = CollectorRegistry()
        name, registry = "lmindexer_{}".format, self._registry
        self._seconds = Histogram(
            name("request_seconds"), "How long requests took", ["route", "status"], registry=registry, buckets=SECONDS
        )
        self.batch = Histogram(
            name("batch_size"), "Questions that were answered in one call", registry=registry, buckets=SIZES
        )
        self._answers = Counter(name("answers"), "Questions answered", ["run"], registry=registry)
        self._empty = Counter(
            name("empty_answers"), "Questions for which nothing was found", ["run"], registry=registry
        )
        self._hits = Counter(name("hits"), "Documents in answers", ["run"], registry=registry)
        self._new = Counter(
            name("new_hits"), "Documents in answers that came after the run was taught", ["run"], registry=registry
        )
        self.failed = Counter(name("failed_reloads"), "Changes of a run that could not be read", registry=registry)
        documents = Gauge(name("documents"), "Documents of the snapshot that is served", ["run"], registry=registry)
        number = Gauge(name("snapshot"), "Number of the snapshot that is served", ["run"], registry=registry)
        for served in runs:
            documents.labels(served.name).set_function(lambda s=served: len(s.snapshot.corpus))  # type: ignore[misc]
            number.labels(served.name).set_function(lambda s=served: s.snapshot.number)  # type: ignore[misc]
            for counter in (self._answers, self._empty, self._hits, self._new):
                counter.labels(served.name)  # so that it is 0 from the start

    def answered(self, snapshot: Snapshot, answers: Sequence[Answer]) -> None:
        """Count what was found."""
        self._answers.labels(snapshot.name).inc(len(answers))
        self._empty.labels(snapshot.name).inc(sum(not answer.hits for answer in answers))
        self._hits.labels(snapshot.name).inc(sum(len(answer.hits) for answer in answers))
        new = sum(hit.doc_id in snapshot.new for answer in answers for hit in answer.hits)
        self._new.labels(snapshot.name).inc(new)

    def text(self) -> bytes:
        """All of it, as Prometheus reads it."""
        return generate_latest(self._registry)

    def timed(self, app: "ASGIApp") -> "ASGIApp":
        """The application, with the time of each request counted under its route and status."""

        async def timed_app(scope: "Scope", receive: "Receive", send: "Send") -> None:
            if scope["type"] != "http":
                await app(scope, receive, send)
                return
            began, status = time.perf_counter(), 0

            async def counted(message: "Message") -> None:
                nonlocal status
                status = message.get("status", status)
                await send(message)

            try:
                await app(scope, receive, counted)
            finally:
                route = getattr(scope.get("route"), "path", "other")
                self._seconds.labels(route, str(status)).observe(time.perf_counter() - began)

        return timed_app
