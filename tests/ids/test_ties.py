"""Equal scores are broken by a hash of the id: the same in every process, and wherever a document stands."""

import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st

from lmindexer.ids.ties import tie_key, tie_ranks


def test_keys_never_change():
    """Lists that were kept and lists that are made tomorrow break ties alike."""
    assert tie_key("doc1").hex() == "c2703604f6563363"
    assert tie_key("caf\u00e9").hex() == "904ff41a3d83688b"


@given(st.lists(st.text(), unique=True), st.randoms())
def test_ranks_are_the_places_in_the_order_of_keys(doc_ids: list[str], dice: object):
    ranks = tie_ranks(doc_ids)
    assert [doc_ids[row] for row in ranks.argsort()] == sorted(doc_ids, key=tie_key)
    other = sorted(doc_ids)
    assert dict(zip(other, tie_ranks(other), strict=True)) == dict(zip(doc_ids, ranks, strict=True))


def test_another_process_says_the_same():
    asked = "from lmindexer.ids.ties import tie_ranks; print(tie_ranks([f'doc{n}' for n in range(20)]).tolist())"
    told = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True).stdout
    ranks = tie_ranks([f"doc{n}" for n in range(20)]).tolist()
    assert told.strip() == str(ranks)
    assert sorted(ranks) == list(range(20)) != ranks
