"""What requests and answers look like; OpenAPI describes them from here."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from lmindexer.serving.limits import (
    MOST_CHARACTERS,
    MOST_DOCUMENTS,
    MOST_HITS,
    MOST_ITEMS,
    MOST_LABELS,
    MOST_ONLY,
    MOST_QUESTIONS,
    MOST_TEXT,
)

Text = Annotated[str, Field(min_length=1, max_length=MOST_CHARACTERS)]
History = Annotated[list[Text], Field(min_length=1, max_length=MOST_ITEMS)]


class Filters(BaseModel):
    """Only documents with one of these labels are found."""

    model_config = ConfigDict(extra="forbid")
    label: Annotated[list[Text], Field(max_length=MOST_LABELS)] = Field(default=[], examples=[["Makeup > Nails"]])


class Asking(BaseModel):
    """What every question has."""

    model_config = ConfigDict(extra="forbid")
    k: int = Field(10, ge=1, le=MOST_HITS, description="How many documents to find.")
    run: str = Field("", max_length=MOST_CHARACTERS, description="Which run answers; by default the first that can.")
    only: Annotated[list[Text], Field(max_length=MOST_ONLY)] | None = Field(None, description="Ids to search among.")
    filters: Filters = Filters()
    explain: bool = Field(False, description="Say of each hit what its score is the sum of.")


class Search(Asking):
    """One query or a list of them."""

    query: Text | None = Field(None, examples=["gentle shampoo"])
    queries: Annotated[list[Text], Field(min_length=1, max_length=MOST_QUESTIONS)] | None = None


class Recommend(Asking):
    """One history or a list of them: ids of what a user took, oldest first."""

    history: History | None = None
    histories: Annotated[list[History], Field(min_length=1, max_length=MOST_QUESTIONS)] | None = None
    repeats: bool = Field(False, description="Find also what is in the history.")


class Explain(BaseModel):
    """Why is a document found, or not?"""

    model_config = ConfigDict(extra="forbid")
    id: Text
    query: Text | None = None
    history: History | None = None
    k: int = Field(10, ge=1, le=MOST_HITS)
    run: str = Field("", max_length=MOST_CHARACTERS)


class NewDocument(BaseModel):
    """A document to add."""

    model_config = ConfigDict(extra="forbid")
    id: Text
    text: str = Field(max_length=MOST_TEXT)
    label: Annotated[list[Text], Field(max_length=MOST_LABELS)] = []


class NewDocuments(BaseModel):
    """Documents to add to a run."""

    model_config = ConfigDict(extra="forbid")
    documents: Annotated[list[NewDocument], Field(min_length=1, max_length=MOST_DOCUMENTS)]
    run: str = Field("", max_length=MOST_CHARACTERS)


class Code(BaseModel):
    """A position of an ID: its code, and the words that tell what is below it from what is beside it."""

    code: int
    words: list[str]


class Found(BaseModel):
    """A document, and its place in an answer."""

    rank: int
    id: str
    score: float
    text: str
    label: list[str]
    path: list[Code]
    new: bool
    parts: dict[str, float] | None = None


class HitList(BaseModel):
    """What was found for one question."""

    hits: list[Found]


class Answers(BaseModel):
    """In the order of the questions, all by one snapshot of one run."""

    run: str
    snapshot: int
    version: str
    method: str
    answers: list[HitList]


class Brief(BaseModel):
    """A document among others."""

    id: str
    text: str
    path: list[Code]


class Whole(Brief):
    """A document, and others under the same code."""

    label: list[str]
    new: bool
    neighbours: list[Brief]


class Branch(BaseModel):
    """A code below a path: how many documents it has, and their words."""

    code: int
    documents: int
    words: list[str]


class Node(BaseModel):
    """What is below a path; of a large node some documents."""

    path: list[int]
    documents: int
    words: list[str]
    children: list[Branch]
    examples: list[Brief]


class PathStep(BaseModel):
    """A position of a document's path in the search by beams; log P in nats."""

    code: int
    words: list[str]
    log_p: float | None
    score: float | None
    rank: int | None
    lowest_kept: float | None
    kept: bool


class Explanation(BaseModel):
    """Why a document was found or not."""

    id: str
    run: str
    rank: int | None = Field(description="Its place in the answer; null where it is not among the first 100.")
    score: float | None
    path: list[PathStep]
    fell_off: int | None = Field(description="Position, from 1, at which the path is first not kept.")
    parts: dict[str, float]
    bm25: dict[str, Any]
    dense: dict[str, Any]
