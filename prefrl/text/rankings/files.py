"""Rows of objects in files: JSON lines, or one JSON list, each compressed or not."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, cast

from prefrl.storage.durable import write_bytes
from prefrl.text.rankings.rows import RankingFileError, Row, found

__all__ = ["read_rows", "write_rows"]

READABLE = (".jsonl", ".jsonl.gz", ".json", ".json.gz")
WRITABLE = (".jsonl", ".jsonl.gz")


def read_rows(path: Path) -> list[Row]:
    """All rows of a file, at least one; its name's end says how they lie there.

    Raises:
        RankingFileError: naming the file and the line, when it cannot be read, is cut short, is not UTF-8 or
            not JSON, has something else than objects for rows, or has none.
    """
    suffix = _suffix(path, READABLE)
    try:
        rows = list(_lines(path) if suffix.startswith(".jsonl") else _elements(path))
    except (EOFError, zlib.error) as error:
        raise RankingFileError(f"{path}: is cut short or damaged ({error}); copy it again") from error
    except OSError as error:
        reason = error.strerror or error
        raise RankingFileError(f"{path}: cannot be read ({reason}); check its name or copy it") from error
    if not rows:
        raise RankingFileError(f"{path}: has no row; give a file with at least one")
    return rows


def write_rows(path: Path, rows: Iterable[Mapping[str, Any]]) -> int:
    """Write JSON lines so that readers see the old file or the new one, whole; returns how many lines.

    Raises:
        RankingFileError: when there is no row, the name has no known end, or the file cannot be written.
    """
    suffix = _suffix(path, WRITABLE)
    # ASCII, as some readers take U+2028 and its like within a text for the end of the line
    lines = [json.dumps(row, allow_nan=False) + "\n" for row in rows]
    if not lines:
        raise RankingFileError(f"{path}: there is nothing to write; give at least one ranking that is no tie")
    data = "".join(lines).encode()
    _replace(path, gzip.compress(data, mtime=0) if suffix.endswith(".gz") else data)
    return len(lines)


def _suffix(path: Path, known: tuple[str, ...]) -> str:
    matching = [suffix for suffix in known if path.name.lower().endswith(suffix)]
    if not matching:
        raise RankingFileError(f"{path}: the name must end in one of {', '.join(known)}; rename it")
    return matching[0]


def _open(path: Path) -> IO[bytes]:
    return cast(IO[bytes], gzip.open(path)) if path.name.lower().endswith(".gz") else path.open("rb")


def _lines(path: Path) -> Iterator[Row]:
    with _open(path) as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                place = f"{path}, line {number}"
                yield _row(place, _parsed(place, line))


def _elements(path: Path) -> Iterator[Row]:
    with _open(path) as file:
        value = _parsed(str(path), file.read())
    if not isinstance(value, list):
        raise RankingFileError(
            f"{path}: holds {found(value)}, not one list of rows; name it .jsonl if each line is a row"
        )
    for number, element in enumerate(value, start=1):
        yield _row(f"{path}, row {number}", element)


def _row(place: str, value: Any) -> Row:
    if not isinstance(value, dict):
        raise RankingFileError(f"{place}: is {found(value)}; give an object with named fields")
    return Row(place, value)


def _parsed(place: str, data: bytes) -> Any:
    try:
        # "sig" passes over the mark that some editors put at the beginning
        return json.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise RankingFileError(
            f"{place}: byte {error.start} of it ({data[error.start]:#04x}) is not UTF-8; save the file as UTF-8"
        ) from error
    except (ValueError, RecursionError) as error:
        raise RankingFileError(
            f"{place}: is not JSON ({error}); correct it or copy the file again"
        ) from error


def _replace(path: Path, data: bytes) -> None:
    try:
        write_bytes(path, data)
    except OSError as error:
        raise RankingFileError(
            f"{path}: cannot be written ({error.strerror}); choose another path"
        ) from error
