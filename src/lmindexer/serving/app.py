"""The routes: what is asked over HTTP, and what is answered."""

import asyncio
import hmac
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Header, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware

from lmindexer.corpus.documents import Document
from lmindexer.errors import InputError, excerpt
from lmindexer.questions.questions import HISTORY, TEXT
from lmindexer.serving import schemas, showing
from lmindexer.serving.limits import MOST_CHARACTERS, BusyError, Guard, Limits, Refusal
from lmindexer.serving.page import page
from lmindexer.serving.served import Served
from lmindexer.serving.service import Service
from lmindexer.serving.snapshot import Question, Snapshot

DEEPEST = 64  # codes of a path
ABOUT = 'Documents found by what they are about, and the tree of their IDs. Errors are {"error": a sentence}.'
RunName = Annotated[str, Query(max_length=MOST_CHARACTERS, description="A run of GET /runs; by default the first.")]


def create_app(runs: Sequence[Served], *, token: str = "", limits: Limits | None = None) -> FastAPI:
    """The service of these runs. Who knows the `token` may add and remove documents; without one nobody may."""
    service = Service(runs, limits or Limits())

    @asynccontextmanager
    async def running(app: FastAPI) -> AsyncIterator[None]:
        task = asyncio.create_task(service.run())
        yield
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    app = FastAPI(title="lmindexer", description=ABOUT, lifespan=running)
    _add_questions(app, service)
    _add_documents(app, service)
    _add_writing(app, service, token)
    _add_state(app, service)
    _add_refusals(app)
    app.add_middleware(GZipMiddleware, minimum_size=4096)
    app.add_middleware(Guard, limits=service.limits)
    app.add_middleware(service.metrics.timed)  # the outermost
    return app


def _add_questions(app: FastAPI, service: Service) -> None:
    async def answers(
        asking: schemas.Asking, kind: str, asked: Sequence[str | tuple[str, ...]], repeats: bool
    ) -> dict[str, Any]:
        snapshot = service.snapshot(asking.run, kind)
        if kind == HISTORY:
            for doc_id in sorted({doc_id for history in asked for doc_id in history} - snapshot.corpus.row_of.keys()):
                raise InputError(f"{excerpt(doc_id)} of a history is none of the documents; leave it out")
        only = snapshot.restricted(asking.only, asking.filters.label)
        questions = [Question(one, asking.k, repeats) for one in asked]
        found = await service.ask(snapshot, kind, questions, only, asking.explain)
        return showing.answers_of(snapshot, found, asking.explain)

    @app.post("/search", tags=["ask"])
    async def search(asking: schemas.Search) -> schemas.Answers:
        """The best documents for a query, or for each of several."""
        asked = _one_or_several(asking.query, asking.queries, "query", "queries")
        return await answers(asking, TEXT, asked, repeats=False)  # type: ignore[return-value]

    @app.post("/recommend", tags=["ask"])
    async def recommend(asking: schemas.Recommend) -> schemas.Answers:
        """The best documents for who took these, or for each of several."""
        asked = _one_or_several(asking.history, asking.histories, "history", "histories")
        return await answers(asking, HISTORY, list(map(tuple, asked)), asking.repeats)  # type: ignore[return-value]

    @app.post("/explain", tags=["ask"])
    async def explain(asking: schemas.Explain) -> schemas.Explanation:
        """Why a document is found or not: its rank, log P at each position, where its path fell off the beam."""
        (asked,) = _one_or_several(
            asking.query, None if asking.history is None else [tuple(asking.history)], "query", "history"
        )
        kind = TEXT if isinstance(asked, str) else HISTORY
        snapshot = service.snapshot(asking.run, kind)
        _row(snapshot, asking.id)
        return await service.explain(snapshot, kind, asked, asking.id, asking.k)  # type: ignore[return-value]


