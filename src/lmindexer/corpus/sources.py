"""A real corpus on every Python machine: the documentation of the installed packages.

Source files are parsed, never imported. A document is a public function, class or module; its label
is (package, module).
"""

import ast
import hashlib
import re
import site
import sysconfig
import warnings
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

from lmindexer.corpus.docstrings import prose, readable_name
from lmindexer.corpus.documents import Corpus, Document

LARGEST_FILE = 2_000_000  # bytes; larger ones are generated tables
FIRST_OF_FILE = 6  # a sample takes so many of one file before it opens the next

_SKIPPED_FOLDERS = {
    *("test", "tests", "testing", "idlelib", "idle_test", "lib2to3", "turtledemo", "__pycache__"),
    *("_vendor", "_vendored", "vendor", "vendored", "externals", "site-packages", "dist-packages"),
}
_SKIPPED_FILE = re.compile(r"test_.*|.*_test|conftest|__main__|_pb2|.*_pb2")


def installed_python_documentation(limit: int | None = None) -> Corpus:
    """The docstrings of the standard library and of every installed distribution.

    With `limit` it is a sample: the packages take turns, so that none outweighs the others.
    """
    folders = [sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")]
    folders += site.getsitepackages() + ([site.getusersitepackages()] if site.ENABLE_USER_SITE else [])
    return python_documentation([Path(folder) for folder in dict.fromkeys(folders)], limit)


def python_documentation(folders: Sequence[Path], limit: int | None = None) -> Corpus:
    """The docstrings of the modules in `folders`, each the root of importable packages."""
    packages: dict[str, list[tuple[str, Path]]] = {}
    for folder in folders:
        for module, path in _modules(folder):
            packages.setdefault(module.partition(".")[0], []).append((module, path))
    turns = [_documents_of(packages[name]) for name in sorted(packages)]
    documents = islice(_distinct(_in_turn(turns)), limit)
    return Corpus.from_documents(sorted(documents, key=lambda document: document.id))


def _modules(folder: Path) -> Iterator[tuple[str, Path]]:
    """The modules under a folder by dotted name."""
    for path in sorted(folder.glob("*")):
        if path.is_dir():
            if path.name.isidentifier() and path.name not in _SKIPPED_FOLDERS:
                yield from ((f"{path.name}.{name}".removesuffix("."), file) for name, file in _modules(path))
        elif path.suffix == ".py" and not _SKIPPED_FILE.fullmatch(path.stem):
            yield path.stem if path.stem != "__init__" else "", path


def _documents_of(modules: list[tuple[str, Path]]) -> Iterator[Document]:
    """One package's documents, its modules in an order that is arbitrary but always the same."""
    rest: list[Document] = []
    for module, path in sorted(modules, key=lambda entry: _hash(entry[0])):
        documents = sorted(_documents_in(module, path), key=lambda document: _hash(document.id))
        yield from documents[:FIRST_OF_FILE]
        rest += documents[FIRST_OF_FILE:]
    yield from rest


def _documents_in(module: str, path: Path) -> list[Document]:
    if not module or path.stat().st_size > LARGEST_FILE:
        return []
    try:
        with warnings.catch_warnings():  # about the strings of other people's code
            warnings.simplefilter("ignore")
            tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError, RecursionError, OSError):
        return []
    label = (module.partition(".")[0], module)
    documents = []
    for name, node in _public(tree, module):
        text = prose(ast.get_docstring(node) or "")
        if text:
            own_name = name.removeprefix(module + ".") if name != module else module.rpartition(".")[2]
            documents.append(Document(name, f"{readable_name(own_name)}: {text}", label))
    return documents


def _public(
    node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef, name: str
) -> Iterator[tuple[str, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef]]:
    """A module or class and everything public in it, with dotted names."""
    if not isinstance(node, ast.Module) or not name.rpartition(".")[2].startswith("_"):
        yield name, node
    if isinstance(node, ast.Module | ast.ClassDef):
        for child in _statements(node.body):
            if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and not child.name.startswith(
                "_"
            ):
                yield from _public(child, f"{name}.{child.name}")


def _statements(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements, also those below `if` and `try`."""
    for statement in body:
        yield statement
        if isinstance(statement, ast.If | ast.Try):
            yield from _statements([*statement.body, *statement.orelse])
        if isinstance(statement, ast.Try):
            yield from _statements(s for handler in statement.handlers for s in handler.body)


def _in_turn(turns: list[Iterator[Document]]) -> Iterator[Document]:
    """One document of each, round and round, until all are empty."""
    while turns:
        left = []
        for turn in turns:
            if (document := next(turn, None)) is not None:
                left.append(turn)
                yield document
        turns = left


def _distinct(documents: Iterable[Document]) -> Iterator[Document]:
    """The first of each id and of each docstring; numbers and identifiers do not make one new."""
    ids: set[str] = set()
    docstrings: set[str] = set()
    for document in documents:
        words = document.text.partition(": ")[2].lower().split()
        docstring = " ".join(word for word in words if word.strip(".,;:()'\"").isalpha())
        if document.id not in ids and docstring not in docstrings:
            ids.add(document.id)
            docstrings.add(docstring)
            yield document


def _hash(name: str) -> bytes:
    return hashlib.blake2b(name.encode(), digest_size=8).digest()
