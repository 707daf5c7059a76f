"""What one request may ask for; more is a clear answer of 4xx."""

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lmindexer.files import json_text

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

MOST_HITS = 100  # k
MOST_CHARACTERS = 4_000  # of a query, an id or a label
MOST_QUESTIONS = 64  # of a list
MOST_ITEMS = 500  # of a history
MOST_ONLY = 10_000  # ids that a search is restricted to
MOST_LABELS = 20  # to filter by
MOST_DOCUMENTS = 100  # of one request that adds
MOST_TEXT = 100_000  # characters of a document that is added


@dataclass(frozen=True)
class Limits:
    """Of all requests together, and of the body of one."""

    body: int = 2_000_000  # bytes
    body_seconds: float = 10.0  # in which it must have come
    concurrency: int = 64  # requests with a body that are answered at a time
    waiting: int = 1_024  # questions of them that wait
    writes: int = 8  # changes that wait


class BusyError(RuntimeError):
    """There is more to do than `Limits` allows to wait."""


class Refusal(Exception):  # noqa: N818 - an answer, not a fault
    """A request that is not answered: `status` is 4xx, and the message says what to change."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Guard:
    """Reads the body of a request before the application sees it, and lets only so many in at a time."""

    def __init__(self, app: "ASGIApp", limits: Limits) -> None:
        self._app, self._limits, self._inside = app, limits, 0

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD", "OPTIONS"):
            await self._app(scope, receive, send)
            return
        try:
            body = await asyncio.wait_for(self._read(scope, receive), self._limits.body_seconds)
            if self._inside >= self._limits.concurrency:
                raise Refusal(429, f"{self._inside} requests are being answered; try again in a second")
        except TimeoutError:
            await refuse(send, Refusal(408, f"the body did not come within {self._limits.body_seconds:g} seconds"))
            return
        except Refusal as refusal:
            await refuse(send, refusal)
            return
        if body is None:
            return
        self._inside += 1
        try:
            await self._app(scope, _replayed(body, receive), send)
        finally:
            self._inside -= 1

    async def _read(self, scope: "Scope", receive: "Receive") -> bytes | None:
        """The body; None where the client has gone. Raises Refusal where it is too large."""
        announced = dict(scope["headers"]).get(b"content-length", b"0")
        too_large = Refusal(413, f"the body is larger than {self._limits.body:,} bytes; send less at a time")
        if announced.isdigit() and int(announced[:18]) > self._limits.body:
            raise too_large
        body, more = bytearray(), True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            body += message.get("body", b"")
            if len(body) > self._limits.body:
                raise too_large
            more = message.get("more_body", False)
        return bytes(body)


def _replayed(body: bytes, receive: "Receive") -> "Receive":
    """The body as one message, then what comes."""
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def next_message() -> "Message":
        return messages.pop() if messages else await receive()

    return next_message


async def refuse(send: "Send", refusal: Refusal) -> None:
    """Answer with the refusal, as JSON."""
    body = json_text({"error": str(refusal)}).encode()
    headers: list[Any] = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    headers += [(b"retry-after", b"1")] if refusal.status == 429 else [(b"connection", b"close")]
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
