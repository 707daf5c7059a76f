"""Whatever is sent, the answer is 2xx or 4xx, and an error is a sentence."""

import json
from typing import Any
from urllib.parse import quote

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st
from loopback import Client

NAMES = ["query", "queries", "history", "histories", "k", "run", "only", "filters", "label", "explain", "repeats", "id",
         "documents", "text"]  # fmt: skip
numbers = st.integers() | st.floats() | st.sampled_from([0, 1, 10, 100, 10**30])
texts = st.text(st.characters(), max_size=20) | st.sampled_from(
    ["rose", "doc1", "ids", "any", "garden", "\ud800", "\0"]
)
values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(NAMES) | texts, inner, max_size=4),
    max_leaves=8,
)
likely = st.fixed_dictionaries({}, optional={
    "query": texts, "queries": st.lists(texts, max_size=3), "history": st.lists(texts, max_size=3),
    "histories": st.lists(st.lists(texts, max_size=2), max_size=2), "k": numbers, "run": texts, "id": texts,
    "only": st.lists(texts, max_size=3), "filters": st.fixed_dictionaries({"label": st.lists(texts, max_size=2)}),
    "explain": st.booleans(), "repeats": st.booleans(),
})  # fmt: skip
bodies = (likely | values).map(lambda value: json.dumps(value).encode()) | st.binary(max_size=50)


def check(answer: tuple[int, Any]) -> None:
    status, body = answer
    assert 200 <= status < 500, answer
    if status >= 400:
        assert isinstance(body["error"], str)
        assert len(body["error"]) <= 600


@given(route=st.sampled_from(["/search", "/recommend", "/explain", "/documents"]), body=bodies)
@hypothesis.settings(max_examples=150)
def test_any_body(client: Client, route: str, body: bytes):
    check(client.ask("POST", route, body))


@given(
    method=st.sampled_from(["GET", "POST", "DELETE", "PUT", "PATCH", "OPTIONS"]),
    route=st.sampled_from(["/documents/", "/tree?path=", "/map?run=", "/runs/", "/", "/metrics?", "/ready/"]),
    rest=st.binary(max_size=30) | texts.map(lambda text: text.encode("utf-8", "surrogatepass")),
)
@hypothesis.settings(max_examples=150)
def test_any_address(client: Client, method: str, route: str, rest: bytes):
    check(client.ask(method, route + quote(rest)))


@pytest.mark.slow
@given(route=st.sampled_from(["/search", "/recommend", "/explain", "/documents"]), body=bodies)
@hypothesis.settings(max_examples=10_000)
def test_ten_thousand_bodies(client: Client, route: str, body: bytes):
    check(client.ask("POST", route, body))
