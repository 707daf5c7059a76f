"""How much cosines and words count beside the IDs that a model was taught to give: picked on dev, kept in the run."""

from collections.abc import Sequence

from lmindexer.errors import InputError
from lmindexer.methods.generative.retriever import GenerativeRetriever
from lmindexer.methods.rescored.candidates import DENSE, IDS, PARTS, WORDS, Candidates, Sum
from lmindexer.methods.rescored.retriever import DEPTH, RescoredRetriever, scorers_of
from lmindexer.methods.taught import RESCORED
from lmindexer.methods.teachable import Teachable
from lmindexer.methods.weights import Scored, keep, pick
from lmindexer.progress import Progress
from lmindexer.questions.questions import Question
from lmindexer.questions.search_task import SearchTask
from lmindexer.runs import Run

METRIC = "ndcg@10"
QUESTIONS = 500  # of dev at most, so that it takes about as long as a few looks at dev
LEASTS = (0.0, 1e-4, 1e-2)  # of `Sum`


class Raised:
    """What was said of dev questions, with `least` added to every P: the weights are tried on it again and again."""

    def __init__(self, retriever: RescoredRetriever, found: list[Candidates], least: float) -> None:
        self.parts: tuple[str, ...] = tuple(part for part in PARTS if part == IDS or part in retriever.scorers)
        self.doc_ids = retriever.doc_ids
        places = [PARTS.index(part) for part in self.parts]
        self._found = [Scored(one.rows, one.raised(least).scores[places]) for one in found]

    def scored(self, questions: Sequence[Question], kind: str, k: int) -> list[Scored]:
        """As `weights.Summing.scored`."""
        return self._found


def pick_rescoring(run: Run, model: Teachable, task: SearchTask, progress: Progress) -> None:
    """Pick the weights of a model that was taught to search, and keep them in its run.

    They answer where no method is named if dev says that they are better than IDs alone. Pseudo-queries that fill up
    dev are left out, as they have the words of their documents.
    """
    progress.doing("asking dev by IDs, cosines and words")
    questions = task.real_dev_questions.sample(QUESTIONS, model.config.seed)
    generated = model.retriever(beams=DEPTH)
    assert isinstance(generated, GenerativeRetriever)
    scorers = scorers_of(run, generated, (DENSE,))
    try:
        scorers |= scorers_of(run, generated, (WORDS,))
    except InputError as error:
        progress.note(f"words do not count beside IDs: {error}")
    retriever = RescoredRetriever(generated, scorers, Sum())
    found = retriever.scored(questions.asked, task.kind, 10)
    tried = {least: pick(Raised(retriever, found, least), questions, METRIC) for least in LEASTS}
    least, best = max(tried.items(), key=lambda one: one[1].value)  # of equal ones the first
    alone = tried[0.0].alone[IDS]
    better = best.value > alone
    weights = dict.fromkeys(PARTS, 0.0) | best.by_part
    keep(run, RESCORED, best.to_dict() | {"weights": weights, "least": least, "better": better})
    weighted = Sum.of(weights, least)
    verdict = "which answer by default" if better else "IDs alone answer by default"
    progress.say(f"{weighted.formula}: {METRIC} {best.value:.3f} on dev, IDs alone {alone:.3f}; {verdict}")
