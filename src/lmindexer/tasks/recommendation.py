"""Recommenders asked what users took next, and how well each answered (section 4.3)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lmindexer.errors import InputError
from lmindexer.evaluation.metrics import Metric, judge
from lmindexer.evaluation.significance import differences_to_first
from lmindexer.indexers.store import load_documents
from lmindexer.progress import Progress
from lmindexer.retrievers.hits import Hit, Recommender
from lmindexer.retrievers.popular import PopularRecommender
from lmindexer.retrievers.registry import RECOMMENDERS
from lmindexer.runs import Run
from lmindexer.tasks.evaluate import Evaluation
from lmindexer.tasks.sequences import Examples, Sequences, seen_in_training, training_counts

AT_ONCE = 256  # histories in one question, so that progress shows and deep lists need not be kept

Lists = list[list[Hit]]


@dataclass(frozen=True)
class RecommendationEvaluation:
    """What `evaluate_recommenders` found, judged three ways. A "query" of each is a user's history."""

    as_is: Evaluation
    masked: Evaluation  # the items of a user's own history dropped from the list
    unseen: Evaluation | None  # masked, and only users whose next item is in no training part; None: there are none
    repeats: int  # users whose next item is in their own history, so that no masked list can hold it
    notes: tuple[str, ...]

    def tables(self) -> dict[str, tuple[str, Evaluation]]:
        """Each of the three by its name, with what it is in words."""
        users = _users(self.as_is)
        masked = "The same lists without the items of the user's own history; later items move up."
        if self.repeats:
            masked += f" {self.repeats:,} of {users:,} users took an item again, which these lists cannot hold."
        tables = {
            "as_is": (
                f"As recommended: {users:,} users, a history each, and the one item that came next.",
                self.as_is,
            ),
            "masked": (masked, self.masked),
        }
        if self.unseen is not None:
            told = f"Items new to the recommender: the next item of {_users(self.unseen):,} of {users:,} users is in no"
            tables["unseen"] = (f"{told} training part. These users alone, without their own history.", self.unseen)
        return tables

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        told: dict[str, Any] = {
            name: {"about": about, "users": _users(table), "recommenders": table.to_dict()["retrievers"]}
            for name, (about, table) in self.tables().items()
        }
        return told | {"notes": list(self.notes)}

    def to_markdown(self) -> str:
        """The tables, each after what it is. Here a query is a user's history."""
        parts = [f"{about}\n\n{table.to_markdown()}" for about, table in self.tables().values()]
        return "\n".join(["A query here is a user's history.\n", *parts, *(f"Note: {note}.\n" for note in self.notes)])


def evaluate_recommenders(
    recommenders: Mapping[str, Recommender],
    examples: Examples,
    doc_ids: Sequence[str],
    metrics: Sequence[Metric],
    *,
    seed: int = 0,
    progress: Progress | None = None,
) -> RecommendationEvaluation:
    """Ask every recommender once for each of `examples`, and judge its lists against the one item that came next.

    A user is asked k documents and as many more as their history has, k being the deepest rank of `metrics`, so
    that k are left when those are dropped. Differences are to the first recommender, paired by user. Raises
    InputError when there is no example.
    """
    if not len(examples):
        raise InputError("no user took 3 items or more, so none can be evaluated; give longer sequences")
    k = max(metric.k for metric in metrics)
    histories = [[doc_ids[row] for row in examples.history(e).tolist()] for e in range(len(examples))]
    targets = [doc_ids[row] for row in examples.target.tolist()]
    users = [examples.sequences.users[u] for u in examples.user.tolist()]

    def judged(lists: Mapping[str, Lists], rows: Sequence[int]) -> Evaluation:
        hits = {name: [each[e] for e in rows] for name, each in lists.items()}
        return _side_by_side(hits, [users[e] for e in rows], [targets[e] for e in rows], metrics, seed)

    as_is, masked = {}, {}
    for name, recommender in recommenders.items():
        as_is[name], masked[name] = _ask(name, recommender, histories, k, progress)
    unseen = np.flatnonzero(~seen_in_training(examples.sequences, len(doc_ids))[examples.target]).tolist()
    everyone = range(len(examples))
    return RecommendationEvaluation(
        judged(as_is, everyone),
        judged(masked, everyone),
        judged(masked, unseen) if unseen else None,
        sum(target in history for target, history in zip(targets, histories, strict=True)),
        examples.sequences.notes,
    )


def check_recommenders(names: Iterable[str]) -> None:
    """Raise InputError for one that does not recommend."""
    known = [*RECOMMENDERS, "popular"]
    for name in names:
        if name not in known:
            raise InputError(f"{name} does not recommend; choose --retriever {', '.join(known)}")


def recommender_of(name: str, run: Path, sequences: Sequences, **how: Any) -> Recommender:
    """By its name, over the documents of a run; popular counts the training parts of `sequences`.

    Raises InputError as `check_recommenders`, and where the run was not taught what it takes.
    """
    check_recommenders([name])
    if name == "popular":
        doc_ids = load_documents(Run.open(run)).doc_ids
        return PopularRecommender(doc_ids, training_counts(sequences, len(doc_ids)))
    return RECOMMENDERS[name](run, **how)


def _ask(
    name: str, recommender: Recommender, histories: Sequence[Sequence[str]], k: int, progress: Progress | None
) -> tuple[Lists, Lists]:
    """The first k for every history, as they are and without its items.

    Histories with equally many items are asked together: how deep a user is asked depends on nobody else.
    """
    before = [frozenset(history) for history in histories]
    alike: dict[int, list[int]] = {}
    for e, items in enumerate(before):
        alike.setdefault(len(items), []).append(e)
    questions = [(n, all[i : i + AT_ONCE]) for n, all in sorted(alike.items()) for i in range(0, len(all), AT_ONCE)]
    as_is: Lists = [[] for _ in histories]
    masked: Lists = [[] for _ in histories]
    done = 0
    for n, some in questions:
        for e, hits in zip(some, recommender.recommend([histories[e] for e in some], k + n), strict=True):
            as_is[e] = hits[:k]
            masked[e] = [hit for hit in hits if hit.doc_id not in before[e]][:k]
        done += len(some)
        if progress is not None:
            progress.count(f"asking {name}", done, len(histories), "users")
    return as_is, masked


def _side_by_side(
    hits: dict[str, Lists], users: Sequence[str], targets: Sequence[str], metrics: Sequence[Metric], seed: int
) -> Evaluation:
    relevant = [{target: 1.0} for target in targets]
    judged = {
        name: judge(users, [[hit.doc_id for hit in each] for each in lists], relevant, metrics, seed=seed)
        for name, lists in hits.items()
    }
    return Evaluation(judged, differences_to_first(judged, [str(metric) for metric in metrics], seed=seed), hits, ())


def _users(evaluation: Evaluation) -> int:
    return len(next(iter(evaluation.judged.values())).query_ids)
