"""Files and folders that survive a kill or a power cut whole: the one module that writes them.

Everything that something else points to is written here. A write goes to a hidden temporary name in the same
folder, is flushed to disk (fsync), renamed over the final name, and the folder is flushed. Whoever reads the
final name, at any instant or after any crash, sees all of the old content or all of the new.

A killed writer leaves its temporary name behind (`remove_leftovers`), never a damaged file.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from prefrl.storage.errors import RunDirError

__all__ = [
    "durable_folder",
    "file_digest",
    "make_folder",
    "read_json",
    "remove_leftovers",
    "write_bytes",
    "write_file",
    "write_json_atomic",
    "write_text",
]

LEFTOVERS = (".[0-9]*-*", ".*.partial")
"""patterns of the temporary names, the first release's included"""
DIGEST_CHUNK_BYTES = 1 << 20


def write_file(path: Path, write: Callable[[Path], object]) -> str:
    """Replace a file by what ``write`` writes to the path it is given, and return its SHA-256 digest.

    Args:
        path: its folder must exist; a link is replaced, not followed.
        write: called once with a temporary path beside ``path``, which has the same suffix.

    Raises:
        OSError: when the file cannot be written; the old file is then still there, or the new one is whole.
    """
    temporary = _temporary(path)
    try:
        write(temporary)
        digest = file_digest(temporary)
        _flush(
            temporary
        )  # before the rename: the name must not survive a power cut that the content does not
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    _flush(path.parent)
    return digest


def write_bytes(path: Path, data: bytes) -> str:
    """Replace a file by ``data``, as `write_file` does; returns its SHA-256 digest."""
    return write_file(path, lambda temporary: temporary.write_bytes(data))


def write_text(path: Path, text: str) -> str:
    """Replace a file by ``text`` in UTF-8, as `write_file` does; returns its SHA-256 digest."""
    return write_bytes(path, text.encode())


def write_json_atomic(path: Path, data: Any) -> None:
    """Replace a file by ``data`` as JSON, as `write_file` does.

    Raises:
        ValueError: when a number in it is not finite, which JSON cannot say.
        RunDirError: when the file cannot be written.
    """
    text = json.dumps(data, indent=2, allow_nan=False) + "\n"
    try:
        write_text(path, text)
    except OSError as error:
        raise RunDirError(f"{path} cannot be written ({error.strerror})") from error


@contextmanager
def durable_folder(path: Path) -> Iterator[Path]:
    """A hidden folder to fill, named ``path`` once the block ends: whoever finds ``path`` finds all of it.

    Every file and folder in it is flushed before the rename. When the block raises, all of it is deleted.

    Args:
        path: must not exist, or be an empty folder; the folders above it are made where they are missing.

    Raises:
        OSError: when it cannot be written, or ``path`` is there and not an empty folder.
    """
    # resolved, as "." has no name, and a folder cannot take the place of a link to one
    path = path.resolve()
    make_folder(path.parent)
    temporary = _temporary(path)
    try:
        temporary.mkdir()
        yield temporary
        _flush_tree(temporary)
        os.replace(temporary, path)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    _flush(path.parent)


def make_folder(path: Path) -> None:
    """Make a folder and those above it, where missing; they survive a power cut, as a file in them must.

    Raises:
        OSError: when one cannot be made, or a file is in the way.
    """
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    for folder in reversed(missing):
        folder.mkdir(exist_ok=True)  # another process may have been first
        _flush(folder.parent)
    if not path.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path))


def remove_leftovers(folder: Path) -> None:
    """Delete what killed writers left in a folder that this process alone writes to.

    Raises:
        OSError: when something cannot be deleted.
    """
    for pattern in LEFTOVERS:
        for leftover in folder.glob(pattern):
            if leftover.is_dir() and not leftover.is_symlink():
                shutil.rmtree(leftover)
            else:
                leftover.unlink()


def file_digest(path: Path) -> str:
    """SHA-256 of a file's content as 64 hexadecimal digits; raises OSError when it cannot be read."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(DIGEST_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def read_json(path: Path, way_out: str = "restore it from a copy") -> dict[str, Any]:
    """The JSON object in a file.

    Raises:
        RunDirError: when it cannot be read or holds something else; ``way_out`` ends the message.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RunDirError(f"{path} cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise RunDirError(f"{path} is not JSON ({error}); {way_out}") from error
    if not isinstance(data, dict):
        raise RunDirError(f"{path} is not a JSON object; {way_out}")
    return data


def _temporary(path: Path) -> Path:
    """A hidden name beside ``path``, with its suffix, that no other writer uses: see `LEFTOVERS`."""
    return path.with_name(f".{os.getpid()}-{secrets.token_hex(4)}-{path.name}")


def _flush_tree(folder: Path) -> None:
    """Flush every file below a folder, then the folders, the innermost first."""
    for parent, _, names in os.walk(folder, topdown=False):
        for name in names:
            path = Path(parent) / name
            if not path.is_symlink():
                _flush(path)
        _flush(Path(parent))


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
