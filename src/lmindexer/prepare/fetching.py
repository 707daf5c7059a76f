"""Published files are fetched: each whole and checked, or not at all; one that was stopped goes on where it was."""

import hashlib
import json
import tarfile
import zipfile
import zlib
from collections.abc import Sequence
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from lmindexer.errors import InputError
from lmindexer.files import disk_is_full, json_text, new_folder, sha256_of, write_text
from lmindexer.prepare.addresses import Address
from lmindexer.progress import Progress
from lmindexer.tables import table

FETCHED = "fetched.json"  # in the raw folder: address -> bytes and SHA-256 of what was fetched first
ARCHIVES = (".zip", ".tar.gz")
CHUNK = 2**20  # bytes
WAIT = 60  # seconds for a server's next bytes
PARTIAL = 206  # HTTP: the rest of a file, as it was asked for


def sizes_of(addresses: Sequence[Address]) -> list[int | None]:
    """What the servers say of the sizes, in bytes; None where one does not say."""
    sizes = []
    for address in addresses:
        try:
            with _open(Request(address.url, method="HEAD")) as response:
                sizes.append(_size(response))
        except InputError:  # some answer no such question; whether the file is there is found when it is fetched
            sizes.append(None)
    return sizes


def address_table(addresses: Sequence[Address], sizes: Sequence[int | None]) -> str:
    """Address, size and checksum of what is to be fetched, in Markdown."""
    rows = (
        [address.url, "?" if size is None else f"{size:,}", address.md5 or "none published"]
        for address, size in zip(addresses, sizes, strict=True)
    )
    return "\n".join(table(["address", "bytes", "MD5"], rows, texts=(0, 2)))


def fetch(address: Address, folder: Path, progress: Progress) -> str:
    """Bring one file into the folder, and unpack it if it is an archive; give its SHA-256.

    What is there already is only checked. Raises InputError for a file that is not the published one, or not the one
    that was fetched before.
    """
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / address.name
    known = _known(folder)
    if not target.exists():
        _bring(address, target, progress)
    progress.doing(f"checking {target.name}")
    fault = _fault(address, target, known.get(address.url))
    if fault:
        target.unlink()
        raise InputError(f"{address.url} {fault}; it is removed, so run again, or fetch it otherwise")
    sha256 = sha256_of(target)
    write_text(folder / FETCHED, json_text(known | {address.url: sha256}, indent=2) + "\n")
    ending = next((end for end in ARCHIVES if target.name.endswith(end)), "")
    if ending and not (unpacked := folder / target.name.removesuffix(ending)).exists():
        progress.doing(f"unpacking {target.name}")
        _unpack(target, unpacked)
    return sha256


def _known(folder: Path) -> dict[str, str]:
    path = folder / FETCHED
    if not path.exists():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise InputError(f"{path} is damaged; remove it")
    return found


def _fault(address: Address, path: Path, sha256: str | None) -> str:
    """What is wrong with a whole file, or ""."""
    if address.md5:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "md5").hexdigest()
        if found != address.md5:
            return f"has the MD5 {found}, not the published {address.md5}"
    if sha256 is not None and (found := sha256_of(path)) != sha256:
        return f"has the SHA-256 {found}, not {sha256} as when it was fetched first ({FETCHED} says so)"
    return ""


def _bring(address: Address, target: Path, progress: Progress) -> None:
    """Fetch into a .part file, from where an earlier try ended, and rename it when it is whole."""
    part = target.with_name(target.name + ".part")
    begun = part.stat().st_size if part.exists() else 0
    if begun and begun == sizes_of([address])[0]:  # it was stopped just before it got its name
        part.replace(target)
        return
    headers = {"Range": f"bytes={begun}-"} if begun else {}
    response = _open(Request(address.url, headers=headers))
    begun = begun if response.status == PARTIAL else 0
    rest = _size(response)
    total = None if rest is None else begun + rest
    try:
        with response, part.open("ab" if begun else "wb") as file:
            while chunk := response.read(CHUNK):
                begun += file.write(chunk)
                progress.count(f"fetching {target.name}", begun, total, "bytes")
    except (OSError, HTTPException) as error:
        if disk_is_full(error):
            raise InputError(f"no space left on {target.parent.resolve()}; free some and run again") from error
        raise InputError(f"{address.url} broke off ({error}); run again to go on") from None
    if total is not None and begun < total:
        raise InputError(f"{address.url} broke off after {begun:,} of {total:,} bytes; run again to go on")
    part.replace(target)


def _open(request: Request) -> HTTPResponse:
    try:
        response: HTTPResponse = urlopen(request, timeout=WAIT)
    except HTTPError as error:
        raise InputError(
            f"{request.full_url} answers {error.code} ({error.reason}); fetch the file otherwise and name its folder, "
            "without --download"
        ) from None
    except (URLError, OSError, HTTPException) as error:
        reason = getattr(error, "reason", error)
        raise InputError(
            f"{request.full_url} cannot be reached ({reason}); try again, or fetch the file otherwise and name its "
            "folder, without --download"
        ) from None
    return response


def _size(response: Any) -> int | None:
    length = response.headers.get("Content-Length")
    return int(length) if length is not None and length.isdecimal() else None


def _unpack(archive: Path, folder: Path) -> None:
    """All of it, or nothing. Raises InputError for what is no whole archive, or leads out of the folder."""
    with new_folder(folder) as temporary:
        try:
            if archive.suffix == ".zip":
                with zipfile.ZipFile(archive) as zipped:
                    zipped.extractall(temporary)
            else:
                with tarfile.open(archive) as tar:
                    tar.extractall(temporary, filter="data")
        except (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError) as error:
            raise InputError(f"{archive} is not a whole archive ({error}); remove it and fetch it again") from None