def _add_documents(app: FastAPI, service: Service) -> None:
    @app.get("/documents/{doc_id:path}", tags=["look"])
    async def document(doc_id: str, run: RunName = "") -> schemas.Whole:
        """A document, its ID, what each code of it means, and others under the same code."""
        snapshot = service.snapshot(run)
        return showing.whole(snapshot, _row(snapshot, doc_id))  # type: ignore[return-value]

    @app.get("/tree", tags=["look"])
    async def tree(path: Annotated[str, Query(max_length=1000)] = "", run: RunName = "") -> schemas.Node:
        """What is below a path of the ID tree, such as 17.201; without a path, below the root."""
        codes = path.split(".") if path else []
        if len(codes) > DEEPEST or not all(code.isascii() and code.isdigit() and len(code) < 10 for code in codes):
            raise InputError(f"{excerpt(path)} is no path; give codes such as 17.201")
        return showing.node(service.snapshot(run), list(map(int, codes)))  # type: ignore[return-value]

    @app.get("/map", tags=["look"], response_class=Response)
    async def whole_map(run: RunName = "") -> Response:
        """The whole ID tree, as the page draws it."""
        drawn = await service.read(service.snapshot(run).map)
        return Response(drawn, media_type="application/json")

    @app.get("/runs", tags=["look"])
    async def runs() -> list[dict[str, Any]]:
        """What is served: the runs, what they answer, and their labels."""
        return [showing.run_of(served.snapshot) for served in service.runs.values()]


def _add_writing(app: FastAPI, service: Service, token: str) -> None:
    def may_write(authorization: Annotated[str, Header(max_length=MOST_CHARACTERS)] = "") -> None:
        if not token:
            raise Refusal(403, "this service changes no documents; start it with --token-file to let it")
        scheme, _, sent = authorization.partition(" ")
        right = hmac.compare_digest(sent.encode("utf-8", "replace"), token.encode())
        if scheme.lower() != "bearer" or not right:
            raise Refusal(401, "the token is missing or wrong; send the header Authorization: Bearer TOKEN")

    allowed = [Depends(may_write)]

    @app.post("/documents", tags=["change"], dependencies=allowed)
    async def add(new: schemas.NewDocuments) -> dict[str, Any]:
        """Give documents IDs and add them, as lmindexer add does."""
        documents = [Document(one.id, one.text, tuple(one.label)) for one in new.documents]
        return await service.add(new.run, documents)

    @app.delete("/documents/{doc_id:path}", tags=["change"], dependencies=allowed)
    async def remove(doc_id: str, run: RunName = "") -> dict[str, Any]:
        """Take a document out, as lmindexer remove does."""
        _row(service.snapshot(run), doc_id)
        return await service.remove(run, doc_id)


def _add_state(app: FastAPI, service: Service) -> None:
    @app.get("/health", tags=["state"])
    async def health() -> dict[str, str]:
        """Whether the process answers at all."""
        return {"status": "ok"}

    @app.get("/ready", tags=["state"])
    async def ready() -> JSONResponse:
        """Whether it answers questions: 503 while it stops."""
        return JSONResponse({"ready": service.ready}, 200 if service.ready else 503)

    @app.get("/metrics", tags=["state"], response_class=Response)
    async def metrics() -> Response:
        """For Prometheus."""
        return Response(service.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    @app.get("/", include_in_schema=False)
    async def show_page() -> HTMLResponse:
        html, policy = page()
        headers = {
            "Content-Security-Policy": policy,
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
        }
        return HTMLResponse(html, headers=headers)


def _add_refusals(app: FastAPI) -> None:
    """Whatever a request has wrong is answered by one sentence that says so."""

    def answer(status: int, sentence: object) -> JSONResponse:
        headers = {"Retry-After": "1"} if status == 429 else {"WWW-Authenticate": "Bearer"} if status == 401 else None
        return JSONResponse({"error": str(InputError(sentence))}, status, headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"][1:]))  # the first says only that it is the body, or the address
        return answer(422, f"{place or 'the body'}: {first['msg']}")

    @app.exception_handler(HTTPException)
    async def refused(request: Request, error: HTTPException) -> JSONResponse:
        return answer(error.status_code, error.detail)

    @app.exception_handler(Refusal)
    async def refusal(request: Request, error: Refusal) -> JSONResponse:
        return answer(error.status, error)

    @app.exception_handler(InputError)
    async def mistake(request: Request, error: InputError) -> JSONResponse:
        return answer(422, error)

    @app.exception_handler(BusyError)
    async def busy(request: Request, error: BusyError) -> JSONResponse:
        return answer(429, error)


def _one_or_several(one: Any, several: Any, name: str, plural: str) -> list[Any]:
    """The questions of a request. Raises InputError unless they are given in one of the two ways."""
    if (one is None) == (several is None):
        raise InputError(f"give either {name} or {plural}")
    return [one] if several is None else list(several)


def _row(snapshot: Snapshot, doc_id: str) -> int:
    """The row of a document. Raises Refusal for one that is not there."""
    try:
        return snapshot.row(doc_id)
    except KeyError:
        raise Refusal(404, f"there is no document {excerpt(doc_id)}") from None
