"""Files are fetched whole and checked, from a server of this machine: nothing on the web is asked."""

import contextlib
import hashlib
import io
import json
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from lmindexer.errors import InputError
from lmindexer.prepare.addresses import ADDRESSES, NAMED, Address, addresses_of
from lmindexer.prepare.fetching import FETCHED, address_table, fetch, sizes_of
from lmindexer.prepare.registry import SETS
from lmindexer.progress import Progress

QUIET = Progress(None)


class Server:
    """Files by path, and what of them was asked for: a path, and the range or ""."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.requests: list[tuple[str, str]] = []
        self.ranges = True  # whether the rest of a file can be asked for
        self.broken_after: int | None = None  # bytes of the next answer
        self.home = ""

    def md5(self, path: str) -> str:
        return hashlib.md5(self.files[path]).hexdigest()


@pytest.fixture
def server() -> Iterator[Server]:
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.answer(b"")

        def do_GET(self) -> None:
            state.requests.append((self.path, self.headers.get("Range", "")))
            content = state.files.get(self.path, b"")
            begun = int(self.headers["Range"].removeprefix("bytes=").rstrip("-")) if self.headers.get("Range") else 0
            self.answer(content[begun:] if state.ranges else content, 206 if begun and state.ranges else 200)

        def answer(self, content: bytes, status: int = 200) -> None:
            if self.path not in state.files:
                self.send_error(404)
                return
            whole = len(state.files[self.path]) if self.command == "HEAD" else len(content)
            self.send_response(status)
            self.send_header("Content-Length", str(whole))
            self.end_headers()
            cut = None
            if self.command == "GET":
                cut, state.broken_after = state.broken_after, None
            with contextlib.suppress(OSError):
                self.wfile.write(content[:cut])

        def log_message(self, *arguments: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.home = f"http://127.0.0.1:{http.server_port}"
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield state
    http.shutdown()
    thread.join()
    http.server_close()


CONTENT = bytes(range(256)) * 9


@pytest.fixture
def address(server: Server) -> Address:
    server.files["/a.jsonl"] = CONTENT
    return Address(f"{server.home}/a.jsonl", server.md5("/a.jsonl"))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_fetched_once_and_then_checked(server: Server, address: Address, tmp_path: Path):
    sha256 = fetch(address, tmp_path / "raw", QUIET)
    assert (tmp_path / "raw" / "a.jsonl").read_bytes() == CONTENT
    assert sha256 == hashlib.sha256(CONTENT).hexdigest()
    assert json.loads((tmp_path / "raw" / FETCHED).read_text()) == {address.url: sha256}
    assert fetch(address, tmp_path / "raw", QUIET) == sha256
    assert server.requests == [("/a.jsonl", "")]
    assert names(tmp_path / "raw") == ["a.jsonl", FETCHED]


@pytest.mark.parametrize("ranges", [True, False])
def test_a_fetch_that_broke_off_goes_on(ranges: bool, server: Server, address: Address, tmp_path: Path):
    server.broken_after, server.ranges = 1000, ranges
    with pytest.raises(InputError, match=r"a.jsonl broke off .*; run again to go on"):
        fetch(address, tmp_path, QUIET)
    assert names(tmp_path) == ["a.jsonl.part"]
    fetch(address, tmp_path, QUIET)
    assert (tmp_path / "a.jsonl").read_bytes() == CONTENT
    assert server.requests == [("/a.jsonl", ""), ("/a.jsonl", "bytes=1000-")]
    assert names(tmp_path) == ["a.jsonl", FETCHED]


def test_a_fetch_that_was_stopped_at_its_end_is_only_checked(server: Server, address: Address, tmp_path: Path):
    """A server refuses to send what is behind the end of a file."""
    (tmp_path / "a.jsonl.part").write_bytes(CONTENT)
    fetch(address, tmp_path, QUIET)
    assert server.requests == []
    assert names(tmp_path) == ["a.jsonl", FETCHED]


def test_another_file_than_the_published_one_is_refused(server: Server, address: Address, tmp_path: Path):
    server.files["/a.jsonl"] = b"something else"
    with pytest.raises(InputError, match=rf"has the MD5 \w+, not the published {address.md5}; it is removed"):
        fetch(address, tmp_path, QUIET)
    assert names(tmp_path) == []


def test_without_a_published_checksum_the_first_fetch_counts(server: Server, tmp_path: Path):
    server.files["/b.txt"] = b"first"
    address = Address(f"{server.home}/b.txt")
    first = fetch(address, tmp_path, QUIET)
    (tmp_path / "b.txt").unlink()
    server.files["/b.txt"] = b"other"
    with pytest.raises(InputError, match=rf"has the SHA-256 \w+, not {first} as when it was fetched first"):
        fetch(address, tmp_path, QUIET)
    assert names(tmp_path) == [FETCHED]
    (tmp_path / FETCHED).unlink()
    assert fetch(address, tmp_path, QUIET) == hashlib.sha256(b"other").hexdigest()


def test_what_is_there_already_is_checked_too(address: Address, tmp_path: Path):
    (tmp_path / "a.jsonl").write_bytes(CONTENT[:-1])
    with pytest.raises(InputError, match=r"has the MD5"):
        fetch(address, tmp_path, QUIET)
    (tmp_path / FETCHED).write_text("[")
    with pytest.raises(InputError, match=r"fetched.json is damaged; remove it"):
        fetch(address, tmp_path, QUIET)


def archive(kind: str, name: str) -> bytes:
    packed = io.BytesIO()
    if kind == ".zip":
        with zipfile.ZipFile(packed, "w") as zipped:
            zipped.writestr(name, "inside")
    else:
        with tarfile.open(fileobj=packed, mode="w:gz") as tar:
            entry = tarfile.TarInfo(name)
            entry.size = 6
            tar.addfile(entry, io.BytesIO(b"inside"))
    return packed.getvalue()


@pytest.mark.parametrize("kind", [".zip", ".tar.gz"])
def test_an_archive_is_unpacked_whole_and_inside_the_folder(kind: str, server: Server, tmp_path: Path):
    server.files |= {f"/set{kind}": archive(kind, "set/qrels/test.tsv"), f"/bad{kind}": archive(kind, "../out.txt")}
    fetch(Address(f"{server.home}/set{kind}"), tmp_path / "raw", QUIET)
    assert (tmp_path / "raw" / "set" / "set" / "qrels" / "test.tsv").read_text() == "inside"
    with contextlib.suppress(InputError):
        fetch(Address(f"{server.home}/bad{kind}"), tmp_path / "raw", QUIET)
    assert not (tmp_path / "out.txt").exists()
    assert not (tmp_path / "raw" / "out.txt").exists()
    server.files[f"/cut{kind}"] = archive(kind, "x")[:-30]
    with pytest.raises(InputError, match=r"is not a whole archive"):
        fetch(Address(f"{server.home}/cut{kind}"), tmp_path / "raw", QUIET)
    assert not (tmp_path / "raw" / "cut").exists()


def test_a_server_that_does_not_answer_is_told(server: Server, tmp_path: Path):
    with pytest.raises(InputError, match=r"/nothing answers 404 .*fetch the file otherwise and name its folder"):
        fetch(Address(f"{server.home}/nothing"), tmp_path, QUIET)
    with pytest.raises(InputError, match=r"127.0.0.1:1/x cannot be reached"):
        fetch(Address("http://127.0.0.1:1/x"), tmp_path, QUIET)


def test_address_size_and_checksum_are_shown(server: Server, address: Address):
    shown = address_table([address, Address(f"{server.home}/a.jsonl")], sizes_of([address, address]))
    assert f"| {address.url} | 2,304 | {address.md5} |" in shown
    assert "| 2,304 | none published |" in shown
    assert server.requests == [], "sizes are asked for, not files"
    assert sizes_of([Address(f"{server.home}/nothing")]) == [None]


def test_addresses_are_of_sets_and_by_name_where_there_are_several():
    assert ADDRESSES.keys() | NAMED.keys() == SETS.keys() - {"recbole"}
    by_name = [of_set for sets in NAMED.values() for of_set in sets.values()]
    every = [address for of_set in (*ADDRESSES.values(), *by_name) for address in of_set]
    assert all(a.url.startswith("https://") and len(a.md5) in (0, 32) for a in every)
    assert addresses_of("amazon", "toys")[0].name == "reviews_Toys_and_Games_5.json.gz"
    with pytest.raises(InputError, match=r"recbole has no public address"):
        addresses_of("recbole", "")
    with pytest.raises(InputError, match=r"movielens is fetched by name; give --name ml-100k or ml-1m"):
        addresses_of("movielens", "")
