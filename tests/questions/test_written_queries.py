"""What a model wrote is kept as it comes, and gone on with after any kill; what does not belong to it is refused."""

from pathlib import Path

import pytest

from lmindexer.config import WritingConfig
from lmindexer.corpus.documents import Corpus
from lmindexer.errors import InputError
from lmindexer.model.query_writer import QueryWriter
from lmindexer.progress import Progress
from lmindexer.questions.pseudo_queries import PseudoQuery
from lmindexer.questions.written_queries import WrittenQueries, model_queries, part_of

BATCHES = [{4: ["a", "b"], 2: ["ö"]}, {0: []}]


def kept(out: Path) -> Path:
    written = WrittenQueries.begin(out, "this", False)
    for batch in BATCHES:
        written.keep(batch)
    return part_of(out)


def test_what_was_kept_is_gone_on_with_wherever_it_was_cut(tmp_path: Path):
    """A kill may leave any part of the last line."""
    whole = kept(tmp_path / "whole.jsonl").read_bytes()
    ends = [n + 1 for n, byte in enumerate(whole) if byte == ord("\n")]
    for size in range(ends[0], len(whole) + 1):
        part = part_of(tmp_path / "cut.jsonl")
        part.write_bytes(whole[:size])
        written = WrittenQueries.begin(tmp_path / "cut.jsonl", "this", True)
        lines = sum(end <= size for end in ends) - 1
        assert written.queries == {row: texts for batch in BATCHES[:lines] for row, texts in batch.items()}
        for batch in BATCHES[lines:]:
            written.keep(batch)
        assert part.read_bytes() == whole


def test_what_does_not_belong_to_it_is_refused(tmp_path: Path):
    out = tmp_path / "out.jsonl"
    part = kept(out)
    with pytest.raises(InputError, match=r"out\.jsonl\.part has what a stopped command wrote; go on with --resume"):
        WrittenQueries.begin(out, "this", False)
    with pytest.raises(InputError, match="is of other documents, another model or other settings"):
        WrittenQueries.begin(out, "that", True)
    whole = part.read_bytes()
    part.write_bytes(whole.replace(b'"4"', b'"x"'))
    with pytest.raises(InputError, match="is damaged; delete it to start anew"):
        WrittenQueries.begin(out, "this", True)


def test_stopped_and_resumed_a_model_writes_the_same(
    corpus: Corpus, checkpoints: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Stopped in the third batch of five, and again in the first that is left; all but the device must be the same."""
    how = {"per_document": 2, "config": WritingConfig(seed=1, device="cpu"), "progress": Progress(None)}
    whole = model_queries(corpus, str(checkpoints["t5"]), **how)
    out, left = tmp_path / "out.jsonl", [2]
    generate = QueryWriter._generate

    def stop(*arguments: object) -> list[list[str]]:
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        return generate(*arguments)

    monkeypatch.setattr(QueryWriter, "_generate", stop)
    for resume in (False, True):
        with pytest.raises(KeyboardInterrupt):
            model_queries(corpus, str(checkpoints["t5"]), out=out, resume=resume, **how)
    assert len(part_of(out).read_text().splitlines()) == 1 + 2
    left[0] = 3
    resumed = model_queries(corpus, str(checkpoints["t5"]), out=out, resume=True, **how)
    assert resumed == whole
    assert isinstance(whole[0], PseudoQuery)
    for changed in ({"per_document": 3}, {"config": WritingConfig(seed=2, device="cpu")}):
        with pytest.raises(InputError, match="is of other documents, another model or other settings"):
            model_queries(corpus, str(checkpoints["t5"]), out=out, resume=True, **how | changed)
    with pytest.raises(InputError, match="is of other documents, another model or other settings"):
        model_queries(corpus, str(checkpoints["bart"]), out=out, resume=True, **how)
