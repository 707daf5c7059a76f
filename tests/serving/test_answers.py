"""What the service answers is what the retriever answers, whatever asks."""

from pathlib import Path

import numpy as np
import pytest
from loopback import Client, serving

from lmindexer.corpus.documents import Corpus
from lmindexer.indexers.store import load_ids
from lmindexer.methods.registry import load_retriever
from lmindexer.runs import Run
from lmindexer.serving.app import create_app
from lmindexer.serving.served import Served

QUERIES = ["a rose in old soil", "drum", "mast and tide"]


def found(client: Client, route: str, **asking: object) -> list[list[tuple[str, float]]]:
    answer = client.post(route, asking)
    return [[(hit["id"], pytest.approx(hit["score"])) for hit in one["hits"]] for one in answer["answers"]]


def test_a_search_finds_what_the_retriever_finds(client: Client, learned: Path, documents: Corpus):
    hits = load_retriever(learned).search(QUERIES, 7)
    assert found(client, "/search", queries=QUERIES, k=7) == [[(hit.doc_id, hit.score) for hit in one] for one in hits]
    (answer,) = client.post("/search", {"query": "drum", "k": 3})["answers"]
    ids = load_ids(Run.open(learned))
    for rank, hit in enumerate(answer["hits"], 1):
        assert hit["rank"] == rank
        assert hit["text"] == documents[documents.row_of[hit["id"]]].text
        assert [step["code"] for step in hit["path"]] == list(ids[hit["id"]])
        assert hit["new"] is False
        assert hit["parts"] is None


def test_a_recommendation_leaves_out_the_history_unless_it_may_repeat(client: Client, documents: Corpus):
    history = ["doc1", "doc2"]
    (answer,) = found(client, "/recommend", history=history, k=100)
    assert {doc_id for doc_id, _ in answer} == set(documents.doc_ids) - set(history)
    (answer,) = found(client, "/recommend", history=history, k=100, repeats=True)
    assert {doc_id for doc_id, _ in answer} == set(documents.doc_ids)
    both = found(client, "/recommend", histories=[history, ["doc3"]], k=5)
    assert [len(one) for one in both] == [5, 5]
    assert both[0] == found(client, "/recommend", history=history, k=5)[0]


def test_a_search_is_restricted_by_ids_and_labels(client: Client, learned: Path, documents: Corpus):
    garden = {doc.id for doc in documents if doc.label[:1] == ("garden",)}
    (answer,) = found(client, "/search", query="drum", k=100, filters={"label": ["garden"]})
    assert {doc_id for doc_id, _ in answer} == garden
    (answer,) = found(
        client, "/search", query="drum", k=100, filters={"label": ["garden > garden1", "music"]}, only=[*garden]
    )
    assert {doc_id for doc_id, _ in answer} == {doc.id for doc in documents if doc.label == ("garden", "garden1")}
    (hits,) = load_retriever(learned).search(["drum"], 3, only=["doc5", "doc6"])
    assert found(client, "/search", query="drum", only=["doc5", "doc6"]) == [[(hit.doc_id, hit.score) for hit in hits]]


def test_a_document_comes_with_others_under_its_code(client: Client, learned: Path, documents: Corpus):
    ids = load_ids(Run.open(learned))
    for doc in documents:
        path = doc.id.replace("%", "%25").replace("?", "%3F").replace("#", "%23").replace("Ünï", "%C3%9Cn%C3%AF")
        shown = client.get(f"/documents/{path}")
        assert (shown["id"], shown["text"], tuple(shown["label"])) == (doc.id, doc.text, doc.label)
        assert shown["neighbours"]
        for other in shown["neighbours"]:
            assert other["id"] != doc.id
            assert ids[other["id"]][0] == ids[doc.id][0]


def test_the_tree_counts_what_is_below_each_path(client: Client, learned: Path):
    ids = load_ids(Run.open(learned))
    root = client.get("/tree")
    assert root["documents"] == len(ids)
    sizes = {child["code"]: child["documents"] for child in root["children"]}
    assert sizes == dict(zip(*(x.tolist() for x in np.unique(ids.codes[:, 0], return_counts=True)), strict=True))
    largest = root["children"][0]
    below = client.get(f"/tree?path={largest['code']}")
    assert below["documents"] == largest["documents"] == max(sizes.values())
    assert sum(child["documents"] for child in below["children"]) == below["documents"]
    assert below["words"] == largest["words"] != []


