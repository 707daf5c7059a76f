"""A service on the loopback address, and a client that asks it."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from socket import create_server
from typing import Any

import pytest

from lmindexer.serving.app import create_app
from lmindexer.serving.limits import Limits
from lmindexer.serving.served import Served

uvicorn = pytest.importorskip("uvicorn", reason="needs the extra serve")


@dataclass
class Client:
    """Asks a service; an answer is a status and JSON, or text where it is none."""

    port: int

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        raw = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        connection = HTTPConnection("127.0.0.1", self.port)
        connection.request(method, path, raw, {"Content-Type": "application/json"} | headers)
        answer = connection.getresponse()
        text = answer.read().decode()
        self.headers = dict(answer.getheaders())
        connection.close()
        return answer.status, json.loads(text) if "json" in answer.headers.get("content-type", "") else text

    def get(self, path: str) -> Any:
        status, answer = self.ask("GET", path)
        assert status == 200, answer
        return answer

    def post(self, path: str, body: Any, **headers: str) -> Any:
        status, answer = self.ask("POST", path, body, **headers)
        assert status == 200, answer
        return answer


@contextmanager
def serving(*runs: Served, token: str = "", limits: Limits | None = None) -> Iterator[Client]:
    """The service of some runs in a thread."""
    app = create_app(runs, token=token, limits=limits)
    server = uvicorn.Server(uvicorn.Config(app, log_level="error"))
    with create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield Client(listening.getsockname()[1])
        finally:
            server.should_exit = True
            thread.join()