def test_the_parts_of_a_score_add_up_to_it(client: Client, learned: Path):
    for hit in client.post("/search", {"query": QUERIES[0], "explain": True})["answers"][0]["hits"]:
        assert [*hit["parts"]] == ["c1", "c2"]
        assert sum(hit["parts"].values()) == pytest.approx(hit["score"], abs=1e-4)
    assert client.post("/explain", {"query": QUERIES[0], "id": hit["id"]})["parts"] == pytest.approx(hit["parts"])
    with serving(Served("words", learned, "bm25"), Served("both", learned, "hybrid")) as others:
        for name in ("words", "both"):
            asking = {"query": QUERIES[0], "explain": True, "run": name, "filters": {"label": ["garden"]}}
            hits = others.post("/search", asking)["answers"][0]["hits"]
            assert len(hits) > 3
            for hit in hits:
                assert sum(hit["parts"].values()) == pytest.approx(hit["score"], abs=1e-4)
        assert {name for hit in hits for name in hit["parts"]} == {"bm25", "generative"}


def test_why_a_document_is_found_or_not(client: Client, learned: Path, documents: Corpus):
    """A document that one beam leads to is kept to the end; another falls off where its path leaves that one's."""
    with serving(Served("narrow", learned, how={"beams": 1})) as narrow:
        (answer,) = narrow.post("/search", {"query": QUERIES[0], "k": 1})["answers"]
        ids = load_ids(Run.open(learned))
        best = answer["hits"][0]["id"]
        for doc_id in {best, *documents.doc_ids[::5]}:
            why = narrow.post("/explain", {"query": QUERIES[0], "id": doc_id, "k": 1})
            shared = [a == b for a, b in zip(ids[doc_id][:2], ids[best][:2], strict=True)]
            assert why["fell_off"] == (None if all(shared) else shared.index(False) + 1)
            assert [step["kept"] for step in why["path"]] == [all(shared[: t + 1]) for t in range(2)]
            steps = why["path"]
            assert steps[-1]["score"] == pytest.approx(sum(step["log_p"] for step in steps), abs=1e-4)
            assert why["score"] is None or why["score"] <= steps[-1]["score"] + 1e-4
            assert (steps[0]["rank"] == 1) == shared[0]
    why = client.post("/explain", {"query": "rose rose", "id": "a/b?c#d%2e"})
    assert why["bm25"]["words"].keys() == {"rose"}
    assert why["bm25"]["words"]["rose"] == pytest.approx(why["bm25"]["score"])
    assert 0 < why["dense"]["cosine"] < 1
    assert "note" in client.post("/explain", {"history": ["doc1"], "id": "doc2"})["bm25"]


def test_metrics_count_answers(learned: Path):
    with serving(Served("words", learned, "bm25")) as client:
        client.post("/search", {"queries": ["rose", "xylophone", "rose"], "k": 2})
        lines = client.get("/metrics").splitlines()
    assert 'lmindexer_answers_total{run="words"} 3.0' in lines
    assert 'lmindexer_empty_answers_total{run="words"} 1.0' in lines
    assert 'lmindexer_hits_total{run="words"} 4.0' in lines
    assert 'lmindexer_new_hits_total{run="words"} 0.0' in lines
    assert "lmindexer_batch_size_sum 3.0" in lines
    assert 'lmindexer_request_seconds_count{route="/search",status="200"} 1.0' in lines
    assert 'lmindexer_documents{run="words"} 82.0' in lines


def test_the_routes_are_described(learned: Path):
    described = create_app([Served("ids", learned)]).openapi()["paths"]
    assert {
        "/search",
        "/recommend",
        "/explain",
        "/documents/{doc_id}",
        "/tree",
        "/metrics",
        "/ready",
    } <= described.keys()
    assert described["/search"]["post"]["responses"]["200"]["content"]["application/json"]["schema"]
